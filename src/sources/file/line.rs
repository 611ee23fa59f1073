//! One line of a file as a record, and the check that the line read last is still there.

use minutely_dataflows::edge::LastRecordCheck;
use minutely_dataflows::record::{LastRecord, Record};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest line, in bytes, without its end. A longer one is one record that cannot be decoded, of which only the beginning
/// is kept.
pub(super) const LINE_BYTES: usize = 64 << 20;
/// Bytes that are kept of a line that is too long.
pub(super) const BEGINNING: usize = 64 << 10;

/// A line, without its end, as a record.
pub(super) fn record(offset: i64, line: &[u8]) -> Record<'_> {
    Record { offset, key: None, payload: Some(line), ..Record::default() }
}

/// What a state keeps of a line. `byte`: where it begins in its file.
pub(super) fn last_record(offset: i64, line: &[u8], byte: u64) -> LastRecord {
    LastRecord { byte: Some(byte), ..LastRecord::of(&record(offset, line)) }
}

/// What the file holds now where the line that was read last began.
pub(super) fn line_at(path: &Path, was: &LastRecord) -> LastRecordCheck {
    let read = |byte: u64| -> io::Result<LastRecordCheck> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(byte))?;
        let mut line = Vec::new();
        let read = BufReader::new(file).take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = if line.len() > LINE_BYTES { &line[..BEGINNING] } else { line };
        Ok(if read == 0 { LastRecordCheck::Gone } else { LastRecordCheck::Holds(last_record(was.offset, line, byte)) })
    };
    // A file that cannot be read is reported when it is opened.
    was.byte.map_or(LastRecordCheck::Unknown, |byte| read(byte).unwrap_or_default())
}
