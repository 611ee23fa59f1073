//! Live runs in simulated time: stock timely workers under a seeded baton that lets one of them work at a time, a log
//! that grows, partitions that fall silent or appear late, open transactions, a broker that answers late or not at all,
//! slow sinks, a slow store that stalls. Several epochs pass between two looks of a worker, so that frontiers jump.
//! Crashes come at any moment, and again before what the last one left is mended; what was under way is done, torn, lost,
//! or done much later by a zombie. Each start has another number of workers.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::print_stdout, reason = "a test says which seed it was")]

mod baton;
mod disk;
mod world;

use crate::hostile;
use baton::Baton;
use disk::{Disk, Keeper, LETTERS, Manifests, SINKS, Store};
use minutely_dataflows::acc::Avg;
use minutely_dataflows::checkpoint::{Manifest, WindowVersion};
use minutely_dataflows::coarse::CoarseWindows;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::digest::{MinuteDigest, RowNumbers, row_bytes};
use minutely_dataflows::edge::{Halt, HaltKind, LogSource, RowFilter};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::oracle::{self, Judgement, Log, OracleColumns, OraclePartition};
use minutely_dataflows::partition::{BUCKET, Counts, Rule};
use minutely_dataflows::record::Evidence;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::settings::{Settings, TrailLimits};
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, SECOND, WindowStart, Windowing, first_epoch};
use minutely_dataflows::worker::{Alarm, drive};
use minutely_dataflows::{Job, Restored};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use world::{Growing, Simulated, World, draw};

const CHANGES: RowFilter = RowFilter { changes: true, partial: true, open_every: 0 };
const FINAL: RowFilter = RowFilter { changes: false, partial: true, open_every: 0 };
/// What each of [`SINKS`] takes.
const TAKES: [RowFilter; SINKS.len()] = [CHANGES, FINAL];

/// One life of a run: to its end, or to a crash after so many rests of its workers.
struct Life {
    seed: u64,
    workers: usize,
    crash_after: Option<i64>,
    fields: FieldNames,
    /// Does it keep the audit trail?
    keeps_trail: bool,
}

const HOUR: i64 = 3600 * SECOND;
const CRASH: &str = "a crash";

