//! The options that decide which numbers values and weights are.

use super::values::{Choice, Given, choice, factor, number};
use clap::Args;
use minutely_dataflows::numbers::{DecimalFactor, OnPrecision, WeightSign};

/// Which numbers values and weights are.
#[derive(Args, Debug)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct NumberArgs {
    /// Fractional digits of values, 0 to 28; a value is at most 10^(29 - N) in magnitude
    ///
    /// 24 for prices such as 0.000008125000000000001, 0 for whole numbers up to 10^29 such as wei.
    #[arg(
        long,
        value_name = "N",
        env = "MINUTELY_DECIMALS",
        default_value = "18",
        value_parser = number::<u8>(0, 28)
    )]
    pub(crate) decimals: Given<u8>,

    /// Fractional digits of weights, 0 to 28; a weight beyond the same bound leaves its window without a volume
    #[arg(
        long,
        value_name = "N",
        env = "MINUTELY_WEIGHT_DECIMALS",
        default_value = "18",
        value_parser = number::<u8>(0, 28)
    )]
    pub(crate) weight_decimals: Given<u8>,

    /// Handling of a value or a weight with digits beyond these
    #[arg(
        long,
        value_name = "ACTION",
        env = "MINUTELY_ON_PRECISION",
        default_value = "round",
        value_parser = choice(&ON_PRECISION)
    )]
    pub(crate) on_precision: Given<OnPrecision>,

    /// Factor of each value, of at most 9 significant digits: 0.01 where records have paise, and rows are to have rupees
    #[arg(
        long,
        value_name = "FACTOR",
        env = "MINUTELY_VALUE_SCALE",
        default_value = "1",
        value_parser = factor()
    )]
    pub(crate) value_scale: Given<DecimalFactor>,

    /// Handling of a weight below 0, such as the size of a sell
    #[arg(
        long,
        value_name = "ACTION",
        env = "MINUTELY_WEIGHT_SIGN",
        default_value = "abs",
        value_parser = choice(&WEIGHT_SIGN)
    )]
    pub(crate) weight_sign: Given<WeightSign>,
}

const ON_PRECISION: [Choice<OnPrecision>; 2] = [
    ("round", "round half to even; a value that would keep fewer than six digits is bad", OnPrecision::Round),
    ("reject", "the record is bad", OnPrecision::Reject),
];

const WEIGHT_SIGN: [Choice<WeightSign>; 3] = [
    ("abs", "its magnitude counts", WeightSign::Abs),
    ("keep", "it is added with its sign", WeightSign::Keep),
    ("reject", "the record is bad", WeightSign::Reject),
];
