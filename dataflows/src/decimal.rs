//! Exact decimals (R2) and the one division (R9).
//!
//! A decimal is an integer scaled by 10^18. Sums of them stay exact; text in and text out are the exact digits. The only
//! float in the core is made here, by [`nearest`], from two integers.

use crate::wide::U256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A decimal as it was written, scaled by 10^18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decimal(pub i128);

/// Fractional digits that a [`Decimal`] holds.
const FRACTION_DIGITS: i64 = 18;
/// 10^18: the scale.
pub const SCALE: u64 = 1_000_000_000_000_000_000;
/// The largest magnitude of a value, 10^11, scaled (R2).
const LIMIT: u128 = 10_u128.pow(29);
/// A scaled number of more digits than that is out of range for every use; 10^30 fits a u128.
const MOST_DIGITS: i64 = 30;

/// Why a number is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a JSON number literal (RFC 8259, section 6).
    NotANumber,
    /// |value| > 10^11.
    Range,
    /// More than 18 fractional digits once trailing zeros are gone.
    Precision,
}

/// How many bytes at the front are digits.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// A JSON number literal in its parts: `[-]int[.fraction][e exponent]`.
struct Literal<'a> {
    negative: bool,
    int: &'a [u8],
    fraction: &'a [u8],
    /// Bounded to ±2^40: more digits than any text has.
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let negative = text.first() == Some(&b'-');
        let rest = &text[usize::from(negative)..];
        let (int, rest) = rest.split_at(digits(rest));
        if int.is_empty() || (int.len() > 1 && int[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match digits(rest) {
                0 => return None,
                n => rest.split_at(n),
            },
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => Self::exponent(rest)?,
            _ => return None,
        };
        Some(Literal { negative, int, fraction, exponent })
    }

    /// The magnitude times 10^`places`, if that is whole: the significant digits times a power of ten, both bounded
    /// before the power is computed.
    fn scaled(&self, places: i64) -> Result<u128, DecimalError> {
        let all = || self.int.iter().chain(self.fraction);
        let len = |n: usize| i64::try_from(n).expect("a text is shorter than 2^63");
        let Some(first) = all().position(|c| *c != b'0') else { return Ok(0) };
        let trailing = all().rev().position(|c| *c != b'0').expect("there is a digit that is not 0");
        let significant = self.int.len() + self.fraction.len() - first - trailing;
        let power = self.exponent - len(self.fraction.len()) + len(trailing) + places;
        if len(significant) + power > MOST_DIGITS {
            return Err(DecimalError::Range);
        }
        let power = u32::try_from(power).map_err(|_| DecimalError::Precision)?;
        let digits = all().skip(first).take(significant).fold(0_u128, |n, c| n * 10 + u128::from(c - b'0'));
        Ok(digits * 10_u128.pow(power))
    }

    fn exponent(text: &[u8]) -> Option<i64> {
        let (down, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.is_empty() || digits(text) != text.len() {
            return None;
        }
        let size = text.iter().fold(0_i64, |size, c| (size * 10 + i64::from(c - b'0')).min(1 << 40));
        Some(if down { -size } else { size })
    }
}

/// The largest whole number that is at most one JSON number literal times 10^`places`, of at most 64 bits: an event time. Digits
/// below it are cut off towards minus infinity.
///
/// # Errors
/// See [`DecimalError`]; never `Precision`.
pub fn floor(text: &[u8], places: u32) -> Result<i64, DecimalError> {
    let Literal { negative, int, fraction, exponent } = Literal::parse(text).ok_or(DecimalError::NotANumber)?;
    let all = || int.iter().chain(fraction);
    let Some(first) = all().position(|c| *c != b'0') else { return Ok(0) };
    let len = |n: usize| i64::try_from(n).expect("a text is shorter than 2^63");
    // How many digits stand before the point once the number is multiplied; 0 and less: it is below 1.
    let before = len(int.len()) + exponent + i64::from(places) - len(first);
    if before > MOST_DIGITS {
        return Err(DecimalError::Range);
    }
    let before = usize::try_from(before).unwrap_or(0);
    let digits = all().skip(first).chain(std::iter::repeat(&b'0')).take(before);
    let magnitude = digits.fold(0_i128, |n, c| n * 10 + i128::from(c - b'0'));
    let cut = all().skip(first).skip(before).any(|c| *c != b'0');
    let floor = if negative { -magnitude - i128::from(cut) } else { magnitude };
    i64::try_from(floor).map_err(|_| DecimalError::Range)
}

impl Decimal {
    /// An integer scaled by 10^18, if it is in range (R2).
    pub(crate) fn bounded(scaled: i128) -> Option<Self> {
        (scaled.unsigned_abs() <= LIMIT).then_some(Decimal(scaled))
    }

