//! JSON's tokens, straight from bytes: those without escapes, and nothing that is not valid JSON.

use super::words::{HIGHS, ONES, digits_of, eight_digits, marks_of};
use crate::decimal::POWERS;
use std::ops::Range;

/// Objects and arrays within one another that are passed; deeper ones are left to serde_json.
const MAX_DEPTH: usize = 64;
/// Digits of a number that fit a u64.
const MAX_DIGITS: usize = 19;
/// The value of a point, where digits have theirs.
const POINT: u64 = (b'.' ^ b'0') as u64;

/// A value that was found, by where its text is: of a string, what is between the quotes. Small, for rows of them are cleared
/// for every record.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonToken {
    start: u32,
    end: u32,
    digits: u64,
    fraction: u8,
    negative: bool,
    /// A number without exponent and of at most 19 digits, where one was asked for.
    is_number: bool,
    pub(super) kind: JsonTokenKind,
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonTokenKind {
    /// There is none.
    Absent,
    /// `null`.
    Null,
    /// A string without escapes.
    Text,
    /// A number, or `true` or `false`.
    Literal,
    /// An object or an array.
    Nested,
}

/// A number as it is written: digits, and how many of them are a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlainNumber {
    pub(super) negative: bool,
    pub(super) digits: u64,
    pub(super) fraction: usize,
}

impl JsonToken {
    pub(super) const ABSENT: JsonToken = JsonToken {
        start: 0,
        end: 0,
        digits: 0,
        fraction: 0,
        negative: false,
        is_number: false,
        kind: JsonTokenKind::Absent,
    };

    /// At places below 2^32.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a longer text is not scanned; a fraction has at most 18 digits"
    )]
    pub(super) fn new(range: Range<usize>, kind: JsonTokenKind, number: Option<PlainNumber>) -> Self {
        let (is_number, number) = (number.is_some(), number.unwrap_or_default());
        let PlainNumber { negative, digits, fraction } = number;
        JsonToken {
            start: range.start as u32,
            end: range.end as u32,
            digits,
            fraction: fraction as u8,
            negative,
            is_number,
            kind,
        }
    }

    /// Where its text is.
    #[inline]
    pub(super) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The number that it is.
    #[inline]
    pub(super) fn number(&self) -> Option<PlainNumber> {
        let JsonToken { negative, digits, fraction, .. } = *self;
        self.is_number.then_some(PlainNumber { negative, digits, fraction: fraction.into() })
    }
}

