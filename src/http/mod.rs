//! The live page, the API and the metrics: what `--http` serves. Read-only; see `docs/http.md`.
//!
//! ```text
//!   worker 0 ── rows, marks, status, dead letters ──> Queue (bounded) ──> View + Ring ──> streams, answers
//! ```
//!
//! Worker 0 only puts things into a bounded queue, under a lock that is held for microseconds. All else happens on two threads
//! of the server: a thousand readers that do not read cost the dataflow nothing.

mod api;
mod assets;
mod connections;
mod error;
mod explain;
#[cfg(test)]
mod fuzz;
mod groups;
mod guard;
pub(crate) mod health_client;
mod hub;
mod listen_address;
mod metrics;
mod minutes;
mod movers;
mod probes;
mod query;
mod reply;
mod rows;
mod serve;
mod status;
mod stream;
mod symbols;
mod view;
mod work;
mod write_timeout;

pub(crate) use explain::{ExplainRefusal, Explainer};
pub(crate) use listen_address::{BoundSocket, DEFAULT, ListenAddress};

use crate::clock::SystemClock;
use crate::text::Columns;
use connections::Connections;
use error::ServeError;
pub(crate) use hub::EVERY_NS;
use hub::Hub;
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::edge::Waiting;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, WindowStart};
use minutely_dataflows::watch::Watcher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;

/// Rows that were stored by a sink and can be read back.
pub(crate) trait History: Send + Sync {
    /// At most `limit` of the rows that are wanted, in the order of (minute, symbol). May block.
    ///
    /// # Errors
    /// In plain words.
    fn page(&self, wanted: &RowQuery, limit: usize) -> Result<Vec<Row>, String>;
}

/// Which rows of `from <= minute < to`, in the order of (minute, symbol).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowQuery {
    /// What the rows are of.
    pub(crate) kind: RowKind,
    /// The first minute.
    pub(crate) from: WindowStart,
    /// Before this one.
    pub(crate) to: WindowStart,
    /// Sorted; `None`: all.
    pub(crate) symbols: Option<Vec<String>>,
    /// Only what comes after this row.
    pub(crate) after: Option<(WindowStart, String)>,
}

/// A sink as it is now.
pub(crate) struct SinkReport {
    /// What is wrong with it.
    pub(crate) trouble: Option<String>,
    /// What an operator should look at although it makes progress.
    pub(crate) remark: Option<String>,
    /// Points that it has refused for good.
    pub(crate) unwritable: u64,
}

/// The source as it is now.
#[derive(Default)]
pub(crate) struct SourceReport {
    /// What keeps it from reading.
    pub(crate) trouble: Option<String>,
    /// What an operator should know for as long as it holds.
    pub(crate) concerns: Vec<String>,
    /// Partitions that hold records which cannot be read now.
    pub(crate) waiting: Vec<Waiting>,
}

/// A process of the run as it is now.
pub(crate) struct ProcessReport {
    pub(crate) process: usize,
    pub(crate) address: String,
    /// It is connected, and was heard lately.
    pub(crate) alive: bool,
    /// When it was heard last, and how many nanoseconds ago; none: not yet, or it is the one that is asked.
    pub(crate) heard: Option<(EventTime, i64)>,
    /// Bytes that it has sent to the others' workers, and received, as they cross the network.
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    /// How long ago its slowest worker made its newest step; none: no worker runs, or it is not known.
    pub(crate) step_age_ms: Option<u64>,
}

/// The processes of the run as they are now.
#[derive(Default)]
pub(crate) struct ProcessesReport {
    /// Empty for a single one.
    pub(crate) all: Vec<ProcessReport>,
    /// Which are not connected, in words.
    pub(crate) missing: Option<String>,
}

/// What the server shows of a run, and asks it for. Holds no secret.
pub(crate) struct RunInfo {
    pub(crate) job: String,
    pub(crate) source: String,
    pub(crate) source_now: Box<dyn Fn() -> SourceReport + Send + Sync>,
    pub(crate) sinks_uri: Vec<String>,
    /// In the order of the status.
    pub(crate) sinks: Vec<String>,
    /// Their status, in the same order.
    pub(crate) sinks_now: Box<dyn Fn() -> Vec<SinkReport> + Send + Sync>,
    pub(crate) workers: usize,
    pub(crate) processes_now: Box<dyn Fn() -> ProcessesReport + Send + Sync>,
    /// This is process 0, which has the sinks and the state; the others answer `/healthz` and `/readyz` alone.
    pub(crate) leads: bool,
    pub(crate) settings: Settings,
    /// Fractional digits of values.
    pub(crate) decimals: u8,
    /// Where an event's fields are looked for.
    pub(crate) fields: FieldNames,
    /// Records that cannot be decoded are no dead letters (`--on-bad drop`).
    pub(crate) drops_bad: bool,
    pub(crate) columns: Columns,
    /// Why rows are `partial` without end.
    pub(crate) partial: fn(&Status) -> Option<String>,
    /// `--emit`.
    pub(crate) emit: &'static str,
    pub(crate) state: Option<String>,
    /// Windows before this were forgotten by earlier runs.
    pub(crate) since: Option<WindowStart>,
    /// Rows of groups of minutes before this were stored by earlier runs.
    pub(crate) groups_since: Option<WindowStart>,
    pub(crate) history: Option<Arc<dyn History>>,
    /// What explains minutes, or why nothing does.
    pub(crate) explainer: Result<Arc<dyn Explainer>, &'static str>,
    /// Rows as the CSV sink writes them; its header for `None`.
    pub(crate) csv: fn(&RunInfo, Option<&[Row]>) -> Vec<u8>,
    pub(crate) clock: SystemClock,
    /// How many files the process may have open.
    pub(crate) open_files: u64,
}

