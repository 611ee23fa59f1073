//! What every sink is told when it opens, and what a sink at work is.

use super::append;
use crate::clock::SystemClock;
use crate::threads::{Health, WriterExit};
use minutely_dataflows::edge::{RowFilter, SinkPort, Wake};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::Windowing;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What `--emit` says: which rows sinks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Emit {
    /// Every committed change.
    #[default]
    Changes,
    /// One row a point, once it cannot change any more.
    Final,
}

/// What every sink is told at the start.
#[derive(Clone)]
pub(crate) struct SinkOptions {
    /// `--emit`.
    pub(crate) emit: Emit,
    /// Are the columns of `--metrics market` on?
    pub(crate) market: bool,
    /// Windows and lateness: how minutes are written, and what a database must keep.
    pub(crate) windowing: Windowing,
    /// How long a database of this machine may stay locked at the start, before the run ends with 69. Default: 30 s. A
    /// service is tried for a few seconds, and at most for this long.
    pub(crate) patience: Duration,
    /// Called from a sink's thread when something was stored, when there is room again, and when it ended.
    pub(crate) wake: Wake,
    /// The job's own folder, made when it is needed: `unwritable.jsonl` goes there.
    pub(crate) data: PathBuf,
    /// The chain that an earlier run with the same state began at this sink ([`OpenSink::chain`]); none begins one.
    pub(crate) chain: Option<u64>,
    /// How many bytes of the sink's file the state knows, or which version of its database; none for one that is not the
    /// state's.
    pub(crate) position: Option<u64>,
    /// How often the chain was restarted.
    pub(crate) generation: u64,
    /// `--take-over`: another run may have the sink's file, and hang.
    pub(crate) take_over: bool,
    /// The state that an earlier run left.
    pub(crate) left: Option<PriorState>,
    /// Who writes: another job's place is refused.
    pub(crate) owner: Owner,
    /// `--take-sink`: a place that another job wrote becomes this one's.
    pub(crate) take_sink: bool,
    /// Set once the workers run: until then a sink that is dropped leaves nothing behind.
    pub(crate) begun: Arc<AtomicBool>,
    /// The clock.
    pub(crate) clock: SystemClock,
}

/// The job that a place for rows belongs to: two jobs in one place would overwrite each other's final rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The job's name.
    pub(crate) job: String,
    /// XXH3-128 in hexadecimal of what verdicts and sums depend on: a name can be given twice.
    pub(crate) semantics: String,
}

impl SinkOptions {
    pub(super) fn claim(&self) -> append::FileClaim {
        append::FileClaim { keep: self.position, take_over: self.take_over, private: false }
    }
}

/// A state, to a sink that goes on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriorState {
    /// Where it is, for people.
    pub(crate) place: String,
    /// The number of its newest manifest: nothing that a sink has can be of a later one.
    pub(crate) seq: u64,
}

/// A sink at work. Dropping it ends its thread.
pub(crate) struct OpenSink {
    /// For log lines; no secret in it.
    pub(crate) name: String,
    /// What it takes.
    pub(crate) takes: RowFilter,
    /// Where it takes it.
    pub(crate) port: Box<dyn SinkPort + Send>,
    /// How it is.
    pub(crate) health: Arc<Health>,
    /// Which chain its rows carry, where rows have versions: the state keeps it for restarts.
    pub(crate) chain: Option<u64>,
}

/// A place for rows, on a thread of its own, where it may block, retry and wait.
pub(crate) trait RowWriter: Send {
    /// RowFilter rows, ascending by (minute, symbol) within a round. They need not be durable yet. `seq` is the version of
    /// the manifest that committed them.
    ///
    /// # Errors
    /// When no retry is of use, or it was told to stop.
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), WriterExit>;

    /// The round is complete: returns once all its rows are durable, or recorded as unwritable. Says, where a restart can
    /// tell by it whether all of that is still there, how long the file is then, in bytes, or the version of a database.
    ///
    /// # Errors
    /// When no retry is of use, or it was told to stop.
    fn store(&mut self) -> Result<Option<u64>, WriterExit>;

    /// The thread begins, or nothing came for a few seconds: is the place there? What it finds is for its health.
    ///
    /// # Errors
    /// When it was told to stop.
    fn idle(&mut self) -> Result<(), WriterExit> {
        Ok(())
    }
}
