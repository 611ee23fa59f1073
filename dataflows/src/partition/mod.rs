//! One partition's verdicts, on the reader's side (R4, R5, R7, R8, R12, R13): a pure state machine. Its inputs are what was
//! read, what the log answered and the time; its outputs what counts and how far event time has come.
//!
//! ```text
//!   record ── judge ──> counted | late | cleaned | …     A ── learn ──> ask the log for its end
//!   broken ── reject ─> rejected                         answer, position ── settle ──> floor := A, caught up
//! ```
//!
//! What it promises: a counted record's window is never final at any W that was computed from this partition's reports.
//! What it does not: that a producer holds nothing back. The log's end proves what the log holds.

mod cleaning;
mod counts;
mod delays;
mod ids;
mod judge;
mod notes;
mod nyse;
mod outliers;
mod rule;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod watermarks;

pub use cleaning::CleaningRule;
pub use counts::{Counts, RejectedBy};
pub use delays::{DELAY_EDGES_MS, DelayHistogram};
pub use ids::{IDS_PER_KEY, IdGroup};
pub(crate) use notes::is_bucket;
pub use notes::{BUCKET, IndexEntry, NotedBuckets};
pub use outliers::{FilteredSeries, NotAnOutlierRule, OutlierRule};
pub use rule::Rule;
pub use session::{Calendar, DAY_MINUTES, TradingDays, TradingHours};
pub use state::{PartitionState, UNKNOWN};
pub use watermarks::{least_to_follow, least_watermark};

use crate::edge::EndAnswer;
use crate::mutants::{self, Mutant};
use crate::partial::PartialBefore;
use crate::record::{Evidence, LastRecord, Reason, Rejection};
use crate::time::{EventTime, Monotonic, NextOffset, WindowStart, Windowing};
use cleaning::Cleaner;
use ids::HeldIds;
use notes::BucketNotes;

/// The verdict on a decoded record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts for this window.
    Counted(WindowStart),
    /// It repeats the id of an event that counts for a window which is not final by H (R5).
    Duplicate,
    /// Late (R5), by this.
    Late(Evidence),
    /// Quarantined (R7): too far ahead of this.
    Future(Evidence),
    /// Quarantined (R7): too far behind this.
    Past(Evidence),
    /// Cleaned (R5): in time, and outside of the session or the bounds, or an outlier.
    Cleaned(Reason, Evidence),
}

/// One partition as its reader judges it.
#[derive(Clone, Debug)]
pub struct Partition {
    rule: Rule,
    index: usize,
    start: NextOffset,
    bounded: bool,
    ended: bool,
    next: NextOffset,
    h: Option<EventTime>,
    /// H before the record begun last.
    h_before: Option<EventTime>,
    floor: Option<EventTime>,
    caught_up: bool,
    /// A, as it was when the question now under way was sent.
    learnt: Option<EventTime>,
    answer: Option<NextOffset>,
    last_valid: Monotonic,
    /// The window of the event judged last.
    last_window: WindowStart,
    partial_before: PartialBefore,
    newest_end: Option<EventTime>,
    counts: Counts,
    last: Option<LastRecord>,
    rejected_by: Vec<RejectedBy>,
    implausible: i64,
    late_by: Option<i64>,
    behind: DelayHistogram,
    ids: HeldIds,
    notes: BucketNotes,
    /// Where anything is cleaned.
    cleaner: Option<Box<Cleaner>>,
}

impl Partition {
    /// A partition that is admitted now, without a floor. `index`: its admission number; `start`: the first offset to read;
    /// `bounded`: it is read up to a recorded end.
    pub fn new(rule: Rule, index: usize, start: NextOffset, bounded: bool, now: Monotonic) -> Self {
        Partition {
            rule,
            index,
            start,
            bounded,
            ended: false,
            next: start,
            h: None,
            h_before: None,
            floor: None,
            caught_up: false,
            learnt: None,
            answer: None,
            last_valid: now,
            last_window: rule.windowing.window_of(EventTime(0)),
            partial_before: if start.0 == 0 { PartialBefore::Nothing } else { PartialBefore::Unknown },
            newest_end: None,
            counts: Counts::default(),
            last: None,
            rejected_by: Vec::new(),
            implausible: 0,
            late_by: None,
            behind: DelayHistogram::default(),
            ids: HeldIds::new(rule.windowing),
            notes: BucketNotes::new(rule.windowing),
            cleaner: rule.cleaning.map(|cleaning| Box::new(Cleaner::new(cleaning, rule.windowing))),
        }
    }

