//! One amend of a job at a time: two would each write rows without the other's letters, and one letter may not go to the topic and into a row.

use super::error::AmendError;
use minutely_dataflows::edge::Halt;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The lock's name, in the job's folder.
const LOCK: &str = "amend.lock";

/// Held for as long as rows or corrected records may be written.
pub(crate) struct AmendLock(#[expect(dead_code, reason = "it is locked while it is open")] Option<File>);

impl AmendLock {
    /// Takes it.
    ///
    /// # Errors
    /// 69: another amend or redrive of the job is under way.
    pub(crate) fn take(folder: &Path) -> Result<Self, Halt> {
        let path = folder.join(LOCK);
        let unusable = |source| AmendError::Unwritable { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(AmendLock(Some(file))),
            Err(TryLockError::WouldBlock) => Err(AmendError::UnderWay { path }.into()),
            // A file system without locks.
            Err(TryLockError::Error(e)) => {
                tracing::warn!("{}: cannot be locked: {e}; run one amend at a time", path.display());
                Ok(AmendLock(None))
            }
        }
    }
}
