//! Exact decimals (R2) and the one division (R9).
//!
//! ```text
//!   text ──Literal──> Decimal, an integer at the job's scale ──sums──> ExactNumber, with its scale ──> text, f64
//! ```
//!
//! What is added up is a bare integer: all values of a job have one scale, all weights have one, and so no diff carries any.
//! Where a number becomes text or an f64 its scale must be known ([`Scales`], [`ExactNumber`]). The only float in the core is
//! made here, by [`nearest`], from two integers.

use crate::literal::Literal;
use crate::wide::{Int128, U256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;

pub use crate::literal::DecimalError;

/// A decimal as an integer, scaled by a power of ten that its job knows ([`Scales`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decimal(pub i128);

/// Fractional digits that a job's decimals hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scales {
    /// Those of values and their sums: 0 to [`MAX_DECIMALS`].
    pub value: u8,
    /// Those of weights and their sums, likewise.
    pub weight: u8,
}

impl Default for Scales {
    fn default() -> Self {
        Scales { value: DEFAULT_DECIMALS, weight: DEFAULT_DECIMALS }
    }
}

/// Fractional digits where no option says otherwise, and in every state of version 0.1.
pub const DEFAULT_DECIMALS: u8 = 18;
/// Fractional digits, at most.
pub const MAX_DECIMALS: u8 = 28;
/// The largest magnitude of a scaled number (R2): 10^11 with 18 decimals, 10^29 with none.
pub(crate) const LIMIT: u128 = 10_u128.pow(29);

impl Decimal {
    /// Of this magnitude and sign, if it is in range (R2).
    #[inline]
    pub(crate) fn bounded(negative: bool, magnitude: u128) -> Option<Self> {
        let scaled = magnitude.cast_signed(); // far below 2^127, if it is in range
        (magnitude <= LIMIT).then_some(Decimal(if negative { -scaled } else { scaled }))
    }

    /// Reads exactly one JSON number literal, as it was written, at the default scale of 18 decimals. A job's numbers are
    /// read by its [`crate::numbers::NumberRule`].
    ///
    /// ```
    /// # use minutely_dataflows::decimal::{Decimal, DecimalError};
    /// assert_eq!(Decimal::parse(b"-37.630").unwrap().with_decimals(18).to_string(), "-37.63");
    /// assert_eq!(Decimal::parse(b"1.5e3").unwrap(), Decimal(1_500 * 10_i128.pow(18)));
    /// assert_eq!(Decimal::parse(b"1e12"), Err(DecimalError::Range));
    /// assert_eq!(Decimal::parse(b"01"), Err(DecimalError::NotANumber));
    /// ```
    ///
    /// # Errors
    /// See [`DecimalError`]; `Precision` for a digit beyond the scale.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        let literal = Literal::parse(text).ok_or(DecimalError::NotANumber)?;
        let (magnitude, exact) = literal.times(1, i64::from(DEFAULT_DECIMALS))?;
        let decimal = Decimal::bounded(literal.negative, magnitude).ok_or(DecimalError::Range)?;
        if exact { Ok(decimal) } else { Err(DecimalError::Precision) }
    }

    /// The same number at another scale: both in decimals.
    ///
    /// # Errors
    /// `Precision`: it has a digit beyond that scale; `Range`: it is beyond its range.
    pub fn rescaled(self, from: u8, to: u8) -> Result<Self, DecimalError> {
        let (scaled, decimals) = self.with_decimals(from).shortest();
        let more = to.checked_sub(decimals).ok_or(DecimalError::Precision)?;
        let magnitude = scaled.unsigned_abs().checked_mul(10_u128.pow(u32::from(more)));
        magnitude.and_then(|magnitude| Decimal::bounded(scaled < 0, magnitude)).ok_or(DecimalError::Range)
    }

    /// With its scale.
    pub fn with_decimals(self, decimals: u8) -> ExactNumber {
        ExactNumber::new(self.0, decimals)
    }
}

/// An exact decimal of any size with its scale: what rows show.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ExactNumber {
    scaled: Int128,
    /// One more than its decimals, so that an `Option` of it is no larger.
    decimals_and_one: NonZeroU8,
}

