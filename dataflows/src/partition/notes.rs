//! The sparse index of a partition: where in its log ten minutes of event time begin to count, so that a reader of its own can count
//! them again without the log's beginning.
//!
//! ```text
//!   a record counts ── is it the first of its ten minutes? ── IndexEntry: its offset, and H and the floor before it
//!   H moves on ── no window of those ten minutes can count any more: that they were noted is forgotten
//! ```
//!
//! An entry is a function of the log, but for its floor, which decides nothing and is there for people. Where the ten minutes end
//! needs no entry: from the record on that brings H to where their last window is final, none counts for them.

use crate::time::{EventTime, SECOND, WindowStart, Windowing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Length of a bucket in nanoseconds. A window is of the bucket that it begins in.
pub const BUCKET: i64 = 600 * SECOND;

/// Where a partition's first record stands that counted for a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The partition's admission number.
    pub partition: usize,
    /// The bucket: the start of its window divided by [`BUCKET`], rounded down.
    pub bucket: i64,
    /// The record's offset.
    pub offset: i64,
    /// H before that record (R4).
    pub h: Option<EventTime>,
    /// The floor before it (R8).
    pub floor: Option<EventTime>,
}

/// No window begins in a later bucket, and none in an earlier one than its negative. (The first window may begin long before the first
/// event time.)
const LATEST_BUCKET: i64 = EventTime::FARTHEST / BUCKET + 1;

/// May windows begin in this bucket, or in the one before it?
pub(crate) fn is_bucket(bucket: i64) -> bool {
    (-LATEST_BUCKET..=LATEST_BUCKET).contains(&bucket)
}

/// Which buckets have their entry, as far as a run that resumes must know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedBuckets {
    /// Buckets before this may have records that counted without an entry: those of an earlier version, or of a log that has
    /// changed since.
    pub since: Option<i64>,
    /// Of those that may still count: the first with an entry, and the first after it without one; ascending.
    pub open: Vec<(i64, i64)>,
}

impl NotedBuckets {
    /// No bucket is known that a record may have counted for while this was H.
    pub fn unknown_through(h: Option<EventTime>) -> Self {
        NotedBuckets { since: h.map(|h| h.0.div_euclid(BUCKET) + 1), open: Vec::new() }
    }

