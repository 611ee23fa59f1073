//! Framing by lengths: each record has its length before it, as a container file's data have here.

use super::buffer::TextBuffer;
use super::container::{MOST_RECORD, PREFIX};
use super::output::RecordOutput;

/// Hands out the records that are whole in the buffer.
pub(super) fn hand_out(buffer: &mut TextBuffer, out: &mut RecordOutput<'_>) {
    let (text, mut from) = (buffer.text(), 0);
    while !out.is_full() {
        let framed = text[from..].split_first_chunk::<PREFIX>();
        let Some((length, rest)) = framed.map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)) else {
            break;
        };
        // There are whole records alone, unless reading began at a place where none does: that of a record that is gone.
        if length > MOST_RECORD || buffer.ended() && rest.len() < length {
            from = text.len();
            break;
        }
        if rest.len() < length {
            break;
        }
        let start = from + PREFIX;
        out.give(text, start..start + length, true);
        from = start + length;
    }
    if buffer.ended() && text.len() - from < PREFIX {
        from = text.len();
    }
    out.remember(text, buffer.position());
    buffer.consume(from);
}
