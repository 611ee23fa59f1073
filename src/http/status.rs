//! `/api/status`: how the run is.

use super::rows::Ms;
use super::view::{Letter, Now, View};
use super::{About, Server, SourceNow, api};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use minutely_dataflows::edge::{Discovered, Waiting};
use minutely_dataflows::explain::{self, Rejected};
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::{DELAY_EDGES_MS, PartitionState, RejectedBy};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::status::{self, Ledger, SinkStatus};
use minutely_dataflows::time::{EventTime, Monotonic, SECOND, WindowStart};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    job: &'a str,
    source: &'a str,
    source_trouble: Option<String>,
    concerns: Vec<String>,
    sinks_uri: &'a [String],
    now: Ms,
    started: Ms,
    workers: usize,
    settings: Settings,
    w: Option<Ms>,
    partial_before: Option<Ms>,
    line: Option<Ms>,
    records_per_s: f64,
    partitions: Vec<Partition>,
    open_minute: Option<OpenMinute>,
    ledger: LedgerNow,
    lateness: Lateness,
    dead_letters: DeadLetters<'a>,
    suspicion: Option<String>,
    sinks: Vec<Sink<'a>>,
    state: Option<&'a str>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Serialize)]
struct Settings {
    window_ms: Ms,
    lateness_ms: Ms,
    max_future_ms: Ms,
    max_past_ms: Option<Ms>,
    idle_ms: Ms,
    max_ahead_ms: Ms,
    checkpoint_interval_ms: Ms,
    metrics: &'static str,
    emit: &'static str,
    bounded: bool,
}

#[derive(Serialize)]
struct Partition {
    name: String,
    start: i64,
    next: i64,
    h: Option<Ms>,
    floor: Option<Ms>,
    watermark: Option<Ms>,
    caught_up: bool,
    ended: bool,
    paused: bool,
    waits_for: Option<String>,
    silence_ms: i64,
    holds_w: bool,
    read: i64,
    counted: i64,
    late: i64,
    rejected: i64,
    quarantined: i64,
    gaps: i64,
}

#[derive(Serialize)]
struct OpenMinute {
    minute: Ms,
    partition: Option<String>,
    offset: Option<i64>,
    event_time: Option<Ms>,
    since_ms: Option<i64>,
    why: String,
}

#[derive(Serialize)]
struct LedgerNow {
    read: i64,
    counted: i64,
    late: i64,
    rejected: i64,
    quarantined: i64,
    held: i64,
    retired: i64,
    keys: u64,
    balances: bool,
}

#[derive(Serialize)]
struct Lateness {
    edges_ms: [i64; DELAY_EDGES_MS.len()],
    counts: [u64; DELAY_EDGES_MS.len() + 1],
}

#[derive(Serialize)]
struct DeadLetters<'a> {
    count: i64,
    rejected: Vec<RejectedNow<'a>>,
    recent: Vec<LetterNow<'a>>,
}

#[derive(Serialize)]
struct RejectedNow<'a> {
    reason: &'static str,
    field: Option<&'a str>,
    count: i64,
    first: String,
}

#[derive(Serialize)]
struct LetterNow<'a> {
    at: Ms,
    partition: &'a str,
    offset: i64,
    reason: &'static str,
    field: Option<&'a str>,
    why: Option<&'a str>,
    symbol: Option<&'a str>,
    value: Option<&'a str>,
    event_time: Option<Ms>,
    raw: &'a str,
}

#[derive(Serialize)]
struct Sink<'a> {
    name: &'a str,
    begun: u64,
    stored: u64,
    line: Option<Ms>,
    trouble: Option<String>,
    remark: Option<String>,
    unwritable: u64,
}

#[derive(Serialize)]
struct Checkpoint {
    seq: u64,
    at: Ms,
    bytes: u64,
    objects: usize,
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    if let Err(refusal) = super::query::Query::parse(query.as_deref(), &[]) {
        return refusal.answer();
    }
    let view = server.hub.view();
    api::json(text(&view, &server.about, server.started))
}

/// A thing that is known at times: [`minutely_dataflows::partition::UNKNOWN`] is no time.
fn known(time: Option<EventTime>) -> Option<Ms> {
    time.filter(|time| time.0 > i64::MIN).map(Ms::from)
}

