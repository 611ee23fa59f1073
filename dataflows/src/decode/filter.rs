//! Conditions on fields: events for which one does not hold are skipped.
//!
//! ```text
//!   /e=trade          the field is there and is this text or number
//!   /e=trade|aggTrade one of several
//!   /e!=quote         not there, or not this
//!   /data             there and not null
//!   !/data            not there, or null
//! ```

use super::error::FieldProblem;
use super::scalar::Scalar;

/// What must hold of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is there and not null, or not.
    Exists(bool),
    /// It is one of these, or none of them.
    OneOf(Vec<Box<str>>, bool),
}

impl Condition {
    /// The field of a condition, and what must hold of it.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(text: &str) -> Result<(&str, Condition), FieldProblem> {
        let (field, condition) = match text.split_once('=') {
            None => match text.strip_prefix('!') {
                Some(field) => (field, Condition::Exists(false)),
                None => (text, Condition::Exists(true)),
            },
            Some((field, values)) => {
                let values = values.split('|').map(Into::into).collect();
                match field.strip_suffix('!') {
                    Some(field) => (field, Condition::OneOf(values, false)),
                    None => (field, Condition::OneOf(values, true)),
                }
            }
        };
        // Of another language: as a name of a field it would skip everything without a word.
        let is_foreign = text.contains(&format!("{field}==")) || field.contains(['<', '>']) || field.ends_with(' ');
        if field.is_empty() || is_foreign { Err(FieldProblem::NoCondition) } else { Ok((field, condition)) }
    }

    /// As it is given, of this field.
    pub(super) fn text(&self, field: &str) -> String {
        match self {
            Condition::Exists(true) => field.to_owned(),
            Condition::Exists(false) => format!("!{field}"),
            Condition::OneOf(values, true) => format!("{field}={}", values.join("|")),
            Condition::OneOf(values, false) => format!("{field}!={}", values.join("|")),
        }
    }

    /// Does it hold?
    pub(super) fn holds(&self, scalar: &Scalar<'_>) -> bool {
        let there = !matches!(scalar, Scalar::Absent | Scalar::Null);
        match self {
            Condition::Exists(wanted) => there == *wanted,
            Condition::OneOf(values, wanted) => {
                let is = match scalar {
                    Scalar::Text(text) => values.iter().any(|value| **value == **text),
                    Scalar::Literal(text) => values.iter().any(|value| same_number(value, text)),
                    Scalar::Absent | Scalar::Null | Scalar::Instant(_) | Scalar::Other(_) => false,
                };
                is == *wanted
            }
        }
    }

    /// Does it hold of a field with this text, as far as the text alone tells? `literal`: it is a number, `true` or `false`.
    pub(super) fn holds_plainly(&self, text: &str, literal: bool) -> Option<bool> {
        match self {
            Condition::Exists(wanted) => Some(*wanted),
            Condition::OneOf(values, wanted) => match values.iter().any(|value| **value == *text) {
                true => Some(*wanted),
                false if literal && values.iter().any(|value| number(value).is_some()) => None,
                false => Some(!*wanted),
            },
        }
    }
}

/// The same literal, or the same number: `0` is `0.00`.
fn same_number(value: &str, literal: &str) -> bool {
    value == literal || number(value).zip(number(literal)).is_some_and(|(a, b)| a == b)
}

/// A number by its sign, its digits without zeros at either end, and the power of ten of the last.
fn number(text: &str) -> Option<(bool, String, i64)> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let power = exponent.parse::<i64>().ok()?.checked_add(zeros)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((negative, significant.to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_told_apart() {
        let one_of = |values: &[&str], wanted| Condition::OneOf(values.iter().map(|v| (*v).into()).collect(), wanted);
        for (text, field, condition) in [
            ("/e=trade", "/e", one_of(&["trade"], true)),
            ("e=a|b|", "e", one_of(&["a", "b", ""], true)),
            ("e!=a=b", "e", one_of(&["a=b"], false)),
            ("/data", "/data", Condition::Exists(true)),
            ("!/data", "/data", Condition::Exists(false)),
        ] {
            assert_eq!(condition.text(field), text);
            assert_eq!(Condition::parse(text), Ok((field, condition)), "{text}");
        }
        for text in ["", "=a", "!=a", "!", "price>1", "e == trade", "e=="] {
            assert_eq!(Condition::parse(text), Err(FieldProblem::NoCondition), "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_texts_as_texts() {
        let holds = |condition: &str, scalar: Scalar<'_>| Condition::parse(condition).unwrap().1.holds(&scalar);
        for (condition, literal, want) in [
            ("a=0", "0.00", true),
            ("a=100", "1e2", true),
            ("a=1e2", "100.0", true),
            ("a=-1", "1", false),
            ("a=10", "1", false),
            ("a!=1.5", "1.50", false),
            ("a=true", "true", true),
            ("a=1|2", "2", true),
        ] {
            assert_eq!(holds(condition, Scalar::Literal(literal.into())), want, "{condition} of {literal}");
            let plainly = Condition::parse(condition).unwrap().1.holds_plainly(literal, true);
            assert!(plainly.is_none_or(|plainly| plainly == want), "{condition} of {literal}");
        }
        assert!(!holds("a=0", Scalar::Text("0.0".into())) && holds("a=0", Scalar::Text("0".into())));
        for absent in [Scalar::Absent, Scalar::Null] {
            assert!(!holds("a", absent.clone()) && holds("!a", absent.clone()) && holds("a!=1", absent.clone()));
            assert!(!holds("a=", absent));
        }
    }
}
