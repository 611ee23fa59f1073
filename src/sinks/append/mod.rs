//! A file that only grows, and that no other program writes to: for CSV rows and dead letters.
//!
//! A failed write is cut off again and repeated until there is room, so the file holds whole writes only. A failed
//! fsync ends the run: the system may have dropped what it could not write, and a second fsync would not say so.
//!
//! Before and after each write, and every few seconds, it is checked that the path still names the file and that the file
//! has the length that the last write left. A file that others delete, move, cut or write to is not written to any further,
//! and what was written to a file without a name does not count as stored. No symbolic link is followed.

mod error;
mod file;
mod open;

pub(super) use error::{AppendError, FileUse};
pub(super) use file::AppendFile;
pub(super) use open::{FileClaim, create, folder_of, growing, look, look_writable, remove, sync_folder_of};

use crate::threads::{Backoff, Health, Stop, WriterExit};
use error::NotDurable;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Appends whole writes, each tried until it succeeds.
pub(super) struct Appender<P = File> {
    file: P,
    path: PathBuf,
    /// Bytes of whole writes.
    len: u64,
    health: Arc<Health>,
    stop: Stop,
}

impl<P: AppendFile> Appender<P> {
    /// Appends to a file of `len` bytes.
    pub(super) fn new(file: P, len: u64, path: &Path, health: Arc<Health>, stop: Stop) -> Self {
        Appender { file, path: path.to_owned(), len, health, stop }
    }

    /// Writes the first bytes of an empty file in one attempt; what a failed attempt left is cut off.
    ///
    /// # Errors
    /// When the system cannot.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            self.file.cut(0)?; // so that what is left of it is not taken for another program's
            return Err(e);
        }
        self.len = u64::try_from(bytes.len()).expect("a usize fits a u64");
        Ok(())
    }

    /// The file's length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`]; trouble with the disk is waited out.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        let mut whole = true;
        loop {
            self.wait_until_there(whole)?;
            let tried = if whole { Ok(()) } else { self.file.cut(self.len) }.and_then(|()| self.file.write_all(bytes));
            match tried {
                Ok(()) => break,
                Err(e) => {
                    whole = false;
                    self.health.set_trouble(format!("{}: {e}", self.path.display()));
                    backoff.wait(&self.stop)?;
                }
            }
        }
        self.len += u64::try_from(bytes.len()).expect("a usize fits a u64");
        self.health.clear_trouble();
        Ok(())
    }

    /// Returns once all writes are durable, in a file that the path names.
    ///
    /// # Errors
    /// When it is unknown whether they are.
    pub(super) fn sync(&mut self) -> Result<(), WriterExit> {
        let synced = self.file.sync();
        synced.map_err(|source| WriterExit::Halt(NotDurable { path: self.path.clone(), source }.into()))?;
        self.wait_until_there(true)?;
        self.health.clear_trouble();
        Ok(())
    }

    /// Nothing is to be written: checks the file and updates the health.
    pub(super) fn idle(&self) {
        match self.missed(true) {
            Some(why) => self.health.set_trouble(why),
            None => self.health.clear_trouble(),
        }
    }

    /// Waits while the path names another file or none, and while the file has another length than the last write left.
    fn wait_until_there(&self, whole: bool) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        while let Some(why) = self.missed(whole) {
            self.health.set_trouble(why);
            backoff.wait(&self.stop)?;
        }
        Ok(())
    }

    /// What is wrong, if others deleted, moved, cut or wrote to the file. `whole`: no write failed half-way.
    fn missed(&self, whole: bool) -> Option<String> {
        let path = self.path.display();
        let (file, len) = match self.file.found() {
            Ok(found) => found?,
            Err(e) => return Some(format!("{path}: {e}")),
        };
        if let Some(why) = file.missed_at(&self.path) {
            return Some(why);
        }
        let had = self.len;
        match len.cmp(&had) {
            std::cmp::Ordering::Less => Some(format!(
                "{path}: has {len} bytes and had {had}: another program cut it while this run writes to it, so rows wait; put \
                 back what it held, or stop this run: the state keeps what is not stored, and the next start says what can \
                 be done"
            )),
            std::cmp::Ordering::Greater if whole => Some(format!(
                "{path}: has {len} bytes, of which another program wrote those after {had}, so rows wait; stop this run and \
                 start it again, which cuts them off"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
