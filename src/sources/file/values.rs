//! Framing by values: each element of an array at the top, and each other text at the top, is a record. Between records, white
//! space and commas are passed over.
//!
//! A text whose structure is broken is a record that cannot be decoded. It ends where the next line begins as its own line did:
//! with the same white space, then the same bracket; so in a file that is indented, at the next element. Where its line began
//! otherwise, as in a file without line ends, it ends with the file. (Any bracket in it could be a part of it, and a part must never be
//! taken for a record.)

use super::buffer::TextBuffer;
use super::output::{LongRecord, RecordOutput};
use super::scan::{Scanned, ValueScan, is_blank};
use memchr::memchr;

/// The longest beginning of a line that is remembered, in bytes.
const INDENT_BYTES: usize = 256;

/// Where a reader of values is.
#[derive(Debug)]
enum Within {
    /// Between records.
    Nothing,
    /// In a text whose structure is right so far.
    Text(ValueScan),
    /// In a text that is broken.
    BrokenText,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Values {
    in_array: bool,
    within: Within,
    /// What stands on the line in front of the record; none where that is not white space alone.
    indent: Option<Vec<u8>>,
    /// The first byte of the record.
    first: u8,
    /// So many bytes of the buffer's text belong to the record, as far as they were looked at.
    scanned: usize,
    /// A record that is too long, as far as it was read: what was is not in the buffer.
    long: Option<LongRecord>,
    /// A text was broken.
    damaged: bool,
}

impl Values {
    /// At the beginning of a text.
    pub(super) fn new() -> Self {
        Values {
            in_array: false,
            within: Within::Nothing,
            indent: Some(Vec::new()),
            first: 0,
            scanned: 0,
            long: None,
            damaged: false,
        }
    }

    /// At the first byte of a record.
    pub(super) fn at_record() -> Self {
        // There an array is an element: one at the top would be no record.
        Values { in_array: true, ..Values::new() }
    }

    /// Is a record begun of which nothing is in the buffer?
    pub(super) fn is_within_record(&self) -> bool {
        self.long.is_some()
    }

    /// At the end of the text: is an array not closed, of which nothing else is wrong?
    pub(super) fn lacks_its_end(&self) -> bool {
        self.in_array && !self.damaged
    }

    /// Hands out the records that are in the buffer.
    pub(super) fn hand_out(&mut self, buffer: &mut TextBuffer, out: &mut RecordOutput<'_>) {
        let (text, ended, mut from) = (buffer.text(), buffer.ended(), 0);
        while !out.is_full() {
            if matches!(self.within, Within::Nothing) {
                from += self.pass_between(&text[from..]);
                if from == text.len() {
                    break;
                }
                self.begin(text[from]);
            }
            let Some(length) = self.end_of_record(&text[from..], ended) else { break };
            let whole = !matches!(self.within, Within::BrokenText) || from + length < text.len();
            match self.long.take() {
                Some(mut long) => {
                    long.extend(length);
                    out.give_long(&long, whole);
                }
                None => out.give(text, from..from + length, whole),
            }
            from += length;
            (self.within, self.scanned, self.indent) = (Within::Nothing, 0, None);
        }
        out.remember(text, buffer.position());
        buffer.consume(from);
        self.keep_beginning(buffer);
    }

    /// Passes over what stands between records; the bytes that were passed.
    fn pass_between(&mut self, text: &[u8]) -> usize {
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'\n' => self.indent = Some(Vec::new()),
                b'[' if !self.in_array => (self.in_array, self.indent) = (true, None),
                b']' if self.in_array => (self.in_array, self.indent) = (false, None),
                byte if is_blank(*byte) || *byte == b',' => {
                    if let Some(indent) = self.indent.as_mut().filter(|indent| indent.len() < INDENT_BYTES) {
                        indent.push(*byte);
                    } else {
                        self.indent = None;
                    }
                }
                _ => return at,
            }
        }
        text.len()
    }

    /// A record begins with this byte.
    fn begin(&mut self, first: u8) {
        (self.within, self.first, self.scanned) = (Within::Text(ValueScan::new()), first, 0);
    }

    /// How long the record is whose rest `text` begins with; none: more is needed.
    fn end_of_record(&mut self, text: &[u8], ended: bool) -> Option<usize> {
        if let Within::Text(scan) = &mut self.within {
            match scan.scan(&text[self.scanned..]) {
                Scanned::Whole(length) => return Some(self.scanned + length),
                Scanned::More => {
                    self.scanned = text.len();
                    if !ended {
                        return None;
                    }
                    if scan.may_end() {
                        return Some(text.len());
                    }
                }
                Scanned::Broken(at) => self.scanned += at,
            }
            (self.within, self.damaged) = (Within::BrokenText, true);
        }
        self.end_of_broken(text, ended)
    }

    /// The same for a text that is broken: see the module.
    fn end_of_broken(&mut self, text: &[u8], ended: bool) -> Option<usize> {
        let bracket = if self.first == b'[' { b'[' } else { b'{' };
        if let Some(indent) = &self.indent {
            while let Some(end) = memchr(b'\n', &text[self.scanned..]) {
                let end = self.scanned + end;
                let next = &text[end + 1..];
                if next.len() <= indent.len() && !ended {
                    self.scanned = end; // and is looked at again
                    return None;
                }
                if next.strip_prefix(indent.as_slice()).is_some_and(|next| next.first() == Some(&bracket)) {
                    return Some(end);
                }
                self.scanned = end + 1;
            }
        }
        self.scanned = text.len();
        // What is blank behind it is no part of it.
        ended.then(|| text.iter().rposition(|byte| !is_blank(*byte)).map_or(text.len(), |last| last + 1))
    }

    /// Of a record that is longer than records may be, keeps the beginning alone.
    fn keep_beginning(&mut self, buffer: &mut TextBuffer) {
        let is_long = self.long.is_some() || buffer.text().len() > buffer.longest();
        if matches!(self.within, Within::Nothing) || !is_long || self.scanned == 0 {
            return;
        }
        let read = &buffer.text()[..self.scanned];
        match &mut self.long {
            Some(long) => long.extend(read.len()),
            None => self.long = Some(LongRecord::new(read, buffer.position())),
        }
        buffer.consume(self.scanned);
        buffer.shrink();
        self.scanned = 0;
    }
}
