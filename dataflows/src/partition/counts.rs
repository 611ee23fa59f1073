//! Records of one partition by what became of them.

use crate::record::{Finding, Reason, Rejection};
use serde::{Deserialize, Serialize};

/// Records of one partition, and the events that they hold, by what became of them (R11), since its start. A record holds one
/// event, or with `--each` one for each element of its array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "CountsOnDisk", into = "CountsOnDisk")]
pub struct Counts {
    /// All records that were read.
    pub read: i64,
    /// Offsets that were passed and held no record.
    pub gaps: i64,
    /// All events of those records. A record that cannot be taken apart is one.
    pub events: i64,
    /// Those in a window's sum.
    pub counted: i64,
    /// Dead letters with reason `late`.
    pub late: i64,
    /// Dead letters that could not be decoded.
    pub rejected: i64,
    /// Dead letters with reason `future` or `past`.
    pub quarantined: i64,
    /// Those that `--where` leaves out.
    pub skipped: i64,
    /// Those whose `--id-field` repeats.
    pub duplicates: i64,
    /// Those among all valid ones whose value or weight was rounded to the scale (`--on-precision round`).
    pub rounded: i64,
}

impl Counts {
    /// Adds those of another partition.
    pub fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.gaps += other.gaps;
        self.events += other.events;
        self.counted += other.counted;
        self.late += other.late;
        self.rejected += other.rejected;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
        self.duplicates += other.duplicates;
        self.rounded += other.rounded;
    }

    /// Is every event in one class (R11)?
    pub fn balance(&self) -> bool {
        self.events == self.counted + self.late + self.rejected + self.quarantined + self.skipped + self.duplicates
    }
}

/// As a manifest has them. One of version 0.1 has no events, for every record was one.
#[derive(Serialize, Deserialize)]
struct CountsOnDisk {
    read: i64,
    counted: i64,
    late: i64,
    rejected: i64,
    quarantined: i64,
    gaps: i64,
    #[serde(default)]
    events: Option<i64>,
    #[serde(default)]
    skipped: i64,
    #[serde(default)]
    duplicates: i64,
    #[serde(default)]
    rounded: i64,
}

impl From<Counts> for CountsOnDisk {
    fn from(counts: Counts) -> Self {
        let Counts { read, gaps, events, counted, late, rejected, quarantined, skipped, duplicates, rounded } = counts;
        let events = Some(events);
        CountsOnDisk { read, counted, late, rejected, quarantined, gaps, events, skipped, duplicates, rounded }
    }
}

impl From<CountsOnDisk> for Counts {
    fn from(on_disk: CountsOnDisk) -> Self {
        let CountsOnDisk { read, counted, late, rejected, quarantined, gaps, events, skipped, duplicates, rounded } =
            on_disk;
        let events = events.unwrap_or(read);
        Counts { read, gaps, events, counted, late, rejected, quarantined, skipped, duplicates, rounded }
    }
}

/// Rejected records of one partition that have a reason and a field in common, since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedBy {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: i64,
    /// The offset of the first.
    pub offset: i64,
    /// What was wrong with the first. The field is that of all.
    pub finding: Finding,
}

/// Counts one more. There are as many entries as reasons times configured fields, at most.
pub(super) fn count_rejected(all: &mut Vec<RejectedBy>, offset: i64, Rejection { reason, finding }: &Rejection) {
    match all.iter_mut().find(|by| by.reason == *reason && by.finding.field == finding.field) {
        Some(by) => by.count += 1,
        None => all.push(RejectedBy { reason: *reason, count: 1, offset, finding: finding.clone() }),
    }
}
