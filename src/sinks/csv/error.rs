//! Why a CSV file, or a series of files, cannot be opened.

use crate::sinks::append::AppendError;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::{Path, PathBuf};

/// A CSV file, or a series of files, that cannot be opened, and why.
#[derive(Debug, thiserror::Error)]
pub(in crate::sinks) enum CsvError {
    /// One file.
    #[error(transparent)]
    File(#[from] AppendError),
    #[error("csv {}: {problem}", path.display())]
    Series { path: PathBuf, problem: SeriesProblem },
}

/// What is wrong with a series of files, or with beginning a file, and what to do.
#[derive(Debug, thiserror::Error)]
pub(in crate::sinks) enum SeriesProblem {
    #[error("{0}; choose a path that can be written")]
    Unlisted(#[source] io::Error),
    #[error("there is {}, which is not of this run; move it away or choose another path", .0.display())]
    OfAnotherRun(PathBuf),
    #[error(
        "the file of number {number} {what}, and had {len} bytes when the state was written: restore it as it was, or name \
         another path, which has what the state still holds and what comes, and have this one forgotten (--forget-sink), or \
         start a new job with another path (--job NAME)"
    )]
    /// `number`: as in the name of the file.
    NotOne { number: String, len: u64, what: &'static str },
    #[error(
        "{} is of a round that the state does not know, and cannot be removed: {source}; end the run that writes to it, or \
         move it away",
        file.display()
    )]
    NotRemoved { file: PathBuf, source: io::Error },
    #[error("{0}; make room or choose another path")]
    NoHeader(#[source] io::Error),
}

impl SeriesProblem {
    /// Of this path.
    pub(super) fn at(self, path: &Path) -> CsvError {
        CsvError::Series { path: path.to_owned(), problem: self }
    }
}

impl CsvError {
    /// Which exit code it is.
    pub(super) fn kind(&self) -> HaltKind {
        match self {
            CsvError::File(file) => file.kind(),
            CsvError::Series { problem: SeriesProblem::NotOne { .. }, .. } => HaltKind::Data,
            CsvError::Series { problem: SeriesProblem::NoHeader(_), .. } => HaltKind::Unreachable,
            CsvError::Series { .. } => HaltKind::Usage,
        }
    }
}

impl From<CsvError> for Halt {
    fn from(e: CsvError) -> Self {
        Halt::new(e.kind(), e.to_string())
    }
}
