//! A worker's partitions, read in turns: records are decoded, judged and added up.

use super::error::{BadRecordError, OffsetTooLargeError};
use super::ids::{CutIds, RestoredIds, load_of_bytes, load_of_ids};
use super::table::EpochTable;
use crate::acc::{Accumulate, LogPosition};
use crate::decode::{DecodedPart, Decoder, EventOutcome};
use crate::edge::{Discovered, EndAnswer, PartitionReader, Wake};
use crate::graph::job::{BadRecordPolicy, Job};
use crate::halt::Halt;
use crate::mutants::{self, Mutant};
use crate::partition::{DelayHistogram, Partition, PartitionState, Verdict};
use crate::protocol::{Decision, Guide, Reading};
use crate::record::{Cause, DeadLetter, Judged, PartitionName, Reason, Record};
use crate::settings::Settings;
use crate::time::{EventTime, Monotonic, NextOffset};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Records in one call of a reader: a quarter of a millisecond as a rule.
const CHUNK: usize = 2048;
/// Before it is known how many events records have.
const FIRST_CHUNK: usize = 16;
/// How long one activation reads, in nanoseconds.
const BUDGET_NS: i64 = 1_000_000;
/// How long a worker with nothing to read sleeps, at most.
const MAX_IDLE_WAIT: Duration = Duration::from_secs(1);

/// One partition that this worker owns.
struct OwnedPartition {
    name: PartitionName,
    decoder: Decoder,
    identity: u64,
    /// What verdicts refer to (R7); `None`: the wall clock.
    instant: Option<EventTime>,
    partition: Partition,
    reader: Box<dyn PartitionReader>,
    /// Records of one call, at most: so many that their events are about [`CHUNK`].
    chunk: usize,
}

/// What is announced of an epoch while it is in progress.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Notices {
    /// It has its first record, or a raised floor.
    pub(super) first: bool,
    /// It is full.
    pub(super) full: bool,
}

/// One worker's partitions, and the table of the epoch in progress.
pub(super) struct WorkerReader<A> {
    job: Rc<Job>,
    owned: Vec<OwnedPartition>,
    restored_ids: RestoredIds,
    /// The partition whose turn it is, and how many records it has had in it.
    turn: usize,
    turn_records: usize,
    table: EpochTable<A>,
    pub(super) guide: Guide,
    /// What was announced of the epoch in progress.
    notices: Notices,
    /// Records after which an epoch is to end.
    epoch_records: usize,
    stop_announced: bool,
    last_delays: DelayHistogram,
}

impl<A: Accumulate> WorkerReader<A> {
    /// With no partition yet. `peers`: how many workers there are; `restored_ids`: of the partitions that it will have.
    pub(super) fn new(job: Rc<Job>, peers: usize, restored_ids: RestoredIds) -> Self {
        WorkerReader {
            epoch_records: epoch_records(&job.settings, peers),
            job,
            owned: Vec::new(),
            restored_ids,
            turn: 0,
            turn_records: 0,
            table: EpochTable::new(0),
            guide: Guide::default(),
            notices: Notices::default(),
            stop_announced: false,
            last_delays: DelayHistogram::default(),
        }
    }

    /// Opens the partitions that a decision gives to this worker.
    ///
    /// # Errors
    /// When one of them cannot be read from where it is to be.
    pub(super) fn admit(&mut self, decision: &Decision, index: usize, peers: usize, wake: &Wake) -> Result<(), Halt> {
        let now = self.job.clock.monotonic();
        for admission in decision.admissions.iter().filter(|a| a.index % peers == index) {
            let found = &admission.found;
            let from = admission.resume.as_ref().map_or(found.start, |state| state.next);
            let reader = self.job.source.open(&Discovered { start: from, ..found.clone() }, Arc::clone(wake))?;
            let bounded = found.end.is_some();
            let rule = self.job.settings.rule;
            let mut partition = match &admission.resume {
                Some(state) => Partition::resume(rule, state, bounded, now),
                None => Partition::new(rule, admission.index, found.start, bounded, now).with_floor(admission.floor),
            };
            let decoder = self.decoder(found, from)?;
            self.restored_ids.give(&mut partition);
            let (name, identity, instant) = (found.name.clone(), found.name.identity(), admission.instant);
            let chunk = if decoder.has_elements() { FIRST_CHUNK } else { CHUNK };
            self.owned.push(OwnedPartition { name, decoder, identity, instant, partition, reader, chunk });
        }
        Ok(())
    }