impl ExactNumber {
    /// An integer divided by 10^`decimals`.
    ///
    /// # Panics
    /// For more than [`MAX_DECIMALS`].
    pub fn new(scaled: i128, decimals: u8) -> Self {
        assert!(decimals <= MAX_DECIMALS, "{decimals} decimals");
        ExactNumber { scaled: Int128::new(scaled), decimals_and_one: NonZeroU8::MIN.saturating_add(decimals) }
    }

    /// The integer that it is with [`ExactNumber::decimals`].
    pub fn scaled(self) -> i128 {
        self.scaled.get()
    }

    /// How many of its digits are a fraction, zeros at the end included.
    pub fn decimals(self) -> u8 {
        self.decimals_and_one.get() - 1
    }

    fn power(self) -> u128 {
        10_u128.pow(u32::from(self.decimals()))
    }

    /// The nearest f64, ties to even.
    pub fn to_f64(self) -> f64 {
        nearest(self.scaled() < 0, U256::from(self.scaled().unsigned_abs()), U256::from(self.power()))
    }

    /// The f64 nearest to this over `count`, ties to even: the published average (R9). None if `count` < 1.
    pub fn over(self, count: i64) -> Option<f64> {
        let count = u128::try_from(count).ok().filter(|c| *c > 0)?;
        let denominator = U256::product(count, self.power());
        Some(nearest(self.scaled() < 0, U256::from(self.scaled().unsigned_abs()), denominator))
    }

    /// Without zeros at the end of the fraction: one for each number.
    fn shortest(self) -> (i128, u8) {
        let (mut scaled, mut decimals) = (self.scaled(), self.decimals());
        while decimals > 0 && scaled % 10 == 0 {
            (scaled, decimals) = (scaled / 10, decimals - 1);
        }
        (scaled, decimals)
    }
}

/// Equal as numbers: 1.50 is 1.5.
impl PartialEq for ExactNumber {
    fn eq(&self, other: &Self) -> bool {
        self.shortest() == other.shortest()
    }
}

impl Eq for ExactNumber {}

/// Exact text without trailing zeros, and without exponent.
impl fmt::Display for ExactNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.scaled().unsigned_abs();
        let (whole, fraction) = (magnitude / self.power(), magnitude % self.power());
        let sign = if self.scaled() < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0width$}", width = usize::from(self.decimals()));
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// 10^0 to 10^19: those that fit a u64.
pub(crate) const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Bits of quotient that [`nearest`] computes: 53 to keep, one to round by, and more than one to spare.
const QUOTIENT_BITS: u32 = 58;

/// The f64 nearest to `numerator / denominator`, ties to even. Both below 2^254; the quotient is a normal number or 0.
///
/// # Panics
/// When the denominator is 0.
pub fn nearest(negative: bool, numerator: U256, denominator: U256) -> f64 {
    if numerator == U256::ZERO {
        return 0.0;
    }
    let Quotient { bits, exponent, inexact } = Quotient::of(numerator, denominator, QUOTIENT_BITS);
    rounded(bits, exponent, inexact).copysign(if negative { -1.0 } else { 1.0 })
}

/// The f64 nearest to the root of `numerator / denominator`, ties to even, as [`nearest`] is of the quotient.
pub fn nearest_root(numerator: U256, denominator: U256) -> f64 {
    if numerator == U256::ZERO {
        return 0.0;
    }
    let odd = (i64::from(numerator.bits()) - i64::from(denominator.bits())).rem_euclid(2) == 0;
    // With an even exponent. The root of a whole part is the whole part of the root, and has half as many bits.
    let Quotient { bits, exponent, inexact } = Quotient::of(numerator, denominator, 2 * QUOTIENT_BITS + u32::from(odd));
    let root = bits.isqrt();
    rounded(root, exponent / 2, inexact || root * root != bits)
}

/// 5^18, as in the scales that are usual.
const FIVES: u64 = 5_u64.pow(18);

/// The first bits of a quotient: `bits · 2^exponent`, and a little more if `inexact`.
struct Quotient {
    bits: u128,
    exponent: i64,
    inexact: bool,
}

