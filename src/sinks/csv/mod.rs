//! `csv:PATH[?rotate=1d|100MB]`: one file, or a series of files, each with a header; rows are appended in the order of the
//! rounds.
//!
//! Durable up to the last stored round. After a crash the file may end with rows of a round that was not stored, or
//! in the middle of a line: a run that resumes from the state cuts it back to the last round that the state knows.

mod amended;
mod error;
mod read_back;
mod records;
mod repair;
mod rotate;

pub(super) use amended::AmendedCsv;
pub(super) use read_back::StoredCsv;
pub(super) use repair::CsvRepair;
pub(super) use rotate::{RotationRule, SeriesPosition};

use crate::clock::SystemClock;
use crate::sinks::append::{self, AppendError, AppendFile, Appender, FileClaim, FileUse};
use crate::sinks::options::{RowWriter, SinkOptions};
use crate::sinks::provisional::ProvisionalFile;
use crate::text::{Columns, CsvText};
use crate::threads::{Backoff, Health, Stop, WriterExit};
use error::{CsvError, SeriesProblem};
use minutely_dataflows::derived::GROUP_COLUMNS;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::Windowing;
use rotate::{FileSeries, SeriesFile};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are gathered before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// A file, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CsvTarget {
    pub(super) path: PathBuf,
    pub(super) rotate: Option<RotationRule>,
}

/// Writes rows to a file.
pub(super) struct CsvWriter<P = Box<dyn AppendFile>> {
    text: CsvText,
    /// Of the next file of a series; taken once that is begun.
    next_text: Option<CsvText>,
    pending: Vec<u8>,
    file: Appender<P>,
    rotation: Option<Rotation<P>>,
    _made: Option<ProvisionalFile>,
}

/// The file of a series that is written to, and what is needed to open the next.
struct Rotation<P> {
    series: FileSeries,
    rotate: RotationRule,
    member: SeriesFile,
    clock: SystemClock,
    health: Arc<Health>,
    stop: Stop,
    create: fn(&Path, FileClaim) -> Result<P, AppendError>,
}

/// Checks that [`open`] would succeed; leaves nothing behind.
///
/// # Errors
/// 64, with what to do; 65 when the state says that there was more.
pub(super) fn look(target: &CsvTarget, options: &SinkOptions) -> Result<(), CsvError> {
    let (path, keep) = match target.rotate {
        None => (target.path.clone(), options.position),
        Some(_) => {
            let (member, _) = FileSeries::new(&target.path).begin(options.position, options.clock.wall())?;
            (member.path, options.position.map(|position| SeriesPosition::unpack(position).len))
        }
    };
    Ok(append::look(FileUse::Csv, &path, &options.data, keep)?)
}

/// Makes the file, with its header.
///
/// # Errors
/// As [`look`].
pub(super) fn open(
    target: &CsvTarget,
    options: &SinkOptions,
    health: Arc<Health>,
    stop: Stop,
) -> Result<CsvWriter, CsvError> {
    look(target, options)?;
    let mut claim = options.claim();
    let mut path = target.path.clone();
    let mut rotation = None;
    if let Some(rotate) = target.rotate {
        let series = FileSeries::new(&path);
        let (member, after) = series.begin(options.position, options.clock.wall())?;
        claim.keep = options.position.map(|position| SeriesPosition::unpack(position).len);
        path.clone_from(&member.path);
        rotation = Some((after, (series, rotate, member)));
    }
    let made = ProvisionalFile::watch(&path, &options.begun);
    let file = create(&path, claim)?;
    let made = made.map(ProvisionalFile::made);
    let rotation = match rotation {
        None => None,
        Some((after, (series, rotate, member))) => {
            series.remove(&after, options.take_over)?;
            let (health, stop) = (health.clone(), stop.clone());
            Some(Rotation { series, rotate, member, clock: options.clock, health, stop, create })
        }
    };
    let keep = claim.keep.unwrap_or(0);
    let file = Appender::new(file, keep, &path, health, stop);
    let columns = columns_of(&path, keep, options);
    let columns = columns.map_err(|e| AppendError::unreadable(FileUse::Csv, &path, e))?;
    let writer = CsvWriter::new(file, columns, options).map_err(|e| SeriesProblem::NoHeader(e).at(&path))?;
    Ok(CsvWriter { rotation, _made: made, ..writer })
}

fn create(path: &Path, claim: FileClaim) -> Result<Box<dyn AppendFile>, AppendError> {
    append::create(FileUse::Csv, path, claim).map(|file| Box::new(file) as Box<dyn AppendFile>)
}

