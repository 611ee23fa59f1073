//! The sums of one minute, as derived values need them: plain integers, whatever a job adds up.

use super::fixed;
use crate::wide::{I256, U256};

/// What a minute's records add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteSums {
    /// How many there are, at least 1.
    pub count: i64,
    /// Sum of values, scaled.
    pub sum: i128,
    /// With `--metrics market`.
    pub market: Option<MarketSums>,
}

/// What `--metrics market` adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketSums {
    /// Largest value, scaled.
    pub high: i128,
    /// Smallest value, scaled.
    pub low: i128,
    /// Sum of weights, scaled; none where no record has one, or [`MarketSums::weight_beyond`].
    pub volume: Option<i128>,
    /// A record has a weight that the scale cannot hold: nothing is known of the sum.
    pub weight_beyond: bool,
    /// Sum of value x weight, scaled by both scales.
    pub weighted: I256,
    /// Sum of squares of values, scaled twice; none for minutes that a version without it began.
    pub squares: Option<U256>,
}

impl MinuteSums {
    /// The average as a fixed-point number ([`fixed`]); `decimals`: the scale of the sum.
    pub(super) fn average(&self, decimals: u8) -> i128 {
        fixed::average(self.sum, self.count, decimals)
    }
}