/// The `marks` event.
pub(super) fn marks(marks: &Marks, line: Option<WindowStart>) -> String {
    #[derive(Serialize)]
    struct Event {
        w: Option<Ms>,
        partial_before: Option<Ms>,
        line: Option<Ms>,
    }
    let event = Event { w: known(marks.w), partial_before: partial_before(marks), line: line.map(Ms::from) };
    serde_json::to_string(&event).expect("memory takes it")
}

/// The `lost` event.
pub(super) fn lost(minute: WindowStart) -> String {
    serde_json::json!({ "through": Ms::from(minute) }).to_string()
}

/// For a log that is read from its beginning no window is partial: then this is before every time.
fn partial_before(marks: &Marks) -> Option<Ms> {
    marks.partial_before.map(|before| Ms(before.0.max(-EventTime::LIMIT)))
}

/// Does every record have its place (R11)?
pub(super) fn balances(ledger: &Ledger) -> bool {
    let c = &ledger.counts;
    c.read == c.counted + c.late + c.rejected + c.quarantined && c.counted == ledger.held + ledger.retired
}

/// Which partition holds W back: the first with the least watermark.
fn holder(now: &Now) -> Option<usize> {
    let mark = |state: &Option<PartitionState>| state.as_ref().and_then(PartitionState::watermark);
    let all = now.status.partitions.iter().map(|(_, state)| mark(state)).enumerate();
    all.min_by_key(|(index, mark)| (*mark, *index)).map(|(index, _)| index)
}

/// The status as JSON.
pub(super) fn text(view: &View, about: &About, started: EventTime) -> String {
    let default = Now::default();
    let now = view.now.as_ref().unwrap_or(&default);
    let (status, rule) = (&now.status, view.rule());
    let monotonic = about.clock.monotonic();
    let holder = holder(now);
    let counts = &status.ledger.counts;
    let partitions = status.partitions.iter().enumerate();
    let SourceNow { trouble: source_trouble, mut concerns, waiting } = (about.source_now)();
    concerns.extend(waiting.iter().filter(|waiting| !waiting.is_trouble).map(Waiting::told));
    let waits =
        |found: &Discovered| waiting.iter().find(|one| one.partition == found.name).map(|one| one.what.as_str());
    concerns.extend((about.partial)(status));
    let sinks_now = (about.sinks_now)();
    let sinks = about.sinks.iter().zip(sinks_now).enumerate().map(|(n, (name, sink))| {
        let SinkStatus { begun, stored, stored_before } = status.sinks.get(n).copied().unwrap_or_default();
        let line = stored_before.map(Ms::from);
        Sink { name, begun, stored, line, trouble: sink.trouble, remark: sink.remark, unwritable: sink.unwritable }
    });
    let checkpoint = status.saved.map(|saved| Checkpoint {
        seq: saved.seq,
        at: view.saved_at.map_or(started, |(_, at)| at).into(),
        bytes: saved.bytes,
        objects: saved.objects,
    });
    let all = Status {
        version: env!("CARGO_PKG_VERSION"),
        job: &about.job,
        source: &about.source,
        source_trouble,
        concerns,
        sinks_uri: &about.sinks_uri,
        now: whole(about.clock.wall()),
        started: whole(started),
        workers: about.workers,
        settings: Settings {
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
        },
        w: known(view.marks.w),
        partial_before: partial_before(&view.marks),
        line: status.retired_before.map(Ms::from),
        records_per_s: now.records_per_s,
        partitions: partitions
            .map(|(n, of)| Partition {
                waits_for: waits(&of.0).map(str::to_owned),
                ..partition(of, holder == Some(n), silence(now, monotonic, of))
            })
            .collect(),
        open_minute: open_minute(view, now, holder, (monotonic, about.clock.wall()), &waits),
        ledger: LedgerNow {
            read: counts.read,
            counted: counts.counted,
            late: counts.late,
            rejected: counts.rejected,
            quarantined: counts.quarantined,
            held: status.ledger.held,
            retired: status.ledger.retired,
            keys: status.ledger.keys,
            balances: balances(&status.ledger),
        },
        lateness: Lateness { edges_ms: DELAY_EDGES_MS, counts: now.behind.counts },
        dead_letters: DeadLetters {
            count: counts.late + counts.rejected + counts.quarantined,
            rejected: rejected(status).iter().map(rejected_now).collect(),
            recent: view.letters.iter().map(letter).collect(),
        },
        suspicion: explain::suspicion(about.unit, known_states(status).map(|(_, state)| state), false),
        sinks: sinks.collect(),
        state: about.state.as_deref(),
        checkpoint: checkpoint.map(|c| Checkpoint { at: Ms(c.at.0 / 1_000_000 * 1_000_000), ..c }),
    };
    serde_json::to_string(&all).expect("memory takes it, and keys are text")
}

