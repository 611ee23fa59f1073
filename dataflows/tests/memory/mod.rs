//! A run of the whole dataflow on real timely workers, over logs in memory and sinks in memory.

#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_types, reason = "stands at the edge: the core is given this clock")]

use crate::hostile::{Owned, Partition};
use minutely_dataflows::Job;
use minutely_dataflows::acc::Accumulate;
use minutely_dataflows::coarse::CoarseWindows;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::edge::{
    Clock, DeadLetterPort, Discovered, EndAnswer, Halt, HaltKind, LogSource, PartitionReader, RowBatch, RowFilter,
    SinkPort, SinkProgress, Wake,
};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::{DelayHistogram, Rule};
use minutely_dataflows::record::{DeadLetter, Record};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, State, WindowStart, first_epoch};
use minutely_dataflows::watch::{PreviewRows, Watcher};
use minutely_dataflows::worker::{Alarm, drive};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct RealClock(Instant);

impl Clock for RealClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(i64::try_from(self.0.elapsed().as_nanos()).unwrap())
    }
    fn wall(&self) -> EventTime {
        unreachable!("a bounded run judges by one instant")
    }
}

/// A log in memory, read to its end.
struct Memory {
    partitions: Vec<Partition>,
    found: Mutex<bool>,
}

impl LogSource for Memory {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if std::mem::replace(&mut *self.found.lock().unwrap(), true) {
            return Ok(Vec::new());
        }
        let found = |p: &Partition| Discovered {
            name: p.name.clone(),
            start: p.start,
            earliest: p.start,
            end: Some(p.records.last().map_or(p.start.0, |r| r.offset + 1)),
            log_id: None,
        };
        Ok(self.partitions.iter().map(found).collect())
    }
    fn open(&self, found: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let partition = self.partitions.iter().find(|p| p.name == found.name).unwrap();
        let records = partition.records.clone();
        Ok(Box::new(MemoryReader { records, at: 0, next: found.start, rng: fastrand::Rng::new() }))
    }
}

struct MemoryReader {
    records: Vec<Owned>,
    at: usize,
    next: NextOffset,
    rng: fastrand::Rng,
}

impl PartitionReader for MemoryReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        // Fewer than asked for, or none, although more is there.
        let some = self.rng.usize(..=max).min(self.records.len() - self.at);
        for record in &self.records[self.at..self.at + some] {
            each(record.lend());
            self.next = NextOffset(record.offset + 1);
        }
        self.at += some;
        Ok(some)
    }
    fn next(&self) -> NextOffset {
        self.next
    }
    fn ended(&self) -> bool {
        self.at == self.records.len()
    }
    fn ask_end(&mut self, _: bool) {}
    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }
    fn idle_wait(&self) -> Duration {
        if self.ended() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}

/// What a sink was given.
#[derive(Default)]
pub(crate) struct Restored {
    pub(crate) rows: Vec<Row>,
    pub(crate) letters: Vec<DeadLetter>,
}

/// A sink that keeps rows, checks their order, and is full or slow now and then.
pub(crate) struct Keeper {
    kept: Arc<Mutex<Restored>>,
    rng: fastrand::Rng,
    last: BTreeMap<RowKind, (u64, EventTime, String)>,
    stored: Option<u64>,
    slow: Option<u64>,
}

impl Keeper {
    pub(crate) fn new(kept: Arc<Mutex<Restored>>, rng: fastrand::Rng) -> Self {
        Keeper { kept, rng, last: BTreeMap::new(), stored: None, slow: None }
    }
}

impl SinkPort for Keeper {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        if self.rng.bool() {
            return Err(batch);
        }
        for row in &batch.rows {
            // By what they stand under, but that is not told here: so those of one kind.
            let place = (batch.round, EventTime(row.minute.0), row.symbol.clone());
            let last = self.last.insert(row.kind, place.clone());
            assert!(last.as_ref().is_none_or(|last| *last < place), "{last:?} then {place:?}");
        }
        self.kept.lock().unwrap().rows.extend(batch.rows);
        if batch.last {
            self.slow = Some(batch.round);
        }
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        if self.rng.u8(..4) == 0 {
            self.stored = self.slow.or(self.stored);
        }
        Ok(self.stored.map(|at| SinkProgress { at, position: None }))
    }
}

impl DeadLetterPort for Keeper {
    fn offer(&mut self, cut: u64, letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        if self.rng.bool() {
            return Err(letters);
        }
        self.kept.lock().unwrap().letters.extend(letters);
        self.slow = Some(cut);
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        SinkPort::stored(self)
    }
}

/// What somebody saw who watched the run.
#[derive(Default)]
pub(crate) struct Seen {
    newest: BTreeMap<Point, Row>,
    /// Rows that marks made final, as they were then.
    pub(crate) finals: BTreeMap<Point, Row>,
    /// Rows of groups.
    pub(crate) groups: BTreeMap<Point, Row>,
    w: Option<EventTime>,
    /// The sum of all that were judged.
    pub(crate) behind: u64,
}

/// What a row is of, its start and its symbol.
pub(crate) type Point = (RowKind, WindowStart, String);

/// The last minute of a row's window.
fn last_minute(windows: &CoarseWindows, (kind, start, _): &Point) -> WindowStart {
    match kind {
        RowKind::Minute | RowKind::Group => *start,
        RowKind::Window(level) => windows.span(*level, *start).closing,
    }
}

