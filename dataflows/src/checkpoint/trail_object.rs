//! Objects of the audit trail: what windows came to as of each of several cuts, and what is known of the cuts.
//!
//! ```text
//!   "minutely-trail-1\n"  cuts  section of shard 3, section of shard 7, …  index  length of the index (u32, little endian)
//!   section: symbols, least seq, windows (window, symbol, versions (seq, count, sum, volume), …), …
//! ```
//!
//! Everything is in postcard's wire format, as differences: a window from the one before it, a version from the version before it, its
//! sum from what it would be if the new records had the average of those before. That is 6 to 12 bytes a version. Windows ascend, of one
//! window symbols do, of both manifest numbers. Nothing is superseded. Coarser windows have no versions: they are made of minutes.

use super::damage::Damage;
use super::object::Object;
use super::sections::{Section, SectionWriter, broken, index_of, verify_index};
use crate::acc::{Accumulate, Avg, Market};
use crate::coarse::split_name;
use crate::mutants::{self, Mutant};
use crate::shards::{SHARDS, shard};
use crate::time::{EventTime, WindowStart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How every object of the trail begins.
const TRAIL_MAGIC: &[u8] = b"minutely-trail-1\n";
/// Versions of one object, and of what one merge reads, at most.
pub(crate) const MAX_TRAIL: u64 = 4 << 20;
/// Numbers of manifests are below this.
const MOST_SEQ: u64 = 1 << 56;
/// Nanoseconds of a millisecond, which wall times are kept in.
const MILLISECOND: i64 = 1_000_000;

/// What a window of a series came to as of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowVersion {
    /// The number of the cut's manifest.
    pub seq: u64,
    /// How many records counted; more than 0.
    pub count: i64,
    /// Their sum, as an integer at the scale of values.
    pub sum: i128,
    /// The sum of the weights, as an integer at their scale; none where rows have no volume.
    pub volume: Option<i128>,
}

/// The partition that W waited for, as of a cut: the one with the least watermark (R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkHolder {
    /// Its admission number.
    pub partition: usize,
    /// Its watermark was its floor (R8); else its H.
    pub by_floor: bool,
}

/// What the audit trail knows of a committed cut, beside what it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutRecord {
    /// The number of its manifest.
    pub seq: u64,
    /// Wall time as worker 0 gathered it, in whole milliseconds.
    pub at: EventTime,
    /// W.
    pub w: Option<EventTime>,
    /// What W waited for; none without W.
    pub held_by: Option<WatermarkHolder>,
}

impl CutRecord {
    /// A wall time as the trail keeps it.
    pub(crate) fn stamp(wall: EventTime) -> EventTime {
        EventTime(wall.0.div_euclid(MILLISECOND).saturating_mul(MILLISECOND))
    }
}

impl WindowVersion {
    /// Does it say the same as another, of whichever cut?
    pub(super) fn equals(&self, other: &WindowVersion) -> bool {
        WindowVersion { seq: other.seq, ..*self } == *other
    }

    /// The sum of so many records, if all that are not in this version have the average of those that are.
    fn expected_sum(&self, count: i64) -> i128 {
        let average = self.sum.checked_div(i128::from(self.count)).unwrap_or(0);
        let records = i128::from(count).wrapping_sub(i128::from(self.count));
        self.sum.wrapping_add(average.wrapping_mul(records))
    }

    /// Appends it, as it differs from the one before.
    fn put(&self, before: &WindowVersion, bytes: &mut Vec<u8>) {
        let head = ((self.seq - before.seq) << 1) | u64::from(self.volume.is_some());
        let sum = self.sum.wrapping_sub(before.expected_sum(self.count));
        put(bytes, &(head, self.count.wrapping_sub(before.count), sum));
        if let Some(volume) = self.volume {
            put(bytes, &volume.wrapping_sub(before.volume.unwrap_or(0)));
        }
    }

