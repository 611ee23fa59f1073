//! Objects of windows: those of one worker that changed since the cut before, by shard.
//!
//! ```text
//!   "minutely-1\n"  section of shard 3, section of shard 7, …  index  length of the index (u32, little endian)
//! ```
//!
//! A section is entries of (window, symbol, accumulation), ascending, where a coarser window stands under its closing minute and a name
//! that is no symbol ([`crate::coarse`]); the index says for each shard that has a section
//! where it begins, how long it is and how many entries it has. Entries and index are in postcard's wire format
//! (<https://postcard.jamesmunns.com/wire-format>). The accumulation is a byte string in it, so that objects are merged
//! without knowing what they add up.

use super::damage::{Damage, MAGIC};
use super::sections::{Section, SectionWriter, broken, index_of, verify_index};
use crate::acc::Accumulate;
use crate::coarse::split_name;
use crate::shards::shard;
use crate::time::WindowStart;
use serde::Serialize;
use std::collections::BTreeMap;

/// (window, symbol, accumulation).
type Entry<'a> = (WindowStart, &'a str, &'a [u8]);

/// An object that was read back.
pub struct Object<'a> {
    bytes: &'a [u8],
    index: Vec<Section>,
}

/// Appends a section of these entries.
fn write_section<'a>(writer: &mut SectionWriter, shard: u64, entries: impl Iterator<Item = Entry<'a>>) {
    writer.section(shard, |bytes| {
        let mut count = 0;
        for entry in entries {
            *bytes = postcard::to_extend(&entry, std::mem::take(bytes)).expect("memory takes it");
            count += 1;
        }
        count
    });
}

/// The entries of an object, in any order: cheap to gather, so that sorting and writing them down is another thread's.
#[derive(Clone, Debug, Default)]
pub struct ObjectBuilder {
    entries: Vec<Drafted>,
    /// Symbol and accumulation of each entry, one after the other.
    bytes: Vec<u8>,
}

/// Where in the bytes a symbol begins, where it ends and its accumulation begins, and where that ends.
#[derive(Clone, Copy, Debug)]
struct Drafted {
    window: WindowStart,
    symbol: usize,
    acc: usize,
    end: usize,
}

impl ObjectBuilder {
    /// Adds an entry.
    pub fn push<A: Serialize>(&mut self, window: WindowStart, symbol: &str, acc: &A) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(symbol.as_bytes());
        let middle = self.bytes.len();
        self.bytes = postcard::to_extend(acc, std::mem::take(&mut self.bytes)).expect("memory takes it");
        self.entries.push(Drafted { window, symbol: from, acc: middle, end: self.bytes.len() });
    }

    /// Leaves out windows before this.
    pub fn retire_before(&mut self, first_held: Option<WindowStart>) {
        self.entries.retain(|entry| Some(entry.window) >= first_held);
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries it has.
    pub fn entries(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The object's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let entry = |drafted: &Drafted| -> (u64, Entry<'_>) {
            let symbol = std::str::from_utf8(&self.bytes[drafted.symbol..drafted.acc]).expect("it was a str");
            (shard(split_name(symbol).0), (drafted.window, symbol, &self.bytes[drafted.acc..drafted.end]))
        };
        let mut order: Vec<(u64, Entry<'_>)> = self.entries.iter().map(entry).collect();
        order.sort_unstable_by_key(|(shard, (window, symbol, _))| (*shard, *window, *symbol));
        let mut writer = SectionWriter::new(MAGIC.to_vec());
        for section in order.chunk_by(|a, b| a.0 == b.0) {
            write_section(&mut writer, section[0].0, section.iter().map(|(_, entry)| *entry));
        }
        writer.end()
    }
}

impl<'a> Object<'a> {
    /// The bytes of an object with these (window, symbol, accumulation), in any order.
    pub fn encode<A: Serialize>(entries: &[(WindowStart, &str, A)]) -> Vec<u8> {
        let mut draft = ObjectBuilder::default();
        entries.iter().for_each(|(window, symbol, acc)| draft.push(*window, symbol, acc));
        draft.encode()
    }

    /// Opens one.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let index = Some(bytes).filter(|bytes| bytes.starts_with(MAGIC)).and_then(index_of);
        let index = index.ok_or_else(|| Damage::new("is not a checkpoint object, or is truncated"))?;
        Ok(Object { bytes, index })
    }

    /// How many entries it has.
    pub fn entries(&self) -> u64 {
        self.index.iter().map(|section| section.entries).sum()
    }

    /// Hands each entry of the shards that are wanted to `each`, ascending within a shard.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn read(&self, wanted: impl Fn(u64) -> bool, mut each: impl FnMut(Entry<'a>)) -> Result<(), Damage> {
        for section in self.index.iter().filter(|section| wanted(section.shard)) {
            let mut rest = section.of(self.bytes)?;
            for _ in 0..section.entries {
                let (entry, after) = postcard::take_from_bytes::<Entry<'a>>(rest).map_err(|_| broken())?;
                each(entry);
                rest = after;
            }
            if !rest.is_empty() {
                return Err(broken());
            }
        }
        Ok(())
    }
}