/// Lives it. The end's counts; none after a crash.
fn live(
    life: &Life,
    partitions: &[Growing],
    settings: &Settings,
    clock: &Simulated,
    disk: &Arc<Mutex<Disk>>,
) -> Option<Counts> {
    let Life { seed, workers, crash_after, ref fields, .. } = *life;
    let decoder = Decoder::new(fields).unwrap();
    let (head, sinks) = disk.lock().unwrap().restart()?;
    let head = Arc::new(head);
    let world = Arc::new(World::new(partitions, clock, head.partitions.is_empty(), seed));
    let baton = Arc::new(Baton::new(workers, seed));
    let trail = settings.trail.filter(|_| life.keeps_trail);
    let (settings, alarm) = (Settings { trail, ..settings.clone() }, Arc::new(Alarm::default()));
    let last = Arc::new(Mutex::new(Status::default()));
    let rests = Arc::new(AtomicI64::new(0));
    let (shown, bell, disk) = (Arc::clone(&last), Arc::clone(&alarm), Arc::clone(disk));
    let began = clock.now();
    let total: i64 = partitions.iter().map(|p| i64::try_from(p.records.len()).unwrap()).sum();
    let done = Arc::new(AtomicBool::new(false));
    let ended = timely::execute(timely::Config::process(workers), move |worker| {
        let index = worker.index();
        let _runner = baton.begin(index);
        let lead =
            (index == 0).then(|| lead(seed, &settings, &head, &disk, &sinks, total, &world.clock, &done, &shown));
        let (baton_too, clock) = (Arc::clone(&baton), world.clock.clone());
        let rng = std::cell::RefCell::new(fastrand::Rng::with_seed(seed.wrapping_add(index as u64)));
        let lines = sinks.iter().map(|n| head.sink(SINKS[*n]).and_then(|sink| sink.stored_before)).collect();
        let store = Arc::new(Store::new(&disk, seed.wrapping_add(7 + index as u64)));
        let (stop, rests, crash, disk) = (Arc::clone(&done), Arc::clone(&rests), Arc::clone(&bell), Arc::clone(&disk));
        let job = Job {
            settings: settings.clone(),
            decoder: decoder.clone(),
            source: Arc::clone(&world) as Arc<dyn LogSource>,
            clock: Rc::new(clock.clone()),
            first_epoch: first_epoch(head.generation),
            bad_records: minutely_dataflows::BadRecordPolicy::SetAside,
            filters: sinks.iter().map(|n| TAKES[*n]).collect(),
            state: Some(Restored { store, head: Arc::clone(&head), stored_before: lines }),
            stop: Rc::new(move || stop.load(Ordering::SeqCst)),
            park: Rc::new(move |worker, _| {
                let mut rng = rng.borrow_mut();
                let step = if rng.u8(..50) == 0 { SECOND / 4 } else { SECOND / 300 };
                clock.0.fetch_add(rng.i64(0..=step), Ordering::SeqCst);
                let over = crash_after.is_some_and(|most| rests.fetch_add(1, Ordering::SeqCst) >= most);
                if over || disk.lock().unwrap().crashed {
                    crash.raise(&Halt::new(HaltKind::Internal, CRASH));
                }
                if clock.now() - began > 10_000 * SECOND {
                    crash.raise(&Halt::new(HaltKind::Internal, "it never ends"));
                }
                baton_too.give_way(index);
                // Not every time: what waits for it piles up.
                if rng.u8(..4) > 0 {
                    worker.step();
                }
            }),
            preview_interval: None,
        };
        // A worker that panics would leave its siblings waiting for ever.
        let lived = catch_unwind(AssertUnwindSafe(|| drive::<Avg>(worker, job, lead, &bell)));
        let outcome = lived.unwrap_or_else(|_| {
            bell.raise(&Halt::new(HaltKind::Internal, "a worker panicked"));
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            Err(Halt::new(HaltKind::Internal, "a worker panicked"))
        });
        outcome.map(drop)
    });
    let ended: Vec<_> = ended.unwrap().join().into_iter().map(Result::unwrap).collect();
    if let Some(halt) = alarm.raised() {
        assert!(halt.why == CRASH || halt.kind == HaltKind::Fenced, "seed {seed}: {}", halt.why);
        return None;
    }
    ended.into_iter().for_each(|worker| worker.unwrap());
    Some(last.lock().unwrap().ledger.counts)
}

/// Worker 0's.
#[expect(clippy::too_many_arguments, reason = "called once; a struct would only name them again")]
fn lead(
    seed: u64,
    settings: &Settings,
    head: &Arc<Manifest>,
    disk: &Arc<Mutex<Disk>>,
    given: &[usize],
    total: i64,
    clock: &Simulated,
    done: &Arc<AtomicBool>,
    shown: &Arc<Mutex<Status>>,
) -> LeaderOutputs {
    let keeper = |n: usize| Box::new(Keeper::new(disk, n, head.generation, seed ^ n as u64));
    let (done, shown, clock) = (Arc::clone(done), Arc::clone(shown), clock.clone());
    let lateness = settings.rule.windowing.lateness;
    let mut moved = (clock.now(), None);
    let sinks = Arc::clone(disk);
    LeaderOutputs {
        sinks: given
            .iter()
            .map(|n| SinkHandle { name: SINKS[*n].into(), filter: TAKES[*n], port: keeper(*n), chain: None })
            .collect(),
        dead_letters: keeper(LETTERS),
        dead_letters_name: "letters".into(),
        manifests: Some(Box::new(Manifests::new(disk, head, seed ^ 99))),
        watch: Box::new(move |status: &Status| {
            let newest = status.partitions.iter().filter_map(|(_, s)| s.as_ref()?.newest_end).max();
            let over = newest.is_none_or(|end| status.marks.w >= Some(end.plus(lateness)));
            // A run that is to stop does not wait for sinks.
            let over = over && sinks.lock().unwrap().sinks_are_there();
            done.fetch_or(status.ledger.counts.read == total && over, Ordering::SeqCst);
            // Where sinks come late, most of a log may be read after that, by a few records a cut: how long that takes has no bound.
            let far = (status.ledger.counts.read, status.marks.w, status.retired_before);
            if moved.1 != Some(far) {
                moved = (clock.now(), Some(far));
            }
            assert!(clock.now() - moved.0 < 200 * SECOND, "seed {seed}: never final: {status:?}");
            *shown.lock().unwrap() = status.clone();
        }),
        watcher: None,
    }
}