    /// The next version that was put.
    fn take(before: &WindowVersion, rest: &mut &[u8]) -> Result<WindowVersion, Damage> {
        let (head, count, sum): (u64, i64, i128) = take(rest)?;
        let volume = if head & 1 == 1 { Some(take::<i128>(rest)?) } else { None };
        let count = before.count.wrapping_add(count);
        Ok(WindowVersion {
            seq: before.seq.checked_add(head >> 1).ok_or_else(broken)?,
            count,
            sum: before.expected_sum(count).wrapping_add(sum),
            volume: volume.map(|volume| before.volume.unwrap_or(0).wrapping_add(volume)),
        })
    }
}

fn put<T: Serialize>(bytes: &mut Vec<u8>, what: &T) {
    *bytes = postcard::to_extend(what, std::mem::take(bytes)).expect("memory takes it");
}

fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Result<T, Damage> {
    let (taken, after) = postcard::take_from_bytes(rest).map_err(|_| broken())?;
    *rest = after;
    Ok(taken)
}

/// The versions of one shard, ascending.
type ShardVersions<'a> = BTreeMap<(WindowStart, &'a str), Vec<WindowVersion>>;

/// Appends a section; how many versions it has.
fn put_section(bytes: &mut Vec<u8>, windows: &ShardVersions<'_>) -> u64 {
    let mut symbols: Vec<&str> = windows.keys().map(|(_, symbol)| *symbol).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let Some(least) = windows.values().flatten().map(|version| version.seq).min() else { return 0 };
    put(bytes, &symbols);
    put(bytes, &(least, windows.len() as u64));
    let (mut before, mut count) = (0_i64, 0);
    for ((window, symbol), versions) in windows {
        let place = symbols.binary_search(symbol).expect("all are there") as u64;
        put(bytes, &(window.0.wrapping_sub(before), place, versions.len() as u64));
        before = window.0;
        let mut last = WindowVersion { seq: least, ..WindowVersion::default() };
        for version in versions {
            version.put(&last, bytes);
            last = *version;
        }
        count += versions.len() as u64;
    }
    count
}

/// Hands each version of a section to `each`; proves that it is as a run writes it.
fn take_section<'a>(
    mut rest: &'a [u8],
    section: Section,
    mut each: impl FnMut(WindowStart, &'a str, WindowVersion),
) -> Result<(), Damage> {
    let symbols: Vec<&'a str> = take(&mut rest)?;
    let (least, windows): (u64, u64) = take(&mut rest)?;
    let (mut before, mut count) = (None::<(i64, usize)>, 0_u64);
    for _ in 0..windows {
        let (window, place, versions): (i64, u64, u64) = take(&mut rest)?;
        let window = before.map_or(0, |(window, _)| window).wrapping_add(window);
        let place = usize::try_from(place).map_err(|_| broken())?;
        let symbol = *symbols.get(place).ok_or_else(broken)?;
        if before >= Some((window, place)) || versions == 0 || shard(symbol) != section.shard {
            return Err(Damage::new("has windows of the trail that do not ascend, or misplaced ones"));
        }
        before = Some((window, place));
        let mut last = WindowVersion { seq: least, ..WindowVersion::default() };
        for n in 0..versions {
            let version = WindowVersion::take(&last, &mut rest)?;
            if version.count <= 0 || version.seq >= MOST_SEQ || (n > 0 && version.seq <= last.seq) {
                return Err(Damage::new(format!("has an invalid version of {symbol}")));
            }
            each(WindowStart(window), symbol, version);
            last = version;
            count += 1;
        }
    }
    let ascend = symbols.windows(2).all(|pair| pair[0] < pair[1]);
    if rest.is_empty() && ascend && count == section.entries { Ok(()) } else { Err(broken()) }
}

/// A cut as it differs from the one before: seq, milliseconds, W, the partition that held it.
type StoredCut = (u64, i64, Option<i64>, Option<(u64, bool)>);

