//! The watermark: W, A and the marks, by what all readers have reported of one epoch (R4, R8, R12, R13).

use super::admission::{Admissions, AdmittedPartition};
use crate::frontier::Frontier;
use crate::marks::Marks;
use crate::mutants::{self, Mutant};
use crate::partial::PartialBefore;
use crate::partition::{PartitionState, UNKNOWN, least_to_follow, least_watermark};
use crate::protocol::{Guide, Reading};
use crate::settings::Settings;
use crate::time::{Epoch, EventTime};
use std::collections::BTreeMap;

/// Reports of epochs that not every reader has reported yet.
#[derive(Debug)]
pub(super) struct Reports {
    /// Epochs before this are complete.
    next: Epoch,
    waiting: BTreeMap<Epoch, Vec<PartitionState>>,
}

impl Reports {
    pub(super) fn new(first: Epoch) -> Self {
        Reports { next: first, waiting: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, states: Vec<(Epoch, PartitionState)>) {
        for (epoch, state) in states {
            self.waiting.entry(epoch).or_default().push(state);
        }
    }

    /// The oldest epoch that is complete and was not taken yet, and its reports. `current`: the epoch in progress, which
    /// is never complete.
    pub(super) fn take_complete(&mut self, reported: Frontier, current: Epoch) -> Option<(Epoch, Vec<PartitionState>)> {
        let epoch = self.next;
        if epoch >= current || !reported.passed(epoch) {
            return None;
        }
        self.next += 1;
        Some((epoch, self.waiting.remove(&epoch).unwrap_or_default()))
    }

    /// Epochs before this were taken.
    pub(super) fn next(&self) -> Epoch {
        self.next
    }
}

/// How far a bounded run has come in its log. A live run stays at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogEnd {
    /// Some partition is to be read further.
    Ahead,
    /// All partitions are at their recorded ends.
    Reached,
    /// And every floor is as high as it will be.
    Settled,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watermark {
    /// What readers go by. [`Guide::reading`] is not decided here.
    guide: Guide,
    marks: Marks,
    log_end: LogEnd,
}

impl Watermark {
    /// As an earlier run recorded it.
    pub(super) fn new(marks: Marks) -> Self {
        Watermark { guide: Guide { watermark: marks.w, ..Guide::default() }, marks, log_end: LogEnd::Ahead }
    }

    /// W.
    pub(super) fn w(&self) -> Option<EventTime> {
        self.guide.watermark
    }

