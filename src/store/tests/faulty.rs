//! A bucket that fails as real ones do, for several clients on threads of their own whose requests come in an order that a seed draws: each
//! waits at every request until it is its turn, and turns are given when all of them wait.

use fastrand::Rng;
use futures_util::stream::{BoxStream, StreamExt};
use minutely_dataflows::checkpoint::Manifest;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// 503, 429: nothing is done.
    Refused(&'static str),
    /// 409 of S3: nothing is done, for another request is at work on the same file, it says.
    Conflict,
    /// It is done, and its reply does not come.
    LostReply,
    /// No reply comes, and it is done some requests later.
    Late,
    /// It is done, and done again some requests later.
    Twice,
}

/// A request that is on its way.
#[derive(Debug)]
enum Write {
    Put(Key, PutPayload, PutMode),
    Delete(Key),
}

struct Turns {
    rng: Rng,
    /// Of a hundred requests so many fail.
    faults: u32,
    waiting: BTreeSet<usize>,
    /// Clients that have not ended.
    clients: usize,
    next: Option<usize>,
    /// Each with the requests that come before it.
    late: Vec<(u32, Write)>,
    seen: BTreeMap<Fault, u64>,
    created: Vec<Manifest>,
}

impl Turns {
    fn give(&mut self) {
        if self.next.is_none() && !self.waiting.is_empty() && self.waiting.len() == self.clients {
            let at = self.rng.usize(..self.waiting.len());
            self.next = self.waiting.iter().nth(at).copied();
        }
    }

    fn draw(&mut self, is_write: bool, is_create: bool) -> Option<Fault> {
        if self.rng.u32(..100) >= self.faults {
            return None;
        }
        let fault = match self.rng.u8(..6) {
            0 => Fault::Refused("503 SlowDown"),
            1 if is_create => Fault::Conflict,
            2 if is_write => Fault::Late,
            3 if is_write => Fault::Twice,
            4 => Fault::LostReply,
            _ => Fault::Refused("429 Too Many Requests"),
        };
        *self.seen.entry(fault).or_default() += 1;
        Some(fault)
    }
}

/// The bucket.
pub(super) struct Bucket {
    memory: InMemory,
    turns: Mutex<Turns>,
    changed: Condvar,
}

impl Bucket {
    /// For so many clients. `faults`: so many of a hundred requests fail.
    pub(super) fn new(rng: Rng, clients: usize, faults: u32) -> Arc<Self> {
        let turns = Turns {
            rng,
            faults,
            waiting: BTreeSet::new(),
            clients,
            next: None,
            late: Vec::new(),
            seen: BTreeMap::new(),
            created: Vec::new(),
        };
        Arc::new(Bucket { memory: InMemory::new(), turns: Mutex::new(turns), changed: Condvar::new() })
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        crate::threads::lock(&self.turns)
    }

    /// For the `number`-th client.
    pub(super) fn client(self: &Arc<Self>, number: usize) -> FaultyClient {
        FaultyClient { bucket: Arc::clone(self), number, _seat: Arc::new(Seat(Arc::clone(self))) }
    }

    /// From now on nothing fails; what is on its way arrives. For one client, after all have ended.
    pub(super) fn calm(self: &Arc<Self>) -> FaultyClient {
        let mut turns = self.turns();
        assert_eq!(turns.clients, 0, "all have ended");
        (turns.clients, turns.faults) = (1, 0);
        turns.late.iter_mut().for_each(|(after, _)| *after = 0);
        drop(turns);
        self.client(0)
    }

    /// All manifests that were ever there.
    pub(super) fn created(&self) -> Vec<Manifest> {
        self.turns().created.clone()
    }

    /// How often which fault was met, in words.
    pub(super) fn faults(&self) -> String {
        format!("{:?}", self.turns().seen)
    }

