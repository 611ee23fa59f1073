//! A literal to a decimal.

use super::factor::DecimalFactor;
use super::options::{NumberOptions, OnPrecision, WeightSign};
use crate::decimal::{Decimal, DecimalError, ExactNumber, LIMIT, MAX_DECIMALS, POWERS, Scales};
use crate::literal::Literal;

/// A value that was rounded is at least this, scaled: it has six significant digits, and is off by at most 5·10^-6 of itself.
const LEAST_ROUNDED: u128 = 100_000;

/// Bytes of a number for which other scales are tried, at most: a hint is to cost no more than the record.
const LONGEST_HINTED: usize = 100;

/// Reads numbers as these options say.
#[derive(Clone, Debug)]
pub struct NumberRule {
    options: NumberOptions,
    value: ScaleTable,
    weight: ScaleTable,
}

/// A number that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadNumber {
    /// Scaled as the rule's [`Scales`] say.
    pub number: Decimal,
    /// It had digits beyond its scale.
    pub rounded: bool,
}

/// What a literal is multiplied by: `factor` x 10^`places`.
#[derive(Clone, Debug)]
struct ScaleTable {
    factor: u32,
    places: i64,
    /// By the number of fractional digits: what all digits as one integer are multiplied by, where that is whole and fits;
    /// else 0.
    by_fraction: [u64; 19],
}

/// A text in place of a weight that says that there is none.
pub fn is_no_weight(text: &str) -> bool {
    matches!(text, "" | "-")
}

impl ScaleTable {
    fn new(factor: u32, places: i64) -> Self {
        let power = |fraction: i64| POWERS.get(usize::try_from(places - fraction).ok()?);
        let of = |fraction: i64| power(fraction).and_then(|power| power.checked_mul(u64::from(factor))).unwrap_or(0);
        let mut by_fraction = [0; 19];
        by_fraction.iter_mut().zip(0..).for_each(|(entry, fraction)| *entry = of(fraction));
        ScaleTable { factor, places, by_fraction }
    }

    /// The magnitude of at most 18 digits, of which these many are a fraction; `None` where it is not whole.
    #[inline]
    fn short(&self, digits: u64, fraction: usize) -> Option<u128> {
        match *self.by_fraction.get(fraction)? {
            0 => self.wide(digits, fraction),
            by => Some(u128::from(digits).wrapping_mul(u128::from(by))), // 64 bits times 64 bits
        }
    }

    /// As [`ScaleTable::short`], where the factor has more than 64 bits: with more than 19 decimals.
    #[cold]
    fn wide(&self, digits: u64, fraction: usize) -> Option<u128> {
        let power = u32::try_from(self.places - i64::try_from(fraction).ok()?).ok()?;
        10_u128.checked_pow(power)?.checked_mul(u128::from(self.factor))?.checked_mul(u128::from(digits))
    }
}

impl NumberRule {
    /// The rule of these options.
    pub fn new(options: &NumberOptions) -> Self {
        let (factor, power) = options.value_scale.parts();
        let value = ScaleTable::new(factor, power + i64::from(options.decimals));
        let weight = ScaleTable::new(1, i64::from(options.weight_decimals));
        NumberRule { options: options.clone(), value, weight }
    }

    /// The scales of the decimals that it makes.
    pub fn scales(&self) -> Scales {
        self.options.scales()
    }

    /// The value that exactly one JSON number literal stands for.
    ///
    /// # Errors
    /// `Range` where it is more than 10^(29 − decimals) in magnitude, `Precision` where it has digits beyond the scale that may
    /// not be dropped.
    #[inline]
    pub fn value(&self, literal: &[u8]) -> Result<ReadNumber, DecimalError> {
        let literal = Literal::parse(literal).ok_or(DecimalError::NotANumber)?;
        let short = literal.short();
        match short.and_then(|(digits, fraction)| self.plain_value(literal.negative, digits, fraction)) {
            Some(number) => Ok(ReadNumber { number, rounded: false }),
            None => self.long_value(&literal),
        }
    }

    /// The value of any literal.
    #[cold]
    fn long_value(&self, literal: &Literal<'_>) -> Result<ReadNumber, DecimalError> {
        let (magnitude, exact) = literal.times(self.value.factor, self.value.places)?;
        let number = Decimal::bounded(literal.negative, magnitude).ok_or(DecimalError::Range)?;
        let may_round = self.options.on_precision == OnPrecision::Round && magnitude >= LEAST_ROUNDED;
        if !exact && !may_round {
            return Err(DecimalError::Precision);
        }
        Ok(ReadNumber { number, rounded: !exact })
    }

    /// The weight that exactly one JSON number literal stands for. It may round to 0: nothing is divided by a single weight.
    ///
    /// # Errors
    /// As for a value; `Range` also where it is below 0 and signs are rejected.
    #[inline]
    pub fn weight(&self, literal: &[u8]) -> Result<ReadNumber, DecimalError> {
        let literal = Literal::parse(literal).ok_or(DecimalError::NotANumber)?;
        let short = literal.short();
        match short.and_then(|(digits, fraction)| self.plain_weight(literal.negative, digits, fraction)) {
            Some(number) => Ok(ReadNumber { number, rounded: false }),
            None => self.long_weight(&literal),
        }
    }

    /// The weight of any literal.
    #[cold]
    fn long_weight(&self, literal: &Literal<'_>) -> Result<ReadNumber, DecimalError> {
        let (magnitude, exact) = literal.times(self.weight.factor, self.weight.places)?;
        let number = self.signed_weight(literal.negative, magnitude).ok_or(DecimalError::Range)?;
        if !exact && self.options.on_precision == OnPrecision::Reject {
            return Err(DecimalError::Precision);
        }
        Ok(ReadNumber { number, rounded: !exact })
    }

