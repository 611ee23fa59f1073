//! Numbers as they are written: JSON's literals, read digit by digit. Nothing here is a float, and no digit is lost unseen.

use std::borrow::Cow;

/// A scaled number of more digits than that is out of range for every use; 10^30 fits a u128.
const MOST_DIGITS: i64 = 30;

/// Why a number is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a JSON number literal (RFC 8259, section 6).
    NotANumber,
    /// Too large in magnitude, or of a sign that is not taken.
    Range,
    /// It has digits beyond the scale that may not be dropped.
    Precision,
}

/// How many bytes at the front are digits.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// A JSON number literal in its parts: `[-]int[.fraction][e exponent]`.
pub(crate) struct Literal<'a> {
    pub(crate) negative: bool,
    int: &'a [u8],
    fraction: &'a [u8],
    /// Bounded to ±2^40: more digits than any text has.
    exponent: i64,
}

/// Significant digits, without zeros at either end, and the power of ten that they are multiplied by.
struct Significant {
    /// How many there are; 0 for zero.
    count: usize,
    /// How many zeros stand before them in the text.
    skipped: usize,
    power: i64,
}

impl<'a> Literal<'a> {
    /// The parts of exactly one.
    #[inline]
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
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

    /// All digits as one integer and how many of them are a fraction, where there is no exponent and at most 18 digits:
    /// nearly every number.
    #[inline]
    pub(crate) fn short(&self) -> Option<(u64, usize)> {
        if self.exponent != 0 || self.int.len() + self.fraction.len() > 18 {
            return None;
        }
        let fold = |start: u64, text: &[u8]| text.iter().fold(start, |n, c| n * 10 + u64::from(c - b'0'));
        Some((fold(fold(0, self.int), self.fraction), self.fraction.len()))
    }

    /// All digits as they are written.
    fn written(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.int.iter().chain(self.fraction).map(|c| c - b'0')
    }

    fn significant(&self) -> Significant {
        let len = |n: usize| i64::try_from(n).expect("a text is shorter than 2^63");
        let Some(skipped) = self.written().position(|digit| digit != 0) else {
            return Significant { count: 0, skipped: 0, power: 0 };
        };
        let trailing = self.written().rev().position(|digit| digit != 0).expect("there is a digit that is not 0");
        let count = self.int.len() + self.fraction.len() - skipped - trailing;
        Significant { count, skipped, power: self.exponent - len(self.fraction.len()) + len(trailing) }
    }

    /// The digits of the magnitude as one integer without zeros at its end, and the power of ten that it is multiplied by,
    /// where the integer has at most this many digits (at most 19).
    pub(crate) fn short_parts(&self, most: usize) -> Option<(u64, i64)> {
        let Significant { count, skipped, power } = self.significant();
        let digits = self.written().skip(skipped).take(count);
        (count <= most).then(|| (digits.fold(0, |n, digit| n * 10 + u64::from(digit)), power))
    }

    /// The magnitude times `factor` x 10^`places`, rounded half to even, and whether it is that exactly. The exponent is
    /// bounded before any power is computed. `factor` is at least 1.
    ///
    /// # Errors
    /// `Range` where the result has more than about 30 digits.
    pub(crate) fn times(&self, factor: u32, places: i64) -> Result<(u128, bool), DecimalError> {
        let Significant { count, skipped, power } = self.significant();
        if count == 0 {
            return Ok((0, true));
        }
        let (count, power) = (i64::try_from(count).expect("a text is shorter than 2^63"), power + places);
        if count + power > MOST_DIGITS {
            return Err(DecimalError::Range);
        }
        let significant = self.written().skip(skipped).take(usize::try_from(count).expect("it was a usize"));
        match u32::try_from(power) {
            Ok(power) => {
                let whole = significant.fold(0_u128, |n, digit| n * 10 + u128::from(digit)) * 10_u128.pow(power);
                Ok((whole.checked_mul(u128::from(factor)).ok_or(DecimalError::Range)?, true))
            }
            Err(_) => {
                let significant: Vec<u8> = significant.collect();
                let digits = if factor == 1 { Cow::Owned(significant) } else { product(&significant, factor).into() };
                round(&digits, power.unsigned_abs())
            }
        }
    }
}

/// The digits of a number times this factor: as many more as the factor has, at most.
fn product(digits: &[u8], factor: u32) -> Vec<u8> {
    let mut reversed = Vec::with_capacity(digits.len() + 10);
    let mut carry = 0_u64;
    let mut push = |n: u64| {
        reversed.push(u8::try_from(n % 10).expect("one digit"));
        n / 10
    };
    for digit in digits.iter().rev() {
        carry = push(carry + u64::from(*digit) * u64::from(factor));
    }
    while carry > 0 {
        carry = push(carry);
    }
    reversed.reverse();
    reversed
}

/// The integer of these digits without the last `drop` of them, rounded half to even, and whether those were all 0.
fn round(digits: &[u8], drop: u64) -> Result<(u128, bool), DecimalError> {
    let drop = usize::try_from(drop).unwrap_or(usize::MAX);
    let Some(kept) = digits.len().checked_sub(drop) else {
        return Ok((0, digits.iter().all(|digit| *digit == 0))); // below a tenth
    };
    let (kept, dropped) = digits.split_at(kept);
    if kept.len() > usize::try_from(MOST_DIGITS).expect("it is 30") {
        return Err(DecimalError::Range);
    }
    let whole = kept.iter().fold(0_u128, |n, digit| n * 10 + u128::from(*digit));
    let Some((first, rest)) = dropped.split_first() else { return Ok((whole, true)) };
    let rest_is_zero = rest.iter().all(|digit| *digit == 0);
    let up = match first {
        5 if rest_is_zero => whole % 2 == 1,
        first => *first >= 5,
    };
    Ok((whole + u128::from(up), *first == 0 && rest_is_zero))
}

/// The largest whole number that is at most one JSON number literal times 10^`places`, of at most 64 bits: an event time. Digits
/// below it are cut off towards minus infinity.
///
/// # Errors
/// See [`DecimalError`]; never `Precision`.
pub(crate) fn floor(text: &[u8], places: u32) -> Result<i64, DecimalError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