    async fn arrive(&self, write: Write) -> Result<Option<PutResult>> {
        match write {
            Write::Delete(key) => self.memory.delete(&key).await.map(|()| None),
            Write::Put(key, payload, mode) => {
                let bytes: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
                let put = self.memory.put_opts(&key, payload, PutOptions { mode, ..PutOptions::default() }).await?;
                if key.as_ref().starts_with("manifest/") {
                    self.turns().created.extend(Manifest::decode(&bytes));
                }
                Ok(Some(put))
            }
        }
    }
}

/// One client's access to it, which counts as one for as long as it or a copy of it is there.
#[derive(Clone)]
pub(super) struct FaultyClient {
    bucket: Arc<Bucket>,
    number: usize,
    _seat: Arc<Seat>,
}

/// A client that has not ended.
struct Seat(Arc<Bucket>);

fn failed(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

impl FaultyClient {
    /// Waits for its turn, and lets arrive what is due.
    async fn turn(&self, is_write: bool, is_create: bool) -> Option<Fault> {
        let (fault, due) = {
            let mut turns = self.bucket.turns();
            turns.waiting.insert(self.number);
            turns.give();
            self.bucket.changed.notify_all();
            while turns.next != Some(self.number) {
                turns = self.bucket.changed.wait(turns).unwrap();
            }
            turns.next = None;
            turns.waiting.remove(&self.number);
            let late = std::mem::take(&mut turns.late);
            let (due, late): (Vec<_>, Vec<_>) = late.into_iter().partition(|(after, _)| *after == 0);
            turns.late = late.into_iter().map(|(after, write)| (after - 1, write)).collect();
            (turns.draw(is_write, is_create), due)
        };
        for (_, write) in due {
            let _nobody_waits_for_it = self.bucket.arrive(write).await;
        }
        fault
    }

    async fn write(&self, write: impl Fn() -> Write, is_create: bool, key: &Key) -> Result<Option<PutResult>> {
        let fault = self.turn(true, is_create).await;
        if let Some(Fault::Late | Fault::Twice) = fault {
            let mut turns = self.bucket.turns();
            let after = if turns.rng.bool() { turns.rng.u32(..8) } else { turns.rng.u32(..400) };
            turns.late.push((after, write()));
        }
        match fault {
            None | Some(Fault::Twice) => self.bucket.arrive(write()).await,
            Some(Fault::Refused(what)) => Err(failed(what)),
            Some(Fault::Conflict) => {
                Err(Error::AlreadyExists { path: key.to_string(), source: "409 ConditionalRequestConflict".into() })
            }
            Some(Fault::Late) => Err(failed("timed out")),
            Some(Fault::LostReply) => {
                let _its_reply = self.bucket.arrive(write()).await;
                Err(failed("connection reset"))
            }
        }
    }

    async fn read(&self) -> Result<()> {
        self.turn(false, false).await.map_or(Ok(()), |_| Err(failed("503 SlowDown")))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut turns = self.0.turns();
        turns.clients -= 1;
        turns.give();
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} of a faulty bucket", self.number)
    }
}

impl fmt::Display for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyClient {
    async fn put_opts(&self, location: &Key, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let is_create = opts.mode == PutMode::Create;
        let write = || Write::Put(location.clone(), payload.clone(), opts.mode.clone());
        self.write(write, is_create, location).await.map(|put| put.expect("it was one"))
    }

    async fn put_multipart_opts(&self, _: &Key, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("the state writes no file in parts")
    }

    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        self.read().await?;
        self.bucket.memory.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        let client = self.clone();
        let delete = move |key: Result<Key>| {
            let client = client.clone();
            async move {
                let key = key?;
                client.write(|| Write::Delete(key.clone()), false, &key).await?;
                Ok(key)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, _: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        unreachable!("the state lists one folder at a time")
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.read().await?;
        self.bucket.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Key, _: &Key, _: CopyOptions) -> Result<()> {
        unreachable!("a run copies nothing")
    }
}
