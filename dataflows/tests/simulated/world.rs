//! A log that grows in simulated time, and a broker that answers late or not at all.

use crate::hostile::{self, Owned};
use minutely_dataflows::edge::{Clock, Discovered, EndAnswer, Halt, LogSource, PartitionReader, Wake};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, SECOND};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Simulated time, in nanoseconds since the first run began.
#[derive(Clone, Default)]
pub(crate) struct Simulated(pub(crate) Arc<AtomicI64>);

impl Simulated {
    pub(crate) fn now(&self) -> i64 {
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

/// A record of a growing partition.
#[derive(Clone)]
pub(crate) struct Arrival {
    /// When it is in the log, and when its transaction is committed. Neither falls.
    pub(crate) at: i64,
    pub(crate) readable: i64,
    /// It can be decoded and is not of the future.
    pub(crate) valid: bool,
    pub(crate) record: Owned,
}

/// A partition that grows.
#[derive(Clone)]
pub(crate) struct Growing {
    pub(crate) name: PartitionName,
    pub(crate) appears: i64,
    pub(crate) records: Vec<Arrival>,
}

impl Growing {
    pub(crate) fn log(&self) -> hostile::Partition {
        let records = self.records.iter().map(|arrival| arrival.record.clone()).collect();
        hostile::Partition { name: self.name.clone(), start: NextOffset(0), records }
    }

    /// Was there, before this record, a silence after which its floor may have risen (R8)? What this proves is less
    /// than the rule asks for: the silence is one of what arrived, and not of what was read.
    pub(crate) fn was_silent_before(&self, offset: i64, idle: i64) -> bool {
        let mut last = self.appears;
        for arrival in self.records.iter().take_while(|arrival| arrival.record.offset <= offset) {
            if arrival.at - last >= idle {
                return true;
            }
            if arrival.valid {
                last = arrival.at;
            }
        }
        false
    }

    /// The first record after each silence, in which a floor may have risen, is the one before it at a later event time.
    pub(crate) fn repeat_after_silence(&mut self, idle: i64) {
        for at in 1..self.records.len() {
            let (before, [after, ..]) = self.records.split_at_mut(at) else { unreachable!("it is not the end") };
            let before = &before[at - 1];
            if after.at - before.at < idle || !after.valid || !before.valid {
                continue;
            }
            let text = |arrival: &Arrival| String::from_utf8(arrival.record.payload.clone().unwrap()).unwrap();
            let (before, new) = (text(before), text(after));
            let (what, (_, when)) = (before.split_once(r#""ts""#).unwrap().0, new.split_once(r#""ts""#).unwrap());
            after.record.payload = Some(format!(r#"{what}"ts"{when}"#).into_bytes());
        }
    }

    fn offset_after(&self, records: usize) -> NextOffset {
        NextOffset(records.checked_sub(1).map_or(0, |last| self.records[last].record.offset + 1))
    }
}

/// All partitions.
pub(crate) struct World {
    pub(crate) partitions: Vec<Growing>,
    pub(crate) clock: Simulated,
    /// No run before this one has read anything.
    fresh: bool,
    told: Mutex<usize>,
    seed: u64,
}

impl World {
    pub(crate) fn new(partitions: &[Growing], clock: &Simulated, fresh: bool, seed: u64) -> Self {
        World { partitions: partitions.to_vec(), clock: clock.clone(), fresh, told: Mutex::new(0), seed }
    }
}

impl LogSource for World {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        let mut told = self.told.lock().unwrap();
        let now = self.clock.now();
        let new = self.partitions.iter().skip(*told).take_while(|p| p.appears <= now);
        let begins = self.fresh && *told == 0;
        let found = |p: &Growing| {
            // As with `--start latest`, but for those that are there when it all begins.
            let there = p.records.partition_point(|arrival| arrival.at <= now);
            let start = if begins { NextOffset(0) } else { p.offset_after(there) };
            Discovered { name: p.name.clone(), start, earliest: NextOffset(0), end: None, log_id: None }
        };
        let found: Vec<_> = new.map(found).collect();
        *told += found.len();
        Ok(found)
    }
    fn open(&self, found: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let partition = self.partitions.iter().find(|p| p.name == found.name).unwrap().clone();
        let fetch = [2, 10, 40][fastrand::Rng::with_seed(self.seed).usize(..3)];
        let rng = fastrand::Rng::with_seed(self.seed ^ found.name.identity());
        let at = partition.records.partition_point(|arrival| arrival.record.offset < found.start.0);
        Ok(Box::new(Reader { partition, clock: self.clock.clone(), at, asked: None, fetch, rng }))
    }
}

struct Reader {
    partition: Growing,
    clock: Simulated,
    at: usize,
    /// When the answer comes, and what it will be.
    asked: Option<(i64, EndAnswer)>,
    /// Records that it hands out at once, at most.
    fetch: usize,
    rng: fastrand::Rng,
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let readable = self.partition.records.partition_point(|arrival| arrival.readable <= self.clock.now());
        let some = self.rng.usize(..=max).min(readable - self.at).min(self.fetch);
        for arrival in &self.partition.records[self.at..self.at + some] {
            each(arrival.record.lend());
        }
        self.at += some;
        Ok(some)
    }
    fn next(&self) -> NextOffset {
        self.partition.offset_after(self.at)
    }
    fn ended(&self) -> bool {
        false
    }
    fn ask_end(&mut self, _: bool) {
        let now = self.clock.now();
        let there = self.partition.records.partition_point(|arrival| arrival.at <= now);
        let fails = self.rng.u8(..10) == 0;
        let answer = if fails { EndAnswer::Failed } else { EndAnswer::End(self.partition.offset_after(there)) };
        self.asked = Some((now + self.rng.i64(0..SECOND / 2), answer));
    }
    fn answer(&mut self) -> Option<EndAnswer> {
        self.asked.take_if(|(at, _)| *at <= self.clock.now()).map(|(_, answer)| answer)
    }
    fn idle_wait(&self) -> Duration {
        Duration::from_millis(1)
    }
}

const PRICES: [&str; 8] =
    ["0", "-1", "1", "0.000000000000000001", "-37.63", "99999999999.999999999999999999", "1e-3", "7.5"];

/// Draws a log of so many nanoseconds: partitions that lag, fall silent, come back, appear late, hold transactions open.
pub(crate) fn draw(rng: &mut fastrand::Rng, rule: &Rule, most: usize, length: i64) -> Vec<Growing> {
    let count = rng.usize(1..=most);
    let mut partitions: Vec<_> = (0..count)
        .map(|number| {
            let name = PartitionName { log: "ticks".into(), number: i32::try_from(number).ok() };
            let appears = if number > 0 && rng.u8(..4) == 0 { rng.i64(0..length * 3 / 4) } else { 0 };
            let (lag, pace) = (rng.i64(0..8) * SECOND, rng.i64(SECOND / 50..SECOND));
            let (mut now, mut offset, mut records, mut readable) = (0, 0, Vec::new(), 0);
            while now < length {
                // A silence, longer than `idle`, now and then.
                now += if rng.u8(..60) == 0 { rng.i64(1..4) * rule.idle } else { rng.i64(0..2 * pace) };
                let at = now.max(appears / 2);
                // A transaction, longer than `idle`, now and then.
                readable = at.max(readable) + if rng.u8(..80) == 0 { rng.i64(1..4) * rule.idle } else { 0 };
                let back = [0, SECOND, rule.windowing.lateness, 3 * rule.windowing.lateness][rng.usize(..4)];
                let time = hostile::BEGAN.0 + now - lag - if rng.u8(..4) == 0 { rng.i64(0..=back) } else { 0 };
                let kind = rng.u8(..40);
                let payload = match kind {
                    0 => "{".to_owned(),
                    1 => format!(r#"{{"symbol":"F","price":1,"ts":{}}}"#, (time + 2 * rule.max_future) / 1_000_000),
                    n => {
                        let price = PRICES[rng.usize(..PRICES.len())];
                        format!(r#"{{"symbol":"S{}","price":{price},"ts":{}}}"#, n % 7, time / 1_000_000)
                    }
                };
                let record = Owned { offset, append_time: None, key: None, payload: Some(payload.into_bytes()) };
                records.push(Arrival { at, readable, valid: kind > 1, record });
                offset += if rng.u8(..10) == 0 { 3 } else { 1 };
            }
            records.truncate(if rng.u8(..5) == 0 { rng.usize(..3) } else { records.len() });
            Growing { name, appears, records }
        })
        .collect();
    partitions.sort_by_key(|p| p.appears);
    partitions
}