    pub(super) fn guide(&self) -> Guide {
        self.guide
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    pub(super) fn set_reading(&mut self, reading: Reading) {
        self.guide.reading = reading;
    }

    /// Are all partitions of a bounded run at their recorded ends?
    pub(super) fn all_ended(&self) -> bool {
        self.log_end != LogEnd::Ahead
    }

    /// And is every floor as high as it will be?
    pub(super) fn is_settled(&self) -> bool {
        self.log_end == LogEnd::Settled
    }

    /// One epoch's reports are in: W, A and the rest.
    pub(super) fn update_watermark(&mut self, partitions: &Admissions, settings: &Settings) {
        let known = || partitions.states().map(|(_, state)| state);
        if known().next().is_none() {
            return;
        }
        // A partition that was admitted and has not reported yet stands where it was admitted.
        let unreported = partitions.all().iter().filter(|partition| partition.state.is_none());
        let unreported = unreported.map(|partition| partition.floor.unwrap_or(UNKNOWN)).min();
        let w = match unreported {
            Some(UNKNOWN) => None,
            Some(floor) => least_watermark(known()).map(|w| w.min(floor)),
            None => least_watermark(known()),
        };
        assert!(w >= self.w(), "W fell from {:?} to {w:?}", self.w());
        let all_ended = settings.bounded && unreported.is_none() && known().all(|state| state.ended);
        let a = if all_ended {
            let last = last_to_follow(partitions, settings);
            let settled = known().all(|state| state.watermark() >= last);
            self.log_end = if settled { LogEnd::Settled } else { LogEnd::Reached };
            last.unwrap_or(UNKNOWN)
        } else {
            self.log_end = LogEnd::Ahead;
            let a = least_to_follow(&settings.rule, known());
            unreported.map_or(a, |floor| a.min(floor))
        };
        self.guide = Guide {
            catch_up_to: Some(a),
            watermark: w,
            alignment_base: w.or_else(|| known().filter_map(|state| state.h).min()),
            urgent: known().any(|state| state.paused),
            reading: self.guide.reading,
        };
        let partial_before = if unreported.is_some() {
            if w.is_some() { self.marks.partial_before } else { PartialBefore::Unknown }
        } else {
            partial_before(partitions.all())
        };
        self.marks = Marks { w, partial_before };
    }
}

/// A where all partitions are at their recorded ends. No silence counts: a log that has ended is silent for as long as the
/// run takes.
fn last_to_follow(partitions: &Admissions, settings: &Settings) -> Option<EventTime> {
    let states = partitions.states().map(|(_, state)| state);
    if partitions.keep_open(settings.at_end) && !mutants::on(Mutant::ClosesWhatGoesOn) {
        states.filter_map(PartitionState::watermark).max()
    } else {
        let newest_end = states.filter_map(|state| state.newest_end).max();
        newest_end.map(|end| settings.last_end(end).plus(settings.rule.windowing.lateness))
    }
}

/// Which windows may lack records, by the partitions that have reported (R13).
fn partial_before(partitions: &[AdmittedPartition]) -> PartialBefore {
    let each = partitions.iter().filter_map(|p| Some((p.state.as_ref()?.partial_before, p.complete_from)));
    let by_one = |(seen, said): (PartialBefore, Option<EventTime>)| {
        said.map_or(seen, |said| seen.min(PartialBefore::Time(said)))
    };
    each.map(by_one).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Discovered;
    use crate::partition::{Partition, Rule};
    use crate::record::PartitionName;
    use crate::settings::AtEnd;
    use crate::time::{Monotonic, NextOffset, SECOND};

    fn found(number: i32) -> Discovered {
        let name = PartitionName { log: "ticks".into(), number: Some(number) };
        let zero = NextOffset(0);
        Discovered { name, start: zero, earliest: zero, end: Some(10), log_id: None }
    }

    /// Two partitions, of which each was read up to this time, if any.
    fn partitions(settings: &Settings, times: [Option<i64>; 2]) -> Admissions {
        let mut partitions = Admissions::new(settings, &[], None);
        partitions.admit(vec![found(0), found(1)], settings, None).unwrap();
        for (index, time) in times.into_iter().enumerate() {
            let Some(time) = time.map(EventTime) else { continue };
            let mut partition = Partition::new(Rule::default(), index, NextOffset(0), true, Monotonic(0));
            partition.begin_record(0);
            partition.judge(time, None, time, Monotonic(0));
            partition.end_reached();
            partitions.report(vec![partition.report(None, Monotonic(0))]);
        }
        partitions
    }

    #[test]
    fn w_is_unknown_until_every_partition_has_reported_and_then_the_least() {
        let settings = Settings::default();
        let mut watermark = Watermark::new(Marks::default());
        watermark.update_watermark(&partitions(&settings, [None, None]), &settings);
        assert_eq!(watermark.guide, Guide::default(), "nothing is known");
        watermark.update_watermark(&partitions(&settings, [Some(100), None]), &settings);
        assert_eq!((watermark.w(), watermark.guide.alignment_base), (None, Some(EventTime(100))));
        watermark.update_watermark(&partitions(&settings, [Some(100), Some(40)]), &settings);
        assert_eq!((watermark.w(), watermark.marks().w), (Some(EventTime(40)), Some(EventTime(40))));
        assert!(!watermark.all_ended(), "a live log has no end");
    }

    #[test]
    fn at_its_end_a_bounded_run_closes_its_windows_or_stays_at_its_greatest_time() {
        let last = 100 * SECOND;
        for (at_end, want) in [(AtEnd::Close, 120 * SECOND + 600 * SECOND), (AtEnd::KeepOpen, last)] {
            let settings = Settings { bounded: true, at_end, ..Settings::default() };
            let mut watermark = Watermark::new(Marks::default());
            watermark.update_watermark(&partitions(&settings, [Some(last), Some(40 * SECOND)]), &settings);
            assert_eq!(watermark.guide.catch_up_to, Some(EventTime(want)));
            assert!(watermark.all_ended() && !watermark.is_settled(), "floors are still to be raised");
            watermark.update_watermark(&partitions(&settings, [Some(want), Some(want)]), &settings);
            assert_eq!(watermark.is_settled(), at_end == AtEnd::KeepOpen);
        }
    }

    #[test]
    fn an_epoch_is_taken_once_when_all_have_reported_it_and_never_before_it_has_ended() {
        let mut reports = Reports::new(7);
        let settings = Settings::default();
        let state = partitions(&settings, [Some(1), None]).states().next().map(|(_, state)| state.clone()).unwrap();
        reports.add(vec![(8, state)]);
        let mut taken =
            |reported, current| reports.take_complete(reported, current).map(|(e, states)| (e, states.len()));
        assert_eq!(taken(Frontier::Done, 7), None);
        assert_eq!(taken(Frontier::At(7), 9), None);
        assert_eq!(taken(Frontier::At(9), 9), Some((7, 0)));
        assert_eq!(taken(Frontier::At(9), 9), Some((8, 1)));
        assert_eq!(taken(Frontier::Done, 9), None);
        assert_eq!(reports.next(), 9);
    }
}
