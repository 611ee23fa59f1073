//! Why nothing can be redriven, or not all.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::PathBuf;

/// Why nothing can be redriven, or not all.
#[derive(Debug, thiserror::Error)]
pub(super) enum RedriveError {
    #[error(
        "{0}; options of decoding on the command line hold for the letters, unless they are the run's own: give the run's own by \
         --config or by variables"
    )]
    NoRun(String),
    #[error("corrected records are JSON, and the run reads {0}: redrive cannot write what it reads")]
    NotJson(&'static str),
    #[error("--map {name}=…: the run has no such field; it has {known}")]
    UnknownField { name: String, known: String },
    #[error(
        "--to-topic: the run's source is `{0}`, and records can be written to kafka:// alone; --amend adds them to final minutes"
    )]
    NoTopic(String),
    #[error(
        "--to-topic: the run reads uncommitted records (-X isolation.level=read_uncommitted), so a write that is given up would count"
    )]
    Uncommitted,
    #[error("{}: {source}", path.display())]
    Journal { path: PathBuf, source: io::Error },
    #[error("{}: another redrive of this file is under way; wait for it", path.display())]
    UnderWay { path: PathBuf },
    #[error("{}: a redrive to the topic was not ended, and what it wrote is not known: end it first, by --to-topic", path.display())]
    Unfinished { path: PathBuf },
    #[error("topic '{topic}': {what}")]
    Topic { topic: String, what: String },
    /// `done`: what is written all the same, in words, behind a semicolon.
    #[error("standard output: {source}{done}")]
    Unwritten { source: io::Error, done: &'static str },
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The report has said which.
    #[error("{0}")]
    LeftOut(String),
}

impl From<RedriveError> for Halt {
    fn from(e: RedriveError) -> Self {
        let kind = match e {
            RedriveError::NoRun(_)
            | RedriveError::NotJson(_)
            | RedriveError::UnknownField { .. }
            | RedriveError::NoTopic(_)
            | RedriveError::Uncommitted => HaltKind::Usage,
            RedriveError::Journal { .. }
            | RedriveError::UnderWay { .. }
            | RedriveError::Unfinished { .. }
            | RedriveError::Topic { .. }
            | RedriveError::Unwritten { .. } => HaltKind::Unreachable,
            RedriveError::Json(_) => HaltKind::Internal,
            RedriveError::LeftOut(_) => HaltKind::Data,
        };
        Halt::new(kind, e.to_string())
    }
}
