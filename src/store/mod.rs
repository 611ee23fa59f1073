//! Where checkpoints are kept (section 3): a folder with objects and a chain of manifests.
//!
//! ```text
//!   state/lock                  the owner, for its life
//!   state/object/000002-001-…   objects: written once, named by generation
//!   state/manifest/000…017      manifests: created once, each naming its parent's hash
//! ```
//!
//! A manifest is committed when it was created and is, looked up after that, the newest
//! ([`minutely_dataflows::checkpoint::Step`]). What a manifest needed and its child does not is deleted; the last manifests
//! stay, so that a run that was taken over cannot create one of their numbers again. Trouble with the disk is waited out.
//!
//! What it does not promise: anything against somebody who changes files by hand, or who restores an older copy (sinks
//! notice some of that: [`crate::sinks`]). Damage is found by hashes and named.

mod check;
mod folder;
mod place;
mod ports;
mod retry;

pub(crate) use check::check;
pub(crate) use place::Place;
pub(crate) use retry::StoreHealth;

use folder::{Folder, Head};
use minutely_dataflows::checkpoint::{Manifest, ObjectRef};
use minutely_dataflows::edge::{Halt, HaltKind, ManifestPort, ObjectPort, StateStore, Wake};
use minutely_dataflows::escape::shortened;
use retry::RetryPolicy;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a store without locks must not have moved before somebody else begins: its owner publishes at least every
/// ten seconds.
pub(crate) const SILENCE: Duration = Duration::from_secs(12);

/// A state that was found, and is this run's to go on with.
pub(crate) struct Opened {
    /// For the workers.
    pub(crate) store: Arc<dyn StateStore>,
    /// The newest manifest, if there is one.
    pub(crate) head: Option<Manifest>,
    /// How the store is.
    pub(crate) health: Arc<StoreHealth>,
    /// The hash of the newest manifest as it was written, which may have been by an older version.
    parent: Option<String>,
    ours: Store,
    /// Held for the owner's life.
    _lock: Option<File>,
}

/// Opens the state as its owner. `limit`: how long trouble with the store is waited out; none for ever.
///
/// # Errors
/// 64: the place cannot be used. 65: what is there is damaged. 69: it does not answer. 78: another run owns it.
pub(crate) fn open(place: &Place, take_over: bool, limit: Option<Duration>) -> Result<Opened, Halt> {
    let lock = match place {
        Place::Folder(path) => own(path, take_over)?,
        Place::Remote(..) => None,
    };
    let folder = Folder::open(place)?;
    if let (Place::Remote(..), false) = (place, take_over) {
        nobody_goes_on(&folder, SILENCE)?;
    }
    folder.refuses_a_second_create()?;
    if lock.is_some() {
        folder.sweep();
    }
    let head = folder.head()?;
    if let Some(Head { manifest, .. }) = &head {
        if let Some(wrong) = folder.chain(manifest.seq)?.first() {
            return Err(wrong.halt());
        }
        // Workers read them again, and so often that once more costs little: what is damaged is to be known before
        // anything is changed, and before files are cut back.
        manifest.objects().try_for_each(|object| folder.object(object, &RetryPolicy::once()).map(drop))?;
    }
    let (head, parent) = head.map(|Head { manifest, hash }| (manifest, hash)).unzip();
    let ours = Store { place: place.clone(), limit, health: Arc::default() };
    let health = Arc::clone(&ours.health);
    Ok(Opened { head, parent, store: Arc::new(ours.clone()), health, ours, _lock: lock })
}

fn unusable(path: &Path, e: &std::io::Error) -> Halt {
    let path = path.display();
    if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return Halt::new(HaltKind::Unreachable, format!("--state {path}: {e}; see to the disk, then start again"));
    }
    Halt::new(HaltKind::Usage, format!("--state {path}: {e}; make it writable or choose another folder"))
}

