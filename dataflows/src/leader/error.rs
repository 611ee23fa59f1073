//! Why the leader ends a run.

use crate::halt::{Halt, HaltKind};
use crate::record::PartitionName;

/// Two partitions whose records could not be distinguished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partitions {partition} and {other} have the same identity (XXH3-64); rename one of them")]
pub(super) struct IdentityCollision {
    /// The one that was found just now.
    pub(super) partition: PartitionName,
    /// The one that was found before.
    pub(super) other: PartitionName,
}

impl From<IdentityCollision> for Halt {
    fn from(e: IdentityCollision) -> Self {
        Halt::new(HaltKind::Usage, e.to_string())
    }
}
