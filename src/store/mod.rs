//! The state store (`docs/checkpoints.md`): a folder or bucket with objects and a chain of manifests.
//!
//! ```text
//!   state/lock                  held by the owner while it runs
//!   state/object/000002-001-…   objects: written once, named by generation
//!   state/manifest/000…017      manifests: created once, each naming its parent's hash
//! ```
//!
//! A manifest is committed when it was created and is, looked up after that, the newest
//! ([`minutely_dataflows::checkpoint::PublishStep`]). Objects that a manifest needed and its child does not are deleted; the
//! last manifests stay, so that a run that was taken over cannot create one of their numbers again. While the disk or server
//! fails, writes are retried.
//!
//! Does not promise anything against files that are changed by hand, nor against an older copy that is restored (sinks notice
//! some of that). Damage is found by hashes and named.

mod access;
mod beside;
mod bucket;
mod check;
mod client;
mod error;
mod index;
mod lock;
mod rebuild;
mod retry;
mod runtime;
mod silence;
mod trail;
mod uri;
mod writers;

pub(crate) use check::check;
pub(crate) use index::{IndexedState, indexed};
pub(crate) use rebuild::rebuild;
pub(crate) use retry::StoreHealth;
pub(crate) use silence::silence;
pub(crate) use trail::audited;
pub(crate) use uri::StoreUri;

use access::StoreAccess;
use client::{ChainHead, StoreClient};
use error::StoreError;
use lock::acquire;
use minutely_dataflows::checkpoint::{Manifest, ObjectRef, hash};
use minutely_dataflows::edge::{Halt, ManifestPort, ObjectPort, StateStore, Wake};
use retry::RetryPolicy;
use silence::{SILENCE, wait_for_silent_owner};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A state that this run owns, before its first manifest.
pub(crate) struct OwnedStore {
    /// For the workers' objects.
    pub(crate) store: Arc<dyn StateStore>,
    /// The newest manifest; none in a new state.
    pub(crate) head: Option<Manifest>,
    /// What is wrong with the store at present.
    pub(crate) health: Arc<StoreHealth>,
    /// The hash of the newest manifest's bytes, which an older version may have written.
    parent: Option<String>,
    access: StoreAccess,
    /// Held for as long as this run owns the state; none in a bucket.
    lock: Option<File>,
}

/// Opens the state as its owner. `limit`: how long writes are retried while the store fails; none: without end.
///
/// # Errors
/// 64: it cannot be used. 65: it is damaged. 69: it does not answer. 78: another run owns it.
pub(crate) fn open(place: &StoreUri, take_over: bool, limit: Option<Duration>) -> Result<OwnedStore, Halt> {
    let lock = match place {
        StoreUri::Folder(path) => acquire(path, take_over)?,
        StoreUri::Remote(_) => None,
    };
    let client = StoreClient::open(place)?;
    if let (StoreUri::Remote(_), false) = (place, take_over) {
        wait_for_silent_owner(&client, silence)?;
    }
    client.refuses_a_second_create()?;
    if lock.is_some() {
        client.sweep();
    }
    let head = client.head()?;
    if let Some(ChainHead { manifest, .. }) = &head {
        if let Some(wrong) = client.chain(manifest.seq)?.first() {
            return Err(StoreError::from(wrong.clone()).into());
        }
        // Workers read them again; damage is to be known before anything is changed, and before files are cut back.
        let read = |object| client.object(object, &RetryPolicy::once()).map(drop);
        manifest.resumed_objects().try_for_each(read).map_err(|error| client.moved_since(manifest.seq, error))?;
    }
    let (head, parent) = head.map(|ChainHead { manifest, hash }| (manifest, hash)).unzip();
    let access = StoreAccess { place: place.clone(), limit, health: Arc::default() };
    let health = Arc::clone(&access.health);
    Ok(OwnedStore { head, parent, store: Arc::new(access.clone()), health, access, lock })
}

/// The newest manifest of a state that another run may own; none if there is no state. Leaves nothing behind.
///
/// # Errors
/// As [`open`].
pub(crate) fn peek(place: &StoreUri) -> Result<Option<Manifest>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    Ok(StoreClient::open(place)?.head()?.map(|head| head.manifest))
}

