//! Where checkpoints are kept (section 3): a folder with objects and a chain of manifests.
//!
//! ```text
//!   state/lock                  the owner, for its life
//!   state/object/000002-001-…   objects: written once, named by generation
//!   state/manifest/000…017      manifests: created once, each naming its parent's hash
//! ```
//!
//! A manifest is committed when it was created, nobody else had created one of its number, and its parent was still
//! there afterwards. What a manifest needed and its child does not is deleted; the last manifests stay, so that a run
//! that was taken over cannot create one of their numbers again. Trouble with the disk is waited out.
//!
//! What it does not promise: anything against somebody who changes files by hand. Damage is found by hashes and named.

mod folder;
mod ports;

use folder::Folder;
use minutely_dataflows::checkpoint::{Manifest, ObjectRef};
use minutely_dataflows::edge::{Halt, HaltKind, ManifestPort, ObjectPort, StateStore, Wake};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A state that was found, and is this run's to go on with.
pub(crate) struct Opened {
    /// For the workers.
    pub(crate) store: Arc<dyn StateStore>,
    /// The newest manifest, if there is one.
    pub(crate) head: Option<Manifest>,
    path: PathBuf,
    /// Held for the owner's life.
    _lock: Option<File>,
}

/// Opens the state as its owner.
///
/// # Errors
/// 64: the folder cannot be used. 65: what is there is damaged. 78: another run owns it.
pub(crate) fn open(path: &Path, take_over: bool) -> Result<Opened, Halt> {
    let unusable = |e: std::io::Error| {
        let why = format!("--state {}: {e}; make it writable or choose another folder", path.display());
        Halt::new(HaltKind::Usage, why)
    };
    std::fs::create_dir_all(path).map_err(unusable)?;
    // What no manifest needs is deleted: never in a folder that is somebody else's.
    let empty = std::fs::read_dir(path).map_err(unusable)?.next().is_none();
    if !empty && !path.join("lock").exists() {
        let why = format!("--state {}: holds what is no state of minutely; choose another folder", path.display());
        return Err(Halt::new(HaltKind::Usage, why));
    }
    let lock = lock(path, take_over)?;
    let folder = Folder::open(path)?;
    folder.refuses_a_second_create()?;
    Ok(Opened { head: folder.head()?, store: Arc::new(Store(path.to_owned())), path: path.to_owned(), _lock: lock })
}

/// The newest manifest of a state that may be another run's, or not there at all. Leaves nothing behind.
///
/// # Errors
/// As [`open`].
pub(crate) fn peek(path: &Path) -> Result<Option<Manifest>, Halt> {
    if path.exists() { Folder::open(path)?.head() } else { Ok(None) }
}

/// Opens a state that process 0 of this run owns.
///
/// # Errors
/// As [`open`], and 64 where there is none.
pub(crate) fn join(path: &Path) -> Result<Manifest, Halt> {
    Folder::open(path)?.head()?.ok_or_else(|| {
        let why =
            format!("--state {}: process 0 has no state there: all processes are to see one folder", path.display());
        Halt::new(HaltKind::Usage, why)
    })
}

/// For the workers of this process.
pub(crate) fn store(path: &Path) -> Arc<dyn StateStore> {
    Arc::new(Store(path.to_owned()))
}

/// Takes the lock, or says who has it.
fn lock(path: &Path, take_over: bool) -> Result<Option<File>, Halt> {
    let at = path.join("lock");
    let fail = |e: std::io::Error| Halt::new(HaltKind::Usage, format!("{}: {e}; make it writable", at.display()));
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&at).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if take_over => {
            tracing::warn!("{}: taken over; who has it can commit no more", path.display());
            return Ok(None);
        }
        Err(TryLockError::WouldBlock) => {
            let owner = std::fs::read_to_string(&at).unwrap_or_default();
            let why = format!(
                "--state {}: {} owns it: stop that run, or give this one another --job; --take-over goes on with the \
                 state of a run that hangs",
                path.display(),
                if owner.is_empty() { "another run" } else { owner.trim() }
            );
            return Err(Halt::new(HaltKind::Fenced, why));
        }
        // A file system without locks: a second owner is noticed at its first manifest.
        Err(TryLockError::Error(e)) => tracing::warn!("{}: cannot be locked: {e}", at.display()),
    }
    file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(fail)?;
    Ok(Some(file))
}

impl Opened {
    /// Publishes this run's first manifest; only then may anything else be written, and what no manifest needs goes.
    ///
    /// # Errors
    /// 69: it cannot be written. 78: another run did it first.
    pub(crate) fn begin(&self, manifest: &Manifest) -> Result<(), Halt> {
        let folder = Folder::open(&self.path)?;
        folder.publish(manifest.seq, &manifest.encode(), &[], &folder::Never)?;
        folder.keep_only(&manifest.objects().map(|object| object.name.clone()).collect());
        Ok(())
    }

    /// The way to go on from this manifest.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn manifests(&self, from: &Manifest, wake: Wake) -> Result<Box<dyn ManifestPort + Send>, Halt> {
        Ok(Box::new(ports::Manifests::start(&self.path, from, wake)?))
    }
}

struct Store(PathBuf);

impl StateStore for Store {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        Folder::open(&self.0)?.object(object)
    }

    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        Ok(Box::new(ports::Objects::start(&self.0, wake)?))
    }
}

#[cfg(test)]
mod tests;