/// A position in a text. Every step is `None` where the text is not what is looked for, or has what is left to serde_json.
pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Scanner<'_> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    pub(super) fn pass(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next eight bytes, the first one lowest; behind the end there are zeros.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.first_chunk().map_or_else(|| self.last_word(rest), |word| u64::from_le_bytes(*word))
    }

    /// Fewer than eight.
    fn last_word(&self, rest: &[u8]) -> u64 {
        match self.bytes.last_chunk() {
            _ if rest.is_empty() => 0,
            Some(word) => u64::from_le_bytes(*word) >> (64 - 8 * rest.len()),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }

    /// A string without escapes: where its content is.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Range<usize>> {
        self.pass(b'"')?;
        let start = self.at;
        // Eight bytes at once; the lowest mark is of a byte that is a quote, a backslash or a control character, or of the end.
        loop {
            let word = self.word();
            let control = word.wrapping_sub(0x20 * ONES) & !word & HIGHS;
            let marks = marks_of(word, b'"') | marks_of(word, b'\\') | control;
            if marks != 0 {
                let end = self.at + (marks.trailing_zeros() / 8) as usize;
                self.at = end + 1;
                return (self.bytes.get(end) == Some(&b'"')).then_some(start..end);
            }
            self.at += 8;
        }
    }

    /// Eight at once.
    #[inline]
    fn digits(&mut self, onto: &mut u64) -> usize {
        let start = self.at;
        loop {
            let (values, others) = digits_of(self.word());
            let count = others.trailing_zeros() / 8;
            if count > 0 {
                let number = eight_digits(values << (64 - 8 * count));
                *onto = onto.wrapping_mul(POWERS[count as usize]).wrapping_add(number);
            }
            self.at += count as usize;
            if count < 8 {
                return self.at - start;
            }
        }
    }

    /// A number literal; what it is, if it has no exponent and at most 19 digits.
    #[inline]
    pub(super) fn literal(&mut self) -> Option<Option<PlainNumber>> {
        let start = self.at;
        if let Some(number) = self.plain_number()
            && !matches!(self.peek(), Some(b'e' | b'E'))
        {
            return Some(Some(number));
        }
        self.at = start;
        self.any_literal()
    }

    /// A number as nearly all are written: digits, with a point among them at most, without a sign. What stands behind it is not
    /// looked at, but it is no digit, and no point behind a whole number. None moves nothing.
    #[inline(always)]
    pub(super) fn plain_number(&mut self) -> Option<PlainNumber> {
        let (values, others) = digits_of(self.word());
        let int = others.trailing_zeros() / 8;
        if int == 0 || (int > 1 && values & 0xff == 0) {
            return None;
        }
        if int == 8 {
            return self.whole_number(eight_digits(values));
        }
        if values >> (8 * int) & 0xff != POINT {
            self.at += int as usize;
            return Some(PlainNumber { negative: false, digits: eight_digits(values << (64 - 8 * int)), fraction: 0 });
        }
        let end = (others & (others - 1)).trailing_zeros() / 8;
        let before = (1_u64 << (8 * int)) - 1;
        let digits = eight_digits(((values & before) | (values >> 8 & !before)) << (72 - 8 * end));
        let fraction = (end - int - 1) as usize;
        let start = self.at;
        self.at += end as usize;
        let (digits, all) = if end == 8 { self.more_digits(digits, fraction) } else { (digits, fraction) };
        if all == 0 || all == fraction + 8 {
            self.at = start; // no fraction, or one that may have still more digits
            return None;
        }
        Some(PlainNumber { negative: false, digits, fraction: all })
    }

    /// A whole number whose first eight digits are these.
    #[inline]
    fn whole_number(&mut self, first: u64) -> Option<PlainNumber> {
        let start = self.at;
        self.at += 8;
        let (mut digits, mut count) = self.more_digits(first, 8);
        if count == 16 {
            (digits, count) = self.more_digits(digits, count);
        }
        if count > MAX_DIGITS || self.peek() == Some(b'.') {
            self.at = start;
            return None;
        }
        Some(PlainNumber { negative: false, digits, fraction: 0 })
    }

    /// Up to eight digits more, behind these: all of them, and their count.
    #[inline]
    fn more_digits(&mut self, digits: u64, count: usize) -> (u64, usize) {
        let (values, others) = digits_of(self.word());
        let more = others.trailing_zeros() / 8;
        if more == 0 {
            return (digits, count);
        }
        self.at += more as usize;
        let number = eight_digits(values << (64 - 8 * more));
        (digits.wrapping_mul(POWERS[more as usize]).wrapping_add(number), count + more as usize)
    }

    /// Any of them.
    fn any_literal(&mut self) -> Option<Option<PlainNumber>> {
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.peek();
        let mut digits = 0;
        let int = self.digits(&mut digits);
        if int == 0 || (int > 1 && first == Some(b'0')) {
            return None;
        }
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits(&mut digits);
            if fraction == 0 {
                return None;
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            return (self.digits(&mut 0) > 0).then_some(None);
        }
        Some((int + fraction <= MAX_DIGITS).then_some(PlainNumber { negative, digits, fraction }))
    }

    /// A value that is not configured. `depth`: how many objects and arrays it is in.
    pub(super) fn skip(&mut self, depth: usize) -> Option<JsonTokenKind> {
        let word = match self.peek()? {
            b'"' => return self.string().map(|_| JsonTokenKind::Text),
            b'-' | b'0'..=b'9' => return self.literal().map(|_| JsonTokenKind::Literal),
            b'{' | b'[' if depth < MAX_DEPTH => return self.skip_nested(depth + 1),
            b't' => "true",
            b'f' => "false",
            b'n' => "null",
            _ => return None,
        };
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())?;
        Some(if word == "null" { JsonTokenKind::Null } else { JsonTokenKind::Literal })
    }

    /// A value that is neither an object nor an array.
    #[inline]
    pub(super) fn pass_scalar(&mut self) -> Option<()> {
        if matches!(self.peek()?, b'{' | b'[') { None } else { self.skip(0).map(drop) }
    }

    /// The same, which is configured: see [`Scanner::token`].
    #[inline]
    pub(super) fn scalar(&mut self, number: bool) -> Option<JsonToken> {
        if matches!(self.peek()?, b'{' | b'[') { None } else { self.token(number) }
    }

    fn skip_nested(&mut self, depth: usize) -> Option<JsonTokenKind> {
        let object = self.take()? == b'{';
        let close = if object { b'}' } else { b']' };
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Some(JsonTokenKind::Nested);
        }
        loop {
            self.space();
            if object {
                self.string()?;
                self.space();
                self.pass(b':')?;
                self.space();
            }
            self.skip(depth)?;
            self.space();
            match self.take()? {
                b',' => {}
                byte if byte == close => return Some(JsonTokenKind::Nested),
                _ => return None,
            }
        }
    }

    /// A configured value. `number`: it may be a number or a string that is exactly one.
    #[inline]
    pub(super) fn token(&mut self, number: bool) -> Option<JsonToken> {
        let start = self.at;
        match self.peek()? {
            b'"' if number && matches!(self.bytes.get(start + 1), Some(b'-' | b'0'..=b'9')) => {
                self.at += 1;
                if let Some(number) = self.literal()
                    && self.peek() == Some(b'"')
                {
                    let end = self.at;
                    self.at += 1;
                    return Some(JsonToken::new(start + 1..end, JsonTokenKind::Text, number));
                }
                self.at = start; // a text that begins as a number does
                Some(JsonToken::new(self.string()?, JsonTokenKind::Text, None))
            }
            b'"' => Some(JsonToken::new(self.string()?, JsonTokenKind::Text, None)),
            b'-' | b'0'..=b'9' => {
                let number = self.literal()?;
                Some(JsonToken::new(start..self.at, JsonTokenKind::Literal, number))
            }
            _ => {
                let kind = self.skip(0)?;
                Some(JsonToken::new(start..self.at, kind, None))
            }
        }
    }
}
