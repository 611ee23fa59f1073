//! Opens a file that only grows, for one run alone; and checks before whether that would succeed.

use super::file::AppendFile;
use crate::sinks::file_id::FileId;
use minutely_dataflows::edge::{Halt, HaltKind};
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
pub(in crate::sinks) fn look_writable(what: &str, path: &Path, ours: &Path) -> Result<bool, Halt> {
    let usage = |why: String| Halt::new(HaltKind::Usage, format!("{what} {}: {why}", path.display()));
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            return Err(usage("is a symbolic link, which is not followed; name the file itself".to_owned()));
        }
        Ok(meta) if !meta.is_file() => return Err(usage("is not a regular file; name a file".to_owned())),
        Ok(_) => {
            let opened = OpenOptions::new().read(true).write(true).custom_flags(NO_LINK).open(path);
            return opened.map(|_| true).map_err(|e| usage(format!("{e}; make it writable or choose another path")));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(usage(format!("{e}; choose a path that can be written"))),
    }
    let mut folder = folder_of(path);
    if folder == ours {
        while !folder.exists() && folder.parent().is_some() {
            folder = folder_of(folder);
        }
    }
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(usage(format!("{} is not a folder; choose another path", folder.display()))),
        Err(e) => return Err(usage(format!("its folder {}: {e}; make the folder first", folder.display()))),
    }
    probe(folder).map_err(|e| {
        usage(format!("its folder {} is not writable: {e}; make it writable or choose another path", folder.display()))
    })?;
    Ok(false)
}

/// Checks that [`create`] would succeed; leaves nothing behind.
///
/// # Errors
/// 64, or 65 for a file that is shorter than it was, with what to do.
pub(in crate::sinks) fn look(what: &str, path: &Path, ours: &Path, keep: Option<u64>) -> Result<(), Halt> {
    let len = if look_writable(what, path, ours)? { std::fs::metadata(path).map_or(0, |meta| meta.len()) } else { 0 };
    refuse_content(what, path, len, keep)
}

fn refuse_content(what: &str, path: &Path, len: u64, keep: Option<u64>) -> Result<(), Halt> {
    if let Some(had) = keep.filter(|had| *had > len) {
        let has = match FileId::at(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => "is not there".to_owned(),
            _ => format!("has {len} bytes"),
        };
        let shown = path.display();
        let ways_out = match what {
            "csv" => "restore it as it was (files are rotated by ?rotate=, not by another program), or name another path, which has \
                      what the state still holds and what comes, and have this one forgotten (--forget-sink), or begin anew with another path and --job NAME"
                .to_owned(),
            _ => format!(
                "restore it as it was, or, if what it held is not needed, put as many empty lines in its place \
                 (head -c {had} /dev/zero | tr '\\0' '\\n' >'{shown}'), or begin anew with --job NAME"
            ),
        };
        let why = format!("{what} {shown}: {has} and had {had} bytes when the state was written: {ways_out}");
        return Err(Halt::new(HaltKind::Data, why));
    }
    if len == 0 || keep.is_some() {
        return Ok(());
    }
    let why = format!(
        "{what} {}: holds {len} bytes that are not of this run, and nothing is appended to what others wrote; move it \
         away or choose another path",
        path.display()
    );
    Err(Halt::new(HaltKind::Usage, why))
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
pub(in crate::sinks) fn create(what: &str, path: &Path, claim: FileClaim) -> Result<File, Halt> {
    let keep = claim.keep;
    let full = |e: &io::Error| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let usage = |why: String| Halt::new(HaltKind::Usage, format!("{what} {}: {why}", path.display()));
    let mut file = growing(claim.private).create(true).open(path).map_err(|e| {
        let kind = if full(&e) { HaltKind::Unreachable } else { HaltKind::Usage };
        Halt { kind, ..usage(format!("{e}; choose a path that can be written")) }
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if claim.take_over && keep.is_some() => {
            refuse_content(what, path, file.metadata().map_or(0, |meta| meta.len()), keep)?;
            let copied = displace(&mut file, path, keep.unwrap_or(0), claim.private);
            file = copied.map_err(|e| usage(format!("cannot be taken over: {e}; end the run that writes to it")))?;
        }
        Err(TryLockError::WouldBlock) => {
            return Err(usage("another run is writing to it; choose another path".to_owned()));
        }
        // A file system without locks: the content check below still holds, two runs started at once do not see it.
        Err(TryLockError::Error(e)) => tracing::warn!("{what} {}: cannot be locked: {e}", path.display()),
    }
    let meta = file.metadata().map_err(|e| usage(format!("{e}; choose another path")))?;
    if !meta.is_file() {
        return Err(usage("is not a regular file; name a file".to_owned()));
    }
    refuse_content(what, path, meta.len(), keep)?;
    let cut = AppendFile::cut(&mut file, keep.unwrap_or(0)).and_then(|()| file.sync_all());
    cut.map_err(|e| usage(format!("cannot be cut back to what the state knows: {e}; choose another path")))?;
    sync_folder_of(path).map_err(|e| usage(format!("its folder cannot be synchronized: {e}; choose another path")))?;
    Ok(file)
}
