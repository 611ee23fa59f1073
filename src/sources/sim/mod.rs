//! `sim:` is one endless log of trades that began on 2020-01-01T00:00Z, in partitions as a Kafka topic has. Symbols, prices,
//! volumes and the hours of the day are such as one would expect to see; disorder, late, future, broken and duplicate
//! records come on demand.
//!
//! ```text
//!   offset ── rhythm ──> arrival (LogAppendTime) ── jitter, lag ──> event time ── price(symbol, event time) ──> tick
//!      └───── hash ────> fate, symbol, volume
//! ```
//!
//! What it promises: the record at (options, partition, offset) is a pure function of these three, in integers, found in
//! O(log offset) steps; so any two runs, readers and platforms agree bit for bit. A reader hands out what has arrived by
//! the clock, or, in a bounded run, what had arrived at the run's start.
//!
//! What it does not promise: a log that stays the same from one version to the next (a golden test says when it changes).

mod fixed;
mod hash;
mod options;
mod price;
mod rhythm;
mod symbols;
mod tick;

use super::{SourceOptions, Start};
use crate::clock::SystemClock;
use minutely_dataflows::edge::{Discovered, EndAnswer, Halt, HaltKind, LogSource, PartitionReader, Wake};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::{EventTime, NextOffset};
use options::SimOptions;
use rhythm::{MINUTE_MS, Rhythm};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tick::{BEGAN_MS, Ticks};

/// The log's name in [`PartitionName`].
const LOG: &str = "sim";
/// The longest that a worker sleeps between two reads.
const LONGEST_WAIT_MS: i64 = 1_000;

/// All mistakes in what follows `sim:`.
pub(super) fn validate(rest: &str) -> Vec<String> {
    SimOptions::parse(rest).err().unwrap_or_default()
}

/// What the log's content depends on.
pub(super) fn identity(rest: &str) -> String {
    SimOptions::parse(rest).map_or_else(|_| format!("sim:{rest}"), |options| options.identity())
}

/// Opens the log.
///
/// # Errors
/// 64: mistakes in the options.
pub(super) fn open(rest: &str, run: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    let options = SimOptions::parse(rest).map_err(SimError::Mistakes)?;
    Ok(Arc::new(SimSource::new(options, run)))
}

/// A time as milliseconds since the log began; negative before.
const fn since_began(time: EventTime) -> i64 {
    time.0.div_euclid(1_000_000) - BEGAN_MS
}

/// One partition of the log, as this run sees it.
#[derive(Debug)]
struct SimPartition {
    ticks: Ticks,
    found: Discovered,
    /// The log ends here, whatever the clock says; the offset that `records=` sets.
    limit: u64,
}

/// Why a simulated log cannot be read; its text is one paragraph with what to do.
#[derive(Debug, thiserror::Error)]
enum SimError {
    /// Mistakes in the options, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// A partition to open is not one of this log's.
    #[error("sim: has no partition {partition}: it has {count}, from {LOG}/0 on")]
    NoPartition { partition: PartitionName, count: usize },
    /// A partition is to be read from before its first record.
    #[error("sim: partition {partition} cannot be read from offset {offset}: offsets begin at 0")]
    NegativeOffset { partition: PartitionName, offset: i64 },
}

impl From<SimError> for Halt {
    fn from(error: SimError) -> Self {
        Halt::new(HaltKind::Usage, error.to_string())
    }
}

/// The log. One per process.
#[derive(Debug)]
struct SimSource {
    partitions: Vec<SimPartition>,
    clock: SystemClock,
    /// The partitions were returned by `discover`.
    announced: AtomicBool,
}