    /// With W as its floor, where W existed when it was admitted (R8).
    #[must_use]
    pub fn with_floor(self, floor: Option<EventTime>) -> Self {
        Partition { floor, ..self }
    }

    /// A partition that an earlier run recorded like this. Silence is counted from now on: what was learnt of the log's
    /// end is gone with that run.
    pub fn resume(rule: Rule, state: &PartitionState, bounded: bool, now: Monotonic) -> Self {
        let mut partition = Partition {
            next: state.next,
            h: state.h,
            partial_before: state.partial_before,
            newest_end: state.newest_end,
            counts: state.counts,
            last: state.last,
            rejected_by: state.rejected_by.clone(),
            implausible: state.implausible,
            late_by: state.late_by,
            floor: state.floor,
            ..Partition::new(rule, state.index, state.start, bounded, now)
        };
        if let Some(cleaner) = &mut partition.cleaner {
            cleaner.restore(&state.filtered);
        }
        // (An earlier version noted nothing.)
        let noted = state.noted.clone().unwrap_or_else(|| NotedBuckets::unknown_through(state.h));
        partition.notes.restore(noted);
        partition
    }

    /// A record at this offset was read; what its events are comes next.
    #[inline]
    pub fn begin_record(&mut self, offset: i64) {
        self.reached(NextOffset(offset));
        self.next = NextOffset(offset + 1);
        self.h_before = self.h;
        self.counts.read += 1;
    }

    /// Its admission number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Takes back the ids that an earlier run held of it.
    pub fn restore_ids(&mut self, groups: &[IdGroup]) {
        self.ids.restore(groups, self.h);
    }

    /// The window of a time: as a rule that of the event before, which spares a division.
    #[inline]
    fn window_of(&mut self, time: EventTime) -> WindowStart {
        let within = time.0.wrapping_sub(self.last_window.0).cast_unsigned();
        if within >= self.rule.windowing.length.cast_unsigned() {
            self.last_window = self.rule.windowing.window_of(time);
        }
        self.last_window
    }

    /// What ids expire by: H, which the log alone gives, and never a floor (R10).
    #[inline]
    fn expiry(&self) -> Option<EventTime> {
        if mutants::on(Mutant::IdsExpireByFloor) { self.watermark() } else { self.h }
    }

    /// Takes the ids of events that were counted since the last call, and says from which window on they may be repeated.
    pub fn take_new_ids(&mut self) -> (Vec<IdGroup>, WindowStart) {
        let expiry = self.expiry();
        self.ids.take_new(self.index, expiry)
    }

    /// How many ids may be repeated.
    pub fn ids(&self) -> u64 {
        self.ids.len()
    }

    /// How many ids are in memory: those, and some that may not be repeated any more.
    pub fn ids_in_memory(&self) -> u64 {
        self.ids.entries()
    }

    /// The newest values of its series, where outliers are looked for: what a cut has of them.
    pub fn filtered(&mut self) -> Vec<FilteredSeries> {
        let h = self.h;
        self.cleaner.as_mut().map(|cleaner| cleaner.filtered(h)).unwrap_or_default()
    }

    /// Takes the index entries since the last call.
    pub fn take_new_entries(&mut self) -> Vec<IndexEntry> {
        self.notes.take_new()
    }

    /// Which buckets have their entry: what a cut has of them.
    pub fn noted(&mut self) -> NotedBuckets {
        self.notes.save(self.h)
    }

    /// Bytes that those values take in memory, about.
    pub fn filtered_bytes(&self) -> u64 {
        self.cleaner.as_ref().map_or(0, |cleaner| cleaner.bytes())
    }

    /// An event of the record begun last, or the record as a whole, cannot be decoded.
    pub fn reject(&mut self, rejection: &Rejection) {
        self.counts.events += 1;
        self.counts.rejected += 1;
        counts::count_rejected(&mut self.rejected_by, self.next.0 - 1, rejection);
    }

    /// An event of the record begun last, or the record as a whole, is left out by `--where`.
    pub fn skip(&mut self) {
        self.counts.events += 1;
        self.counts.skipped += 1;
    }

