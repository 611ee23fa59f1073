//! One thread's access to the store, through `object_store`: each call blocks its thread, which is one of the state's own, or
//! the main thread before the run begins.

use super::bucket::BucketPrefix;
use super::error::{StoreError, StoreFault};
use super::retry::RetryPolicy;
use super::runtime;
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{Damage, Manifest, ObjectRef, PublishStep, StoreReply, hash};
use object_store::path::Path as Key;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Manifests that are kept, so that a run that was taken over cannot create one of their numbers again.
pub(super) const KEPT: u64 = 100;

/// How the names of files begin by which the store is tried out.
const PROBE: &str = "probe-";

/// One thread's access to the store.
pub(super) struct StoreClient {
    store: Arc<dyn ObjectStore>,
    place: StoreUri,
    runtime: &'static tokio::runtime::Runtime,
}

/// The newest manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChainHead {
    pub(super) manifest: Manifest,
    /// XXH3-128 of its bytes, in hexadecimal.
    pub(super) hash: String,
}

pub(super) fn object_key(name: &str) -> Key {
    Key::from(format!("object/{name}"))
}

/// The generation of the run that wrote an object: its name begins with it.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    name.split('-').next()?.parse().ok()
}

pub(super) fn manifest_key(seq: u64) -> Key {
    Key::from(format!("manifest/{seq:020}"))
}

/// The oldest manifest that is kept beside this one.
pub(super) fn oldest_kept(head: u64) -> u64 {
    head.saturating_sub(KEPT - 1).max(1)
}

impl StoreClient {
    pub(super) fn open(place: &StoreUri) -> Result<Self, StoreError> {
        let runtime = runtime::shared()?;
        let store = place.store().map_err(|source| StoreError::NotAFolder { place: place.clone(), source })?;
        Ok(StoreClient { store, place: place.clone(), runtime })
    }

    fn unreachable(&self, source: Error) -> StoreError {
        StoreError::Unreachable { place: self.place.clone(), source }
    }

    fn damage(&self, key: &Key, damage: &Damage) -> StoreFault {
        StoreFault { newer: damage.is_newer(), ..self.fault(key, damage.to_string()) }
    }

    /// What is wrong with this file.
    pub(super) fn fault(&self, key: &Key, what: impl Into<String>) -> StoreFault {
        StoreFault { file: self.place.file(key.as_ref()), what: what.into(), newer: false }
    }

    fn put(&self, key: &Key, bytes: &[u8], mode: PutMode) -> Result<(), Error> {
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(key, PutPayload::from(bytes.to_vec()), options);
        self.runtime.block_on(put).map(drop)
    }

