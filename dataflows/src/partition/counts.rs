//! Records of one partition by what became of them.

use crate::record::{Finding, Reason, Rejection};
use serde::{Deserialize, Serialize};

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
