//! Threads that write while the workers work on: one a worker for its objects, one for the chain of manifests.

use super::Store;
use super::folder::Folder;
use super::health::{Patience, Stop};
use minutely_dataflows::checkpoint::{Manifest, Object, ObjectRef, merge};
use minutely_dataflows::edge::{Halt, HaltKind, ManifestPort, ObjectPort, Publication, Task, Wake};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Threads of this process so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// A thread that works through things of `T` and says what came of each.
struct Writer<T, R> {
    things: Option<Sender<T>>,
    done: Receiver<Result<R, Halt>>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static, R: Send + 'static> Writer<T, R> {
    fn start(
        name: &str,
        store: &Store,
        wake: Wake,
        mut work: impl FnMut(&Folder, T, &Patience) -> Result<R, Halt> + Send + 'static,
    ) -> Result<Self, Halt> {
        let (things, received) = channel::<T>();
        let (tell, done) = channel();
        let stop = Arc::new(Stop::default());
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        let (health, thread) = (Arc::clone(&store.health), format!("{name} {number}"));
        let patience = Patience::new(Arc::clone(&stop), store.limit, health, thread);
        let folder = Folder::open(&store.place)?;
        let body = move || {
            for thing in received {
                let outcome = work(&folder, thing, &patience);
                let failed = outcome.is_err();
                if tell.send(outcome).is_err() {
                    return;
                }
                wake();
                if failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|e| Halt::new(HaltKind::Internal, format!("no thread for {name}: {e}")))?;
        Ok(Writer { things: Some(things), done, stop, thread: Some(thread) })
    }

    /// A thread that has failed has said why, so nobody misses what it is given after that.
    fn begin(&self, thing: T) {
        let _ended = self.things.as_ref().map(|things| things.send(thing));
    }

    fn done(&self) -> Result<Vec<R>, Halt> {
        self.done.try_iter().collect()
    }
}

impl<T, R> Drop for Writer<T, R> {
    fn drop(&mut self) {
        self.stop.set();
        drop(self.things.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the state panicked");
        }
    }
}

/// See [`ObjectPort`].
pub(super) struct Objects(Writer<Task, ObjectRef>);

impl Objects {
    pub(super) fn start(store: &Store, wake: Wake) -> Result<Self, Halt> {
        let writer = Writer::start("state", store, wake, |folder, task, patience| {
            let (name, bytes, entries) = match task {
                Task::Write { name, draft } => (name, draft.encode(), draft.entries()),
                Task::Merge { name, inputs, line } => {
                    let inputs = inputs.iter().map(|input| folder.object(input)).collect::<Result<Vec<_>, _>>();
                    let inputs = inputs.map_err(|halt| folder.gone(&name, halt))?;
                    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                    let merged = merge(&inputs, line).and_then(|bytes| Ok((Object::open(&bytes)?.entries(), bytes)));
                    let (entries, bytes) = merged
                        .map_err(|damage| Halt::new(HaltKind::Data, format!("objects of the state: {damage}")))?;
                    (name, bytes, entries)
                }
            };
            folder.write(&name, &bytes, patience)?;
            Ok(ObjectRef::of(name, &bytes, entries))
        });
        Ok(Objects(writer?))
    }
}

impl ObjectPort for Objects {
    fn begin(&mut self, task: Task) {
        self.0.begin(task);
    }

    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        self.0.done()
    }
}

/// See [`ManifestPort`].
pub(super) struct Manifests {
    writer: Writer<Publication, u64>,
    published: u64,
}

impl Manifests {
    pub(super) fn start(store: &Store, from: &Manifest, wake: Wake) -> Result<Self, Halt> {
        let mut needed: Vec<String> = from.objects().map(|object| object.name.clone()).collect();
        let mut oldest = Folder::open(&store.place)?.manifests()?.first().copied().unwrap_or(from.seq);
        let writer = Writer::start("manifests", store, wake, move |folder, next: Publication, patience| {
            if let Some((name, bytes)) = &next.letters {
                folder.write(name, bytes, patience)?;
            }
            let old = std::mem::replace(&mut needed, next.needed);
            let old: Vec<String> = old.into_iter().filter(|name| !needed.contains(name)).collect();
            folder.publish(next.seq, &next.manifest, patience)?;
            folder.forget(&old);
            oldest = folder.collect(oldest, next.seq);
            Ok(next.seq)
        });
        Ok(Manifests { writer: writer?, published: from.seq })
    }
}

impl ManifestPort for Manifests {
    fn publish(&mut self, publication: Publication) {
        self.writer.begin(publication);
    }

    fn published(&mut self) -> Result<Option<u64>, Halt> {
        self.published = self.writer.done()?.last().copied().unwrap_or(self.published);
        Ok(Some(self.published))
    }
}
