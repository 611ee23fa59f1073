//! Appends the lines that a file lacks, for the state's owner alone: a run cuts the file back to the position that the state knows.
//!
//! A file that is shorter than that, or is cut off within a line there, is made anew beside it: its whole lines, and what they lack.
//! Order, so that `kill -9` at any point leaves a file that the next run takes as it is, or refuses as it did before:
//!
//! ```text
//!   a torn line is cut off ─> the new file is durable ─> the state knows its length ─> it takes the old one's name
//!   (shorter than known:      (beside; refused)          (the old one is shorter:       (as known)
//!    a run refuses it)                                    a run refuses it)
//! ```

use super::error::{CsvError, SeriesProblem};
use super::rotate::{FileSeries, SeriesPosition};
use super::{CsvTarget, CsvWriter, open};
use crate::sinks::append::{self, AppendError, FileUse};
use crate::sinks::options::{RowWriter, SinkOptions};
use crate::sinks::repair::{RepairBatch, RepairWriter};
use crate::threads::{Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// See the module.
pub(in crate::sinks) struct CsvRepair {
    writer: CsvWriter,
    health: std::sync::Arc<Health>,
    /// Where the file is made anew; none where lines are appended.
    anew: Option<NewFile>,
}

/// A file that is made anew.
struct NewFile {
    beside: PathBuf,
    path: PathBuf,
    /// Which file of a series it is; none of one that has no series.
    number: Option<u64>,
}

/// The file that a state knows last.
struct KnownFile {
    path: PathBuf,
    /// Bytes of it that the state knows.
    len: u64,
    number: Option<u64>,
}

impl KnownFile {
    /// None where the state knows no line yet.
    fn of(target: &CsvTarget, options: &SinkOptions) -> Result<Option<Self>, CsvError> {
        let Some(position) = options.position.filter(|position| *position > 0) else { return Ok(None) };
        if target.rotate.is_none() {
            return Ok(Some(KnownFile { path: target.path.clone(), len: position, number: None }));
        }
        let series = FileSeries::new(&target.path);
        let SeriesPosition { number, len } = SeriesPosition::unpack(position);
        let there = series.numbered(number).map_err(|e| SeriesProblem::Unlisted(e).at(&target.path))?;
        let path = there.unwrap_or_else(|| series.member(number, options.clock.wall()).path);
        Ok(Some(KnownFile { path, len, number: Some(number) }))
    }

    /// Bytes of whole lines, of those that the state knows.
    fn whole(&self) -> Result<u64, CsvError> {
        whole_lines(&self.path, self.len).map_err(|e| AppendError::unreadable(FileUse::Csv, &self.path, e).into())
    }
}

/// How many of a file's first bytes are whole lines; 0 for one that is not there.
fn whole_lines(path: &Path, most: u64) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let mut end = file.metadata()?.len().min(most);
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(1 << 16);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        file.by_ref().take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

impl CsvRepair {
    /// Is the file shorter than the state knows it, or cut off within a line there?
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::sinks) fn is_behind(target: &CsvTarget, options: &SinkOptions) -> Result<bool, CsvError> {
        let known = KnownFile::of(target, options)?;
        known.map_or(Ok(false), |known| Ok(known.whole()? < known.len))
    }

    /// Opens the file for more lines, or one beside it. For the state's owner.
    ///
    /// # Errors
    /// As [`open`].
    pub(in crate::sinks) fn open(target: &CsvTarget, options: &SinkOptions) -> Result<Self, CsvError> {
        let health = Health::new(format!("csv {}", target.path.display()));
        let known = KnownFile::of(target, options)?;
        let short = known.map(|known| Ok::<_, CsvError>((known.whole()?, known))).transpose()?;
        let Some((whole, known)) = short.filter(|(whole, known)| *whole < known.len) else {
            let writer = open(target, options, health.clone(), Stop::new())?;
            return Ok(CsvRepair { writer, health, anew: None });
        };
        // (Of a series, too: the name of a file that is made again has another time.)
        let mut name = target.path.file_name().unwrap_or_default().to_owned();
        name.push(".repaired");
        let beside = target.path.with_file_name(name);
        append::look_writable(FileUse::Csv, &known.path, &options.data)?;
        let copied = copy_whole_lines(&known.path, &beside, whole);
        copied.map_err(|e| AppendError::unreadable(FileUse::Csv, &known.path, e))?;
        let of_copy = CsvTarget { path: beside.clone(), rotate: None };
        let options = SinkOptions { position: Some(whole), take_over: false, ..options.clone() };
        let writer = open(&of_copy, &options, health.clone(), Stop::new())?;
        Ok(CsvRepair { writer, health, anew: Some(NewFile { beside, path: known.path, number: known.number }) })
    }

    fn done<T>(&self, outcome: Result<T, WriterExit>) -> Result<T, Halt> {
        outcome.map_err(|exit| match exit {
            WriterExit::Halt(halt) => halt,
            WriterExit::Stopped => Halt::new(HaltKind::Unreachable, format!("{}: stopped", self.health.name())),
        })
    }
}

/// Cuts a torn line off, and copies what is before it. What an earlier attempt left beside is written over.
fn copy_whole_lines(path: &Path, beside: &Path, whole: u64) -> io::Result<()> {
    match std::fs::remove_file(beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut copy = append::growing(false).create_new(true).open(beside)?;
    if whole > 0 || path.exists() {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.set_len(whole)?;
        file.sync_all()?;
        io::copy(&mut file.by_ref().take(whole), &mut copy)?;
    }
    copy.sync_all()
}

impl RepairWriter for CsvRepair {
    /// Lines that do not belong there stay: nothing is taken out of a file that only grows.
    fn write(&mut self, batch: &RepairBatch) -> Result<(), Halt> {
        let written = self.writer.rows(0, &batch.rows);
        self.done(written)
    }

    fn finish(&mut self, _is_whole: bool) -> Result<Option<u64>, Halt> {
        let stored = self.writer.store();
        let position = self.done(stored)?;
        let of_series = |number: u64, len: u64| SeriesPosition { number, len }.pack();
        let number = self.anew.as_ref().and_then(|anew| anew.number);
        Ok(position.map(|len| number.map_or(len, |number| of_series(number, len))))
    }

    fn settle(&mut self) -> Result<(), Halt> {
        let Some(NewFile { beside, path, .. }) = &self.anew else { return Ok(()) };
        let named = std::fs::rename(beside, path).and_then(|()| append::sync_folder_of(path));
        let why = |e: io::Error| format!("csv {}: {e}; repair it again", path.display());
        named.map_err(|e| Halt::new(HaltKind::Unreachable, why(e)))
    }
}
