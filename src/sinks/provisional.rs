//! A refused start leaves nothing behind: a file that a sink made is removed again, if the run never began.

use super::file_id::FileId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that this run made. Dropping it before the run has begun removes the file.
pub(super) struct ProvisionalFile {
    path: PathBuf,
    file: Option<FileId>,
    begun: Arc<AtomicBool>,
}

impl ProvisionalFile {
    /// None if a file is there already.
    pub(super) fn watch(path: &Path, begun: &Arc<AtomicBool>) -> Option<Self> {
        let nothing = FileId::at(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        nothing.then(|| ProvisionalFile { path: path.to_owned(), file: None, begun: Arc::clone(begun) })
    }

    /// The file has been made.
    pub(super) fn made(mut self) -> Self {
        self.file = FileId::at(&self.path).ok();
        self
    }

    /// Others use the file, too: it stays.
    pub(super) fn keep(&mut self) {
        self.file = None;
    }

    /// Would dropping it now remove the file?
    pub(super) fn is_removed_on_drop(&self) -> bool {
        !self.begun.load(Ordering::Acquire) && self.file.is_some()
    }
}

impl Drop for ProvisionalFile {
    fn drop(&mut self) {
        if self.is_removed_on_drop() && FileId::at(&self.path).ok() == self.file {
            // If it cannot be removed, it is an empty file of this program, which the next run takes.
            drop(std::fs::remove_file(&self.path));
        }
    }
}
