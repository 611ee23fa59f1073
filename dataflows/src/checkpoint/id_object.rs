//! Objects of ids: those of one worker's partitions that were noted since the cut before (R5, `--id-field`).
//!
//! ```text
//!   "minutely-ids-1\n"  ids of partition 3 and window 60, ids of partition 3 and window 120, …  index  length of the index (u32)
//! ```
//!
//! An id has 16 bytes, little endian; those of a partition and window ascend. The index says for each partition and window, ascending,
//! how many there are, in postcard's wire format. Partitions go by their admission number, which a chain never changes. No entry
//! supersedes another: an id is noted once for as long as its window is not final for its partition, so objects may be merged in
//! any order.

use super::damage::Damage;
use crate::decode::EventId;
use crate::partition::IdGroup;
use crate::time::WindowStart;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How every object of ids begins.
const IDS_MAGIC: &[u8] = b"minutely-ids-1\n";
/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Ids of one object, and ids that one merge reads, at most: so what it takes of memory has a bound (64 MB each for what it reads,
/// holds and writes).
pub(crate) const MAX_IDS: u64 = 4 << 20;

/// How many ids an object has of one window of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdSpan {
    /// The partition's admission number.
    pub partition: usize,
    /// The window.
    pub window: WindowStart,
    /// How many; not 0.
    pub ids: u64,
}

/// From which window on the ids of partitions are kept: those of a partition that has no entry all are.
pub type FirstHeld = BTreeMap<usize, WindowStart>;

impl IdSpan {
    /// Is its window not final for its partition?
    pub(crate) fn is_held(&self, first_held: &FirstHeld) -> bool {
        first_held.get(&self.partition).is_none_or(|first| *first <= self.window)
    }
}

/// The entries of an object of ids, in any order: sorting and writing them down is another thread's.
#[derive(Clone, Debug, Default)]
pub struct IdObjectBuilder {
    groups: Vec<IdGroup>,
}

impl IdObjectBuilder {
    /// Of these groups, of which no two are of one partition and window.
    pub fn new(groups: Vec<IdGroup>) -> Self {
        IdObjectBuilder { groups }
    }

    /// As many builders as it takes for none to have more than [`MAX_IDS`].
    pub(crate) fn split(groups: Vec<IdGroup>) -> Vec<IdObjectBuilder> {
        let most = usize::try_from(MAX_IDS).unwrap_or(usize::MAX);
        let mut builders: Vec<IdObjectBuilder> = Vec::new();
        let mut room = 0;
        for mut group in groups {
            while !group.ids.is_empty() {
                if room == 0 {
                    builders.push(IdObjectBuilder::default());
                    room = most;
                }
                let ids = if group.ids.len() > room { group.ids.split_off(room) } else { Vec::new() };
                room -= group.ids.len();
                let rest = IdGroup { ids, ..group };
                builders.last_mut().expect("one was pushed").groups.push(std::mem::replace(&mut group, rest));
            }
        }
        builders
    }

    /// How many ids it has of what.
    pub(crate) fn spans(&self) -> Vec<IdSpan> {
        let span = |group: &IdGroup| {
            let IdGroup { partition, window, ref ids } = *group;
            IdSpan { partition, window, ids: ids.len() as u64 }
        };
        self.groups.iter().map(span).collect()
    }

    /// The object's bytes.
    pub fn encode(mut self) -> Vec<u8> {
        self.groups.retain(|group| !group.ids.is_empty());
        self.groups.sort_unstable_by_key(|group| (group.partition, group.window));
        let index = self.spans();
        let ids: u64 = index.iter().map(|span| span.ids).sum();
        let mut bytes = Vec::with_capacity(IDS_MAGIC.len() + usize::try_from(ids).unwrap_or(0) * ID_BYTES + 64);
        bytes.extend_from_slice(IDS_MAGIC);
        for mut group in self.groups {
            group.ids.sort_unstable();
            group.ids.iter().for_each(|id| bytes.extend_from_slice(&id.0.to_le_bytes()));
        }
        let from = bytes.len();
        bytes = postcard::to_extend(&index, bytes).expect("memory takes it");
        let length = u32::try_from(bytes.len() - from).expect("fewer windows and partitions than ids");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes
    }
}

/// An object of ids that was read back.
pub struct IdObject<'a> {
    ids: &'a [[u8; ID_BYTES]],
    index: Vec<IdSpan>,
}

