//! `/api/status`: how the run is.

mod json;
mod open_minute;

use super::query::Query;
use super::reply::json as json_reply;
use super::rows::Ms;
use super::view::{LatestStatus, ShownDeadLetter, View};
use super::{RunInfo, Server, SourceReport};
use crate::advice;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use json::{
    CheckpointJson, DeadLetterJson, DeadLettersJson, LatenessJson, LedgerJson, PartitionJson, RejectedJson,
    SettingsJson, SinkJson, StatusJson, known, whole,
};
use minutely_dataflows::edge::{Discovered, Waiting};
use minutely_dataflows::explain::{self, Rejected};
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::{DELAY_EDGES_MS, PartitionState, RejectedBy, Rule};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::status::{Ledger, Status};
use minutely_dataflows::time::{EventTime, WindowStart};
use open_minute::{OpenMinuteFacts, open_minute, silence, waits_for};
use serde::Serialize;
use std::sync::Arc;

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    if let Err(error) = Query::parse(query.as_deref(), &[]) {
        return error.answer();
    }
    let view = server.hub.view();
    json_reply(text(&view, &server.about, server.started))
}

/// The status as JSON.
pub(super) fn text(view: &View, about: &RunInfo, started: EventTime) -> String {
    let default = LatestStatus::default();
    let latest = view.now.as_ref().unwrap_or(&default);
    let status = &latest.status;
    let now = (about.clock.monotonic(), about.clock.wall());
    let holder = holder(latest);
    let SourceReport { trouble: source_trouble, mut concerns, waiting } = (about.source_now)();
    concerns.extend(waiting.iter().filter(|waiting| !waiting.is_trouble).map(Waiting::describe));
    concerns.extend((about.partial)(status));
    let partition = |(n, of): (usize, &(Discovered, Option<PartitionState>))| {
        partition_json(of, holder == Some(n), silence(latest, now.0, of), waits_for(&waiting, &of.0))
    };
    let all = StatusJson {
        version: env!("CARGO_PKG_VERSION"),
        job: &about.job,
        source: &about.source,
        source_trouble,
        concerns,
        sinks_uri: &about.sinks_uri,
        now: whole(now.1),
        started: whole(started),
        workers: about.workers,
        settings: settings_json(about, view.rule()),
        w: known(view.marks.w),
        partial_before: partial_before(&view.marks),
        line: status.retired_before.map(Ms::from),
        records_per_s: latest.records_per_s,
        partitions: status.partitions.iter().enumerate().map(partition).collect(),
        open_minute: open_minute(view, &OpenMinuteFacts { latest, holder, now, waiting: &waiting }),
        ledger: ledger_json(&status.ledger),
        lateness: LatenessJson { edges_ms: DELAY_EDGES_MS, counts: latest.behind.counts },
        dead_letters: dead_letters_json(view, status),
        suspicion: suspicion(status, about),
        sinks: sinks_json(about, status),
        state: about.state.as_deref(),
        checkpoint: status.saved.map(|saved| CheckpointJson {
            seq: saved.seq,
            at: whole(view.saved_at.map_or(started, |(_, at)| at)),
            bytes: saved.bytes,
            objects: saved.objects,
        }),
    };
    serde_json::to_string(&all).expect("memory takes it, and keys are text")
}

/// The `marks` event.
pub(super) fn marks(marks: &Marks, line: Option<WindowStart>) -> String {
    #[derive(Serialize)]
    struct MarksJson {
        w: Option<Ms>,
        partial_before: Option<Ms>,
        line: Option<Ms>,
    }
    let event = MarksJson { w: known(marks.w), partial_before: partial_before(marks), line: line.map(Ms::from) };
    serde_json::to_string(&event).expect("memory takes it")
}

/// The `lost` event.
pub(super) fn lost(minute: WindowStart) -> String {
    serde_json::json!({ "through": Ms::from(minute) }).to_string()
}

/// For a log that is read from its beginning no window is partial: then this is before every time.
fn partial_before(marks: &Marks) -> Option<Ms> {
    marks.partial_before.bound().map(|before| Ms(before.0.max(-EventTime::LIMIT)))
}

