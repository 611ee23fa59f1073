//! `/metrics`, for Prometheus. Names are `minutely_<noun>_<unit>[_total]`.

use super::query::Query;
use super::reply::json;
use super::status::{self, balances};
use super::view::{LatestStatus, View};
use super::{ProcessReport, Server, work};
use crate::metrics_text::MetricsText;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Response, header};
use minutely_dataflows::partition::{DELAY_EDGES_MS, PartitionState};
use minutely_dataflows::status::SinkStatus;
use minutely_dataflows::time::{EventTime, Monotonic};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    if let Err(error) = Query::parse(query.as_deref(), &[]) {
        return error.answer();
    }
    let mut response = json(text(&server));
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// Nanoseconds as seconds.
fn seconds(ns: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a metric is an f64")]
    let ns = ns as f64;
    ns / 1e9
}

fn text(server: &Server) -> String {
    let (about, hub) = (&server.about, &server.hub);
    let mut out = MetricsText::default();
    let (monotonic, wall) = (about.clock.monotonic(), about.clock.wall());
    out.metric("minutely_build_info", "gauge", "The version that runs; always 1.");
    out.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.one("minutely_start_time_seconds", "gauge", "When the run began, since 1970.", seconds(server.started.0));
    let view = hub.view();
    let default = LatestStatus::default();
    let latest = view.now.as_ref().unwrap_or(&default);
    let help = "0 while the source cannot be read.";
    let healthy = (about.source_now)().trouble.is_none();
    out.one("minutely_source_healthy_bool", "gauge", help, u8::from(healthy));
    processes(&mut out, &(about.processes_now)().all, latest, about.workers);
    records(&mut out, latest);
    partitions(&mut out, latest, monotonic);
    watermark(&mut out, &view, wall);
    lateness(&mut out, latest);
    ledger(&mut out, latest);
    checkpoint(&mut out, &view, latest, (server.started, wall));
    sinks(&mut out, server, latest);
    out.one("minutely_http_rows", "gauge", "Rows of the live view in memory.", view.rows());
    out.one("minutely_http_symbols", "gauge", "Symbols of the live view in memory.", view.symbol_count());
    drop(view);
    http(&mut out, server);
    out.out
}

/// Of a run of several processes.
fn processes(out: &mut MetricsText, all: &[ProcessReport], latest: &LatestStatus, workers: usize) {
    if all.is_empty() {
        return;
    }
    let names: Vec<_> = all.iter().map(|one| (one.process.to_string(), one)).collect();
    let known = || names.iter().map(|(name, one)| ([("process", name.as_str())], *one));
    out.metric("minutely_process_alive_bool", "gauge", "1 while the process is connected and was heard lately.");
    known().for_each(|(name, one)| out.sample("", &name, u8::from(one.alive)));
    out.metric(
        "minutely_process_silence_seconds",
        "gauge",
        "Time since the process was heard; process 0 hears the others.",
    );
    for (name, one) in known() {
        if let Some((_, ago)) = one.heard {
            out.sample("", &name, seconds(ago));
        }
    }
    let help = "Bytes that the process has sent to the workers of the others, as they cross the network.";
    out.metric("minutely_process_sent_bytes_total", "counter", help);
    known().for_each(|(name, one)| out.sample("", &name, one.sent_bytes));
    let help = "Bytes that the process has received from the workers of the others, as they cross the network.";
    out.metric("minutely_process_received_bytes_total", "counter", help);
    known().for_each(|(name, one)| out.sample("", &name, one.received_bytes));
    let help = "Time since the newest step of the process's slowest worker.";
    out.metric("minutely_process_step_age_seconds", "gauge", help);
    for (name, one) in known() {
        if let Some(ms) = one.step_age_ms {
            out.sample("", &name, seconds(i64::try_from(ms).unwrap_or(i64::MAX / 1_000_000) * 1_000_000));
        }
    }
    let works = work::of_processes(latest, workers, all.len());
    let of_each = || known().map(|(name, _)| name).zip(&works);
    out.metric("minutely_process_records_total", "counter", "Records that the process has read.");
    of_each().for_each(|(name, work)| out.sample("", &name, work.read));
    let help = "How far the slowest of the process's partitions is behind the newest of all, in event time.";
    out.metric("minutely_process_lag_seconds", "gauge", help);
    for (name, work) in of_each() {
        if let Some(lag) = work.lag {
            out.sample("", &name, seconds(lag));
        }
    }
}

