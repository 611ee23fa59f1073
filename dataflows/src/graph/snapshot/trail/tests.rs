use super::*;
use crate::checkpoint::{Manifest, Object, TrailObject, WindowTrail, WindowVersion, WorkerObjects};
use crate::time::{SECOND, WindowStart};
use crate::wide::Int128;
use std::sync::Mutex;

const HOUR: i64 = 3600 * SECOND;

/// A store that does everything at once.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

struct MemoryPort(Memory, Vec<Task>);

impl Memory {
    fn write(&self, name: String, bytes: Vec<u8>, entries: u64) -> ObjectRef {
        let object = ObjectRef::of(name.clone(), &bytes, entries);
        assert!(self.0.lock().unwrap().insert(name, bytes).is_none(), "a name is used once");
        object
    }
}

impl StateStore for Memory {
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt> {
        Ok(self.0.lock().unwrap().get(&object.name).expect("what is named is there").clone())
    }
    fn port(&self, _: Wake) -> Result<Box<dyn ObjectPort>, Halt> {
        Ok(Box::new(MemoryPort(self.clone(), Vec::new())))
    }
}

impl ObjectPort for MemoryPort {
    fn begin(&mut self, task: Task) {
        self.1.push(task);
    }
    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        let done = self.1.drain(..).map(|task| {
            let Task::Merge { name, inputs, rule } = task else { panic!("a trail writes by merging") };
            let inputs: Vec<_> = inputs.iter().map(|input| self.0.read(input).unwrap()).collect();
            let (bytes, entries) = rule.merge(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            self.0.write(name, bytes, entries)
        });
        Ok(done.collect())
    }
}

/// A worker that commits a cut a second, with one window of `AB` that each changes.
struct Stage {
    store: Memory,
    trail: TrailObjects,
    manifest: Manifest,
    generation: u64,
}

const WINDOW: WindowStart = WindowStart(60);

impl Stage {
    fn begin(store: &Memory, manifest: Manifest, limits: TrailLimits, generation: u64) -> Stage {
        let head = Manifest { seq: manifest.seq + 1, ..manifest };
        let restored =
            Restored { store: Arc::new(store.clone()), head: Arc::new(head.clone()), stored_before: Vec::new() };
        let wake: Wake = Arc::new(|| ());
        let trail = TrailObjects::resume(&restored, (0, 1), limits, format!("{generation}-trail"), &wake).unwrap();
        Stage { store: store.clone(), trail, manifest: head, generation }
    }

    /// Each object that the manifest names and the next does not is deleted.
    fn cut(&mut self, at: i64, count: i64) {
        let seq = self.manifest.seq + 1;
        let bytes = Object::encode(&[(WINDOW, "AB", (count, Int128::new(i128::from(count) * 7)))]);
        let delta = self.store.write(format!("{}-{seq}", self.generation), bytes, 1);
        self.trail.poll().unwrap();
        let report = self.trail.cut(seq, EventTime(at), vec![delta]);
        let record = CutRecord { seq, at: EventTime(at), w: Some(EventTime(at)), held_by: None };
        self.trail.record([record]);
        let mut cuts = std::mem::take(&mut self.manifest.cuts);
        cuts.retain(|cut| cut.seq > report.recorded);
        cuts.push(record);
        let part = WorkerObjects { trail: Some(report.trail), ..WorkerObjects::default() };
        self.manifest = Manifest { seq, cuts, parts: vec![part], ..Manifest::default() };
        let named: Vec<&String> = self.manifest.objects().map(|object| &object.name).collect();
        let waits = self.trail.pending.as_ref().map_or(0, |pending| pending.deltas.max(1));
        if waits == 0 {
            self.store.0.lock().unwrap().retain(|name, _| named.contains(&name));
        }
    }

    fn read(&self) -> WindowTrail {
        let mut trail = WindowTrail::begin(&self.manifest, WINDOW, "AB").unwrap();
        for part in self.manifest.parts.iter().filter_map(|part| part.trail.as_ref()) {
            part.objects.iter().for_each(|of| trail.add_object(&self.store.read(&of.object).unwrap()).unwrap());
            part.deltas.iter().for_each(|of| trail.add_delta(&self.store.read(&of.object).unwrap(), of.last).unwrap());
        }
        trail.end()
    }
}

