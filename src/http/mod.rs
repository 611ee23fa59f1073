//! The live page, the API and the metrics: what `--http` serves. Read-only; see `docs/http.md`.
//!
//! ```text
//!   worker 0 ── rows, marks, status, letters ──> Queue (bounded) ──> View + Ring ──> streams, answers
//! ```
//!
//! Worker 0 only puts things into a bounded queue, under a lock that is held for moments. All else happens on two threads
//! of the server's own: a thousand readers that do not read cost the dataflow nothing.

mod api;
mod assets;
mod connections;
#[cfg(test)]
mod fuzz;
mod guard;
pub(crate) mod health;
mod hub;
mod metrics;
mod patient;
mod place;
mod query;
mod rows;
mod serve;
mod status;
mod stream;
mod view;

pub(crate) use place::{DEFAULT, Listening, Place};

use crate::clock::Clock;
use connections::Connections;
pub(crate) use hub::EVERY_NS;
use hub::Hub;
use minutely_dataflows::control::{Settings, Status};
use minutely_dataflows::decode::TimeUnit;
use minutely_dataflows::edge::{Halt, HaltKind, Waiting};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{EventTime, WindowStart};
use minutely_dataflows::watch::Watcher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Rows that were stored by a sink and can be read back.
pub(crate) trait History: Send + Sync {
    /// Rows of `from <= minute < to` in the order of (minute, symbol), after this key, of these symbols or all, so many
    /// at most. May block.
    ///
    /// # Errors
    /// In plain words.
    fn page(&self, wanted: &Wanted, limit: usize) -> Result<Vec<Row>, String>;
}

/// Which rows, in the order of (minute, symbol).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The first minute.
    pub(crate) from: WindowStart,
    /// Before this one.
    pub(crate) to: WindowStart,
    /// Sorted; none: all.
    pub(crate) symbols: Option<Vec<String>>,
    /// Only what comes after this row.
    pub(crate) after: Option<(WindowStart, String)>,
}

/// A sink as it is now.
pub(crate) struct SinkNow {
    /// What is wrong with it.
    pub(crate) trouble: Option<String>,
    /// What somebody should look at though it makes progress.
    pub(crate) remark: Option<String>,
    /// Points that it will never take.
    pub(crate) unwritable: u64,
}

/// The source as it is now.
#[derive(Default)]
pub(crate) struct SourceNow {
    /// What keeps it from reading.
    pub(crate) trouble: Option<String>,
    /// What an operator should know for as long as it holds.
    pub(crate) concerns: Vec<String>,
    /// Partitions that hold records which cannot be read now.
    pub(crate) waiting: Vec<Waiting>,
}

/// What a run is, for people; no secret in it.
pub(crate) struct About {
    pub(crate) job: String,
    pub(crate) source: String,
    pub(crate) source_now: Box<dyn Fn() -> SourceNow + Send + Sync>,
    pub(crate) sinks_uri: Vec<String>,
    /// In the order of the status.
    pub(crate) sinks: Vec<String>,
    /// How they are, in the same order.
    pub(crate) sinks_now: Box<dyn Fn() -> Vec<SinkNow> + Send + Sync>,
    pub(crate) workers: usize,
    pub(crate) settings: Settings,
    /// `--time-unit`.
    pub(crate) unit: TimeUnit,
    pub(crate) market: bool,
    /// What is to be said of rows that are `partial` without end.
    pub(crate) partial: fn(&Status) -> Option<String>,
    /// `--emit`.
    pub(crate) emit: &'static str,
    pub(crate) state: Option<String>,
    /// Windows before this were forgotten by runs before this one.
    pub(crate) since: Option<WindowStart>,
    pub(crate) history: Option<Arc<dyn History>>,
    /// Rows as the CSV sink writes them; its header for none.
    pub(crate) csv: fn(&About, Option<&[Row]>) -> Vec<u8>,
    pub(crate) clock: Clock,
    /// How many files the process may have open.
    pub(crate) open_files: u64,
}

/// What all answers have in common.
struct Server {
    place: Place,
    about: Arc<About>,
    hub: Arc<Hub>,
    started: EventTime,
    /// Answers by class of status: 1xx to 5xx.
    answers: [AtomicU64; 5],
    connections: Arc<Connections>,
}

/// A server at work, for as long as the process lives.
pub(crate) struct Started {
    hub: Arc<Hub>,
}

impl Started {
    /// For worker 0.
    pub(crate) fn watcher(&self) -> Box<dyn Watcher + Send> {
        Box::new(hub::Watching(Arc::clone(&self.hub)))
    }

    /// For `Job::live`.
    pub(crate) fn every(&self) -> impl Fn() -> i64 + use<> {
        let hub = Arc::clone(&self.hub);
        move || hub.every()
    }
}

/// Serves.
///
/// # Errors
/// 70 when there are no threads to be had.
pub(crate) fn start(listening: Listening, about: About) -> Result<Started, Halt> {
    let about = Arc::new(about);
    let hub = Arc::new(Hub::new(&about));
    let server = Arc::new(Server {
        place: listening.place,
        started: about.clock.wall(),
        connections: Arc::new(Connections::new(connections::most(about.open_files))),
        about,
        hub: Arc::clone(&hub),
        answers: Default::default(),
    });
    serve::start(listening.listener, server)
        .map_err(|e| Halt::new(HaltKind::Internal, format!("--http: the server cannot start: {e}")))?;
    Ok(Started { hub })
}

#[cfg(test)]
mod testing {
    use super::*;

    /// A run without sinks.
    pub(super) fn about() -> About {
        About {
            job: "job".into(),
            source: "sim:".into(),
            source_now: Box::new(SourceNow::default),
            sinks_uri: Vec::new(),
            sinks: Vec::new(),
            sinks_now: Box::new(Vec::new),
            workers: 1,
            settings: Settings::default(),
            unit: TimeUnit::Milliseconds,
            market: false,
            partial: |_| None,
            emit: "changes",
            state: None,
            since: None,
            history: None,
            csv: |_, _| Vec::new(),
            clock: Clock::start(),
            open_files: 1024,
        }
    }
}
