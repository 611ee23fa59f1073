//! `file:-` and named pipes: a log that can be read once. It ends where its writer ends it, and no later run can resume it.

use super::ahead::Ahead;
use super::buffer::{Input, ReadSizes, TextBuffer};
use super::error::FileError;
use super::reader::{Concerns, RecordReader};
use super::text::{self, Bytes};
use crate::sources::PayloadKind;
use minutely_dataflows::edge::{Discovered, Halt, LogSource, PartitionReader, UNKNOWN_END, Wake};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdin,
    Pipe(PathBuf),
}

impl Stream {
    /// What follows `file:`, where that is stdin or a named pipe. Looks at the file system.
    pub(super) fn of(rest: &str) -> Option<Self> {
        if Stream::is_stdin(rest) {
            return Some(Stream::Stdin);
        }
        let is_pipe = fs::metadata(rest).is_ok_and(|found| found.file_type().is_fifo());
        is_pipe.then(|| Stream::Pipe(rest.into()))
    }

    /// Is it stdin, by its name?
    pub(super) fn is_stdin(rest: &str) -> bool {
        matches!(rest, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
    }

    fn path(&self) -> PathBuf {
        match self {
            Stream::Stdin => PathBuf::from("stdin"),
            Stream::Pipe(path) => path.clone(),
        }
    }

    /// Its partition's name.
    fn name(&self) -> String {
        match self {
            Stream::Stdin => "-".to_owned(),
            Stream::Pipe(path) => path.file_name().map_or("-".into(), |name| name.to_string_lossy().into_owned()),
        }
    }
}

/// A stream as a log of one partition. One per process; process 0 alone reads it.
pub(super) struct StreamSource {
    stream: Stream,
    payloads: PayloadKind,
    announced: AtomicBool,
    concerns: Concerns,
}

impl StreamSource {
    /// Nothing is read yet.
    pub(super) fn new(stream: Stream, payloads: PayloadKind) -> Self {
        StreamSource { stream, payloads, announced: AtomicBool::new(false), concerns: Concerns::default() }
    }
}

impl LogSource for StreamSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.announced.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let name = PartitionName { log: self.stream.name(), number: None };
        let end = Some(UNKNOWN_END);
        Ok(vec![Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end, log_id: None }])
    }

    fn concerns(&self) -> Vec<String> {
        crate::threads::lock(&self.concerns).clone()
    }

    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let (stream, path, payloads) = (self.stream.clone(), self.stream.path(), self.payloads);
        let open = move || {
            // A pipe without a writer waits here, on the thread.
            let bytes: Bytes = match &stream {
                Stream::Stdin => Box::new(File::from(std::io::stdin().as_fd().try_clone_to_owned()?)),
                Stream::Pipe(path) => Box::new(File::open(path)?),
            };
            text::of_stream(bytes, payloads)
        };
        let ahead = Ahead::start("read-stream", open, wake)
            .map_err(|source| FileError::NoThread { path: path.clone(), source })?;
        let buffer = TextBuffer::new(Input::Ahead(ahead), ReadSizes::default(), 0, u64::MAX);
        let reader = RecordReader::new(path, buffer, partition.start, payloads, Arc::clone(&self.concerns));
        Ok(Box::new(reader))
    }
}
