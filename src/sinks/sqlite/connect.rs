//! Connections, and what their errors mean.

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How long SQLite itself waits for a lock; a stop waits as long.
pub(super) const BUSY: Duration = Duration::from_millis(250);

pub(super) fn connect(path: &Path, more: OpenFlags) -> Result<Connection, rusqlite::Error> {
    // `./`, so that a name such as `:memory:` is a file. No URI flag, for the same reason.
    let plain = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let db = Connection::open_with_flags(plain, flags)?;
    db.busy_timeout(BUSY)?;
    Ok(db)
}

/// May a retry succeed? Else the run ends.
pub(super) fn is_transient(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OperationInterrupted,
        OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | SystemIoFailure
                | CannotOpen
                | OutOfMemory
                | ReadOnly
                | PermissionDenied
                | FileLockingProtocolFailed
                | OperationInterrupted
        )
    )
}