#[test]
fn hours_of_cuts_are_a_few_objects_and_nothing_within_the_time_is_missing() {
    let keep = 2 * HOUR;
    let store = Memory::default();
    let mut stage = Stage::begin(&store, Manifest::default(), TrailLimits { keep, bytes: 1 << 30 }, 1);
    let (mut known, mut most) = (BTreeMap::new(), 0);
    for n in 1..=6 * 3600_i64 {
        if n % 5000 == 0 {
            // Another run goes on with it.
            stage = Stage::begin(&store, stage.manifest, TrailLimits { keep, bytes: 1 << 30 }, n.unsigned_abs());
        }
        stage.cut(n * SECOND, n);
        known.insert(stage.manifest.seq, n);
        most = most.max(stage.manifest.objects().count());
    }
    assert!((20..120).contains(&most), "{most} objects at most");
    let trail = stage.read();
    let now = 6 * 3600 * SECOND;
    assert!(trail.start.at.0 <= now - keep && trail.start.at.0 > now - keep - keep / 4, "{:?}", trail.start);
    let wanted: Vec<_> = known.range(trail.start.seq..).map(|(seq, n)| (*seq, *n)).collect();
    let got = trail.versions.iter().filter(|version| version.seq >= trail.start.seq);
    assert_eq!(got.map(|version| (version.seq, version.count)).collect::<Vec<_>>(), wanted);
    let cuts: Vec<_> = trail.cuts.range(trail.start.seq..).map(|(seq, _)| *seq).collect();
    assert_eq!(cuts, wanted.iter().map(|(seq, _)| *seq).collect::<Vec<_>>());
}

#[test]
fn what_is_too_much_is_given_up_oldest_first_and_a_run_without_a_trail_ends_it() {
    let store = Memory::default();
    let limits = TrailLimits { keep: 24 * HOUR, bytes: 30_000 };
    let mut stage = Stage::begin(&store, Manifest::default(), limits, 1);
    for n in 1..=9000_i64 {
        stage.cut(n * SECOND, n);
        let trail = stage.manifest.parts[0].trail.as_ref().unwrap();
        let bytes: u64 = trail.objects.iter().map(|of| of.object.bytes).sum();
        assert!(bytes <= limits.bytes + 2_000, "{bytes} bytes after {n} cuts");
    }
    let trail = stage.read();
    assert!(trail.start.seq > 2 && trail.start.seq < 8900, "{:?}", trail.start);
    let wanted: Vec<_> = (trail.start.seq..=stage.manifest.seq).collect();
    let got: Vec<_> = trail.versions.iter().map(|version| version.seq).filter(|seq| *seq >= wanted[0]).collect();
    assert_eq!(got, wanted);
    // A run without one names nothing of it, and the next begins anew.
    let part = WorkerObjects::default();
    let without = Manifest { parts: vec![part], cuts: Vec::new(), ..stage.manifest };
    let mut next = Stage::begin(&store, without, limits, 2);
    next.cut(9001 * SECOND, 9001);
    let trail = next.read();
    assert_eq!((trail.start.seq, trail.versions.len()), (next.manifest.seq, 1));
    let version = WindowVersion { seq: next.manifest.seq, count: 9001, sum: 63_007, volume: None };
    assert_eq!(trail.versions, [version]);
}

#[test]
fn an_object_of_records_alone_is_made_where_nothing_changes() {
    let store = Memory::default();
    let mut stage = Stage::begin(&store, Manifest::default(), TrailLimits { keep: HOUR, bytes: 1 << 20 }, 1);
    for n in 1..=200_i64 {
        let at = EventTime(n * SECOND);
        stage.trail.poll().unwrap();
        let report = stage.trail.cut(n.unsigned_abs(), at, Vec::new());
        stage.trail.record([CutRecord { seq: n.unsigned_abs(), at, w: None, held_by: None }]);
        let objects = report.trail.objects.iter();
        let recorded: usize = objects
            .map(|of| TrailObject::open(&store.read(&of.object).unwrap()).map(|object| object.cuts().len()).unwrap())
            .sum();
        assert_eq!(recorded as u64, report.recorded);
        assert!(report.recorded + 70 > n.unsigned_abs(), "{report:?}");
    }
}
