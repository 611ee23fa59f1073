//! Why nothing can be verified, or not all that was asked for.

use crate::dead_letter_files::DeadLettersProblem;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::PathBuf;

/// Why nothing can be verified, or not all that was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("--state none keeps no state, and without its index nothing can be verified")]
    NoneKept,
    #[error(
        "state {place}: there is none; give the run's own options in the folder that the run was started in, or name it by \
         --state"
    )]
    Missing { place: String },
    #[error("the state in {place} was written with other options ({differences}): give those of the run")]
    OtherOptions { place: String, differences: String },
    #[error(
        "dead letters {}: {source}; the state names this file, and which records a clock or a floor judged is in it (R10): put it \
         back",
        path.display()
    )]
    NoDeadLetters { path: PathBuf, source: io::Error },
    #[error(
        "dead letters {}: has {bytes} bytes, and the state knows of {committed}; which records a clock or a floor judged is in it \
         (R10): put it back",
        path.display()
    )]
    CutDeadLetters { path: PathBuf, bytes: u64, committed: u64 },
    #[error(
        "dead letters {} line {line}: is no dead letter as a run writes it, and may list a record that a clock or a floor judged (R10): \
         put it back",
        path.display()
    )]
    NoDeadLetter { path: PathBuf, line: u64 },
    #[error("--textfile {}: {source}", path.display())]
    NoTextfile { path: PathBuf, source: io::Error },
    #[error(
        "--independent does not read {options}: verify without it, by the decoder that a run has (what it reads is in docs/verify.md)"
    )]
    NotIndependent { options: String },
    #[error("standard output: {0}")]
    Unwritten(io::Error),
    #[error("sink {sink}: the state knows no such sink, so nothing of it was written there; give those of the run")]
    UnknownSink { sink: String },
    #[error("partition {partition}: is in the state, and the source does not have it")]
    PartitionGone { partition: String },
    #[error(
        "partition {partition}: handed out no record for {seconds} s at offset {offset}, and {next} is the next of the state"
    )]
    Silent { partition: String, seconds: u64, offset: i64, next: i64 },
    #[error(
        "partition {partition}: ends at offset {offset}, and {next} is the next of the state: it is not the log that was read; restore it"
    )]
    Shorter { partition: String, offset: i64, next: i64 },
    #[error("no minute that is asked for is final yet{0}")]
    NothingFinal(String),
    #[error("{0}")]
    NotJson(#[from] serde_json::Error),
    /// The report has said what.
    #[error("{0}")]
    Differs(String),
}

impl From<DeadLettersProblem> for VerifyError {
    fn from(problem: DeadLettersProblem) -> Self {
        match problem {
            DeadLettersProblem::Unreadable { path, source } => VerifyError::NoDeadLetters { path, source },
            DeadLettersProblem::Cut { path, bytes, committed } => {
                VerifyError::CutDeadLetters { path, bytes, committed }
            }
        }
    }
}

impl From<VerifyError> for Halt {
    fn from(e: VerifyError) -> Self {
        let kind = match e {
            VerifyError::NoneKept
            | VerifyError::Missing { .. }
            | VerifyError::OtherOptions { .. }
            | VerifyError::NotIndependent { .. }
            | VerifyError::UnknownSink { .. } => HaltKind::Usage,
            VerifyError::NoDeadLetters { .. }
            | VerifyError::Silent { .. }
            | VerifyError::NoTextfile { .. }
            | VerifyError::Unwritten(_) => HaltKind::Unreachable,
            VerifyError::PartitionGone { .. }
            | VerifyError::Shorter { .. }
            | VerifyError::CutDeadLetters { .. }
            | VerifyError::NoDeadLetter { .. }
            | VerifyError::NothingFinal(_)
            | VerifyError::Differs(_) => HaltKind::Data,
            VerifyError::NotJson(_) => HaltKind::Internal,
        };
        Halt::new(kind, e.to_string())
    }
}
