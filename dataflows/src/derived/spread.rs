//! How far the values of one minute lie apart: exact from the sum of their squares, and rounded once.
//!
//! The sample variance is (n·Σx² − (Σx)²) / (n·(n − 1)). With n below 1.7·10^9 and |x| at most 10^29 (R2) both products are below
//! 3·10^76, so 256 bits hold them.

use super::minute::MinuteSums;
use crate::decimal::{nearest, nearest_root};
use crate::wide::U256;

/// The variance as a quotient. None of fewer than two records.
fn quotient(minute: &MinuteSums, decimals: u8) -> Option<(U256, U256)> {
    let squares = minute.market.as_ref()?.squares?;
    let n = u64::try_from(minute.count).ok().filter(|n| *n > 1)?;
    let squared = U256::product(minute.sum.unsigned_abs(), minute.sum.unsigned_abs());
    let numerator = squares.times(n).checked_sub(squared)?;
    let one = 10_u128.pow(u32::from(decimals));
    Some((numerator, U256::product(one, one).times(n).times(n - 1)))
}

/// The sample variance.
pub(super) fn variance(minute: &MinuteSums, decimals: u8) -> Option<f64> {
    quotient(minute, decimals).map(|(numerator, denominator)| nearest(false, numerator, denominator))
}

/// Its root, correctly rounded.
pub(super) fn stddev(minute: &MinuteSums, decimals: u8) -> Option<f64> {
    quotient(minute, decimals).map(|(numerator, denominator)| nearest_root(numerator, denominator))
}
