//! Why reading ends a run.

use crate::halt::{Halt, HaltKind, HaltRemedy};
use crate::record::{PartitionName, Reason};

/// A record cannot be decoded, in a run that such a record ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {partition}, offset {offset}: the record cannot be decoded ({}; {finding})", reason.name())]
pub(crate) struct BadRecordError {
    /// The partition's name.
    pub(crate) partition: PartitionName,
    /// The record's offset.
    pub(crate) offset: i64,
    /// Why, for counting.
    pub(crate) reason: Reason,
    /// Why, for people.
    pub(crate) finding: String,
}

impl From<BadRecordError> for Halt {
    fn from(e: BadRecordError) -> Self {
        Halt::new(HaltKind::Data, e.to_string()).with(HaltRemedy::SetRecordsAside)
    }
}

/// A record's offset leaves no room for the element beside it ([`crate::acc::LogPosition`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "partition {partition}, offset {offset}: records of offsets from 2^43 on cannot be taken apart (--each): read the partition \
     without it"
)]
pub(crate) struct OffsetTooLargeError {
    /// The partition's name.
    pub(crate) partition: PartitionName,
    /// The record's offset.
    pub(crate) offset: i64,
}

impl From<OffsetTooLargeError> for Halt {
    fn from(e: OffsetTooLargeError) -> Self {
        Halt::new(HaltKind::Usage, e.to_string())
    }
}