/// A log, and how it is read.
struct Setting {
    partitions: Vec<Growing>,
    settings: Settings,
    /// As in [`Disk`].
    sinks_come_at: i64,
    fields: FieldNames,
}

/// Which coarser windows there are.
fn windows(seed: u64, windowing: &Windowing) -> CoarseWindows {
    let list = fastrand::Rng::with_seed(seed ^ 0xc0).choice(["none", "4s,10s", "6s+2s", "4s+2s,8s,14s"]).unwrap();
    CoarseWindows::new(&list.parse().unwrap(), None, windowing).unwrap()
}

/// How much of the audit trail is kept: mostly all.
fn trail(seed: u64) -> TrailLimits {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x7a);
    let keep = rng.choice([HOUR, HOUR, 8 * SECOND]).unwrap();
    TrailLimits { keep, bytes: rng.choice([1 << 30, 1 << 30, 1 << 30, 2000]).unwrap() }
}

/// What is derived.
const DERIVED: [&str; 3] = ["none", "sma3,bb2,ravg4,chg3", "sma2,ema5,macd,rsi3,chg1"];

impl Setting {
    /// Of at most so many partitions, as long as this, in nanoseconds.
    fn draw(seed: u64, most: usize, length: i64) -> Setting {
        let mut rng = fastrand::Rng::with_seed(seed);
        let windowing = Windowing { length: 2 * SECOND, lateness: 4 * SECOND };
        let max_ahead = rng.i64(6..20) * SECOND;
        let rule = Rule { windowing, max_future: 60 * SECOND, max_ahead, idle: 2 * SECOND, ..Rule::default() };
        let settings = Settings {
            rule,
            checkpoint_interval: rng.i64(SECOND / 50..SECOND),
            epoch_records: 1 << rng.u32(2..12),
            audit: true,
            trail: Some(trail(seed)),
            // (By draws of its own: a seed draws what it always drew.)
            derive: fastrand::Rng::with_seed(seed ^ 0xde).choice(DERIVED).unwrap().parse().unwrap(),
            groups: seed.is_multiple_of(2).then(|| hostile::groups(&mut fastrand::Rng::with_seed(seed ^ 0x62), &rule)),
            windows: windows(seed, &windowing),
            ..Settings::default()
        };
        let partitions = draw(&mut rng, &rule, most, length);
        Setting { partitions, settings, sinks_come_at: 0, fields: FieldNames::default() }
    }

