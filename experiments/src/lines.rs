//! Lines of a file, with one buffer, as the product's file source reads them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

const BUFFER_BYTES: usize = 256 << 10;

/// One file's lines.
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
}

impl Lines {
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Lines { file: File::open(path)?, buffer: vec![0; BUFFER_BYTES], from: 0, to: 0, ended: false })
    }

    /// Nothing is left.
    pub fn ended(&self) -> bool {
        self.ended && self.from == self.to
    }

    /// Hands at most `max` lines to `each`, and says how many; 0 at the end, or when a line goes on in the next piece.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is longer than the buffer.
    pub fn read(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> std::io::Result<usize> {
        let mut read = 0;
        let start = self.from;
        for end in memchr::memchr_iter(b'\n', &self.buffer[start..self.to]) {
            each(&self.buffer[self.from..start + end]);
            self.from = start + end + 1;
            read += 1;
            if read == max {
                return Ok(read);
            }
        }
        if read == 0 && !self.ended {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            let taken = self.file.read(&mut self.buffer[self.to..])?;
            self.to += taken;
            self.ended = taken == 0;
            if self.ended && self.to > 0 {
                return Err(std::io::Error::other("the last line does not end, or one is longer than the buffer"));
            }
        }
        Ok(read)
    }
}