impl SimSource {
    fn new(options: SimOptions, run: &SourceOptions) -> Self {
        let rhythm = Arc::new(if options.market { Rhythm::market() } else { Rhythm::even() });
        let quotas = options.quotas();
        let options = Arc::new(options);
        let now = since_began(run.run_start);
        let kept_from =
            (now - options.history_ms.cast_signed()).div_euclid(MINUTE_MS.cast_signed()) * MINUTE_MS.cast_signed();
        let partition = |(number, rate): (i32, u64)| {
            let nth = u64::from(number.unsigned_abs());
            let ticks = Ticks::new(Arc::clone(&options), Arc::clone(&rhythm), nth, rate);
            let earliest = ticks.first_at(kept_from);
            let quota = quotas.as_ref().map(|all| all[usize::try_from(nth).expect("at most 1000")]);
            let limit = quota.map_or(u64::MAX >> 1, |quota| earliest + quota);
            let end = ticks.first_at(now + 1).min(limit);
            let start = match run.start {
                Start::Earliest => earliest,
                Start::Latest => end,
                Start::Time(time) => {
                    let from = ticks.first_at(time.0.saturating_add(999_999).div_euclid(1_000_000) - BEGAN_MS);
                    from.clamp(earliest, end.max(earliest))
                }
            };
            let found = Discovered {
                name: PartitionName { log: LOG.into(), number: Some(number) },
                start: NextOffset(start.cast_signed()),
                earliest: NextOffset(earliest.cast_signed()),
                end: run.bounded.then_some(end.cast_signed()),
                log_id: None,
            };
            SimPartition { ticks, found, limit }
        };
        let partitions = (0..).zip(options.rates_micro()).map(partition).collect();
        SimSource { partitions, clock: run.clock, announced: AtomicBool::new(false) }
    }
}

impl LogSource for SimSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.announced.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        Ok(self.initial_partitions())
    }

    fn initial_partitions(&self) -> Vec<Discovered> {
        self.partitions.iter().map(|partition| partition.found.clone()).collect()
    }

    fn open(&self, partition: &Discovered, _wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let name = &partition.name;
        let known = self
            .partitions
            .iter()
            .find(|known| known.found.name == *name)
            .ok_or_else(|| SimError::NoPartition { partition: name.clone(), count: self.partitions.len() })?;
        let start = u64::try_from(partition.start.0)
            .map_err(|_| SimError::NegativeOffset { partition: name.clone(), offset: partition.start.0 })?;
        let end = partition.end.map(|end| u64::try_from(end).unwrap_or_default());
        Ok(Box::new(SimReader {
            ticks: known.ticks.clone(),
            next: start,
            due_ms: None,
            limit: end.unwrap_or(known.limit),
            clock: partition.end.is_none().then_some(self.clock),
            answer: None,
        }))
    }
}

/// Reads one partition.
#[derive(Debug)]
struct SimReader {
    ticks: Ticks,
    next: u64,
    /// When the next record arrives, once that was looked up.
    due_ms: Option<u64>,
    /// Nothing is read from here on: the recorded end, or what `records=` sets.
    limit: u64,
    /// `None` in a bounded run: all records up to the end have arrived.
    clock: Option<SystemClock>,
    answer: Option<EndAnswer>,
}

impl SimReader {
    /// Milliseconds since the log began that have passed.
    fn now_ms(&self) -> i64 {
        self.clock.map_or(i64::MAX, |clock| since_began(clock.wall()))
    }

    /// When the next record arrives.
    fn due_ms(&mut self) -> u64 {
        match self.due_ms {
            Some(ms) => ms,
            None => *self.due_ms.insert(self.ticks.ms(self.next)),
        }
    }
}

impl PartitionReader for SimReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let now = u64::try_from(self.now_ms()).unwrap_or_default();
        let mut read = 0;
        while read < max && self.next < self.limit {
            let due = self.due_ms();
            if due > now {
                break;
            }
            each(self.ticks.record(self.next, due));
            self.next += 1;
            self.due_ms = None;
            read += 1;
        }
        Ok(read)
    }

    fn next(&self) -> NextOffset {
        NextOffset(self.next.cast_signed())
    }

    fn ended(&self) -> bool {
        self.clock.is_none() && self.next >= self.limit
    }

    fn ask_end(&mut self, _urgent: bool) {
        let now = self.now_ms();
        let end = if self.clock.is_none() { self.limit } else { self.ticks.first_at(now + 1).min(self.limit) };
        self.answer = Some(EndAnswer::End(NextOffset(end.max(self.next).cast_signed())));
    }

    fn answer(&mut self) -> Option<EndAnswer> {
        self.answer.take()
    }

    fn idle_wait(&self) -> Duration {
        let wait = match (self.due_ms, self.clock) {
            _ if self.next >= self.limit => LONGEST_WAIT_MS,
            (Some(due), Some(_)) => due.cast_signed().saturating_sub(self.now_ms()).clamp(0, LONGEST_WAIT_MS),
            _ => 0,
        };
        Duration::from_millis(wait.unsigned_abs())
    }
}

#[cfg(test)]
mod tests;
