//! A file that only grows, as the appender uses it.

use crate::sinks::file_id::FileId;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// What [`super::Appender`] needs of a file; tests have one that fails on demand.
pub(in crate::sinks) trait AppendFile: Write + Send {
    /// Cuts it back to `len` bytes; the next write appends there.
    ///
    /// # Errors
    /// When the system cannot.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// Returns once what was written survives a power cut.
    ///
    /// # Errors
    /// When that is unknown.
    fn sync(&mut self) -> io::Result<()>;

    /// Which file it is, and its length in bytes; none for what is not a file.
    ///
    /// # Errors
    /// When the system does not say.
    fn found(&self) -> io::Result<Option<(FileId, u64)>>;
}

impl AppendFile for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn found(&self) -> io::Result<Option<(FileId, u64)>> {
        self.metadata().map(|meta| Some((FileId::of(&meta), meta.len())))
    }
}

impl AppendFile for Box<dyn AppendFile> {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        (**self).cut(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn found(&self) -> io::Result<Option<(FileId, u64)>> {
        (**self).found()
    }
}