    /// Records have ids that repeat.
    fn with_ids(mut self, seed: u64) -> Setting {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x1d);
        let arrivals = self.partitions.iter_mut().flat_map(|p| &mut p.records).filter(|arrival| arrival.valid);
        hostile::with_ids(&mut rng, arrivals.filter_map(|arrival| arrival.record.payload.as_mut()));
        self.partitions.iter_mut().for_each(|partition| partition.repeat_after_silence(self.settings.rule.idle));
        Setting { fields: FieldNames { id: vec!["id".into()], ..FieldNames::default() }, ..self }
    }

    /// Not every event that is in time counts.
    fn with_cleaning(mut self, seed: u64) -> Setting {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xc1ea);
        self.settings.rule = self.settings.rule.with_cleaning(hostile::cleaning(&mut rng));
        self
    }

    /// Lives, one after the other, until one comes to its end.
    fn run(&self, seed: u64, crashes: usize, fuse: Option<u64>) -> Ran {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xdead);
        let clock = Simulated::default();
        let disk = Arc::new(Mutex::new(Disk::new(&self.settings, &clock, seed ^ 0xbeef)));
        {
            let mut disk = disk.lock().unwrap();
            (disk.fuse, disk.sinks_come_at) = (fuse, self.sinks_come_at);
        }
        for lives in 0..100 {
            // From the first steps on to a long time; often soon after the start.
            let most = 1 << rng.u32(3..14);
            let crash_after = (lives < crashes).then(|| rng.i64(0..most));
            let (seed, workers) = (rng.u64(..), rng.usize(1..=8).min(rng.usize(1..=8)));
            let keeps_trail = !fastrand::Rng::with_seed(seed ^ 0x7a11).u8(..).is_multiple_of(8);
            let life = Life { seed, workers, crash_after, fields: self.fields.clone(), keeps_trail };
            if let Some(counts) = live(&life, &self.partitions, &self.settings, &clock, &disk) {
                let disk = Arc::into_inner(disk).expect("all of its users are gone").into_inner();
                let mut disk = disk.unwrap_or_else(std::sync::PoisonError::into_inner);
                disk.lay_to_rest();
                return Ran { disk, counts, lives };
            }
            clock.0.fetch_add(rng.i64(0..4 * SECOND), Ordering::SeqCst);
        }
        panic!("seed {seed}: no life comes to its end");
    }

    /// Is this the oracle's answer? How many exceptions by a floor there are.
    fn judge(&self, seed: u64, ran: &Ran) -> usize {
        let rule = &self.settings.rule;
        let logs: Vec<_> = self.partitions.iter().map(Growing::log).collect();
        let logs: Vec<_> = logs.iter().map(hostile::Partition::log).collect();
        let decoder = Decoder::new(&self.fields).unwrap();
        let Disk { table, finals, letters, .. } = &ran.disk;
        let (derived, windows) = (self.settings.derive.clone(), self.settings.windows.levels().to_vec());
        let columns = OracleColumns { derived, windows, ..OracleColumns::default() };
        let want = oracle::answer(&logs, &decoder, rule, letters, &columns);
        let mut sorted = letters.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, want.dead_letters, "seed {seed}");
        let by_point = |rows: &mut dyn Iterator<Item = &Row>| -> BTreeMap<_, _> {
            let minutes = rows.filter(|row| row.kind == RowKind::Minute);
            minutes.map(|row| ((row.minute, row.symbol.clone()), row.clone())).collect()
        };
        // What the state says that a sink lacks it may have in part: where one worker had forgotten a window and another not.
        let has_all = |sink: usize, rows: &BTreeMap<_, Row>| {
            let lacks = ran.disk.lacks(sink);
            let may_be_gone = |(window, _): &(_, _)| lacks(*window);
            let mut wanted = want.rows.clone();
            wanted.retain(|point, _| rows.contains_key(point) || !may_be_gone(point));
            assert_eq!(*rows, wanted, "seed {seed}: {}", SINKS[sink]);
        };
        has_all(0, &by_point(&mut table.values().map(|(_, row)| row)));
        has_all(1, &by_point(&mut finals.iter()));
        let points: BTreeSet<_> = finals.iter().map(Row::point).collect();
        assert_eq!(finals.len(), points.len(), "seed {seed}: one row a point");
        self.judge_coarser(seed, &ran.disk, &want.coarse);
        self.judge_groups(seed, &ran.disk, &want.rows);
        let of = |counts: &Counts| (counts.counted, counts.duplicates, counts.cleaned, counts.outliers, counts.events);
        assert_eq!(of(&ran.counts), of(&want.counts), "seed {seed}");
        self.judge_index(seed, ran, &logs, &want.rows);
        self.judge_trail(seed, &ran.disk);
        let by_floor: Vec<_> = letters
            .iter()
            .filter(|letter| letter.judged.as_ref().is_some_and(|j| matches!(j.evidence, Evidence::Floor(_))))
            .collect();
        for letter in &by_floor {
            let partition = self.partitions.iter().find(|p| p.name == letter.partition).unwrap();
            // One that was admitted late had a floor from its first record on.
            let proven = partition.appears > 0 || partition.was_silent_before(letter.offset, rule.idle);
            assert!(proven, "seed {seed}: {letter:?} is late by a floor, and its partition was never silent");
        }
        by_floor.len()
    }
}

