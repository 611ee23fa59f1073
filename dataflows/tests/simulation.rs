//! A live run in simulated time: stock timely workers under a seeded baton that lets one of them work at a time, a log
//! that grows, partitions that fall silent or appear late, a broker that answers late or not at all, slow sinks, a slow
//! store. Several epochs pass between two looks of a worker, so that frontiers jump. Crashes come at any moment, and again
//! before what the last one left is mended; what was under way is done, torn or lost. Each start has another number of
//! workers.
//!
//! For every seed: all windows become final by evidence alone, final rows are the oracle's over the log and the listed
//! exceptions, each once; the ledger balances at every cut; every row and dead letter that is ever sent is in a manifest
//! that is committed; and the same seed gives the same run, row by row.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod disk;
mod hostile;

use disk::{Disk, Keeper, LETTERS, Manifests, SINKS, Store};
use hostile::{Owned, Partition};
use minutely_dataflows::acc::Avg;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::control::{Settings, Status};
use minutely_dataflows::decode::{Decoder, Fields};
use minutely_dataflows::drive::{Alarm, Lead, drive};
use minutely_dataflows::edge::{Answer, Clock, Found, Halt, HaltKind, LogSource, PartitionReader, Takes, Wake};
use minutely_dataflows::emitter::Outlet;
use minutely_dataflows::oracle;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{DeadLetter, Evidence, PartitionName, Record};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, SECOND, Windowing, first_epoch};
use minutely_dataflows::{Job, Kept};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Whose turn it is.
struct Baton {
    state: Mutex<Turn>,
    changed: Condvar,
}

struct Turn {
    rng: fastrand::Rng,
    turn: usize,
    alive: Vec<bool>,
    waiting: usize,
}

