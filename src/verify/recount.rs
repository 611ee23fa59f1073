//! Counts minutes again: reads each partition from where the index says, by a reader of its own, and judges and adds up by the oracle.
//!
//! ```text
//!   partitions, the one with the least H next ── judge ──> sums by window and series ── all partitions are past it ──> rows
//! ```
//!
//! What is held is that of windows which are not complete yet, and of those that later rows look back at.

use super::error::VerifyError;
use super::facts::{IndexedPartition, StateFacts};
use super::sums::{CountedEvent, JudgeKind, PartitionJudge, SumsOfSeries};
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::edge::{Discovered, Halt, LogSource, PartitionReader};
use minutely_dataflows::oracle::Position;
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::{NextOffset, WindowStart};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records of one partition before it is asked again which is the one that is behind.
const CHUNK: usize = 8192;
/// How long a partition may hand out nothing, though the state has read more of it.
const SILENCE: Duration = Duration::from_secs(30);

/// Records of one partition that count for one window of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordSpan {
    /// Its place among [`StateFacts::partitions`].
    pub(super) partition: usize,
    /// Offsets of the first and the last.
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: i64,
}

/// What counts for one window of one series.
#[derive(Clone)]
pub(crate) struct SeriesRecount {
    pub(crate) sums: SumsOfSeries,
    pub(super) spans: Vec<RecordSpan>,
}

impl SeriesRecount {
    /// And what counts for another window of the series.
    pub(super) fn add_all(&mut self, other: &SeriesRecount) {
        self.sums.add_all(&other.sums);
        for span in &other.spans {
            match self.spans.iter_mut().find(|there| there.partition == span.partition) {
                Some(there) => {
                    (there.first, there.last) = (there.first.min(span.first), there.last.max(span.last));
                    there.count += span.count;
                }
                None => self.spans.push(*span),
            }
        }
    }
}

/// By series.
pub(crate) type RecountedWindow = HashMap<String, SeriesRecount>;

/// One partition that is read.
struct OpenPartition<'a> {
    /// Its place among [`StateFacts::partitions`].
    place: usize,
    of: &'a IndexedPartition,
    judge: Box<dyn PartitionJudge + 'a>,
    reader: Box<dyn PartitionReader>,
    /// All that counts for the wanted windows is read.
    done: bool,
    /// Since when it has handed out nothing.
    silent_since: Option<Instant>,
}

/// Is shown each event that counts for a wanted window, and its place.
pub(crate) type CountedEvents<'a> = dyn FnMut(WindowStart, Position, &DecodedEvent<'_>) + 'a;

/// See the module.
pub(crate) struct Recount<'a> {
    facts: &'a StateFacts,
    wanted: Range<WindowStart>,
    open: Vec<OpenPartition<'a>>,
    windows: BTreeMap<WindowStart, RecountedWindow>,
    watch: Option<Box<CountedEvents<'a>>>,
    /// Records that were read.
    pub(super) records: u64,
}

impl<'a> Recount<'a> {
    /// Opens the partitions for these windows.
    ///
    /// # Errors
    /// One of them cannot be opened there.
    pub(crate) fn open(
        facts: &'a StateFacts,
        (source, found): (&Arc<dyn LogSource>, &[Discovered]),
        judges: &JudgeKind,
        wanted: Range<WindowStart>,
    ) -> Result<Self, Halt> {
        let buckets = wanted.start.0.div_euclid(BUCKET)..(wanted.end.0 - 1).div_euclid(BUCKET) + 1;
        let mut open = Vec::new();
        for (place, of) in facts.partitions.iter().enumerate() {
            let Some((from, h)) = facts.begin(of, buckets.clone()) else { continue };
            let gone = || VerifyError::PartitionGone { partition: of.name.to_string() };
            let found = found.iter().find(|found| found.name == of.name).ok_or_else(gone)?;
            let mut judge = judges.partition(&of.name, &facts.rule, of.exceptions.clone(), h);
            if let Some(at) = judge.header_at().filter(|at| *at < from.0)
                && let Some(header) = source.record_at(found, NextOffset(at))?
            {
                judge.learn(&Record { offset: at, payload: Some(&header), ..Record::default() });
            }
            let reader = source.open(&Discovered { start: from, ..found.clone() }, Arc::new(|| ()))?;
            open.push(OpenPartition { place, of, judge, reader, done: false, silent_since: None });
        }
        Ok(Recount { facts, wanted, open, windows: BTreeMap::new(), watch: None, records: 0 })
    }

