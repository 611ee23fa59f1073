//! The ids of a worker's partitions (R5): taken back as a run resumes, and handed to Snapshot at each cut. With them go the
//! partitions' index entries.
//!
//! ```text
//!   objects of ids ── load ──> RestoredIds ── admitted ──> Partition ── noted since the cut before ──> CutIds ──> Snapshot
//!                                  └───────────── the first cut has all of them again ──────────────────^
//! ```

use crate::checkpoint::FirstHeld;
use crate::mutants::{self, Mutant};
use crate::partition::{IDS_PER_KEY, IdGroup, IndexEntry, Partition};
use std::collections::BTreeMap;

/// What a cut has of ids, and of index entries, at one worker.
#[derive(Debug, Default)]
pub(crate) struct CutIds {
    /// What no object of this run has yet. No two are of one partition and window.
    pub(crate) groups: Vec<IdGroup>,
    /// From which window on the ids of each of its partitions may be repeated.
    pub(crate) first_held: FirstHeld,
    /// Since the cut before.
    pub(crate) entries: Vec<IndexEntry>,
}

/// The ids that an earlier run held of a worker's partitions, by admission number, until a cut has them.
#[derive(Debug, Default)]
pub(crate) struct RestoredIds(BTreeMap<usize, Vec<IdGroup>>);

impl RestoredIds {
    /// Adds some; no two are of one partition and window, but where they come from two objects.
    pub(crate) fn add(&mut self, group: IdGroup) {
        merge_into(self.0.entry(group.partition).or_default(), group);
    }

    /// A partition resumes with its ids.
    pub(super) fn give(&self, partition: &mut Partition) {
        if let Some(groups) = self.0.get(&partition.index()).filter(|_| !mutants::on(Mutant::IdsNotRestored)) {
            partition.restore_ids(groups);
        }
    }

    /// What a cut has, where these are the worker's partitions.
    pub(super) fn cut<'a>(&mut self, partitions: impl Iterator<Item = &'a mut Partition>) -> CutIds {
        let mut cut = CutIds::default();
        for partition in partitions {
            let (new, first_held) = partition.take_new_ids();
            let mut groups = self.0.remove(&partition.index()).unwrap_or_default();
            groups.retain(|group| group.window >= first_held);
            new.into_iter().for_each(|group| merge_into(&mut groups, group));
            cut.groups.append(&mut groups);
            cut.entries.append(&mut partition.take_new_entries());
            cut.first_held.insert(partition.index(), first_held);
        }
        // Those of partitions that the source has not named yet: the next cut is to have them, too.
        cut.groups.extend(self.0.values().flatten().cloned());
        cut
    }
}

fn merge_into(groups: &mut Vec<IdGroup>, mut group: IdGroup) {
    match groups.iter_mut().find(|other| other.window == group.window) {
        Some(other) => other.ids.append(&mut group.ids),
        None => groups.push(group),
    }
}

/// What so many ids take of the memory that `--max-keys` allows (R12).
pub(crate) fn load_of_ids(ids: u64) -> u64 {
    ids / IDS_PER_KEY
}

/// The same of so many bytes of other things that are held of partitions: a key is of as many as its ids are.
pub(super) fn load_of_bytes(bytes: u64) -> u64 {
    const BYTES_PER_ID: u64 = 40;
    bytes / (IDS_PER_KEY * BYTES_PER_ID)
}
