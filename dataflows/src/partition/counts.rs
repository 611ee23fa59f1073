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
    /// Those of the quarantined with reason `past`.
    pub past: i64,
    /// Dead letters with reason `session`, `bounds` or `outlier`.
    pub cleaned: i64,
    /// Those of the cleaned with reason `session`.
    pub off_session: i64,
    /// Those of the cleaned with reason `outlier`.
    pub outliers: i64,
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
        self.past += other.past;
        self.cleaned += other.cleaned;
        self.off_session += other.off_session;
        self.outliers += other.outliers;
        self.skipped += other.skipped;
        self.duplicates += other.duplicates;
        self.rounded += other.rounded;
    }

    /// Is every event in one class (R11)?
    pub fn balance(&self) -> bool {
        let set_aside = self.late + self.rejected + self.quarantined + self.cleaned;
        self.events == self.counted + set_aside + self.skipped + self.duplicates
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
    #[serde(default)]
    past: i64,
    #[serde(default)]
    cleaned: i64,
    #[serde(default)]
    off_session: i64,
    #[serde(default)]
    outliers: i64,
}

impl From<Counts> for CountsOnDisk {
    fn from(counts: Counts) -> Self {
        CountsOnDisk {
            read: counts.read,
            counted: counts.counted,
            late: counts.late,
            rejected: counts.rejected,
            quarantined: counts.quarantined,
            gaps: counts.gaps,
            events: Some(counts.events),
            skipped: counts.skipped,
            duplicates: counts.duplicates,
            rounded: counts.rounded,
            past: counts.past,
            cleaned: counts.cleaned,
            off_session: counts.off_session,
            outliers: counts.outliers,
        }
    }
}

impl From<CountsOnDisk> for Counts {
    fn from(on_disk: CountsOnDisk) -> Self {
        Counts {
            read: on_disk.read,
            gaps: on_disk.gaps,
            events: on_disk.events.unwrap_or(on_disk.read),
            counted: on_disk.counted,
            late: on_disk.late,
            rejected: on_disk.rejected,
            quarantined: on_disk.quarantined,
            past: on_disk.past,
            cleaned: on_disk.cleaned,
            off_session: on_disk.off_session,
            outliers: on_disk.outliers,
            skipped: on_disk.skipped,
            duplicates: on_disk.duplicates,
            rounded: on_disk.rounded,
        }
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