impl Setting {
    /// Are rows of groups those of the oracle? `rows`: those of series.
    fn judge_groups(&self, seed: u64, disk: &Disk, rows: &BTreeMap<(WindowStart, String), Row>) {
        let lines =
            self.settings.groups.iter().flat_map(|groups| groups.newest().memberships().cloned().collect::<Vec<_>>());
        let want = oracle::group_rows(rows, &lines.collect::<Vec<_>>(), Scales::default().value);
        let of_groups = |rows: &mut dyn Iterator<Item = &Row>| -> BTreeMap<_, _> {
            let groups = rows.filter(|row| row.kind == RowKind::Group);
            groups.map(|row| ((row.minute, row.symbol.clone()), row.clone())).collect()
        };
        let sinks = [of_groups(&mut disk.table.values().map(|(_, row)| row)), of_groups(&mut disk.finals.iter())];
        for (sink, rows) in sinks.into_iter().enumerate() {
            let lacks = disk.lacks(sink);
            let mut wanted = want.clone();
            wanted.retain(|point, _| rows.contains_key(point) || !lacks(point.0));
            assert_eq!(rows, wanted, "seed {seed}: groups of {}", SINKS[sink]);
        }
    }

    /// Are rows of coarser windows the oracle's? Those that end after the newest minute need not be final when a run is stopped.
    fn judge_coarser(&self, seed: u64, disk: &Disk, want: &[(EventTime, Row)]) {
        let is_coarse = |row: &&Row| matches!(row.kind, RowKind::Window(_));
        let table: BTreeMap<_, _> =
            disk.table.values().map(|(_, row)| row).filter(is_coarse).map(|row| (row.point(), row)).collect();
        let finals: BTreeMap<_, _> = disk.finals.iter().filter(is_coarse).map(|row| (row.point(), row)).collect();
        let newest =
            disk.table.values().filter(|(_, row)| row.kind == RowKind::Minute).map(|(_, row)| row.minute).max();
        let length = self.settings.rule.windowing.length;
        for (sink, rows) in [&table, &finals].into_iter().enumerate() {
            let lacks = disk.lacks(sink);
            let known: BTreeMap<_, _> = want.iter().map(|(_, row)| (row.point(), row)).collect();
            assert!(rows.keys().all(|point| known.contains_key(point)), "seed {seed}: {}: of nothing", SINKS[sink]);
            for (end, row) in want {
                let said = format!("seed {seed}: {}: {row:?}", SINKS[sink]);
                let has_ended = newest.is_some_and(|newest| end.0 <= newest.0 + length);
                match rows.get(&row.point()) {
                    Some(there) if has_ended || sink == 1 => assert_eq!(*there, row, "{said}"),
                    Some(there) => assert_eq!(Row { state: row.state, ..(*there).clone() }, *row, "{said}"),
                    None => {
                        assert!(lacks(WindowStart(end.0 - length)) || (sink == 1 && !has_ended), "{said}: lacks it")
                    }
                }
            }
        }
    }