fn whole(time: EventTime) -> Ms {
    Ms(time.0 / 1_000_000 * 1_000_000)
}

/// Nanoseconds since the partition's last valid record.
fn silence(now: &Now, monotonic: Monotonic, (_, state): &(Discovered, Option<PartitionState>)) -> i64 {
    state.as_ref().map_or(0, |state| state.silence + (monotonic.0 - now.at.0.0).max(0))
}

fn partition((found, state): &(Discovered, Option<PartitionState>), holds_w: bool, silence: i64) -> Partition {
    let start = state.as_ref().map_or(found.start, |state| state.start).0;
    let counts = state.as_ref().map(|state| state.counts).unwrap_or_default();
    let state = state.as_ref();
    Partition {
        name: found.name.to_string(),
        start,
        next: state.map_or(start, |state| state.next.0),
        h: known(state.and_then(|state| state.h)),
        floor: known(state.and_then(|state| state.floor)),
        watermark: known(state.and_then(PartitionState::watermark)),
        caught_up: state.is_some_and(|state| state.caught_up),
        ended: state.is_some_and(|state| state.ended),
        paused: state.is_some_and(|state| state.paused),
        waits_for: None,
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
pub(super) fn rejected(status: &status::Status) -> Vec<Rejected<'_>> {
    explain::rejected(known_states(status))
}

fn known_states(status: &status::Status) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
    status.partitions.iter().filter_map(|(found, state)| Some((&found.name, state.as_ref()?)))
}

fn rejected_now<'a>(by: &Rejected<'a>) -> RejectedNow<'a> {
    let RejectedBy { reason, finding, .. } = by.first;
    RejectedNow { reason: reason.name(), field: finding.field.as_deref(), count: by.count, first: by.example() }
}

fn letter(letter: &Letter) -> LetterNow<'_> {
    LetterNow {
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

/// Why the oldest window that has not ended has not.
fn open_minute<'a>(
    view: &View,
    now: &Now,
    holder: Option<usize>,
    (monotonic, wall): (Monotonic, EventTime),
    waits: &dyn Fn(&Discovered) -> Option<&'a str>,
) -> Option<OpenMinute> {
    let minute = view.first_from(view.rule().windowing.first_not_closed(view.marks.w))?;
    let Some(of @ (found, state)) = holder.and_then(|holder| now.status.partitions.get(holder)) else {
        let why = "no partition is known yet".to_owned();
        return Some(OpenMinute {
            minute: minute.into(),
            partition: None,
            offset: None,
            event_time: None,
            since_ms: None,
            why,
        });
    };
    let name = found.name.to_string();
    let silence = silence(now, monotonic, of);
    let (idle, waits) = (view.rule().idle, waits(found));
    let why = match state {
        _ if now.status.waits_for_sinks => "waits for sinks, which lack final rows: --max-keys is reached".to_owned(),
        None => format!("waits for {name}, which has not reported yet"),
        Some(state) if state.paused => format!("waits for {name}, which is paused by alignment"),
        Some(_) if waits.is_some() => format!("waits for {name}, which waits for {}", waits.unwrap_or_default()),
        Some(state) if state.ended => format!("waits for the others to come to their ends, as {name} has"),
        Some(state) if state.caught_up => {
            format!("waits for {name}, which is silent at its end: silence passes at the clock's speed")
        }
        Some(state) if state.h.is_none() => format!("waits for {name}, {}", no_valid_record(found, state)),
        Some(_) if silence >= idle => {
            format!("waits for {name}, silent for {} s: that it is at its end is not proven yet", silence / SECOND)
        }
        Some(state) => format!("waits for {name}, which is read up to {}", clock(state.watermark(), wall)),
    };
    Some(OpenMinute {
        minute: minute.into(),
        partition: Some(name),
        offset: state.as_ref().filter(|s| s.next > s.start).map(|s| s.next.0 - 1),
        event_time: known(state.as_ref().and_then(|state| state.h)),
        since_ms: state.as_ref().map(|_| silence / 1_000_000),
        why,
    })
}

