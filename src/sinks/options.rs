//! What a sink is opened with, and what an open sink is.

use super::append;
use crate::clock::SystemClock;
use crate::text::Columns;
use crate::threads::{Health, WriterExit};
use minutely_dataflows::edge::{RowFilter, SinkPort, Wake};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::Windowing;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// `--emit`: which rows sinks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Emit {
    /// Every committed change.
    #[default]
    Changes,
    /// One row per window and symbol, once it cannot change any more.
    Final,
}

/// What every sink is opened with.
#[derive(Clone)]
pub(crate) struct SinkOptions {
    /// `--emit`.
    pub(crate) emit: Emit,
    /// The columns of rows.
    pub(crate) columns: Columns,
    /// Windows and lateness: how a window's start is written, and how long a database must keep points.
    pub(crate) windowing: Windowing,
    /// How long a database of this machine may stay locked at the start, before the run ends with 69. Default: 30 s. A
    /// service is tried for a few seconds, and at most for this long.
    pub(crate) start_timeout: Duration,
    /// Called from a sink's thread when rows were stored, when there is room in its queue again, and when it ended.
    pub(crate) wake: Wake,
    /// The job's own folder, made when it is needed: `unwritable.jsonl` goes there.
    pub(crate) data: PathBuf,
    /// The chain that an earlier run with the same state began at this sink ([`OpenSink::chain`]); without one, a chain is
    /// begun.
    pub(crate) chain: Option<u64>,
    /// How many bytes of the sink's file the state knows, or which manifest of its database; none for a sink that the state
    /// does not know.
    pub(crate) position: Option<u64>,
    /// Times that the chain was restarted.
    pub(crate) generation: u64,
    /// `--take-over`: another run may hang and still have the sink's file open.
    pub(crate) take_over: bool,
    /// The state that this run resumes from; absent for a new chain.
    pub(crate) prior_state: Option<PriorState>,
    /// The job that writes: what belongs to another job is refused.
    pub(crate) owner: Owner,
    /// The same job as an earlier version would have recorded it, where that differs: it kept options as they were typed.
    pub(crate) owner_as_typed: Option<Owner>,
    /// `--take-sink`: a table or series of another job becomes this job's.
    pub(crate) take_sink: bool,
    /// Set once the workers run: a sink that is dropped before leaves nothing behind.
    pub(crate) begun: Arc<AtomicBool>,
    pub(crate) clock: SystemClock,
}

/// The job that a table or series belongs to: two jobs in one would overwrite each other's final rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The job's name.
    pub(crate) job: String,
    /// XXH3-128 in hexadecimal of what verdicts and sums depend on: a name can be given twice.
    pub(crate) semantics: String,
}

impl SinkOptions {
    /// Is that this job?
    pub(super) fn is_owner(&self, other: &Owner) -> bool {
        *other == self.owner || self.owner_as_typed.as_ref() == Some(other)
    }

    pub(super) fn claim(&self) -> append::FileClaim {
        append::FileClaim { keep: self.position, take_over: self.take_over, private: false }
    }
}

/// The state that a run resumes from, as a sink needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriorState {
    /// Where it is, as messages name it.
    pub(crate) place: String,
    /// The number of its newest manifest: nothing that a sink has can be of a later one.
    pub(crate) seq: u64,
}

/// An open sink. Dropping it ends its thread.
pub(crate) struct OpenSink {
    /// For log lines; without secrets.
    pub(crate) name: String,
    /// Which rows it takes.
    pub(crate) takes: RowFilter,
    /// Where rows are offered.
    pub(crate) port: Box<dyn SinkPort + Send>,
    /// What is wrong with it at present.
    pub(crate) health: Arc<Health>,
    /// The chain in the version of its rows, which the state keeps for restarts; none where rows have no version.
    pub(crate) chain: Option<u64>,
}

/// Writes rows, on a thread of its own, where it may block, retry and wait.
pub(crate) trait RowWriter: Send {
    /// Takes rows, ascending by (minute, symbol) within a round. They need not be durable yet. `seq` is the number of the
    /// manifest that committed them.
    ///
    /// # Errors
    /// When retrying is no use, or the thread is to stop.
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), WriterExit>;

    /// The round is complete: returns once all its rows are durable, or recorded as unwritable. Returns the position by which a
    /// restart can tell whether all of that is still there: the length of a file in bytes, or the newest manifest in a
    /// database; none where there is neither.
    ///
    /// # Errors
    /// When retrying is no use, or the thread is to stop.
    fn store(&mut self) -> Result<Option<u64>, WriterExit>;

    /// The thread begins, or no batch came for a few seconds: checks the target and updates the health.
    ///
    /// # Errors
    /// When the thread is to stop.
    fn idle(&mut self) -> Result<(), WriterExit> {
        Ok(())
    }
}
