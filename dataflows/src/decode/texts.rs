//! JSON strings and numbers, from the text they were written in.

use std::borrow::Cow;

/// A JSON value that is not a string.
pub(super) struct NotAString;

/// A string's content; none if it is not Unicode text (half of a surrogate pair).
pub(super) fn string(raw: &str) -> Result<Option<Cow<'_, str>>, NotAString> {
    let inside = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).ok_or(NotAString)?;
    if inside.contains('\\') {
        return Ok(serde_json::from_str(raw).ok().map(Cow::Owned));
    }
    Ok(Some(Cow::Borrowed(inside)))
}

/// The text of a number, or of a string that is to be exactly one number literal.
pub(super) fn number(raw: &str) -> Result<Cow<'_, str>, NotAString> {
    match raw.as_bytes().first() {
        Some(b'"') => string(raw)?.ok_or(NotAString),
        _ => Ok(Cow::Borrowed(raw)), // a literal, or something that will be no number
    }
}