/// The columns of a file of which the state knows so many bytes: a version without derived columns may have begun it, or
/// a run with groups or without, and then a file has those columns to its end.
fn columns_of(path: &Path, keep: u64, options: &SinkOptions) -> io::Result<Columns> {
    let columns = options.columns.clone();
    if keep == 0 {
        return Ok(columns);
    }
    let begun = begun_with(path, &columns, options.windowing)?;
    let Some(begun) = begun.filter(|begun| *begun != columns) else { return Ok(columns) };
    let lacks = |named: bool, names: &[String]| if named { Vec::new() } else { names.to_vec() };
    let derived = lacks(begun.derived == columns.derived, &columns.derived);
    let groups = lacks(begun.groups || !columns.groups, &GROUP_COLUMNS.map(str::to_owned));
    let lacking = [derived, groups].concat().join(", ");
    if !lacking.is_empty() {
        let path = path.display();
        tracing::warn!(
            "csv {path}: was begun without the columns {lacking}, and goes on without them; a new file would have them"
        );
    }
    Ok(begun)
}

/// The columns that the first line of a file has; none where it is no line that a run with these columns may have begun it with.
fn begun_with(path: &Path, columns: &Columns, windowing: Windowing) -> io::Result<Option<Columns>> {
    let (with, without) = (columns.clone(), Columns { derived: Vec::new(), ..columns.clone() });
    let others = [with.clone(), without.clone()].map(|known| Columns { groups: !known.groups, ..known });
    let known = [with, without].into_iter().chain(others);
    let known: Vec<_> = known.map(|known| (CsvText::new(&known, windowing).header(), known)).collect();
    let longest = known.iter().map(|(header, _)| header.len()).max().unwrap_or_default();
    let mut first = Vec::new();
    File::open(path)?.take(longest as u64).read_to_end(&mut first)?;
    let begun = known.into_iter().find(|(header, _)| first.starts_with(header.as_bytes()));
    Ok(begun.map(|(_, begun)| begun))
}

/// Is the first line of a file one that this job writes? A file without a whole line has none yet.
fn begins_as_ours(path: &Path, columns: &Columns, windowing: Windowing) -> io::Result<bool> {
    if begun_with(path, columns, windowing)?.is_some() {
        return Ok(true);
    }
    let mut first = Vec::new();
    File::open(path)?.take(1 << 16).read_to_end(&mut first)?;
    Ok(!first.contains(&b'\n'))
}

impl<P: AppendFile> CsvWriter<P> {
    fn new(mut file: Appender<P>, columns: Columns, options: &SinkOptions) -> io::Result<Self> {
        let text = CsvText::new(&columns, options.windowing);
        if file.len() == 0 {
            file.begin(text.header().as_bytes())?;
        }
        let next_text = CsvText::new(&options.columns, options.windowing);
        Ok(CsvWriter { text, next_text: Some(next_text), pending: Vec::new(), file, rotation: None, _made: None })
    }

