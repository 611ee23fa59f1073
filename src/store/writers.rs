//! Threads that write while the workers compute: one per worker for its objects, one for the chain of manifests.
//!
//! A thread that is blocked in a request when its port is dropped is left behind ([`crate::threads`]). It may still write an
//! object that no manifest needs, or a manifest, which stands in the way of the state's next owner as that of any run that
//! was taken over.

use super::access::StoreAccess;
use super::client::{StoreClient, generation_of};
use super::error::StoreError;
use super::retry::RetryPolicy;
use crate::threads::{Stop, Worker, WorkerOptions};
use minutely_dataflows::checkpoint::{Manifest, ObjectRef};
use minutely_dataflows::edge::{Halt, ManifestPort, ObjectPort, Publication, Task, Wake};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads of this process so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// Tasks that may wait. More than ever do: a worker begins two cuts and a merge at the most, and manifests come one at a
/// time; the first cut of a run writes its ids as one object for each four million.
const QUEUE: usize = 64;

/// A thread with the store that works through tasks of `T`, each with a result of `R`.
struct StoreWorker<T, R>(Worker<T, R>);

impl<T: Send + 'static, R: Send + 'static> StoreWorker<T, R> {
    fn start(
        name: &str,
        store: &StoreAccess,
        wake: Wake,
        mut work: impl FnMut(&StoreClient, T, &RetryPolicy) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<Self, Halt> {
        let stop = Stop::new();
        let thread = format!("{name} {}", THREADS.fetch_add(1, Ordering::Relaxed));
        let policy = RetryPolicy::new(stop.clone(), store.limit, &store.health, thread, &store.place);
        let client = StoreClient::open(&store.place)?;
        let options = WorkerOptions { name, queue: QUEUE, idle_every: None, drains: true, wake, stop };
        let work =
            move |task: Option<T>| Ok(task.map(|task| work(&client, task, &policy)).transpose().map_err(Halt::from)?);
        Ok(StoreWorker(Worker::start(options, work)?))
    }

    /// A thread that has failed says why in [`StoreWorker::done`], so what it is given after that is thrown away.
    fn begin(&self, task: T) {
        let is_taken = self.0.offer(task).is_ok();
        assert!(is_taken || self.0.has_ended(), "{QUEUE} tasks wait for the state, and there are three at the most");
    }

    fn done(&self) -> Result<Vec<R>, Halt> {
        self.0.take_results()
    }
}

/// See [`ObjectPort`].
pub(super) struct ObjectWriter(StoreWorker<Task, ObjectRef>);

impl ObjectWriter {
    pub(super) fn start(store: &StoreAccess, wake: Wake) -> Result<Self, Halt> {
        let writer = StoreWorker::start("state", store, wake, |client, task, policy| {
            let (name, (bytes, entries)) = match task {
                Task::Write { name, content } => (name, content.encode()),
                Task::Merge { name, inputs, rule } => {
                    let read = |input| client.object(input, policy);
                    let inputs = inputs.iter().map(read).collect::<Result<Vec<_>, _>>();
                    let inputs = inputs.map_err(|error| client.gone(&name, error))?;
                    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                    (name, rule.merge(&inputs).map_err(StoreError::NotMerged)?)
                }
            };
            client.write(&name, &bytes, policy)?;
            Ok(ObjectRef::of(name, &bytes, entries))
        });
        Ok(ObjectWriter(writer?))
    }
}

impl ObjectPort for ObjectWriter {
    fn begin(&mut self, task: Task) {
        self.0.begin(task);
    }

    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        self.0.done()
    }
}

/// What the owner of a chain remembers between two commits.
pub(super) struct ChainOwner {
    /// Objects that its newest manifest needs.
    needed: Vec<String>,
    /// The oldest manifest that may be there.
    oldest: u64,
    /// Of this run, which writes objects by it.
    generation: u64,
    /// Have the objects of all processes been seen here?
    is_shared: bool,
}

/// How long an object may take to be seen that another process has written.
const VISIBLE: Duration = Duration::from_secs(10);

impl ChainOwner {
    /// After this manifest, which this owner has published.
    pub(super) fn after(client: &StoreClient, from: &Manifest) -> Result<Self, StoreError> {
        let oldest = client.manifests()?.first().copied().unwrap_or(from.seq);
        let needed = from.objects().map(|object| object.name.clone()).collect();
        Ok(ChainOwner { needed, oldest, generation: from.generation, is_shared: false })
    }

    /// Checks, before the run's first cut is committed, that all processes write to this place, and have resumed from what this run did:
    /// another host may have a folder of its own under the same path, or see an older one of a shared file system.
    fn check_shared(&self, client: &StoreClient, needed: &[String], policy: &RetryPolicy) -> Result<(), StoreError> {
        for name in needed.iter().filter(|name| !self.needed.contains(name)) {
            if let Some(theirs) = generation_of(name).filter(|theirs| *theirs < self.generation) {
                return Err(client.stale(name, theirs, self.generation));
            }
            let begun = Instant::now();
            while !client.has(name, policy)? {
                // (One that has taken this run over deletes what no manifest of its own names.)
                let why = client.gone(name, client.not_shared(name));
                if matches!(why, StoreError::TakenOver { .. }) || begun.elapsed() >= VISIBLE {
                    return Err(why);
                }
                std::thread::sleep(VISIBLE / 100);
            }
        }
        Ok(())
    }

    /// Commits a manifest, and deletes what is not needed any more. Returns its number.
    pub(super) fn commit(
        &mut self,
        client: &StoreClient,
        next: Publication,
        policy: &RetryPolicy,
    ) -> Result<u64, StoreError> {
        if let Some((name, bytes)) = &next.dead_letters {
            client.write(name, bytes, policy)?;
        }
        if !self.is_shared {
            self.check_shared(client, &next.needed, policy)?;
            self.is_shared = true;
        }
        let old = std::mem::replace(&mut self.needed, next.needed);
        let old: Vec<String> = old.into_iter().filter(|name| !self.needed.contains(name)).collect();
        client.publish(next.seq, &next.manifest, policy)?;
        client.forget(&old);
        self.oldest = client.collect(self.oldest, next.seq);
        Ok(next.seq)
    }
}

/// See [`ManifestPort`].
pub(super) struct ManifestWriter {
    writer: StoreWorker<Publication, u64>,
    published: u64,
}

impl ManifestWriter {
    pub(super) fn start(store: &StoreAccess, from: &Manifest, wake: Wake) -> Result<Self, Halt> {
        let mut owner = ChainOwner::after(&StoreClient::open(&store.place)?, from)?;
        let commit = move |client: &StoreClient, next, policy: &RetryPolicy| owner.commit(client, next, policy);
        Ok(ManifestWriter { writer: StoreWorker::start("manifests", store, wake, commit)?, published: from.seq })
    }
}

impl ManifestPort for ManifestWriter {
    fn publish(&mut self, publication: Publication) {
        self.writer.begin(publication);
    }

    fn published(&mut self) -> Result<Option<u64>, Halt> {
        self.published = self.writer.done()?.last().copied().unwrap_or(self.published);
        Ok(Some(self.published))
    }
}
