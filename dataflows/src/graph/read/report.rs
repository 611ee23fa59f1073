//! What readers tell worker 0.

use crate::partition::{DelayHistogram, PartitionState};
use crate::record::DeadLetter;
use crate::time::Epoch;
use serde::{Deserialize, Serialize};

/// A notice, or a fact of an epoch that has ended at this worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The epoch in progress has its first record or raised floor.
    First,
    /// The epoch in progress has as many records or bytes as an epoch may have.
    Full,
    /// The run is asked to end.
    Stop,
    /// A partition at the end of the epoch.
    Partition(Epoch, PartitionState),
    /// A dead letter of the epoch.
    DeadLetter(Epoch, DeadLetter),
    /// How far behind their watermarks the records were that this worker has read, since the run began: (worker, sum).
    Delays(usize, DelayHistogram),
    /// The load ([`crate::protocol::CutPart::load`]) of what this worker holds as an epoch ends, what later epochs have
    /// brought included: (worker, load).
    Load(usize, u64),
}
