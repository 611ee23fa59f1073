//! How much an average changed, as a fraction of what it was: exact from two sums and two counts, and rounded once.

use super::minute::MinuteSums;
use crate::decimal::nearest;
use crate::wide::I256;

/// a/b − 1 of the averages of two minutes: a = sₐ/nₐ, b = sᵦ/nᵦ, so it is (sₐ·nᵦ − sᵦ·nₐ) / (sᵦ·nₐ), each product below 2^159 (R2).
/// The scale of the sums falls out. None unless b is above 0: a fraction of 0 is no number, and one of a number below 0 would call
/// a rise a fall.
pub(super) fn fraction(now: &MinuteSums, then: &MinuteSums) -> Option<f64> {
    let [before, after] = [(then.sum, now.count), (now.sum, then.count)].map(|(s, n)| I256::product(s, n.into()));
    let (negative, change) = after.plus(before.negated()).split();
    (then.sum > 0).then(|| nearest(negative, change, before.split().1))
}
