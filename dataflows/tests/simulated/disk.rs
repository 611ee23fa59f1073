//! A store and sinks in memory that outlive a run. What is begun is done a while later, or, when the run ends before that,
//! done, torn, lost, or done by a zombie at any time after. They check what they are given: objects are whole, a manifest
//! that counts is in the chain, and nothing is sent that no committed manifest holds.

use super::world::Simulated;
use minutely_dataflows::acc::{Accumulate, Avg};
use minutely_dataflows::checkpoint::{
    self, CutRecord, IndexPart, Manifest, Object, ObjectRef, PublishStep, SinksOfRun, StoreReply, TrailObject,
    WindowVersion, decode_dead_letters,
};
use minutely_dataflows::coarse::CoarseWindows;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::edge::{
    DeadLetterPort, Halt, HaltKind, ManifestPort, ObjectPort, Publication, RowBatch, SinkPort, SinkProgress,
    StateStore, Task, Wake,
};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::DeadLetter;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::{EventTime, SECOND, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sinks: the first is a database, the second a file that is cut back.
pub(crate) const SINKS: [&str; 2] = ["changes", "final"];
/// The number of the place for dead letters.
pub(crate) const LETTERS: usize = SINKS.len();
/// Manifests that are kept.
const KEPT: u64 = 3;

/// Where the rows of a life stand among those of all lives.
type Version = (u64, u64);
/// What a row is of, its start and its symbol.
type Point = (RowKind, WindowStart, String);

/// Every version of each minute of a series.
pub(crate) type Versions = BTreeMap<(WindowStart, String), Vec<WindowVersion>>;

/// What outlives a run.
pub(crate) struct Disk {
    objects: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<u64, Vec<u8>>,
    /// The parent of every manifest that was ever created, by hash.
    parents: BTreeMap<String, Option<String>>,
    /// A database: one row a point, of the greatest version, and a final one for ever.
    pub(crate) table: BTreeMap<Point, (Version, Row)>,
    /// Every write to it that was heeded, in order.
    pub(crate) writes: Vec<Row>,
    pub(crate) finals: Vec<Row>,
    pub(crate) letters: Vec<DeadLetter>,
    /// How many of them a run was told that never come again.
    told: usize,
    /// All rows, and all letters, that a committed manifest held.
    committed: BTreeSet<String>,
    /// What windows came to in manifests of the chain: as of which manifest they changed.
    pub(crate) versions: Versions,
    /// Cuts in the chain by epoch: the number of the manifest, and W.
    pub(crate) cuts: BTreeMap<u64, (u64, Option<EventTime>)>,
    pub(crate) merges: usize,
    zombies: Vec<Zombie>,
    /// How rarely they move.
    haunted: u16,
    /// How much of what zombies did was of consequence: a manifest that was created.
    pub(crate) revenants: usize,
    rule: Rule,
    windows: CoarseWindows,
    look_back: i64,
    rng: fastrand::Rng,
    clock: Simulated,
    /// Nothing is done before then.
    stalled_until: i64,
    /// Sinks do nothing before then.
    pub(crate) sinks_come_at: i64,
    /// Effects so far, and the one before (2 n) or after (2 n + 1) which the run crashes.
    pub(crate) effects: u64,
    pub(crate) fuse: Option<u64>,
    pub(crate) crashed: bool,
}

/// What a run that has ended had begun.
enum Zombie {
    Object(String, Vec<u8>),
    Manifest(Publishing),
    Rows(Version, Vec<Row>),
}

/// A manifest on its way into the chain.
struct Publishing {
    publication: Publication,
    /// What may go once it is committed.
    old: Vec<String>,
    step: PublishStep,
}

impl Disk {
    pub(crate) fn new(settings: &Settings, clock: &Simulated, seed: u64) -> Self {
        Disk {
            objects: BTreeMap::new(),
            manifests: BTreeMap::new(),
            parents: BTreeMap::new(),
            table: BTreeMap::new(),
            writes: Vec::new(),
            finals: Vec::new(),
            letters: Vec::new(),
            told: 0,
            committed: BTreeSet::new(),
            versions: Versions::new(),
            cuts: BTreeMap::new(),
            merges: 0,
            zombies: Vec::new(),
            haunted: 1,
            revenants: 0,
            rule: settings.rule,
            windows: settings.windows.clone(),
            look_back: settings.look_back(),
            rng: fastrand::Rng::with_seed(seed),
            clock: clock.clone(),
            stalled_until: 0,
            sinks_come_at: 0,
            effects: 0,
            fuse: None,
            crashed: false,
        }
    }

    /// What a run does before it begins: the head, cut back to, and the manifest that it goes on with, published; and which
    /// of [`SINKS`] it has. None: a zombie was faster.
    pub(crate) fn restart(&mut self) -> Option<(Manifest, Vec<usize>)> {
        self.crashed = false;
        let head = self.manifests.last_key_value().map(|(_, bytes)| Manifest::decode(bytes).unwrap());
        let head = head.unwrap_or_else(|| Manifest::fresh(BTreeMap::new()));
        // It counts, although the run that made it may not have heard so.
        if head.seq > 0 {
            self.commit(&head);
        }
        let (given, of_run) = self.some_sinks(&head);
        let next = Manifest { sinks: of_run.sinks, ..head.restarted(&format!("run {}", self.rng.u64(..))) };
        for _ in 0..self.rng.u8(..12) {
            self.haunt(1);
        }
        self.haunted = [10, 100, 1000][self.rng.usize(..3)];
        let bytes = next.encode();
        let mut step = PublishStep::Create;
        while !self.crashed && !matches!(step, PublishStep::Collect | PublishStep::Fenced(_)) {
            step = self.towards_the_chain(step, next.seq, &bytes);
        }
        if self.crashed || matches!(step, PublishStep::Fenced(_)) {
            return None;
        }
        let length = |position: Option<u64>| usize::try_from(position.unwrap_or(0)).unwrap();
        self.finals.truncate(length(next.sink(SINKS[1]).and_then(|sink| sink.position)));
        let known = length(next.dead_letters.position);
        assert!(self.told <= known, "{} dead letters were to come never again, and the state knows {known}", self.told);
        self.letters.truncate(known);
        let needed: BTreeSet<_> = next.objects().map(|object| object.name.clone()).collect();
        self.objects.retain(|name, _| needed.contains(name));
        self.commit(&next);
        Some((next, given))
    }

    /// The sinks of the next run, and what the state says of them: all, or one less where that is allowed.
    fn some_sinks(&mut self, head: &Manifest) -> (Vec<usize>, SinksOfRun) {
        let left = if self.rng.u8(..3) == 0 { self.rng.usize(..SINKS.len()) } else { SINKS.len() };
        let some = Vec::from_iter((0..SINKS.len()).filter(|n| *n != left));
        let with = |given: &[usize]| {
            let names: Vec<_> = given.iter().map(|n| SINKS[*n].to_owned()).collect();
            head.sinks_of_run(&names, &[], self.look_back, &self.windows, |window| window.0.to_string())
        };
        match with(&some) {
            Ok(of_run) => (some, of_run),
            Err(_) => (Vec::from_iter(0..SINKS.len()), with(&[0, 1]).unwrap()),
        }
    }

    /// Windows that a sink may lack at the end: of those, and no others, the state says so.
    pub(crate) fn lacks(&self, sink: usize) -> impl Fn(WindowStart) -> bool {
        let (_, bytes) = self.manifests.last_key_value().unwrap();
        let known = Manifest::decode(bytes).unwrap().sink(SINKS[sink]).cloned();
        move |window| {
            let Some(port) = &known else { return true };
            let gap = port.missing.iter().any(|(from, to)| (*from..*to).contains(&window));
            gap || Some(window) < port.since || port.left_out.is_some_and(|from| from <= window)
        }
    }

    /// The newest manifest, and all of its index.
    pub(crate) fn index(&self) -> (Manifest, IndexPart) {
        let (_, bytes) = self.manifests.last_key_value().unwrap();
        let manifest = Manifest::decode(bytes).unwrap();
        let mut index = IndexPart::default();
        for object in manifest.parts.iter().flat_map(|part| &part.index) {
            index.add(IndexPart::decode(&self.read(object)).unwrap());
        }
        (manifest, index)
    }

    /// All that the audit trail says, as of the newest manifest: versions and records of cuts.
    pub(crate) fn trail(&self) -> (Manifest, Versions, BTreeMap<u64, CutRecord>) {
        let (_, bytes) = self.manifests.last_key_value().unwrap();
        let manifest = Manifest::decode(bytes).unwrap();
        let (mut versions, mut cuts) = (Versions::new(), BTreeMap::new());
        cuts.extend(manifest.cuts.iter().map(|cut| (cut.seq, *cut)));
        for trail in manifest.parts.iter().filter_map(|part| part.trail.as_ref()) {
            let mut add = |window, symbol: &str, version| {
                versions.entry((window, symbol.to_owned())).or_default().push(version);
            };
            for of in &trail.objects {
                let bytes = self.read(&of.object);
                let object = TrailObject::open(&bytes).unwrap();
                assert_eq!(object.verify(), Ok(of.object.entries));
                object.read(&mut add).unwrap();
                cuts.extend(object.cuts().iter().map(|cut| (cut.seq, *cut)));
            }
            for of in &trail.deltas {
                let bytes = self.read(&of.object);
                let each = |(window, name, acc): (WindowStart, &str, &[u8])| {
                    if !name.contains('\u{1f}') {
                        let numbers = Avg::decode(acc).unwrap().numbers();
                        add(window, name, version(of.last, numbers.count, numbers.sum));
                    }
                };
                Object::open(&bytes).unwrap().read(|_| true, each).unwrap();
            }
        }
        for of_window in versions.values_mut() {
            of_window.sort_by_key(|version| version.seq);
        }
        (manifest, versions, cuts)
    }

    /// An effect on the world: does it happen?
    fn effect(&mut self) -> bool {
        if self.crashed {
            return false;
        }
        let (n, fuse) = (self.effects, self.fuse);
        self.effects += 1;
        self.crashed = fuse == Some(2 * n) || fuse == Some(2 * n + 1);
        fuse != Some(2 * n)
    }

    /// Does nothing for a while, now and then.
    fn stalls(&mut self) -> bool {
        let now = self.clock.now();
        if self.stalled_until <= now && self.rng.u16(..2000) == 0 {
            self.stalled_until = now + self.rng.i64(0..6 * SECOND);
        }
        self.stalled_until > now
    }

    pub(crate) fn sinks_are_there(&self) -> bool {
        self.sinks_come_at <= self.clock.now()
    }

    fn read(&self, object: &ObjectRef) -> Vec<u8> {
        let bytes = self.objects.get(&object.name).unwrap_or_else(|| panic!("object {} is gone", object.name));
        object.check(bytes).unwrap();
        bytes.clone()
    }

    /// Did it happen?
    fn write(&mut self, name: String, bytes: Vec<u8>) -> bool {
        if !self.effect() {
            return false;
        }
        let again = self.objects.get(&name).is_some_and(|there| *there != bytes);
        assert!(!again, "the name {name} is used twice");
        self.objects.insert(name, bytes);
        true
    }

    /// One step of a manifest.
    fn towards_the_chain(&mut self, step: PublishStep, seq: u64, bytes: &[u8]) -> PublishStep {
        let there = self.manifests.get(&seq).cloned();
        let reply = match &step {
            PublishStep::Create if there.is_some() => StoreReply::Exists,
            PublishStep::Create if !self.effect() => return step, // and nobody hears of it
            PublishStep::Create => {
                self.manifests.insert(seq, bytes.to_vec());
                self.parents.insert(checkpoint::hash(bytes), Manifest::decode(bytes).unwrap().parent);
                StoreReply::Created
            }
            PublishStep::ReadBack => StoreReply::Ours(there.as_deref() == Some(bytes)),
            PublishStep::FindNewest => StoreReply::Newest(*self.manifests.last_key_value().unwrap().0),
            PublishStep::Collect | PublishStep::Fenced(_) => return step,
        };
        step.after(seq, reply)
    }

    /// All steps of one that is at its end: it is in the chain, and what is old goes.
    fn collect(&mut self, Publishing { publication, old, step }: &Publishing) {
        if *step == PublishStep::Collect {
            let it = checkpoint::hash(&publication.manifest);
            let mut here = self.manifests.last_key_value().map(|(_, head)| checkpoint::hash(head));
            while let Some(there) = here.filter(|there| *there != it) {
                here = self.parents[&there].clone();
                assert!(here.is_some(), "manifest {} counts and is not in the chain", publication.seq);
            }
        }
        if step.collects() && self.effect() {
            old.iter().for_each(|name| drop(self.objects.remove(name)));
            if let Some(old) = publication.seq.checked_sub(KEPT) {
                self.manifests.remove(&old);
            }
        }
    }

    /// Remembers what a manifest holds, as it may be sent.
    fn commit(&mut self, manifest: &Manifest) {
        let mut held = 0;
        self.cuts.entry(manifest.epoch).or_insert((manifest.seq, manifest.marks.w));
        for part in &manifest.parts {
            let mut windows: BTreeMap<(WindowStart, String), Avg> = BTreeMap::new();
            for object in &part.objects {
                let bytes = self.read(object);
                let each = |(window, symbol, acc): (WindowStart, &str, &[u8])| {
                    if Some(window) >= part.retired_before {
                        windows.insert((window, symbol.to_owned()), Avg::decode(acc).unwrap());
                    }
                };
                Object::open(&bytes).unwrap().read(|_| true, each).unwrap();
            }
            for ((window, name), acc) in windows {
                // A coarser window stands under its last minute, and a name that no symbol has.
                let (symbol, level) = name.split_once('\u{1f}').unwrap_or((&name, ""));
                let (kind, start) = match level.parse() {
                    Ok(level) => (RowKind::Window(level), self.windows.span(level, window).start),
                    Err(_) => (RowKind::Minute, window),
                };
                if kind == RowKind::Minute {
                    held += acc.count();
                    let of_window = self.versions.entry((window, symbol.to_owned())).or_default();
                    let numbers = acc.numbers();
                    let now = version(manifest.seq, numbers.count, numbers.sum);
                    if of_window.last().is_none_or(|last| (last.count, last.sum) != (now.count, now.sum)) {
                        of_window.push(now);
                    }
                }
                let state = manifest.marks.state_of(&self.rule, start, window);
                let row = acc.row(symbol, start, state, Scales::default()).unwrap();
                self.committed.insert(format!("{:?}", Row { kind, ..row }));
            }
        }
        let counted: i64 = manifest.partitions.iter().filter_map(|p| Some(p.state.as_ref()?.counts.counted)).sum();
        assert_eq!(counted, held + manifest.retired, "manifest {}: counted = held + retired", manifest.seq);
        for (_, object) in &manifest.unstored {
            let letters = decode_dead_letters(&self.read(object)).unwrap();
            self.committed.extend(letters.iter().map(|letter| format!("{letter:?}")));
        }
    }

    fn holds(&self, what: &dyn std::fmt::Debug) {
        assert!(self.committed.contains(&format!("{what:?}")), "sent and not committed: {what:?}");
    }

    /// A row of a group is made of those that manifests held: the oracle judges it.
    fn holds_row(&self, row: &Row) {
        if row.kind != RowKind::Group {
            self.holds(&Row { derived: Box::default(), ..row.clone() });
        }
    }

    /// Rows for the database.
    fn upsert(&mut self, version: Version, rows: &[Row]) {
        if !self.effect() {
            return;
        }
        for row in rows {
            self.holds_row(row);
            let place = row.point();
            let refused = self.table.get(&place).is_some_and(|(there, was)| {
                *there > version || (was.state == State::Final && row.state != State::Final)
            });
            if !refused {
                self.table.insert(place, (version, row.clone()));
                self.writes.push(row.clone());
            }
        }
    }

    /// Everything that zombies have not done yet, they do.
    pub(crate) fn lay_to_rest(&mut self) {
        for _ in 0..1000 {
            self.haunt(1);
        }
        // The head counts, although the run that made it may not have heard so.
        let head = self.manifests.last_key_value().map(|(_, bytes)| Manifest::decode(bytes).unwrap());
        self.commit(&head.expect("a run has ended"));
    }

    /// Zombies move: each time one of them, one step, with a chance of 1 in `rarely`.
    fn haunt(&mut self, rarely: u16) {
        if self.zombies.is_empty() || self.crashed || self.rng.u16(..rarely) > 0 {
            return;
        }
        let (effects, fuse) = (self.effects, self.fuse.take());
        let number = self.rng.usize(..self.zombies.len());
        match self.zombies.swap_remove(number) {
            Zombie::Object(name, bytes) => drop(self.objects.insert(name, bytes)),
            Zombie::Rows(version, rows) => {
                self.upsert(version, &rows);
                if self.rng.u8(..3) == 0 {
                    self.zombies.push(Zombie::Rows(version, rows)); // and once more
                }
            }
            Zombie::Manifest(mut publishing) => {
                let Publication { seq, manifest, .. } = &publishing.publication;
                let before = self.manifests.len();
                publishing.step = self.towards_the_chain(publishing.step, *seq, manifest);
                self.revenants += self.manifests.len() - before;
                match &publishing.step {
                    PublishStep::Collect | PublishStep::Fenced(_) => self.collect(&publishing),
                    _ => self.zombies.push(Zombie::Manifest(publishing)),
                }
            }
        }
        (self.effects, self.fuse) = (effects, fuse);
    }
}

/// What an average came to.
fn version(seq: u64, count: i64, sum: i128) -> WindowVersion {
    WindowVersion { seq, count, sum, volume: None }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
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
        Ok(lock(&self.0).read(object))
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

/// What a task makes.
fn made(disk: &Disk, task: Task) -> (String, Vec<u8>, u64) {
    match task {
        Task::Write { name, content } => {
            let (bytes, entries) = content.encode();
            (name, bytes, entries)
        }
        Task::Merge { name, inputs, rule } => {
            let inputs: Vec<_> = inputs.iter().map(|object| disk.read(object)).collect();
            let (bytes, entries) = rule.merge(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            (name, bytes, entries)
        }
    }
}

impl Objects {
    /// Does the next task.
    fn work(&mut self) -> Option<ObjectRef> {
        let mut disk = lock(&self.disk);
        if disk.crashed {
            return None;
        }
        let task = self.tasks.pop_front()?;
        disk.merges += usize::from(matches!(task, Task::Merge { .. }));
        let (name, bytes, entries) = made(&disk, task);
        let object = ObjectRef::of(name.clone(), &bytes, entries);
        disk.write(name, bytes).then_some(object)
    }
}

impl ObjectPort for Objects {
    fn begin(&mut self, task: Task) {
        self.tasks.push_back(task);
        (self.wake)();
    }
    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        let stalls = {
            let mut disk = lock(&self.disk);
            let rarely = disk.haunted;
            disk.haunt(rarely);
            disk.stalls()
        };
        let mut done = Vec::new();
        while !stalls && self.rng.u8(..3) == 0 {
            let Some(object) = self.work() else { break };
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
        while self.rng.bool() && self.work().is_some() {}
        let mut disk = lock(&self.disk);
        for task in self.tasks.drain(..).filter(|task| matches!(task, Task::Write { .. })) {
            let (name, bytes, _) = made(&disk, task);
            match self.rng.u8(..3) {
                0 => {
                    let torn = self.rng.usize(..bytes.len());
                    disk.objects.insert(name, bytes[..torn].to_vec());
                }
                1 => disk.zombies.push(Zombie::Object(name, bytes)),
                _ => {}
            }
        }
    }
}

/// The chain.
pub(crate) struct Manifests {
    disk: Arc<Mutex<Disk>>,
    next: Option<Publishing>,
    needed: Vec<String>,
    published: u64,
    fenced: bool,
    rng: fastrand::Rng,
}

impl Manifests {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, head: &Manifest, seed: u64) -> Self {
        let needed = head.objects().map(|object| object.name.clone()).collect();
        let (disk, rng) = (Arc::clone(disk), fastrand::Rng::with_seed(seed));
        Manifests { disk, next: None, needed, published: head.seq, fenced: false, rng }
    }

    /// Goes one step on: letters, the steps of the manifest, collection.
    fn work(&mut self) {
        let mut disk = lock(&self.disk);
        if disk.crashed {
            return;
        }
        let Some(next) = &mut self.next else { return };
        if let Some((name, bytes)) = next.publication.dead_letters.clone() {
            if disk.write(name, bytes) {
                next.publication.dead_letters = None;
            }
            return;
        }
        match next.step {
            PublishStep::Collect => {
                disk.commit(&Manifest::decode(&next.publication.manifest).unwrap());
                disk.collect(next);
                self.published = next.publication.seq;
                self.next = None;
            }
            PublishStep::Fenced(_) => self.fenced = true,
            _ => {
                let Publication { seq, manifest, .. } = &next.publication;
                next.step = disk.towards_the_chain(next.step.clone(), *seq, manifest);
                // The reply is lost.
                if next.step == PublishStep::FindNewest && self.rng.u8(..8) == 0 {
                    next.step = PublishStep::Create;
                }
            }
        }
    }
}

impl ManifestPort for Manifests {
    fn publish(&mut self, publication: Publication) {
        assert!(self.next.is_none(), "one at a time");
        let old = std::mem::replace(&mut self.needed, publication.needed.clone());
        let old = old.into_iter().filter(|name| !self.needed.contains(name)).collect();
        self.next = Some(Publishing { publication, old, step: PublishStep::Create });
    }
    fn published(&mut self) -> Result<Option<u64>, Halt> {
        let stalls = {
            let mut disk = lock(&self.disk);
            let rarely = disk.haunted;
            disk.haunt(rarely);
            disk.stalls()
        };
        while !stalls && self.rng.u8(..3) == 0 && self.next.is_some() && !self.fenced && !lock(&self.disk).crashed {
            self.work();
        }
        if self.fenced { Err(Halt::new(HaltKind::Fenced, "fenced")) } else { Ok(Some(self.published)) }
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for _ in 0..self.rng.u8(..4) {
            self.work();
        }
        // Its letters are durable, or it would not have been begun.
        if let Some(next) = self.next.take().filter(|next| next.publication.dead_letters.is_none()) {
            lock(&self.disk).zombies.push(Zombie::Manifest(next));
        }
    }
}

/// A sink that keeps rows, or letters, checks their order, and is full or slow now and then.
pub(crate) struct Keeper {
    disk: Arc<Mutex<Disk>>,
    number: usize,
    generation: u64,
    rng: fastrand::Rng,
    last: BTreeMap<RowKind, (u64, WindowStart, String)>,
    /// For the database: what is on its way.
    under_way: VecDeque<RowBatch>,
    stored: Option<SinkProgress>,
    slow: Option<SinkProgress>,
}

impl Keeper {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, number: usize, generation: u64, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let (last, stored, slow, under_way) = (BTreeMap::new(), None, None, VecDeque::new());
        Keeper { disk: Arc::clone(disk), number, generation, rng, last, under_way, stored, slow }
    }

    fn write(&mut self) {
        let Some(batch) = self.under_way.pop_front() else { return };
        lock(&self.disk).upsert((self.generation, batch.seq), &batch.rows);
        if batch.last {
            self.slow = Some(SinkProgress { at: batch.round, position: None });
        }
    }

    fn stored(&mut self) -> Option<SinkProgress> {
        if self.number < LETTERS && !lock(&self.disk).sinks_are_there() {
            return self.stored;
        }
        while self.rng.bool() && !self.under_way.is_empty() {
            self.write();
        }
        if self.rng.u8(..4) == 0 {
            self.stored = self.slow.or(self.stored);
        }
        self.stored.filter(|_| !lock(&self.disk).crashed)
    }
}

impl SinkPort for Keeper {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        let refuses = |disk: &Disk| disk.crashed || !disk.sinks_are_there();
        if self.rng.bool() || self.under_way.len() > 2 || refuses(&lock(&self.disk)) {
            return Err(batch);
        }
        if self.number > 0 && !lock(&self.disk).effect() {
            return Err(batch);
        }
        for row in &batch.rows {
            // By what they stand under, but that is not told here: so those of one kind.
            let place = (batch.round, row.minute, row.symbol.clone());
            let last = self.last.insert(row.kind, place.clone());
            assert!(last.as_ref().is_none_or(|last| *last < place), "{last:?} then {place:?}");
        }
        if self.number == 0 {
            self.under_way.push_back(batch);
            return Ok(());
        }
        let mut disk = lock(&self.disk);
        batch.rows.iter().for_each(|row| disk.holds_row(row));
        disk.finals.extend(batch.rows);
        if batch.last {
            self.slow = Some(SinkProgress { at: batch.round, position: Some(disk.finals.len() as u64) });
        }
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(Keeper::stored(self))
    }
}

impl DeadLetterPort for Keeper {
    fn offer(&mut self, cut: u64, letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        let mut disk = lock(&self.disk);
        if self.rng.bool() || !disk.effect() {
            return Err(letters);
        }
        letters.iter().for_each(|letter| disk.holds(letter));
        disk.letters.extend(letters);
        self.slow = Some(SinkProgress { at: cut, position: Some(disk.letters.len() as u64) });
        Ok(())
    }
    fn committed(&mut self, position: Option<u64>) {
        let mut disk = lock(&self.disk);
        disk.told = disk.told.max(usize::try_from(position.unwrap_or(0)).unwrap());
        assert!(disk.told <= disk.letters.len(), "more are committed than are stored");
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(Keeper::stored(self))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        while self.rng.bool() && !self.under_way.is_empty() {
            self.write();
        }
        let mut disk = lock(&self.disk);
        for batch in self.under_way.drain(..) {
            if self.rng.bool() {
                disk.zombies.push(Zombie::Rows((self.generation, batch.seq), batch.rows));
            }
        }
    }
}
