//! Which file a path names now, so that a run notices when the file it writes to was deleted, moved or replaced.
//!
//! Found by path alone: opening a database's file and closing it again would drop the locks that SQLite holds on it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// Of this metadata.
    pub(super) fn of(meta: &std::fs::Metadata) -> Self {
        FileId(meta.dev(), meta.ino())
    }

    /// Of the file at this path; a symbolic link is not followed.
    ///
    /// # Errors
    /// When the system does not say; `NotFound` when there is no file.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|meta| FileId::of(&meta))
    }

    /// What is wrong, if this path names another file or none.
    pub(super) fn missed_at(self, path: &Path) -> Option<String> {
        let what = match FileId::at(path) {
            Ok(now) if now == self => return None,
            Ok(_) => "was replaced by another file".to_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => "was deleted or moved".to_owned(),
            Err(e) => return Some(format!("{}: {e}", path.display())),
        };
        Some(format!(
            "{}: {what} while this run writes to it, so rows wait; move it back, or stop this run: the state keeps what is \
             not stored, and the next start says what can be done",
            path.display()
        ))
    }
}
