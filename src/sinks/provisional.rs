//! A refused start leaves nothing behind: a file that a sink made goes again, if the run never began.

use super::file_id::FileId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that this run made. Dropped before the run has begun, it removes the file.
pub(super) struct ProvisionalFile {
    path: PathBuf,
    file: Option<FileId>,
    begun: Arc<AtomicBool>,
}

impl ProvisionalFile {
    /// For a path that names nothing yet.
    pub(super) fn watch(path: &Path, begun: &Arc<AtomicBool>) -> Option<Self> {
        let nothing = FileId::at(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        nothing.then(|| ProvisionalFile { path: path.to_owned(), file: None, begun: Arc::clone(begun) })
    }

    /// The file is there now.
    pub(super) fn made(mut self) -> Self {
        self.file = FileId::at(&self.path).ok();
        self
    }

    /// It is not only this run's any more.
    pub(super) fn keep(&mut self) {
        self.file = None;
    }

    /// Would the file go?
    pub(super) fn goes(&self) -> bool {
        !self.begun.load(Ordering::Acquire) && self.file.is_some()
    }
}

impl Drop for ProvisionalFile {
    fn drop(&mut self) {
        if self.goes() && FileId::at(&self.path).ok() == self.file {
            // It stays, then; and is an empty one of ours, which the next run takes.
            drop(std::fs::remove_file(&self.path));
        }
    }
}
