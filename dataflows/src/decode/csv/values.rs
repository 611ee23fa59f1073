//! What the text of a cell says to its slot.

use super::columns::SlotUse;
use super::number;
use crate::decode::scalar::Scalar;
use std::borrow::Cow;

/// What a cell says to its slot.
pub(super) fn scalar(text: Cow<'_, str>, slot_use: SlotUse) -> Scalar<'_> {
    if text.is_empty() {
        return Scalar::Null;
    }
    match slot_use {
        SlotUse::Text => Scalar::Text(text),
        SlotUse::Number => {
            let trimmed = trimmed(text);
            match (trimmed.is_empty(), number::literal(&trimmed)) {
                (true, _) => Scalar::Null,
                (_, None) => Scalar::Text(trimmed),
                (_, Some(Cow::Owned(literal))) => Scalar::Literal(literal.into()),
                (_, Some(Cow::Borrowed(_))) => Scalar::Literal(trimmed),
            }
        }
        SlotUse::Any => {
            let trimmed = trimmed(text);
            match (trimmed.is_empty(), number::is_literal(&trimmed)) {
                (true, _) => Scalar::Null,
                (_, true) => Scalar::Literal(trimmed),
                (_, false) => Scalar::Text(trimmed),
            }
        }
    }
}

/// Without blanks around it, which may have been in quotes.
fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    const BLANKS: [char; 2] = [' ', '\t'];
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(BLANKS)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(BLANKS).to_owned()),
    }
}