impl<'a> Object<'a> {
    /// All (window, symbol, records counted), and a proof that nothing is wrong with any: sections follow one another and
    /// hold what the index says, shards and entries ascend, each accumulation is one, and counts something.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify<A: Accumulate>(&self) -> Result<Vec<(WindowStart, &'a str, i64)>, Damage> {
        verify_index(&self.index, MAGIC.len() as u64)?;
        let mut found = Vec::new();
        for Section { shard: number, .. } in self.index.iter().copied() {
            let first = found.len();
            let mut wrong = None;
            self.read(
                |shard| shard == number,
                |(window, symbol, acc)| match A::decode(acc) {
                    Ok(acc) if acc.count() > 0 && shard(split_name(symbol).0) == number => {
                        found.push((window, symbol, acc.count()));
                    }
                    _ => wrong = Some(symbol),
                },
            )?;
            if let Some(symbol) = wrong {
                return Err(Damage::new(format!("has an invalid or misplaced entry for {symbol}")));
            }
            let added = &found[first..];
            if !added.iter().zip(&added[1..]).all(|(a, b)| (a.0, a.1) < (b.0, b.1)) {
                return Err(Damage::new("has entries that do not ascend"));
            }
        }
        Ok(found)
    }
}

/// One object for several of one worker, oldest first: the newest entry of each window of a series that does not begin
/// before `retired_before`.
///
/// # Errors
/// When one of them is damaged.
pub fn merge(inputs: &[&[u8]], retired_before: Option<WindowStart>) -> Result<Vec<u8>, Damage> {
    let objects = inputs.iter().map(|bytes| Object::open(bytes)).collect::<Result<Vec<_>, _>>()?;
    let mut writer = SectionWriter::new(MAGIC.to_vec());
    for shard in 0..crate::shards::SHARDS {
        let mut newest = BTreeMap::new();
        for object in &objects {
            object.read(
                |s| s == shard,
                |(window, symbol, acc)| {
                    if Some(window) >= retired_before {
                        newest.insert((window, symbol), acc);
                    }
                },
            )?;
        }
        write_section(&mut writer, shard, newest.into_iter().map(|((window, symbol), acc)| (window, symbol, acc)));
    }
    Ok(writer.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(bytes: &[u8], wanted: impl Fn(u64) -> bool) -> BTreeMap<(WindowStart, String), u64> {
        let mut found = BTreeMap::new();
        let object = Object::open(bytes).unwrap();
        let each = |(window, symbol, acc): Entry<'_>| {
            found.insert((window, symbol.to_owned()), postcard::from_bytes(acc).unwrap());
        };
        object.read(wanted, each).unwrap();
        found
    }

    /// Against a plain map.
    #[test]
    fn the_newest_entry_counts_and_shards_are_read_apart() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut model = BTreeMap::new();
        let mut objects = Vec::new();
        for _ in 0..8 {
            let drawn: BTreeMap<(WindowStart, String), u64> = (0..rng.usize(0..300))
                .map(|_| ((WindowStart(rng.i64(-5..20) * 60), format!("é{}", rng.u32(0..90))), rng.u64(..)))
                .collect();
            let list: Vec<_> = drawn.iter().map(|((window, symbol), acc)| (*window, symbol.as_str(), *acc)).collect();
            objects.push(Object::encode(&list));
            model.extend(drawn);
        }
        let retired_before = Some(WindowStart(60));
        let inputs: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
        let merged = merge(&inputs, retired_before).unwrap();
        model.retain(|(window, _), _| Some(*window) >= retired_before);
        assert_eq!(entries(&merged, |_| true), model, "seed {seed}");
        assert_eq!(Object::open(&merged).unwrap().entries(), model.len() as u64);
        let (mut low, high) = (entries(&merged, |s| s < 100), entries(&merged, |s| s >= 100));
        assert!(low.keys().all(|(_, symbol)| shard(symbol) < 100));
        low.extend(high);
        assert_eq!(low, model, "seed {seed}");
    }

    #[test]
    fn a_draft_forgets_what_is_before_the_line() {
        let mut draft = ObjectBuilder::default();
        for (window, symbol) in [(60, "B"), (0, "A"), (120, "é"), (60, "A")] {
            draft.push(WindowStart(window), symbol, &(window.unsigned_abs() + 1));
        }
        draft.retire_before(Some(WindowStart(60)));
        assert_eq!(draft.entries(), 3);
        let kept = [((60, "A"), 61), ((60, "B"), 61), ((120, "é"), 121)];
        let kept = kept.map(|((window, symbol), acc)| ((WindowStart(window), symbol.to_owned()), acc));
        assert_eq!(entries(&draft.encode(), |_| true), kept.into());
        draft.retire_before(Some(WindowStart(180)));
        assert!(draft.is_empty());
    }

    #[test]
    fn what_is_cut_short_is_no_object() {
        let whole = Object::encode(&[(WindowStart(0), "A", 7_u64), (WindowStart(60), "B", 8)]);
        for length in 0..whole.len() {
            let opened = Object::open(&whole[..length]);
            assert!(opened.and_then(|object| object.read(|_| true, |_| {})).is_err() || length == whole.len());
        }
        assert_eq!(entries(&Object::encode::<u64>(&[]), |_| true).len(), 0);
    }
}