    /// Is the index that of the log, whatever the run went through, and are digests those of the rows?
    fn judge_index(&self, seed: u64, ran: &Ran, logs: &[Log<'_>], rows: &BTreeMap<(WindowStart, String), Row>) {
        let (manifest, index) = ran.disk.index();
        let mut exceptions = OraclePartition::exceptions(&ran.disk.letters);
        let decoder = Decoder::new(&self.fields).unwrap();
        let mut want = BTreeMap::new();
        for log in logs {
            let exceptions = exceptions.remove(&log.name).unwrap_or_default();
            let mut judge = OraclePartition::new(&log.name, &decoder, &self.settings.rule, exceptions, None);
            for record in &log.records {
                let h = judge.h();
                let judged = judge.record(record, |judgement| {
                    if let Judgement::Counts(window, ..) = judgement {
                        let key = (log.name.to_string(), window.0.div_euclid(BUCKET));
                        want.entry(key).or_insert((record.offset, h));
                    }
                });
                judged.unwrap();
            }
        }
        let name = |partition: usize| manifest.partitions[partition].found.name.to_string();
        let got = index.entries.iter().map(|entry| ((name(entry.partition), entry.bucket), (entry.offset, entry.h)));
        assert_eq!(got.collect::<BTreeMap<_, _>>(), want, "seed {seed}: the index");
        assert_eq!(index.entries.len(), want.len(), "seed {seed}: one entry a bucket");
        let mut digests: BTreeMap<WindowStart, MinuteDigest> = BTreeMap::new();
        for ((window, symbol), row) in rows {
            let numbers = RowNumbers { count: row.count, sum: row.sum.scaled(), market: None };
            let bytes = row_bytes(symbol, *window, decoder.scales(), &numbers);
            digests.entry(*window).or_default().add(MinuteDigest::of_row(&bytes));
        }
        // Of what is retired at every worker; of a window that is retired at some, the others' rows are lacking.
        let retired_before = manifest.parts.iter().map(|part| part.retired_before).min().flatten();
        let whole = |digests: BTreeMap<WindowStart, MinuteDigest>| -> BTreeMap<_, _> {
            digests.into_iter().filter(|(window, _)| Some(*window) < retired_before).collect()
        };
        assert_eq!(whole(index.digests), whole(digests), "seed {seed}: digests");
    }
}

impl Setting {
    /// Has the audit trail each version that a manifest of the chain has committed, by the manifest's number, and each cut?
    fn judge_trail(&self, seed: u64, disk: &Disk) {
        let (manifest, versions, cuts) = disk.trail();
        let Some(start) = manifest.trail_start() else { return };
        if let Some(TrailLimits { keep: HOUR.., bytes: 1_000_000.. }) = self.settings.trail {
            let first = disk.cuts.values().map(|(cut, _)| *cut).find(|cut| *cut >= start.seq);
            assert_eq!(first, Some(start.seq), "seed {seed}: nothing is given up within the time");
        }
        let from = |of_window: &[WindowVersion]| -> Vec<WindowVersion> {
            of_window.iter().filter(|version| version.seq >= start.seq).copied().collect()
        };
        for (window, wanted) in &disk.versions {
            let before = wanted.iter().rfind(|version| version.seq < start.seq);
            let mut got = from(versions.get(window).map_or(&[][..], |versions| versions));
            assert!(got.windows(2).all(|pair| pair[0].seq < pair[1].seq), "seed {seed}: {window:?}: {got:?}");
            // What a run resumes with it writes again.
            got.dedup_by_key(|version| (version.count, version.sum));
            let again =
                |version: &&WindowVersion| before.is_some_and(|b| (b.count, b.sum) == (version.count, version.sum));
            let known = got.first().filter(again).map_or(0, |_| 1);
            assert_eq!(got[known..], from(wanted), "seed {seed}: {window:?} since {start:?}");
        }
        assert!(versions.keys().all(|window| disk.versions.contains_key(window)), "seed {seed}: versions of nothing");
        let known: BTreeSet<_> = cuts.range(start.seq..).map(|(cut, record)| (*cut, record.w)).collect();
        let wanted: BTreeSet<_> = disk.cuts.values().filter(|(cut, _)| *cut >= start.seq).copied().collect();
        let odd: Vec<_> = known.symmetric_difference(&wanted).collect();
        assert!(odd.is_empty(), "seed {seed}: cuts that are not known, or were not committed: {odd:?}");
    }
}

/// What a run gave, over all its lives.
struct Ran {
    disk: Disk,
    counts: Counts,
    /// Lives that ended in a crash, or were fenced.
    lives: usize,
}

/// What was met on the way, so that a test can say that it says something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    pub(crate) exceptions: usize,
    pub(crate) crashes: usize,
    pub(crate) merges: usize,
    pub(crate) revenants: usize,
    pub(crate) duplicates: i64,
    pub(crate) outliers: i64,
}

impl std::ops::Add for Met {
    type Output = Met;
    fn add(self, other: Met) -> Met {
        Met {
            exceptions: self.exceptions + other.exceptions,
            crashes: self.crashes + other.crashes,
            merges: self.merges + other.merges,
            revenants: self.revenants + other.revenants,
            duplicates: self.duplicates + other.duplicates,
            outliers: self.outliers + other.outliers,
        }
    }
}

/// Says which seed it was, should a test panic or get nowhere.
struct Seed {
    seed: u64,
    /// Dropped at its end.
    _ends: mpsc::Sender<()>,
}

impl Seed {
    /// Many times what the slowest ever took.
    const PATIENCE: Duration = Duration::from_secs(300);