fn put_cuts(bytes: &mut Vec<u8>, cuts: &[CutRecord]) {
    let (mut seq, mut at, mut w) = (0, 0, 0_i64);
    let stored = cuts.iter().map(|cut| {
        let holder = cut.held_by.map(|holder| (holder.partition as u64, holder.by_floor));
        let ms = cut.at.0.div_euclid(MILLISECOND);
        let stored: StoredCut = (cut.seq - seq, ms.wrapping_sub(at), cut.w.map(|now| now.0.wrapping_sub(w)), holder);
        (seq, at, w) = (cut.seq, ms, cut.w.map_or(w, |w| w.0));
        stored
    });
    put(bytes, &stored.collect::<Vec<_>>());
}

fn take_cuts(rest: &mut &[u8]) -> Result<Vec<CutRecord>, Damage> {
    let invalid = || Damage::new("has an invalid cut of the trail");
    let (mut seq, mut at, mut w) = (0_u64, 0_i64, 0_i64);
    let cut = |(number, ms, now, holder): StoredCut| {
        let after = seq.checked_add(number).filter(|after| *after > seq).ok_or_else(invalid)?;
        (seq, at) = (after, at.wrapping_add(ms));
        let w = now.map(|now| {
            w = w.wrapping_add(now);
            EventTime(w)
        });
        let at = EventTime(at.checked_mul(MILLISECOND).ok_or_else(invalid)?);
        let held_by = match holder {
            Some((partition, by_floor)) => {
                let partition = usize::try_from(partition).map_err(|_| invalid())?;
                Some(WatermarkHolder { partition, by_floor })
            }
            None => None,
        };
        Ok(CutRecord { seq, at, w, held_by })
    };
    take::<Vec<StoredCut>>(rest)?.into_iter().map(cut).collect()
}

/// An object of the trail that was read back.
pub struct TrailObject<'a> {
    bytes: &'a [u8],
    cuts: Vec<CutRecord>,
    /// Where the first section begins.
    from: u64,
    index: Vec<Section>,
}

impl<'a> TrailObject<'a> {
    /// Opens one.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let none = || Damage::new("is not an object of the audit trail, or is truncated");
        let mut rest = bytes.strip_prefix(TRAIL_MAGIC).ok_or_else(none)?;
        let cuts = take_cuts(&mut rest)?;
        let index = index_of(rest).ok_or_else(none)?;
        Ok(TrailObject { bytes, cuts, from: (bytes.len() - rest.len()) as u64, index })
    }

    /// What is known of cuts, ascending.
    pub fn cuts(&self) -> &[CutRecord] {
        &self.cuts
    }

    /// How many cuts and versions it has.
    pub fn entries(&self) -> u64 {
        self.index.iter().fold(self.cuts.len() as u64, |sum, section| sum.saturating_add(section.entries))
    }

    /// Hands each version of the shards that are wanted to `each`: by window, symbol and cut.
    ///
    /// # Errors
    /// When the bytes are damaged.
    fn read_shards(
        &self,
        wanted: impl Fn(u64) -> bool,
        mut each: impl FnMut(WindowStart, &'a str, WindowVersion),
    ) -> Result<(), Damage> {
        let mut sections = self.index.iter().filter(|section| wanted(section.shard));
        sections.try_for_each(|section| take_section(section.of(self.bytes)?, *section, &mut each))
    }

    /// Hands each version to `each`: by shard, window, symbol and cut.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn read(&self, each: impl FnMut(WindowStart, &'a str, WindowVersion)) -> Result<(), Damage> {
        self.read_shards(|_| true, each)
    }

    /// The versions of one window of a series, ascending.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn of(&self, window: WindowStart, symbol: &str) -> Result<Vec<WindowVersion>, Damage> {
        let (wanted, mut versions) = (shard(symbol), Vec::new());
        self.read_shards(
            |shard| shard == wanted,
            |of, name, version| {
                if (of, name) == (window, symbol) {
                    versions.push(version);
                }
            },
        )?;
        Ok(versions)
    }

    /// A proof that nothing is wrong with any version; how many cuts and versions there are.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(&self) -> Result<u64, Damage> {
        verify_index(&self.index, self.from)?;
        self.read(|_, _, _| ())?;
        Ok(self.entries())
    }
}

