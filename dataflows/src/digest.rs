//! Digests: what a minute's final rows come to, in one number, so that two runs, two clusters or a backup are compared without their
//! rows.
//!
//! ```text
//!   row ── its exact numbers as bytes ── XXH3-128 ──> added up over the minute's rows, modulo 2^128
//! ```
//!
//! A sum, because a minute's rows are spread over workers, and a digest must not depend on how. It finds damage and differences; it does
//! not withstand a forger.

use crate::decimal::Scales;
use crate::time::WindowStart;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// Of one minute, or a worker's part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteDigest {
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^128.
    pub sum: u128,
}

impl MinuteDigest {
    /// Of one row: see [`row_bytes`].
    pub fn of_row(bytes: &[u8]) -> Self {
        MinuteDigest { rows: 1, sum: xxh3_128(bytes) }
    }

    /// With that of other rows of the minute.
    pub fn add(&mut self, other: MinuteDigest) {
        self.rows = self.rows.saturating_add(other.rows);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Of several minutes: XXH3-128 over their starts, rows and sums, ascending.
pub fn of_minutes<'a>(minutes: impl IntoIterator<Item = (&'a WindowStart, &'a MinuteDigest)>) -> u128 {
    let mut bytes = Vec::new();
    for (window, digest) in minutes {
        bytes.extend_from_slice(&window.0.to_le_bytes());
        bytes.extend_from_slice(&digest.rows.to_le_bytes());
        bytes.extend_from_slice(&digest.sum.to_le_bytes());
    }
    xxh3_128(&bytes)
}

/// What `--metrics market` adds to the bytes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketNumbers {
    /// Open, high, low and close, as integers at the scale of values.
    pub prices: [i128; 4],
    /// The sum of the weights, as an integer at their scale; none where rows have no volume.
    pub volume: Option<i128>,
    /// The sum of value x weight, as the halves of a number of 256 bits: high and low.
    pub weighted: (i128, u128),
}

/// The exact numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowNumbers {
    /// How many records count.
    pub count: i64,
    /// Their sum, as an integer at the scale of values.
    pub sum: i128,
    /// With `--metrics market`.
    pub market: Option<MarketNumbers>,
}

/// The bytes of a row, all integers little endian: length of the symbol (u32) and its UTF-8; the minute's start in nanoseconds (i64);
/// both scales (u8 each); count (i64) and sum (i128); with `--metrics market` open, high, low, close (i128 each), 1 and the volume
/// (u8, i128) or 0, and the two halves of the weighted sum (i128, u128). Derived values are a function of these numbers.
pub fn row_bytes(symbol: &str, window: WindowStart, scales: Scales, numbers: &RowNumbers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160 + symbol.len());
    let length = u32::try_from(symbol.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(symbol.as_bytes());
    bytes.extend_from_slice(&window.0.to_le_bytes());
    bytes.extend_from_slice(&[scales.value, scales.weight]);
    bytes.extend_from_slice(&numbers.count.to_le_bytes());
    bytes.extend_from_slice(&numbers.sum.to_le_bytes());
    if let Some(MarketNumbers { prices, volume, weighted: (high, low) }) = numbers.market {
        prices.iter().for_each(|price| bytes.extend_from_slice(&price.to_le_bytes()));
        bytes.push(u8::from(volume.is_some()));
        volume.iter().for_each(|volume| bytes.extend_from_slice(&volume.to_le_bytes()));
        bytes.extend_from_slice(&high.to_le_bytes());
        bytes.extend_from_slice(&low.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_digest_and_the_order_of_rows_is_not() {
        let market = MarketNumbers { prices: [1, 2, 3, 4], volume: Some(5), weighted: (6, 7) };
        let numbers = RowNumbers { count: 8, sum: 9, market: Some(market) };
        let (window, scales) = (WindowStart(60), Scales::default());
        let of = |symbol: &str, numbers: &RowNumbers| MinuteDigest::of_row(&row_bytes(symbol, window, scales, numbers));
        let with = |market: MarketNumbers| RowNumbers { market: Some(market), ..numbers };
        let others = [
            RowNumbers { count: 9, ..numbers },
            RowNumbers { sum: 8, ..numbers },
            RowNumbers { market: None, ..numbers },
            with(MarketNumbers { prices: [1, 2, 4, 3], ..market }),
            with(MarketNumbers { volume: None, ..market }),
            with(MarketNumbers { weighted: (7, 6), ..market }),
        ];
        assert!(others.iter().all(|other| of("A", other) != of("A", &numbers)));
        assert_ne!(of("B", &numbers), of("A", &numbers));
        let [mut a, mut b] = [of("A", &numbers), of("B", &numbers)];
        (a, b) = {
            let before = a;
            a.add(b);
            b.add(before);
            (a, b)
        };
        assert_eq!((a, a.rows), (b, 2));
        assert_ne!(of_minutes([(&window, &a)]), of_minutes([(&WindowStart(0), &a)]));
    }
}
