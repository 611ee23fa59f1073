//! Why files cannot be read.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The error number of "too many open files" on every Unix.
const TOO_MANY_OPEN: i32 = 24;

/// Why files cannot be read; its text is one paragraph with what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// Mistakes in the pattern, one paragraph each.
    #[error("{}", .0.join("; "))]
    Pattern(Vec<String>),
    /// `--start` is not `earliest`.
    #[error("files are read from their beginning: leave out --start, or give it as earliest")]
    Start,
    /// The pattern matches nothing.
    #[error(
        "no file matches file:{pattern}: check the pattern, which is read from the current folder unless it begins with a \
         slash; a bracket in a name is written [[], and names with a leading dot are left out"
    )]
    NoMatch { pattern: String },
    /// A path without a wildcard is a folder.
    #[error("{0} is a folder: add a pattern, as in file:{0}/*.jsonl", .path.display())]
    Folder { path: PathBuf },
    /// A match is a pipe, a socket or a device.
    #[error("{} is not a plain file, and has no end to read to: leave it out", .path.display())]
    NotPlain { path: PathBuf },
    /// A match is compressed or UTF-16.
    #[error("{} is {what}, and files are read as they are: {remedy}", .path.display())]
    NotLines { path: PathBuf, what: &'static str, remedy: &'static str },
    /// Two files would be the same partition.
    #[error(
        "{} and {} would be one partition, {name}: rename one of them, or leave it out of the pattern",
        .first.display(),
        .second.display()
    )]
    SameName { first: PathBuf, second: PathBuf, name: String },
    /// A file or a folder cannot be opened or listed.
    #[error("{} cannot be read ({source}): {}", .path.display(), remedy(.source))]
    Unreadable { path: PathBuf, source: io::Error },
    /// 2^63 bytes or more.
    #[error("{name} is {length} bytes long, which no file is: leave it out")]
    TooLarge { name: String, length: u64 },
    /// A partition to open is not one of this run's files.
    #[error("{name} was not there when the run started: start again")]
    Unknown { name: String },
    /// Reading failed under way. `line`: the offset that would have come next.
    #[error(
        "{} cannot be read on at line {line} ({source}): see to the disk or the network, then run again",
        .path.display()
    )]
    ReadFailed { path: PathBuf, line: i64, source: io::Error },
    /// The file ends before its recorded end, both in bytes.
    #[error(
        "{} has {has} bytes now and had {had} when the run started: files may grow but not shrink while they are read; restore \
         it, or start a new run with the file as it is",
        .path.display()
    )]
    Shorter { path: PathBuf, had: u64, has: u64 },
    /// The file ends before the line from which a state resumes.
    #[error(
        "{} has fewer lines than the {lines} that were read before: it is not the file it was; restore it, or start a new run",
        .path.display()
    )]
    FewerLines { path: PathBuf, lines: i64 },
}

impl FileError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        FileError::Unreadable { path: path.to_owned(), source }
    }
}

/// What to do about a path that cannot be opened.
fn remedy(error: &io::Error) -> &'static str {
    match (error.raw_os_error(), error.kind()) {
        (Some(TOO_MANY_OPEN), _) => "every file is open while it is read: raise the limit with ulimit -n",
        (_, ErrorKind::PermissionDenied) => "give this user the right to read it",
        _ => "leave it out of the pattern, or make it readable",
    }
}

impl From<FileError> for Halt {
    fn from(error: FileError) -> Self {
        let kind = match error {
            FileError::ReadFailed { .. } => HaltKind::Unreachable,
            FileError::Shorter { .. } | FileError::FewerLines { .. } => HaltKind::Data,
            _ => HaltKind::Usage,
        };
        Halt::new(kind, error.to_string())
    }
}
