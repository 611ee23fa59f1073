//! A store and sinks in memory that outlive a run. What is begun is done a while later, or, when the run ends before that,
//! done, torn or lost. They check what they are given: objects are whole, a manifest is created once and after its
//! parent, and nothing is sent that no committed manifest holds.

use minutely_dataflows::acc::{Accumulate, Avg};
use minutely_dataflows::checkpoint::{self, Manifest, Object, ObjectRef, decode_letters, merge};
use minutely_dataflows::edge::{
    Halt, LetterPort, ManifestPort, ObjectPort, Publication, RowBatch, SinkPort, StateStore, Stored, Task, Wake,
};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::DeadLetter;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::WindowStart;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

/// The sinks: the first is a database, the second a file that is cut back.
pub(crate) const SINKS: [&str; 2] = ["changes", "final"];
/// The number of the place for dead letters.
pub(crate) const LETTERS: usize = SINKS.len();

/// What outlives a run.
pub(crate) struct Disk {
    objects: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<u64, Vec<u8>>,
    pub(crate) changes: Vec<Row>,
    pub(crate) finals: Vec<Row>,
    pub(crate) letters: Vec<DeadLetter>,
    /// All rows, and all letters, that a committed manifest held.
    committed: BTreeSet<String>,
    pub(crate) merges: usize,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Disk {
            objects: BTreeMap::new(),
            manifests: BTreeMap::new(),
            changes: Vec::new(),
            finals: Vec::new(),
            letters: Vec::new(),
            committed: BTreeSet::new(),
            merges: 0,
        }
    }

    /// What a run does before it begins: the head, cut back to, and the manifest that it goes on with, published.
    pub(crate) fn restart(&mut self, sinks: &[String]) -> Manifest {
        let head = self.manifests.last_key_value().map(|(_, bytes)| Manifest::decode(bytes).unwrap());
        let next = head.unwrap_or_else(|| Manifest::fresh(BTreeMap::new())).restarted("simulated", sinks);
        let length = |position: Option<u64>| usize::try_from(position.unwrap_or(0)).unwrap();
        self.finals.truncate(length(next.sink(SINKS[1]).unwrap().position));
        self.letters.truncate(length(next.letters.position));
        self.manifests.insert(next.seq, next.encode());
        let needed: BTreeSet<_> = next.objects().map(|object| object.name.clone()).collect();
        self.objects.retain(|name, _| needed.contains(name));
        next
    }

    fn read(&self, object: &ObjectRef) -> Vec<u8> {
        let bytes = self.objects.get(&object.name).unwrap_or_else(|| panic!("object {} is gone", object.name));
        object.check(bytes).unwrap();
        bytes.clone()
    }

    /// Remembers what a manifest holds, as it may be sent.
    fn commit(&mut self, manifest: &Manifest, rule: &Rule) {
        let mut held = 0;
        for part in &manifest.parts {
            let mut windows: BTreeMap<(WindowStart, String), Avg> = BTreeMap::new();
            for object in &part.objects {
                let bytes = self.read(object);
                let each = |(window, symbol, acc): (WindowStart, &str, &[u8])| {
                    if Some(window) >= part.line {
                        windows.insert((window, symbol.to_owned()), postcard::from_bytes(acc).unwrap());
                    }
                };
                Object::open(&bytes).unwrap().read(|_| true, each).unwrap();
            }
            for ((window, symbol), acc) in windows {
                held += acc.count();
                let row = acc.row(&symbol, window, manifest.marks.state(rule, window)).unwrap();
                self.committed.insert(format!("{row:?}"));
            }
        }
        let counted: i64 = manifest.partitions.iter().filter_map(|p| Some(p.state.as_ref()?.counts.counted)).sum();
        assert_eq!(counted, held + manifest.retired, "manifest {}: counted = held + retired", manifest.seq);
        for (_, object) in &manifest.unstored {
            let letters = decode_letters(&self.read(object)).unwrap();
            self.committed.extend(letters.iter().map(|letter| format!("{letter:?}")));
        }
    }

    fn holds(&self, what: &dyn std::fmt::Debug) {
        assert!(self.committed.contains(&format!("{what:?}")), "sent and not committed: {what:?}");
    }
}

/// The store, as one worker sees it.
pub(crate) struct Store(Arc<Mutex<Disk>>, u64);

impl Store {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, seed: u64) -> Self {
        Store(Arc::clone(disk), seed)
    }
}

impl StateStore for Store {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        Ok(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).read(object))
    }
    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        let rng = fastrand::Rng::with_seed(self.1);
        Ok(Box::new(Objects { disk: Arc::clone(&self.0), tasks: VecDeque::new(), wake, rng }))
    }
}

struct Objects {
    disk: Arc<Mutex<Disk>>,
    tasks: VecDeque<Task>,
    wake: Wake,
    rng: fastrand::Rng,
}

