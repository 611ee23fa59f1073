//! By what a partition's watermark came to a time (R4, R8): a record of its own, or the evidence of its silence.

use crate::verify::IndexedPartition;
use minutely_dataflows::partition::PartitionState;
use minutely_dataflows::record::Evidence;
use minutely_dataflows::time::EventTime;

/// By what it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// By this record, whose event time is not before it.
    Record(PassingRecord),
    /// By a record before this offset; which one is not in the index.
    Before { offset: i64 },
    /// By its floor, because it was silent at its end (R8). `before`: the offset before which the state knows of it.
    Floor { floor: EventTime, before: Option<i64> },
    /// Not yet. Its watermark, where it has one.
    NotYet { watermark: Option<EventTime> },
    /// By a record that the log does not have any more, or that nothing leads to.
    Unknown,
}

/// A record that raised H.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PassingRecord {
    pub(super) offset: i64,
    pub(super) time: EventTime,
    /// The stamp that the log gives it.
    pub(super) stamp: Option<EventTime>,
}

impl Passing {
    /// At which time a partition passed `at`. `of_reader`: as of the newest manifest; `by`: the first record by which H was there, as far
    /// as it was looked for.
    pub(super) fn of(
        at: EventTime,
        partition: &IndexedPartition,
        of_reader: &PartitionState,
        by: Option<Passing>,
    ) -> Self {
        if of_reader.watermark().is_none_or(|watermark| watermark < at) {
            return Passing::NotYet { watermark: of_reader.watermark() };
        }
        let by_h = of_reader.h.is_some_and(|h| h >= at);
        let upto = match by {
            Some(Passing::Record(PassingRecord { offset, .. }) | Passing::Before { offset }) => Some(offset),
            _ => None,
        };
        match earliest_floor(at, partition).filter(|(offset, _)| upto.is_none_or(|upto| *offset <= upto)) {
            Some((offset, floor)) => Passing::Floor { floor, before: Some(offset) },
            None if by_h => by.unwrap_or(Passing::Unknown),
            None => Passing::Floor { floor: of_reader.floor.unwrap_or(at), before: None },
        }
    }
}

/// The first offset before which a floor is known to have been at or after `at` while H was not, and that floor: of the index, and of
/// the records that it made late.
fn earliest_floor(at: EventTime, partition: &IndexedPartition) -> Option<(i64, EventTime)> {
    let of_entries = partition.entries.values().filter(|entry| entry.h.is_none_or(|h| h < at));
    let of_entries = of_entries.filter_map(|entry| Some((entry.offset, entry.floor?)));
    let of_exceptions = partition.exceptions.iter().filter_map(|((offset, _), (_, evidence))| match evidence {
        Evidence::Floor(floor) => Some((*offset, *floor)),
        _ => None,
    });
    of_entries.chain(of_exceptions).filter(|(_, floor)| *floor >= at).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::partition::{IndexEntry, Partition, Rule};
    use minutely_dataflows::record::{PartitionName, Reason};
    use minutely_dataflows::time::{Monotonic, NextOffset};

    fn partition(entries: &[(i64, Option<i64>, Option<i64>)], floors: &[(i64, i64)]) -> IndexedPartition {
        let entry = |(bucket, (offset, h, floor)): (i64, &(i64, Option<i64>, Option<i64>))| {
            let (h, floor) = (h.map(EventTime), floor.map(EventTime));
            (bucket, IndexEntry { partition: 0, bucket, offset: *offset, h, floor })
        };
        let late = |(offset, floor): &(i64, i64)| ((*offset, None), (Reason::Late, Evidence::Floor(EventTime(*floor))));
        IndexedPartition {
            name: PartitionName { log: "t".into(), number: Some(0) },
            start: NextOffset(0),
            next: NextOffset(100),
            entries: (0..).zip(entries).map(entry).collect(),
            since: None,
            first: NextOffset(0),
            exceptions: floors.iter().map(late).collect(),
        }
    }

    fn reader(h: Option<i64>, floor: Option<i64>) -> PartitionState {
        let state = Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0)).report(None, Monotonic(0));
        PartitionState { h: h.map(EventTime), floor: floor.map(EventTime), ..state }
    }

    #[test]
    fn a_record_passes_it_unless_a_floor_was_there_before() {
        let at = EventTime(50);
        let record = |offset| Passing::Record(PassingRecord { offset, time: EventTime(60), stamp: None });
        let of = |entries: &[_], floors: &[_], (h, floor), by| {
            Passing::of(at, &partition(entries, floors), &reader(h, floor), by)
        };
        let plain = [(0, None, None), (20, Some(40), Some(30))];
        assert_eq!(of(&plain, &[], (Some(60), None), Some(record(30))), record(30));
        assert_eq!(of(&plain, &[], (Some(49), None), None), Passing::NotYet { watermark: Some(EventTime(49)) });
        assert_eq!(of(&plain, &[], (None, None), None), Passing::NotYet { watermark: None });
        let silent = Passing::Floor { floor: EventTime(55), before: None };
        assert_eq!(of(&plain, &[], (Some(49), Some(55)), None), silent, "its end was proven, and nothing came since");
        let index = [(0, None, None), (20, Some(40), Some(52))];
        let known = |offset, floor| Passing::Floor { floor: EventTime(floor), before: Some(offset) };
        assert_eq!(of(&index, &[], (Some(60), None), Some(record(30))), known(20, 52));
        assert_eq!(of(&index, &[], (Some(60), None), Some(record(10))), record(10), "H was there before");
        assert_eq!(of(&plain, &[(15, 51), (25, 58)], (Some(60), None), Some(record(30))), known(15, 51));
        assert_eq!(of(&plain, &[(15, 49)], (Some(60), None), Some(record(30))), record(30), "not so high");
        assert_eq!(of(&plain, &[], (Some(60), None), None), Passing::Unknown);
        let past = [(20, Some(51), Some(90))];
        assert_eq!(
            of(&past, &[], (Some(60), None), Some(Passing::Before { offset: 20 })),
            Passing::Before { offset: 20 }
        );
    }
}