    /// The reader's position, past gaps and control markers.
    #[inline]
    pub fn reached(&mut self, next: NextOffset) {
        if next > self.next {
            self.counts.gaps += next.0 - self.next.0;
            self.next = next;
        }
    }

    /// The last record that was read, where the source tells.
    pub fn remember(&mut self, last: Option<LastRecord>) {
        self.last = last.or(self.last);
    }

    #[inline]
    fn no_evidence(&mut self) {
        self.caught_up = false;
        self.learnt = None;
        self.answer = None;
    }

    /// Is it too far past W, or past the oldest event read where there is no W yet (R12)?
    pub fn paused(&self, base: Option<EventTime>) -> bool {
        matches!((self.h, base), (Some(h), Some(base)) if h > base.plus(self.rule.max_ahead))
    }

    /// The reader is at the recorded end of this bounded run: nothing more will be read.
    pub fn end_reached(&mut self) {
        self.ended = self.bounded;
    }

    /// The reader learns A (R8). Says whether the log is to be asked for its end now.
    ///
    /// A partition at its recorded end follows A without asking anyone. One that is bounded and not there yet has records
    /// to read, so nothing could be learnt. One that spoke within `idle` need not ask: the answer could not count.
    pub fn learn(&mut self, a: EventTime, base: Option<EventTime>, now: Monotonic) -> bool {
        if self.ended {
            self.raise(a);
            return false;
        }
        if self.paused(base) {
            self.no_evidence();
            return false;
        }
        let spoke = now.0 - self.last_valid.0 < self.rule.idle && !mutants::on(Mutant::FloorWithoutSilence);
        if self.bounded || self.learnt.is_some() || spoke {
            return false;
        }
        self.learnt = Some(a);
        true
    }

    /// The log's answer to the question that [`Partition::learn`] wanted asked.
    pub fn answered(&mut self, answer: EndAnswer) {
        match answer {
            EndAnswer::End(end) if self.learnt.is_some() => self.answer = Some(end),
            EndAnswer::End(_) => {} // a valid record came meanwhile: the answer is about the past
            EndAnswer::Failed => self.no_evidence(),
        }
    }

    /// Raises the floor if the position has reached the answer and the silence is long enough. Says whether it is caught
    /// up by this call.
    pub fn settle(&mut self, now: Monotonic) -> bool {
        let (Some(a), Some(end)) = (self.learnt, self.answer) else { return false };
        if self.next < end && !mutants::on(Mutant::IdleUnderBackPressure) {
            return false;
        }
        self.learnt = None;
        self.answer = None;
        if now.0 - self.last_valid.0 < self.rule.idle && !mutants::on(Mutant::FloorWithoutSilence) {
            return false;
        }
        self.raise(a);
        true
    }

    fn raise(&mut self, a: EventTime) {
        if a > UNKNOWN {
            self.floor = self.floor.max(Some(a));
            if !self.ended {
                let Windowing { length, lateness } = self.rule.windowing;
                self.partial_before.learn(a.plus(length + lateness));
            }
        }
        self.caught_up = true;
    }

    /// For the epoch that ends now.
    pub fn report(&self, base: Option<EventTime>, now: Monotonic) -> PartitionState {
        PartitionState {
            index: self.index,
            start: self.start,
            next: self.next,
            h: self.h,
            floor: self.floor,
            caught_up: self.caught_up || self.ended,
            ended: self.ended,
            paused: !self.ended && self.paused(base),
            newest_end: self.newest_end,
            silence: now.0 - self.last_valid.0,
            partial_before: self.partial_before,
            counts: self.counts,
            last: self.last,
            rejected_by: self.rejected_by.clone(),
            implausible: self.implausible,
            late_by: self.late_by,
            filtered: Vec::new(),
            noted: None,
        }
    }

    /// H or floor, whichever is greater (R4).
    #[inline]
    pub fn watermark(&self) -> Option<EventTime> {
        match (self.h, self.floor) {
            (Some(h), Some(floor)) => Some(h.max(floor)),
            (h, None) => h,
            (None, floor) => floor,
        }
    }

    /// How far behind its records were.
    pub fn behind(&self) -> &DelayHistogram {
        &self.behind
    }
}
