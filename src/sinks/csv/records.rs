//! The records of a CSV file, line by line, so that a line that is none spoils no other: one without a minute, one that is not UTF-8, and
//! one with a quote that is never closed.

use crate::sinks::stored::minute;
use minutely_dataflows::time::WindowStart;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// A record of several lines has at most so many bytes: a symbol with line ends has fewer.
const MOST_BYTES: usize = 1 << 14;
/// Characters of a line that is none which are shown.
const MOST_SHOWN: usize = 120;

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoRecord {
    pub(super) what: &'static str,
    /// The beginning of the line.
    pub(super) text: String,
}

/// A record, by its minute and its cells; or a line that is none.
pub(super) struct CsvRecord {
    /// Its first line, from 1.
    pub(super) line: u64,
    /// Where that begins, in bytes.
    pub(super) begins: u64,
    pub(super) row: Result<(WindowStart, Vec<String>), NoRecord>,
}

/// See the module.
pub(super) struct CsvRecords {
    file: BufReader<WholeLines>,
    /// Lines that are read and not handed over.
    ahead: VecDeque<CsvLine>,
    /// Lines that are handed over, and their bytes.
    line: u64,
    bytes: u64,
}

/// A line without its end, and its length with it.
struct CsvLine {
    text: Vec<u8>,
    bytes: u64,
}

impl CsvRecords {
    /// `most`: bytes of the file that count.
    pub(super) fn open(path: &Path, most: Option<u64>) -> io::Result<Self> {
        let file = WholeLines::new(File::open(path)?, most);
        Ok(CsvRecords { file: BufReader::with_capacity(1 << 18, file), ahead: VecDeque::new(), line: 0, bytes: 0 })
    }

    /// The names of the columns: the first line's.
    pub(super) fn header(&mut self) -> io::Result<Vec<String>> {
        let line = self.take_line()?.map(|line| line.text).unwrap_or_default();
        Ok(cells_of(&line).unwrap_or_default())
    }

    /// The next record, or line that is none.
    pub(super) fn next(&mut self) -> io::Result<Option<CsvRecord>> {
        loop {
            let Some(CsvLine { text: mut record, bytes }) = self.take_line()? else { return Ok(None) };
            let (line, begins) = (self.line, self.bytes - bytes);
            if record.is_empty() {
                continue;
            }
            let (first, mut more) = (record.len(), Vec::new());
            while !is_closed(&record) && record.len() < MOST_BYTES {
                let Some(next) = self.take_line()? else { break };
                record.push(b'\n');
                record.extend_from_slice(&next.text);
                more.push(next);
            }
            let mut row = row_of(&record);
            if row.is_err() && !more.is_empty() {
                // The first line alone is none: those after it may be records.
                (self.line, self.bytes) = (line, begins + bytes);
                more.into_iter().rev().for_each(|line| self.ahead.push_front(line));
                record.truncate(first);
                row = row_of(&record);
            }
            let row = row.map_err(|what| NoRecord {
                what,
                text: String::from_utf8_lossy(&record).chars().take(MOST_SHOWN).collect(),
            });
            return Ok(Some(CsvRecord { line, begins, row }));
        }
    }

    fn take_line(&mut self) -> io::Result<Option<CsvLine>> {
        let line = match self.ahead.pop_front() {
            Some(line) => line,
            None => {
                let mut text = Vec::new();
                let bytes = self.file.read_until(b'\n', &mut text)? as u64;
                if bytes == 0 {
                    return Ok(None);
                }
                let end = text.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text).len());
                text.truncate(end.unwrap_or(text.len()));
                CsvLine { text, bytes }
            }
        };
        self.line += 1;
        self.bytes += line.bytes;
        Ok(Some(line))
    }
}

/// Are all quotes closed?
fn is_closed(record: &[u8]) -> bool {
    memchr::memchr_iter(b'"', record).count().is_multiple_of(2)
}

