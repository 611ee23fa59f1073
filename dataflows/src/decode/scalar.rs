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
