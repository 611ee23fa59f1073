//! What cuts cost a worker and a disk. One worker, `--metrics market`, a sink that takes all at once, and either no state or
//! a folder of checkpoints, written with fsync by threads of their own.
//!
//! `cuts stall none|FOLDER changes|final SERIES RUN INTERVAL_MS CUTS [RATE]`: there is always something to read (or, with a
//! RATE, so many records a second), of all series in turn, so many records of each, all of one window; and the reader takes
//! the time between two calls of its `read`. Prints a
//! CSV line for each commit, of the time since the one before: the longest gap by the clock and by the thread's own CPU time
//! (other programs do not count in it), all that are longer than 5 ms of CPU together, in milliseconds; records; seconds.
//!
//! `cuts write FOLDER even|life SERIES TOUCHED INTERVAL_MS CUTS`: so many records are read for each cut. `even`: of one
//! window, series by chance. `life`: a second of a market in which each series has a tick a second (TOUCHED = SERIES), so
//! windows of a minute open, become final after ten and are forgotten. Counted once the folder has what it will hold
//! (`life`: after 720 cuts). Prints one CSV line: keys held, cuts, and of deltas, merges and manifests files, entries and
//! bytes; and the factor, bytes of deltas and merges over bytes of deltas.

use anyhow::Context;
use minutely_dataflows::acc::Market;
use minutely_dataflows::edge::{Discovered, EndAnswer, Halt, LogSource, PartitionReader, RowFilter, Wake};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::NextOffset;
use minutely_experiments::harness::{Nowhere, Outputs, run};
use minutely_experiments::market::{BEGIN_MS, mix, name};
use minutely_experiments::store::{Store, Written};
use minutely_experiments::{argument, say};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds until a market of one-minute windows and ten minutes of lateness forgets as much as it takes in.
const SETTLED: u64 = 720;

/// Which record comes at an offset.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// So many of a series, then of the next.
    Turns(u64),
    Chance,
    Life,
}

#[derive(Clone)]
struct Log {
    series: u64,
    order: Order,
    /// Records that may be read so far.
    allowed: Arc<AtomicI64>,
    gaps: Arc<Mutex<Gaps>>,
    told: Arc<AtomicBool>,
}

/// Times between two calls of `read`, since the last commit.
#[derive(Default)]
struct Gaps {
    returned: Option<(Instant, Duration)>,
    longest: Duration,
    longest_cpu: Duration,
    /// CPU time together, of those longer than 5 ms.
    long: Duration,
}

/// Of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogSource for Log {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        let name = PartitionName { log: "cuts".into(), number: Some(0) };
        let found = Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: None, log_id: None };
        Ok(if self.told.swap(true, Ordering::AcqRel) { Vec::new() } else { vec![found] })
    }
    fn open(&self, _: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let names = (0..self.series).map(name).collect();
        Ok(Box::new(Reader { log: self.clone(), names, next: 0, payload: String::new() }))
    }
}

struct Reader {
    log: Log,
    names: Vec<String>,
    next: i64,
    payload: String,
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        {
            let mut gaps = lock(&self.log.gaps);
            if let Some((clock, cpu)) = gaps.returned {
                let cpu = cpu_time().saturating_sub(cpu);
                gaps.longest = gaps.longest.max(clock.elapsed());
                gaps.longest_cpu = gaps.longest_cpu.max(cpu);
                gaps.long += if cpu > Duration::from_millis(5) { cpu } else { Duration::ZERO };
            }
        }
        let left = self.log.allowed.load(Ordering::Acquire) - self.next;
        let some = usize::try_from(left).unwrap_or(0).min(max);
        for _ in 0..some {
            let offset = self.next.unsigned_abs();
            let (series, second) = match self.log.order {
                Order::Chance if offset >= self.log.series => (mix(offset) % self.log.series, 0),
                Order::Turns(run) => (offset / run % self.log.series, 0),
                Order::Chance => (offset, 0),
                Order::Life => (offset % self.log.series, offset / self.log.series),
            };
            let symbol = &self.names[usize::try_from(series).expect("as many as names")];
            let ts = BEGIN_MS + 1000 * second;
            let cents = offset % 100;
            self.payload.clear();
            let line = write!(self.payload, r#"{{"symbol":"{symbol}","price":412.{cents:02},"ts":{ts},"volume":100}}"#);
            line.expect("a String takes all");
            each(Record { offset: self.next, payload: Some(self.payload.as_bytes()), ..Record::default() });
            self.next += 1;
        }
        lock(&self.log.gaps).returned = Some((Instant::now(), cpu_time()));
        Ok(some)
    }
    fn next(&self) -> NextOffset {
        NextOffset(self.next)
    }
    fn ended(&self) -> bool {
        false
    }
    fn ask_end(&mut self, _: bool) {}
    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }
    fn idle_wait(&self) -> Duration {
        Duration::from_millis(1)
    }
}

