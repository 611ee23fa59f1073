//! The sums of the epoch in progress at one worker: what travels is windows and not ticks.

use crate::acc::Accumulate;
use crate::record::DeadLetter;
use crate::time::WindowStart;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// A worker whose dead letters and long names of series have this many bytes wants the epoch to end; it stops reading at twice
/// that.
const FULL_BYTES: usize = 4 << 20;
/// Only names longer than this many bytes count as bytes: 128 k names of that length have 32 MB, and are counted as records.
const LONG_NAME: usize = 256;

/// The sum of one window of a series.
pub(super) struct TableEntry<A> {
    /// Of its name, see [`head`].
    head: u64,
    pub(super) window: WindowStart,
    /// The name of its series.
    pub(super) symbol: Box<str>,
    pub(super) sum: A,
}

/// What an epoch's records add up to.
pub(super) struct EpochTable<A> {
    pub(super) sums: HashTable<TableEntry<A>>,
    pub(super) records: usize,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Of dead letters, and of names longer than [`LONG_NAME`].
    bytes: usize,
    /// A floor was raised.
    pub(super) moved: bool,
}

/// The first eight bytes of a name, with zeros behind a shorter one. Two names of one length, of at most eight bytes, are the same
/// where these are.
#[inline]
fn head(symbol: &str) -> u64 {
    let bytes = symbol.as_bytes();
    if let Some(first) = bytes.first_chunk() {
        return u64::from_le_bytes(*first);
    }
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where the two overlap, they have the same bits.
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4))
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Where the entry of a window of a series stands: of the head alone for a short name, which most are.
#[inline(always)]
fn hash(window: WindowStart, head: u64, symbol: &str) -> u64 {
    let name = if symbol.len() <= 8 { head } else { xxh3_64(symbol.as_bytes()) };
    let window = window.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let mixed = u128::from(name ^ window) * 0xa076_1d64_78bd_642f;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let (low, high) = (mixed as u64, (mixed >> 64) as u64);
    low ^ high
}

impl<A: Accumulate> EpochTable<A> {
    /// Empty, with room for so many sums.
    pub(super) fn new(room: usize) -> Self {
        let sums = HashTable::with_capacity(room);
        EpochTable { sums, records: 0, dead_letters: Vec::new(), bytes: 0, moved: false }
    }

    #[inline]
    pub(super) fn add(&mut self, window: WindowStart, symbol: &str, acc: A) {
        let head = head(symbol);
        let key = hash(window, head, symbol);
        let is_it = |entry: &TableEntry<A>| {
            let same = entry.head == head && entry.window == window && entry.symbol.len() == symbol.len();
            same && (symbol.len() <= 8 || *entry.symbol == *symbol)
        };
        match self.sums.find_mut(key, is_it) {
            Some(entry) => entry.sum.plus_equals(&acc),
            None => self.insert(key, TableEntry { head, window, symbol: symbol.into(), sum: acc }),
        }
    }

    #[inline(never)]
    fn insert(&mut self, key: u64, entry: TableEntry<A>) {
        self.bytes += if entry.symbol.len() > LONG_NAME { entry.symbol.len() } else { 0 };
        self.sums.insert_unique(key, entry, |entry| hash(entry.window, entry.head, &entry.symbol));
    }

    pub(super) fn add_dead_letter(&mut self, letter: DeadLetter) {
        self.bytes += letter.bytes();
        self.dead_letters.push(letter);
    }

    /// Is there anything that the epoch is to be ended for?
    pub(super) fn started(&self) -> bool {
        self.records > 0 || self.moved
    }

    /// Has it `times` times as many records, sums, or bytes, as an epoch may have? (A record may have many events.)
    pub(super) fn full(&self, times: usize, records: usize) -> bool {
        self.records.max(self.sums.len()) >= times * records || self.bytes >= times * FULL_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acc::{Avg, LogPosition};
    use crate::decimal::Decimal;
    use crate::decode::DecodedEvent;
    use crate::time::EventTime;
    use differential_dataflow::difference::Semigroup;
    use std::collections::BTreeMap;

    /// Names of every length that differ in little, in few windows: each has its own sum.
    #[test]
    fn sums_are_by_window_and_whole_name() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut table, mut want) = (EpochTable::<Avg>::new(rng.usize(0..100)), BTreeMap::new());
        for _ in 0..200_000 {
            let name: String = (0..rng.usize(0..12)).map(|_| *rng.choice(&['A', '\0', 'é']).unwrap()).collect();
            let (window, value) = (WindowStart(rng.i64(0..3) * 60_000_000_000), rng.i128(-5..1 << 90));
            let (symbol, value, time) = (name.as_str().into(), Decimal(value), EventTime(1));
            let event =
                DecodedEvent { symbol, value, time, weight: None, weight_beyond: false, id: None, rounded: false };
            let acc = Avg::of(&event, LogPosition { identity: 1, offset: 1 });
            table.add(window, &name, acc);
            want.entry((window, name.clone())).and_modify(|sum: &mut Avg| sum.plus_equals(&acc)).or_insert(acc);
        }
        let got: BTreeMap<_, _> =
            table.sums.into_iter().map(|entry| ((entry.window, entry.symbol.to_string()), entry.sum)).collect();
        assert_eq!(got, want, "seed {seed}");
    }
}
