//! Why a run cannot begin or end well, where no edge alone is the cause.

use crate::semantics::Difference;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::path::PathBuf;

/// Why a run cannot begin or end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(
        "the state in {place} was written with other options: {}; they change results, so one state cannot hold both: use \
         the old values, or start a new job (--job NAME)",
        listed(differences)
    )]
    OtherOptions { place: String, differences: Vec<Difference> },
    #[error(
        "dead letters of this state are in {}, and this run's folder is {}: give --data and --job as before, or move the newest file \
         there; if they are lost with their machine, begin an empty one behind them (install -m 600 /dev/null '{}')",
        recorded.display(),
        folder.display(),
        behind.display()
    )]
    DeadLettersElsewhere { recorded: PathBuf, folder: PathBuf, behind: PathBuf },
    #[error(
        "sink {sink}: the database refused all {points} points of this run, and nothing is stored; unwritable.jsonl in the \
         job's folder has each with its reason (a retention that is shorter than the data is old, fields of another type, \
         ...): fix that, and start over with `minutely state rebuild`"
    )]
    NothingStored { sink: String, points: u64 },
    #[error(
        "sink {sink}: cannot be given what it lacks: the index of the state knows minutes from {from} on alone, for an earlier version read those before, or a log that has changed since; begin without them (--sink-from now)"
    )]
    NotIndexed { sink: String, from: String },
    #[error(
        "--sink-from earliest: what the log gives for {minute} is not what the run has counted, by the digest in the state, so it is not the log of this state (minutely verify says more); begin without those minutes (--sink-from now)"
    )]
    AnotherLog { minute: String },
    #[error("a worker ended badly: {0}")]
    WorkerEnded(String),
    #[error("the system has no thread for --groups: {0}")]
    NoThread(#[source] std::io::Error),
}

fn listed(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl From<StartError> for Halt {
    fn from(e: StartError) -> Self {
        let kind = match e {
            StartError::OtherOptions { .. } | StartError::DeadLettersElsewhere { .. } => HaltKind::Usage,
            StartError::NothingStored { .. } | StartError::NotIndexed { .. } | StartError::AnotherLog { .. } => {
                HaltKind::Data
            }
            StartError::WorkerEnded(_) | StartError::NoThread(_) => HaltKind::Internal,
        };
        Halt::new(kind, e.to_string())
    }
}
