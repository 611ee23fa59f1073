//! The plain path: nearly every record's event, straight from its bytes. It never rejects.
//!
//! Plain is a flat object in UTF-8 with strings without escapes, in which the symbol is of ASCII and the configured
//! numbers have no exponent and at most 18 digits. Anything else, right or wrong, goes to
//! serde_json, and is decoded or gets its reason there. So this path can be wrong in one way only, by an event that
//! serde_json would not give, and a test looks for that.

use super::event::{DecodedEvent, SYMBOL, TIME, VALUE, WEIGHT};
use crate::decimal::POWERS;
use crate::numbers::NumberRule;
use crate::record::{MAX_SYMBOL_BYTES, Record};
use crate::time::EventTime;
use std::borrow::Cow;

/// Decodes plain records: the fields at the top of an object.
#[derive(Clone, Debug)]
pub(super) struct PlainDecoder {
    /// Names of fields and what they are.
    names: Vec<(Box<[u8]>, usize)>,
    by_key: bool,
    /// Decimal places from the unit of event time to nanoseconds.
    places: u32,
    numbers: NumberRule,
}

/// A number as it is written: digits, and how many of them are a fraction.
struct PlainNumber {
    negative: bool,
    digits: u64,
    fraction: usize,
}

impl PlainDecoder {
    /// For fields by these names.
    pub(super) fn new(names: Vec<(Box<[u8]>, usize)>, by_key: bool, places: u32, numbers: NumberRule) -> Self {
        PlainDecoder { names, by_key, places, numbers }
    }

    /// The event of a plain record.
    pub(super) fn event<'a>(&self, record: &Record<'a>) -> Option<DecodedEvent<'a>> {
        let text = std::str::from_utf8(record.payload?).ok()?;
        let mut scan = Scanner { bytes: text.as_bytes(), at: 0 };
        let mut symbol = None;
        let mut numbers: [Option<PlainNumber>; 4] = [const { None }; 4];
        scan.space();
        scan.pass(b'{')?;
        let mut next = 0;
        loop {
            scan.space();
            let key = scan.string()?;
            scan.space();
            scan.pass(b':')?;
            scan.space();
            match self.slot(&scan.bytes[key], &mut next) {
                None => scan.skip()?,
                Some(SYMBOL) => {
                    let value = scan.string()?;
                    if symbol.replace(&text[value]).is_some() {
                        return None;
                    }
                }
                Some(slot) => {
                    if numbers[slot].replace(scan.number()?).is_some() {
                        return None;
                    }
                }
            }
            scan.space();
            match scan.take()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        scan.space();
        if scan.at < scan.bytes.len() {
            return None;
        }
        if self.by_key {
            symbol = Some(std::str::from_utf8(record.key?).ok()?);
        }
        let symbol = symbol.filter(|symbol| {
            (1..=MAX_SYMBOL_BYTES).contains(&symbol.len()) && symbol.bytes().all(|b| (0x20..0x7f).contains(&b))
        })?;
        let rule = &self.numbers;
        let value = numbers[VALUE].as_ref()?;
        let value = rule.plain_value(value.negative, value.digits, value.fraction)?;
        let time = numbers[TIME].as_ref()?.whole(self.places)?;
        let weight = match &numbers[WEIGHT] {
            None => None,
            Some(weight) => Some(rule.plain_weight(weight.negative, weight.digits, weight.fraction)?),
        };
        Some(DecodedEvent { symbol: Cow::Borrowed(symbol), value, time, weight, rounded: false })
    }

    /// What a key is. Fields come in the same order as a rule: the one after the last is tried first.
    fn slot(&self, key: &[u8], next: &mut usize) -> Option<usize> {
        let is = |at: usize| self.names.get(at).filter(|(name, _)| same(name, key));
        if let Some((_, slot)) = is(*next) {
            *next += 1;
            return Some(*slot);
        }
        let at = self.names.iter().position(|(name, _)| same(name, key))?;
        *next = at + 1;
        Some(self.names[at].1)
    }
}

/// Equal; for a few bytes, cheaper than the call that `==` makes.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

impl PlainNumber {
    fn whole(&self, places: u32) -> Option<EventTime> {
        let power = POWERS[usize::try_from(places).ok()?];
        let ns = i64::try_from(self.digits.checked_mul(power)?).ok()?;
        let fits = self.fraction == 0 && ns <= EventTime::LIMIT;
        fits.then_some(EventTime(if self.negative { -ns } else { ns }))
    }
}

/// A position in a text.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn take(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string without escapes: where its content is.
    fn string(&mut self) -> Option<std::ops::Range<usize>> {
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

    /// A number, or one in a string, without exponent and of at most 18 digits.
    fn number(&mut self) -> Option<PlainNumber> {
        let quoted = self.bytes.get(self.at) == Some(&b'"');
        self.at += usize::from(quoted);
        let number = self.literal()?;
        if quoted {
            self.pass(b'"')?;
        }
        Some(number)
    }

    fn literal(&mut self) -> Option<PlainNumber> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let first = self.bytes.get(self.at);
        let mut digits = 0;
        let int = self.digits(&mut digits);
        if int == 0 || (int > 1 && first == Some(&b'0')) {
            return None;
        }
        let mut fraction = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits(&mut digits);
            if fraction == 0 {
                return None;
            }
        }
        (int + fraction <= 18).then_some(PlainNumber { negative, digits, fraction })
    }

    /// Passes a value of a field that is not configured.
    fn skip(&mut self) -> Option<()> {
        let word = match *self.bytes.get(self.at)? {
            b'"' => return self.string().map(drop),
            b'-' | b'0'..=b'9' => return self.literal().map(drop),
            b't' => "true",
            b'f' => "false",
            b'n' => "null",
            _ => return None,
        };
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }
}
