//! Hands records out: passes those before the start, numbers the others, and remembers the last.

use super::record::{BEGINNING, last_record, record};
use minutely_dataflows::record::{LastRecord, Record};
use minutely_dataflows::time::NextOffset;
use std::ops::Range;

/// Where a reader is in its partition.
#[derive(Debug)]
pub(super) struct Place {
    /// Records to pass before the first that is handed out.
    pub(super) skip: i64,
    pub(super) next: NextOffset,
    pub(super) last: Option<LastRecord>,
    /// A record that may be longer once the file has grown is left to a later run.
    pub(super) leaves_unended: bool,
    /// One was left.
    pub(super) left_one: bool,
}

/// One call of a reader.
pub(super) struct RecordOutput<'a> {
    place: &'a mut Place,
    each: &'a mut dyn FnMut(Record<'_>),
    /// Records that may be handed out in this call.
    left: usize,
    /// Records that were.
    pub(super) read: usize,
    /// The last that is remembered: its offset, and its bytes of the text.
    last: Option<(i64, Range<usize>)>,
}

impl<'a> RecordOutput<'a> {
    pub(super) fn new(place: &'a mut Place, max: usize, each: &'a mut dyn FnMut(Record<'_>)) -> Self {
        RecordOutput { place, each, left: max, read: 0, last: None }
    }

    /// Were as many handed out as may be?
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// The next record: these bytes of `text`. `whole`: it will not be longer when the file has grown.
    #[inline]
    pub(super) fn give(&mut self, text: &[u8], bytes: Range<usize>, whole: bool) {
        if self.passes(whole) {
            return;
        }
        (self.each)(record(self.place.next.0, &text[bytes.clone()]));
        self.last = Some((self.place.next.0, bytes));
        self.handed_out();
    }

    /// The next record is too long: its beginning. `whole`: as for [`RecordOutput::give`].
    pub(super) fn give_long(&mut self, long: &LongRecord, whole: bool) {
        if self.passes(whole) {
            return;
        }
        let offset = self.place.next.0;
        (self.each)(Record { cut_from: Some(long.bytes), ..record(offset, &long.beginning) });
        self.last = None;
        self.place.last = Some(last_record(offset, &long.beginning, long.from));
        self.handed_out();
    }

    /// The next record is not handed out: an earlier run had it, or a later one will.
    #[inline]
    fn passes(&mut self, whole: bool) -> bool {
        if self.place.skip > 0 {
            self.place.skip -= 1;
            return true;
        }
        let is_left = self.place.leaves_unended && !whole;
        self.place.left_one |= is_left;
        is_left
    }

    #[inline]
    fn handed_out(&mut self) {
        self.place.next.0 += 1;
        self.left -= 1;
        self.read += 1;
    }

    /// Keeps what is remembered of the last record. `text`: as for [`RecordOutput::give`]; `position`: its first byte's place.
    pub(super) fn remember(&mut self, text: &[u8], position: u64) {
        if let Some((offset, bytes)) = self.last.take() {
            let byte = position + bytes.start as u64;
            self.place.last = Some(last_record(offset, &text[bytes], byte));
        }
    }
}

/// A record that is longer than records may be, as far as it was read: it is not in the buffer.
#[derive(Debug)]
pub(super) struct LongRecord {
    /// What is kept of it.
    beginning: Vec<u8>,
    /// How long it is, as far as it was read.
    bytes: u64,
    /// Where it begins in the text.
    from: u64,
}

impl LongRecord {
    /// `text`: what was read of it; it begins at the byte `from`.
    pub(super) fn new(text: &[u8], from: u64) -> Self {
        LongRecord { beginning: text[..text.len().min(BEGINNING)].to_vec(), bytes: text.len() as u64, from }
    }

    /// So many bytes more were read of it.
    pub(super) fn extend(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}
