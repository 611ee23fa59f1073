//! An explanation, for a person.

use super::account::{CountedRecord, CountedSpan};
use super::explanation::{ExplainedPartition, Explanation};
use super::history::{CutPassage, MinuteVersion};
use super::in_sinks::{CellView, SinkVerdict, SinkView};
use super::passing::Passing;
use super::uncounted::UncountedRecord;
use crate::fmt::number_of;
use crate::letters::foreign;
use crate::sinks::StoredCell;
use crate::text::rfc3339;
use minutely_dataflows::escape::escaped;
use minutely_dataflows::time::EventTime;
use std::fmt::{Display, Write as _};

/// Records that do not count, at most.
const MOST_UNCOUNTED: usize = 50;
/// How a cell that differs is marked.
const MARK: char = '≠';

/// Lines, of which none harms a terminal.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: impl Display) {
        writeln!(self.0, "{}", escaped(&text.to_string())).expect("a string takes it");
    }
}

/// See the module.
pub(super) fn of(explained: &Explanation) -> String {
    let mut page = Page::default();
    let state = explained.state.map_or("unknown", |state| state.name());
    page.line(format_args!("{} {}: {state} by manifest {}", explained.symbol, explained.minute, explained.manifest));
    row(explained, &mut page);
    explained.sinks.iter().for_each(|sink| self::sink(sink, &mut page));
    explained.unreadable.iter().for_each(|sink| page.line(format_args!("  {sink}: cannot be read back")));
    records(explained, &mut page);
    uncounted(explained, &mut page);
    let [end, final_at] = explained.ends;
    passing(explained, ("closed", end, 0), &mut page);
    passing(explained, ("final", final_at, 1), &mut page);
    history(explained, &mut page);
    page.0
}

fn time(time: EventTime) -> String {
    let text = rfc3339(time, 9);
    // (Digits that say nothing are left out.)
    text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').to_owned() + "Z"
}

/// The row by the log.
fn row(explained: &Explanation, page: &mut Page) {
    page.line("row");
    let Some(expected) = &explained.row else {
        let why = explained.unverifiable.map_or("no record counts", |why| why.reason());
        return page.line(format_args!("  by the log: {why}"));
    };
    let row = &expected.row;
    let mut cells = vec![format!("count {}", row.count), format!("sum {}", row.sum), format!("avg {}", row.avg)];
    if let Some(market) = &row.market {
        let prices = [("open", market.open), ("high", market.high), ("low", market.low), ("close", market.close)];
        cells.extend(prices.map(|(name, price)| format!("{name} {price}")));
        cells.extend(market.volume.map(|volume| format!("volume {volume}")));
        cells.extend(market.vwap.map(|vwap| format!("vwap {vwap}")));
    }
    for ((name, value), known) in explained.derived.iter().zip(row.derived.iter()).zip(&expected.known) {
        match (known, value) {
            (true, Some(value)) => cells.push(format!("{name} {value}")),
            (true, None) => {}
            (false, _) => cells.push(format!("{name} unknown")),
        }
    }
    page.line(format_args!("  by the log: {}", cells.join(", ")));
}