    /// Reads exactly one JSON number literal, as it was written.
    ///
    /// ```
    /// # use minutely_dataflows::decimal::{Decimal, DecimalError};
    /// assert_eq!(Decimal::parse(b"-37.630").unwrap().to_string(), "-37.63");
    /// assert_eq!(Decimal::parse(b"1.5e3").unwrap().to_string(), "1500");
    /// assert_eq!(Decimal::parse(b"1e12"), Err(DecimalError::Range));
    /// assert_eq!(Decimal::parse(b"01"), Err(DecimalError::NotANumber));
    /// ```
    ///
    /// # Errors
    /// See [`DecimalError`].
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        let literal = Literal::parse(text).ok_or(DecimalError::NotANumber)?;
        let magnitude = if literal.exponent == 0 && literal.int.len() + literal.fraction.len() <= 18 {
            // Nearly every price: all digits fit a u64, and so do those that the scale adds to the fraction.
            let fold = |start: u64, text: &[u8]| text.iter().fold(start, |n, c| n * 10 + u64::from(c - b'0'));
            let fraction = fold(0, literal.fraction) * POWERS[18 - literal.fraction.len()];
            u128::from(fold(0, literal.int)) * u128::from(SCALE) + u128::from(fraction)
        } else {
            literal.scaled(FRACTION_DIGITS)?
        };
        if magnitude > LIMIT {
            return Err(DecimalError::Range);
        }
        let magnitude = i128::try_from(magnitude).expect("at most 10^29");
        Ok(Decimal(if literal.negative { -magnitude } else { magnitude }))
    }

    /// The nearest f64, ties to even.
    pub fn to_f64(self) -> f64 {
        nearest(self.0 < 0, U256::from(self.0.unsigned_abs()), U256::from(u128::from(SCALE)))
    }

    /// The f64 nearest to this over `count`, ties to even: the published average (R9). None if `count` < 1.
    pub fn over(self, count: i64) -> Option<f64> {
        let count = u128::try_from(count).ok().filter(|c| *c > 0)?;
        Some(nearest(self.0 < 0, U256::from(self.0.unsigned_abs()), U256::from(count * u128::from(SCALE))))
    }
}

/// 10^0 to 10^18.
pub(crate) const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Exact text without trailing zeros.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / u128::from(SCALE), self.0.unsigned_abs() % u128::from(SCALE));
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// Bits of quotient that [`nearest`] computes: 53 to keep, one to round by, and more than one to spare.
const QUOTIENT_BITS: u32 = 58;

/// The f64 nearest to `numerator / denominator`, ties to even. Both below 2^254; the quotient is a normal number or 0.
///
/// Restoring division for as many bits as rounding needs; what is left of the numerator is the sticky bit.
///
/// # Panics
/// If the denominator is 0.
pub fn nearest(negative: bool, numerator: U256, denominator: U256) -> f64 {
    assert!(denominator != U256::ZERO, "a division by zero");
    if numerator == U256::ZERO {
        return 0.0;
    }
    let (n, d) = (numerator.bits(), denominator.bits());
    // Align both so that 1/2 < remainder/divisor < 2: the quotient's first bit is then bit 0 or 1 below 2^(n-d).
    let mut remainder = numerator.shl(d.saturating_sub(n));
    let divisor = denominator.shl(n.saturating_sub(d));
    let mut quotient = 0_u64;
    for _ in 0..QUOTIENT_BITS {
        quotient <<= 1;
        if let Some(less) = remainder.checked_sub(divisor) {
            quotient |= 1;
            remainder = less;
        }
        remainder = remainder.shl(1);
    }
    // value = quotient · 2^(n - d - (QUOTIENT_BITS - 1)), and a little more if `remainder` is not 0
    let extra = 64 - quotient.leading_zeros() - 53;
    let (mut mantissa, rest, half) = (quotient >> extra, quotient & ((1 << extra) - 1), 1_u64 << (extra - 1));
    if rest > half || (rest == half && (remainder != U256::ZERO || mantissa & 1 == 1)) {
        mantissa += 1; // 2^53 is one bit too long and still right below: its fraction is 0 and the exponent carries
    }
    let exponent = i64::from(n) - i64::from(d) - i64::from(QUOTIENT_BITS - 1) + i64::from(extra) + 52;
    let biased = u64::try_from(exponent + 1023).expect("a normal number");
    let magnitude = f64::from_bits((biased << 52) + (mantissa - (1 << 52)));
    magnitude.copysign(if negative { -1.0 } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Result<String, DecimalError> {
        Decimal::parse(t.as_bytes()).map(|d| d.to_string())
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
    fn what_is_below_a_place_is_cut_off_towards_minus_infinity() {
        for (text, places, want) in [
            ("1554076803.2431521416", 9, Ok(1_554_076_803_243_152_141)),
            ("-1554076803.2431521416", 9, Ok(-1_554_076_803_243_152_142)),
            ("-1554076803.2431521410", 9, Ok(-1_554_076_803_243_152_141)),
            ("0.9", 0, Ok(0)),
            ("-0.9", 0, Ok(-1)),
            ("1e-999999999999999999", 9, Ok(0)),
            ("-1e-999999999999999999", 9, Ok(-1)),
            ("-0.0e-99", 9, Ok(0)),
            ("1.5e3", 6, Ok(1_500_000_000)),
            ("0.00000000000000000000000000000000000000012e40", 0, Ok(1)),
            ("9223372036854775807.9", 0, Ok(i64::MAX)),
            ("9223372036854775808", 0, Err(DecimalError::Range)),
            ("1e400", 0, Err(DecimalError::Range)),
            ("1.", 0, Err(DecimalError::NotANumber)),
        ] {
            assert_eq!(floor(text.as_bytes(), places), want, "{text}");
        }
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..100_000 {
            let (n, places, cut) = (rng.i64(..) >> rng.u32(..40), rng.u32(..10), rng.u32(..5));
            let digits = format!("{n}e-{}", places + cut);
            assert_eq!(floor(digits.as_bytes(), places), Ok(n.div_euclid(10_i64.pow(cut))), "{digits} seed {seed}");
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
            assert_eq!(d.to_f64().abs().to_bits(), t.parse::<f64>().unwrap().abs().to_bits(), "{t}");
        }
    }
}