/// Makes the folder and takes its lock.
fn own(path: &Path, take_over: bool) -> Result<Option<File>, Halt> {
    let unusable = |e: std::io::Error| unusable(path, &e);
    make_folder(path).map_err(unusable)?;
    // What no manifest needs is deleted: never in a folder that is somebody else's.
    let empty = std::fs::read_dir(path).map_err(unusable)?.next().is_none();
    if !empty && !path.join("lock").exists() {
        let why = format!("--state {}: holds what is no state of minutely; choose another folder", path.display());
        return Err(Halt::new(HaltKind::Usage, why));
    }
    lock(path, take_over)
}

/// Looks whether the chain moves, where there is no lock.
fn nobody_goes_on(folder: &Folder, silence: Duration) -> Result<(), Halt> {
    let seq = || Ok::<_, Halt>(folder.manifests()?.last().copied());
    let Some(before) = seq()? else { return Ok(()) };
    let begun = Instant::now();
    while begun.elapsed() < silence {
        std::thread::sleep(silence / 12);
        if let Some(now) = seq()?.filter(|now| *now != before) {
            return Err(folder.owned(&format!("its manifest was {before} and is {now}")));
        }
    }
    Ok(())
}

/// The newest manifest of a state that may be another run's, or not there at all. Leaves nothing behind.
///
/// # Errors
/// As [`open`].
pub(crate) fn peek(place: &Place) -> Result<Option<Manifest>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    Ok(Folder::open(place)?.head()?.map(|head| head.manifest))
}

/// Is this still the newest manifest?
///
/// # Errors
/// As [`open`], and 78 when another run has gone on.
pub(crate) fn unmoved(place: &Place, seq: u64) -> Result<(), Halt> {
    let folder = Folder::open(place)?;
    match folder.manifests()?.last().copied() {
        Some(now) if now != seq => Err(folder.owned(&format!("its manifest was {seq} and is {now}"))),
        _ => Ok(()),
    }
}

/// The newest manifest, as [`peek`] finds it, and when it was written, in seconds since 1970.
///
/// # Errors
/// As [`open`].
pub(crate) fn look(place: &Place) -> Result<Option<(Manifest, Option<i64>)>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    let folder = Folder::open(place)?;
    let Some(Head { manifest, .. }) = folder.head()? else { return Ok(None) };
    let written_at = folder.written_at(&folder::manifest_key(manifest.seq))?;
    Ok(Some((manifest, written_at)))
}

/// Opens a state that process 0 of this run owns.
///
/// # Errors
/// As [`open`], and 64 where there is none.
pub(crate) fn join(place: &Place) -> Result<Manifest, Halt> {
    Folder::open(place)?.head()?.map(|head| head.manifest).ok_or_else(|| {
        let why = format!("--state {place}: process 0 has no state there: all processes are to see one place");
        Halt::new(HaltKind::Usage, why)
    })
}

/// For the workers of this process, whose process 0 owns the state.
pub(crate) fn store(place: &Place, limit: Option<Duration>) -> Arc<dyn StateStore> {
    Arc::new(Store { place: place.clone(), limit, health: Arc::default() })
}

/// Moves a state aside, so that the next run begins a new chain. Says where it is now. `stamp`: what nothing there is
/// called after yet.
///
/// # Errors
/// 64: there is none, or it cannot be moved. 78: a run owns it.
pub(crate) fn rebuild(place: &Place, stamp: &str) -> Result<PathBuf, Halt> {
    let usage = |why: String| Halt::new(HaltKind::Usage, format!("state {place}: {why}"));
    let Some(path) = place.folder() else {
        return Err(usage("is in an object store, where nothing is moved: give --state another prefix".into()));
    };
    if !path.join("lock").exists() {
        return Err(usage("there is none: nothing is to be moved aside".into()));
    }
    let _lock = lock(path, false)?;
    let path = std::path::absolute(path).map_err(|e| usage(e.to_string()))?;
    let name = path.file_name().ok_or_else(|| usage("has no name".into()))?.to_string_lossy().into_owned();
    let free = |n: u32| match n {
        1 => path.with_file_name(format!("{name}.old-{stamp}")),
        n => path.with_file_name(format!("{name}.old-{stamp}-{n}")),
    };
    let aside = (1..).map(free).find(|path| !path.exists()).expect("one of so many is free");
    std::fs::rename(&path, &aside).map_err(|e| usage(format!("cannot be moved to {}: {e}", aside.display())))?;
    Ok(aside)
}

