//! A part of a file as a record, and as a state remembers it.

use minutely_dataflows::record::{LastRecord, Record};

/// The longest record, in bytes: a line without its end. A longer one is one record that cannot be decoded, of which only the beginning
/// is kept.
pub(super) const RECORD_BYTES: usize = 64 << 20;
/// Bytes that are kept of a record that is too long.
pub(super) const BEGINNING: usize = 64 << 10;

/// A line, without its end, or a JSON text, as a record.
pub(super) fn record(offset: i64, line: &[u8]) -> Record<'_> {
    Record { offset, payload: Some(line), ..Record::default() }
}

/// What a state keeps of a record. `byte`: where it begins in its file, or in the text of a file that is converted.
pub(super) fn last_record(offset: i64, line: &[u8], byte: u64) -> LastRecord {
    LastRecord { byte: Some(byte), ..LastRecord::of(&record(offset, line)) }
}
