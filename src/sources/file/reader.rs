//! Reads one file, line by line, up to the end it had when the run started.

use super::error::FileError;
use super::line::{BEGINNING, LINE_BYTES, last_record, record};
use memchr::{memchr, memchr_iter};
use minutely_dataflows::edge::{EndAnswer, Halt, PartitionReader};
use minutely_dataflows::record::{LastRecord, Record};
use minutely_dataflows::time::NextOffset;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

/// Bytes asked of the system at once. Larger ones are no faster; there is a buffer per open file, and hundreds of them.
const BUFFER_BYTES: usize = 256 << 10;

/// How much is read at once, and how long a line may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadSizes {
    /// Asked of the system at once.
    pub(super) buffer: usize,
    /// The longest line, without its end.
    pub(super) line: usize,
}

impl Default for ReadSizes {
    fn default() -> Self {
        ReadSizes { buffer: BUFFER_BYTES, line: LINE_BYTES }
    }
}

/// Reads one file, line by line, up to its recorded end.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    file: R,
    path: PathBuf,
    sizes: ReadSizes,
    /// Nothing is read from here on, in bytes.
    end: u64,
    /// Bytes read from the file so far.
    filled: u64,
    /// What was read and not handed out: `from..to`. No line ends within `from..seen`.
    pub(super) buffer: Vec<u8>,
    from: usize,
    seen: usize,
    to: usize,
    /// Lines to pass before the first that is handed out.
    skip: i64,
    next: NextOffset,
    last: Option<LastRecord>,
    /// A line that is too long, as far as it was read: it is not in the buffer.
    long: Option<LongLine>,
}

/// A line that is longer than lines may be.
#[derive(Debug)]
struct LongLine {
    /// What is kept of it.
    beginning: Vec<u8>,
    /// How long it is, as far as it was read.
    bytes: u64,
    /// Where it begins in the file.
    from: u64,
}

impl<R: Read> LineReader<R> {
    /// A reader of the lines from `start` on. `end`: bytes of the file that are read, whatever it grows to.
    pub(super) fn new(file: R, path: PathBuf, start: NextOffset, end: u64, sizes: ReadSizes) -> Self {
        let (from, seen, to) = (0, 0, 0);
        LineReader {
            file,
            path,
            sizes,
            end,
            filled: 0,
            buffer: Vec::new(),
            from,
            seen,
            to,
            skip: start.0,
            next: start,
            last: None,
            long: None,
        }
    }

