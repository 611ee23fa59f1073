//! `/api/status` as JSON: its objects. Names of fields are the API's.

use crate::http::rows::Ms;
use minutely_dataflows::partition::{Counts, DELAY_EDGES_MS};
use minutely_dataflows::time::EventTime;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    pub(super) version: &'static str,
    pub(super) job: &'a str,
    pub(super) source: &'a str,
    pub(super) source_trouble: Option<String>,
    pub(super) concerns: Vec<String>,
    pub(super) nothing_counts: Option<NothingCountsJson>,
    pub(super) sinks_uri: &'a [String],
    pub(super) now: Ms,
    pub(super) started: Ms,
    pub(super) workers: usize,
    pub(super) processes: Vec<ProcessJson>,
    pub(super) settings: SettingsJson<'a>,
    pub(super) w: Option<Ms>,
    pub(super) partial_before: Option<Ms>,
    pub(super) line: Option<Ms>,
    pub(super) records_per_s: f64,
    pub(super) partitions: Vec<PartitionJson>,
    pub(super) open_minute: Option<OpenMinuteJson>,
    pub(super) ledger: LedgerJson,
    pub(super) lateness: LatenessJson,
    pub(super) dead_letters: DeadLettersJson<'a>,
    pub(super) suspicion: Option<String>,
    pub(super) sinks: Vec<SinkJson<'a>>,
    pub(super) state: Option<&'a str>,
    pub(super) checkpoint: Option<CheckpointJson>,
}

#[derive(Serialize)]
pub(super) struct ProcessJson {
    pub(super) process: usize,
    pub(super) address: String,
    pub(super) alive: bool,
    pub(super) heard: Option<Ms>,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) step_age_ms: Option<u64>,
    pub(super) partitions: usize,
    pub(super) read: i64,
    pub(super) lag_ms: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct NothingCountsJson {
    pub(super) why: &'static str,
    pub(super) text: String,
}

#[derive(Serialize)]
pub(super) struct SettingsJson<'a> {
    pub(super) window_ms: Ms,
    pub(super) lateness_ms: Ms,
    pub(super) max_future_ms: Ms,
    pub(super) max_past_ms: Option<Ms>,
    pub(super) idle_ms: Ms,
    pub(super) max_ahead_ms: Ms,
    pub(super) checkpoint_interval_ms: Ms,
    pub(super) metrics: &'static str,
    pub(super) derived: &'a [String],
    pub(super) windows: Vec<String>,
    pub(super) groups: bool,
    pub(super) emit: &'static str,
    pub(super) bounded: bool,
}

#[derive(Serialize)]
pub(super) struct PartitionJson {
    pub(super) name: String,
    pub(super) start: i64,
    pub(super) next: i64,
    pub(super) h: Option<Ms>,
    pub(super) floor: Option<Ms>,
    pub(super) watermark: Option<Ms>,
    pub(super) caught_up: bool,
    pub(super) ended: bool,
    pub(super) paused: bool,
    pub(super) waits_for: Option<String>,
    pub(super) silence_ms: i64,
    pub(super) holds_w: bool,
    #[serde(flatten)]
    pub(super) counts: CountsJson,
}

#[derive(Serialize)]
pub(super) struct OpenMinuteJson {
    pub(super) minute: Ms,
    pub(super) partition: Option<String>,
    pub(super) offset: Option<i64>,
    pub(super) event_time: Option<Ms>,
    pub(super) since_ms: Option<i64>,
    pub(super) why: String,
}

/// What became of records and events.
#[derive(Serialize)]
pub(super) struct CountsJson {
    pub(super) read: i64,
    pub(super) gaps: i64,
    pub(super) events: i64,
    pub(super) counted: i64,
    pub(super) late: i64,
    pub(super) rejected: i64,
    pub(super) quarantined: i64,
    pub(super) cleaned: i64,
    pub(super) skipped: i64,
    pub(super) duplicate: i64,
    pub(super) rounded: i64,
}

impl From<Counts> for CountsJson {
    fn from(counts: Counts) -> Self {
        CountsJson {
            read: counts.read,
            gaps: counts.gaps,
            events: counts.events,
            counted: counts.counted,
            late: counts.late,
            rejected: counts.rejected,
            quarantined: counts.quarantined,
            cleaned: counts.cleaned,
            skipped: counts.skipped,
            duplicate: counts.duplicates,
            rounded: counts.rounded,
        }
    }
}

#[derive(Serialize)]
pub(super) struct LedgerJson {
    #[serde(flatten)]
    pub(super) counts: CountsJson,
    pub(super) held: i64,
    pub(super) retired: i64,
    pub(super) keys: u64,
    pub(super) balances: bool,
}

#[derive(Serialize)]
pub(super) struct LatenessJson {
    pub(super) edges_ms: [i64; DELAY_EDGES_MS.len()],
    pub(super) counts: [u64; DELAY_EDGES_MS.len() + 1],
}

#[derive(Serialize)]
pub(super) struct DeadLettersJson<'a> {
    pub(super) count: i64,
    pub(super) dropped: bool,
    pub(super) reasons: Vec<ReasonJson<'a>>,
    pub(super) rejected: Vec<RejectedJson<'a>>,
    pub(super) recent: Vec<DeadLetterJson<'a>>,
}

#[derive(Serialize)]
pub(super) struct ReasonJson<'a> {
    pub(super) reason: &'static str,
    pub(super) field: Option<&'a str>,
    pub(super) count: i64,
}

#[derive(Serialize)]
pub(super) struct RejectedJson<'a> {
    pub(super) reason: &'static str,
    pub(super) field: Option<&'a str>,
    pub(super) count: i64,
    pub(super) first: String,
    pub(super) advice: String,
}

#[derive(Serialize)]
pub(super) struct DeadLetterJson<'a> {
    pub(super) at: Ms,
    pub(super) partition: &'a str,
    pub(super) offset: i64,
    pub(super) element: Option<u32>,
    pub(super) reason: &'static str,
    pub(super) field: Option<&'a str>,
    pub(super) expected: Option<&'a str>,
    pub(super) found: Option<&'a str>,
    pub(super) why: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) symbol: Option<&'a str>,
    pub(super) value: Option<&'a str>,
    pub(super) event_time: Option<Ms>,
    pub(super) raw: &'a str,
}

#[derive(Serialize)]
pub(super) struct SinkJson<'a> {
    pub(super) name: &'a str,
    pub(super) begun: u64,
    pub(super) stored: u64,
    pub(super) line: Option<Ms>,
    pub(super) trouble: Option<String>,
    pub(super) remark: Option<String>,
    pub(super) unwritable: u64,
}

#[derive(Serialize)]
pub(super) struct CheckpointJson {
    pub(super) seq: u64,
    pub(super) at: Ms,
    pub(super) bytes: u64,
    pub(super) objects: usize,
}

/// A time that may be unknown: [`minutely_dataflows::partition::UNKNOWN`] is no time.
pub(super) fn known(time: Option<EventTime>) -> Option<Ms> {
    time.filter(|time| time.0 > i64::MIN).map(Ms::from)
}

/// A time in whole milliseconds.
pub(super) fn whole(time: EventTime) -> Ms {
    Ms(time.0 / 1_000_000 * 1_000_000)
}
