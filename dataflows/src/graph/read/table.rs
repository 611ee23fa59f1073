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

/// What an epoch's records add up to.
pub(super) struct EpochTable<A> {
    /// (window, series name, sum).
    pub(super) sums: HashTable<(WindowStart, Box<str>, A)>,
    pub(super) records: usize,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Of dead letters, and of names longer than [`LONG_NAME`].
    bytes: usize,
    /// A floor was raised.
    pub(super) moved: bool,
}

impl<A: Accumulate> EpochTable<A> {
    pub(super) fn new() -> Self {
        EpochTable { sums: HashTable::new(), records: 0, dead_letters: Vec::new(), bytes: 0, moved: false }
    }

    pub(super) fn add(&mut self, window: WindowStart, symbol: &str, acc: A) {
        let hash = |window: WindowStart, symbol: &str| {
            xxh3_64(symbol.as_bytes()) ^ window.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let key = hash(window, symbol);
        match self.sums.find_mut(key, |(w, s, _)| *w == window && **s == *symbol) {
            Some((_, _, sum)) => sum.plus_equals(&acc),
            None => {
                self.bytes += if symbol.len() > LONG_NAME { symbol.len() } else { 0 };
                self.sums.insert_unique(key, (window, symbol.into(), acc), |(w, s, _)| hash(*w, s));
            }
        }
    }

    pub(super) fn add_dead_letter(&mut self, letter: DeadLetter) {
        self.bytes += letter.bytes();
        self.dead_letters.push(letter);
    }

    /// Is there anything that the epoch is to be ended for?
    pub(super) fn started(&self) -> bool {
        self.records > 0 || self.moved
    }

    /// Has it `times` times as many records, or bytes, as an epoch may have?
    pub(super) fn full(&self, times: usize, records: usize) -> bool {
        self.records >= times * records || self.bytes >= times * FULL_BYTES
    }
}