/// What was read of a partition that has shown no event time.
fn no_valid_record(found: &Discovered, state: &PartitionState) -> String {
    let counts = &state.counts;
    if counts.read == 0 {
        return "of which nothing has been read yet".into();
    }
    let by = explain::rejected(std::iter::once((&found.name, state)));
    let most = by.first().map(|by| format!("; most often {by}: {}", by.first.finding)).unwrap_or_default();
    format!(
        "of which {} records were read and none is valid: {} rejected, {} ahead of the clock{most}",
        counts.read, counts.rejected, counts.quarantined
    )
}

/// To the second: the time of day, with its date if that is not today's.
fn clock(time: Option<EventTime>, wall: EventTime) -> String {
    let stamp = |time: EventTime| jiff::Timestamp::from_second(time.0.div_euclid(SECOND)).ok();
    let day = |stamp: jiff::Timestamp| stamp.strftime("%Y-%m-%d").to_string();
    match time.and_then(stamp) {
        None => "an unknown time".into(),
        Some(at) if stamp(wall).map(day) == Some(day(at)) => at.strftime("%H:%M:%S").to_string(),
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{SinkNow, SourceNow, testing};
    use minutely_dataflows::decode::{Decoder, FieldNames};
    use minutely_dataflows::partition::{Partition, Rule};
    use minutely_dataflows::record::Record;

    #[test]
    fn what_a_sink_refused_and_that_no_state_is_kept_are_said() {
        let now = || vec![SinkNow { trouble: None, remark: Some("look".into()), unwritable: 512 }];
        let about = About { sinks: vec!["influxdb".into()], sinks_now: Box::new(now), ..testing::about() };
        let of = |about: &About| {
            let text = text(&View::new(about), about, EventTime(0));
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let status = of(&about);
        assert_eq!(status["sinks"][0]["remark"], "look");
        assert_eq!((&status["sinks"][0]["unwritable"], &status["state"]), (&512.into(), &serde_json::Value::Null));
        assert_eq!(of(&About { state: Some("./state".into()), ..about })["state"], "./state");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let noon = EventTime(1_767_614_400 * SECOND);
        assert_eq!(clock(Some(EventTime(noon.0 - 3600 * SECOND)), noon), "11:00:00");
        assert_eq!(clock(Some(EventTime(noon.0 - 86_400 * SECOND)), noon), "2026-01-04 12:00:00");
        assert_eq!(clock(None, noon), "an unknown time");
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
        let record = Record { offset: 0, append_time: None, key: None, payload, cut_from: None };
        partition.reject(0, &decoder.decode(&record).unwrap_err());
        let state = partition.report(None, Monotonic(0));
        let said = no_valid_record(&found, &state);
        assert!(
            said.contains("1 records were read") && said.contains("null ts") && said.contains("no such field"),
            "{said}"
        );
        let now = Now {
            status: status::Status { partitions: vec![(found, Some(state))], ..Default::default() },
            ..Now::default()
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
        let now = || SourceNow {
            trouble: Some("no broker answers".into()),
            concerns: vec!["may be compacted".into()],
            ..SourceNow::default()
        };
        let about = About { source_now: Box::new(now), ..testing::about() };
        let status: serde_json::Value = serde_json::from_str(&text(&View::new(&about), &about, EventTime(0))).unwrap();
        assert_eq!(status["source_trouble"], "no broker answers");
        assert_eq!(status["concerns"], serde_json::json!(["may be compacted"]));
    }
}