/// Does every record have its place (R11)?
pub(super) fn balances(ledger: &Ledger) -> bool {
    let c = &ledger.counts;
    c.balance() && c.counted == ledger.held + ledger.retired
}

/// Which partition holds W back: the first with the least watermark.
fn holder(latest: &LatestStatus) -> Option<usize> {
    let mark = |state: &Option<PartitionState>| state.as_ref().and_then(PartitionState::watermark);
    let all = latest.status.partitions.iter().map(|(_, state)| mark(state)).enumerate();
    all.min_by_key(|(index, mark)| (*mark, *index)).map(|(index, _)| index)
}

fn settings_json(about: &RunInfo, rule: &Rule) -> SettingsJson {
    SettingsJson {
        window_ms: Ms(rule.windowing.length),
        lateness_ms: Ms(rule.windowing.lateness),
        max_future_ms: Ms(rule.max_future),
        max_past_ms: rule.max_past.map(Ms),
        idle_ms: Ms(rule.idle),
        max_ahead_ms: Ms(rule.max_ahead),
        checkpoint_interval_ms: Ms(about.settings.checkpoint_interval),
        metrics: if about.market { "market" } else { "avg" },
        emit: about.emit,
        bounded: about.settings.bounded,
    }
}

fn ledger_json(ledger: &Ledger) -> LedgerJson {
    LedgerJson {
        read: ledger.counts.read,
        counted: ledger.counts.counted,
        late: ledger.counts.late,
        rejected: ledger.counts.rejected,
        quarantined: ledger.counts.quarantined,
        held: ledger.held,
        retired: ledger.retired,
        keys: ledger.keys,
        balances: balances(ledger),
    }
}

fn sinks_json<'a>(about: &'a RunInfo, status: &Status) -> Vec<SinkJson<'a>> {
    let sinks = about.sinks.iter().zip((about.sinks_now)()).enumerate().map(|(n, (name, sink))| {
        let minutely_dataflows::status::SinkStatus { begun, stored, stored_before } =
            status.sinks.get(n).copied().unwrap_or_default();
        let line = stored_before.map(Ms::from);
        SinkJson { name, begun, stored, line, trouble: sink.trouble, remark: sink.remark, unwritable: sink.unwritable }
    });
    sinks.collect()
}

fn dead_letters_json<'a>(view: &'a View, status: &'a Status) -> DeadLettersJson<'a> {
    let counts = &status.ledger.counts;
    DeadLettersJson {
        count: counts.late + counts.rejected + counts.quarantined,
        rejected: rejected(status).iter().map(rejected_json).collect(),
        recent: view.dead_letters.iter().map(dead_letter_json).collect(),
    }
}

fn partition_json(
    (found, state): &(Discovered, Option<PartitionState>),
    holds_w: bool,
    silence: i64,
    waits: Option<&str>,
) -> PartitionJson {
    let start = state.as_ref().map_or(found.start, |state| state.start).0;
    let counts = state.as_ref().map(|state| state.counts).unwrap_or_default();
    let state = state.as_ref();
    PartitionJson {
        name: found.name.to_string(),
        start,
        next: state.map_or(start, |state| state.next.0),
        h: known(state.and_then(|state| state.h)),
        floor: known(state.and_then(|state| state.floor)),
        watermark: known(state.and_then(PartitionState::watermark)),
        caught_up: state.is_some_and(|state| state.caught_up),
        ended: state.is_some_and(|state| state.ended),
        paused: state.is_some_and(|state| state.paused),
        waits_for: waits.map(str::to_owned),
        silence_ms: silence / 1_000_000,
        holds_w,
        read: counts.read,
        counted: counts.counted,
        late: counts.late,
        rejected: counts.rejected,
        quarantined: counts.quarantined,
        gaps: counts.gaps,
    }
}

/// Rejected records by reason and field, the most frequent first.
pub(super) fn rejected(status: &Status) -> Vec<Rejected<'_>> {
    explain::rejected(known_states(status))
}

fn suspicion(status: &Status, about: &RunInfo) -> Option<String> {
    let states = known_states(status).map(|(_, state)| state);
    explain::suspicion(&about.times, states, false).as_ref().map(advice::of_unit)
}

