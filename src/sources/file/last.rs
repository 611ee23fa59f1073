//! Is the record that was read last still where it was?

use super::buffer::{Filled, Input, ReadSizes, TextBuffer};
use super::container::PREFIX;
use super::framing::{self, FramedBy};
use super::reader::RecordReader;
use super::record::last_record;
use super::text::{self, Bounded, ReadBytes};
use crate::sources::PayloadKind;
use minutely_dataflows::edge::{LastRecordCheck, PartitionReader};
use minutely_dataflows::record::LastRecord;
use minutely_dataflows::time::NextOffset;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

/// What the file holds now where the record that was read last began. A file that cannot be read is reported when it is opened.
pub(super) fn check(path: &Path, was: &LastRecord, payloads: PayloadKind) -> LastRecordCheck {
    was.byte.map_or(LastRecordCheck::Unknown, |byte| record_at(path, was, byte, payloads).unwrap_or_default())
}

/// A plain file is read from there on; the text of another is made from its beginning.
fn record_at(path: &Path, was: &LastRecord, byte: u64, payloads: PayloadKind) -> io::Result<LastRecordCheck> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let text = text::of_file(file.try_clone()?, length, payloads, &ReadBytes::default())?;
    let is_converted = text.is_converted;
    let mut buffer = TextBuffer::new(Input::Direct(text.bytes), ReadSizes::default(), text.position, length);
    let framed_by = match payloads {
        PayloadKind::Json => framing(&mut buffer)?,
        PayloadKind::Text => FramedBy::Lines,
        PayloadKind::Avro => FramedBy::Lengths,
    };
    // A reader begins in front of the length.
    let from = if framed_by == FramedBy::Lengths { byte.saturating_sub(PREFIX as u64) } else { byte };
    if !is_converted {
        file.seek(SeekFrom::Start(from))?;
        let rest = Input::Direct(Box::new(Bounded::new(file, length, from)));
        buffer = TextBuffer::new(rest, ReadSizes::default(), from, length);
    }
    while buffer.position() < from {
        let passed = usize::try_from(from - buffer.position()).unwrap_or(usize::MAX).min(buffer.text().len());
        buffer.consume(passed);
        if passed == 0 && buffer.fill()? == Filled::End {
            return Ok(LastRecordCheck::Gone);
        }
    }
    let mut reader = RecordReader::within(path.to_owned(), buffer, NextOffset(was.offset), framed_by, payloads);
    let mut found = None;
    while found.is_none() && !reader.ended() {
        let read = reader.read(1, &mut |record| {
            found = record.payload.map(|payload| remembered(was, payload, byte));
        });
        read.map_err(|halt| io::Error::other(halt.why))?;
    }
    Ok(found.map_or(LastRecordCheck::Gone, LastRecordCheck::Holds))
}

/// As it is remembered. One that had no line end then may have both bytes of one now.
fn remembered(was: &LastRecord, payload: &[u8], byte: u64) -> LastRecord {
    let found = |payload| last_record(was.offset, payload, byte);
    payload.strip_suffix(b"\r").map(found).filter(|without| without == was).unwrap_or_else(|| found(payload))
}

/// How the text is taken apart, which is at its beginning.
fn framing(buffer: &mut TextBuffer) -> io::Result<FramedBy> {
    loop {
        if let Some(framed_by) = framing::decide(buffer.text(), buffer.ended()) {
            return Ok(framed_by);
        }
        buffer.fill()?;
    }
}
