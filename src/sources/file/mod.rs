//! `file:GLOB`: JSON lines in plain files, a partition each, read once from the beginning to the end they had at the start.
//!
//! ```text
//!   file:data/2026/**/*.jsonl        fixed part: data/2026
//!        └─ data/2026/nyse/a.jsonl   partition: nyse/a.jsonl, offsets: line numbers from 0
//! ```
//!
//! A pattern is that of a shell: `*`, `?`, `[a-z]`, and `**` for any folders; names that begin with a dot and symbolic
//! links to folders below `**` are left out. `[[]` is a bracket. A path without a wildcard is one file, and the partition is
//! its name.
//!
//! A name that is not UTF-8 names its partition with `%FF` for each byte that is not (and `%25` for `%`).
//!
//! What it promises: each line is a record, blank ones too, and so is a last line that no line end closes. One of more than
//! 64 MiB is a record that cannot be decoded, and is never in memory as a whole. Compressed files and UTF-16 are refused. Line ends are
//! `\n`; a `\r` before it is white space to JSON. What is appended after the start is left for a later run; so a line that
//! was half written then is a record as it stood. What it does not promise: to notice a file that is rewritten in place
//! while it is read. A file that got shorter stops the run, and so does another line in the place of the line read last, when a
//! run resumes from a state.

mod discovery;
mod error;
mod line;
mod pattern;
mod reader;
#[cfg(test)]
mod tests;

use super::{SourceOptions, Start};
use discovery::Files;
use error::FileError;
use line::line_at;
use minutely_dataflows::edge::{Discovered, Halt, LastRecordCheck, LogProbe, LogSource, PartitionReader, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use pattern::FilePattern;
use reader::{LineReader, ReadSizes};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often a header is looked for that is not there yet, at least.
const HEADER_POLL: Duration = Duration::from_millis(10);

/// All mistakes in what follows `file:`.
pub(super) fn validate(rest: &str) -> Vec<String> {
    FilePattern::parse(rest).err().unwrap_or_default()
}

/// The pattern as an absolute one: which files, from wherever the run is started.
pub(super) fn identity(rest: &str) -> String {
    std::path::absolute(rest).map_or_else(|_| format!("file:{rest}"), |path| format!("file:{}", path.display()))
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
    let files = discovery::discover(&pattern)?;
    if files.is_empty() {
        return Err(FileError::NoMatch { pattern: rest.to_owned() }.into());
    }
    Ok(Arc::new(FileSource { files, announced: AtomicBool::new(false) }))
}

/// The files of a run. One per process.
#[derive(Debug)]
struct FileSource {
    files: Files,
    /// The partitions were returned by `discover`.
    announced: AtomicBool,
}

impl LogSource for FileSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.announced.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = |(name, (_, length)): (&String, &(PathBuf, u64))| {
            let end =
                i64::try_from(*length).map_err(|_| FileError::TooLarge { name: name.clone(), length: *length })?;
            let name = PartitionName { log: name.clone(), number: None };
            Ok(Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: Some(end), log_id: None })
        };
        self.files.iter().map(found).collect()
    }

    fn probe(&self, left: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        let probe = |(name, last): &(PartitionName, Option<LastRecord>)| {
            let (path, _) = self.files.get(&name.log)?;
            let last = last.as_ref().map_or(LastRecordCheck::Unknown, |last| line_at(path, last));
            Some(LogProbe { last, ..LogProbe::default() })
        };
        Ok(left.iter().map(probe).collect())
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

    fn open(&self, partition: &Discovered, _wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let Some((path, length)) = self.files.get(&partition.name.log) else {
            return Err(FileError::Unknown { name: partition.name.to_string() }.into());
        };
        let end = partition.end.and_then(|end| u64::try_from(end).ok()).unwrap_or(*length);
        let file = File::open(path).map_err(|error| FileError::unreadable(path, error))?;
        Ok(Box::new(LineReader::new(file, path.clone(), partition.start, end, ReadSizes::default())))
    }
}