fn known_states(status: &Status) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
    status.partitions.iter().filter_map(|(found, state)| Some((&found.name, state.as_ref()?)))
}

fn rejected_json<'a>(by: &Rejected<'a>) -> RejectedJson<'a> {
    let RejectedBy { reason, finding, .. } = by.first;
    RejectedJson { reason: reason.name(), field: finding.field.as_deref(), count: by.count, first: by.example() }
}

fn dead_letter_json(letter: &ShownDeadLetter) -> DeadLetterJson<'_> {
    DeadLetterJson {
        at: whole(letter.at),
        partition: &letter.partition,
        offset: letter.offset,
        reason: letter.reason,
        field: letter.field.as_deref(),
        why: letter.why.as_deref(),
        symbol: letter.symbol.as_deref(),
        value: letter.value.as_deref(),
        event_time: known(letter.event_time),
        raw: &letter.raw,
    }
}

#[cfg(test)]
mod tests {
    use super::open_minute::no_valid_record;
    use super::*;
    use crate::http::{SinkReport, testing};
    use minutely_dataflows::decode::{Decoder, FieldNames};
    use minutely_dataflows::partition::{Partition, Rule};
    use minutely_dataflows::record::Record;
    use minutely_dataflows::time::Monotonic;

    #[test]
    fn what_a_sink_refused_and_that_no_state_is_kept_are_said() {
        let now = || vec![SinkReport { trouble: None, remark: Some("look".into()), unwritable: 512 }];
        let about = RunInfo { sinks: vec!["influxdb".into()], sinks_now: Box::new(now), ..testing::about() };
        let of = |about: &RunInfo| {
            let text = text(&View::new(about), about, EventTime(0));
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let status = of(&about);
        assert_eq!(status["sinks"][0]["remark"], "look");
        assert_eq!((&status["sinks"][0]["unwritable"], &status["state"]), (&512.into(), &serde_json::Value::Null));
        assert_eq!(of(&RunInfo { state: Some("./state".into()), ..about })["state"], "./state");
    }

    /// "Nothing has been read" is said of what was not read, and of nothing else.
    #[test]
    fn a_partition_of_rejected_records_says_why() {
        let name = PartitionName { log: "ticks".into(), number: Some(3) };
        let start = minutely_dataflows::time::NextOffset(0);
        let found = Discovered { name, start, earliest: start, end: None, log_id: None };
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let mut partition = Partition::new(Rule::default(), 0, start, false, Monotonic(0));
        let nothing = partition.report(None, Monotonic(0));
        assert_eq!(no_valid_record(&found, &nothing), "of which nothing has been read yet");
        let payload = Some(&br#"{"symbol":"A","price":1}"#[..]);
        let record = Record { offset: 0, key: None, payload, ..Record::default() };
        partition.begin_record(0);
        partition.reject(&decoder.decode(&record).unwrap_err());
        let state = partition.report(None, Monotonic(0));
        let said = no_valid_record(&found, &state);
        assert!(
            said.contains("1 records were read") && said.contains("null ts") && said.contains("no such field"),
            "{said}"
        );
        let now = LatestStatus {
            status: Status { partitions: vec![(found, Some(state))], ..Default::default() },
            ..LatestStatus::default()
        };
        let about = testing::about();
        let mut view = View::new(&about);
        view.now = Some(now);
        let json: serde_json::Value = serde_json::from_str(&text(&view, &about, EventTime(0))).unwrap();
        let by = &json["dead_letters"]["rejected"][0];
        assert_eq!((&by["reason"], &by["field"], &by["count"]), (&"null".into(), &"ts".into(), &1.into()));
    }

    #[test]
    fn what_the_source_has_to_say_is_said() {
        let now = || SourceReport {
            trouble: Some("no broker answers".into()),
            concerns: vec!["may be compacted".into()],
            ..SourceReport::default()
        };
        let about = RunInfo { source_now: Box::new(now), ..testing::about() };
        let status: serde_json::Value = serde_json::from_str(&text(&View::new(&about), &about, EventTime(0))).unwrap();
        assert_eq!(status["source_trouble"], "no broker answers");
        assert_eq!(status["concerns"], serde_json::json!(["may be compacted"]));
    }
}