/// Checks that this still is the newest manifest.
///
/// # Errors
/// As [`open`], and 78 when another run has published since.
pub(crate) fn head_unchanged(place: &StoreUri, seq: u64) -> Result<(), Halt> {
    let client = StoreClient::open(place)?;
    match client.manifests()?.last().copied() {
        Some(now) if now != seq => Err(client.owned(&format!("its manifest was {seq} and is {now}")).into()),
        _ => Ok(()),
    }
}

/// The newest manifest, as [`peek`] finds it, and when it was written, in seconds since 1970.
///
/// # Errors
/// As [`open`].
pub(crate) fn head_with_time(place: &StoreUri) -> Result<Option<(Manifest, Option<i64>)>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    let client = StoreClient::open(place)?;
    let Some(ChainHead { manifest, .. }) = client.head()? else { return Ok(None) };
    let written_at = client.written_at(&client::manifest_key(manifest.seq))?;
    Ok(Some((manifest, written_at)))
}

/// The newest manifest of a state that process 0 of this run owns.
///
/// # Errors
/// As [`open`], and 64 where there is none.
pub(crate) fn follow(place: &StoreUri) -> Result<Manifest, Halt> {
    let head = StoreClient::open(place)?.head()?;
    head.map(|head| head.manifest).ok_or_else(|| StoreError::NoStateToFollow { place: place.clone() }.into())
}

/// The store, for the workers of a process whose process 0 owns the state.
pub(crate) fn store(place: &StoreUri, limit: Option<Duration>) -> Arc<dyn StateStore> {
    Arc::new(StoreAccess { place: place.clone(), limit, health: Arc::default() })
}

impl OwnedStore {
    /// The manifest that this run resumes from, unchanged but for the restart: see [`Manifest::restarted`].
    pub(crate) fn restarted(&self, fresh: impl FnOnce() -> Manifest, run: &str) -> Manifest {
        let head = self.head.clone().unwrap_or_else(fresh);
        Manifest { parent: self.parent.clone(), ..head.restarted(run) }
    }

    /// What the manifests of this run say of how often it commits. `interval`: in nanoseconds.
    pub(crate) fn commits_every(&self, interval: i64) -> Option<u64> {
        self.lock.is_none().then_some(interval.unsigned_abs().div_ceil(1_000_000))
    }

    /// Publishes this run's first manifest. Only after that may anything else be written; objects that no manifest needs are
    /// deleted.
    ///
    /// # Errors
    /// 69: it cannot be written. 78: another run did it first.
    pub(crate) fn begin(&self, manifest: &Manifest) -> Result<(), Halt> {
        let client = StoreClient::open(&self.access.place)?;
        client.publish(manifest.seq, &manifest.encode(), &RetryPolicy::once())?;
        client.keep_only(manifest);
        Ok(())
    }

    /// Publishes the manifest after one that this owner has published: the same but for what `change` does. Returns it.
    ///
    /// # Errors
    /// 69: it cannot be written. 78: another run owns the state since.
    pub(crate) fn publish(&self, newest: &Manifest, change: impl FnOnce(&mut Manifest)) -> Result<Manifest, Halt> {
        let mut next = Manifest { seq: newest.seq + 1, parent: Some(hash(&newest.encode())), ..newest.clone() };
        change(&mut next);
        StoreClient::open(&self.access.place)?.publish(next.seq, &next.encode(), &RetryPolicy::once())?;
        Ok(next)
    }

    /// Publishes the newest manifest again where there is no lock and none was published for a third of [`SILENCE`]: for an owner that works
    /// before it commits, and that others would take for gone. `published`: when it has published the last.
    ///
    /// # Errors
    /// As [`OwnedStore::publish`].
    pub(crate) fn stays(&self, newest: &mut Manifest, published: &mut Instant) -> Result<(), Halt> {
        if self.lock.is_none() && published.elapsed() >= SILENCE / 3 {
            *newest = self.publish(newest, |_| ())?;
            *published = Instant::now();
        }
        Ok(())
    }

    /// Publishes the manifests after this one.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn manifests(&self, from: &Manifest, wake: Wake) -> Result<Box<dyn ManifestPort + Send>, Halt> {
        Ok(Box::new(writers::ManifestWriter::start(&self.access, from, wake)?))
    }
}

impl StateStore for StoreAccess {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        Ok(StoreClient::open(&self.place)?.object(object, &RetryPolicy::once())?)
    }

    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        Ok(Box::new(writers::ObjectWriter::start(self, wake)?))
    }
}

#[cfg(test)]
mod tests;
