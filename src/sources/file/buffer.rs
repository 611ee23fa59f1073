//! What was read of a text and not handed out yet.

use super::ahead::Ahead;
use super::record::RECORD_BYTES;
use super::text::Bytes;
use std::io::{self, ErrorKind, Read};

/// Bytes asked of the system at once. Larger ones are no faster; there is a buffer per open file, and hundreds of them.
const BUFFER_BYTES: usize = 256 << 10;

/// How much is read at once, and how long a record may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadSizes {
    /// Asked of the system at once.
    pub(super) buffer: usize,
    /// The longest record, a line without its end.
    pub(super) record: usize,
}

impl Default for ReadSizes {
    fn default() -> Self {
        ReadSizes { buffer: BUFFER_BYTES, record: RECORD_BYTES }
    }
}

/// Where text comes from.
pub(super) enum Input {
    /// What never waits long: a file, or what is made of one.
    Direct(Bytes),
    /// What may wait, or takes time: read on a thread of its own.
    Ahead(Ahead),
}

/// What [`TextBuffer::fill`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// There is more text.
    More,
    /// Nothing at present: the worker is woken when there is.
    Nothing,
    /// The text is at its end.
    End,
}

/// What was read of a text and not handed out yet.
pub(super) struct TextBuffer {
    input: Input,
    sizes: ReadSizes,
    /// The most bytes that there are, about: a buffer is not larger.
    most: u64,
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// The byte of the text that `from` is.
    position: u64,
    ended: bool,
}

impl TextBuffer {
    /// Nothing is read yet. `position`: the byte of the text that `input` begins with; `most`: bytes that there are, about.
    pub(super) fn new(input: Input, sizes: ReadSizes, position: u64, most: u64) -> Self {
        TextBuffer { input, sizes, most, bytes: Vec::new(), from: 0, to: 0, position, ended: false }
    }

    /// The longest record, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.sizes.record
    }

    /// What is there and not handed out.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// The byte of the text that [`TextBuffer::text`] begins with.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Is there nothing behind [`TextBuffer::text`]?
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// The first `length` bytes are done with.
    pub(super) fn consume(&mut self, length: usize) {
        self.from += length;
        self.position += length as u64;
        if self.from == self.to && self.ended {
            self.bytes = Vec::new();
            (self.from, self.to) = (0, 0);
        }
    }

    /// Gives the memory of a long record back. Only where nothing is left.
    pub(super) fn shrink(&mut self) {
        if self.from == self.to && self.bytes.len() > self.sizes.buffer {
            self.bytes = Vec::new();
            (self.from, self.to) = (0, 0);
        }
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.bytes.len()
    }

    /// Reads more, once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        if self.ended {
            return Ok(Filled::End);
        }
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.to == self.bytes.len() {
            self.grow();
        }
        let room = &mut self.bytes[self.to..];
        let read = match &mut self.input {
            Input::Direct(bytes) => Some(read(bytes, room)?),
            Input::Ahead(ahead) => ahead.read(room)?,
        };
        match read {
            None => Ok(Filled::Nothing),
            Some(0) => {
                self.ended = true;
                self.consume(0);
                Ok(Filled::End)
            }
            Some(read) => {
                self.to += read;
                Ok(Filled::More)
            }
        }
    }

    /// Text fills the buffer: doubles it. There is room for one byte more than there should be, so that the end is seen.
    fn grow(&mut self) {
        let most = usize::try_from(self.most).unwrap_or(usize::MAX).saturating_add(1).max(self.to + 1);
        let size = if self.to == 0 { self.sizes.buffer } else { 2 * self.to };
        let longest = self.sizes.record + 1; // a line with its end
        self.bytes.resize(size.min(longest).min(most).max(self.to + 1), 0);
    }
}

/// Reads once, whatever signals come.
fn read(bytes: &mut Bytes, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match bytes.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