fn row_of(record: &[u8]) -> Result<(WindowStart, Vec<String>), &'static str> {
    if !is_closed(record) {
        return Err("has a quote that is not closed");
    }
    let cells = cells_of(record).ok_or("is not UTF-8")?;
    let start = cells.get(1).and_then(|text| minute(text)).ok_or("has no minute in its second column")?;
    Ok((start, cells))
}

/// None: it is not UTF-8.
fn cells_of(record: &[u8]) -> Option<Vec<String>> {
    if !record.contains(&b'"') {
        return Some(std::str::from_utf8(record).ok()?.split(',').map(str::to_owned).collect());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let mut cells = csv::StringRecord::new();
    reader.read_record(&mut cells).ok()?;
    Some(cells.iter().map(str::to_owned).collect())
}

/// A file up to its last line end.
struct WholeLines {
    file: std::io::Take<File>,
    buffer: Vec<u8>,
    given: usize,
    /// Bytes of the buffer up to its last line end.
    whole: usize,
    ended: bool,
}

impl WholeLines {
    /// `most`: bytes of it that count.
    fn new(file: File, most: Option<u64>) -> Self {
        let file = file.take(most.unwrap_or(u64::MAX));
        WholeLines { file, buffer: Vec::new(), given: 0, whole: 0, ended: false }
    }
}

impl Read for WholeLines {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.whole && !self.ended {
            self.buffer.drain(..self.given);
            self.given = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + (1 << 18), 0);
            let read = self.file.read(&mut self.buffer[before..])?;
            self.buffer.truncate(before + read);
            self.ended = read == 0;
            self.whole = memchr::memrchr(b'\n', &self.buffer).map_or(0, |at| at + 1);
        }
        let many = out.len().min(self.whole - self.given);
        out[..many].copy_from_slice(&self.buffer[self.given..self.given + many]);
        self.given += many;
        Ok(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_none_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let good = |symbol: &str| format!("{symbol},2026-01-05T08:20:00Z,1\n");
        let text = [
            "symbol,minute,count\n".to_owned(),
            good("A"),
            "B,notime,1\n".to_owned(),
            good("\"a\nb,\"\"c\"\"\""),
            "\"open,2026-01-05T08:20:00Z,1\n".to_owned(),
            good("C"),
            "\r\n".to_owned(),
            good("D").replace('\n', "\r\n"),
            "E\n".to_owned(),
        ];
        let mut bytes = text.concat().into_bytes();
        bytes.extend_from_slice(b"\xff,2026-01-05T08:20:00Z,1\n");
        bytes.extend_from_slice(good("F").as_bytes());
        bytes.extend_from_slice(b"G,torn");
        std::fs::write(&path, &bytes).unwrap();
        let read = |most: Option<u64>| {
            let mut records = CsvRecords::open(&path, most).unwrap();
            assert_eq!(records.header().unwrap(), ["symbol", "minute", "count"]);
            let mut all = Vec::new();
            while let Some(CsvRecord { line, begins, row }) = records.next().unwrap() {
                let before = memchr::memchr_iter(b'\n', &bytes[..usize::try_from(begins).unwrap()]).count() as u64;
                assert_eq!(before + 1, line, "it begins behind the lines before it");
                all.push((line, row.map(|(_, cells)| cells[0].clone()).map_err(|none| none.what)));
            }
            all
        };
        let (no_minute, open) = ("has no minute in its second column", "has a quote that is not closed");
        let is = |symbol: &str| Ok(symbol.to_owned());
        let want = [
            (2, is("A")),
            (3, Err(no_minute)),
            (4, is("a\nb,\"c\"")),
            (6, Err(open)),
            (7, is("C")),
            (9, is("D")),
            (10, Err(no_minute)),
            (11, Err("is not UTF-8")),
            (12, is("F")),
        ];
        assert_eq!(read(None), want);
        let known = u64::try_from(text[..2].concat().len()).unwrap() + 3;
        assert_eq!(read(Some(known)), want[..1]);
    }
}