impl Quotient {
    /// `many` bits or one less, at most 128, of a quotient that is not 0.
    fn of(numerator: U256, denominator: U256, many: u32) -> Self {
        assert!(denominator != U256::ZERO, "a division by zero");
        let twos = denominator.trailing_zeros();
        let odd = denominator.shr(twos);
        let shift = i64::from(odd.bits()) + i64::from(many - 1) - i64::from(numerator.bits());
        // Powers of ten end in as many zero bits, and leave powers of five: so this is what nearly all divisors are.
        let factors = match odd.to_u64() {
            Some(divisor) => Some((1, divisor)),
            None => {
                Some(odd.div_rem(FIVES)).filter(|(_, rest)| *rest == 0).and_then(|(d, _)| Some((FIVES, d.to_u64()?)))
            }
        };
        let (bits, inexact) = match (factors, u32::try_from(shift)) {
            (Some(factors), Ok(shift)) => Quotient::short(numerator.shl(shift), factors),
            _ => Quotient::long(numerator, odd, many),
        };
        Quotient { bits, exponent: -i64::from(twos) - shift, inexact }
    }

    /// Of a numerator that is shifted already, by one factor of the divisor after the other, in words: bits, and whether there is more.
    fn short(numerator: U256, (first, second): (u64, u64)) -> (u128, bool) {
        let (numerator, rest) = if first == 1 { (numerator, 0) } else { numerator.div_rem(first) };
        let (whole, rest_too) = numerator.div_rem(second);
        (whole.low(), rest > 0 || rest_too > 0)
    }

    /// The same, bit by bit.
    fn long(numerator: U256, denominator: U256, many: u32) -> (u128, bool) {
        let (n, d) = (numerator.bits(), denominator.bits());
        // Align both so that 1/2 < remainder/divisor < 2: the quotient's first bit is then bit 0 or 1 below 2^(n-d).
        let mut remainder = numerator.shl(d.saturating_sub(n));
        let divisor = denominator.shl(n.saturating_sub(d));
        let mut bits = 0_u128;
        for _ in 0..many {
            bits <<= 1;
            if let Some(less) = remainder.checked_sub(divisor) {
                bits |= 1;
                remainder = less;
            }
            remainder = remainder.shl(1);
        }
        (bits, remainder != U256::ZERO)
    }
}