/// The partitions that have reported, by name.
fn reported(latest: &LatestStatus) -> impl Iterator<Item = (String, &PartitionState)> {
    latest.status.partitions.iter().filter_map(|(found, state)| Some((found.name.to_string(), state.as_ref()?)))
}

fn records(out: &mut MetricsText, latest: &LatestStatus) {
    let help =
        "Events of the records read, by partition and what became of them; a record is one event but with --each.";
    out.metric("minutely_records_total", "counter", help);
    for (name, state) in reported(latest) {
        let c = &state.counts;
        let terms = [
            ("counted", c.counted),
            ("late", c.late),
            ("rejected", c.rejected),
            ("quarantined", c.quarantined),
            ("cleaned", c.cleaned),
            ("skipped", c.skipped),
            ("duplicate", c.duplicates),
        ];
        for (verdict, count) in terms {
            out.sample("", &[("partition", &name), ("verdict", verdict)], count);
        }
    }
    out.metric(
        "minutely_partition_read_records_total",
        "counter",
        "Records read, each once, however many events it has.",
    );
    reported(latest).for_each(|(name, state)| out.sample("", &[("partition", &name)], state.counts.read));
    out.metric("minutely_rounded_records_total", "counter", "Valid events whose value or weight was rounded.");
    reported(latest).for_each(|(name, state)| out.sample("", &[("partition", &name)], state.counts.rounded));
    let help = "Events that do not count, by reason and the field that is to blame; --on-bad drop writes those that cannot be \
                decoded nowhere.";
    out.metric("minutely_dead_letters_total", "counter", help);
    for (reason, field, count) in status::reasons(&latest.status) {
        out.sample("", &[("reason", reason), ("field", field.unwrap_or_default())], count);
    }
    let trouble = status::nothing_counts(&latest.status).is_some_and(|(nothing, _)| nothing.is_trouble());
    let help = "1 while records were read, --where does not skip all of them, and none counts.";
    out.one("minutely_nothing_counts_bool", "gauge", help, u8::from(trouble));
}

fn partitions(out: &mut MetricsText, latest: &LatestStatus, monotonic: Monotonic) {
    let known = || reported(latest);
    out.metric("minutely_partition_gaps_total", "counter", "Offsets that were passed and held no record.");
    known().for_each(|(name, state)| out.sample("", &[("partition", &name)], state.counts.gaps));
    out.metric("minutely_partition_next_offset", "gauge", "The next offset to read.");
    known().for_each(|(name, state)| out.sample("", &[("partition", &name)], state.next.0));
    out.metric("minutely_partition_watermark_seconds", "gauge", "The partition's watermark, in event time since 1970.");
    for (name, state) in known() {
        if let Some(mark) = state.watermark().filter(|mark| mark.0 > i64::MIN) {
            out.sample("", &[("partition", &name)], seconds(mark.0));
        }
    }
    out.metric("minutely_partition_silence_seconds", "gauge", "Time since the partition's last valid record.");
    let since = (monotonic.0 - latest.at.0).max(0);
    known().for_each(|(name, state)| out.sample("", &[("partition", &name)], seconds(state.silence + since)));
    out.metric(
        "minutely_partition_paused_bool",
        "gauge",
        "1 while the partition is not read, because it is too far ahead of the others.",
    );
    known().for_each(|(name, state)| out.sample("", &[("partition", &name)], u8::from(state.paused)));
}

fn watermark(out: &mut MetricsText, view: &View, wall: EventTime) {
    if let Some(w) = view.marks.w {
        let help = "The watermark W, in event time since 1970: minutes that end before it have ended.";
        out.one("minutely_watermark_seconds", "gauge", help, seconds(w.0));
        let help = "How far W is behind the clock.";
        out.one("minutely_watermark_lag_seconds", "gauge", help, seconds(wall.0 - w.0));
    }
}

