//! The folder, through `object_store`: each call blocks its thread, which is one of the state's own, or the main one
//! before the run begins.

use minutely_dataflows::checkpoint::{Manifest, ObjectRef, Reply, Step};
use minutely_dataflows::edge::{Halt, HaltKind};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Manifests that are kept, so that nobody who was taken over can create one of their numbers again.
const KEPT: u64 = 100;
/// Between two attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Whoever waits asks whether to go on.
pub(super) trait Patience {
    /// Sleeps so long, or less; false: it is of no use any more.
    fn pause(&self, time: Duration) -> bool;
}

/// Before the run begins nothing is tried twice.
pub(super) struct Never;

impl Patience for Never {
    fn pause(&self, _: Duration) -> bool {
        false
    }
}

/// One thread's way to the folder.
pub(super) struct Folder {
    store: LocalFileSystem,
    path: PathBuf,
    runtime: tokio::runtime::Runtime,
}

fn object_key(name: &str) -> Key {
    Key::from(format!("object/{name}"))
}

fn manifest_key(seq: u64) -> Key {
    Key::from(format!("manifest/{seq:020}"))
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, Halt> {
        let unusable = |e: &dyn std::fmt::Display| {
            Halt::new(HaltKind::Usage, format!("--state {}: {e}; choose another folder", path.display()))
        };
        let store = LocalFileSystem::new_with_prefix(path).map_err(|e| unusable(&e))?.with_fsync(true);
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| unusable(&e))?;
        Ok(Folder { store, path: path.to_owned(), runtime })
    }

    fn unreachable(&self, e: &Error) -> Halt {
        Halt::new(
            HaltKind::Unreachable,
            format!("--state {}: {e}; see to the disk, then start again", self.path.display()),
        )
    }

    fn damaged(&self, key: &Key, what: &dyn std::fmt::Display) -> Halt {
        let why = format!(
            "{}: {what}; restore the state from a whole copy, or begin anew from the log (--job NAME)",
            self.path.join(key.as_ref()).display()
        );
        Halt::new(HaltKind::Data, why)
    }

    fn put(&self, key: &Key, bytes: &[u8], mode: PutMode) -> Result<(), Error> {
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(key, PutPayload::from(bytes.to_vec()), options);
        self.runtime.block_on(put).map(drop)
    }

    fn get(&self, key: &Key) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(async { Ok(self.store.get(key).await?.bytes().await?.to_vec()) })
    }

    /// What is not there need not be deleted; what cannot be is left for the next start.
    fn delete(&self, key: &Key) {
        match self.runtime.block_on(self.store.delete(key)) {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(e) => tracing::debug!("{key} could not be deleted: {e}"),
        }
    }

    /// Tries until it succeeds, or patience ends.
    fn patiently<T>(&self, patience: &dyn Patience, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Halt> {
        let (mut pause, most) = PAUSES;
        let mut told = String::new();
        loop {
            let error = match attempt() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if told != error.to_string() {
                told = error.to_string();
                tracing::warn!("state {}: {told}; trying again", self.path.display());
            }
            if !patience.pause(pause) {
                return Err(self.unreachable(&error));
            }
            pause = (pause * 2).min(most);
        }
    }

    /// Proves that a manifest cannot be created twice.
    pub(super) fn refuses_a_second_create(&self) -> Result<(), Halt> {
        let key = Key::from(format!("probe-{}", std::process::id()));
        self.delete(&key);
        self.put(&key, b"first", PutMode::Create).map_err(|e| self.unreachable(&e))?;
        let second = self.put(&key, b"second", PutMode::Create);
        self.delete(&key);
        match second {
            Err(Error::AlreadyExists { .. }) => Ok(()),
            other => {
                let why = format!(
                    "--state {}: creates what exists already ({other:?}), so two runs could not be told apart: choose \
                     another folder",
                    self.path.display()
                );
                Err(Halt::new(HaltKind::Usage, why))
            }
        }
    }

    /// All manifests' numbers.
    fn manifests(&self) -> Result<BTreeSet<u64>, Error> {
        let numbers = self.names("manifest")?;
        Ok(numbers.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&Key::from(folder))))?;
        Ok(listed.objects.iter().filter_map(|meta| Some(meta.location.filename()?.to_owned())).collect())
    }

    /// The newest manifest.
    pub(super) fn head(&self) -> Result<Option<Manifest>, Halt> {
        let manifests = self.manifests().map_err(|e| self.unreachable(&e))?;
        let Some(seq) = manifests.last().copied() else { return Ok(None) };
        let key = manifest_key(seq);
        let bytes = self.get(&key).map_err(|e| self.damaged(&key, &e))?;
        let manifest = Manifest::decode(&bytes).map_err(|damage| self.damaged(&key, &damage))?;
        if manifest.seq != seq {
            return Err(self.damaged(&key, &format!("is manifest {}", manifest.seq)));
        }
        Ok(Some(manifest))
    }

    /// An object, as it was written.
    pub(super) fn object(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        let key = object_key(&object.name);
        let bytes = self.get(&key).map_err(|e| self.damaged(&key, &e))?;
        object.check(&bytes).map_err(|damage| self.damaged(&key, &damage))?;
        Ok(bytes)
    }

    /// Writes an object; again is harmless, its name and bytes are the same.
    pub(super) fn write(&self, name: &str, bytes: &[u8], patience: &dyn Patience) -> Result<(), Halt> {
        self.patiently(patience, || self.put(&object_key(name), bytes, PutMode::Overwrite))
    }

    /// Has a manifest committed, and what is old after that deleted: `old` objects, the oldest manifest.
    pub(super) fn publish(&self, seq: u64, bytes: &[u8], old: &[String], patience: &dyn Patience) -> Result<(), Halt> {
        let key = manifest_key(seq);
        let mut step = Step::Create;
        loop {
            let reply = match &step {
                Step::Create => self.patiently(patience, || match self.put(&key, bytes, PutMode::Create) {
                    Ok(()) => Ok(Reply::Created),
                    Err(Error::AlreadyExists { .. }) => Ok(Reply::Exists),
                    Err(e) => Err(e),
                })?,
                Step::ReadBack => self.patiently(patience, || match self.get(&key) {
                    Ok(there) => Ok(Reply::Ours(there == bytes)),
                    Err(Error::NotFound { .. }) => Ok(Reply::Ours(false)), // collected since
                    Err(e) => Err(e),
                })?,
                Step::FindNewest => {
                    let newest = self.patiently(patience, || self.manifests())?.last().copied();
                    Reply::Newest(newest.unwrap_or(0))
                }
                Step::Collect => {
                    self.collect(seq, old);
                    return Ok(());
                }
                Step::Fenced(what) => return Err(self.fenced(what)),
            };
            step = step.after(seq, reply);
        }
    }

    /// Why an object is not there that this run needs: another run that goes on with the state deletes what it needs no
    /// more. `name`: an object's of this run, so it begins with its generation.
    pub(super) fn gone(&self, name: &str, halt: Halt) -> Halt {
        let ours = name.split('-').next().and_then(|generation| generation.parse::<u64>().ok());
        match (ours, self.head()) {
            (Some(ours), Ok(Some(head))) if head.generation > ours => {
                self.fenced(&format!("it is at generation {} and this is {ours}", head.generation))
            }
            _ => halt,
        }
    }

    fn fenced(&self, what: &str) -> Halt {
        let path = self.path.display();
        Halt::new(
            HaltKind::Fenced,
            format!("--state {path}: another run has gone on with it ({what}), and this one ends"),
        )
    }

    /// After manifest `seq`: what is too old goes, the oldest first.
    fn collect(&self, seq: u64, objects: &[String]) {
        objects.iter().for_each(|name| self.delete(&object_key(name)));
        if let Some(old) = seq.checked_sub(KEPT) {
            self.delete(&manifest_key(old));
        }
    }

    /// Deletes the objects that a run before this one began and no manifest needs.
    pub(super) fn keep_only(&self, needed: &BTreeSet<String>) {
        let names = self.names("object").unwrap_or_default();
        names.iter().filter(|name| !needed.contains(*name)).for_each(|name| self.delete(&object_key(name)));
    }
}
