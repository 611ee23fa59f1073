//! The lock of a state in a folder: one run at a time owns it.

use super::error::StoreError;
use minutely_dataflows::escape::shortened;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Makes the folder and takes its lock, which is held for as long as the file is open. None: another run has it and is taken
/// over, or the file system has no locks.
///
/// # Errors
/// 64: the folder cannot be used. 69: the disk is full. 78: another run owns it.
pub(super) fn acquire(path: &Path, take_over: bool) -> Result<Option<File>, StoreError> {
    let unusable = |e| StoreError::unusable(path, e);
    make_folder(path).map_err(unusable)?;
    // Objects that no manifest needs are deleted: never in a folder of others.
    let empty = std::fs::read_dir(path).map_err(unusable)?.next().is_none();
    if !empty && !path.join("lock").exists() {
        return Err(StoreError::OtherFiles(path.to_owned()));
    }
    lock(path, take_over)
}

/// Makes the folder, and those it is in. It holds payloads and names, so its owner alone may read it.
fn make_folder(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Opens the lock's file, if it is a regular file: a link could lead to any file.
fn open_lock(at: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a reader would be waited for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let not_ours = || std::io::Error::other("its lock is not a regular file; delete it if no run of minutely made it");
    let file = match options.open(at) {
        Err(_) if at.is_symlink() => return Err(not_ours()),
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_ours()) }
}

/// Takes the lock, or says who has it.
///
/// # Errors
/// As [`acquire`].
pub(super) fn lock(path: &Path, take_over: bool) -> Result<Option<File>, StoreError> {
    let at = path.join("lock");
    let fail = |e| StoreError::unusable(path, e);
    let mut file = open_lock(&at).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if take_over => {
            tracing::warn!("{}: taken over; the run that owned it can commit no more", path.display());
            return Ok(None);
        }
        Err(TryLockError::WouldBlock) => {
            let owner = owner(&file);
            let owner = if owner.is_empty() { "another run" } else { &owner };
            let (place, owner) = (path.display().to_string(), format!("{owner} owns it"));
            return Err(StoreError::Owned { place, owner });
        }
        // A file system without locks: a second owner is noticed at its first manifest.
        Err(TryLockError::Error(e)) => tracing::warn!("{}: cannot be locked: {e}", at.display()),
    }
    file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(fail)?;
    Ok(Some(file))
}

/// The owner that the lock's file names, at most 200 bytes of it.
fn owner(file: &File) -> String {
    let mut text = Vec::new();
    let read = file.take(200).read_to_end(&mut text);
    read.map(|_| shortened(String::from_utf8_lossy(&text).trim())).unwrap_or_default()
}
