//! Why nothing is repaired, or not all.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;

/// Why nothing is repaired, or not all.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairError {
    #[error(
        "sink {sink}: has less than the state knows it to have had, and nothing says of which minutes: repair all of them (without --from, \
         --to and --since-final)"
    )]
    LacksMore { sink: String },
    #[error("sink {sink}: the state knows no such sink, so nothing of it was written there; give those of the run")]
    UnknownSink { sink: String },
    #[error(
        "{why}; a csv: file is repaired while no run owns the state: stop the run, or name the other sinks alone (--sink)"
    )]
    Owned { why: String },
    #[error("standard output: {0}")]
    Unwritten(io::Error),
    #[error("{0}")]
    NotJson(#[from] serde_json::Error),
    /// The report has said what.
    #[error("{0}")]
    ToDo(String),
}

impl From<RepairError> for Halt {
    fn from(e: RepairError) -> Self {
        let kind = match e {
            RepairError::LacksMore { .. } | RepairError::UnknownSink { .. } => HaltKind::Usage,
            RepairError::Owned { .. } => HaltKind::Fenced,
            RepairError::Unwritten(_) => HaltKind::Unreachable,
            RepairError::NotJson(_) => HaltKind::Internal,
            RepairError::ToDo(_) => HaltKind::Data,
        };
        Halt::new(kind, e.to_string())
    }
}