    /// Is it a weight that the scale cannot hold, and that costs its event no more than the weight? Where numbers may not be
    /// rounded, or this sign may not be, the event is rejected.
    #[cold]
    pub fn is_weight_beyond(&self, literal: &[u8]) -> bool {
        let NumberOptions { on_precision, weight_sign, .. } = self.options;
        let number = Literal::parse(literal).filter(|number| weight_sign != WeightSign::Reject || !number.negative);
        let is_beyond = |number: Literal<'_>| match number.times(self.weight.factor, self.weight.places) {
            Ok((magnitude, _)) => Decimal::bounded(false, magnitude).is_none(),
            Err(error) => error == DecimalError::Range,
        };
        on_precision == OnPrecision::Round && number.is_some_and(is_beyond)
    }

    #[inline]
    fn signed_weight(&self, negative: bool, magnitude: u128) -> Option<Decimal> {
        match self.options.weight_sign {
            WeightSign::Abs => Decimal::bounded(false, magnitude),
            WeightSign::Keep => Decimal::bounded(negative, magnitude),
            WeightSign::Reject => Decimal::bounded(false, magnitude).filter(|_| !negative || magnitude == 0),
        }
    }

    /// The value of a number without exponent and of at most 18 digits, given as one integer, of which these many are a
    /// fraction. `None` for whatever needs more than one multiplication: [`NumberRule::value`] decides.
    #[inline]
    pub fn plain_value(&self, negative: bool, digits: u64, fraction: usize) -> Option<Decimal> {
        Decimal::bounded(negative, self.value.short(digits, fraction)?)
    }

    /// The weight of such a number.
    #[inline]
    pub fn plain_weight(&self, negative: bool, digits: u64, fraction: usize) -> Option<Decimal> {
        self.signed_weight(negative, self.weight.short(digits, fraction)?)
    }

    /// What a value should be, for the dead letter of one that is not.
    pub fn expected_value(&self, error: DecimalError) -> String {
        let NumberOptions { decimals, on_precision, value_scale, .. } = &self.options;
        let what = match (error, on_precision) {
            (DecimalError::NotANumber, _) => return "a number, or a string that is exactly one".to_owned(),
            (DecimalError::Range, _) => format!("a number of at most {} in magnitude", most(*decimals)),
            (DecimalError::Precision, OnPrecision::Reject) => {
                format!("a number of at most {decimals} fractional digits")
            }
            (DecimalError::Precision, OnPrecision::Round) => {
                format!("a number that keeps six significant digits within {decimals} fractional digits")
            }
        };
        if *value_scale == DecimalFactor::ONE { what } else { format!("{what}, times {value_scale}") }
    }

    /// What a weight should be, for the dead letter of one that is not.
    pub fn expected_weight(&self) -> String {
        let NumberOptions { weight_decimals, on_precision, weight_sign, .. } = &self.options;
        let most = most(*weight_decimals);
        let range = match weight_sign {
            WeightSign::Reject => format!("from 0 to {most}"),
            WeightSign::Abs | WeightSign::Keep => format!("of at most {most} in magnitude"),
        };
        let digits = match on_precision {
            OnPrecision::Round => String::new(),
            OnPrecision::Reject => format!(" of at most {weight_decimals} fractional digits"),
        };
        format!("a number {range}{digits}, or none (null, an empty text, \"-\", or no field)")
    }

    /// The options with which a value would count that does not, for people.
    pub fn value_hint(&self, literal: &[u8]) -> Option<String> {
        let counts = |options: &NumberOptions| NumberRule::new(options).value(literal).is_ok();
        self.hint(literal, ("--decimals", self.options.decimals), counts, |options, decimals| {
            options.decimals = decimals
        })
    }

    /// The options with which a weight would count that does not, for people.
    pub fn weight_hint(&self, literal: &[u8]) -> Option<String> {
        let counts = |options: &NumberOptions| NumberRule::new(options).weight(literal).is_ok();
        let kept = NumberOptions { weight_sign: WeightSign::Keep, ..self.options.clone() };
        if self.options.weight_sign == WeightSign::Reject && counts(&kept) {
            return Some("--weight-sign abs or keep would take it".to_owned());
        }
        self.hint(literal, ("--weight-decimals", self.options.weight_decimals), counts, |options, decimals| {
            options.weight_decimals = decimals
        })
    }

    /// The nearest other scale with which it would count; else, whether rounding helps.
    fn hint(
        &self,
        literal: &[u8],
        (option, now): (&str, u8),
        counts: impl Fn(&NumberOptions) -> bool,
        set: impl Fn(&mut NumberOptions, u8),
    ) -> Option<String> {
        if literal.len() > LONGEST_HINTED {
            return None;
        }
        let with = |decimals: u8| {
            let mut options = self.options.clone();
            set(&mut options, decimals);
            options
        };
        // The nearest: a larger range has fewer digits, and a smaller one may be too small for others.
        let fitting = (0..=MAX_DECIMALS).filter(|decimals| counts(&with(*decimals)));
        let fitting = fitting.min_by_key(|decimals| decimals.abs_diff(now));
        let rounded = NumberOptions { on_precision: OnPrecision::Round, ..self.options.clone() };
        match fitting {
            Some(decimals) => Some(format!("{option} {decimals} would take it")),
            None => counts(&rounded).then(|| "--on-precision round would take it".to_owned()),
        }
    }
}

/// The largest magnitude at this scale.
fn most(decimals: u8) -> ExactNumber {
    ExactNumber::new(i128::try_from(LIMIT).expect("10^29 fits"), decimals)
}

#[cfg(test)]
mod tests;
