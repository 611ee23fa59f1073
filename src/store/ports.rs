//! Threads that write while the workers work on: one a worker for its objects, one for the chain of manifests.
//!
//! A thread that fails, or panics, says so at the next look. Dropping its port ends it within a second: one that is blocked
//! in a request is left behind. What it may still write is an object that no manifest needs, or a manifest that whoever has
//! the state by then finds in its way as any zombie's.

use super::Store;
use super::folder::Folder;
use super::health::{Patience, Stop};
use minutely_dataflows::checkpoint::{Manifest, Object, ObjectRef, merge};
use minutely_dataflows::edge::{Halt, HaltKind, ManifestPort, ObjectPort, Publication, Task, Wake};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Threads of this process so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// How long a drop waits for its thread.
const FAREWELL: Duration = Duration::from_secs(1);

/// A thread that works through things of `T` and says what came of each.
struct Writer<T, R> {
    name: String,
    things: Option<Sender<T>>,
    done: Receiver<Result<R, Halt>>,
    /// It has said why it ended.
    failed: bool,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// How a thread tells. However it ends, the other side is woken, and finds that nothing more can come.
struct Tell<R> {
    done: Option<Sender<Result<R, Halt>>>,
    wake: Wake,
}

impl<R> Tell<R> {
    /// False: nobody listens.
    fn tell(&self, outcome: Result<R, Halt>) -> bool {
        let told = self.done.as_ref().is_some_and(|done| done.send(outcome).is_ok());
        (self.wake)();
        told
    }
}

impl<R> Drop for Tell<R> {
    fn drop(&mut self) {
        self.done = None;
        (self.wake)();
    }
}

impl<T: Send + 'static, R: Send + 'static> Writer<T, R> {
    fn start(
        name: &str,
        store: &Store,
        wake: Wake,
        mut work: impl FnMut(&Folder, T, &Patience) -> Result<R, Halt> + Send + 'static,
    ) -> Result<Self, Halt> {
        let (things, received) = channel::<T>();
        let (done, told) = channel();
        let tell = Tell { done: Some(done), wake };
        let stop = Arc::new(Stop::default());
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        let (health, thread) = (Arc::clone(&store.health), format!("{name} {number}"));
        let patience = Patience::new(Arc::clone(&stop), store.limit, health, thread);
        let folder = Folder::open(&store.place)?;
        let body = move || {
            for thing in received {
                let outcome = work(&folder, thing, &patience);
                let failed = outcome.is_err();
                if !tell.tell(outcome) || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|e| Halt::new(HaltKind::Internal, format!("no thread for {name}: {e}")))?;
        Ok(Writer {
            name: name.to_owned(),
            things: Some(things),
            done: told,
            failed: false,
            stop,
            thread: Some(thread),
        })
    }

    /// A thread that has failed has said why, so nobody misses what it is given after that.
    fn begin(&self, thing: T) {
        let _ended = self.things.as_ref().map(|things| things.send(thing));
    }

    fn done(&mut self) -> Result<Vec<R>, Halt> {
        let mut done = Vec::new();
        loop {
            match self.done.try_recv() {
                Ok(outcome) => done.push(outcome.inspect_err(|_| self.failed = true)?),
                Err(TryRecvError::Disconnected) if !self.failed => {
                    let why = format!("the state's thread `{}` ended badly; its message is above", self.name);
                    return Err(Halt::new(HaltKind::Internal, why));
                }
                Err(_) => return Ok(done),
            }
        }
    }
}

impl<T, R> Drop for Writer<T, R> {
    fn drop(&mut self) {
        self.stop.set();
        drop(self.things.take());
        let until = Instant::now() + FAREWELL;
        let last = loop {
            // What it says now is of no use any more; that it can say no more is.
            match self.done.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(last) => break last,
            }
        };
        if last == RecvTimeoutError::Disconnected
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join()); // a panic of its was told by `done`
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
                Task::Merge { name, inputs, retired_before } => {
                    let read = |input| folder.object(input, patience);
                    let inputs = inputs.iter().map(read).collect::<Result<Vec<_>, _>>();
                    let inputs = inputs.map_err(|halt| folder.gone(&name, halt))?;
                    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                    let merged =
                        merge(&inputs, retired_before).and_then(|bytes| Ok((Object::open(&bytes)?.entries(), bytes)));
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

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;

    /// One whose things are functions: it does what they say.
    type Puppet = Writer<Box<dyn FnOnce() -> Result<u64, Halt> + Send>, u64>;

    fn puppet(folder: &std::path::Path, wake: Wake) -> Puppet {
        let store = Store { place: Place::Folder(folder.to_owned()), limit: None, health: Arc::default() };
        Writer::start("puppet", &store, wake, |_, thing: Box<dyn FnOnce() -> _ + Send>, _| thing()).unwrap()
    }

    #[test]
    fn a_thread_that_panics_says_so_as_one_that_fails_does() {
        let dir = tempfile::tempdir().unwrap();
        for panics in [false, true] {
            let (ring, rung) = channel();
            let mut writer = puppet(dir.path(), Arc::new(move || ring.send(()).unwrap_or_default()));
            writer.begin(Box::new(|| Ok(7)));
            rung.recv().unwrap();
            assert_eq!(writer.done(), Ok(vec![7]));
            let halt = Halt::new(HaltKind::Unreachable, "no disk");
            let (failure, told) = (halt.clone(), if panics { "ended badly" } else { "no disk" });
            writer.begin(Box::new(move || if panics { panic!("on purpose") } else { Err(failure) }));
            let why = loop {
                rung.recv().unwrap(); // it wakes whoever waits, however it ends
                if let Err(halt) = writer.done() {
                    break halt;
                }
            };
            assert!(why.why.contains(told), "{why}");
            assert_eq!(why.kind, if panics { HaltKind::Internal } else { halt.kind });
        }
    }

    /// Without a limit this would wait for ever.
    #[test]
    fn a_thread_that_hangs_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let writer = puppet(dir.path(), Arc::new(|| {}));
        let (release, held) = channel::<()>();
        writer.begin(Box::new(move || Ok(held.iter().count() as u64)));
        drop(writer);
        release.send(()).unwrap(); // somebody listens: it hangs still
    }
}
