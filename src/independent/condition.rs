//! What `--where` asks of a field (R1): `FIELD=A|B`, `FIELD!=A|B`, `FIELD`, `!FIELD`.

use super::found::FieldText;
use super::number::WrittenNumber;

/// What must hold of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldCondition {
    /// It is there and not null, or it is not.
    IsThere(bool),
    /// It is one of these, or it is none of them.
    Is(Vec<String>, bool),
}

impl FieldCondition {
    /// The field of a condition that is one, and what must hold of it.
    pub(super) fn parse(text: &str) -> (String, Self) {
        match text.split_once('=') {
            Some((field, values)) => {
                let values = values.split('|').map(str::to_owned).collect();
                let unequal = field.strip_suffix('!');
                (unequal.unwrap_or(field).to_owned(), FieldCondition::Is(values, unequal.is_none()))
            }
            None => {
                let absent = text.strip_prefix('!');
                (absent.unwrap_or(text).to_owned(), FieldCondition::IsThere(absent.is_none()))
            }
        }
    }

    /// Does it hold?
    pub(super) fn holds(&self, found: &FieldText) -> bool {
        match self {
            FieldCondition::IsThere(wanted) => !matches!(found, FieldText::Absent | FieldText::Null) == *wanted,
            FieldCondition::Is(values, wanted) => values.iter().any(|value| is(value, found)) == *wanted,
        }
    }
}

/// Texts as texts, numbers as numbers; `true` and `false` as they are written.
fn is(value: &str, found: &FieldText) -> bool {
    match found {
        FieldText::Text(text) => text == value,
        FieldText::Literal(text) => {
            let numbers = WrittenNumber::parse(value).zip(WrittenNumber::parse(text));
            text == value || numbers.is_some_and(|(a, b)| a == b)
        }
        _ => false,
    }
}
