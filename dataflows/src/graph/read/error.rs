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
