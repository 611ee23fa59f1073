//! A field's value as a format found it, before it is a symbol, a number or a time.

use std::borrow::Cow;

/// What stands in a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    /// There is no such field.
    #[default]
    Absent,
    /// It is null.
    Null,
    /// The content of a string.
    Text(Cow<'a, str>),
    /// A number, as its digits are written (JSON's grammar), or `true` or `false`.
    Literal(Cow<'a, str>),
    /// An instant whose unit the schema gives: nanoseconds since 1970.
    Instant(i128),
    /// Something else, for people: the beginning of an object or array as text, or `bytes`, `an enum`.
    Other(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// Of a JSON value, as it was written. A string that is not Unicode text (half of a surrogate pair) is something else.
    pub(crate) fn of_json(raw: Cow<'a, str>) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') => Scalar::Null,
            Some(b'"') if !raw.contains('\\') => Scalar::Text(match raw {
                Cow::Borrowed(raw) => Cow::Borrowed(&raw[1..raw.len() - 1]),
                Cow::Owned(raw) => Cow::Owned(raw[1..raw.len() - 1].to_owned()),
            }),
            Some(b'"') => match serde_json::from_str(&raw) {
                Ok(text) => Scalar::Text(Cow::Owned(text)),
                Err(_) => Scalar::Other(raw),
            },
            Some(b'{' | b'[') => Scalar::Other(raw),
            _ => Scalar::Literal(raw),
        }
    }

    /// As it stands in a record, for people; a string in quotes.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match self {
            Scalar::Absent => "no such field".into(),
            Scalar::Null => "null".into(),
            Scalar::Text(text) => format!("\"{text}\"").into(),
            Scalar::Literal(text) | Scalar::Other(text) => Cow::Borrowed(text),
            Scalar::Instant(ns) => format!("an instant of {ns} ns").into(),
        }
    }
}
