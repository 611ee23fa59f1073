//! One partition's verdicts, on the reader's side (R4, R5, R7, R8, R12, R13): a pure state machine. It is told what was
//! read, what the log answered and what time it is, and says what counts and how far event time has come.
//!
//! ```text
//!   record ── judge ──> counted | late | future          A ── learn ──> ask the log for its end
//!   broken ── reject ─> rejected                         answer, position ── settle ──> floor := A, caught up
//! ```
//!
//! What it promises: a counted record's window is never final at any W that was computed from this partition's reports.
//! What it does not: that a producer holds nothing back. The log's end proves what the log holds.

use crate::decode::is_plausible;
use crate::edge::EndAnswer;
use crate::explain::{self, RejectedBy};
use crate::mutants::{self, Mutant};
use crate::partial::PartialBefore;
use crate::record::{Evidence, LastRecord, Rejection};
use crate::time::{EventTime, Monotonic, NextOffset, WindowStart, Windowing};
use serde::{Deserialize, Serialize};

/// The settings that verdicts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Windows and lateness.
    pub windowing: Windowing,
    /// How far ahead of its reference a record may be, in nanoseconds (R7). Default: one minute.
    pub max_future: i64,
    /// How far behind its reference a record may be, in nanoseconds (R7); none: as far as it likes. Default: none.
    pub max_past: Option<i64>,
    /// How far past W a partition is read on, in nanoseconds of event time (R12). Default: 60 minutes.
    pub max_ahead: i64,
    /// How long a partition must have been silent before its floor may rise, in nanoseconds (R8). Default: 10 seconds.
    pub idle: i64,
}

impl Default for Rule {
    fn default() -> Self {
        let minute = 60 * crate::time::SECOND;
        Rule {
            windowing: Windowing::default(),
            max_future: minute,
            max_past: None,
            max_ahead: 60 * minute,
            idle: minute / 6,
        }
    }
}

/// "Nothing is known yet" where an [`EventTime`] is compared: below every decoded one.
pub const UNKNOWN: EventTime = EventTime(i64::MIN);

/// The verdict on a decoded record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts for this window.
    Counted(WindowStart),
    /// Late (R5), by this.
    Late(Evidence),
    /// Quarantined (R7): too far ahead of this.
    Future(Evidence),
    /// Quarantined (R7): too far behind this.
    Past(Evidence),
}

/// Records of one partition by what became of them (R11), since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All that were read.
    pub read: i64,
    /// Those in a window's sum.
    pub counted: i64,
    /// Dead letters with reason `late`.
    pub late: i64,
    /// Dead letters that could not be decoded.
    pub rejected: i64,
    /// Dead letters with reason `future` or `past`.
    pub quarantined: i64,
    /// Offsets that were passed and held no record.
    pub gaps: i64,
}

impl Counts {
    /// Adds those of another partition.
    pub fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.counted += other.counted;
        self.late += other.late;
        self.rejected += other.rejected;
        self.quarantined += other.quarantined;
        self.gaps += other.gaps;
    }
}

/// Upper edges of the buckets of [`DelayHistogram`], in milliseconds.
pub const DELAY_EDGES_MS: [i64; 15] = [
    1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 14_400_000,
    43_200_000, 86_400_000,
];

/// How far valid records' event times were behind their partition's watermark when they were read, since the run began.
/// It is no part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayHistogram {
    /// How many were behind by less than each edge and no less than the one before it, and last those beyond all edges.
    pub counts: [u64; DELAY_EDGES_MS.len() + 1],
    /// The sum over those that were behind, in milliseconds.
    pub total_ms: u64,
}

impl DelayHistogram {
    /// Adds those of others.
    pub fn add(&mut self, other: &DelayHistogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
    }

    /// A record with this event time at this watermark.
    fn count(&mut self, time: EventTime, watermark: Option<EventTime>) {
        let ms = watermark.map_or(0, |mark| mark.0.saturating_sub(time.0) / 1_000_000);
        let bucket = DELAY_EDGES_MS.iter().position(|edge| ms < *edge).unwrap_or(DELAY_EDGES_MS.len());
        self.counts[bucket] += 1;
        self.total_ms = self.total_ms.saturating_add(u64::try_from(ms).unwrap_or(0));
    }
}

