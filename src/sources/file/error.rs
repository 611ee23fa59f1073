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
    /// A match of a pattern is a pipe, a socket or a device.
    #[error(
        "{0} is not a plain file: leave it out of the pattern; a pipe is read where it is named alone, as in file:{0}",
        .path.display()
    )]
    NotPlain { path: PathBuf },
    /// A match is nothing that records can be read from.
    #[error("{} is {what}: {remedy}", .path.display())]
    NotText { path: PathBuf, what: &'static str, remedy: &'static str },
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
    /// The file ends before the record from which a state resumes.
    #[error(
        "{} has fewer records than the {records} that were read before: it was cut off, or is another file; restore it, or start a new \
         job with what is there (--job NAME), for --accept-changed-log resumes no file that was cut off",
        .path.display()
    )]
    FewerRecords { path: PathBuf, records: i64 },
    /// Compressed data is damaged, cut off, or followed by something else. `record`: the offset that would have come next.
    #[error(
        "{}: its {format} data is damaged or cut off at byte {byte} of the file, where record {record} would be read ({source}); get \
         the whole file again ({test} checks it), or leave it out",
        .path.display()
    )]
    Corrupt { path: PathBuf, format: &'static str, test: &'static str, byte: u64, record: i64, source: io::Error },
    /// What a compressed file or a pipe holds.
    #[error("{} holds what is {what}: leave it out, or write its records as text", .path.display())]
    HoldsNoText { path: PathBuf, what: &'static str },
    /// The system has no thread to read on.
    #[error("no thread to read {} on ({source}): allow more threads (ulimit -u), or read fewer files", .path.display())]
    NoThread { path: PathBuf, source: io::Error },
}

/// Why the text of a file cannot be had: what is in an [`io::Error`] of this room's readers.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// The file ends before its recorded end, both in bytes.
    #[error("{has} bytes instead of {had}")]
    Shorter { had: u64, has: u64 },
    /// The disk or the network.
    #[error(transparent)]
    Disk(io::Error),
    /// Compressed data is not what it should be at this byte.
    #[error("{source}")]
    Corrupt { format: &'static str, test: &'static str, byte: u64, source: io::Error },
    /// It is no text.
    #[error("{what}")]
    NotText { what: &'static str },
}

impl InputError {
    /// Is it one of these?
    pub(super) fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<InputError>())
    }
}

impl From<InputError> for io::Error {
    fn from(error: InputError) -> Self {
        io::Error::other(error)
    }
}

impl FileError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        FileError::Unreadable { path: path.to_owned(), source }
    }

    /// Reading failed before this record.
    pub(super) fn reading(path: &Path, record: i64, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.downcast::<InputError>() {
            Ok(InputError::Shorter { had, has }) => FileError::Shorter { path, had, has },
            Ok(InputError::Corrupt { format, test, byte, source }) => {
                FileError::Corrupt { path, format, test, byte, record, source }
            }
            Ok(InputError::NotText { what }) => FileError::HoldsNoText { path, what },
            Ok(InputError::Disk(source)) | Err(source) => FileError::ReadFailed { path, line: record, source },
        }
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
            FileError::ReadFailed { .. } | FileError::NoThread { .. } => HaltKind::Unreachable,
            FileError::Shorter { .. }
            | FileError::FewerRecords { .. }
            | FileError::Corrupt { .. }
            | FileError::HoldsNoText { .. } => HaltKind::Data,
            _ => HaltKind::Usage,
        };
        Halt::new(kind, error.to_string())
    }
}
