//! Numbers as cells have them: in more ways than JSON writes them, and some that say no one number.

use crate::decode::scan::Scanner;
use std::borrow::Cow;

/// Is it a number in JSON's grammar?
pub(super) fn is_literal(text: &str) -> bool {
    let mut scan = Scanner { bytes: text.as_bytes(), at: 0 };
    scan.literal().is_some() && scan.at == text.len()
}

/// A number as JSON writes it: without a plus sign, without zeros before it, with digits on both sides of its point. `None`: it is
/// no number.
pub(super) fn literal(text: &str) -> Option<Cow<'_, str>> {
    if is_literal(text) {
        return Some(Cow::Borrowed(text));
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let at = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(at);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = match whole.trim_start_matches('0') {
        "" if whole.is_empty() && fraction.is_empty() => return None,
        "" => "0",
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => digits,
        // (A sign behind zeros is none of a number.)
        _ => return None,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let written = format!("{sign}{whole}{point}{fraction}{exponent}");
    is_literal(&written).then_some(Cow::Owned(written))
}

/// What the text seems to be that is no number, and what to do about it.
pub(super) fn hint(text: &str) -> Option<&'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let known = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.' | '\'' | ' ' | '\u{a0}' | '\u{202f}');
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == ',') || !unsigned.chars().all(known) {
        return None;
    }
    let (commas, points) = (unsigned.matches(',').count(), unsigned.matches('.').count());
    let after = unsigned.rsplit(',').next().unwrap_or_default();
    let before = unsigned.split(',').next().unwrap_or_default();
    let last_is_comma = unsigned.rfind(',') > unsigned.rfind('.');
    match (commas, points) {
        (1, 0) if after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0') => Some(
            "a comma for thousands or for decimals, which it does not say: write it with a point, or without the comma",
        ),
        (1, _) if last_is_comma => Some("a decimal comma: convert it to a point first"),
        (0, 0..=1) if unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => None,
        _ => Some("a separator of thousands: take it out first"),
    }
}
