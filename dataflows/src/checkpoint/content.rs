//! What an object holds, of whichever kind: the changed windows of a worker, the new ids of its partitions, the changed folds of
//! its series, or its part of the index.

use super::damage::Damage;
use super::fold_object::merge_folds;
use super::id_object::{FirstHeld, IdObject, IdObjectBuilder, merge_ids};
use super::index_object::{IndexPart, merge_index};
use super::object::{Object, ObjectBuilder, merge};
use super::trail_object::TrailMerge;
use crate::time::WindowStart;

/// What an object is to hold.
#[derive(Clone, Debug)]
pub enum ObjectContent {
    /// Windows of series.
    Windows(ObjectBuilder),
    /// Ids.
    Ids(IdObjectBuilder),
    /// Folds of series, in the shape of windows.
    Folds(ObjectBuilder),
    /// Entries of the index, and digests.
    Index(IndexPart),
}

impl From<ObjectBuilder> for ObjectContent {
    fn from(windows: ObjectBuilder) -> Self {
        ObjectContent::Windows(windows)
    }
}

impl ObjectContent {
    /// The object's bytes, and how many entries it has.
    pub fn encode(self) -> (Vec<u8>, u64) {
        match self {
            ObjectContent::Windows(entries) | ObjectContent::Folds(entries) => (entries.encode(), entries.entries()),
            ObjectContent::Ids(ids) => {
                let entries = ids.spans().iter().map(|span| span.ids).sum();
                (ids.encode(), entries)
            }
            ObjectContent::Index(index) => {
                let entries = index.len();
                (index.encode(), entries)
            }
        }
    }
}

/// How several objects of one kind become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRule {
    /// The newest entry of each window of a series that does not begin before this.
    Windows(Option<WindowStart>),
    /// The ids of windows that are not final for their partitions.
    Ids(FirstHeld),
    /// The newest fold of each series that has a minute since this.
    Folds(Option<WindowStart>),
    /// All of it.
    Index,
    /// Versions of windows, of deltas and of the audit trail.
    Trail(TrailMerge),
}

impl MergeRule {
    /// One object for several of one worker, oldest first: its bytes, and how many entries it has.
    ///
    /// # Errors
    /// When one of them is damaged.
    pub fn merge(&self, inputs: &[&[u8]]) -> Result<(Vec<u8>, u64), Damage> {
        match self {
            MergeRule::Windows(retired_before) => {
                let bytes = merge(inputs, *retired_before)?;
                let entries = Object::open(&bytes)?.entries();
                Ok((bytes, entries))
            }
            MergeRule::Ids(first_held) => {
                let bytes = merge_ids(inputs, first_held)?;
                let entries = IdObject::open(&bytes)?.entries();
                Ok((bytes, entries))
            }
            MergeRule::Folds(since) => {
                let bytes = merge_folds(inputs, *since)?;
                let entries = Object::open(&bytes)?.entries();
                Ok((bytes, entries))
            }
            MergeRule::Trail(merge) => merge.merge(inputs),
            MergeRule::Index => Ok(ObjectContent::Index(merge_index(inputs)?).encode()),
        }
    }
}
