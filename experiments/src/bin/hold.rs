//! `hold avg|market SYMBOLS WINDOWS [CUTS] [TOUCHED_PER_CUT]`: how much memory a key takes, a key being a window of a
//! symbol, on one worker, with a sink that takes every change.
//!
//! Every symbol gets a record in each window; then, cut after cut, so many keys chosen by chance get one more. Prints one
//! CSV line: keys, and resident bytes with no keys, at most while filling, when filled, at most during the cuts, after.

use anyhow::Context;
use minutely_dataflows::acc::{Accumulate, Avg, Market};
use minutely_dataflows::edge::{Discovered, EndAnswer, Halt, LogSource, PartitionReader, RowFilter, Wake};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::NextOffset;
use minutely_experiments::harness::{Nowhere, Outputs, run};
use minutely_experiments::market::{BEGIN_MS, mix, name};
use minutely_experiments::{argument, say};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records that may be read so far: the pace.
type Allowed = Arc<AtomicI64>;

#[derive(Clone)]
struct Keys {
    symbols: i64,
    windows: i64,
    allowed: Allowed,
}

impl Keys {
    fn all(&self) -> i64 {
        self.symbols * self.windows
    }
}

impl LogSource for Keys {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        let name = PartitionName { log: "keys".into(), number: Some(0) };
        let first = self.allowed.compare_exchange(-1, 0, Ordering::AcqRel, Ordering::Acquire).is_ok();
        Ok(first
            .then_some(Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: None, log_id: None })
            .into_iter()
            .collect())
    }
    fn open(&self, _: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        Ok(Box::new(Reader { keys: self.clone(), next: 0, payload: Vec::new() }))
    }
}

struct Reader {
    keys: Keys,
    next: i64,
    payload: Vec<u8>,
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let left = self.keys.allowed.load(Ordering::Acquire) - self.next;
        let some = usize::try_from(left).unwrap_or(0).min(max);
        for _ in 0..some {
            // First all symbols of a window, window after window; then by chance.
            let key = match self.next {
                key if key < self.keys.all() => key,
                more => i64::try_from(mix(more.unsigned_abs()) >> 1).unwrap_or(0) % self.keys.all(),
            };
            let (window, symbol) = (key / self.keys.symbols, key % self.keys.symbols);
            let ts = BEGIN_MS + 60_000 * window.unsigned_abs();
            let symbol = name(symbol.unsigned_abs());
            self.payload.clear();
            let wrote = write!(self.payload, r#"{{"symbol":"{symbol}","price":12.75,"ts":{ts},"volume":100}}"#);
            wrote.expect("a Vec takes all");
            each(Record { offset: self.next, payload: Some(&self.payload), ..Record::default() });
            self.next += 1;
        }
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

/// Resident bytes now (`VmRSS`) or at most since the last [`reset`] (`VmHWM`).
fn resident(what: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
    kib.expect("Linux tells a process what it takes") * 1024
}

/// Forgets the maximum.
fn reset() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process forget its maximum");
}

#[derive(Default)]
struct Seen {
    none: i64,
    filling: i64,
    filled: i64,
    cuts: i64,
    after: i64,
    calm: i32,
    cut: i64,
}

fn measure<A: Accumulate>(keys: &Keys, cuts: i64, touched: i64) -> anyhow::Result<Seen> {
    let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
    let (all, allowed, watched, stopping) =
        (keys.all(), Arc::clone(&keys.allowed), Arc::clone(&seen), Arc::clone(&stop));
    let watch = move |status: &minutely_dataflows::status::Status| {
        let mut seen = watched.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = allowed.load(Ordering::Acquire);
        let quiet = status.ledger.counts.counted == so_far && status.sinks.iter().all(|sink| sink.begun == sink.stored);
        let seen = &mut *seen;
        match so_far {
            0 => {
                seen.none = resident("VmRSS");
                reset();
                allowed.store(all, Ordering::Release);
            }
            _ if !quiet => seen.calm = 0,
            _ if seen.cut == 0 && seen.calm < 3 => seen.calm += 1, // rows are on their way, traces are being merged
            _ if seen.cut < cuts => {
                if seen.cut == 0 {
                    seen.filling = resident("VmHWM");
                    seen.filled = resident("VmRSS");
                    reset();
                }
                seen.cut += 1;
                allowed.fetch_add(touched, Ordering::AcqRel);
            }
            _ if seen.calm < 3 => seen.calm += 1,
            _ => {
                seen.cuts = resident("VmHWM");
                seen.after = resident("VmRSS");
                assert_eq!(status.ledger.keys, all.unsigned_abs(), "no key is gone");
                stopping.store(true, Ordering::Release);
            }
        }
    };
    let takes = RowFilter { changes: true, partial: true, open_every: 0 };
    let outputs = Outputs { rows: Box::new(Nowhere::default()), takes, watch: Box::new(watch), stop, store: None };
    run::<A>(Arc::new(keys.clone()), Settings::default(), outputs)?;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *seen))
}

fn main() -> anyhow::Result<()> {
    let usage = "hold avg|market SYMBOLS WINDOWS [CUTS] [TOUCHED_PER_CUT]";
    let metrics: String = argument(1, String::new())?;
    let (symbols, windows) = (argument(2, 100_000)?, argument(3, 10)?);
    let keys = Keys { symbols, windows, allowed: Arc::new(AtomicI64::new(-1)) };
    let (cuts, touched) = (argument(4, 20)?, argument(5, keys.all() / 10)?);
    let seen = match metrics.as_str() {
        "avg" => measure::<Avg>(&keys, cuts, touched)?,
        "market" => measure::<Market>(&keys, cuts, touched)?,
        _ => return Err(anyhow::anyhow!(usage)).context("the metrics are avg or market"),
    };
    let all = keys.all();
    let each = |bytes: i64| (bytes - seen.none) / all;
    let Seen { none, filling, filled, cuts, after, .. } = seen;
    say(format_args!("{metrics},{symbols},{windows},{all},{none},{filling},{filled},{cuts},{after}"))?;
    eprintln!(
        "bytes a key: filling {}, filled {}, cuts {}, after {}",
        each(filling),
        each(filled),
        each(cuts),
        each(after)
    );
    Ok(())
}