impl Baton {
    fn new(workers: usize, seed: u64) -> Self {
        let state =
            Turn { rng: fastrand::Rng::with_seed(seed), turn: usize::MAX, alive: vec![true; workers], waiting: 0 };
        Baton { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn pass(&self, turn: &mut Turn) {
        let alive: Vec<usize> = (0..turn.alive.len()).filter(|i| turn.alive[*i]).collect();
        turn.turn = turn.rng.choice(alive).unwrap_or(usize::MAX);
        self.changed.notify_all();
    }

    /// Begins when all workers are there.
    fn begin(&self, worker: usize) {
        let mut turn = self.state.lock().unwrap();
        turn.waiting += 1;
        if turn.waiting == turn.alive.len() {
            self.pass(&mut turn);
        }
        drop(self.changed.wait_while(turn, |turn| turn.turn != worker).unwrap());
    }

    fn give_way(&self, worker: usize) {
        let mut turn = self.state.lock().unwrap();
        self.pass(&mut turn);
        drop(self.changed.wait_while(turn, |turn| turn.turn != worker).unwrap());
    }

    fn leave(&self, worker: usize) {
        let mut turn = self.state.lock().unwrap();
        turn.alive[worker] = false;
        self.pass(&mut turn);
    }
}

/// Simulated time, in nanoseconds since the run began.
#[derive(Clone, Default)]
struct Simulated(Arc<AtomicI64>);

impl Simulated {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for Simulated {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.now())
    }
    fn wall(&self) -> EventTime {
        hostile::BEGAN.plus(self.now())
    }
}

/// A partition that grows: each record with when it arrives.
#[derive(Clone)]
struct Growing {
    name: PartitionName,
    appears: i64,
    records: Vec<(i64, Owned)>,
}

struct World {
    partitions: Vec<Growing>,
    clock: Simulated,
    told: Mutex<usize>,
    seed: u64,
}

impl LogSource for World {
    fn found(&self) -> Result<Vec<Found>, Halt> {
        let mut told = self.told.lock().unwrap();
        let new = self.partitions.iter().skip(*told).take_while(|p| p.appears <= self.clock.now());
        let found: Vec<_> =
            new.map(|p| Found { name: p.name.clone(), start: NextOffset(0), end: None, log_id: None }).collect();
        *told += found.len();
        Ok(found)
    }
    fn open(&self, found: &Found, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let partition = self.partitions.iter().find(|p| p.name == found.name).unwrap().clone();
        let rng = fastrand::Rng::with_seed(self.seed ^ found.name.identity());
        let at = partition.records.partition_point(|(_, record)| record.offset < found.start.0);
        Ok(Box::new(Reader { partition, clock: self.clock.clone(), at, asked: None, rng }))
    }
}

struct Reader {
    partition: Growing,
    clock: Simulated,
    at: usize,
    /// When the answer comes, and what it will be.
    asked: Option<(i64, Answer)>,
    rng: fastrand::Rng,
}

impl Reader {
    fn arrived(&self) -> usize {
        self.partition.records.partition_point(|(at, _)| *at <= self.clock.now())
    }
    fn offset_after(&self, records: usize) -> NextOffset {
        NextOffset(records.checked_sub(1).map_or(0, |last| self.partition.records[last].1.offset + 1))
    }
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let some = self.rng.usize(..=max).min(self.arrived() - self.at).min(40);
        for (_, record) in &self.partition.records[self.at..self.at + some] {
            each(record.lend());
        }
        self.at += some;
        Ok(some)
    }
    fn next(&self) -> NextOffset {
        self.offset_after(self.at)
    }
    fn ended(&self) -> bool {
        false
    }
    fn ask_end(&mut self, _: bool) {
        let end = if self.rng.u8(..10) == 0 { Answer::Failed } else { Answer::End(self.offset_after(self.arrived())) };
        self.asked = Some((self.clock.now() + self.rng.i64(0..SECOND / 2), end));
    }
    fn answer(&mut self) -> Option<Answer> {
        self.asked.take_if(|(at, _)| *at <= self.clock.now()).map(|(_, answer)| answer)
    }
    fn nap(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// Draws a log: partitions that lag, fall silent, come back, appear late.
fn draw(rng: &mut fastrand::Rng, rule: &Rule) -> Vec<Growing> {
    let count = rng.usize(1..5);
    let mut partitions: Vec<_> = (0..count)
        .map(|number| {
            let name = PartitionName { log: "ticks".into(), number: i32::try_from(number).ok() };
            let appears = if number > 0 && rng.u8(..4) == 0 { rng.i64(0..15 * SECOND) } else { 0 };
            let (lag, pace) = (rng.i64(0..8) * SECOND, rng.i64(SECOND / 50..SECOND));
            let (mut now, mut offset, mut records) = (0, 0, Vec::new());
            while now < 20 * SECOND {
                // A silence, longer than `idle`, now and then.
                now += if rng.u8(..60) == 0 { rng.i64(1..4) * rule.idle } else { rng.i64(0..2 * pace) };
                let back = [0, SECOND, rule.windowing.lateness, 3 * rule.windowing.lateness][rng.usize(..4)];
                let time = hostile::BEGAN.0 + now - lag - if rng.u8(..4) == 0 { rng.i64(0..=back) } else { 0 };
                let payload = match rng.u8(..40) {
                    0 => "{".to_owned(),
                    1 => format!(r#"{{"symbol":"F","price":1,"ts":{}}}"#, (time + 2 * rule.max_future) / 1_000_000),
                    n => format!(r#"{{"symbol":"S{}","price":{}.5,"ts":{}}}"#, n % 7, rng.u8(..), time / 1_000_000),
                };
                let payload = Some(payload.into_bytes());
                records.push((now.max(appears / 2), Owned { offset, append_time: None, key: None, payload }));
                offset += if rng.u8(..10) == 0 { 3 } else { 1 };
            }
            records.truncate(if rng.u8(..5) == 0 { rng.usize(..3) } else { records.len() });
            Growing { name, appears, records }
        })
        .collect();
    partitions.sort_by_key(|p| p.appears);
    partitions
}

const CHANGES: Takes = Takes { changes: true, partial: true, open_every: 0 };
const FINAL: Takes = Takes { changes: false, partial: true, open_every: 0 };

/// One life of a run: to its end, or to a crash after so many rests of its workers.
struct Life {
    seed: u64,
    workers: usize,
    crash_after: Option<i64>,
}

/// Lives it. The end's counted records; none after a crash.
fn live(
    life: &Life,
    partitions: &[Growing],
    settings: &Settings,
    clock: &Simulated,
    disk: &Arc<Mutex<Disk>>,
) -> Option<i64> {
    let Life { seed, workers, crash_after } = *life;
    let names: Vec<String> = SINKS.iter().map(|name| (*name).to_owned()).collect();
    let head = Arc::new(disk.lock().unwrap().restart(&names));
    let world = Arc::new(World { partitions: partitions.to_vec(), clock: clock.clone(), told: Mutex::new(0), seed });
    let baton = Arc::new(Baton::new(workers, seed));
    let (settings, alarm) = (settings.clone(), Arc::new(Alarm::default()));
    let last = Arc::new(Mutex::new(Status::default()));
    let rests = Arc::new(AtomicI64::new(0));
    let (shown, bell, disk) = (Arc::clone(&last), Arc::clone(&alarm), Arc::clone(disk));
    let began = clock.now();
    let total: i64 = partitions.iter().map(|p| i64::try_from(p.records.len()).unwrap()).sum();
    let done = Arc::new(AtomicBool::new(false));
    let ended = timely::execute(timely::Config::process(workers), move |worker| {
        let index = worker.index();
        baton.begin(index);
        let lead = (index == 0).then(|| lead(seed, &settings, &head, &disk, total, &world.clock, &done, &shown));
        let (baton_too, clock) = (Arc::clone(&baton), world.clock.clone());
        let rng = std::cell::RefCell::new(fastrand::Rng::with_seed(seed.wrapping_add(index as u64)));
        let lines = SINKS.iter().map(|name| head.sink(name).and_then(|sink| sink.line)).collect();
        let store = Arc::new(Store::new(&disk, seed.wrapping_add(7 + index as u64)));
        let (stop, rests, crash) = (Arc::clone(&done), Arc::clone(&rests), Arc::clone(&bell));
        let job = Job {
            settings: settings.clone(),
            decoder: Decoder::new(&Fields::default()).unwrap(),
            source: Arc::clone(&world) as Arc<dyn LogSource>,
            clock: Rc::new(clock.clone()),
            first_epoch: first_epoch(head.generation),
            bad_is_fatal: false,
            takes: vec![CHANGES, FINAL],
            state: Some(Kept { store, head: Arc::clone(&head), lines }),
            stop: Rc::new(move || stop.load(Ordering::SeqCst)),
            rest: Rc::new(move |worker, _| {
                let mut rng = rng.borrow_mut();
                let step = if rng.u8(..50) == 0 { SECOND / 4 } else { SECOND / 300 };
                clock.0.fetch_add(rng.i64(0..=step), Ordering::SeqCst);
                if crash_after.is_some_and(|most| rests.fetch_add(1, Ordering::SeqCst) >= most) {
                    crash.raise(&Halt::new(HaltKind::Internal, CRASH));
                }
                if clock.now() - began > 1000 * SECOND {
                    crash.raise(&Halt::new(HaltKind::Internal, "it never ends"));
                }
                baton_too.give_way(index);
                // Not every time: what waits for it piles up.
                if rng.u8(..4) > 0 {
                    worker.step();
                }
            }),
        };
        // A worker that panics would leave its siblings waiting for ever.
        let lived = catch_unwind(AssertUnwindSafe(|| drive::<Avg>(worker, job, lead, &bell)));
        let outcome = lived.unwrap_or_else(|_| {
            bell.raise(&Halt::new(HaltKind::Internal, "a worker panicked"));
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            Err(Halt::new(HaltKind::Internal, "a worker panicked"))
        });
        baton.leave(index);
        outcome.map(drop)
    });
    let ended: Vec<_> = ended.unwrap().join().into_iter().map(Result::unwrap).collect();
    if let Some(halt) = alarm.raised() {
        assert_eq!(halt.why, CRASH, "seed {seed}");
        return None;
    }
    ended.into_iter().for_each(|worker| worker.unwrap());
    Some(last.lock().unwrap().ledger.counts.counted)
}

const CRASH: &str = "a crash";

/// Worker 0's.
#[expect(clippy::too_many_arguments, reason = "called once; a struct would only name them again")]
fn lead(
    seed: u64,
    settings: &Settings,
    head: &Arc<Manifest>,
    disk: &Arc<Mutex<Disk>>,
    total: i64,
    clock: &Simulated,
    done: &Arc<AtomicBool>,
    shown: &Arc<Mutex<Status>>,
) -> Lead {
    let keeper = |n: usize| Box::new(Keeper::new(disk, n, seed ^ n as u64));
    let (done, shown, clock) = (Arc::clone(done), Arc::clone(shown), clock.clone());
    let lateness = settings.rule.windowing.lateness;
    let began = clock.now();
    let takes = [CHANGES, FINAL];
    Lead {
        outlets: (0..SINKS.len())
            .map(|n| Outlet { name: SINKS[n].into(), takes: takes[n], port: keeper(n), chain: None })
            .collect(),
        letters: keeper(LETTERS),
        letters_name: "letters".into(),
        manifests: Some(Box::new(Manifests::new(disk, head, settings.rule, seed ^ 99))),
        watch: Box::new(move |status: &Status| {
            let newest = status.partitions.iter().filter_map(|(_, s)| s.as_ref()?.newest_end).max();
            let over = newest.is_none_or(|end| status.marks.w >= Some(end.plus(lateness)));
            done.fetch_or(status.ledger.counts.read == total && over, Ordering::SeqCst);
            assert!(clock.now() - began < 900 * SECOND, "seed {seed}: never final: {status:?}");
            *shown.lock().unwrap() = status.clone();
        }),
    }
}

/// What a run gave, in its order, over all its lives.
struct Ran {
    rows: Vec<Row>,
    finals: Vec<Row>,
    letters: Vec<DeadLetter>,
    counted: i64,
    lives: usize,
    merges: usize,
}

fn run(seed: u64, partitions: &[Growing], settings: &Settings) -> Ran {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0xdead);
    let (clock, disk) = (Simulated::default(), Arc::new(Mutex::new(Disk::new())));
    let crashes = rng.usize(0..6);
    for n in 0.. {
        // From the first steps on to a long time; often soon after the start.
        let most = 1 << rng.u32(3..14);
        let crash_after = (n < crashes).then(|| rng.i64(0..most));
        let life = Life { seed: rng.u64(..), workers: rng.usize(1..=8).min(rng.usize(1..=8)), crash_after };
        if let Some(counted) = live(&life, partitions, settings, &clock, &disk) {
            let disk = std::mem::replace(&mut *disk.lock().unwrap(), Disk::new());
            let Disk { changes, finals, letters, merges, .. } = disk;
            return Ran { rows: changes, finals, letters, counted, lives: n + 1, merges };
        }
        clock.0.fetch_add(rng.i64(0..4 * SECOND), Ordering::SeqCst);
    }
    unreachable!("the last life has no crash")
}

/// Checks a seed; how many exceptions by a floor, crashes and merges there were.
fn check(seed: u64) -> [usize; 3] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let windowing = Windowing { length: 2 * SECOND, lateness: 4 * SECOND };
    let rule = Rule { windowing, max_future: 60 * SECOND, max_ahead: 20 * SECOND, idle: 2 * SECOND };
    let settings =
        Settings { rule, checkpoint_interval: rng.i64(SECOND / 50..SECOND), audit: true, ..Settings::default() };
    let partitions = draw(&mut rng, &rule);
    let ran = run(seed, &partitions, &settings);
    let logs: Vec<Partition> = partitions
        .iter()
        .map(|p| Partition {
            name: p.name.clone(),
            start: NextOffset(0),
            records: p.records.iter().map(|(_, record)| record.clone()).collect(),
        })
        .collect();
    let logs: Vec<_> = logs.iter().map(Partition::log).collect();
    let want = oracle::answer(&logs, &Decoder::new(&Fields::default()).unwrap(), &rule, &ran.letters, false);
    let mut letters = ran.letters.clone();
    letters.sort_unstable();
    assert_eq!(letters, want.letters, "seed {seed}");
    let last = |rows: &[Row]| -> BTreeMap<_, _> {
        rows.iter().map(|row| ((row.minute, row.symbol.clone()), row.clone())).collect()
    };
    assert_eq!(last(&ran.finals), want.rows, "seed {seed}: final");
    assert_eq!(ran.finals.len(), want.rows.len(), "seed {seed}: one row a point");
    assert_eq!(last(&ran.rows), want.rows, "seed {seed}: changes");
    assert_eq!(ran.counted, want.counts.counted, "seed {seed}");
    if seed.is_multiple_of(4) {
        let again = run(seed, &partitions, &settings);
        let same = again.rows == ran.rows && again.finals == ran.finals && again.letters == ran.letters;
        assert!(same, "seed {seed}: the same seed, another run");
    }
    let by_floor =
        |letter: &&DeadLetter| letter.judged.as_ref().is_some_and(|j| matches!(j.evidence, Evidence::Floor(_)));
    [letters.iter().filter(by_floor).count(), ran.lives - 1, ran.merges]
}

/// `MINUTELY_TEST_SEED=N` checks that seed alone; `MINUTELY_TEST_SEEDS=N` so many fresh ones.
#[test]
fn any_schedule_and_any_crash_come_to_the_oracles_rows() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("MINUTELY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seeds from {first}");
    let long = std::env::var_os("MINUTELY_TEST_LONG").is_some();
    let alone = std::env::var_os("MINUTELY_TEST_SEED").map(|_| 1);
    let seeds = alone.or_else(|| number("MINUTELY_TEST_SEEDS")).unwrap_or(if long { 1000 } else { 200 });
    let seen = (0..seeds).map(|n| check(first.wrapping_add(n)));
    let [exceptions, crashes, merges] =
        seen.reduce(|a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]).expect("at least one");
    println!("{exceptions} exceptions by a floor, {crashes} crashes, {merges} merges");
    let told = "the test says little";
    assert!(seeds < 40 || (exceptions > 0 && crashes > 0 && merges > 0), "{exceptions} {crashes} {merges}: {told}");
}