impl<'a> IdObject<'a> {
    /// Opens one: the index is proven to ascend, and to be of as many ids as there are.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let broken = || Damage::new("is not an object of ids, or is truncated");
        let body = bytes.strip_prefix(IDS_MAGIC).ok_or_else(broken)?;
        let (body, length) = body.split_last_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
        let (ids, index) = body.split_at_checked(body.len().wrapping_sub(length)).ok_or_else(broken)?;
        let (ids, []) = ids.as_chunks::<ID_BYTES>() else { return Err(broken()) };
        let (index, []) = postcard::take_from_bytes::<Vec<IdSpan>>(index).map_err(|_| broken())? else {
            return Err(broken());
        };
        let sum = index.iter().try_fold(0_u64, |sum, span| sum.checked_add(span.ids));
        let ascends = index.iter().zip(&index[1.min(index.len())..]);
        let ascends = ascends.into_iter().all(|(a, b)| (a.partition, a.window) < (b.partition, b.window));
        if sum != Some(ids.len() as u64) || !ascends || index.iter().any(|span| span.ids == 0) {
            return Err(Damage::new("has an index that is not of its ids"));
        }
        Ok(IdObject { ids, index })
    }

    /// How many ids it has.
    pub fn entries(&self) -> u64 {
        self.ids.len() as u64
    }

    /// The ids of the windows that are wanted, by partition and window.
    pub fn groups(&self, wanted: impl Fn(&IdSpan) -> bool) -> impl Iterator<Item = IdGroup> {
        let mut rest = self.ids;
        let spans = self.index.iter().map(move |span| {
            // (`open` has proven that there are as many.)
            let many = usize::try_from(span.ids).unwrap_or(usize::MAX).min(rest.len());
            let (ids, after) = rest.split_at(many);
            rest = after;
            (span, ids)
        });
        spans.filter(move |(span, _)| wanted(span)).map(|(span, ids)| {
            let ids = ids.iter().map(|id| EventId(u128::from_le_bytes(*id))).collect();
            IdGroup { partition: span.partition, window: span.window, ids }
        })
    }

    /// A proof that nothing is wrong with any id: they ascend, and each is of one of so many partitions. How many there are.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(&self, partitions: usize) -> Result<u64, Damage> {
        if self.index.iter().any(|span| span.partition >= partitions) {
            return Err(Damage::new("has ids of a partition that its manifest does not have"));
        }
        let ascends = |group: IdGroup| group.ids.iter().zip(&group.ids[1..]).all(|(a, b)| a < b);
        if !self.groups(|_| true).all(ascends) {
            return Err(Damage::new("has ids that do not ascend"));
        }
        Ok(self.entries())
    }
}

/// One object for several of one worker, without the ids of windows that are final for their partitions.
///
/// # Errors
/// When one of them is damaged.
pub(super) fn merge_ids(inputs: &[&[u8]], first_held: &FirstHeld) -> Result<Vec<u8>, Damage> {
    let mut merged: BTreeMap<(usize, WindowStart), Vec<EventId>> = BTreeMap::new();
    for bytes in inputs {
        for mut group in IdObject::open(bytes)?.groups(|span| span.is_held(first_held)) {
            merged.entry((group.partition, group.window)).or_default().append(&mut group.ids);
        }
    }
    let group = |((partition, window), ids)| IdGroup { partition, window, ids };
    Ok(IdObjectBuilder::new(merged.into_iter().map(group).collect()).encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(partition: usize, window: i64, ids: impl IntoIterator<Item = u128>) -> IdGroup {
        IdGroup { partition, window: WindowStart(window), ids: ids.into_iter().map(EventId).collect() }
    }

    fn all(bytes: &[u8]) -> Vec<IdGroup> {
        IdObject::open(bytes).unwrap().groups(|_| true).collect()
    }

    #[test]
    fn what_is_written_is_read_and_merged_without_what_is_final() {
        let a = IdObjectBuilder::new(vec![group(3, 60, [9, 1]), group(0, -60, [u128::MAX]), group(0, 0, [])]).encode();
        let b = IdObjectBuilder::new(vec![group(3, 60, [4]), group(0, -60, [3]), group(5, -60, [7])]).encode();
        assert_eq!(all(&a), [group(0, -60, [u128::MAX]), group(3, 60, [1, 9])]);
        let merged = merge_ids(&[&a, &b], &[(0, WindowStart(0)), (3, WindowStart(60))].into()).unwrap();
        assert_eq!(all(&merged), [group(3, 60, [1, 4, 9]), group(5, -60, [7])]);
        assert_eq!(IdObject::open(&merged).unwrap().verify(6), Ok(4));
        assert!(IdObject::open(&merged).unwrap().verify(5).unwrap_err().to_string().contains("partition"));
        assert_eq!(all(&IdObjectBuilder::default().encode()), []);
        let twice = merge_ids(&[&a, &a], &FirstHeld::new()).unwrap();
        assert!(IdObject::open(&twice).unwrap().verify(6).unwrap_err().to_string().contains("ascend"));
    }

    #[test]
    fn what_is_cut_short_is_no_object_of_ids() {
        let whole = IdObjectBuilder::new(vec![group(0, 0, 0..9), group(1, 0, 3..5)]).encode();
        for length in 0..whole.len() {
            assert!(IdObject::open(&whole[..length]).is_err(), "{length}");
        }
        assert!(IdObject::open(&[&whole[..], &whole[..]].concat()).is_err());
    }

    #[test]
    fn no_object_has_more_ids_than_it_may() {
        let most = usize::try_from(MAX_IDS).unwrap();
        let groups =
            vec![group(0, 0, 0..7), group(0, 60, (0..u128::from(MAX_IDS) + 2).map(|n| n + 100)), group(1, 0, [5])];
        let builders = IdObjectBuilder::split(groups.clone());
        let counts: Vec<u64> = builders.iter().map(|b| b.spans().iter().map(|span| span.ids).sum()).collect();
        assert_eq!(counts, [MAX_IDS, 10]);
        assert_eq!(builders[0].groups[1].ids.len(), most - 7);
        let mut again =
            builders.into_iter().flat_map(|builder| builder.groups).fold(FirstIds::new(), |mut all, group| {
                all.entry((group.partition, group.window)).or_default().extend(group.ids);
                all
            });
        for group in groups {
            assert_eq!(again.remove(&(group.partition, group.window)), Some(group.ids));
        }
        assert!(again.is_empty());
    }

    type FirstIds = BTreeMap<(usize, WindowStart), Vec<EventId>>;
}
