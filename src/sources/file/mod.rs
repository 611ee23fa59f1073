//! `file:GLOB`: records in files, a partition each, read once from the beginning to the end they had at the start; and `file:-`, what
//! comes on stdin.
//!
//! ```text
//!   file:data/2026/**/*.jsonl        fixed part: data/2026
//!        └─ data/2026/nyse/a.jsonl   partition: nyse/a.jsonl, offsets: numbers of its records from 0
//!
//!   file ─> Bounded ─> text: decompressed, in UTF-8 ─> TextBuffer ─> framing: lines or values ─> records
//!                      └─ on a thread of its own, as what comes through a pipe is (Ahead)
//! ```
//!
//! A pattern is that of a shell: `*`, `?`, `[a-z]`, and `**` for any folders; names that begin with a dot and symbolic
//! links to folders below `**` are left out. `[[]` is a bracket. A path without a wildcard is one file, and the partition is
//! its name; a folder is all files below it.
//!
//! A name that is not UTF-8 names its partition with `%FF` for each byte that is not (and `%25` for `%`).
//!
//! A container file of Avro (`container`) is its data, after its schema, which is record 0.
//!
//! What it promises: each line is a record, blank ones too, and so is a last line that no line end closes; in a file of JSON values
//! that are not one a line (`framing`), each value is. A record of more than 64 MiB cannot be decoded, and is never in memory as a
//! whole. A byte order mark is no part of a record, UTF-16 is read as UTF-8. Line ends are `\n`; a `\r` before it is white space to
//! JSON, and no part of a record of another format. What is appended after the start is left for a later run; so a line that was half
//! written then is a record as it stood. A compressed file that is cut off or damaged stops the run where its whole records end. What
//! it does not promise: to notice a file that is rewritten in place while it is read. A file that got shorter stops the run, and so
//! does another record in the place of the one read last, when a run resumes from a state.

mod ahead;
mod buffer;
mod compression;
mod container;
mod counted;
mod datums;
mod discovery;
mod error;
mod framing;
mod last;
mod lines;
mod lz4;
mod output;
mod pattern;
mod reader;
mod record;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod utf16;
mod values;

use super::{PayloadKind, SourceOptions, Start};
use ahead::{Ahead, Permits};
use buffer::{Input, ReadSizes, TextBuffer};
use discovery::{Files, FoundFile};
use error::FileError;
use minutely_dataflows::edge::{
    Discovered, Halt, LastRecordCheck, LogProbe, LogSource, PartitionReader, ReadProgress, Wake,
};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use pattern::FilePattern;
use reader::{Concerns, RecordReader};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use stream::{Stream, StreamSource};
use text::ReadBytes;

/// How often a header is looked for that is not there yet, at least.
const HEADER_POLL: Duration = Duration::from_millis(10);

/// All mistakes in what follows `file:`.
pub(super) fn validate(rest: &str) -> Vec<String> {
    FilePattern::parse(rest).err().unwrap_or_default()
}

/// The pattern as an absolute one: which files, from wherever the run is started.
pub(super) fn identity(rest: &str) -> String {
    if Stream::is_stdin(rest) {
        return "file:-".to_owned();
    }
    let path = rest.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(rest);
    std::path::absolute(path).map_or_else(|_| format!("file:{path}"), |path| format!("file:{}", path.display()))
}

/// Can it be read once only, so that no later run can resume? `stdin`: it is this process's own.
pub(super) fn read_once(rest: &str) -> Option<ReadOnce> {
    Stream::of(rest).map(|stream| ReadOnce { stdin: stream == Stream::Stdin })
}

/// What can be read once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadOnce {
    /// It is stdin, which each process has its own of.
    pub(crate) stdin: bool,
}

/// Finds the files and records their ends.
///
/// # Errors
/// 64: a wrong pattern or start, no match, or a match that cannot be read.
pub(super) fn open(rest: &str, run: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    let pattern = FilePattern::parse(rest).map_err(FileError::Pattern)?;
    if run.start != Start::Earliest {
        return Err(FileError::Start.into());
    }
    if let Some(stream) = Stream::of(rest) {
        return Ok(Arc::new(StreamSource::new(stream, run.payloads)));
    }
    let files = discovery::discover(&pattern)?;
    if files.is_empty() {
        return Err(FileError::NoMatch { pattern: rest.to_owned() }.into());
    }
    files.values().try_for_each(|file| file.check(run.payloads))?;
    let bytes = files.values().map(|file| file.length).fold(0, u64::saturating_add);
    Ok(Arc::new(FileSource {
        files,
        payloads: run.payloads,
        keep_open: run.keep_open,
        announced: AtomicBool::new(false),
        concerns: Concerns::default(),
        permits: Permits::new(),
        bytes,
        read: ReadBytes::default(),
    }))
}