fn log(series: u64, order: Order, allowed: i64) -> Log {
    let allowed = Arc::new(AtomicI64::new(allowed));
    Log { series, order, allowed, gaps: Arc::default(), told: Arc::default() }
}

fn settings(interval_ms: i64) -> Settings {
    Settings { checkpoint_interval: interval_ms * 1_000_000, ..Settings::default() }
}

fn stall() -> anyhow::Result<()> {
    let (store, takes) = (argument(2, "none".to_owned())?, argument(3, "final".to_owned())?);
    let (series, in_a_row) = (argument(4, 100_000)?, argument(5, 20)?);
    let (interval, cuts) = (argument(6, 1000)?, argument(7, 40)?);
    let rate: i64 = argument(8, 0)?;
    let store = (store != "none").then(|| Store::create(Path::new(&store))).transpose()?;
    let takes = RowFilter { changes: takes == "changes", partial: true, open_every: 0 };
    let log = log(series, Order::Turns(in_a_row), if rate == 0 { i64::MAX } else { 0 });
    let stop = Arc::new(AtomicBool::new(false));
    if rate > 0 {
        let (allowed, over, began) = (Arc::clone(&log.allowed), Arc::clone(&stop), Instant::now());
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                let ms = i64::try_from(began.elapsed().as_millis()).expect("not for ever");
                allowed.store(ms * rate / 1000, Ordering::Release);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    let (stopping, gaps) = (Arc::clone(&stop), Arc::clone(&log.gaps));
    let (mut cut, mut before) = (0, (Instant::now(), 0));
    let watch = move |status: &Status| {
        let Gaps { longest, longest_cpu, long, returned } = std::mem::take(&mut *lock(&gaps));
        lock(&gaps).returned = returned;
        let (now, read) = (Instant::now(), status.ledger.counts.read);
        let (seconds, records) = ((now - before.0).as_secs_f64(), read - before.1);
        before = (now, read);
        cut += 1;
        if cut > 4 && cut <= cuts + 4 {
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            let line =
                say(format_args!("{:.2},{:.2},{:.2},{records},{seconds:.3}", ms(longest), ms(longest_cpu), ms(long)));
            line.expect("somebody listens");
        }
        stopping.store(cut > cuts + 4, Ordering::Release);
    };
    let outputs = Outputs { rows: Box::new(Nowhere::default()), takes, watch: Box::new(watch), stop, store };
    run::<Market>(Arc::new(log), settings(interval), outputs)?;
    Ok(())
}

fn factor() -> anyhow::Result<()> {
    let (folder, order) = (argument(2, String::new())?, argument(3, String::new())?);
    let (series, touched) = (argument(4, 100_000)?, argument(5, 1_000)?);
    let (interval, cuts) = (argument(6, 20)?, argument(7, 200)?);
    let (order, settled) = match order.as_str() {
        "even" => (Order::Chance, 1),
        "life" => (Order::Life, SETTLED),
        _ => return Err(anyhow::anyhow!("the order is even or life")),
    };
    let store = Store::create(Path::new(&folder))?;
    let log = log(series, order, i64::try_from(series)?);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopping, allowed, watched) = (Arc::clone(&stop), Arc::clone(&log.allowed), store.clone());
    let seen = Arc::new(Mutex::new((0_u64, Written::default(), Written::default(), 0_u64)));
    let see = Arc::clone(&seen);
    let watch = move |status: &Status| {
        let so_far = allowed.load(Ordering::Acquire);
        if status.ledger.counts.counted < so_far {
            return;
        }
        let (cut, begin, end, keys) = &mut *lock(&see);
        *cut += 1;
        if *cut == settled {
            *begin = watched.written();
        }
        if *cut == settled + cuts {
            (*end, *keys) = (watched.written(), status.ledger.keys);
            stopping.store(true, Ordering::Release);
            return;
        }
        allowed.store(so_far + touched, Ordering::Release);
    };
    let takes = RowFilter { changes: false, partial: true, open_every: 0 };
    let outputs =
        Outputs { rows: Box::new(Nowhere::default()), takes, watch: Box::new(watch), stop, store: Some(store) };
    run::<Market>(Arc::new(log), settings(interval), outputs)?;
    let (_, begin, end, keys) = *lock(&seen);
    let (deltas, merges) = (end.deltas - begin.deltas, end.merges - begin.merges);
    let manifests = end.manifests - begin.manifests;
    say(format_args!(
        "{keys},{cuts},{},{},{},{},{},{},{},{},{:.3}",
        deltas.files,
        deltas.entries,
        deltas.bytes,
        merges.files,
        merges.entries,
        merges.bytes,
        manifests.files,
        manifests.bytes,
        1.0 + merges.bytes as f64 / deltas.bytes as f64
    ))?;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    match argument(1, String::new())?.as_str() {
        "stall" => stall(),
        "write" => factor(),
        _ => Err(anyhow::anyhow!("cuts stall … or cuts write …")).context("which of them?"),
    }
}