/// What a reader reports of a partition at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Its admission number.
    pub index: usize,
    /// The first offset read. Where a changed log was accepted whose offsets went back, less by as much.
    pub start: NextOffset,
    /// The next offset to read.
    pub next: NextOffset,
    /// H: the largest event time among its valid records (R4).
    pub h: Option<EventTime>,
    /// Its floor (R8).
    pub floor: Option<EventTime>,
    /// Caught up, or at its recorded end.
    pub caught_up: bool,
    /// At its recorded end: nothing more will be read.
    pub ended: bool,
    /// Not read at present, being too far ahead (R12).
    pub paused: bool,
    /// End of the newest window that it counted for.
    pub newest_end: Option<EventTime>,
    /// Nanoseconds since its last valid record, or since its start.
    pub silence: i64,
    /// Which windows may lack records (R13). Known once, by the first valid record or, where the log has not ended, the
    /// first raised floor; from the start for a partition that is read from offset 0. Unknown again where a changed log was
    /// accepted.
    pub partial_before: PartialBefore,
    /// The first equation of R11.
    pub counts: Counts,
    /// The last record read, where the source tells.
    #[serde(default)]
    pub last: Option<LastRecord>,
    /// The rejected records by reason and field. Fewer than `counts.rejected` where an older version counted, too.
    #[serde(default)]
    pub rejected_by: Vec<RejectedBy>,
    /// Valid records whose event time is before 1990 or after 2100.
    #[serde(default)]
    pub implausible: i64,
}

impl PartitionState {
    /// The partition's watermark (R4).
    pub fn watermark(&self) -> Option<EventTime> {
        self.h.max(self.floor)
    }

    /// Does `next − start = read + gaps` hold, and is every record read in one class (R11)?
    pub fn balances(&self) -> bool {
        let c = &self.counts;
        self.next.0 - self.start.0 == c.read + c.gaps && c.read == c.counted + c.late + c.rejected + c.quarantined
    }
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
    floor: Option<EventTime>,
    caught_up: bool,
    /// A, as it was when the question now under way was sent.
    learnt: Option<EventTime>,
    answer: Option<NextOffset>,
    last_valid: Monotonic,
    partial_before: PartialBefore,
    newest_end: Option<EventTime>,
    counts: Counts,
    last: Option<LastRecord>,
    rejected_by: Vec<RejectedBy>,
    implausible: i64,
    behind: DelayHistogram,
}

impl Partition {
    /// A partition that is admitted now. `floor` is W, if W existed when it was admitted (R8); `bounded`
    /// runs read it up to a recorded end.
    pub fn new(
        rule: Rule,
        index: usize,
        start: NextOffset,
        bounded: bool,
        floor: Option<EventTime>,
        now: Monotonic,
    ) -> Self {
        Partition {
            rule,
            index,
            start,
            bounded,
            ended: false,
            next: start,
            h: None,
            floor,
            caught_up: false,
            learnt: None,
            answer: None,
            last_valid: now,
            partial_before: if start.0 == 0 { PartialBefore::Nothing } else { PartialBefore::Unknown },
            newest_end: None,
            counts: Counts::default(),
            last: None,
            rejected_by: Vec::new(),
            implausible: 0,
            behind: DelayHistogram::default(),
        }
    }

    /// A partition that a run before this one left like this. Silence is counted from now on: what was learnt of the log's
    /// end is gone with that run.
    pub fn resume(rule: Rule, state: &PartitionState, bounded: bool, now: Monotonic) -> Self {
        Partition {
            next: state.next,
            h: state.h,
            partial_before: state.partial_before,
            newest_end: state.newest_end,
            counts: state.counts,
            last: state.last,
            rejected_by: state.rejected_by.clone(),
            implausible: state.implausible,
            ..Partition::new(rule, state.index, state.start, bounded, state.floor, now)
        }
    }

    /// The verdict on the valid record at `offset`. `reference` is the reader's clock, or the run's instant; the broker's
    /// own stamp comes before it (R7).
    pub fn judge(
        &mut self,
        offset: i64,
        time: EventTime,
        appended: Option<EventTime>,
        reference: EventTime,
        now: Monotonic,
    ) -> Verdict {
        self.pass(offset);
        self.implausible += i64::from(!is_plausible(time));
        let (latest, evidence) = match appended {
            Some(stamp) => (stamp, Evidence::Appended(stamp)),
            None => (reference, Evidence::Clock(reference)),
        };
        if time > latest.plus(self.rule.max_future) {
            self.counts.quarantined += 1;
            return Verdict::Future(evidence);
        }
        if self.rule.max_past.is_some_and(|most| time.plus(most) < latest) {
            self.counts.quarantined += 1;
            return Verdict::Past(evidence);
        }
        let window = self.rule.windowing.window_of(time);
        let (end, final_at) = (self.rule.windowing.end(window), self.rule.windowing.final_at(window));
        let verdict = match (self.h, self.floor) {
            (Some(h), _) if final_at <= h => Verdict::Late(Evidence::Watermark(h)),
            (_, Some(floor)) if final_at <= floor => Verdict::Late(Evidence::Floor(floor)),
            _ => Verdict::Counted(window),
        };
        self.behind.count(time, self.watermark());
        self.h = self.h.max(Some(time));
        self.last_valid = now;
        self.no_evidence();
        self.partial_before.learn(end.plus(self.rule.windowing.lateness));
        if let Verdict::Counted(_) = verdict {
            self.counts.counted += 1;
            self.newest_end = self.newest_end.max(Some(end));
        } else {
            self.counts.late += 1;
        }
        verdict
    }