    fn begins(seed: u64) -> Seed {
        let (ends, ended) = mpsc::channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(Self::PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _nobody_listens = writeln!(std::io::stderr(), "MINUTELY_TEST_SEED={seed} gets nowhere");
                std::process::abort();
            }
        });
        Seed { seed, _ends: ends }
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("it was MINUTELY_TEST_SEED={}", self.seed);
        }
    }
}

/// Checks a seed.
///
/// # Panics
/// When anything is not as it should be.
pub(crate) fn check(seed: u64) -> Met {
    let _seed = Seed::begins(seed);
    check_setting(seed, &Setting::draw(seed, 4, 20 * SECOND))
}

/// Checks a seed whose records have ids that repeat: at the same time and at others, in other windows and partitions.
///
/// # Panics
/// As [`check`].
pub(crate) fn check_with_ids(seed: u64) -> Met {
    let _seed = Seed::begins(seed);
    check_setting(seed, &Setting::draw(seed, 4, 20 * SECOND).with_ids(seed))
}

/// Checks a seed of whose events some are outside of the session or the bounds, or outliers; with ids that repeat, every other one.
///
/// # Panics
/// As [`check`].
pub(crate) fn check_with_cleaning(seed: u64) -> Met {
    let _seed = Seed::begins(seed);
    let setting = Setting::draw(seed, 4, 20 * SECOND).with_cleaning(seed);
    check_setting(seed, &if seed.is_multiple_of(2) { setting.with_ids(seed) } else { setting })
}

fn check_setting(seed: u64, setting: &Setting) -> Met {
    let crashes = fastrand::Rng::with_seed(seed ^ 0xcafe).usize(0..6);
    let ran = setting.run(seed, crashes, None);
    let exceptions = setting.judge(seed, &ran);
    if seed.is_multiple_of(4) {
        let again = setting.run(seed, crashes, None).disk;
        let Disk { writes, finals, letters, .. } = &ran.disk;
        let same = again.writes == *writes && again.finals == *finals && again.letters == *letters;
        assert!(same, "seed {seed}: the same seed, another run");
    }
    let Disk { merges, revenants, .. } = ran.disk;
    let Counts { duplicates, outliers, .. } = ran.counts;
    Met { exceptions, crashes: ran.lives, merges, revenants, duplicates, outliers }
}

/// Two minutes of one partition, with sinks that come when they are nearly over: far more windows become final meanwhile than
/// there may be. Those that are not final, and what is read on the way to a commit, are fewer than that.
///
/// # Panics
/// As [`check`].
pub(crate) fn sinks_that_come_late(seed: u64) {
    let _seed = Seed::begins(seed);
    let Setting { mut partitions, settings, fields, .. } = Setting::draw(seed, 1, 120 * SECOND);
    // Without transactions: so many of them would be open at the end, one after the other, for longer than a life may last.
    partitions.iter_mut().flat_map(|p| &mut p.records).for_each(|arrival| arrival.readable = arrival.at);
    // Every epoch is a cut, two of which are not committed at most.
    // (Coarser windows count as well, and those that are not final are no fewer.)
    let windows = CoarseWindows::default();
    let settings = Settings { max_keys: 90, epoch_records: 8, checkpoint_interval: 1, windows, ..settings };
    let setting = Setting { partitions, settings, sinks_come_at: 100 * SECOND, fields };
    let ran = setting.run(seed, fastrand::Rng::with_seed(seed ^ 0xcafe).usize(0..4), None);
    setting.judge(seed, &ran);
}

/// Crashes a short run before and after each of its effects on the world, one at a time; how many those are.
///
/// # Panics
/// As [`check`].
pub(crate) fn crash_at_every_effect(seed: u64, with_ids: bool, cleaned: bool) -> u64 {
    let _seed = Seed::begins(seed);
    let setting = Setting::draw(seed, 2, 6 * SECOND);
    let setting = if with_ids { setting.with_ids(seed) } else { setting };
    let setting = if cleaned { setting.with_cleaning(seed) } else { setting };
    let effects = setting.run(seed, 0, None).disk.effects;
    for fuse in 0..2 * effects {
        let ran = setting.run(seed, 0, Some(fuse));
        assert!(ran.lives > 0 || ran.disk.crashed, "seed {seed}, effect {}: no crash", fuse / 2);
        setting.judge(seed, &ran);
    }
    effects
}