impl Objects {
    /// Does the next task, or only a part of it.
    fn work(&mut self, torn: bool) -> Option<ObjectRef> {
        let task = self.tasks.pop_front()?;
        let mut disk = self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (name, bytes, entries) = match task {
            Task::Write { name, bytes, entries } => (name, bytes, entries),
            Task::Merge { name, inputs, line } => {
                let inputs: Vec<_> = inputs.iter().map(|object| disk.read(object)).collect();
                let bytes = merge(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>(), line).unwrap();
                let entries = Object::open(&bytes).unwrap().entries();
                disk.merges += 1;
                (name, bytes, entries)
            }
        };
        let object = ObjectRef::of(name.clone(), &bytes, entries);
        let kept = if torn { self.rng.usize(..bytes.len()) } else { bytes.len() };
        assert!(disk.objects.insert(name, bytes[..kept].to_vec()).is_none(), "a name is used twice");
        Some(object)
    }
}

impl ObjectPort for Objects {
    fn begin(&mut self, task: Task) {
        self.tasks.push_back(task);
        (self.wake)();
    }
    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        let mut done = Vec::new();
        while self.rng.u8(..3) == 0 {
            let Some(object) = self.work(false) else { break };
            done.push(object);
        }
        if !self.tasks.is_empty() {
            (self.wake)();
        }
        Ok(done)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        while self.rng.bool() && self.work(false).is_some() {}
        if self.rng.bool() && matches!(self.tasks.front(), Some(Task::Write { .. })) {
            self.work(true);
        }
    }
}

/// The chain.
pub(crate) struct Manifests {
    disk: Arc<Mutex<Disk>>,
    rule: Rule,
    next: Option<Publication>,
    needed: Vec<String>,
    published: Option<u64>,
    rng: fastrand::Rng,
}

impl Manifests {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, head: &Manifest, rule: Rule, seed: u64) -> Self {
        disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner).commit(head, &rule);
        let needed = head.objects().map(|object| object.name.clone()).collect();
        let (disk, rng) = (Arc::clone(disk), fastrand::Rng::with_seed(seed));
        Manifests { disk, rule, next: None, needed, published: Some(head.seq), rng }
    }

    /// Goes so many of its steps: letters, manifest, collection.
    fn work(&mut self, steps: u8) {
        let Some(Publication { seq, manifest, letters, needed }) = self.next.take() else { return };
        let mut disk = self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if steps > 0 {
            disk.objects.extend(letters);
        }
        if steps > 1 {
            let decoded = Manifest::decode(&manifest).unwrap();
            let parent = disk.manifests.get(&(seq - 1)).map(|bytes| checkpoint::hash(bytes));
            assert_eq!(decoded.parent, parent, "manifest {seq} is of another parent");
            assert!(disk.manifests.insert(seq, manifest).is_none(), "manifest {seq} is there already");
            disk.commit(&decoded, &self.rule);
        }
        if steps > 2 {
            for old in std::mem::replace(&mut self.needed, needed) {
                if !self.needed.contains(&old) {
                    disk.objects.remove(&old).expect("it was needed");
                }
            }
            self.published = Some(seq);
        }
    }
}

impl ManifestPort for Manifests {
    fn publish(&mut self, publication: Publication) {
        assert!(self.next.is_none(), "one at a time");
        self.next = Some(publication);
    }
    fn published(&mut self) -> Result<Option<u64>, Halt> {
        if self.rng.u8(..3) == 0 {
            self.work(3);
        }
        Ok(self.published)
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let steps = self.rng.u8(..4);
            self.work(steps);
        }
    }
}

/// A sink that keeps rows, or letters, checks their order, and is full or slow now and then.
pub(crate) struct Keeper {
    disk: Arc<Mutex<Disk>>,
    number: usize,
    rng: fastrand::Rng,
    last: Option<(u64, WindowStart, String)>,
    stored: Option<Stored>,
    slow: Option<Stored>,
}

impl Keeper {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, number: usize, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Keeper { disk: Arc::clone(disk), number, rng, last: None, stored: None, slow: None }
    }

    fn stored(&mut self) -> Option<Stored> {
        if self.rng.u8(..4) == 0 {
            self.stored = self.slow.or(self.stored);
        }
        self.stored
    }
}

impl SinkPort for Keeper {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        if self.rng.bool() {
            return Err(batch);
        }
        let mut disk = self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for row in &batch.rows {
            let place = (batch.round, row.minute, row.symbol.clone());
            assert!(self.last.as_ref().is_none_or(|last| *last < place), "{:?} then {place:?}", self.last);
            self.last = Some(place);
            disk.holds(row);
        }
        let position = if self.number == 0 {
            disk.changes.extend(batch.rows);
            None
        } else {
            disk.finals.extend(batch.rows);
            Some(disk.finals.len() as u64)
        };
        if batch.last {
            self.slow = Some(Stored { at: batch.round, position });
        }
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<Stored>, Halt> {
        Ok(Keeper::stored(self))
    }
}

impl LetterPort for Keeper {
    fn offer(&mut self, cut: u64, letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        if self.rng.bool() {
            return Err(letters);
        }
        let mut disk = self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        letters.iter().for_each(|letter| disk.holds(letter));
        disk.letters.extend(letters);
        self.slow = Some(Stored { at: cut, position: Some(disk.letters.len() as u64) });
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<Stored>, Halt> {
        Ok(Keeper::stored(self))
    }
}
