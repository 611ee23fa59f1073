//! Why a file that only grows cannot be opened or written.

use crate::dead_letter_files::DeadLetterFiles;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file that cannot be opened or written, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}: {problem}", path.display())]
pub(in crate::sinks) struct AppendError {
    what: FileUse,
    path: PathBuf,
    problem: FileProblem,
}

/// What a file is for, as messages begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sinks) enum FileUse {
    Csv,
    DeadLetters,
    Sqlite,
}

impl fmt::Display for FileUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileUse::Csv => "csv",
            FileUse::DeadLetters => "dead letters",
            FileUse::Sqlite => "sqlite",
        })
    }
}

/// What is wrong with a file, and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("is a symbolic link, which is not followed; name the file itself")]
    SymbolicLink,
    #[error("is not a regular file; name a file")]
    NotRegular,
    #[error("{0}; make it writable or choose another path")]
    Unwritable(#[source] io::Error),
    #[error("{0}; choose a path that can be written")]
    Unopenable(#[source] io::Error),
    #[error("{0}; choose another path")]
    Unreadable(#[source] io::Error),
    #[error("{} is not a folder; choose another path", .0.display())]
    ParentNotFolder(PathBuf),
    #[error("its folder {}: {source}; make the folder first", folder.display())]
    ParentMissing { folder: PathBuf, source: io::Error },
    #[error("its folder {} is not writable: {source}; make it writable or choose another path", folder.display())]
    ParentUnwritable { folder: PathBuf, source: io::Error },
    #[error("its folder cannot be synchronized: {0}; choose another path")]
    ParentNotDurable(#[source] io::Error),
    #[error("another run is writing to it; choose another path")]
    Locked,
    #[error("cannot be taken over: {0}; end the run that writes to it")]
    NotTakenOver(#[source] io::Error),
    #[error("is behind what the state knows, and cannot be removed: {0}; end the run that writes to it, or remove it")]
    NotRemoved(#[source] io::Error),
    #[error("cannot be cut back to what the state knows: {0}; choose another path")]
    NotCut(#[source] io::Error),
    #[error(
        "holds {len} bytes that are not of this run, and nothing is appended to what others wrote; move it away or choose \
         another path"
    )]
    Foreign { len: u64 },
    /// `len`: none where the file is missing.
    #[error("{} and had {had} bytes when the state was written: {way_out}", length(*len))]
    Shorter { len: Option<u64>, had: u64, way_out: String },
}

fn length(len: Option<u64>) -> String {
    len.map_or_else(|| "is not there".to_owned(), |len| format!("has {len} bytes"))
}

impl AppendError {
    pub(super) fn new(what: FileUse, path: &Path, problem: FileProblem) -> Self {
        AppendError { what, path: path.to_owned(), problem }
    }

    /// The file has fewer bytes than the state knows.
    pub(super) fn shorter(what: FileUse, path: &Path, len: Option<u64>, had: u64) -> Self {
        let way_out = match what {
            FileUse::Csv => {
                "restore it as it was (files are rotated by ?rotate=, not by another program), or name another path, which has \
                 what the state still holds and what comes, and have this one forgotten (--forget-sink), or start a new job \
                 with another path (--job NAME)"
                    .to_owned()
            }
            _ => format!(
                "restore it, or the file that followed it, as it was, or, if what they held is not needed, begin an empty one behind it \
                 (install -m 600 /dev/null '{}'), or start a new job (--job NAME)",
                DeadLetterFiles::after(path, had).display()
            ),
        };
        AppendError::new(what, path, FileProblem::Shorter { len, had, way_out })
    }

    /// The file is there, and cannot be read.
    pub(in crate::sinks) fn unreadable(what: FileUse, path: &Path, error: io::Error) -> Self {
        AppendError::new(what, path, FileProblem::Unreadable(error))
    }

    /// Which exit code it is.
    pub(in crate::sinks) fn kind(&self) -> HaltKind {
        match &self.problem {
            FileProblem::Shorter { .. } => HaltKind::Data,
            FileProblem::Unopenable(e) | FileProblem::Unreadable(e) if is_full(e) => HaltKind::Unreachable,
            _ => HaltKind::Usage,
        }
    }

    /// Has another run locked it?
    pub(in crate::sinks) fn is_locked(&self) -> bool {
        matches!(self.problem, FileProblem::Locked)
    }

    /// Is the disk full? Then a retry may succeed.
    pub(in crate::sinks) fn is_transient(&self) -> bool {
        self.kind() == HaltKind::Unreachable
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the writes to a file are durable is unknown.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: could not be made durable: {source}; the system may have dropped what was written since the last time, so the run \
     ends: see to the disk and start again",
    path.display()
)]
pub(super) struct NotDurable {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl From<NotDurable> for Halt {
    fn from(e: NotDurable) -> Self {
        Halt::new(HaltKind::Unreachable, e.to_string())
    }
}

impl From<AppendError> for Halt {
    fn from(e: AppendError) -> Self {
        Halt::new(e.kind(), e.to_string())
    }
}
