//! Opens a file that only grows, for one run alone; and checks before whether that would succeed.

use super::error::{AppendError, FileProblem, FileUse};
use super::file::AppendFile;
use crate::sinks::file_id::FileId;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No link is followed: a file of others would be cut, or written to, through it. A pipe is not waited for.
const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// How a file that only grows is opened. At its end: if others cut it between a check and a write, the write would otherwise
/// leave a hole, and the file would have its expected length. `private`: it holds payloads, so its owner alone may read it.
pub(in crate::sinks) fn growing(private: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).custom_flags(NO_LINK);
    if private {
        options.mode(0o600);
    }
    options
}

/// The folder that holds this path.
pub(in crate::sinks) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes the entry of a new file durable.
pub(in crate::sinks) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Checks by making and removing a file: permission bits do not tell of read-only file systems, nor for root.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".minutely-probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    match made {
        Ok(_) => std::fs::remove_file(&path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Checks that a file at this path could be written to; leaves nothing behind. `ours` is a folder that may still be made.
/// Returns whether the file exists.
///
/// # Errors
/// 64, with what to do.
pub(in crate::sinks) fn look_writable(what: FileUse, path: &Path, ours: &Path) -> Result<bool, AppendError> {
    let problem = |problem: FileProblem| AppendError::new(what, path, problem);
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => return Err(problem(FileProblem::SymbolicLink)),
        Ok(meta) if !meta.is_file() => return Err(problem(FileProblem::NotRegular)),
        Ok(_) => {
            let opened = OpenOptions::new().read(true).write(true).custom_flags(NO_LINK).open(path);
            return opened.map(|_| true).map_err(|e| problem(FileProblem::Unwritable(e)));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(problem(FileProblem::Unopenable(e))),
    }
    let mut folder = folder_of(path);
    if folder == ours {
        while !folder.exists() && folder.parent().is_some() {
            folder = folder_of(folder);
        }
    }
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(problem(FileProblem::ParentNotFolder(folder.to_owned()))),
        Err(source) => return Err(problem(FileProblem::ParentMissing { folder: folder.to_owned(), source })),
    }
    probe(folder).map_err(|source| problem(FileProblem::ParentUnwritable { folder: folder.to_owned(), source }))?;
    Ok(false)
}

/// Checks that [`create`] would succeed; leaves nothing behind.
///
/// # Errors
/// 64, or 65 for a file that is shorter than it was, with what to do.
pub(in crate::sinks) fn look(what: FileUse, path: &Path, ours: &Path, keep: Option<u64>) -> Result<(), AppendError> {
    let len = if look_writable(what, path, ours)? { std::fs::metadata(path).map_or(0, |meta| meta.len()) } else { 0 };
    refuse_content(what, path, len, keep)
}

fn refuse_content(what: FileUse, path: &Path, len: u64, keep: Option<u64>) -> Result<(), AppendError> {
    if let Some(had) = keep.filter(|had| *had > len) {
        let is_missing = FileId::at(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        return Err(AppendError::shorter(what, path, (!is_missing).then_some(len), had));
    }
    if len == 0 || keep.is_some() { Ok(()) } else { Err(AppendError::new(what, path, FileProblem::Foreign { len })) }
}

/// How much of a file belongs to the state, and what happens if another run has it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sinks) struct FileClaim {
    /// The bytes that belong to the state; none: the state does not know the file.
    pub(in crate::sinks) keep: Option<u64>,
    /// A run that hangs may have it open: the file is replaced by a copy of what belongs to the state.
    pub(in crate::sinks) take_over: bool,
    /// Its owner alone may read it.
    pub(in crate::sinks) private: bool,
}

/// Replaces a file by a locked copy of its first bytes: a run that still has the old file open writes to a file without a
/// name, which does no harm.
fn displace(file: &mut File, path: &Path, keep: u64, private: bool) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".taken-over-{}", std::process::id()));
    let beside = path.with_file_name(name);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut copy = growing(private).create_new(true).open(&beside)?;
    copy.lock()?;
    file.seek(SeekFrom::Start(0))?;
    let copied = io::copy(&mut file.take(keep), &mut copy);
    let copied = copied.and_then(|_| copy.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    copied.inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    Ok(copy)
}

/// Opens a file for this run alone: a new or empty file; or one that the state knows, which is cut back to what the state
/// knows of it.
///
/// # Errors
/// 64, or 65 for a file that is shorter than it was, with what to do; 69 when the disk is full.
pub(in crate::sinks) fn create(what: FileUse, path: &Path, claim: FileClaim) -> Result<File, AppendError> {
    let keep = claim.keep;
    let problem = |problem: FileProblem| AppendError::new(what, path, problem);
    let opened = growing(claim.private).create(true).open(path);
    let mut file = opened.map_err(|e| problem(FileProblem::Unopenable(e)))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if claim.take_over && keep.is_some() => {
            refuse_content(what, path, file.metadata().map_or(0, |meta| meta.len()), keep)?;
            let copied = displace(&mut file, path, keep.unwrap_or(0), claim.private);
            file = copied.map_err(|e| problem(FileProblem::NotTakenOver(e)))?;
        }
        Err(TryLockError::WouldBlock) => return Err(problem(FileProblem::Locked)),
        // A file system without locks: the content check below still holds, two runs started at once do not see it.
        Err(TryLockError::Error(e)) => tracing::warn!("{what} {}: cannot be locked: {e}", path.display()),
    }
    let meta = file.metadata().map_err(|e| problem(FileProblem::Unreadable(e)))?;
    if !meta.is_file() {
        return Err(problem(FileProblem::NotRegular));
    }
    refuse_content(what, path, meta.len(), keep)?;
    let cut = AppendFile::cut(&mut file, keep.unwrap_or(0)).and_then(|()| file.sync_all());
    cut.map_err(|e| problem(FileProblem::NotCut(e)))?;
    sync_folder_of(path).map_err(|e| problem(FileProblem::ParentNotDurable(e)))?;
    Ok(file)
}

/// Removes a file that the state does not know. None may be open in another run, unless that is to be taken over.
///
/// # Errors
/// 64, with what to do.
pub(in crate::sinks) fn remove(what: FileUse, path: &Path, take_over: bool) -> Result<(), AppendError> {
    let removed = growing(true).open(path).and_then(|file| match file.try_lock() {
        Err(TryLockError::WouldBlock) if !take_over => Err(io::ErrorKind::ResourceBusy.into()),
        _ => std::fs::remove_file(path),
    });
    let removed = removed.and_then(|()| sync_folder_of(path));
    removed.map_err(|e| AppendError::new(what, path, FileProblem::NotRemoved(e)))
}
