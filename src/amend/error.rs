//! Why nothing can be amended, or not all.

use crate::dead_letter_files::DeadLettersProblem;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::PathBuf;

/// Why nothing can be amended, or not all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AmendError {
    #[error("{}: {source}; name a file of dead letters", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {source}; these are the run's own dead letters, which the state names", path.display())]
    NoOwn { path: PathBuf, source: io::Error },
    #[error("{}: has {bytes} bytes, and the state knows of {committed}: put the dead letters back", path.display())]
    Cut { path: PathBuf, bytes: u64, committed: u64 },
    #[error("the state has no dead letters; name files by --from-dead-letters")]
    NoLetters,
    #[error("{}: another amend of this job is under way; wait for it", path.display())]
    UnderWay { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: is no corrected record; it is made by `minutely redrive --amend` alone: put it back", path.display())]
    NotCorrected { path: PathBuf, line: u64 },
    #[error("no sink can have amended rows: there are sqlite:, csv:, influxdb: and influxdb1:")]
    NoSink,
    #[error("sink {sink}: the state knows no such sink, so its rows are not this job's; give those of the run")]
    UnknownSink { sink: String },
    /// `done`: what is written all the same, in words, behind a semicolon.
    #[error("standard output: {source}{done}")]
    Unwritten { source: io::Error, done: &'static str },
    #[error("{0}")]
    NotJson(#[from] serde_json::Error),
    /// The report has said which.
    #[error("{0}")]
    LeftOut(String),
}

impl From<DeadLettersProblem> for AmendError {
    fn from(problem: DeadLettersProblem) -> Self {
        match problem {
            DeadLettersProblem::Unreadable { path, source } => AmendError::NoOwn { path, source },
            DeadLettersProblem::Cut { path, bytes, committed } => AmendError::Cut { path, bytes, committed },
        }
    }
}

impl From<AmendError> for Halt {
    fn from(e: AmendError) -> Self {
        let kind = match e {
            AmendError::Unreadable { .. }
            | AmendError::NoLetters
            | AmendError::NoSink
            | AmendError::UnknownSink { .. } => HaltKind::Usage,
            AmendError::Cut { .. } | AmendError::NotCorrected { .. } | AmendError::LeftOut(_) => HaltKind::Data,
            AmendError::NoOwn { .. }
            | AmendError::UnderWay { .. }
            | AmendError::Unwritable { .. }
            | AmendError::Unwritten { .. } => HaltKind::Unreachable,
            AmendError::NotJson(_) => HaltKind::Internal,
        };
        Halt::new(kind, e.to_string())
    }
}