    /// What decodes a partition that is read from here on: it knows the header that lies before.
    fn decoder(&self, found: &Discovered, from: NextOffset) -> Result<Decoder, Halt> {
        let mut decoder = self.job.decoder.for_partition(&found.name);
        if let Some(offset) = decoder.header_at().filter(|offset| *offset < from.0)
            && let Some(header) = self.job.source.record_at(found, NextOffset(offset))?
        {
            decoder.learn(&Record { offset, payload: Some(&header), ..Record::default() });
        }
        Ok(decoder)
    }

    /// Goes by this guide from now on, and asks logs for their ends where it says so (R8).
    pub(super) fn follow(&mut self, guide: Guide, now: Monotonic) {
        self.guide = guide;
        let Some(a) = guide.catch_up_to else { return };
        for owned in &mut self.owned {
            let before = owned.partition.watermark();
            if owned.partition.learn(a, guide.alignment_base, now) {
                owned.reader.ask_end(guide.urgent);
            }
            self.table.moved |= owned.partition.watermark() != before;
        }
    }

    /// How far behind records were, if that has changed since the last call.
    pub(super) fn delays_news(&mut self) -> Option<DelayHistogram> {
        let mut sum = DelayHistogram::default();
        self.owned.iter().for_each(|owned| sum.add(owned.partition.behind()));
        (sum != self.last_delays).then(|| {
            self.last_delays = sum.clone();
            sum
        })
    }

    fn full(&self, times: usize) -> bool {
        self.table.full(times, self.epoch_records)
    }

    fn reads(&self, partition: &Partition) -> bool {
        match self.guide.reading {
            Reading::All => !partition.paused(self.guide.alignment_base),
            Reading::HoldingBack => {
                !partition.paused(self.guide.alignment_base) && partition.watermark() <= self.guide.watermark
            }
            Reading::Nothing => false,
        }
    }

    /// Reads for one activation's budget. Returns how long nothing will come; zero when more may be there.
    pub(super) fn work(&mut self) -> Result<Duration, Halt> {
        let began = self.job.clock.monotonic();
        let mut idle = 0;
        let mut now = began;
        while idle < self.owned.len() {
            if self.full(2) {
                return Ok(MAX_IDLE_WAIT);
            }
            if now.0 - began.0 > BUDGET_NS {
                return Ok(Duration::ZERO);
            }
            self.turn %= self.owned.len();
            let turn = self.turn;
            let read = if self.reads(&self.owned[turn].partition) { self.read(now)? } else { 0 };
            self.settle(now);
            self.turn_records += read;
            if read == 0 || self.turn_records >= self.owned[turn].reader.turn_records() {
                (self.turn, self.turn_records) = (turn + 1, 0);
            }
            idle = if read == 0 { idle + 1 } else { 0 };
            now = self.job.clock.monotonic();
        }
        let waits = self.owned.iter().filter(|o| self.reads(&o.partition)).map(|o| o.reader.idle_wait());
        Ok(waits.min().unwrap_or(MAX_IDLE_WAIT).max(Duration::from_millis(1)))
    }

