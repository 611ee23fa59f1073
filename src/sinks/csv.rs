//! `csv:PATH`: one file, a header, then every row that is taken, appended in the order of the rounds.
//!
//! Durable up to the last stored round. After a crash the file may end with rows of a round that was not stored, or
//! in the middle of a line: a run that goes on with the state cuts it back to the last round that the state knows.

use super::append::{self, Appender, Place};
use super::port::{Health, Leave, Stop};
use super::{RowWriter, SinkOptions};
use crate::text::CsvText;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes that are gathered before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// Writes rows to a file.
pub(super) struct CsvWriter<P = File> {
    text: CsvText,
    pending: Vec<u8>,
    file: Appender<P>,
}

/// Makes the file, with its header.
///
/// # Errors
/// 64 when it cannot be ours.
pub(super) fn open(path: &Path, options: &SinkOptions, health: Arc<Health>, stop: Stop) -> Result<CsvWriter, Halt> {
    let file: File = append::create("csv", path, options.claim())?;
    CsvWriter::new(file, path, options, health, stop).map_err(|e| {
        let why = format!("csv {}: {e}; make room or choose another path", path.display());
        Halt::new(HaltKind::Unreachable, why)
    })
}

impl<P: Place> CsvWriter<P> {
    fn new(mut place: P, path: &Path, options: &SinkOptions, health: Arc<Health>, stop: Stop) -> io::Result<Self> {
        let text = CsvText::new(options.market, options.windowing);
        let mut len = options.position.unwrap_or(0);
        if len == 0 {
            let header = text.header().as_bytes();
            if let Err(e) = place.write_all(header) {
                place.cut(0)?; // lest what is left of it be taken for somebody else's
                return Err(e);
            }
            len = u64::try_from(header.len()).expect("a usize fits a u64");
        }
        let file = Appender::new(place, len, path, health, stop);
        Ok(CsvWriter { text, pending: Vec::new(), file })
    }

    fn write(&mut self) -> Result<(), Leave> {
        if !self.pending.is_empty() {
            self.file.append(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}

impl<P: Place> RowWriter for CsvWriter<P> {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), Leave> {
        self.text.rows(rows, &mut self.pending);
        if self.pending.len() >= GATHER_BYTES { self.write() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<Option<u64>, Leave> {
        self.write()?;
        self.file.sync()?;
        Ok(Some(self.file.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::append::tests::SmallDisk;
    use super::*;
    use crate::sinks::testing::{options, poll, row, store_all, temp};
    use crate::sinks::{open, port::RowPort};
    use minutely_dataflows::edge::{RowBatch, SinkPort};

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
             A,1970-01-01T00:00:00Z,2,201,100.5,final\nB,1970-01-01T00:01:00Z,1,100.5,100.5,final\n"
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
        assert!(CsvWriter::new(disk.clone(), Path::new("x"), &options, Health::new("csv"), Stop::new()).is_err());
        assert_eq!(disk.content(), b"");
    }

    #[test]
    fn a_full_disk_holds_the_round_and_loses_nothing() {
        let (disk, health, stop) = (SmallDisk::new(60), Health::new("csv"), Stop::new());
        let options = options(Path::new("."));
        let writer = CsvWriter::new(disk.clone(), Path::new("x.csv"), &options, health.clone(), stop.clone()).unwrap();
        let mut port = RowPort::start("csv", options.wake, stop, Box::new(writer)).unwrap();
        port.offer(RowBatch { round: 1, seq: 1, rows: vec![row("A", 0, 1)], last: true }).unwrap();
        poll("trouble is told", || health.trouble().is_some());
        assert_eq!(port.stored(), Ok(None));
        disk.0.lock().unwrap().1 = 1_000;
        poll("the round is stored", || port.stored().unwrap().map(|stored| stored.at) == Some(1));
        assert_eq!(
            String::from_utf8(disk.content()).unwrap(),
            "symbol,minute,count,sum,avg,state\nA,1970-01-01T00:00:00Z,1,100.5,100.5,final\n"
        );
    }
}
