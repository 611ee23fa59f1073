//! How far a compressed file was decompressed.

use std::io::{self, BufRead, BufReader, Read};

/// Compressed bytes that are asked of the system at once.
const COMPRESSED_BYTES: usize = 64 << 10;

/// A compressed file that knows how much of it was taken.
pub(super) struct Counted {
    file: BufReader<Box<dyn Read + Send>>,
    consumed: u64,
}

impl Counted {
    pub(super) fn new(file: Box<dyn Read + Send>) -> Self {
        Counted { file: BufReader::with_capacity(COMPRESSED_BYTES, file), consumed: 0 }
    }

    /// Bytes that were taken.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(room)?;
        self.consumed += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, taken: usize) {
        self.consumed += taken as u64;
        self.file.consume(taken);
    }
}