    /// Reads more from the file, once.
    fn fill(&mut self) -> Result<(), FileError> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.seen, self.to) = (0, self.seen - self.from, self.to - self.from);
        if self.to == self.buffer.len() {
            self.grow();
        }
        let left = usize::try_from(self.end - self.filled).unwrap_or(usize::MAX);
        let room = self.to..self.buffer.len().min(self.to.saturating_add(left));
        let read = loop {
            match self.file.read(&mut self.buffer[room.clone()]) {
                Ok(0) => return Err(self.shorter()),
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(FileError::ReadFailed { path: self.path.clone(), line: self.next.0, source });
                }
            }
        };
        self.to += read;
        self.filled += u64::try_from(read).expect("a buffer is shorter than 2^64");
        Ok(())
    }

    /// A line fills the buffer: doubles it.
    fn grow(&mut self) {
        let whole = usize::try_from(self.end).unwrap_or(usize::MAX);
        let size = if self.to == 0 { self.sizes.buffer } else { 2 * self.to };
        let longest = self.sizes.line + 1; // with its end
        self.buffer.resize(size.min(longest).min(whole).max(1), 0);
    }

    /// Has no line ended in more bytes than a line may have?
    fn too_long(&self) -> bool {
        self.seen == self.to && self.to - self.from > self.sizes.line
    }

    /// Keeps the beginning of the line that fills the buffer, and gives the buffer back.
    fn begin_long_line(&mut self) {
        let line = &self.buffer[self.from..self.to];
        let (bytes, beginning) = (line.len() as u64, line[..line.len().min(BEGINNING)].to_vec());
        self.long = Some(LongLine { beginning, bytes, from: self.filled - bytes });
        self.buffer = Vec::new();
        (self.from, self.seen, self.to) = (0, 0, 0);
    }

    /// Passes what the buffer holds of a line that is too long, and hands its beginning out where it ends.
    fn pass_long_line(&mut self, each: &mut dyn FnMut(Record<'_>)) -> usize {
        let Some(mut long) = self.long.take() else { return 0 };
        let rest = &self.buffer[self.from..self.to];
        let end = memchr(b'\n', rest);
        long.bytes += end.unwrap_or(rest.len()) as u64;
        self.from += end.map_or(rest.len(), |end| end + 1);
        self.seen = self.from;
        if end.is_none() && self.filled < self.end {
            self.long = Some(long);
            return 0;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return 0;
        }
        let LongLine { beginning, bytes, from } = long;
        each(Record { cut_from: Some(bytes), ..record(self.next.0, &beginning) });
        // As any other, it may grow while it has no line end.
        if end.is_some() {
            self.last = Some(last_record(self.next.0, &beginning, from));
        }
        self.next.0 += 1;
        1
    }

    fn shorter(&self) -> FileError {
        FileError::Shorter { path: self.path.clone(), had: self.end, has: self.filled }
    }

    /// Hands out lines that are in the buffer.
    fn hand_out(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> usize {
        let (mut read, mut last) = (self.pass_long_line(each), None);
        if read == max || self.long.is_some() {
            return read;
        }
        let mut hand_out = |line: &[u8], from: usize| {
            if self.skip > 0 {
                self.skip -= 1;
                return 0;
            }
            each(record(self.next.0, line));
            last = Some((self.next.0, from..from + line.len()));
            self.next.0 += 1;
            1
        };
        let ends = memchr_iter(b'\n', &self.buffer[self.seen..self.to]);
        let base = self.seen;
        self.seen = self.to;
        for end in ends {
            read += hand_out(&self.buffer[self.from..base + end], self.from);
            self.from = base + end + 1;
            if read == max {
                self.seen = self.from;
                break;
            }
        }
        if let Some((offset, line)) = last {
            let byte = self.filled.saturating_sub(self.to as u64) + line.start as u64;
            self.last = Some(last_record(offset, &self.buffer[line], byte));
        }
        // A line without a line end is not remembered: it may grow.
        if read < max && self.filled == self.end && self.from < self.to && self.to - self.from <= self.sizes.line {
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                each(record(self.next.0, &self.buffer[self.from..self.to]));
                self.next.0 += 1;
                read += 1;
            }
            self.from = self.to;
        }
        read
    }
}

impl<R: Read> PartitionReader for LineReader<R> {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if max == 0 || self.ended() {
            return Ok(0);
        }
        let mut read = self.hand_out(max, each);
        if read == 0 && self.filled < self.end {
            self.fill()?;
            read = self.hand_out(max, each);
        }
        if self.too_long() {
            self.begin_long_line();
        }
        if self.filled == self.end && self.from == self.to && self.long.is_none() {
            if self.skip > 0 {
                return Err(FileError::FewerLines { path: self.path.clone(), lines: self.next.0 }.into());
            }
            self.buffer = Vec::new();
            (self.from, self.seen, self.to) = (0, 0, 0);
        }
        Ok(read)
    }

    fn next(&self) -> NextOffset {
        self.next
    }

    fn ended(&self) -> bool {
        self.filled == self.end && self.from == self.to && self.skip == 0 && self.long.is_none()
    }

    fn last(&self) -> Option<LastRecord> {
        self.last
    }

    /// A file has its recorded end, so the question is never answered.
    fn ask_end(&mut self, _urgent: bool) {}

    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }

    fn idle_wait(&self) -> Duration {
        if self.ended() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}
