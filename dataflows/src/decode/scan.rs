//! JSON's tokens, straight from bytes: those without escapes, and nothing that is not valid JSON.

use std::ops::Range;

/// Objects and arrays within one another that are passed; deeper ones are left to serde_json.
const MAX_DEPTH: usize = 64;
/// Digits of a number that fit a u64.
const MAX_DIGITS: usize = 18;

/// A value that was found, by where its text is: of a string, what is between the quotes. Small, for rows of them are cleared
/// for every record.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonToken {
    start: u32,
    end: u32,
    digits: u64,
    fraction: u8,
    negative: bool,
    /// A number without exponent and of at most 18 digits, where one was asked for.
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
    pub(super) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The number that it is.
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
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn pass(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    pub(super) fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string without escapes: where its content is.
    pub(super) fn string(&mut self) -> Option<Range<usize>> {
        const ONES: u64 = u64::MAX / 0xff;
        const HIGHS: u64 = ONES << 7;
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        self.pass(b'"')?;
        let start = self.at;
        // Eight bytes at once; the lowest mark is of a byte that is a quote, a backslash or a control character.
        while let Some((word, _)) = self.bytes.get(self.at..).and_then(|rest| rest.split_first_chunk()) {
            let word = u64::from_le_bytes(*word);
            let control = word.wrapping_sub(0x20 * ONES) & !word;
            let marks = (zeros(word ^ (0x22 * ONES)) | zeros(word ^ (0x5c * ONES)) | control) & HIGHS;
            if marks != 0 {
                self.at += usize::try_from(marks.trailing_zeros() / 8).expect("at most 7");
                break;
            }
            self.at += 8;
        }
        loop {
            match self.take()? {
                b'"' => return Some(start..self.at - 1),
                b'\\' | ..0x20 => return None,
                _ => {}
            }
        }
    }

    fn digits(&mut self, onto: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit) = self.bytes.get(self.at).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            *onto = onto.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        self.at - start
    }

    /// A number literal; what it is, if it has no exponent and at most 18 digits.
    pub(super) fn literal(&mut self) -> Option<Option<PlainNumber>> {
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
