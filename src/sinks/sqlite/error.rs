//! Why a database cannot be opened or written.

use super::layout::FORMAT;
use crate::sinks::append::AppendError;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A database that cannot be opened or written, and why.
#[derive(Debug, thiserror::Error)]
pub(in crate::sinks) enum SqliteError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] AppendError),
    #[error("sqlite {}: {problem}", path.display())]
    Database { path: PathBuf, problem: DatabaseProblem },
}

/// What is wrong with a database, and what to do.
#[derive(Debug, thiserror::Error)]
pub(in crate::sinks) enum DatabaseProblem {
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    #[error("is not a SQLite database; choose another path")]
    NotSqlite,
    #[error("is a database of another program; choose another path")]
    OfAnotherProgram,
    #[error("is not a regular file, or a symbolic link, which is not followed; name the file itself")]
    NotRegular,
    #[error("{0}; choose another path")]
    Unusable(#[source] rusqlite::Error),
    #[error("{0}; move it away, and `minutely repair --yes` makes it anew from the log")]
    Damaged(#[source] rusqlite::Error),
    #[error("{0}; choose another path")]
    Unidentified(#[source] io::Error),
    #[error("its folder cannot be synchronized: {0}")]
    FolderNotDurable(#[source] io::Error),
    /// Which number.
    #[error("{0}")]
    OutOfRange(&'static str),
    #[error("says nothing of its format; choose another path")]
    NoFormat,
    #[error("has format {0}, and this version writes format {FORMAT}; choose another path")]
    UnknownFormat(i64),
    #[error("its table {0} was made by another program; choose another name (?table=NAME)")]
    TableOfAnotherProgram(String),
    #[error(
        "its table {table} belongs to {theirs}, and this is job {ours}: two jobs in one table would overwrite each other's \
         rows; give this one another file, or another table (sqlite:{path}?table=NAME), or make the table its own with \
         --take-sink"
    )]
    TableOfAnotherJob { table: String, theirs: String, ours: String, path: String },
    #[error(
        "has rows of manifest {newest}, and the state {place} is at manifest {seq}: it is an older copy, whose rows would be \
         refused there; restore the newest copy, or start over from the log (minutely state rebuild)"
    )]
    StateIsOlder { newest: u64, place: String, seq: u64 },
    #[error(
        "has rows up to manifest {newest}, and had those of manifest {known} when the state {place} was written, which are \
         forgotten: restore the database, or start over from the log (minutely state rebuild)"
    )]
    DatabaseIsOlder { newest: u64, known: u64, place: String },
    #[error("{source}; tried for {:.1} s: see who uses it, and to the disk", tried.as_secs_f64())]
    TimedOut { source: rusqlite::Error, tried: Duration },
    #[error("stopped while it was being opened")]
    Stopped,
    #[error(
        "{0}; it is damaged, or another program changed it: undo that, or restore the database, and start again; or move it \
         away and start over from the log (minutely state rebuild)"
    )]
    Broken(#[source] rusqlite::Error),
}

impl DatabaseProblem {
    /// Of the database at this path.
    pub(super) fn at(self, path: &Path) -> SqliteError {
        SqliteError::Database { path: path.to_owned(), problem: self }
    }

    fn kind(&self) -> HaltKind {
        match self {
            DatabaseProblem::StateIsOlder { .. }
            | DatabaseProblem::DatabaseIsOlder { .. }
            | DatabaseProblem::Damaged(_) => HaltKind::Data,
            DatabaseProblem::TimedOut { .. } => HaltKind::Unreachable,
            DatabaseProblem::Broken(_) => HaltKind::Internal,
            _ => HaltKind::Usage,
        }
    }
}

impl From<SqliteError> for Halt {
    fn from(e: SqliteError) -> Self {
        let kind = match &e {
            SqliteError::File(file) => file.kind(),
            SqliteError::Database { problem, .. } => problem.kind(),
        };
        Halt::new(kind, e.to_string())
    }
}
