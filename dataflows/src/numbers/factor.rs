//! What each value is multiplied by: a short positive decimal.

use crate::decimal::ExactNumber;
use crate::literal::Literal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A positive decimal of at most nine significant digits: `0.01`, `1e-4`, `1000`. Equal where the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecimalFactor {
    /// 1 to 999,999,999, and no zero at its end.
    digits: u32,
    /// The power of ten that they are multiplied by: within ±28.
    power: i8,
}

/// It is no such factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes a positive number of at most 9 significant digits, from 1e-28 to 1e28, such as 0.01 or 1e-4")]
pub struct NotAFactor;

const MOST_DIGITS: usize = 9;
const MOST_POWER: i64 = 28;

impl DecimalFactor {
    /// Nothing is multiplied.
    pub const ONE: DecimalFactor = DecimalFactor { digits: 1, power: 0 };

    /// Its significant digits, and the power of ten that they are multiplied by.
    pub(crate) fn parts(self) -> (u32, i64) {
        (self.digits, i64::from(self.power))
    }
}

impl Default for DecimalFactor {
    fn default() -> Self {
        DecimalFactor::ONE
    }
}

impl FromStr for DecimalFactor {
    type Err = NotAFactor;

    fn from_str(text: &str) -> Result<Self, NotAFactor> {
        let literal = Literal::parse(text.as_bytes()).filter(|literal| !literal.negative).ok_or(NotAFactor)?;
        let (digits, power) = literal.short_parts(MOST_DIGITS).filter(|(digits, _)| *digits > 0).ok_or(NotAFactor)?;
        let digits = u32::try_from(digits).map_err(|_| NotAFactor)?;
        let power = i8::try_from(power).ok().filter(|power| i64::from(power.unsigned_abs()) <= MOST_POWER);
        Ok(DecimalFactor { digits, power: power.ok_or(NotAFactor)? })
    }
}

/// One text for each factor, without exponent: `0.0001`.
impl fmt::Display for DecimalFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u8::try_from(-self.power) {
            Ok(decimals) => ExactNumber::new(i128::from(self.digits), decimals).fmt(f),
            Err(_) => write!(f, "{}{}", self.digits, "0".repeat(usize::from(self.power.unsigned_abs()))),
        }
    }
}

impl From<DecimalFactor> for String {
    fn from(factor: DecimalFactor) -> String {
        factor.to_string()
    }
}

impl TryFrom<String> for DecimalFactor {
    type Error = NotAFactor;

    fn try_from(text: String) -> Result<Self, NotAFactor> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_has_one_text_however_it_is_written() {
        for (text, written) in [
            ("1", "1"),
            ("1.000", "1"),
            ("0.01", "0.01"),
            ("1e-2", "0.01"),
            ("1E-4", "0.0001"),
            ("2500", "2500"),
            ("25e2", "2500"),
            ("1.23456789", "1.23456789"),
            ("999999999e19", "9999999990000000000000000000"),
            ("1e-28", "0.0000000000000000000000000001"),
            ("1e28", "10000000000000000000000000000"),
        ] {
            let factor: DecimalFactor = text.parse().unwrap();
            assert_eq!((factor.to_string(), written.parse()), (written.to_owned(), Ok(factor)), "{text}");
        }
        for text in ["", "0", "0.0", "-1", "+1", "1.", ".5", "1e29", "1e-29", "1.234567891", "x", "0,01", "1e99999999"]
        {
            assert_eq!(text.parse::<DecimalFactor>(), Err(NotAFactor), "{text}");
        }
    }
}