fn ledger(out: &mut MetricsText, latest: &LatestStatus) {
    let help = "Records (read, gaps) and their events (all others) as of the newest commit, by where they are.";
    out.metric("minutely_ledger_records", "gauge", help);
    let (ledger, counts) = (&latest.status.ledger, &latest.status.ledger.counts);
    for (term, count) in [
        ("read", counts.read),
        ("counted", counts.counted),
        ("late", counts.late),
        ("rejected", counts.rejected),
        ("quarantined", counts.quarantined),
        ("cleaned", counts.cleaned),
        ("skipped", counts.skipped),
        ("duplicate", counts.duplicates),
        ("rounded", counts.rounded),
        ("events", counts.events),
        ("gaps", counts.gaps),
        ("held", ledger.held),
        ("retired", ledger.retired),
    ] {
        out.sample("", &[("term", term)], count);
    }
    let help = "1 if every record is in exactly one place.";
    out.one("minutely_ledger_balanced_bool", "gauge", help, u8::from(balances(ledger)));
    out.one("minutely_held_windows", "gauge", "Minutes of symbols held as of the newest commit.", ledger.keys);
}

fn checkpoint(out: &mut MetricsText, view: &View, latest: &LatestStatus, (started, wall): (EventTime, EventTime)) {
    out.one("minutely_commits_total", "counter", "Commits in this chain of checkpoints.", latest.status.seq);
    let Some(saved) = latest.status.saved else { return };
    let at = view.saved_at.map_or(started, |(_, at)| at);
    let help = "Time since the newest checkpoint.";
    out.one("minutely_checkpoint_age_seconds", "gauge", help, seconds((wall.0 - at.0).max(0)));
    let help = "Bytes of all objects of the newest checkpoint.";
    out.one("minutely_checkpoint_size_bytes", "gauge", help, saved.bytes);
    out.one("minutely_checkpoint_objects", "gauge", "Objects of the newest checkpoint.", saved.objects);
}

fn http(out: &mut MetricsText, server: &Server) {
    let help = "Open connections of clients.";
    out.one("minutely_http_connections", "gauge", help, server.connections.count());
    let help = "Readers of the live stream.";
    out.one("minutely_http_streams", "gauge", help, server.hub.streams.load(Ordering::Relaxed));
    let help = "Readers of the live stream that were sent a reset: they had missed events.";
    out.one("minutely_http_stream_resets_total", "counter", help, server.hub.resets.load(Ordering::Relaxed));
    out.metric("minutely_http_responses_total", "counter", "Answers, by class of status.");
    for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&server.answers) {
        out.sample("", &[("class", class)], count.load(Ordering::Relaxed));
    }
}

fn lateness(out: &mut MetricsText, latest: &LatestStatus) {
    let help =
        "How far valid records were behind their partition's watermark when they were read, since the run began.";
    out.metric("minutely_record_lateness_seconds", "histogram", help);
    let mut sum = 0;
    for (edge, count) in DELAY_EDGES_MS.iter().zip(latest.behind.counts) {
        sum += count;
        out.sample("_bucket", &[("le", &(edge / 1000).to_string())], sum);
    }
    let all: u64 = latest.behind.counts.iter().sum();
    out.sample("_bucket", &[("le", "+Inf")], all);
    #[expect(clippy::cast_precision_loss, reason = "a metric is an f64")]
    out.sample("_sum", &[], latest.behind.total_ms as f64 / 1000.0);
    out.sample("_count", &[], all);
}

