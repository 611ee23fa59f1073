//! What a reader reports of a partition, and what the state keeps of it.

use super::counts::{Counts, RejectedBy};
use super::notes::NotedBuckets;
use super::outliers::FilteredSeries;
use crate::partial::PartialBefore;
use crate::record::LastRecord;
use crate::time::{EventTime, NextOffset};
use serde::{Deserialize, Serialize};

/// "Nothing is known yet" where an [`EventTime`] is compared: below every decoded one.
pub const UNKNOWN: EventTime = EventTime(i64::MIN);

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
    /// The last record read; `None` where the source does not say.
    #[serde(default)]
    pub last: Option<LastRecord>,
    /// The rejected records by reason and field. Fewer than `counts.rejected` where an older version counted, too.
    #[serde(default)]
    pub rejected_by: Vec<RejectedBy>,
    /// Valid records whose event time is before 1990 or after 2100.
    #[serde(default)]
    pub implausible: i64,
    /// How far H was past the end of a late record's window, at most, in nanoseconds: a longer lateness would have lost none (R5).
    /// `None` where none was late by H.
    #[serde(default)]
    pub late_by: Option<i64>,
    /// With `--outlier`: the series' newest values, by name. A cut has them, and no other report.
    #[serde(default)]
    pub filtered: Vec<FilteredSeries>,
    /// Which buckets of its index have their entry. A cut has it, and no other report; none in a state of an earlier version.
    #[serde(default)]
    pub noted: Option<NotedBuckets>,
}

impl PartitionState {
    /// The partition's watermark (R4).
    pub fn watermark(&self) -> Option<EventTime> {
        self.h.max(self.floor)
    }

    /// Does `next − start = read + gaps` hold, and is every event in one class (R11)?
    pub fn balances(&self) -> bool {
        let c = &self.counts;
        self.next.0 - self.start.0 == c.read + c.gaps && c.balance()
    }
}