/// Makes the folder, and those it is in. It holds payloads and names: nobody else reads it.
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

/// Opens the file of the lock, and nothing else that somebody put in its place: a link could lead to any file.
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
    let not_ours = || std::io::Error::other("its lock is no regular file: delete it, if no run of minutely made it");
    let file = match options.open(at) {
        Err(_) if at.is_symlink() => return Err(not_ours()),
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_ours()) }
}

/// RowFilter the lock, or says who has it.
fn lock(path: &Path, take_over: bool) -> Result<Option<File>, Halt> {
    let at = path.join("lock");
    let fail = |e: std::io::Error| unusable(path, &e);
    let mut file = open_lock(&at).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if take_over => {
            tracing::warn!("{}: taken over; who has it can commit no more", path.display());
            return Ok(None);
        }
        Err(TryLockError::WouldBlock) => {
            let owner = owner(&file);
            let why = format!(
                "--state {}: {} owns it: stop that run, or give this one another --job; --take-over goes on with the \
                 state of a run that hangs",
                path.display(),
                if owner.is_empty() { "another run" } else { &owner }
            );
            return Err(Halt::new(HaltKind::Fenced, why));
        }
        // A file system without locks: a second owner is noticed at its first manifest.
        Err(TryLockError::Error(e)) => tracing::warn!("{}: cannot be locked: {e}", at.display()),
    }
    file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(fail)?;
    Ok(Some(file))
}

/// What the lock says of who has it, if that is no more than a line.
fn owner(file: &File) -> String {
    let mut text = Vec::new();
    let read = file.take(200).read_to_end(&mut text);
    read.map(|_| shortened(String::from_utf8_lossy(&text).trim())).unwrap_or_default()
}

impl Opened {
    /// What this run goes on with, before anything is changed in it: see [`Manifest::restarted`].
    pub(crate) fn restarted(&self, fresh: impl FnOnce() -> Manifest, run: &str) -> Manifest {
        let head = self.head.clone().unwrap_or_else(fresh);
        Manifest { parent: self.parent.clone(), ..head.restarted(run) }
    }

    /// Publishes this run's first manifest; only then may anything else be written, and what no manifest needs goes.
    ///
    /// # Errors
    /// 69: it cannot be written. 78: another run did it first.
    pub(crate) fn begin(&self, manifest: &Manifest) -> Result<(), Halt> {
        let folder = Folder::open(&self.ours.place)?;
        folder.publish(manifest.seq, &manifest.encode(), &RetryPolicy::once())?;
        folder.keep_only(&manifest.objects().map(|object| object.name.clone()).collect());
        Ok(())
    }

    /// The way to go on from this manifest.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn manifests(&self, from: &Manifest, wake: Wake) -> Result<Box<dyn ManifestPort + Send>, Halt> {
        Ok(Box::new(ports::ManifestWriter::start(&self.ours, from, wake)?))
    }
}

/// What every thread of the state needs.
#[derive(Clone)]
struct Store {
    place: Place,
    /// How long trouble is waited out; none for ever.
    limit: Option<Duration>,
    health: Arc<StoreHealth>,
}

impl StateStore for Store {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        Folder::open(&self.place)?.object(object, &RetryPolicy::once())
    }

    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        Ok(Box::new(ports::ObjectWriter::start(self, wake)?))
    }
}

#[cfg(test)]
mod tests;
