//! `/api/status`: how the run is.

mod json;
mod open_minute;

use super::query::Query;
use super::reply::json as json_reply;
use super::rows::Ms;
use super::view::{LatestStatus, ShownDeadLetter, View};
use super::work::{self, ProcessWork};
use super::{ProcessReport, RunInfo, Server, SourceReport};
use crate::advice;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use json::{
    CheckpointJson, DeadLetterJson, DeadLettersJson, LatenessJson, LedgerJson, NothingCountsJson, PartitionJson,
    ProcessJson, ReasonJson, RejectedJson, SettingsJson, SinkJson, StatusJson, known, whole,
};
use minutely_dataflows::edge::{Discovered, Waiting};
use minutely_dataflows::explain::{self, NothingCounts, Rejected};
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::{Counts, DELAY_EDGES_MS, PartitionState, RejectedBy, Rule};
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
        nothing_counts: nothing_counts_json(status, about),
        sinks_uri: &about.sinks_uri,
        now: whole(now.1),
        started: whole(started),
        workers: about.workers,
        processes: processes_json(latest, about),
        settings: settings_json(about, view.rule()),
        w: known(view.marks.w),
        partial_before: partial_before(&view.marks),
        line: status.retired_before.map(Ms::from),
        records_per_s: latest.records_per_s,
        partitions: status.partitions.iter().enumerate().map(partition).collect(),
        open_minute: open_minute(view, &OpenMinuteFacts { latest, holder, now, waiting: &waiting }),
        ledger: ledger_json(&status.ledger),
        lateness: LatenessJson { edges_ms: DELAY_EDGES_MS, counts: latest.behind.counts },
        dead_letters: dead_letters_json(view, status, about),
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

fn processes_json(latest: &LatestStatus, about: &RunInfo) -> Vec<ProcessJson> {
    let all = (about.processes_now)().all;
    let works = work::of_processes(latest, about.workers, all.len());
    all.into_iter().zip(works).map(|(of, work)| process_json(of, &work)).collect()
}

fn process_json(of: ProcessReport, work: &ProcessWork) -> ProcessJson {
    ProcessJson {
        process: of.process,
        address: of.address,
        alive: of.alive,
        heard: of.heard.map(|(at, _)| whole(at)),
        sent_bytes: of.sent_bytes,
        received_bytes: of.received_bytes,
        step_age_ms: of.step_age_ms,
        partitions: work.partitions,
        read: work.read,
        lag_ms: work.lag.map(|lag| lag / 1_000_000),
    }
}

fn settings_json<'a>(about: &'a RunInfo, rule: &Rule) -> SettingsJson<'a> {
    SettingsJson {
        window_ms: Ms(rule.windowing.length),
        lateness_ms: Ms(rule.windowing.lateness),
        max_future_ms: Ms(rule.max_future),
        max_past_ms: rule.max_past.map(Ms),
        idle_ms: Ms(rule.idle),
        max_ahead_ms: Ms(rule.max_ahead),
        checkpoint_interval_ms: Ms(about.settings.checkpoint_interval),
        metrics: if about.columns.market { "market" } else { "avg" },
        derived: &about.columns.derived,
        windows: about.settings.windows.levels().iter().map(ToString::to_string).collect(),
        groups: about.columns.groups,
        emit: about.emit,
        bounded: about.settings.bounded,
    }
}