/// The f64 nearest to `bits · 2^exponent`, or to a little more if `inexact`. There are 55 bits at least.
fn rounded(bits: u128, exponent: i64, inexact: bool) -> f64 {
    let extra = 128 - bits.leading_zeros() - 53;
    let (mantissa, rest, half) = (bits >> extra, bits & ((1 << extra) - 1), 1_u128 << (extra - 1));
    let mut mantissa = u64::try_from(mantissa).expect("53 bits");
    if rest > half || (rest == half && (inexact || mantissa & 1 == 1)) {
        mantissa += 1; // 2^53 is one bit too long and still right below: its fraction is 0 and the exponent carries
    }
    let biased = u64::try_from(exponent + i64::from(extra) + 52 + 1023).expect("a normal number");
    f64::from_bits((biased << 52) + (mantissa - (1 << 52)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Result<String, DecimalError> {
        Decimal::parse(t.as_bytes()).map(|d| d.with_decimals(18).to_string())
    }

    #[test]
    fn another_scale_is_the_same_number_or_none() {
        for (scaled, from, to, want) in [
            (123, 5, 18, Ok(1_230_000_000_000_000)),
            (-1_250, 2, 1, Ok(-125)),
            (-1_250, 2, 0, Err(DecimalError::Precision)),
            (123, 5, 2, Err(DecimalError::Precision)),
            (7, 3, 3, Ok(7)),
            (0, 28, 0, Ok(0)),
            (1, 0, 28, Ok(10_i128.pow(28))),
            (10, 0, 28, Ok(10_i128.pow(29))),
            (11, 0, 28, Err(DecimalError::Range)),
            (i128::from(i64::MIN), 0, 28, Err(DecimalError::Range)),
        ] {
            assert_eq!(Decimal(scaled).rescaled(from, to), want.map(Decimal), "{scaled} from {from} to {to}");
        }
    }

    #[test]
    fn literals_are_taken_as_written() {
        for (from, to) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e99", "0"),
            ("100.50", "100.5"),
            ("1e-18", "0.000000000000000001"),
            ("1.0000000000000000000000000000000000000000000000000000", "1"),
            ("0.000000000000000000000000000000000000000000000000000e5", "0"),
            ("100000000000", "100000000000"),
            ("-1e11", "-100000000000"),
            ("12345678901.234567890123456789", "12345678901.234567890123456789"),
            ("123456789012345678e-18", "0.123456789012345678"),
            ("0.00000000000000000000000000000000000000000000000000001e53", "1"),
            ("100000000000000000000000000000000000000000000000000000000000e-59", "1"),
        ] {
            assert_eq!(text(from).as_deref(), Ok(to), "{from}");
        }
        for t in [
            "", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "1.e1", "0x1", "1 ", " 1", "1_0", "NaN", "１", "1e1.0",
        ] {
            assert_eq!(text(t), Err(DecimalError::NotANumber), "{t}");
        }
        for t in ["100000000000.000000000000000001", "1e12", "-1e999999999999999999999", "100000000001", "999999999999"]
        {
            assert_eq!(text(t), Err(DecimalError::Range), "{t}");
        }
        for t in ["1e-19", "0.0000000000000000001", "1.23e-999999999999999999999999", "0.1234567890123456789"] {
            assert_eq!(text(t), Err(DecimalError::Precision), "{t}");
        }
    }

    #[test]
    fn quotients_agree_with_the_hardware_where_it_is_exact() {
        // Both below 2^53 are exact f64, and IEEE division is correctly rounded; a common factor changes nothing.
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..200_000 {
            let (n, d, common) = (rng.u64(1..1 << 53), rng.u64(1..1 << 53), rng.u128(1..) >> rng.u32(..127) | 1);
            let want = n as f64 / d as f64;
            let got = nearest(false, U256::product(n.into(), common), U256::product(d.into(), common));
            assert_eq!(got.to_bits(), want.to_bits(), "{n}/{d} times {common}, seed {seed}");
        }
    }

    #[test]
    fn short_division_is_long_division() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..200_000 {
            let any = |rng: &mut fastrand::Rng| {
                U256::product(rng.u128(1..) >> rng.u32(..126), rng.u128(1..) >> rng.u32(1..127))
            };
            let more = if rng.bool() { FIVES } else { 1 };
            let (n, d) = (any(&mut rng), U256::product(u128::from(rng.u64(..)) | 1, more.into()));
            let many = rng.u32(57..113);
            let (Quotient { bits, exponent, inexact }, long) = (Quotient::of(n, d, many), Quotient::long(n, d, many));
            let of_long = i64::from(n.bits()) - i64::from(d.bits()) - i64::from(many - 1);
            assert_eq!(((bits, inexact), exponent), (long, of_long), "{n:?} / {d:?}, {many} bits");
        }
    }

    #[test]
    fn roots_are_the_nearest() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..100_000 {
            // IEEE's root is correctly rounded: of a quotient that is an f64, it is the reference.
            let (n, shift, common) = (rng.u64(1..1 << 53), rng.u32(..60), rng.u128(1..) >> rng.u32(..127) | 1);
            let want = (n as f64 / (1_u64 << shift) as f64).sqrt();
            let got = nearest_root(U256::product(n.into(), common), U256::product(1 << shift, common));
            assert_eq!(got.to_bits(), want.to_bits(), "root of {n}/2^{shift}, seed {seed}");
            // Of a square it is the quotient.
            let (a, b) = (rng.u128(1..1 << 100), rng.u128(1..1 << 100));
            let root = nearest_root(U256::product(a, a), U256::product(b, b));
            assert_eq!(root.to_bits(), nearest(false, a.into(), b.into()).to_bits(), "{a}/{b}, seed {seed}");
        }
    }

    #[test]
    fn whole_numbers_round_ties_to_even() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..200_000 {
            // Few bits set far apart: ties and near-ties are common.
            let n = 1_u128 << rng.u32(..126) | 1 << rng.u32(..126) | 1 << rng.u32(..126) | 1 << rng.u32(..126);
            #[expect(clippy::cast_precision_loss, reason = "the reference: a cast is correctly rounded")]
            let want = n as f64;
            assert_eq!(nearest(false, U256::from(n), U256::from(1)).to_bits(), want.to_bits(), "{n}");
        }
    }

    #[test]
    fn decimals_agree_with_the_standard_library() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..100_000 {
            let (whole, fraction, digits) = (rng.u64(..1 << 33), rng.u64(..10_u64.pow(9)), rng.usize(9..18));
            let t = format!("{}{whole}.{fraction:0digits$}", if rng.bool() { "-" } else { "" });
            let d = Decimal::parse(t.as_bytes()).unwrap();
            assert_eq!(d.with_decimals(18).to_f64().abs().to_bits(), t.parse::<f64>().unwrap().abs().to_bits(), "{t}");
        }
    }
}
