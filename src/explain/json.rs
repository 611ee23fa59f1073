//! An explanation, for a program and for the page.

use super::account::{CountedRecord, CountedSpan};
use super::explanation::{ExplainedPartition, Explanation};
use super::history::{CutPassage, MinuteHistory, MinuteVersion};
use super::in_sinks::{CellView, SinkVerdict, SinkView};
use super::passing::Passing;
use super::uncounted::{UncountedOrigin, UncountedRecord};
use crate::sinks::StoredCell;
use crate::text::rfc3339;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minutely_dataflows::escape::escaped_json;
use minutely_dataflows::time::EventTime;
use serde_json::{Map, Value, json};

/// One object, and a line end.
pub(crate) fn of(explained: &Explanation) -> String {
    let Explanation { symbol, manifest, unreadable, more_uncounted, missing_letters, .. } = explained;
    let [end, final_at] = explained.ends;
    let value = json!({
        "symbol": symbol,
        "minute": explained.minute,
        "state": explained.state.map(|state| state.name()),
        "end": rfc3339(end, 9),
        "final_at": rfc3339(final_at, 9),
        "manifest": manifest,
        "w": explained.w.map(time),
        "unverifiable": explained.unverifiable.map(|why| why.reason()),
        "row": row(explained),
        "sinks": explained.sinks.iter().map(sink).collect::<Vec<_>>(),
        "not_read_back": unreadable,
        "partitions": explained.partitions.iter().map(|one| partition(one, explained.records)).collect::<Vec<_>>(),
        "closed_last_by": last(explained, 0),
        "final_last_by": last(explained, 1),
        "uncounted": explained.uncounted.iter().map(uncounted).collect::<Vec<_>>(),
        "more_uncounted": more_uncounted,
        "dead_letters_not_there": missing_letters,
        "history": explained.history.as_ref().map(history),
        "history_is_of_another_log": explained.is_of_another_log(),
        "records_read": explained.read,
    });
    let text = serde_json::to_string_pretty(&value).expect("memory takes it, and keys are text");
    format!("{}\n", escaped_json(&text))
}

fn time(time: EventTime) -> String {
    rfc3339(time, 9)
}

/// The row by the log: as `/api/minutes` has it, without what is not known.
fn row(explained: &Explanation) -> Value {
    let Some(expected) = &explained.row else { return Value::Null };
    let row = &expected.row;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("count", json!(row.count));
    put("sum", json!(row.sum.to_string()));
    put("avg", json!(row.avg));
    put("state", json!(row.state.name()));
    if let Some(market) = &row.market {
        let prices = [("open", market.open), ("high", market.high), ("low", market.low), ("close", market.close)];
        for (name, price) in prices {
            put(name, json!(price));
        }
        put("volume", json!(market.volume.map(|volume| volume.to_string())));
        put("vwap", json!(market.vwap));
    }
    let values = explained.derived.iter().zip(row.derived.iter()).zip(&expected.known);
    for ((name, value), _) in values.filter(|(_, known)| **known) {
        put(name, json!(value));
    }
    Value::Object(object)
}

fn cell(cell: &Option<StoredCell>) -> Value {
    match cell {
        None | Some(StoredCell::NoColumn | StoredCell::Nothing) => Value::Null,
        Some(StoredCell::Integer(number)) => json!(number),
        Some(StoredCell::Float(number)) => json!(number),
        Some(StoredCell::Text(text)) => json!(text),
    }
}

fn sink(sink: &SinkView) -> Value {
    let why = match sink.verdict {
        SinkVerdict::NotCompared(why) => Some(why),
        _ => None,
    };
    let one = |view: &CellView| json!({ "column": view.column, "sink": cell(&view.sink), "log": cell(&view.log), "differs": view.differs });
    let cells: Vec<Value> = sink.cells.iter().map(one).collect();
    json!({ "sink": sink.name, "is": sink.verdict.word(), "why": why, "cells": cells })
}

fn partition(partition: &ExplainedPartition, records: bool) -> Value {
    let span = partition.found.span;
    let mut value = json!({
        "partition": partition.name,
        "records": span.map_or(0, |span| span.count),
        "first": span.map(|CountedSpan { first, .. }| first),
        "last": span.map(|CountedSpan { last, .. }| last),
        "next": partition.next.0,
        "idle": partition.is_idle,
        "closed_by": passing(partition.passed[0]),
        "final_by": passing(partition.passed[1]),
    });
    if records {
        value["counted"] = partition.found.counted.iter().map(counted).collect();
    }
    value
}

/// By what a partition came to a time.
fn passing(passing: Passing) -> Value {
    let (by, offset, at, stamp) = match passing {
        Passing::Record(record) => ("record", Some(record.offset), Some(record.time), record.stamp),
        Passing::Before { offset } => ("record before", Some(offset), None, None),
        Passing::Floor { floor, before } => ("evidence", before, Some(floor), None),
        Passing::NotYet { watermark } => ("not yet", None, watermark, None),
        Passing::Unknown => ("unknown", None, None, None),
    };
    json!({ "by": by, "offset": offset, "watermark": at.map(time), "stamp": stamp.map(time) })
}

fn last(explained: &Explanation, nth: usize) -> Value {
    match explained.last_to_pass(nth) {
        Some((partition, stamp)) => json!({ "partition": partition, "stamp": time(stamp) }),
        None => Value::Null,
    }
}

fn counted(record: &CountedRecord) -> Value {
    let CountedRecord { offset, element, value, weight, payload, .. } = record;
    let mut value = json!({
        "offset": offset,
        "element": element,
        "event_time": time(record.time),
        "value": value.to_string(),
        "weight": weight.map(|weight| weight.to_string()),
    });
    // Text where it is UTF-8.
    match payload.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => value["payload"] = Value::Null,
        Some((_, Ok(text))) => value["payload"] = json!(text),
        Some((bytes, Err(_))) => value["payload_base64"] = json!(STANDARD.encode(bytes)),
    }
    value
}

fn uncounted(record: &UncountedRecord) -> Value {
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "element": record.element,
        "reason": record.reason,
        "event_time": record.time.map(time),
        "value": record.value,
        "why": record.why,
        "exception": record.exception,
        "told_by": match record.origin {
            UncountedOrigin::Log => "log",
            UncountedOrigin::DeadLetters => "dead letters",
        },
    })
}

fn history(history: &MinuteHistory) -> Value {
    let MinuteHistory { newest: _, since, since_at, versions, passages: [closed, made_final] } = history;
    json!({
        "since": since,
        "since_at": time(*since_at),
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "closed": closed.as_ref().map(passage),
        "final": made_final.as_ref().map(passage),
    })
}

fn passage(passage: &CutPassage) -> Value {
    let CutPassage { seq, at, waited_for, is_first } = passage;
    json!({
        "manifest": seq,
        "at": time(*at),
        "waited_for": waited_for.as_ref().map(|(partition, _)| partition),
        "by_floor": waited_for.as_ref().map(|(_, by_floor)| by_floor),
        "first_known": is_first,
    })
}

fn version(version: &MinuteVersion) -> Value {
    json!({
        "manifest": version.seq,
        "at": version.at.map(time),
        "count": version.count,
        "sum": version.sum.to_string(),
        "state": version.state.map(|state| state.name()),
    })
}
