//! What an event must be, found in another way: digit by digit, cell by cell, member by member. Called for events alone, so it may
//! take more than the decoder does.

#![allow(dead_code, reason = "each target uses its part")]

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// A scaled number has fewer digits than this, whatever its scale.
const MOST_DIGITS: usize = 36;

/// What becomes of digits beyond the scale.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    HalfToEven,
    Floor,
}

/// The number in this text times `factor` x 10^`places`, as an integer, and whether it is that exactly. `None`: it is no number, or
/// far too large.
pub(crate) fn scaled(text: &str, factor: u32, places: i64, beyond: Beyond) -> Option<(i128, bool)> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if written.is_empty() || !written.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits: Vec<u8> = times(written.iter().map(|digit| digit - b'0').collect(), factor);
    let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
    if digits.is_empty() {
        return Some((0, true));
    }
    let fraction = i128::try_from(fraction.len()).ok()?;
    let shift = exponent_of(exponent)? - fraction + i128::from(places);
    let (magnitude, exact) = shifted(digits, shift, negative, beyond)?;
    Some((if negative { -magnitude } else { magnitude }, exact))
}

/// An exponent, or one that is as good where it is beyond any use.
fn exponent_of(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0, |size: i128, digit| (size * 10 + i128::from(digit - b'0')).min(1 << 60));
    Some(if negative { -size } else { size })
}

/// Long multiplication.
fn times(mut digits: Vec<u8>, factor: u32) -> Vec<u8> {
    let mut carry = 0_u64;
    for digit in digits.iter_mut().rev() {
        carry += u64::from(*digit) * u64::from(factor);
        *digit = u8::try_from(carry % 10).expect("a digit");
        carry /= 10;
    }
    while carry > 0 {
        digits.insert(0, u8::try_from(carry % 10).expect("a digit"));
        carry /= 10;
    }
    digits
}

/// These digits, of which the first is not 0, times a power of ten.
fn shifted(mut digits: Vec<u8>, shift: i128, negative: bool, beyond: Beyond) -> Option<(i128, bool)> {
    let length = i128::try_from(digits.len()).ok()?;
    if shift >= 0 {
        if length + shift > i128::try_from(MOST_DIGITS).ok()? {
            return None;
        }
        digits.resize(usize::try_from(length + shift).ok()?, 0);
        return Some((integer(&digits), true));
    }
    let kept = usize::try_from((length + shift).max(0)).ok()?;
    if kept > MOST_DIGITS {
        return None;
    }
    let rest = &digits[kept..];
    let exact = rest.iter().all(|digit| *digit == 0);
    let integer = integer(&digits[..kept]);
    let half = -shift == length - i128::try_from(kept).ok()?; // else zeros stand before what is cut off
    let up = match beyond {
        Beyond::Floor => negative && !exact,
        Beyond::HalfToEven if !half => false,
        Beyond::HalfToEven => match rest.split_first() {
            Some((5, below)) if below.iter().all(|digit| *digit == 0) => integer % 2 == 1,
            Some((first, _)) => *first >= 5,
            None => false,
        },
    };
    Some((integer + i128::from(up), exact))
}

fn integer(digits: &[u8]) -> i128 {
    digits.iter().fold(0, |number, digit| number * 10 + i128::from(*digit))
}

/// The value that a pointer or a name leads to in a JSON text, as it is written.
pub(crate) fn json_at(text: &str, field: &str) -> Option<String> {
    let steps: Vec<String> = match field.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None if field == "@payload" || field.is_empty() => Vec::new(),
        None => vec![field.to_owned()],
    };
    let mut text = serde_json::from_str::<Box<RawValue>>(text).ok()?.get().to_owned();
    for step in steps {
        text = member(&text, &step)?;
    }
    Some(text)
}

/// A name, which need not be text: JSON lets it have half of a surrogate pair.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct NameBytes(Vec<u8>);

impl<'de> Deserialize<'de> for NameBytes {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = NameBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<NameBytes, E> {
                Ok(NameBytes(name.to_owned()))
            }
        }
        json.deserialize_bytes(Bytes)
    }
}

fn member(text: &str, step: &str) -> Option<String> {
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<NameBytes, Box<RawValue>> = serde_json::from_str(text).ok()?;
            members.get(&NameBytes(step.as_bytes().to_owned())).map(|member| member.get().to_owned())
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            elements.get(step.parse::<usize>().ok()?).map(|element| element.get().to_owned())
        }
        b'"' => member(serde_json::from_str::<String>(text).ok()?.trim(), step),
        _ => None,
    }
}

/// What a JSON value says as text: of a string its content, of null and of nothing none.
pub(crate) fn json_text(raw: Option<String>) -> Option<String> {
    match raw?.as_str() {
        "null" => None,
        raw if raw.starts_with('"') => serde_json::from_str(raw).ok(),
        raw => Some(raw.to_owned()),
    }
}

/// The cells of a row, one character after the other.
pub(crate) fn cells(row: &str, delimiter: char, quote: Option<char>) -> Vec<String> {
    let blank = |c: &char| matches!(c, ' ' | '\t') && *c != delimiter;
    let mut cells = Vec::new();
    let mut rest = row.chars().peekable();
    loop {
        let mut cell = String::new();
        while let Some(c) = rest.next_if(blank) {
            cell.push(c);
        }
        if quote.is_some() && rest.peek().copied() == quote {
            rest.next();
            cell.clear();
            while let Some(c) = rest.next() {
                if Some(c) != quote {
                    cell.push(c);
                } else if rest.peek().copied() == quote {
                    cell.extend(rest.next());
                } else {
                    break;
                }
            }
            while rest.next_if(blank).is_some() {}
        } else {
            while let Some(c) = rest.next_if(|c| *c != delimiter) {
                cell.push(c);
            }
            cell = cell.trim_matches(|c| blank(&c)).to_owned();
        }
        cells.push(cell);
        if rest.next().is_none() {
            return cells;
        }
    }
}
