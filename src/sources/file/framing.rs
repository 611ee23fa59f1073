//! What the records of a file of JSON are: its lines, or its values. A rule on the file's first bytes, so that offsets are a
//! function of the file alone.
//!
//! | the file begins with | and | its records are |
//! |---|---|---|
//! | neither `{` nor `[` | | its lines |
//! | an object that is valid JSON | which ends on its own line, with nothing behind it | its lines |
//! | | which spans lines, or is followed by another text on its line | its values |
//! | `[` and a valid first element | and the line that begins so is no whole array | its values |
//! | an array on one line | of objects or arrays, or empty, with nothing but white space behind it to the end of the file | its values |
//! | | else | its lines |
//! | what is broken before that | | its lines |
//!
//! So JSON lines whose first line is broken are lines, and a broken line is one rejected record.

use super::scan::{Scanned, ValueScan, is_blank};
use memchr::memchr;
use serde::de::IgnoredAny;

/// Bytes by which the framing is decided at the latest.
pub(super) const DECISION_BYTES: usize = 1 << 20;

/// What the records of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramedBy {
    Lines,
    Values,
    /// Each after its length, as a container's data are.
    Lengths,
}

/// The beginning of a file, from its first byte that is not blank.
struct Beginning<'a> {
    text: &'a [u8],
    /// It is cut off at what is looked at.
    is_cut: bool,
    /// No more of it will come, or is looked at.
    is_all: bool,
}

/// Decides by the first bytes of a text; none: more of them are needed. `ended`: there are no more.
pub(super) fn decide(text: &[u8], ended: bool) -> Option<FramedBy> {
    let is_cut = text.len() >= DECISION_BYTES;
    let (text, is_all) = (&text[..text.len().min(DECISION_BYTES)], ended || is_cut);
    let Some(start) = text.iter().position(|byte| !is_blank(*byte)) else {
        return is_all.then_some(FramedBy::Lines);
    };
    let beginning = Beginning { text: &text[start..], is_cut, is_all };
    match text[start] {
        b'{' => beginning.object(),
        b'[' => beginning.array(),
        _ => Some(FramedBy::Lines),
    }
}

impl Beginning<'_> {
    fn object(&self) -> Option<FramedBy> {
        match ValueScan::new().scan(self.text) {
            Scanned::More if !self.is_all => None,
            Scanned::Whole(length) if is_valid(&self.text[..length]) => {
                if spans_lines(&self.text[..length]) {
                    return Some(FramedBy::Values);
                }
                // Its line end is enough: a pipe's next record may come in an hour.
                let rest = &self.text[length..];
                match rest.iter().find(|byte| !is_blank(**byte) || **byte == b'\n') {
                    None => self.is_all.then_some(FramedBy::Lines),
                    Some(b'{' | b'[' | b',') => Some(FramedBy::Values),
                    Some(_) => Some(FramedBy::Lines),
                }
            }
            // An object of many lines that is longer than what is looked at.
            Scanned::More if self.is_cut && spans_lines(self.text) => Some(FramedBy::Values),
            _ => Some(FramedBy::Lines),
        }
    }

    fn array(&self) -> Option<FramedBy> {
        let Some(first) = self.text[1..].iter().position(|byte| !is_blank(*byte)).map(|at| at + 1) else {
            return self.is_all.then_some(FramedBy::Lines);
        };
        let element = &self.text[first..];
        let of_texts = match (element[0], ValueScan::new().scan(element)) {
            (b']', _) => true,
            (_, Scanned::More) if !self.is_all => return None,
            (sign, Scanned::Whole(length)) if is_valid(&element[..length]) => {
                if spans_lines(&self.text[..first + length]) {
                    return Some(FramedBy::Values);
                }
                matches!(sign, b'{' | b'[')
            }
            (_, Scanned::More) if self.is_cut && spans_lines(self.text) => return Some(FramedBy::Values),
            _ => return Some(FramedBy::Lines),
        };
        let by_element = if of_texts { FramedBy::Values } else { FramedBy::Lines };
        match ValueScan::new().scan(self.text) {
            Scanned::Whole(length) if spans_lines(&self.text[..length]) => Some(FramedBy::Values),
            Scanned::Whole(length) => self.behind(length).map(|behind| match behind {
                Behind::Text => FramedBy::Values,
                Behind::Nothing => by_element,
                Behind::Lines | Behind::Other => FramedBy::Lines,
            }),
            Scanned::More if spans_lines(self.text) => Some(FramedBy::Values),
            Scanned::More => self.is_all.then_some(by_element),
            Scanned::Broken(at) if spans_lines(&self.text[..at]) => Some(FramedBy::Values),
            // A line end within a string, or within a line that is cut off.
            Scanned::Broken(at) if self.text[at] == b'\n' => Some(FramedBy::Lines),
            Scanned::Broken(_) => Some(by_element),
        }
    }

    /// What stands behind an array of this length that is whole on its line.
    fn behind(&self, length: usize) -> Option<Behind> {
        let rest = &self.text[length..];
        let next = rest.iter().position(|byte| !is_blank(*byte));
        let line_ends = memchr(b'\n', &rest[..next.unwrap_or(rest.len())]).is_some();
        match next.map(|at| rest[at]) {
            None if self.is_all => Some(Behind::Nothing),
            None => None,
            Some(_) if line_ends => Some(Behind::Lines),
            Some(b'{' | b'[' | b',') => Some(Behind::Text),
            Some(_) => Some(Behind::Other),
        }
    }
}

/// What stands behind an array that is whole on its line.
enum Behind {
    /// White space, to the end of the file.
    Nothing,
    /// More lines.
    Lines,
    /// The begin of another text, on the same line.
    Text,
    /// Something else on the same line.
    Other,
}

fn spans_lines(text: &[u8]) -> bool {
    memchr(b'\n', text).is_some()
}

fn is_valid(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}