    /// Are its buckets some that windows begin in, and do its ranges ascend?
    pub(crate) fn is_whole(&self) -> bool {
        let ascends = self.open.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let open = self.open.iter().all(|(from, to)| from < to && is_bucket(*from) && is_bucket(*to));
        ascends && open && self.since.is_none_or(is_bucket)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct BucketNotes {
    windowing: Windowing,
    since: Option<i64>,
    /// The first bucket with an entry, and the first after it without one. They do not touch.
    noted: BTreeMap<i64, i64>,
    /// The window that was looked at last.
    last: WindowStart,
    /// No object of the state has these yet.
    new: Vec<IndexEntry>,
}

impl BucketNotes {
    pub(super) fn new(windowing: Windowing) -> Self {
        BucketNotes { windowing, since: None, noted: BTreeMap::new(), last: WindowStart::MAX, new: Vec::new() }
    }

    /// A record counts for this window. `entry`: what is to be noted if it is the first of its bucket.
    #[inline]
    pub(super) fn count(&mut self, window: WindowStart, entry: impl FnOnce(i64) -> IndexEntry) {
        if window != self.last {
            self.last = window;
            let bucket = window.0.div_euclid(BUCKET);
            if self.insert(bucket) {
                self.new.push(entry(bucket));
            }
        }
    }

    /// Is it new, and can it be known that it is?
    fn insert(&mut self, bucket: i64) -> bool {
        let before = self.noted.range(..=bucket).next_back().map(|(from, to)| (*from, *to));
        if Some(bucket) < self.since || before.is_some_and(|(_, to)| bucket < to) {
            return false;
        }
        let from = before.filter(|(_, to)| *to == bucket).map_or(bucket, |(from, _)| from);
        let to = self.noted.remove(&(bucket + 1)).unwrap_or(bucket + 1);
        self.noted.insert(from, to);
        true
    }

    /// Entries since the last call.
    pub(super) fn take_new(&mut self) -> Vec<IndexEntry> {
        std::mem::take(&mut self.new)
    }

    /// What the state keeps. Forgets buckets for which no record can count any more. `h`: the partition's H.
    pub(super) fn save(&mut self, h: Option<EventTime>) -> NotedBuckets {
        let first_open = h.map_or(i64::MIN, |h| first_open(self.windowing, h));
        while let Some(range) = self.noted.first_entry().filter(|range| *range.key() < first_open) {
            let (_, to) = range.remove_entry();
            if to > first_open {
                self.noted.insert(first_open, to);
            }
        }
        NotedBuckets { since: self.since, open: self.noted.iter().map(|(from, to)| (*from, *to)).collect() }
    }

    /// Takes back what [`BucketNotes::save`] gave.
    pub(super) fn restore(&mut self, noted: NotedBuckets) {
        (self.since, self.noted) = (noted.since, noted.open.into_iter().collect());
    }
}

/// The first bucket for which a record may still count once H is this. A window that a record counts for begins after
/// H − length − lateness (R5).
fn first_open(windowing: Windowing, h: EventTime) -> i64 {
    h.plus(-windowing.length).plus(-windowing.lateness).0.div_euclid(BUCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bucket: i64) -> IndexEntry {
        IndexEntry { partition: 0, bucket, offset: 0, h: None, floor: None }
    }

    #[test]
    fn each_bucket_is_noted_once_whatever_is_saved_between() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let windowing = Windowing { length: rng.i64(1..2 * BUCKET), lateness: rng.i64(0..9 * BUCKET) };
            let mut notes = BucketNotes::new(windowing);
            let (mut h, mut want, mut got) = (None::<EventTime>, std::collections::BTreeSet::new(), Vec::new());
            for _ in 0..400 {
                let time = EventTime(h.map_or(0, |h| h.0) + rng.i64(-9 * BUCKET..BUCKET));
                let window = windowing.window_of(time);
                if h.is_none_or(|h| windowing.final_at(window) > h) {
                    want.insert(window.0.div_euclid(BUCKET));
                    notes.count(window, entry);
                }
                h = h.max(Some(time));
                if rng.u8(..8) == 0 {
                    got.append(&mut notes.take_new());
                    let saved = notes.save(h);
                    assert!(saved.is_whole() && saved.open.len() < 12, "seed {seed}: {saved:?}");
                    notes = BucketNotes::new(windowing);
                    notes.restore(saved);
                }
            }
            got.append(&mut notes.take_new());
            let mut buckets: Vec<_> = got.iter().map(|entry| entry.bucket).collect();
            buckets.sort_unstable();
            assert_eq!(buckets, Vec::from_iter(want), "seed {seed}");
        }
    }

    #[test]
    fn buckets_of_an_earlier_version_get_no_entry() {
        let mut notes = BucketNotes::new(Windowing::default());
        notes.restore(NotedBuckets::unknown_through(Some(EventTime(5 * BUCKET + 7))));
        for bucket in [4, 5, 6] {
            notes.count(WindowStart(bucket * BUCKET), entry);
        }
        assert_eq!(notes.take_new(), [entry(6)]);
        let saved = notes.save(None);
        assert_eq!(saved, NotedBuckets { since: Some(6), open: vec![(6, 7)] });
        assert_eq!(NotedBuckets::unknown_through(None), NotedBuckets::default(), "nothing has counted");
        let wrong = [vec![(3, 3)], vec![(3, 2)], vec![(1, 3), (3, 4)], vec![(5, 6), (1, 2)], vec![(0, i64::MAX)]];
        assert!(wrong.into_iter().all(|open| !NotedBuckets { since: None, open }.is_whole()));
    }
}