    /// From now on this is shown what counts.
    #[must_use]
    pub(crate) fn watched(self, watch: impl FnMut(WindowStart, Position, &DecodedEvent<'_>) + 'a) -> Self {
        Recount { watch: Some(Box::new(watch)), ..self }
    }

    /// About how many records will be read.
    pub(crate) fn estimate(&self) -> u64 {
        let windowing = self.facts.rule.windowing;
        let of = |open: &OpenPartition<'_>| {
            let behind = |h| windowing.first_not_final(h) >= self.wanted.end;
            let past = open.of.entries.values().filter(|entry| behind(entry.h)).map(|entry| entry.offset).min();
            let to = past.unwrap_or(open.of.next.0).min(open.of.next.0);
            u64::try_from(to - open.reader.next().0).unwrap_or(0)
        };
        self.open.iter().map(of).sum()
    }

    /// Reads until all that counts for windows before this is read. `each`: is called now and then.
    ///
    /// # Errors
    /// The log cannot be read; what `each` says.
    pub(crate) fn read_to(
        &mut self,
        end: WindowStart,
        mut each: impl FnMut(u64) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        while let Some(open) = self.open.iter_mut().filter(|open| !open.done).min_by_key(|open| open.judge.h()) {
            if self.facts.rule.windowing.first_not_final(open.judge.h()) >= end {
                return Ok(());
            }
            let read = open.read(self.facts, &self.wanted, &mut self.windows, &mut self.watch)?;
            self.records += read;
            each(self.records)?;
        }
        Ok(())
    }

    /// What counts for these windows.
    pub(crate) fn windows(&self, windows: Range<WindowStart>) -> impl Iterator<Item = (WindowStart, &RecountedWindow)> {
        self.windows.range(windows).map(|(window, of)| (*window, of))
    }

    /// Forgets the windows before this.
    pub(crate) fn forget_before(&mut self, window: WindowStart) {
        self.windows = self.windows.split_off(&window);
    }
}

impl OpenPartition<'_> {
    /// Reads some records. How many.
    fn read(
        &mut self,
        facts: &StateFacts,
        wanted: &Range<WindowStart>,
        windows: &mut BTreeMap<WindowStart, RecountedWindow>,
        watch: &mut Option<Box<CountedEvents<'_>>>,
    ) -> Result<u64, Halt> {
        let (place, next, judge) = (self.place, self.of.next, &mut self.judge);
        let (mut halted, mut passed) = (None, false);
        let read = self.reader.read(CHUNK, &mut |record: Record<'_>| {
            passed |= record.offset >= next.0;
            if passed || halted.is_some() {
                return;
            }
            let judged = judge.record(&record, &mut |window, event| {
                if !wanted.contains(&window) {
                    return;
                }
                if let (Some(watch), CountedEvent::Oracle(event, position)) = (&mut *watch, &event) {
                    watch(window, *position, event);
                }
                let of_window = windows.entry(window).or_default();
                match of_window.get_mut(event.symbol()) {
                    Some(there) => {
                        there.sums.add(&event);
                        note(&mut there.spans, place, record.offset);
                    }
                    None => {
                        let mut spans = Vec::with_capacity(1);
                        note(&mut spans, place, record.offset);
                        of_window
                            .insert(event.symbol().to_owned(), SeriesRecount { sums: SumsOfSeries::of(&event), spans });
                    }
                }
            });
            halted = judged.err();
        })?;
        if let Some(halt) = halted {
            return Err(halt);
        }
        let past_all = facts.rule.windowing.first_not_final(self.judge.h()) >= wanted.end;
        self.done = passed || past_all || self.reader.next() >= next;
        if !self.done && self.reader.ended() {
            let (partition, offset) = (self.of.name.to_string(), self.reader.next().0);
            return Err(VerifyError::Shorter { partition, offset, next: next.0 }.into());
        }
        if read > 0 || self.done {
            self.silent_since = None;
            return Ok(read as u64);
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if since.elapsed() > SILENCE {
            let (partition, offset) = (self.of.name.to_string(), self.reader.next().0);
            return Err(VerifyError::Silent { partition, seconds: SILENCE.as_secs(), offset, next: next.0 }.into());
        }
        std::thread::sleep(Duration::from_millis(2));
        Ok(0)
    }
}

/// Another record counts.
fn note(spans: &mut Vec<RecordSpan>, partition: usize, offset: i64) {
    match spans.iter_mut().find(|span| span.partition == partition) {
        Some(span) => {
            (span.last, span.count) = (offset, span.count + 1);
        }
        None => spans.push(RecordSpan { partition, first: offset, last: offset, count: 1 }),
    }
}
