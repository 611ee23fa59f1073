//! A folder of checkpoints, written as the product writes its own (`src/store/`: temporary file, fsync, rename, fsync of the
//! folder; a thread for objects, one for manifests), and counted.

use minutely_dataflows::checkpoint::{Manifest, ObjectRef};
use minutely_dataflows::edge::{Halt, HaltKind, ManifestPort, ObjectPort, Publication, StateStore, Task, Wake};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// How many, and how many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// Entries in them, where they have some.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, entries: u64, bytes: usize) {
        *self = Amount { files: self.files + 1, entries: self.entries + entries, bytes: self.bytes + bytes as u64 };
    }
}

impl std::ops::Sub for Amount {
    type Output = Amount;
    fn sub(self, before: Amount) -> Amount {
        let Amount { files, entries, bytes } = before;
        Amount { files: self.files - files, entries: self.entries - entries, bytes: self.bytes - bytes }
    }
}

/// What was written so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// Objects of cuts: the windows that changed.
    pub deltas: Amount,
    /// Objects made of several.
    pub merges: Amount,
    /// Manifests.
    pub manifests: Amount,
}

/// A folder of its own for one run.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    written: Arc<Mutex<Written>>,
}

impl Store {
    /// An empty folder; what was there is deleted.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        if path.exists() {
            std::fs::remove_dir_all(path)?;
        }
        std::fs::create_dir_all(path.join("object"))?;
        std::fs::create_dir_all(path.join("manifest"))?;
        Ok(Store { path: path.to_owned(), written: Arc::default() })
    }

    /// What was written so far.
    pub fn written(&self) -> Written {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The manifest that a run begins with.
    pub fn head(&self) -> Manifest {
        Manifest::fresh(BTreeMap::new()).restarted("a measurement")
    }

    /// The chain of manifests.
    pub fn manifests(&self) -> Box<dyn ManifestPort + Send> {
        let (store, mut needed) = (self.clone(), Vec::new());
        let work = move |next: Publication| {
            if let Some((name, bytes)) = &next.dead_letters {
                store.write(&format!("object/{name}"), bytes)?;
            }
            store.write(&format!("manifest/{:020}", next.seq), &next.manifest)?;
            store.count(|written| written.manifests.add(0, next.manifest.len()));
            let old = std::mem::replace(&mut needed, next.needed);
            old.iter().filter(|name| !needed.contains(name)).try_for_each(|name| store.delete("object", name))?;
            if let Some(old) = next.seq.checked_sub(100).filter(|seq| *seq > 1) {
                store.delete("manifest", &format!("{old:020}"))?;
            }
            Ok(next.seq)
        };
        Box::new(Manifests { thread: Thread::start(work, Arc::new(|| {})), published: 1 })
    }

    fn count(&self, add: impl FnOnce(&mut Written)) {
        add(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path.join(name);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(path.parent().unwrap_or(&self.path))?.sync_all()
    }

    fn delete(&self, folder: &str, name: &str) -> std::io::Result<()> {
        std::fs::remove_file(self.path.join(folder).join(name))
    }

    fn object(&self, name: &str) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.path.join("object").join(name))
    }

    fn task(&self, task: Task) -> std::io::Result<ObjectRef> {
        let (name, bytes, entries, merged) = match task {
            Task::Write { name, content } => {
                let (bytes, entries) = content.encode();
                (name, bytes, entries, false)
            }
            Task::Merge { name, inputs, rule } => {
                let inputs = inputs.iter().map(|input| self.object(&input.name)).collect::<Result<Vec<_>, _>>()?;
                let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                let (bytes, entries) = rule.merge(&inputs).map_err(std::io::Error::other)?;
                (name, bytes, entries, true)
            }
        };
        self.write(&format!("object/{name}"), &bytes)?;
        self.count(|written| {
            let amount = if merged { &mut written.merges } else { &mut written.deltas };
            amount.add(entries, bytes.len());
        });
        Ok(ObjectRef::of(name, &bytes, entries))
    }
}

impl StateStore for Store {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        self.object(&object.name).map_err(|e| unreachable(&e))
    }
    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        let store = self.clone();
        Ok(Box::new(Thread::start(move |task| store.task(task), wake)))
    }
}

fn unreachable(error: &std::io::Error) -> Halt {
    Halt::new(HaltKind::Unreachable, format!("the folder of checkpoints: {error}"))
}

/// Works through things of `T`, one after the other. Ends with its owner.
struct Thread<T, R> {
    things: Sender<T>,
    done: Receiver<std::io::Result<R>>,
}

impl<T: Send + 'static, R: Send + 'static> Thread<T, R> {
    fn start(mut work: impl FnMut(T) -> std::io::Result<R> + Send + 'static, wake: Wake) -> Self {
        let (things, received) = channel::<T>();
        let (tell, done) = channel();
        std::thread::spawn(move || {
            for thing in received {
                if tell.send(work(thing)).is_err() {
                    return;
                }
                wake();
            }
        });
        Thread { things, done }
    }

    fn begin(&self, thing: T) {
        self.things.send(thing).expect("it lives as long as its owner");
    }

    fn done(&self) -> Result<Vec<R>, Halt> {
        self.done.try_iter().collect::<std::io::Result<_>>().map_err(|e| unreachable(&e))
    }
}

impl ObjectPort for Thread<Task, ObjectRef> {
    fn begin(&mut self, task: Task) {
        Thread::begin(self, task);
    }
    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        Thread::done(self)
    }
}

struct Manifests {
    thread: Thread<Publication, u64>,
    published: u64,
}

impl ManifestPort for Manifests {
    fn publish(&mut self, publication: Publication) {
        self.thread.begin(publication);
    }
    fn published(&mut self) -> Result<Option<u64>, Halt> {
        self.published = self.thread.done()?.last().copied().unwrap_or(self.published);
        Ok(Some(self.published))
    }
}
