//! Numbers as they are written, and which integers they become (R2), by integers of any size.

use super::fraction::{half_even, power_of_ten};
use minutely_dataflows::numbers::{NumberOptions, OnPrecision, WeightSign};
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;

/// A number that JSON's grammar has, as digits · 10^exponent without a zero at either end of the digits: equal where the numbers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenNumber {
    /// It is below 0.
    negative: bool,
    /// Empty for 0.
    digits: String,
    /// Of 0 it is 0. Beyond ±2^60 it stands for all that is further.
    exponent: i64,
}

/// Beyond any exponent that matters, and far enough from the end of an i64 for sums.
const FAR: i64 = 1 << 60;

impl WrittenNumber {
    /// Of a text that is exactly one number of RFC 8259 (section 6).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            None => (rest, 0),
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((whole, fraction)) => (whole, Some(fraction).filter(|fraction| is_digits(fraction))?),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let without_end = all.trim_end_matches('0');
        let digits = without_end.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(WrittenNumber { negative: false, digits, exponent: 0 });
        }
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(FAR);
        let exponent = exponent + length(&all) - length(without_end) - length(fraction);
        Some(WrittenNumber { negative, digits, exponent: exponent.clamp(-FAR, FAR) })
    }

    /// The whole number nearest to it · factor · 10^places, ties to even, and whether it is that exactly. None where it is 10^40 or more.
    fn scaled(&self, factor: &BigUint, places: i64) -> Option<(BigInt, bool)> {
        if self.digits.is_empty() {
            return Some((BigInt::ZERO, true));
        }
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        let exponent = self.exponent + places;
        let length = i64::try_from(self.digits.len()).ok()?;
        // Before its point there are as many digits as this, and a factor adds at most as many as it has.
        let before = length + exponent;
        if before > 40 {
            return None;
        }
        if before < -40 {
            return Some((BigInt::ZERO, false));
        }
        let number = BigInt::from_biguint(sign, integer(&self.digits) * factor);
        let power = power_of_ten(u32::try_from(exponent.unsigned_abs()).ok()?);
        if exponent >= 0 {
            return Some((number * power, true));
        }
        let whole = half_even(&number, &power);
        let is_exact = &whole * power == number;
        Some((whole, is_exact))
    }

    /// The greatest whole number of 10^-places that is not above it; none where it has more than 30 digits.
    pub(super) fn floor(&self, places: u32) -> Option<BigInt> {
        let length = i64::try_from(self.digits.len()).ok()?;
        let exponent = self.exponent + i64::from(places);
        if length + exponent > 30 {
            return None;
        }
        let below = || BigInt::from(if self.negative { -1 } else { 0 });
        if length + exponent <= 0 {
            return Some(if self.digits.is_empty() { BigInt::ZERO } else { below() });
        }
        let split = usize::try_from(length + exponent.min(0)).ok()?;
        let (whole, cut) = self.digits.split_at(split.min(self.digits.len()));
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        let whole = integer(whole) * BigUint::from(10_u8).pow(u32::try_from(exponent.max(0)).ok()?);
        Some(BigInt::from_biguint(sign, whole) + if cut.is_empty() { BigInt::ZERO } else { below() })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands behind an `e`.
fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let size = is_digits(digits).then(|| digits.parse().map_or(FAR, |size: i64| size.min(FAR)))?;
    Some(if text.starts_with('-') { -size } else { size })
}

/// Digits as an integer: in halves where there are many, for the library reads them in quadratic time.
fn integer(digits: &str) -> BigUint {
    if digits.len() <= 1000 {
        return BigUint::parse_bytes(digits.as_bytes(), 10).unwrap_or_default();
    }
    let (high, low) = digits.split_at(digits.len() / 2);
    let power = BigUint::from(10_u8).pow(u32::try_from(low.len()).unwrap_or(u32::MAX));
    integer(high) * power + integer(low)
}

/// Why a text is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    NoNumber,
    Range,
    Precision,
}

/// What stands in the place of a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WeightText {
    /// It, and whether it was rounded.
    Weight(BigInt, bool),
    /// More than the scale holds.
    Beyond,
    /// A dead letter.
    Wrong,
}

/// Which numbers literals are.
#[derive(Clone, Debug)]
pub(super) struct NumberScale {
    options: NumberOptions,
    /// What values are multiplied by: this, and this power of ten.
    factor: BigUint,
    power: i64,
}

impl NumberScale {
    /// By these options.
    pub(super) fn new(options: &NumberOptions) -> Self {
        let factor = WrittenNumber::parse(&options.value_scale.to_string());
        let (factor, power) =
            factor.map_or((BigUint::from(1_u8), 0), |written| (integer(&written.digits), written.exponent));
        NumberScale { options: options.clone(), factor, power }
    }

