//! Reads what there is of one minute of one symbol, partition after partition, by a reader of its own.
//!
//! ```text
//!   where H was before the minute's end, by the index ── judge ──┬─> counts: sums, offsets
//!                                                                ├─> does not count: why
//!                                                                └─> H is at the end; H is where the minute is final: done
//! ```

use super::account::{PartitionFindings, PartitionReading};
use super::symbols::KnownSymbols;
use super::wanted::WantedMinute;
use crate::verify::{IndexedPartition, OpenLog, StateFacts, VerifyError};
use minutely_dataflows::decode::Decoder;
use minutely_dataflows::edge::{Discovered, Halt, PartitionReader, ReadProgress};
use minutely_dataflows::oracle::{OraclePartition, PlainSums};
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::{EventTime, NextOffset, WindowStart};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records between two looks whether the reading is to go on.
const CHUNK: usize = 8192;
/// How long a partition may hand out nothing, though the state has read more of it.
const SILENCE: Duration = Duration::from_secs(30);

/// Is told how much was read, and may end it.
pub(crate) type ReadWatch<'a> = dyn FnMut(ReadProgress) -> Result<(), Halt> + 'a;

/// Is asked now and then whether the work is to go on.
pub(super) type WorkWatch<'a> = dyn FnMut() -> Result<(), Halt> + 'a;

/// What was found.
pub(super) struct MinuteReading {
    /// Of the symbol, of the minute and of those that it looks back at.
    pub(super) sums: BTreeMap<WindowStart, PlainSums>,
    /// In the order of [`StateFacts::partitions`].
    pub(super) partitions: Vec<PartitionFindings>,
    /// Symbols beside it.
    pub(super) symbols: KnownSymbols,
    /// Records that were read.
    pub(super) records: u64,
}

impl MinuteReading {
    /// Reads. Of a minute that cannot be counted again nothing is read.
    ///
    /// # Errors
    /// The log cannot be read, or `watch` ends it.
    pub(super) fn of(
        log: &OpenLog,
        decoder: &Decoder,
        wanted: &WantedMinute<'_>,
        watch: &mut ReadWatch<'_>,
    ) -> Result<Self, Halt> {
        let mut reading = MinuteReading {
            sums: BTreeMap::new(),
            partitions: Vec::new(),
            symbols: KnownSymbols::new(wanted.symbol),
            records: 0,
        };
        let begins: Vec<_> =
            log.facts.partitions.iter().map(|partition| begin(&log.facts, partition, wanted)).collect();
        let lengths = log.facts.partitions.iter().zip(&begins).map(|(partition, begin)| {
            begin.as_ref().map_or(0, |begin| u64::try_from(partition.next.0 - begin.from.0).unwrap_or(0))
        });
        let total = lengths.sum();
        for (partition, begin) in log.facts.partitions.iter().zip(begins) {
            let found = match begin.filter(|_| log.is_known(wanted.window)) {
                Some(begin) => reading.partition(log, decoder, (partition, begin, wanted), &mut |done| {
                    watch(ReadProgress { done, total })
                })?,
                None => PartitionFindings::default(),
            };
            reading.partitions.push(found);
        }
        Ok(reading)
    }

    /// Reads a partition.
    fn partition(
        &mut self,
        log: &OpenLog,
        decoder: &Decoder,
        (partition, begin, wanted): (&IndexedPartition, ReadingBegin, &WantedMinute<'_>),
        watch: &mut dyn FnMut(u64) -> Result<(), Halt>,
    ) -> Result<PartitionFindings, Halt> {
        let gone = || VerifyError::PartitionGone { partition: partition.name.to_string() };
        let found = log.found.iter().find(|found| found.name == partition.name).ok_or_else(gone)?;
        let exceptions = partition.exceptions.clone();
        let mut judge = OraclePartition::new(&partition.name, decoder, &log.facts.rule, exceptions, begin.h);
        if let Some(at) = judge.decoder().header_at().filter(|at| *at < begin.from.0)
            && let Some(header) = log.source.record_at(found, NextOffset(at))?
        {
            judge.decoder().learn(&Record { offset: at, payload: Some(&header), ..Record::default() });
        }
        let reader = log.source.open(&Discovered { start: begin.from, ..found.clone() }, Arc::new(|| ()))?;
        let mut into = PartitionReading::new(&partition.name, wanted, decoder.scales(), judge, begin.from);
        let mut open = OpenMinute { partition, reader, silent_since: None };
        loop {
            let read = open.read(&mut into, self)?;
            self.records += read;
            watch(self.records)?;
            if into.is_done() || open.is_done() {
                return Ok(into.ended());
            }
        }
    }
}

/// A partition that is read.
struct OpenMinute<'a> {
    partition: &'a IndexedPartition,
    reader: Box<dyn PartitionReader>,
    /// Since when it has handed out nothing.
    silent_since: Option<Instant>,
}