/// What all answers need.
struct Server {
    address: ListenAddress,
    about: Arc<RunInfo>,
    hub: Arc<Hub>,
    started: EventTime,
    /// Answers by class of status: 1xx to 5xx.
    answers: [AtomicU64; 5],
    connections: Arc<Connections>,
    /// One minute is explained at a time.
    explaining: Arc<Semaphore>,
}

/// A server that runs for as long as the process.
pub(crate) struct HttpHandle {
    hub: Arc<Hub>,
}

impl HttpHandle {
    /// Takes rows, marks, status and dead letters from worker 0.
    pub(crate) fn watcher(&self) -> Box<dyn Watcher + Send> {
        Box::new(hub::HubWatcher(Arc::clone(&self.hub)))
    }

    /// Nanoseconds between two readings of rows, for `Job::live`.
    pub(crate) fn every(&self) -> impl Fn() -> i64 + use<> {
        let hub = Arc::clone(&self.hub);
        move || hub.every()
    }
}

/// Serves.
///
/// # Errors
/// When the system has no threads for it.
pub(crate) fn start(socket: BoundSocket, about: RunInfo) -> Result<HttpHandle, ServeError> {
    let about = Arc::new(about);
    let hub = Arc::new(Hub::new(&about));
    let server = Arc::new(Server {
        address: socket.address,
        started: about.clock.wall(),
        connections: Arc::new(Connections::new(connections::most(about.open_files))),
        about,
        hub: Arc::clone(&hub),
        answers: Default::default(),
        explaining: Arc::new(Semaphore::new(1)),
    });
    serve::start(socket.listener, server).map_err(ServeError::NotStarted)?;
    Ok(HttpHandle { hub })
}

#[cfg(test)]
mod testing {
    use super::view::LatestStatus;
    use super::*;
    use minutely_dataflows::edge::Discovered;
    use minutely_dataflows::partition::{Counts, Partition, RejectedBy, Rule};
    use minutely_dataflows::record::{Finding, PartitionName, Reason};
    use minutely_dataflows::time::{Monotonic, NextOffset};

    /// What is known of one partition with these counts; those that are rejected lack a field.
    pub(super) fn latest(counts: Counts) -> LatestStatus {
        let name = PartitionName { log: "t".into(), number: Some(0) };
        let start = NextOffset(0);
        let found = Discovered { name, start, earliest: start, end: None, log_id: None };
        let mut state = Partition::new(Rule::default(), 0, start, false, Monotonic(0)).report(None, Monotonic(0));
        state.next = NextOffset(counts.read + counts.gaps);
        state.h = (counts.counted + counts.late > 0).then_some(EventTime(0));
        state.counts = counts;
        let finding = Finding { field: Some("ts".into()), expected: "a number".into(), found: "no such field".into() };
        let by = RejectedBy { reason: Reason::Null, count: counts.rejected, offset: 0, finding };
        state.rejected_by = (counts.rejected > 0).then_some(by).into_iter().collect();
        let mut status = Status { partitions: vec![(found, Some(state))], ..Status::default() };
        status.ledger.counts = counts;
        LatestStatus { status, ..LatestStatus::default() }
    }

    /// A run without sinks.
    pub(super) fn about() -> RunInfo {
        RunInfo {
            job: "job".into(),
            source: "sim:".into(),
            source_now: Box::new(SourceReport::default),
            sinks_uri: Vec::new(),
            sinks: Vec::new(),
            sinks_now: Box::new(Vec::new),
            workers: 1,
            processes_now: Box::new(ProcessesReport::default),
            leads: true,
            settings: Settings::default(),
            decimals: 18,
            fields: FieldNames::default(),
            drops_bad: false,
            columns: Columns::default(),
            partial: |_| None,
            emit: "changes",
            state: None,
            since: None,
            groups_since: None,
            history: None,
            explainer: Err("no state"),
            csv: |_, _| Vec::new(),
            clock: SystemClock::start(),
            open_files: 1024,
        }
    }
}
