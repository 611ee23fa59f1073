//! How the numbers of records become exact decimals (R2): at which scale, what becomes of digits beyond it, and of signs.
//!
//! ```text
//!   literal ──times --value-scale──> exact ──round half to even, or reject──> Decimal at --decimals, and: was it rounded?
//! ```
//!
//! A rule is a function of the literal alone. It has a path for the numbers that nearly every record has (at most 18 digits, no
//! exponent): one multiplication by a factor that is looked up by the number of fractional digits.

mod factor;
mod options;
mod rule;

pub use factor::{DecimalFactor, NotAFactor};
pub use options::{NumberOptions, OnPrecision, WeightSign};
pub use rule::{NumberRule, ReadNumber, is_no_weight};
