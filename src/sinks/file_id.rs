//! Which file a path names now: a run notices that the file it writes to was deleted, moved or replaced.
//!
//! Asked by path alone: to open a database's file and close it again would drop the locks that SQLite holds on it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// Of what is known of a file.
    pub(super) fn of(meta: &std::fs::Metadata) -> Self {
        FileId(meta.dev(), meta.ino())
    }

    /// Of what this path names; a symbolic link is not followed.
    ///
    /// # Errors
    /// When that cannot be told; `NotFound` when there is nothing.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|meta| FileId::of(&meta))
    }

    /// What is wrong, if this path does not name this file any more.
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