    /// A value as an integer at its scale, and whether it was rounded.
    pub(super) fn value(&self, text: &str) -> Result<(BigInt, bool), NoValue> {
        let written = WrittenNumber::parse(text).ok_or(NoValue::NoNumber)?;
        let places = self.power + i64::from(self.options.decimals);
        let (scaled, is_exact) = written.scaled(&self.factor, places).ok_or(NoValue::Range)?;
        if is_beyond(&scaled) {
            return Err(NoValue::Range);
        }
        // Six significant digits stay.
        let may_round =
            self.options.on_precision == OnPrecision::Round && *scaled.magnitude() >= BigUint::from(100_000_u32);
        if is_exact || may_round { Ok((scaled, !is_exact)) } else { Err(NoValue::Precision) }
    }

    /// A weight.
    pub(super) fn weight(&self, text: &str) -> WeightText {
        let NumberOptions { weight_decimals, on_precision, weight_sign, .. } = self.options;
        let Some(written) = WrittenNumber::parse(text) else { return WeightText::Wrong };
        let rounds = on_precision == OnPrecision::Round;
        let scaled = written.scaled(&BigUint::from(1_u8), weight_decimals.into());
        let Some((scaled, is_exact)) = scaled.filter(|(scaled, _)| !is_beyond(scaled)) else {
            let is_refused = written.negative && weight_sign == WeightSign::Reject;
            return if rounds && !is_refused { WeightText::Beyond } else { WeightText::Wrong };
        };
        let below = scaled.sign() == Sign::Minus;
        match weight_sign {
            _ if !is_exact && !rounds => WeightText::Wrong,
            WeightSign::Reject if below => WeightText::Wrong,
            WeightSign::Abs if below => WeightText::Weight(-scaled, !is_exact),
            _ => WeightText::Weight(scaled, !is_exact),
        }
    }
}

/// More than 10^29 (R2)?
fn is_beyond(scaled: &BigInt) -> bool {
    scaled.magnitude().cmp(power_of_ten(29).magnitude()) == Ordering::Greater
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_where_they_are() {
        let number = |text: &str| WrittenNumber::parse(text);
        for (a, b) in
            [("0", "-0.00e7"), ("1.50", "15e-1"), ("100", "1E+2"), ("-0.10", "-1e-1"), ("1e00012", "1000000000000")]
        {
            assert!(number(a).is_some() && number(a) == number(b), "{a} {b}");
        }
        assert_ne!(number("1"), number("-1"));
        for wrong in
            ["", "-", "01", "1.", ".1", "+1", "1e", "1e+", "0x1", "1_0", "1 ", "NaN", "--1", "1e1.0", "1.2.3", "١"]
        {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn digits_beyond_the_scale_are_rounded_half_to_even_or_refused() {
        let scale = |options: NumberOptions| NumberScale::new(&options);
        let two = scale(NumberOptions { decimals: 2, ..NumberOptions::default() });
        let value = |text: &str| two.value(text).map(|(value, rounded)| (value.to_string(), rounded));
        assert_eq!(value("1000.005"), Ok(("100000".into(), true)));
        assert_eq!(value("-1000.015000"), Ok(("-100002".into(), true)));
        assert_eq!(value("999.994"), Err(NoValue::Precision));
        assert_eq!(value("1e27"), Ok(("1".to_owned() + &"0".repeat(29), false)));
        assert_eq!(value("1e28"), Err(NoValue::Range));
        assert_eq!(value("1e-999999999999999999999"), Err(NoValue::Precision));
        assert_eq!(value("0e999999999999999999999"), Ok(("0".into(), false)));
        let large =
            scale(NumberOptions { decimals: 28, value_scale: "1e28".parse().unwrap(), ..NumberOptions::default() });
        assert_eq!(large.value("0.0"), Ok((BigInt::ZERO, false)));
        let paise =
            scale(NumberOptions { decimals: 2, value_scale: "0.3".parse().unwrap(), ..NumberOptions::default() });
        assert_eq!(paise.value("5").map(|(value, _)| value), Ok(150.into()));
    }

    #[test]
    fn floors_go_towards_the_past() {
        let floor = |text: &str, places| WrittenNumber::parse(text).unwrap().floor(places).map(|n| n.to_string());
        assert_eq!(floor("1.2345678919", 9), Some("1234567891".into()));
        assert_eq!(floor("-1.2345678911", 9), Some("-1234567892".into()));
        assert_eq!(floor("-1e-30", 9), Some("-1".into()));
        assert_eq!(floor("12e3", 6), Some("12000000000".into()));
        assert_eq!(floor("-0", 9), Some("0".into()));
        assert_eq!(floor("1e40", 0), None);
    }
}