/// The version that a window of a delta is; none of a coarser window.
fn version_of(seq: u64, name: &str, acc: &[u8]) -> Result<Option<WindowVersion>, Damage> {
    if split_name(name).1.is_some() {
        return Ok(None);
    }
    // The bytes of one are never those of the other: a market has all of an average, and more.
    let numbers = Avg::decode(acc).map(|acc| acc.numbers()).or_else(|_| Market::decode(acc).map(|acc| acc.numbers()));
    let numbers = numbers.map_err(|_| Damage::new(format!("has an invalid entry for {name}")))?;
    let volume = numbers.market.and_then(|market| market.volume);
    Ok(Some(WindowVersion { seq, count: numbers.count, sum: numbers.sum, volume }))
}

/// The version of one window of a series that a delta has: an object of the windows that changed as of the cut `seq`.
///
/// # Errors
/// When the bytes are damaged.
pub(super) fn version_in(
    delta: &[u8],
    seq: u64,
    (window, symbol): (WindowStart, &str),
) -> Result<Option<WindowVersion>, Damage> {
    let (wanted, mut found) = (shard(symbol), Ok(None));
    Object::open(delta)?.read(
        |shard| shard == wanted,
        |(of, name, acc)| {
            if (of, name) == (window, symbol) {
                found = version_of(seq, name, acc);
            }
        },
    )?;
    found
}

/// How an object of the trail is made of deltas and of other objects of the trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailMerge {
    /// Of which cut each of the first inputs is: they are deltas, whose windows are versions.
    pub deltas: Vec<u64>,
    /// Cuts that none of the inputs knows.
    pub cuts: Vec<CutRecord>,
}

impl TrailMerge {
    /// The object, of all inputs' versions, and how many entries it has. Where nothing has changed from one cut to another, as at a
    /// restart, the older version alone is kept.
    ///
    /// # Errors
    /// When one of the inputs is damaged.
    pub(super) fn merge(&self, inputs: &[&[u8]]) -> Result<(Vec<u8>, u64), Damage> {
        let (deltas, objects) = inputs.split_at_checked(self.deltas.len()).ok_or_else(broken)?;
        let mut deltas: Vec<_> = self
            .deltas
            .iter()
            .zip(deltas)
            .map(|(seq, bytes)| Ok((*seq, Object::open(bytes)?)))
            .collect::<Result<_, _>>()?;
        let objects = objects.iter().map(|bytes| TrailObject::open(bytes)).collect::<Result<Vec<_>, _>>()?;
        if mutants::on(Mutant::TrailNotCarried) {
            deltas.drain(..deltas.len().saturating_sub(1));
        }
        let cuts = objects.iter().flat_map(|object| &object.cuts).chain(&self.cuts);
        let cuts: BTreeMap<u64, CutRecord> = cuts.map(|cut| (cut.seq, *cut)).collect();
        let cuts: Vec<CutRecord> = cuts.into_values().collect();
        let mut head = TRAIL_MAGIC.to_vec();
        put_cuts(&mut head, &cuts);
        let mut writer = SectionWriter::new(head);
        let mut entries = cuts.len() as u64;
        for wanted in 0..SHARDS {
            let mut windows = ShardVersions::new();
            for (seq, delta) in &deltas {
                let mut damage = None;
                let each = |(window, name, acc)| match version_of(*seq, name, acc) {
                    Ok(Some(version)) => windows.entry((window, name)).or_default().push(version),
                    Ok(None) => {}
                    Err(e) => damage = Some(e),
                };
                delta.read(|shard| shard == wanted, each)?;
                damage.map_or(Ok(()), Err)?;
            }
            for object in &objects {
                let each = |window, name, version| windows.entry((window, name)).or_default().push(version);
                object.read_shards(|shard| shard == wanted, each)?;
            }
            for versions in windows.values_mut() {
                versions.sort_by_key(|version| version.seq);
                versions.dedup_by(|later, earlier| later.equals(earlier) || later.seq == earlier.seq);
            }
            writer.section(wanted, |bytes| {
                let count = put_section(bytes, &windows);
                entries += count;
                count
            });
        }
        Ok((writer.end(), entries))
    }
}

#[cfg(test)]
mod tests;