    fn write(&mut self) -> Result<(), WriterExit> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Some(rotation) = &mut self.rotation
            && let Some(mut next) = rotation.next(&mut self.file)?
        {
            if let Some(text) = self.next_text.take() {
                self.text = text;
            }
            next.append(self.text.header().as_bytes())?;
            self.file = next;
        }
        self.file.append(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl<P: AppendFile> Rotation<P> {
    /// Opens the next file if this one is full; all of this one is durable then.
    fn next(&mut self, file: &mut Appender<P>) -> Result<Option<Appender<P>>, WriterExit> {
        let now = self.clock.wall();
        if !self.rotate.is_due(self.member.begun, file.len(), now) || !self.position(file).has_next() {
            return Ok(None);
        }
        file.sync()?;
        let member = self.series.member(self.member.number + 1, now);
        let mut backoff = Backoff::of_files();
        let next = loop {
            match (self.create)(&member.path, FileClaim::default()) {
                Ok(file) => break file,
                Err(e) if e.is_transient() => self.health.set_trouble(e.to_string()),
                Err(e) => return Err(Halt::from(e).into()),
            }
            backoff.wait(&self.stop)?;
        };
        self.member = member;
        Ok(Some(Appender::new(next, 0, &self.member.path, self.health.clone(), self.stop.clone())))
    }

    fn position(&self, file: &Appender<P>) -> SeriesPosition {
        SeriesPosition { number: self.member.number, len: file.len() }
    }
}

impl<P: AppendFile> RowWriter for CsvWriter<P> {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), WriterExit> {
        self.text.rows(rows, &mut self.pending);
        // Where the files of a series are small, no more than one file is gathered.
        let gather = match self.rotation.as_ref().map(|rotation| rotation.rotate) {
            Some(RotationRule::Bytes(bytes)) => {
                usize::try_from(bytes).map_or(GATHER_BYTES, |bytes| bytes.min(GATHER_BYTES))
            }
            _ => GATHER_BYTES,
        };
        if self.pending.len() >= gather { self.write() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<Option<u64>, WriterExit> {
        self.write()?;
        self.file.sync()?;
        let position = self.rotation.as_ref().map(|rotation| rotation.position(&self.file).pack());
        Ok(Some(position.unwrap_or(self.file.len())))
    }

    fn idle(&mut self) -> Result<(), WriterExit> {
        self.file.idle();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::append::tests::SmallDisk;
    use crate::sinks::testing::{options, poll, row, store_all, temp};
    use crate::sinks::{open, port::RowPort};
    use minutely_dataflows::edge::{HaltKind, RowBatch, SinkPort};

    #[test]
    fn rows_are_appended_below_one_header() {
        let dir = temp();
        let uri = format!("csv:{}", dir.path().join("out.csv").display());
        let mut sinks = open(&uri, &options(dir.path())).unwrap();
        assert_eq!(sinks.len(), 1);
        store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
        store_all(&mut *sinks[0].port, 2, &[row("A", 0, 2), row("B", 60, 1)]);
        let text = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
        assert_eq!(
            text,
            "symbol,minute,count,sum,avg,state\nA,1970-01-01T00:00:00Z,1,100.5,100.5,final\n\
             A,1970-01-01T00:00:00Z,2,201.0,100.5,final\nB,1970-01-01T00:01:00Z,1,100.5,100.5,final\n"
        );
        assert_eq!(open(&uri, &options(dir.path())).map(drop).unwrap_err().kind, HaltKind::Usage);
        drop(sinks);
        let halt = open(&uri, &options(dir.path())).map(drop).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("move it away"), "{halt}");
        assert_eq!(std::fs::read_to_string(dir.path().join("out.csv")).unwrap(), text);
    }

    #[test]
    fn a_disk_that_is_full_at_the_start_is_told_at_once() {
        let disk = SmallDisk::new(10);
        let options = options(Path::new("."));
        let file = Appender::new(disk.clone(), 0, Path::new("x"), Health::new("csv"), Stop::new());
        assert!(CsvWriter::new(file, Columns::default(), &options).is_err());
        assert_eq!(disk.content(), b"");
    }

    #[test]
    fn a_full_disk_holds_the_round_and_loses_nothing() {
        let (disk, health, stop) = (SmallDisk::new(60), Health::new("csv"), Stop::new());
        let options = options(Path::new("."));
        let file = Appender::new(disk.clone(), 0, Path::new("x.csv"), health.clone(), stop.clone());
        let writer = CsvWriter::new(file, Columns::default(), &options).unwrap();
        let mut port = RowPort::start("csv", options.wake, stop, Box::new(writer)).unwrap();
        port.offer(RowBatch { round: 1, seq: 1, rows: vec![row("A", 0, 1)], last: true }).unwrap();
        poll("trouble is shown", || health.trouble().is_some());
        assert_eq!(port.stored(), Ok(None));
        disk.0.lock().unwrap().1 = 1_000;
        poll("the round is stored", || port.stored().unwrap().map(|stored| stored.at) == Some(1));
        assert_eq!(
            String::from_utf8(disk.content()).unwrap(),
            "symbol,minute,count,sum,avg,state\nA,1970-01-01T00:00:00Z,1,100.5,100.5,final\n"
        );
    }

    /// Whatever a run that was killed had begun, the files one after the other are what one file would have been.
    #[test]
    fn a_series_is_one_file_in_pieces_wherever_a_run_ends() {
        let mut rng = crate::sinks::testing::seed();
        for _ in 0..20 {
            let dir = temp();
            let path = dir.path().join("out.csv");
            let target = CsvTarget { path, rotate: Some(RotationRule::Bytes(rng.u64(200..2_000))) };
            let (mut known, mut want) = (Some(0), String::new());
            for run in 0..6 {
                let options = SinkOptions { position: known, ..options(dir.path()) };
                look(&target, &options).unwrap();
                let mut opened = None;
                // A lock outlives its file for an instant where another test starts a program just then.
                poll("the files are free", || {
                    let writer = super::open(&target, &options, Health::new("csv"), Stop::new());
                    let is_locked = writer.as_ref().is_err_and(|error| format!("{error:?}").contains("Locked"));
                    opened = Some(writer);
                    !is_locked
                });
                let mut writer = opened.unwrap().unwrap();
                for round in 0..rng.i64(0..8) {
                    let rows: Vec<_> =
                        (0..rng.i64(1..20)).map(|n| row(&format!("S{run}"), round * 60, n + 1)).collect();
                    writer.rows(1, &rows).unwrap();
                    let position = writer.store().unwrap();
                    if rng.u8(..3) > 0 {
                        // The state knows this round, and with it all before it.
                        known = position;
                        want = text(dir.path());
                    }
                }
                if rng.bool() {
                    writer.rows(1, &[row("torn", 0, 1)]).unwrap();
                    writer.write().unwrap();
                }
                drop(writer);
            }
            let options = SinkOptions { position: known, ..options(dir.path()) };
            drop(super::open(&target, &options, Health::new("csv"), Stop::new()));
            assert_eq!(text(dir.path()), want);
        }
    }

    /// All files of a folder, one after the other, without their headers.
    fn text(folder: &Path) -> String {
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| path.to_string_lossy().rsplit_once('-').map(|(_, number)| number.to_owned()));
        let text = paths.iter().map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.strip_prefix("symbol,minute,count,sum,avg,state\n").expect("each has a header").to_owned()
        });
        text.collect()
    }
}