    /// The record at `offset` cannot be decoded.
    pub fn reject(&mut self, offset: i64, rejection: &Rejection) {
        self.pass(offset);
        explain::count(&mut self.rejected_by, offset, rejection);
        self.counts.rejected += 1;
    }

    /// The reader's position, past gaps and control markers.
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

    fn pass(&mut self, offset: i64) {
        self.reached(NextOffset(offset));
        self.next = NextOffset(offset + 1);
        self.counts.read += 1;
    }

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
        }
    }

    /// H or floor, whichever is greater (R4).
    pub fn watermark(&self) -> Option<EventTime> {
        self.h.max(self.floor)
    }

    /// How far behind its records were.
    pub fn behind(&self) -> &DelayHistogram {
        &self.behind
    }
}

/// A, from all partitions' reports of one epoch (R8): the least watermark of those that are not caught up; if all are,
/// the newest event time moved on by the silence beyond `idle`, at most to where the newest window held becomes final.
///
/// The silence is added to an event time and never to a floor: floors were raised to an earlier A, so the same silence
/// would be added again in every epoch, and ten seconds of it would pass for ten minutes.
pub fn least_to_follow<'a>(rule: &Rule, states: impl Iterator<Item = &'a PartitionState> + Clone) -> EventTime {
    let busy = states.clone().filter(|s| !s.caught_up).map(|s| s.watermark().unwrap_or(UNKNOWN)).min();
    if mutants::on(Mutant::WatermarkOfTheOthers) {
        let mut all: Vec<_> = states.map(|s| s.watermark().unwrap_or(UNKNOWN)).collect();
        all.sort_unstable();
        return all.get(1).copied().unwrap_or(UNKNOWN);
    }
    if let Some(a) = busy {
        return a;
    }
    let greatest = states.clone().filter_map(PartitionState::watermark).max().unwrap_or(UNKNOWN);
    let newest =
        if mutants::on(Mutant::SilenceCompounds) { Some(greatest) } else { states.clone().filter_map(|s| s.h).max() };
    let newest_end = states.clone().filter_map(|s| s.newest_end).max();
    let silence = states.map(|s| s.silence).min().unwrap_or(0) - rule.idle;
    match (newest, newest_end) {
        (Some(h), Some(end)) => h.plus(silence.max(0)).min(end.plus(rule.windowing.lateness)).max(greatest),
        _ => greatest,
    }
}

/// W of an epoch (R4): the least watermark of all admitted partitions; none while one of them has none.
pub fn least_watermark<'a>(states: impl Iterator<Item = &'a PartitionState>) -> Option<EventTime> {
    states.map(|s| s.watermark().unwrap_or(UNKNOWN)).min().filter(|w| *w > UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    #[test]
    fn a_clock_that_stands_still_holds_nothing_back() {
        let now = EventTime(1_767_600_000 * SECOND);
        let rule = Rule { max_past: Some(3600 * SECOND), ..Rule::default() };
        let mut partition = Partition::new(rule, 0, NextOffset(0), false, None, Monotonic(0));
        let mut judge = |offset, time, appended| partition.judge(offset, time, appended, now, Monotonic(0));
        assert_eq!(judge(0, EventTime(7), None), Verdict::Past(Evidence::Clock(now)));
        assert_eq!(judge(1, EventTime(7), Some(now)), Verdict::Past(Evidence::Appended(now)));
        let limit = now.plus(-3600 * SECOND);
        assert_eq!(judge(2, limit.plus(-1), None), Verdict::Past(Evidence::Clock(now)));
        let before = partition.report(None, Monotonic(0));
        assert_eq!((before.watermark(), before.counts.quarantined, before.balances()), (None, 3, true));
        let window = rule.windowing.window_of(limit);
        assert_eq!(partition.judge(3, limit, None, now, Monotonic(0)), Verdict::Counted(window));
        let off = Rule { max_past: None, ..rule };
        let mut partition = Partition::new(off, 0, NextOffset(0), false, None, Monotonic(0));
        assert!(matches!(partition.judge(0, EventTime(7), None, now, Monotonic(0)), Verdict::Counted(_)));
    }
}
