//! The page and the API of a run: what they show of the sinks, the source and the state.

use super::context::RunContext;
use super::explain::explainer;
use super::outputs::OpenOutputs;
use crate::cluster::{PeerReport, Peers};
use crate::console::{partial, say};
use crate::http;
use crate::sinks::{self, Emit, PageRequest, SqliteHistory};
use crate::text::CsvText;
use crate::threads::Health;
use crate::uri::redacted;
use minutely_dataflows::BadRecordPolicy;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::edge::{Halt, LogSource};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::WindowStart;
use std::sync::Arc;
use std::time::Duration;

/// Nanoseconds from one reading of rows for the page to the next.
pub(super) type PreviewInterval = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Serves at the bound port; none where no port was free. Worker 0 shows its status to the server from then on.
///
/// # Errors
/// 70: the system has no threads for it.
pub(super) fn serve(
    context: &RunContext,
    listening: Option<http::BoundSocket>,
    outputs: &mut OpenOutputs,
    source: &Arc<dyn LogSource>,
    head: Option<&Manifest>,
) -> Result<Option<PreviewInterval>, Halt> {
    let Some(listening) = listening else {
        say("no page and no API: ports 8080 to 8099 are taken; name another with --http");
        return Ok(None);
    };
    let healths = outputs.sinks.iter().map(|sink| Arc::clone(&sink.health)).collect();
    let about = about(context, healths, source, head);
    say(&format!("live at {}", listening.shown()));
    let started = http::start(listening, about)?;
    outputs.watcher = Some(started.watcher());
    Ok(Some(Arc::new(started.every())))
}

/// Answers `/healthz` and `/readyz` of a process other than 0, until the process ends.
///
/// # Errors
/// 70: the system has no threads for it.
pub(super) fn serve_probes(
    context: &RunContext,
    listening: http::BoundSocket,
    source: &Arc<dyn LogSource>,
) -> Result<(), Halt> {
    say(&format!("/healthz and /readyz of this process at {}", listening.shown()));
    http::start(listening, about(context, Vec::new(), source, None)).map(drop).map_err(Halt::from)
}

fn about(
    context: &RunContext,
    healths: Vec<Arc<Health>>,
    source: &Arc<dyn LogSource>,
    head: Option<&Manifest>,
) -> http::RunInfo {
    let RunContext { config, clock, open_files, sink_names, .. } = context;
    let (source, peers, peer_timeout) =
        (Arc::clone(source), Arc::clone(&context.watch.peers), config.cluster.peer_timeout);
    let source_now = move || http::SourceReport {
        trouble: source.trouble(),
        concerns: source.concerns(),
        waiting: source.waiting(),
    };
    let history = context
        .leads()
        .then_some(())
        .and_then(|()| sinks::stored(&config.sinks, &config.columns(), config.settings.rule.windowing));
    http::RunInfo {
        job: context.job(),
        source: redacted(&config.source),
        source_now: Box::new(source_now),
        sinks_uri: config.sinks.iter().map(|uri| redacted(uri)).collect(),
        sinks: sink_names.clone(),
        sinks_now: Box::new(move || healths.iter().map(|health| sink_now(health)).collect()),
        workers: config.cluster.workers * config.cluster.addresses.len().max(1),
        processes_now: Box::new(move || processes_now(&peers, peer_timeout)),
        leads: context.leads(),
        settings: config.settings.clone(),
        decimals: config.decoder.scales().value,
        fields: config.fields.clone(),
        drops_bad: config.bad_records == BadRecordPolicy::Drop,
        columns: config.columns(),
        partial,
        emit: match config.emit {
            Emit::Changes => "changes",
            Emit::Final => "final",
        },
        state: config.state.as_ref().map(ToString::to_string),
        since: head.and_then(Manifest::retired_before),
        groups_since: head.and_then(|head| groups_since(head, sink_names)),
        history: history.map(|stored| Arc::new(StoredRows(stored)) as Arc<_>),
        explainer: explainer(config, *clock),
        csv: csv_text,
        clock: *clock,
        open_files: *open_files,
    }
}

/// From which minute on all rows of groups come again: those that the sink lacks which has stored the least. Of a sink that is new
/// it is the first of which all is held.
fn groups_since(head: &Manifest, sinks: &[String]) -> Option<WindowStart> {
    let of = |name: &String| head.sink(name).and_then(|sink| sink.stored_before).max(head.retired_before());
    sinks.iter().map(of).min().flatten()
}

fn processes_now(peers: &Peers, timeout: Duration) -> http::ProcessesReport {
    let of = |peer: PeerReport| http::ProcessReport {
        process: peer.process,
        address: peer.address,
        alive: peer.alive,
        heard: peer.heard,
        sent_bytes: peer.sent_bytes,
        received_bytes: peer.received_bytes,
        step_age_ms: peer.step_age_ms,
    };
    http::ProcessesReport { all: peers.report(timeout).into_iter().map(of).collect(), missing: peers.missing(timeout) }
}

fn sink_now(health: &Health) -> http::SinkReport {
    http::SinkReport { trouble: health.trouble(), remark: health.remark(), unwritable: health.unwritable() }
}

/// See [`http::RunInfo::csv`].
fn csv_text(about: &http::RunInfo, rows: Option<&[Row]>) -> Vec<u8> {
    let mut text = CsvText::new(&about.columns, about.settings.rule.windowing);
    let mut out = Vec::new();
    match rows {
        None => out.extend_from_slice(text.header().as_bytes()),
        Some(rows) => text.rows(rows, &mut out),
    }
    out
}

/// Rows that the first `sqlite:` sink has stored.
struct StoredRows(SqliteHistory);

impl http::History for StoredRows {
    fn page(&self, wanted: &http::RowQuery, limit: usize) -> Result<Vec<Row>, String> {
        let http::RowQuery { kind, from, to, symbols, after } = wanted;
        let (symbols, after) = (symbols.as_deref(), after.as_ref());
        self.0.page(&PageRequest { kind: *kind, minutes: *from..*to, symbols, after, limit })
    }
}
