//! Objects of the audit trail as a manifest names them.

use super::object_ref::ObjectRef;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// An object with versions: of which cuts. Wall times are those of [`super::CutRecord::at`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailRef {
    /// Which.
    pub object: ObjectRef,
    /// When the first of its cuts was.
    pub from: EventTime,
    /// When the last was.
    pub until: EventTime,
    /// The number of the last one's manifest.
    pub last: u64,
}

/// From when on a trail knows all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrailStart {
    /// The number of the first manifest.
    pub seq: u64,
    /// Wall time of its cut.
    pub at: EventTime,
}

/// The audit trail of one worker's series. Workers tell it in messages, too, whose format has no field that may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartTrail {
    /// From when on no version is missing.
    pub start: TrailStart,
    /// Objects of the trail, oldest first.
    #[serde(default)]
    pub objects: Vec<TrailRef>,
    /// Deltas whose versions no object of the trail has, oldest first; each of one cut.
    #[serde(default)]
    pub deltas: Vec<TrailRef>,
}

impl PartTrail {
    /// All objects and deltas.
    pub fn all(&self) -> impl Iterator<Item = &TrailRef> {
        self.objects.iter().chain(&self.deltas)
    }
}
