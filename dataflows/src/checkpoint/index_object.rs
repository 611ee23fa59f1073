//! Objects of the index: the entries of one worker's partitions, and the digests of minutes that it has retired, since the cut before.
//!
//! ```text
//!   "minutely-index-1\n"  entries by (partition, bucket)  digests by window
//! ```
//!
//! Both lists are in postcard's wire format: about 30 bytes an entry, and as many a digest. Entries are final as they are written. A
//! digest is a worker's part of one: all parts of a minute, of whichever worker and run, are added up. So objects may be merged in any
//! order, and a run goes on with those of the runs before it.

use super::damage::Damage;
use crate::digest::MinuteDigest;
use crate::partition::{IndexEntry, is_bucket};
use crate::time::{EventTime, WindowStart};
use std::collections::BTreeMap;

/// How every object of the index begins.
const INDEX_MAGIC: &[u8] = b"minutely-index-1\n";
/// Entries of one object, at most: objects that have more together are not merged.
pub(crate) const MAX_INDEX: u64 = 1 << 20;

/// Offsets are below this.
const MOST_OFFSET: i64 = 1 << 56;
/// The greatest magnitude of event times, floors and windows, in nanoseconds.
const LATEST: u64 = EventTime::FARTHEST.unsigned_abs();

/// What an object of the index holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexPart {
    /// Where buckets begin, in any order.
    pub entries: Vec<IndexEntry>,
    /// Parts of digests, by window.
    pub digests: BTreeMap<WindowStart, MinuteDigest>,
}

impl IndexPart {
    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.digests.is_empty()
    }

    /// How many entries and digests it has.
    pub fn len(&self) -> u64 {
        (self.entries.len() + self.digests.len()) as u64
    }

    /// With those of another.
    pub fn add(&mut self, mut other: IndexPart) {
        self.entries.append(&mut other.entries);
        for (window, digest) in other.digests {
            self.digests.entry(window).or_default().add(digest);
        }
    }

    /// The object's bytes.
    pub fn encode(mut self) -> Vec<u8> {
        self.entries.sort_unstable();
        let digests: Vec<(WindowStart, MinuteDigest)> = self.digests.into_iter().collect();
        let bytes = postcard::to_extend(&self.entries, INDEX_MAGIC.to_vec()).expect("memory takes it");
        postcard::to_extend(&digests, bytes).expect("memory takes it")
    }

    /// From bytes; entries and digests are proven to ascend.
    ///
    /// # Errors
    /// When the bytes are not an object of the index.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let broken = || Damage::new("is not an object of the index, or is truncated");
        let body = bytes.strip_prefix(INDEX_MAGIC).ok_or_else(broken)?;
        let (entries, body) = postcard::take_from_bytes::<Vec<IndexEntry>>(body).map_err(|_| broken())?;
        let (digests, []) =
            postcard::take_from_bytes::<Vec<(WindowStart, MinuteDigest)>>(body).map_err(|_| broken())?
        else {
            return Err(broken());
        };
        let ascends = |pair: &[IndexEntry]| (pair[0].partition, pair[0].bucket) < (pair[1].partition, pair[1].bucket);
        if !entries.windows(2).all(ascends) || !digests.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(Damage::new("has entries of the index that do not ascend"));
        }
        let is_time = |time: Option<EventTime>| time.is_none_or(|time| time.0.unsigned_abs() <= LATEST);
        let is_entry = |entry: &IndexEntry| {
            let IndexEntry { bucket, offset, h, floor, .. } = *entry;
            is_bucket(bucket) && (0..MOST_OFFSET).contains(&offset) && is_time(h) && is_time(floor)
        };
        if !entries.iter().all(is_entry) || !digests.iter().all(|(window, _)| is_time(Some(EventTime(window.0)))) {
            return Err(Damage::new("has entries of the index that no run writes"));
        }
        Ok(IndexPart { entries, digests: digests.into_iter().collect() })
    }
}

/// One object for several, in any order.
///
/// # Errors
/// When one of them is damaged.
pub(super) fn merge_index(inputs: &[&[u8]]) -> Result<IndexPart, Damage> {
    let mut merged = IndexPart::default();
    for bytes in inputs {
        merged.add(IndexPart::decode(bytes)?);
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(buckets: &[i64], digests: &[(i64, u128)]) -> IndexPart {
        let entry = |bucket: &i64| IndexEntry {
            partition: 3,
            bucket: *bucket,
            offset: 1 << 50,
            h: Some(EventTime(1 << 61)),
            floor: Some(EventTime(-(1 << 61))),
        };
        let digest = |(window, sum): &(i64, u128)| (WindowStart(*window), MinuteDigest { rows: 1, sum: *sum });
        IndexPart { entries: buckets.iter().map(entry).collect(), digests: digests.iter().map(digest).collect() }
    }

    #[test]
    fn parts_come_back_and_add_up() {
        let (a, b) = (part(&[7, 5], &[(0, u128::MAX), (60, 5)]), part(&[6], &[(60, 7), (120, 1)]));
        let bytes = a.clone().encode();
        assert!(bytes.len() < 100 * 2, "{} bytes for two entries and two digests", bytes.len());
        let back = IndexPart::decode(&bytes).unwrap();
        assert_eq!((back.len(), &back.digests), (4, &a.digests));
        let merged = merge_index(&[&bytes, &b.encode()]).unwrap();
        let merged = IndexPart::decode(&merged.encode()).unwrap();
        assert_eq!(merged.entries.iter().map(|entry| entry.bucket).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(merged.digests[&WindowStart(60)], MinuteDigest { rows: 2, sum: 12 });
        for end in 0..bytes.len() {
            assert!(IndexPart::decode(&bytes[..end]).is_err(), "{end} bytes of {}", bytes.len());
        }
        let twice =
            IndexPart { entries: [part(&[5], &[]).entries, part(&[5], &[]).entries].concat(), ..part(&[], &[]) };
        assert!(IndexPart::decode(&twice.encode()).unwrap_err().to_string().contains("ascend"));
    }
}
