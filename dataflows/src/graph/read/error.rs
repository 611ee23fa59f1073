//! Why reading ends a run.

use crate::halt::{Halt, HaltKind, HaltRemedy};
use crate::record::{PartitionName, Reason};

/// A record cannot be decoded, in a run that such a record ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {partition}, offset {offset}{}: the record cannot be decoded ({}; {finding})", part(*element), reason.name())]
pub(crate) struct BadRecordError {
    /// The partition's name.
    pub(crate) partition: PartitionName,
    /// The record's offset.
    pub(crate) offset: i64,
    /// Which element of the record's array; `None`: the record as a whole.
    pub(crate) element: Option<u32>,
    /// Why, for counting.
    pub(crate) reason: Reason,
    /// Why, for people: the field, what was expected and what was found.
    pub(crate) finding: String,
}

fn part(element: Option<u32>) -> String {
    element.map_or(String::new(), |element| format!(", element {element}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Finding;

    #[test]
    fn a_bad_record_is_named_with_its_element_and_its_field() {
        let finding = Finding { field: Some("/p".into()), expected: "a number".into(), found: "null".into() };
        let partition = PartitionName { log: "t".into(), number: Some(3) };
        let error = |element| BadRecordError {
            partition: partition.clone(),
            offset: 41,
            element,
            reason: Reason::Null,
            finding: finding.to_string(),
        };
        assert_eq!(
            error(Some(2)).to_string(),
            "partition t/3, offset 41, element 2: the record cannot be decoded (null; /p: expected a number, found null)"
        );
        assert!(error(None).to_string().starts_with("partition t/3, offset 41: the record cannot"), "{}", error(None));
    }
}
