//! The options that decide which number a literal is.

use super::factor::DecimalFactor;
use crate::decimal::{DEFAULT_DECIMALS, Scales};
use serde::{Deserialize, Serialize};

/// Which number a literal is. Part of what makes two runs the same job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberOptions {
    /// Fractional digits of values: 0 to 28. A value is at most 10^(29 − this) in magnitude. Default: 18.
    pub decimals: u8,
    /// Fractional digits of weights, with the same bound. Default: 18.
    pub weight_decimals: u8,
    /// What becomes of digits beyond these.
    pub on_precision: OnPrecision,
    /// What each value is multiplied by. Default: 1.
    pub value_scale: DecimalFactor,
    /// What becomes of a weight below 0.
    pub weight_sign: WeightSign,
}

impl Default for NumberOptions {
    fn default() -> Self {
        NumberOptions {
            decimals: DEFAULT_DECIMALS,
            weight_decimals: DEFAULT_DECIMALS,
            on_precision: OnPrecision::default(),
            value_scale: DecimalFactor::default(),
            weight_sign: WeightSign::default(),
        }
    }
}

impl NumberOptions {
    /// The scales of the decimals that the rule makes.
    pub fn scales(&self) -> Scales {
        Scales { value: self.decimals, weight: self.weight_decimals }
    }
}

/// What becomes of a number that has digits beyond its scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnPrecision {
    /// It is rounded half to even, and counted as rounded. A value of which fewer than six significant digits would stay is
    /// rejected.
    #[default]
    Round,
    /// The record is rejected.
    Reject,
}

/// What becomes of a weight below 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightSign {
    /// Its magnitude counts: a sell of five units moves as much volume as a buy.
    #[default]
    Abs,
    /// It is added with its sign.
    Keep,
    /// The record is rejected.
    Reject,
}