fn ledger_json(ledger: &Ledger) -> LedgerJson {
    LedgerJson {
        counts: ledger.counts.into(),
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

fn dead_letters_json<'a>(view: &'a View, status: &'a Status, about: &RunInfo) -> DeadLettersJson<'a> {
    let counts = &status.ledger.counts;
    let written = if about.drops_bad { 0 } else { counts.rejected };
    DeadLettersJson {
        count: counts.late + counts.quarantined + counts.cleaned + written,
        dropped: about.drops_bad,
        reasons: reasons(status)
            .filter(|(.., count)| *count > 0)
            .map(|(reason, field, count)| ReasonJson { reason, field, count })
            .collect(),
        rejected: rejected(status).iter().map(|by| rejected_json(by, about)).collect(),
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
        counts: counts.into(),
    }
}

/// Rejected records by reason and field, the most frequent first.
pub(super) fn rejected(status: &Status) -> Vec<Rejected<'_>> {
    explain::rejected(known_states(status))
}

/// What does not count, by reason and the field that is to blame: late, quarantined and cleaned ones first, of which there may be none.
pub(super) fn reasons(status: &Status) -> impl Iterator<Item = (&'static str, Option<&str>, i64)> {
    let mut newest = Counts::default();
    known_states(status).for_each(|(_, state)| newest.add(&state.counts));
    let judged = explain::judged(&newest).map(|(reason, count)| (reason.name(), None, count));
    let rejected = rejected(status).into_iter();
    judged.chain(rejected.map(|by| (by.first.reason.name(), by.first.finding.field.as_deref(), by.count)))
}

/// Why no event counts, of the newest that were read.
pub(super) fn nothing_counts(status: &Status) -> Option<(NothingCounts, Counts)> {
    let mut newest = Counts::default();
    known_states(status).for_each(|(_, state)| newest.add(&state.counts));
    NothingCounts::of(&newest).map(|nothing| (nothing, newest))
}

fn nothing_counts_json(status: &Status, about: &RunInfo) -> Option<NothingCountsJson> {
    let (nothing, counts) = nothing_counts(status)?;
    let text = advice::of_nothing_counted(&counts, &rejected(status), &about.fields)?;
    Some(NothingCountsJson { why: nothing.name(), text })
}

fn suspicion(status: &Status, about: &RunInfo) -> Option<String> {
    let states = known_states(status).map(|(_, state)| state);
    explain::suspicion(&about.fields.times, states, false).as_ref().map(advice::of_unit)
}

fn known_states(status: &Status) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
    status.partitions.iter().filter_map(|(found, state)| Some((&found.name, state.as_ref()?)))
}

fn rejected_json<'a>(by: &Rejected<'a>, about: &RunInfo) -> RejectedJson<'a> {
    let RejectedBy { reason, finding, .. } = by.first;
    RejectedJson {
        reason: reason.name(),
        field: finding.field.as_deref(),
        count: by.count,
        first: by.example(),
        advice: advice::of_rejected(by, &about.fields),
    }
}

fn dead_letter_json(letter: &ShownDeadLetter) -> DeadLetterJson<'_> {
    let finding = letter.finding.as_ref();
    DeadLetterJson {
        at: whole(letter.at),
        partition: &letter.partition,
        offset: letter.offset,
        element: letter.element,
        reason: letter.reason,
        field: finding.and_then(|finding| finding.field.as_deref()),
        expected: finding.map(|finding| &*finding.expected),
        found: finding.map(|finding| finding.found.as_str()),
        why: letter.why.as_deref(),
        key: letter.key.as_deref(),
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
            said.contains("one record was read") && said.contains("null ts") && said.contains("no such field"),
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
        assert_eq!(by["advice"], "--time-field says which field that is");
    }

    /// Loud where it is a mistake, calm where a log has nothing of what is asked for.
    #[test]
    fn that_nothing_counts_is_said_in_each_case() {
        let of = |counts: Counts| {
            let about = testing::about();
            let mut view = View::new(&about);
            view.now = Some(testing::latest(counts));
            serde_json::from_str::<serde_json::Value>(&text(&view, &about, EventTime(0))).unwrap()
        };
        let why = |counts: Counts| of(counts)["nothing_counts"]["why"].as_str().map(str::to_owned);
        let read = Counts { read: 4, events: 4, ..Counts::default() };
        assert_eq!(why(Counts::default()), None);
        assert_eq!(why(Counts { counted: 1, rejected: 3, ..read }), None);
        assert_eq!(why(Counts { skipped: 4, ..read }).as_deref(), Some("skipped"));
        assert_eq!(why(Counts { quarantined: 4, ..read }).as_deref(), Some("quarantined"));
        let status = of(Counts { rejected: 4, ..read });
        let said = status["nothing_counts"]["text"].as_str().unwrap();
        assert!(said.starts_with("NOTHING COUNTS: all 4 records") && said.ends_with("which field that is"), "{said}");
        let status = of(Counts { events: 9, counted: 1, late: 2, skipped: 5, duplicates: 1, rounded: 1, ..read });
        let term = |name: &str| status["ledger"][name].as_i64().unwrap();
        let terms = ["read", "events", "counted", "late", "skipped", "duplicate", "rounded"].map(term);
        assert_eq!(terms, [4, 9, 1, 2, 5, 1, 1]);
        assert_eq!(status["partitions"][0]["skipped"], 5);
        assert_eq!(
            status["dead_letters"]["reasons"],
            serde_json::json!([{"reason": "late", "field": null, "count": 2}])
        );
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
