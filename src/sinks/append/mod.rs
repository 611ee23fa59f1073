//! A file that only grows, and that nobody else writes to: what CSV rows and dead letters go to.
//!
//! A failed write is cut off again and repeated until there is room, so the file holds whole writes only. A failed
//! fsync ends the run: the system may have dropped what it could not write, and a second fsync would not say so.
//!
//! Before and after each write, and every few seconds, it is looked whether the path still names the file and whether the
//! file is as long as it was left: what others delete, move, cut or write to is not written on, and what goes to a file
//! without a name is not stored. No symbolic link is followed.

mod file;
mod open;

pub(super) use file::AppendFile;
pub(super) use open::{FileClaim, create, folder_of, growing, look, look_writable, sync_folder_of};

use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Appends whole writes, each tried until it is there.
pub(super) struct Appender<P = File> {
    place: P,
    path: PathBuf,
    /// Bytes of whole writes.
    len: u64,
    health: Arc<Health>,
    stop: Stop,
}

impl<P: AppendFile> Appender<P> {
    /// Appends to a place that holds `len` bytes.
    pub(super) fn new(place: P, len: u64, path: &Path, health: Arc<Health>, stop: Stop) -> Self {
        Appender { place, path: path.to_owned(), len, health, stop }
    }

    /// How many bytes the file has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`]; trouble with the disk is waited out.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        let mut whole = true;
        loop {
            self.wait_until_there(whole)?;
            let tried =
                if whole { Ok(()) } else { self.place.cut(self.len) }.and_then(|()| self.place.write_all(bytes));
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
        self.place.sync().map_err(|e| {
            let why = format!(
                "{}: could not be made durable: {e}; the system may have dropped what was written since the last time, \
                 so the run ends: see to the disk and start again",
                self.path.display()
            );
            WriterExit::Halt(Halt::new(HaltKind::Unreachable, why))
        })?;
        self.wait_until_there(true)?;
        self.health.clear_trouble();
        Ok(())
    }

    /// Nothing is to be written: is the file still there?
    pub(super) fn idle(&self) {
        match self.missed(true) {
            Some(why) => self.health.set_trouble(why),
            None => self.health.clear_trouble(),
        }
    }

    /// Waits while the path names another file or none, and while the file is not what was left of it.
    fn wait_until_there(&self, whole: bool) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        while let Some(why) = self.missed(whole) {
            self.health.set_trouble(why);
            backoff.wait(&self.stop)?;
        }
        Ok(())
    }

    /// What is wrong with the file, if others deleted, moved, cut or wrote to it. `whole`: no write failed half-way.
    fn missed(&self, whole: bool) -> Option<String> {
        let path = self.path.display();
        let (file, len) = match self.place.found() {
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