    /// Reads from the partition whose turn it is.
    fn read(&mut self, now: Monotonic) -> Result<usize, Halt> {
        let OwnedPartition { name, decoder, identity, instant, partition, reader, chunk } = &mut self.owned[self.turn];
        let reference = instant.unwrap_or_else(|| self.job.clock.wall());
        let (table, bad_records) = (&mut self.table, self.job.bad_records);
        let mut undecodable = None;
        let (mut too_far, mut halted, mut events) = (None, None, 0);
        let read = reader.read(*chunk, &mut |record: Record<'_>| {
            if halted.is_some() {
                return;
            }
            partition.begin_record(record.offset);
            decoder.learn(&record);
            let decoded = decoder.parts(&record, |DecodedPart { element, outcome }| {
                events += 1;
                let index = element.map(|element| element.index);
                // An event is large: it is looked at where it is.
                let event = match outcome {
                    EventOutcome::Event(ref event) => event,
                    EventOutcome::Skipped => return partition.skip(),
                    EventOutcome::Rejected(rejection) => {
                        partition.reject(&rejection);
                        let found = || (record.offset, index, rejection.reason, rejection.finding.to_string());
                        undecodable.get_or_insert_with(found);
                        if bad_records == BadRecordPolicy::Drop {
                            return;
                        }
                        let cause = Cause::Rejected(rejection);
                        return table.add_dead_letter(DeadLetter::of(&record, element, name, cause));
                    }
                };
                let verdict = partition.judge_event(event, record.append_time, reference, now);
                let (reason, evidence) = match verdict {
                    Verdict::Counted(window) => {
                        match LogPosition::of(*identity, record.offset, index) {
                            Some(position) => table.add(window, &event.symbol, A::of(event, position)),
                            None => {
                                too_far = Some(OffsetTooLargeError { partition: name.clone(), offset: record.offset })
                            }
                        }
                        return;
                    }
                    Verdict::Duplicate => return,
                    Verdict::Late(evidence) => (Reason::Late, evidence),
                    Verdict::Future(evidence) => (Reason::Future, evidence),
                    Verdict::Past(evidence) => (Reason::Past, evidence),
                    Verdict::Cleaned(reason, evidence) => (reason, evidence),
                };
                let judged =
                    Judged { symbol: event.symbol.to_string(), value: event.value, time: event.time, evidence };
                table.add_dead_letter(DeadLetter::of(&record, element, name, Cause::Judged(reason, judged)));
            });
            halted = decoded.err();
        })?;
        if let Some(halt) = halted.or(too_far.map(Halt::from)) {
            return Err(halt);
        }
        table.records += read;
        *chunk = next_chunk(*chunk, read, events);
        partition.reached(reader.next());
        partition.remember(reader.last());
        if reader.ended() {
            partition.end_reached();
        }
        match undecodable {
            Some((offset, element, reason, finding)) if bad_records == BadRecordPolicy::Fatal => {
                Err(BadRecordError { partition: name.clone(), offset, element, reason, finding }.into())
            }
            _ => Ok(read),
        }
    }

    /// Evidence for the partition whose turn it is (R8).
    fn settle(&mut self, now: Monotonic) {
        let OwnedPartition { partition, reader, .. } = &mut self.owned[self.turn];
        if let Some(answer) = reader.answer() {
            let readable = mutants::on(Mutant::OpenTransactionIsTheEnd);
            partition.answered(if readable { EndAnswer::End(reader.next()) } else { answer });
        }
        self.table.moved |= partition.settle(now);
    }

    /// Ends the epoch in progress: what it added up to.
    pub(super) fn end_epoch(&mut self) -> EpochTable<A> {
        self.notices = Notices::default();
        // The next one is as large as a rule: it is not made larger step by step.
        let room = self.table.sums.len();
        std::mem::replace(&mut self.table, EpochTable::new(room))
    }

    /// What the cut that ends now has of ids.
    pub(super) fn cut_ids(&mut self) -> CutIds {
        self.restored_ids.cut(self.owned.iter_mut().map(|owned| &mut owned.partition))
    }

    /// What ids and the values of outlier filters take of `--max-keys`.
    pub(super) fn ids_load(&self) -> u64 {
        let ids = load_of_ids(self.owned.iter().map(|owned| owned.partition.ids_in_memory()).sum());
        ids + load_of_bytes(self.owned.iter().map(|owned| owned.partition.filtered_bytes()).sum())
    }

    /// Partitions as they are now; `cut`: with all that a run needs to resume.
    pub(super) fn states(&mut self, cut: bool, now: Monotonic) -> impl Iterator<Item = PartitionState> {
        let base = self.guide.alignment_base;
        self.owned.iter_mut().map(move |OwnedPartition { partition, .. }| {
            let (filtered, noted) =
                if cut { (partition.filtered(), Some(partition.noted())) } else { Default::default() };
            PartitionState { filtered, noted, ..partition.report(base, now) }
        })
    }

    /// What is to be announced of the epoch in progress, and was not yet.
    pub(super) fn new_notices(&mut self) -> Notices {
        let Notices { first, full } = self.notices;
        self.notices = Notices { first: self.table.started(), full: self.full(1) };
        Notices { first: self.notices.first && !first, full: self.notices.full && !full }
    }

    /// Is the end of the run asked for, and was that not announced yet?
    pub(super) fn new_stop(&mut self) -> bool {
        let news = !self.stop_announced && (self.job.stop)();
        self.stop_announced |= news;
        news
    }

    /// Drops all partitions: the run is over.
    pub(super) fn close(&mut self) {
        self.owned.clear();
    }
}

/// Records of the next call, after one that read so many with so many events.
fn next_chunk(chunk: usize, read: usize, events: usize) -> usize {
    if read == 0 { chunk } else { (CHUNK * read / events.max(1)).clamp(1, CHUNK) }
}

/// Every record may be of another window, and up to six epochs, each of up to twice as many records, are read before Control's
/// answer to the first is here: all of them together are to hold fewer windows than there may be.
fn epoch_records(settings: &Settings, peers: usize) -> usize {
    let share = settings.max_keys / (16 * u64::try_from(peers).expect("at most 256 workers"));
    settings.epoch_records.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}
