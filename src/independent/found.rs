//! What stands in a field, before it is a symbol, a number or a time.

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldText {
    Absent,
    Null,
    Text(String),
    /// A number as it is written, or `true` or `false`.
    Literal(String),
    /// The log's own stamp, in nanoseconds.
    Stamp(i64),
    /// An object or an array.
    Nested,
    /// A string that is no Unicode text, or a key that is no UTF-8.
    NoText,
}