/// The files of a run. One per process.
struct FileSource {
    files: Files,
    payloads: PayloadKind,
    /// `--keep-open`.
    keep_open: bool,
    /// The partitions were returned by `discover`.
    announced: AtomicBool,
    concerns: Concerns,
    /// For threads that decompress.
    permits: Permits,
    /// How long all of them are, and how much was read of them.
    bytes: u64,
    read: ReadBytes,
}

impl FileSource {
    /// The text of a file's first `end` bytes; what takes time to make is made on a thread, as long as there are few.
    fn text(&self, path: &Path, start: NextOffset, end: u64, wake: Wake) -> Result<TextBuffer, FileError> {
        let file = File::open(path).map_err(|error| FileError::unreadable(path, error))?;
        let text = text::of_file(file, end, self.payloads, &self.read);
        let text = text.map_err(|error| FileError::reading(path, start.0, error))?;
        if !text.is_converted {
            return Ok(TextBuffer::new(Input::Direct(text.bytes), ReadSizes::default(), text.position, end));
        }
        let input = match self.permits.take() {
            Some(permit) => {
                let open = move || Ok(permit.with(text.bytes));
                let ahead = Ahead::start("decompress", open, wake);
                Input::Ahead(ahead.map_err(|source| FileError::NoThread { path: path.to_owned(), source })?)
            }
            None => Input::Direct(text.bytes),
        };
        Ok(TextBuffer::new(input, ReadSizes::default(), text.position, u64::MAX))
    }
}

impl LogSource for FileSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.announced.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = |(name, FoundFile { length, .. }): (&String, &FoundFile)| {
            let end =
                i64::try_from(*length).map_err(|_| FileError::TooLarge { name: name.clone(), length: *length })?;
            let name = PartitionName { log: name.clone(), number: None };
            Ok(Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: Some(end), log_id: None })
        };
        self.files.iter().map(found).collect()
    }

    fn probe(&self, left: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        let probe = |(name, last): &(PartitionName, Option<LastRecord>)| {
            let Some(FoundFile { path, .. }) = self.files.get(&name.log) else { return Ok(None) };
            let Some(was) = last else { return Ok(Some(LogProbe::default())) };
            let last = last::check(path, was, self.payloads);
            if last == LastRecordCheck::Gone {
                // No retention takes records of a file.
                return Err(FileError::FewerRecords { path: path.clone(), records: was.offset + 1 }.into());
            }
            Ok(Some(LogProbe { last, ..LogProbe::default() }))
        };
        left.iter().map(probe).collect()
    }

    fn concerns(&self) -> Vec<String> {
        crate::threads::lock(&self.concerns).clone()
    }

    fn progress(&self) -> Option<ReadProgress> {
        Some(ReadProgress { done: self.read.load(Ordering::Relaxed), total: self.bytes })
    }

    fn record_at(&self, partition: &Discovered, offset: NextOffset) -> Result<Option<Vec<u8>>, Halt> {
        let this = thread::current();
        let mut reader =
            self.open(&Discovered { start: offset, ..partition.clone() }, Arc::new(move || this.unpark()))?;
        let mut found = None;
        while reader.read(1, &mut |record| found = record.payload.map(<[u8]>::to_vec))? == 0 && !reader.ended() {
            // A reader that has to wait calls; one that passes over what is before the record says 0 as well.
            thread::park_timeout(reader.idle_wait().min(HEADER_POLL));
        }
        Ok(found)
    }

    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let Some(FoundFile { path, length, is_compressed, is_container }) = self.files.get(&partition.name.log) else {
            return Err(FileError::Unknown { name: partition.name.to_string() }.into());
        };
        let recorded = partition.end.and_then(|end| u64::try_from(end).ok());
        // A run that was to read a compressed file which was cut off, and resumes now that it is whole, could read no more of it.
        let end = recorded.filter(|_| !*is_compressed && !*is_container).unwrap_or(*length);
        let buffer = self.text(path, partition.start, end, wake)?;
        let concerns = Arc::clone(&self.concerns);
        let reader = RecordReader::new(path.clone(), buffer, partition.start, self.payloads, concerns);
        Ok(Box::new(reader.leaving_unended(self.keep_open)))
    }
}