    fn fetch(&self, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        match self.runtime.block_on(async { self.store.get(key).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The bytes of a file; none if it is missing.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.fetch(key).map_err(|e| self.unreachable(e))
    }

    fn stat(&self, key: &Key) -> Result<Option<ObjectMeta>, Error> {
        match self.runtime.block_on(self.store.head(key)) {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// When a file was written, in seconds since 1970, by the store's clock; none if it is missing.
    pub(super) fn written_at(&self, key: &Key) -> Result<Option<i64>, StoreError> {
        let meta = self.stat(key).map_err(|e| self.unreachable(e))?;
        Ok(meta.map(|meta| meta.last_modified.timestamp()))
    }

    /// Tries until it succeeds, or the policy ends.
    fn retry<T>(&self, policy: &RetryPolicy, attempt: impl FnMut() -> Result<T, Error>) -> Result<T, StoreError> {
        policy.until_done(attempt).map_err(|e| self.unreachable(e))
    }

    /// Deletes a file. False: it is still there, which does no harm.
    fn delete(&self, key: &Key) -> bool {
        match self.runtime.block_on(self.store.delete(key)) {
            Ok(()) | Err(Error::NotFound { .. }) => true,
            Err(e) => {
                tracing::debug!("{key} could not be deleted: {e}");
                false
            }
        }
    }

    /// Proves that a manifest cannot be created twice.
    pub(super) fn refuses_a_second_create(&self) -> Result<(), StoreError> {
        // Of this run alone: two that look at once would delete one another's, and a process in a container is number 1.
        let key = Key::from(format!("{PROBE}{}-{:08x}", std::process::id(), fastrand::u32(..)));
        let proven = match self.put(&key, b"first", PutMode::Create) {
            Ok(()) => match self.put(&key, b"second", PutMode::Create) {
                Err(Error::AlreadyExists { .. }) => Ok(()),
                Ok(()) => Err(self.creates_twice("overwrites a file that it was to create".into())),
                Err(e) => Err(self.no_create(e)),
            },
            Err(Error::AlreadyExists { .. }) => Ok(()), // the reply to the first was lost, and it was refused when sent again
            Err(e) => Err(self.no_create(e)),
        };
        self.delete(&key);
        proven
    }

    /// Why a file could not be created: a server that knows that it does not know the condition says 501. Whatever else it says may pass.
    fn no_create(&self, error: Error) -> StoreError {
        let said = error.to_string();
        if said.contains("501 Not Implemented") {
            return self.creates_twice(format!("creates no file on the condition that there is none ({said})"));
        }
        self.unreachable(error)
    }

    fn creates_twice(&self, answer: String) -> StoreError {
        StoreError::CreatesTwice { place: self.place.clone(), answer }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&Key::from(folder))))?;
        Ok(listed.objects.iter().filter_map(|meta| Some(meta.location.filename()?.to_owned())).collect())
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.list(folder).map_err(|e| self.unreachable(e))
    }

    fn numbers(&self) -> Result<BTreeSet<u64>, Error> {
        Ok(self.list("manifest")?.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The numbers of all manifests that are there: [`KEPT`] and a few, so listing them is cheap. A list that is read while
    /// another run publishes may lack its newest: harmless, because the next manifest would need a number that is taken.
    pub(super) fn manifests(&self) -> Result<BTreeSet<u64>, StoreError> {
        self.numbers().map_err(|e| self.unreachable(e))
    }

    /// The newest manifest; never an older one if that is damaged.
    pub(super) fn head(&self) -> Result<Option<ChainHead>, StoreError> {
        let newest = || Ok::<_, StoreError>(self.manifests()?.last().copied());
        let Some(seq) = newest()? else {
            // (The second look: another run may have begun between the first two.)
            if self.names("object")?.is_empty() || newest()?.is_some() {
                return Ok(None);
            }
            return Err(self.fault(&Key::from("manifest"), "has no manifest, and there are objects").into());
        };
        match self.manifest(seq)? {
            Ok(head) => Ok(Some(head)),
            Err(wrong) => Err(wrong.into()),
        }
    }

    /// A manifest, or what is wrong with it.
    pub(super) fn manifest(&self, seq: u64) -> Result<Result<ChainHead, StoreFault>, StoreError> {
        let key = manifest_key(seq);
        let Some(bytes) = self.get(&key)? else { return Ok(Err(self.fault(&key, "is not there"))) };
        Ok(match Manifest::decode(&bytes) {
            Ok(manifest) if manifest.seq == seq => Ok(ChainHead { manifest, hash: hash(&bytes) }),
            Ok(manifest) => Err(self.fault(&key, format!("is manifest {}", manifest.seq))),
            Err(damage) => Err(self.damage(&key, &damage)),
        })
    }

    /// All that is wrong with the kept manifests up to this one: each must be whole and name its parent. Manifests that their
    /// owner deletes meanwhile are not missed.
    pub(super) fn chain(&self, head: u64) -> Result<Vec<StoreFault>, StoreError> {
        let mut wrongs = Vec::new();
        let mut parent: Option<Result<String, ()>> = None;
        for seq in oldest_kept(head)..=head {
            let found = self.manifest(seq)?;
            match found {
                Ok(ChainHead { manifest, hash }) => {
                    let named = manifest.parent.as_ref();
                    let fits = match &parent {
                        None => named.is_some() == (seq > 1),
                        Some(Ok(hash)) => named == Some(hash),
                        Some(Err(())) => true, // that one is reported already
                    };
                    if !fits {
                        let what = format!("does not follow the manifest {} that is there", seq - 1);
                        wrongs.push(self.fault(&manifest_key(seq), what));
                    }
                    parent = Some(Ok(hash));
                }
                Err(wrong) => {
                    let newest = self.manifests()?.last().copied().unwrap_or(head);
                    if seq >= oldest_kept(newest) {
                        wrongs.push(wrong);
                    }
                    parent = Some(Err(()));
                }
            }
        }
        Ok(wrongs)
    }

    /// An object's bytes, checked against its size and hash.
    pub(super) fn object(&self, object: &ObjectRef, policy: &RetryPolicy) -> Result<Vec<u8>, StoreError> {
        let key = object_key(&object.name);
        let bytes = self
            .retry(policy, || self.fetch(&key))?
            .ok_or_else(|| StoreError::from(self.fault(&key, "is not there")))?;
        object.check(&bytes).map_err(|damage| self.damage(&key, &damage))?;
        Ok(bytes)
    }

    /// Writes an object. Retrying is safe: its name and bytes are the same.
    pub(super) fn write(&self, name: &str, bytes: &[u8], policy: &RetryPolicy) -> Result<(), StoreError> {
        self.retry(policy, || self.put(&object_key(name), bytes, PutMode::Overwrite))
    }

    /// Commits a manifest. What only older manifests need may be deleted after that.
    pub(super) fn publish(&self, seq: u64, bytes: &[u8], policy: &RetryPolicy) -> Result<(), StoreError> {
        let key = manifest_key(seq);
        let mut step = PublishStep::Create;
        loop {
            let reply = match &step {
                PublishStep::Create => self.retry(policy, || match self.put(&key, bytes, PutMode::Create) {
                    Ok(()) => Ok(StoreReply::Created),
                    // S3 also answers so (409) where another request for the same file is at work: then nothing need be there, and
                    // nothing is decided. It is tried again; one that was created and collected since is fenced by the next look.
                    Err(e @ Error::AlreadyExists { .. }) => match self.stat(&key)? {
                        Some(_) => Ok(StoreReply::Exists),
                        None => Err(e),
                    },
                    Err(e) => Err(e),
                })?,
                PublishStep::ReadBack => self.retry(policy, || match self.fetch(&key)? {
                    Some(there) if there == bytes => self.sync(&key).map(|()| StoreReply::Ours(true)),
                    _ => Ok(StoreReply::Ours(false)), // or it was collected since
                })?,
                PublishStep::FindNewest => {
                    let newest = self.retry(policy, || self.numbers())?.last().copied().unwrap_or(0);
                    if seq < oldest_kept(newest) {
                        self.delete(&key); // it had been collected, and was created again too late
                    }
                    StoreReply::Newest(newest)
                }
                PublishStep::Collect => return Ok(()),
                PublishStep::Fenced(what) => return Err(self.taken_over(what)),
            };
            step = step.after(seq, reply);
        }
    }

    /// Why an object that this run needs is missing: another run that resumed from the state deletes what it does not need.
    /// `name`: of an object of this run, so it begins with this run's generation.
    pub(super) fn gone(&self, name: &str, error: StoreError) -> StoreError {
        match (generation_of(name), self.head()) {
            (Some(ours), Ok(Some(ChainHead { manifest: head, .. }))) if head.generation > ours => {
                self.taken_over(&format!("it is at generation {} and this is {ours}", head.generation))
            }
            (Some(_), Err(unreachable @ StoreError::Unreachable { .. })) => unreachable, // which of both it is cannot be known
            _ => error,
        }
    }

    /// Why an object of the head was not read: where there is no lock, another run may have committed since, and deleted it.
    pub(super) fn moved_since(&self, seq: u64, error: StoreError) -> StoreError {
        match self.manifests().map(|numbers| numbers.last().copied()) {
            Ok(Some(now)) if now != seq => self.owned(&format!("its manifest was {seq} and is {now}")),
            Ok(_) => error,
            Err(unreachable) => unreachable,
        }
    }

    /// Makes a file durable whose writing got no answer, or whose folder could not be synchronized then.
    fn sync(&self, key: &Key) -> Result<(), Error> {
        let Some(folder) = self.place.folder() else { return Ok(()) };
        let file = folder.join(key.as_ref());
        let sync = |path: &Path| File::open(path)?.sync_all();
        let synced = sync(&file).and_then(|()| file.parent().map_or(Ok(()), sync));
        synced.map_err(|e| Error::Generic { store: "fsync", source: Box::new(e) })
    }

    /// Is this object there?
    pub(super) fn has(&self, name: &str, policy: &RetryPolicy) -> Result<bool, StoreError> {
        self.retry(policy, || self.stat(&object_key(name))).map(|meta| meta.is_some())
    }

    /// An object of another process is not there.
    pub(super) fn not_shared(&self, name: &str) -> StoreError {
        StoreError::NotShared { place: self.place.clone(), file: self.place.file(object_key(name).as_ref()) }
    }

    /// A process has resumed from an older manifest.
    pub(super) fn stale(&self, name: &str, theirs: u64, ours: u64) -> StoreError {
        StoreError::Stale { file: self.place.file(object_key(name).as_ref()), theirs, ours }
    }

    /// Another run owns the state: how that is known.
    pub(super) fn owned(&self, how: &str) -> StoreError {
        StoreError::Owned { place: self.place.to_string(), owner: format!("another run owns it ({how})") }
    }

    fn taken_over(&self, how: &str) -> StoreError {
        StoreError::TakenOver { place: self.place.clone(), how: how.to_owned() }
    }

    /// Deletes objects that no manifest needs any more.
    pub(super) fn forget(&self, objects: &[String]) {
        for name in objects {
            self.delete(&object_key(name));
        }
    }

    /// Deletes the manifests from `from` on that are too old beside `head`, the oldest first and without a gap: a run that was
    /// taken over must not find a parent for a number that is free again. Returns the next to be deleted.
    pub(super) fn collect(&self, from: u64, head: u64) -> u64 {
        (from..oldest_kept(head)).find(|seq| !self.delete(&manifest_key(*seq))).unwrap_or(from.max(oldest_kept(head)))
    }

    /// Deletes the objects of runs before this manifest's that it does not need: a later run may have taken over since, and its are there.
    pub(super) fn keep_only(&self, manifest: &Manifest) {
        let needed: BTreeSet<&str> = manifest.objects().map(|object| object.name.as_str()).collect();
        let is_earlier = |name: &str| generation_of(name).is_none_or(|theirs| theirs < manifest.generation);
        let names = self.names("object").unwrap_or_default();
        for name in names.iter().filter(|name| is_earlier(name) && !needed.contains(name.as_str())) {
            self.delete(&object_key(name));
        }
    }

    /// All files of a state: objects, then manifests, the oldest first.
    pub(super) fn files(&self) -> Result<Vec<Key>, StoreError> {
        let mut files: Vec<Key> = self.names("object")?.iter().map(|name| object_key(name)).collect();
        files.sort();
        files.extend(self.manifests()?.into_iter().map(manifest_key));
        Ok(files)
    }

    /// Copies one of them to another prefix of the bucket.
    pub(super) fn copy(&self, from: &BucketPrefix, to: &BucketPrefix, key: &Key) -> Result<(), StoreError> {
        self.runtime.block_on(from.copy_to(to, key)).map_err(|e| self.unreachable(e))
    }

    /// Deletes these, in this order.
    pub(super) fn delete_all(&self, files: &[Key]) -> Result<(), StoreError> {
        for key in files {
            match self.runtime.block_on(self.store.delete(key)) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(e) => return Err(self.unreachable(e)),
            }
        }
        Ok(())
    }

    /// Deletes files that a killed run had half written (`NAME#1`, which the store does not list). For the owner of the lock.
    pub(super) fn sweep(&self) {
        let Some(folder) = self.place.folder() else { return };
        let half = |name: &str| {
            let number = name.rsplit_once('#').map(|(_, number)| number);
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) || name.starts_with(PROBE)
        };
        for folder in [folder.join("object"), folder.join("manifest"), folder.to_owned()] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(half)) {
                if let Err(e) = std::fs::remove_file(entry.path()) {
                    tracing::debug!("{} could not be deleted: {e}", entry.path().display());
                }
            }
        }
    }
}
