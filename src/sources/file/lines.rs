//! Framing by lines: each is a record, blank ones too, and so is a last one that no line end closes.

use super::buffer::TextBuffer;
use super::output::{LongRecord, RecordOutput};
use memchr::{memchr, memchr_iter};
use std::ops::Range;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A `\r` before a line end is no part of its record.
    without_cr: bool,
    /// No line ends in so many bytes of the text.
    seen: usize,
    /// A line that is too long, as far as it was read: it is not in the buffer.
    long: Option<LongRecord>,
}

impl Lines {
    pub(super) fn new(without_cr: bool) -> Self {
        Lines { without_cr, ..Lines::default() }
    }

    /// Hands out the lines that are in the buffer.
    pub(super) fn hand_out(&mut self, buffer: &mut TextBuffer, out: &mut RecordOutput<'_>) {
        self.pass_long_line(buffer, out);
        if out.is_full() || self.long.is_some() {
            return;
        }
        let (text, mut from) = (buffer.text(), 0);
        let mut seen = text.len();
        for end in memchr_iter(b'\n', &text[self.seen..]) {
            let end = self.seen + end;
            out.give(text, self.record(text, from..end), true);
            from = end + 1;
            if out.is_full() {
                seen = from;
                break;
            }
        }
        // A line without a line end may be longer once the file has grown.
        if !out.is_full() && buffer.ended() && from < text.len() && text.len() - from <= buffer.longest() {
            out.give(text, self.record(text, from..text.len()), false);
            from = text.len();
        }
        out.remember(text, buffer.position());
        self.seen = seen - from.min(seen);
        buffer.consume(from);
        // No line has ended in more bytes than a line may have.
        if self.seen == buffer.text().len() && self.seen > buffer.longest() {
            self.long = Some(LongRecord::new(buffer.text(), buffer.position()));
            buffer.consume(self.seen);
            buffer.shrink();
            self.seen = 0;
            if buffer.ended() {
                self.pass_long_line(buffer, out);
            }
        }
    }

    /// Passes what the buffer holds of a line that is too long, and hands its beginning out where it ends.
    fn pass_long_line(&mut self, buffer: &mut TextBuffer, out: &mut RecordOutput<'_>) {
        let Some(mut long) = self.long.take() else { return };
        let text = buffer.text();
        let end = memchr(b'\n', text);
        long.extend(end.unwrap_or(text.len()));
        buffer.consume(end.map_or(text.len(), |end| end + 1));
        if end.is_none() && !buffer.ended() {
            self.long = Some(long);
            return;
        }
        out.give_long(&long, end.is_some());
    }

    /// Is a record begun of which nothing is in the buffer?
    pub(super) fn is_within_record(&self) -> bool {
        self.long.is_some()
    }

    /// The record of a line, which has no end here.
    #[inline]
    fn record(&self, text: &[u8], line: Range<usize>) -> Range<usize> {
        let cr = self.without_cr && line.end > line.start && text[line.end - 1] == b'\r';
        line.start..line.end - usize::from(cr)
    }
}