fn cell(cell: &Option<StoredCell>) -> String {
    cell.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

fn sink(sink: &SinkView, page: &mut Page) {
    let why = match sink.verdict {
        SinkVerdict::NotCompared(why) => format!(": {why}"),
        SinkVerdict::Equal if sink.cells.is_empty() => ": it has no row".to_owned(),
        _ => String::new(),
    };
    page.line(format_args!("  {}: {}{why}", sink.name, sink.verdict.word()));
    if sink.verdict == SinkVerdict::Equal || sink.cells.iter().all(|view| view.sink.is_none()) {
        return;
    }
    for CellView { column, sink, log, differs } in &sink.cells {
        let log = if *differs { format!(", by the log {}", cell(log)) } else { String::new() };
        page.line(format_args!("  {} {column} {}{log}", if *differs { MARK } else { ' ' }, cell(sink)));
    }
}

/// The records that count.
fn records(explained: &Explanation, page: &mut Page) {
    if explained.unverifiable.is_some() {
        return;
    }
    page.line(format_args!("records that count: {}", explained.count()));
    for ExplainedPartition { name, found, .. } in &explained.partitions {
        let Some(CountedSpan { first, last, count }) = found.span else { continue };
        page.line(format_args!("  {name}: {count}, offsets {first} to {last}"));
        for CountedRecord { offset, element, time: at, value, weight, payload } in &found.counted {
            let element = element.map(|element| format!(", element {element}")).unwrap_or_default();
            let weight = weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
            let payload = payload.as_ref().map_or_else(|| "none".to_owned(), |bytes| foreign(bytes, None));
            page.line(format_args!("    offset {offset}{element}: {} value {value}{weight}  {payload}", time(*at)));
        }
        let more = u64::try_from(count).unwrap_or(0).saturating_sub(found.counted.len() as u64);
        if explained.records && more > 0 {
            page.line(format_args!("    and {more} more"));
        }
    }
}

fn uncounted(explained: &Explanation, page: &mut Page) {
    let all = explained.uncounted.len() as u64 + explained.more_uncounted;
    page.line(format_args!("records near it that do not count: {all}"));
    for UncountedRecord { partition, offset, element, reason, time: at, value, why, exception, .. } in
        explained.uncounted.iter().take(MOST_UNCOUNTED)
    {
        let element = element.map(|element| format!(", element {element}")).unwrap_or_default();
        let at = at.map(|at| format!(" of {}", time(at))).unwrap_or_default();
        let value = value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let exception = if *exception { " (an exception, R10)" } else { "" };
        page.line(format_args!("  {partition} offset {offset}{element}: {reason}{value}{at}{why}{exception}"));
    }
    if all > MOST_UNCOUNTED as u64 {
        page.line(format_args!("  and {} more", all - MOST_UNCOUNTED as u64));
    }
    if let Some(missing) = &explained.missing_letters {
        page.line(format_args!("  unknown whether more: {missing}"));
    }
}

/// When the minute came to be closed, or final, and by what.
fn passing(explained: &Explanation, (what, at, nth): (&str, EventTime, usize), page: &mut Page) {
    let is_there = explained.w.is_some_and(|w| w >= at);
    let by = match explained.last_to_pass(nth).filter(|_| is_there) {
        Some((partition, stamp)) => format!(", last by {partition} in a record of {}", time(stamp)),
        None => String::new(),
    };
    let w = explained.w.map_or_else(|| "unknown".to_owned(), time);
    page.line(match is_there {
        true => format!("{what}: W is {w}, and {} was enough{by}", time(at)),
        false => format!("not {what} yet: W is {w}, and {} is needed", time(at)),
    });
    for ExplainedPartition { name, passed, is_idle, .. } in &explained.partitions {
        let idle = if *is_idle { "; silent at its end now" } else { "" };
        let by = match passed[nth] {
            Passing::Record(record) => {
                let stamp = record.stamp.map(|stamp| format!(", stamped {}", time(stamp))).unwrap_or_default();
                format!("by the record at offset {}, with which H came to {}{stamp}", record.offset, time(record.time))
            }
            Passing::Before { offset } => format!("by a record before offset {offset}"),
            Passing::Floor { floor, before } => {
                let before = before.map(|offset| format!(" before offset {offset}")).unwrap_or_default();
                format!("by evidence of its end (R8){before}: its floor came to {}", time(floor))
            }
            Passing::NotYet { watermark: Some(watermark) } => format!("not yet: its watermark is {}", time(watermark)),
            Passing::NotYet { watermark: None } => "not yet: it has shown no event time".to_owned(),
            Passing::Unknown => "by a record that the log does not have any more".to_owned(),
        };
        page.line(format_args!("  {name}: {by}{idle}"));
    }
}

fn history(explained: &Explanation, page: &mut Page) {
    let Some(history) = &explained.history else {
        return page.line("history: unknown, for the state has no audit trail");
    };
    let (many, since) = (number_of(history.versions.len() as u64, "version"), time(history.since_at));
    page.line(format_args!("history: {many}, known from manifest {} at {since} on", history.since));
    for MinuteVersion { seq, at, count, sum, state } in &history.versions {
        let at = at.map(|at| format!(" at {}", time(at))).unwrap_or_default();
        let state = state.map(|state| format!(", {}", state.name())).unwrap_or_default();
        page.line(format_args!("  manifest {seq}{at}: count {count}, sum {sum}{state}"));
    }
    if explained.is_of_another_log() {
        page.line("  ≠ the log is not the one that was counted: it gives the row otherwise than the newest version");
    }
    for (what, passage) in ["closed", "final"].into_iter().zip(&history.passages) {
        let Some(CutPassage { seq, at, waited_for, is_first }) = passage else { continue };
        let by = waited_for.as_ref().map(|(partition, by_floor)| {
            format!("; W had waited for {partition}{}", if *by_floor { ", which was silent (R8)" } else { "" })
        });
        let first = if *is_first { " or before" } else { "" };
        page.line(format_args!("  {what} by manifest {seq}{first} at {}{}", time(*at), by.unwrap_or_default()));
    }
}