impl OpenMinute<'_> {
    /// All that the state has read is read.
    fn is_done(&self) -> bool {
        self.reader.next() >= self.partition.next || self.reader.ended()
    }

    /// Reads some records. How many.
    fn read(&mut self, into: &mut PartitionReading<'_>, reading: &mut MinuteReading) -> Result<u64, Halt> {
        let (next, mut halted) = (self.partition.next, None);
        let read = self.reader.read(CHUNK, &mut |record: Record<'_>| {
            if record.offset < next.0 && halted.is_none() && !into.is_done() {
                halted = into.record(&record, (&mut reading.sums, &mut reading.symbols)).err();
            }
        })?;
        if let Some(halt) = halted {
            return Err(halt);
        }
        if read > 0 || self.is_done() {
            self.silent_since = None;
            return Ok(read as u64);
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if since.elapsed() > SILENCE {
            let (partition, offset) = (self.partition.name.to_string(), self.reader.next().0);
            return Err(VerifyError::Silent { partition, seconds: SILENCE.as_secs(), offset, next: next.0 }.into());
        }
        std::thread::sleep(Duration::from_millis(2));
        Ok(0)
    }
}

/// Where a partition is read from, and H there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReadingBegin {
    from: NextOffset,
    h: Option<EventTime>,
}

/// Where a partition is to be read from, so that all that counts is read, and where H is not yet at the end of the minute, if the index
/// knows such a place. None: neither is there.
fn begin(facts: &StateFacts, partition: &IndexedPartition, wanted: &WantedMinute<'_>) -> Option<ReadingBegin> {
    let beginning = ReadingBegin { from: partition.start, h: None };
    // (What was read of a log that has changed since says nothing of this one.)
    let has_beginning = partition.start >= partition.first && partition.since.is_none();
    if facts.needs_beginning {
        return Some(beginning).filter(|_| has_beginning);
    }
    let counting = facts.begin(partition, wanted.buckets()).map(|(from, h)| ReadingBegin { from, h });
    let own = partition.entries.get(&wanted.window.0.div_euclid(BUCKET)).map(|entry| entry.offset);
    let [end, _] = wanted.ends();
    let there = partition.entries.values().filter(|entry| entry.offset >= partition.first.0);
    let before = there.filter(|entry| entry.h < Some(end) && own.is_none_or(|own| entry.offset <= own));
    let before = before
        .max_by_key(|entry| entry.offset)
        .map(|entry| ReadingBegin { from: NextOffset(entry.offset), h: entry.h });
    let passing = before.or(Some(beginning).filter(|_| has_beginning));
    counting.into_iter().chain(passing).min_by_key(|begin| begin.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::partition::{IndexEntry, Rule};
    use minutely_dataflows::record::PartitionName;
    use minutely_dataflows::time::Windowing;

    /// Entries: bucket, offset, and H before it in seconds of event time.
    fn partition(first: i64, entries: &[(i64, i64, Option<i64>)]) -> IndexedPartition {
        let entry = |(bucket, offset, h): &(i64, i64, Option<i64>)| {
            let h = h.map(|seconds| EventTime(seconds * 1_000_000_000));
            (*bucket, IndexEntry { partition: 0, bucket: *bucket, offset: *offset, h, floor: None })
        };
        IndexedPartition {
            name: PartitionName { log: "t".into(), number: Some(0) },
            start: NextOffset(0),
            next: NextOffset(1000),
            entries: entries.iter().map(entry).collect(),
            since: None,
            first: NextOffset(first),
            exceptions: BTreeMap::default(),
        }
    }

    fn from(partition: IndexedPartition, minute: i64, needs_beginning: bool) -> Option<i64> {
        let windowing = Windowing::default();
        let window = WindowStart(minute * windowing.length);
        let wanted = WantedMinute { symbol: "A", window, back_to: window, windowing, records: false };
        let rule = Rule::default();
        let facts = StateFacts { rule, partitions: vec![partition], final_before: WindowStart::MAX, needs_beginning };
        begin(&facts, &facts.partitions[0], &wanted).map(|begin| begin.from.0)
    }

    #[test]
    fn it_is_read_from_where_nothing_of_the_minute_has_been_and_h_is_before_its_end() {
        let index = [(0, 0, None), (1, 100, Some(599)), (2, 200, Some(1195)), (4, 300, Some(1900))];
        let of = |minute| from(partition(0, &index), minute, false);
        assert_eq!(of(5), Some(0));
        assert_eq!(of(15), Some(100), "its own bucket's first record");
        assert_eq!(of(35), Some(300), "nothing counts for it: where H is not yet at its end");
        // The first record of its bucket came when H was past the minute: by an entry before that.
        let late = [(0, 0, None), (1, 100, Some(599)), (2, 200, Some(1500))];
        assert_eq!(from(partition(0, &late), 21, false), Some(100));
        assert_eq!(from(partition(0, &late), 21, true), Some(0), "ids and outliers: all of it");
        // Retention.
        assert_eq!(from(partition(150, &late), 21, false), Some(200), "which record passed it is gone");
        assert_eq!(from(partition(250, &late), 21, false), None);
        assert_eq!(from(partition(1, &late), 21, true), None);
        let unindexed = IndexedPartition { since: Some(3), ..partition(0, &[]) };
        assert_eq!(from(unindexed, 35, false), None);
    }
}
