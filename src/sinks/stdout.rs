//! `stdout:`, `stdout:json`: rows as CSV or as JSON lines for a pipe. Stored means written. When the reader has closed the
//! pipe, everything counts as stored and [`Health::closed`] says so: the run then ends with 0, as is usual before `head`.

use super::options::{RowWriter, SinkOptions};
use crate::text::{CsvText, JsonText};
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Bytes that are gathered before they are written.
const GATHER_BYTES: usize = 64 * 1024;

/// The form of rows on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StdoutFormat {
    Csv,
    Json,
}

enum RowText {
    Csv(CsvText),
    Json(JsonText),
}

/// Writes rows to a pipe.
pub(super) struct StdoutWriter<W> {
    text: RowText,
    pending: Vec<u8>,
    out: W,
    health: Arc<Health>,
    stop: Stop,
}

/// Why rows cannot be written to standard output.
#[derive(Debug, thiserror::Error)]
pub(super) enum StdoutError {
    #[error("stdout: there is no standard output; name another --sink")]
    Missing,
    #[error("stdout: standard output cannot be written to; name another --sink")]
    ReadOnly,
    #[error("stdout: standard output is closed (to drop all rows, give it as >/dev/null); name another --sink")]
    Closed,
    #[error("there is no standard output: {0}")]
    NotDuplicated(#[source] std::io::Error),
}

impl From<StdoutError> for Halt {
    fn from(e: StdoutError) -> Self {
        Halt::new(HaltKind::Usage, e.to_string())
    }
}

/// Checks that rows can be written there. A standard output that was closed is `/dev/null`, opened to read and to write:
/// Rust's start-up does that, so that no other file gets its number.
///
/// # Errors
/// 64, with what to do.
pub(super) fn look(out: impl AsFd) -> Result<(), StdoutError> {
    let Ok(flags) = rustix::fs::fcntl_getfl(&out) else { return Err(StdoutError::Missing) };
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
    let is_null = rustix::fs::fstat(&out).is_ok_and(|out| null.is_ok_and(|null| null == out.st_rdev));
    match flags & OFlags::RWMODE {
        OFlags::RDONLY => Err(StdoutError::ReadOnly),
        OFlags::RDWR if is_null => Err(StdoutError::Closed),
        _ => Ok(()),
    }
}

/// The process's standard output, unbuffered: how much was written is known also when a write fails half-way.
///
/// # Errors
/// When there is none.
pub(super) fn open(
    form: StdoutFormat,
    options: &SinkOptions,
    health: Arc<Health>,
    stop: Stop,
) -> Result<StdoutWriter<File>, StdoutError> {
    look(std::io::stdout())?;
    let out = std::io::stdout().as_fd().try_clone_to_owned().map_err(StdoutError::NotDuplicated)?;
    Ok(StdoutWriter::new(File::from(out), form, options, health, stop))
}

impl<W: Write + Send> StdoutWriter<W> {
    fn new(out: W, form: StdoutFormat, options: &SinkOptions, health: Arc<Health>, stop: Stop) -> Self {
        let (text, pending) = match form {
            StdoutFormat::Csv => {
                let text = CsvText::new(&options.columns, options.windowing);
                let header = text.header().into_bytes();
                (RowText::Csv(text), header)
            }
            StdoutFormat::Json => (RowText::Json(JsonText::new(&options.columns, options.windowing)), Vec::new()),
        };
        StdoutWriter { text, pending, out, health, stop }
    }

    fn write(&mut self) -> Result<(), WriterExit> {
        let (mut written, mut backoff) = (0, Backoff::of_files());
        while written < self.pending.len() && !self.health.closed() {
            match self.out.write(&self.pending[written..]) {
                Ok(n) if n > 0 => {
                    written += n;
                    self.health.clear_trouble();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::BrokenPipe => self.health.set_closed(),
                Ok(_) => {
                    self.health.set_trouble("standard output takes no bytes".to_owned());
                    backoff.wait(&self.stop)?;
                }
                Err(e) => {
                    self.health.set_trouble(format!("standard output: {e}"));
                    backoff.wait(&self.stop)?;
                }
            }
        }
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write + Send> RowWriter for StdoutWriter<W> {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), WriterExit> {
        match &mut self.text {
            RowText::Csv(text) => text.rows(rows, &mut self.pending),
            RowText::Json(text) => text.rows(rows, &mut self.pending),
        }
        if self.pending.len() >= GATHER_BYTES { self.write() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<Option<u64>, WriterExit> {
        self.write()?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{options, row};
    use std::io;
    use std::path::Path;

    /// Takes three bytes at a time, failing now and then; a broken pipe after `breaks_at` bytes.
    struct Pipe {
        got: Vec<u8>,
        breaks_at: usize,
        calls: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 20 {
                7 => return Err(ErrorKind::Interrupted.into()),
                13 if self.calls < 20 => return Err(ErrorKind::WouldBlock.into()),
                _ => {}
            }
            if self.got.len() >= self.breaks_at {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let taken = bytes.len().min(3);
            self.got.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(breaks_at: usize) -> StdoutWriter<Pipe> {
        let pipe = Pipe { got: Vec::new(), breaks_at, calls: 0 };
        StdoutWriter::new(pipe, StdoutFormat::Csv, &options(Path::new(".")), Health::new("stdout"), Stop::new())
    }

    #[test]
    fn every_byte_once_over_partial_and_failing_writes() {
        let mut writer = writer(usize::MAX);
        writer.rows(1, &[row("A", 0, 1)]).unwrap();
        writer.store().unwrap();
        writer.rows(2, &[row("B", 0, 1)]).unwrap();
        writer.store().unwrap();
        assert_eq!(
            String::from_utf8(writer.out.got).unwrap(),
            "symbol,minute,count,sum,avg,state\nA,1970-01-01T00:00:00Z,1,100.5,100.5,final\n\
             B,1970-01-01T00:00:00Z,1,100.5,100.5,final\n"
        );
        assert!(!writer.health.closed() && writer.health.trouble().is_none());
    }

    #[test]
    fn a_closed_pipe_is_told_and_everything_counts_as_stored() {
        let mut writer = writer(30);
        writer.rows(1, &[row("A", 0, 1)]).unwrap();
        writer.store().unwrap();
        assert!(writer.health.closed());
        writer.rows(2, &[row("B", 0, 1)]).unwrap();
        writer.store().unwrap();
        assert_eq!(writer.out.got.len(), 30);
    }
}