/// A watcher that holds the dataflow to its word.
struct Eyes {
    rule: Rule,
    windows: CoarseWindows,
    seen: Arc<Mutex<Seen>>,
}

impl Watcher for Eyes {
    fn rows(&mut self, PreviewRows { rows, lost, .. }: PreviewRows) {
        let mut seen = self.seen.lock().unwrap();
        for row in rows {
            let key = row.point();
            match seen.finals.get(&key) {
                Some(last) => assert_eq!(Row { state: State::Final, ..row }, *last, "after it was called final"),
                None => drop(seen.newest.insert(key, row)),
            }
        }
        if let Some(lost) = lost {
            seen.newest.retain(|point, _| last_minute(&self.windows, point) > lost);
        }
    }

    fn groups(&mut self, rows: Vec<Row>) {
        let mut seen = self.seen.lock().unwrap();
        for row in rows {
            assert_eq!((row.kind, row.state), (RowKind::Group, State::Final));
            if let Some(before) = seen.groups.insert(row.point(), row.clone()) {
                assert_eq!(before, row, "each sink is sent the same");
            }
        }
    }

    fn marks(&mut self, marks: Marks) {
        let seen = &mut *self.seen.lock().unwrap();
        assert!(marks.w >= seen.w, "W fell");
        seen.w = marks.w;
        for (key, row) in std::mem::take(&mut seen.newest) {
            match marks.state_of(&self.rule, key.1, last_minute(&self.windows, &key)) {
                State::Final => drop(seen.finals.insert(key, Row { state: State::Final, ..row })),
                _ => drop(seen.newest.insert(key, row)),
            }
        }
    }

    fn status(&mut self, _: &Status, behind: &DelayHistogram) {
        self.seen.lock().unwrap().behind = behind.counts.iter().sum();
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) {
        assert!(!letters.is_empty());
    }
}

/// What a run gave: the rows of each sink, the letters, the last status.
pub(crate) struct Ran {
    pub(crate) sinks: Vec<Vec<Row>>,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) status: Status,
    pub(crate) seen: Seen,
}

pub(crate) fn run<A: Accumulate>(
    partitions: &[Partition],
    settings: &Settings,
    takes: &[RowFilter],
    workers: usize,
) -> Result<Ran, Halt> {
    run_with::<A>(partitions, settings, &FieldNames::default(), takes, workers)
}

pub(crate) fn run_with<A: Accumulate>(
    partitions: &[Partition],
    settings: &Settings,
    fields: &FieldNames,
    takes: &[RowFilter],
    workers: usize,
) -> Result<Ran, Halt> {
    let decoder = Decoder::new(fields).unwrap();
    let source: Arc<dyn LogSource> = Arc::new(Memory { partitions: partitions.to_vec(), found: Mutex::new(false) });
    let kept: Vec<Arc<Mutex<Restored>>> = (0..=takes.len()).map(|_| Arc::default()).collect();
    let keeper = {
        let kept = kept.clone();
        move |n: usize| Keeper::new(Arc::clone(&kept[n]), fastrand::Rng::new())
    };
    let (settings, owned) = (settings.clone(), takes.to_vec());
    let bell = Arc::new(Alarm::default());
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let eyes = Arc::clone(&seen);
    let every = fastrand::i64(0..20_000_000);
    let status = Arc::new(Mutex::new(Err(Halt::new(HaltKind::Internal, "no leader"))));
    let result = Arc::clone(&status);
    timely::execute(timely::Config::process(workers), move |worker| {
        let lead = (worker.index() == 0).then(|| LeaderOutputs {
            sinks: (0..owned.len())
                .map(|n| SinkHandle { name: n.to_string(), filter: owned[n], port: Box::new(keeper(n)), chain: None })
                .collect(),
            dead_letters: Box::new(keeper(owned.len())),
            dead_letters_name: "letters".into(),
            manifests: None,
            watch: Box::new(|_| {}),
            watcher: Some(Box::new(Eyes {
                rule: settings.rule,
                windows: settings.windows.clone(),
                seen: Arc::clone(&eyes),
            })),
        });
        let job = Job {
            settings: settings.clone(),
            decoder: decoder.clone(),
            source: Arc::clone(&source),
            clock: Rc::new(RealClock(Instant::now())),
            first_epoch: first_epoch(3),
            bad_records: minutely_dataflows::BadRecordPolicy::SetAside,
            filters: owned.clone(),
            state: None,
            stop: Rc::new(|| false),
            park: Rc::new(minutely_dataflows::park),
            preview_interval: Some(Rc::new(move || every)),
        };
        let leads = lead.is_some();
        // A worker that panics would leave its siblings waiting for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| drive::<A>(worker, job, lead, &bell))).unwrap_or_else(|_| {
            let halt = Halt::new(HaltKind::Internal, "a worker panicked");
            bell.raise(&halt);
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            Err(halt)
        });
        if leads || outcome.is_err() {
            *result.lock().unwrap() = outcome.map(|status| status.expect("worker 0 leads"));
        }
    })
    .unwrap()
    .join()
    .into_iter()
    .for_each(|worker| worker.unwrap());
    let status = std::mem::replace(&mut *status.lock().unwrap(), Ok(Status::default()))?;
    let mut sinks: Vec<_> = kept.iter().map(|kept| std::mem::take(&mut *kept.lock().unwrap())).collect();
    let mut letters = sinks.pop().unwrap().letters;
    letters.sort_unstable();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Ok(Ran { sinks: sinks.into_iter().map(|kept| kept.rows).collect(), letters, status, seen })
}