fn sinks(out: &mut MetricsText, server: &Server, latest: &LatestStatus) {
    let all: Vec<_> = server.about.sinks.iter().zip((server.about.sinks_now)()).collect();
    let label = |name: &str| [("sink", name.to_owned())];
    let mut each = |name, kind, help, value: &dyn Fn(usize) -> Option<f64>| {
        out.metric(name, kind, help);
        for (n, (sink, _)) in all.iter().enumerate() {
            let [(key, sink)] = label(sink);
            if let Some(value) = value(n) {
                out.sample("", &[(key, &sink)], value);
            }
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a metric is an f64")]
    let round = |n: usize, of: fn(&SinkStatus) -> u64| latest.status.sinks.get(n).map(|sink| of(sink) as f64);
    each("minutely_sink_begun_rounds_total", "counter", "Rounds of rows that were begun.", &|n| {
        round(n, |sink| sink.begun)
    });
    each("minutely_sink_stored_rounds_total", "counter", "Rounds of rows that are stored.", &|n| {
        round(n, |sink| sink.stored)
    });
    let line = |n: usize| latest.status.sinks.get(n)?.stored_before.map(|line| seconds(line.0));
    each("minutely_sink_line_seconds", "gauge", "All minutes before this are stored for good, since 1970.", &line);
    let healthy = |n: usize| all.get(n).map(|(_, sink)| if sink.trouble.is_none() { 1.0 } else { 0.0 });
    each("minutely_sink_healthy_bool", "gauge", "0 while the sink has trouble and tries again.", &healthy);
    #[expect(clippy::cast_precision_loss, reason = "a metric is an f64")]
    let unwritable = |n: usize| all.get(n).map(|(_, sink)| sink.unwritable as f64);
    each("minutely_sink_unwritable_points_total", "counter", "Points that the sink has refused for good.", &unwritable);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing;
    use minutely_dataflows::partition::Counts;

    /// All verdicts of a log that is taken apart and filtered, and each reason of a dead letter.
    #[test]
    fn every_event_is_in_one_verdict_and_every_dead_letter_has_a_reason() {
        let counts = Counts {
            read: 5,
            gaps: 2,
            events: 59,
            counted: 9,
            late: 3,
            rejected: 2,
            quarantined: 6,
            past: 4,
            cleaned: 9,
            off_session: 5,
            outliers: 1,
            skipped: 29,
            duplicates: 1,
            rounded: 7,
        };
        let latest = testing::latest(counts);
        let mut out = MetricsText::default();
        records(&mut out, &latest);
        let samples: Vec<&str> = out.out.lines().filter(|line| !line.starts_with('#')).collect();
        let of = |verdict: &str, count: i64| {
            format!("minutely_records_total{{partition=\"t/0\",verdict=\"{verdict}\"}} {count}")
        };
        let verdicts = [
            ("counted", 9),
            ("late", 3),
            ("rejected", 2),
            ("quarantined", 6),
            ("cleaned", 9),
            ("skipped", 29),
            ("duplicate", 1),
        ];
        for (verdict, count) in verdicts {
            assert!(samples.contains(&of(verdict, count).as_str()), "{verdict}: {}", out.out);
        }
        assert_eq!(verdicts.iter().map(|(_, count)| count).sum::<i64>(), counts.events);
        let reason = |reason: &str, field: &str, count: i64| {
            format!("minutely_dead_letters_total{{reason=\"{reason}\",field=\"{field}\"}} {count}")
        };
        for want in [
            reason("late", "", 3),
            reason("future", "", 2),
            reason("past", "", 4),
            reason("session", "", 5),
            reason("bounds", "", 3),
            reason("outlier", "", 1),
            reason("null", "ts", 2),
            "minutely_partition_read_records_total{partition=\"t/0\"} 5".to_owned(),
            "minutely_rounded_records_total{partition=\"t/0\"} 7".to_owned(),
            "minutely_nothing_counts_bool 0".to_owned(),
        ] {
            assert!(samples.contains(&want.as_str()), "{want}: {}", out.out);
        }
        let mut out = MetricsText::default();
        records(&mut out, &testing::latest(Counts { counted: 0, skipped: 38, ..counts }));
        assert!(out.out.contains("\nminutely_nothing_counts_bool 1\n"), "{}", out.out);
        let mut out = MetricsText::default();
        records(&mut out, &testing::latest(Counts { read: 5, events: 5, skipped: 5, ..Counts::default() }));
        assert!(out.out.contains("\nminutely_nothing_counts_bool 0\n"), "{}", out.out);
    }
}
