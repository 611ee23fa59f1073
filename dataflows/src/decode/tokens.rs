//! The event of a plain record's tokens; none where anything about it is to be looked at more closely.

use super::assemble::{Assembler, IdHasher};
use super::event::{DecodedEvent, EventId, EventOutcome};
use super::scan::{JsonToken, JsonTokenKind, PlainNumber, Scanner};
use super::shape::{FieldInput, SimpleShape};
use super::times::iso::plain_instant;
use super::words::is_printable;
use crate::decimal::POWERS;
use crate::record::{MAX_SYMBOL_BYTES, Record};
use crate::time::EventTime;
use std::borrow::Cow;
use std::ops::Range;

/// A row of any number of slots.
#[derive(Clone, Copy)]
pub(super) struct TokenRow<'f> {
    pub(super) tokens: &'f [JsonToken],
    pub(super) misshapen: bool,
}

/// The event of a row of tokens, one for each slot, that stand in this text, which is valid UTF-8.
#[inline]
pub(super) fn row_event<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    bytes: &'a [u8],
    tokens: &[JsonToken],
) -> Option<EventOutcome<'a>> {
    let message = TokenRow { tokens, misshapen: false };
    Found { rule, record, bytes, message, element: None }.outcome()
}

/// The tokens of an event.
pub(super) struct Found<'f, 'a> {
    pub(super) rule: &'a Assembler,
    pub(super) record: &'f Record<'a>,
    /// The record's text, which is valid UTF-8.
    pub(super) bytes: &'a [u8],
    pub(super) message: TokenRow<'f>,
    pub(super) element: Option<TokenRow<'f>>,
}

impl<'a> Found<'_, 'a> {
    #[inline]
    fn text(&self, token: &JsonToken) -> Option<&'a str> {
        std::str::from_utf8(self.bytes.get(token.range())?).ok()
    }

    #[inline]
    fn token(&self, slot: usize) -> &JsonToken {
        match &self.element {
            Some(row) if self.rule.shape.is_of_element(slot) => &row.tokens[slot],
            _ => &self.message.tokens[slot],
        }
    }

    /// Do all conditions on the record hold?
    pub(super) fn passes_message(&self) -> Option<bool> {
        let of_message =
            |input: &FieldInput| !matches!(input, FieldInput::Slot(at) if self.rule.shape.is_of_element(*at));
        self.passes(of_message)
    }

    fn passes(&self, which: impl Fn(&FieldInput) -> bool) -> Option<bool> {
        for (input, condition) in self.rule.shape.filter.iter().filter(|(input, _)| which(input)) {
            let holds = match input {
                FieldInput::Slot(at) => {
                    let token = self.token(*at);
                    match token.kind {
                        JsonTokenKind::Absent | JsonTokenKind::Null => condition.holds(&super::scalar::Scalar::Absent),
                        JsonTokenKind::Text => condition.holds_plainly(self.text(token)?, false)?,
                        JsonTokenKind::Literal => condition.holds_plainly(self.text(token)?, true)?,
                        JsonTokenKind::Nested => return None,
                    }
                }
                _ => return None,
            };
            if !holds {
                return Some(false);
            }
        }
        Some(true)
    }

    /// What it is.
    pub(super) fn outcome(&self) -> Option<EventOutcome<'a>> {
        let mut given = None;
        self.give(&mut |outcome| given = Some(outcome))?;
        given
    }

    /// Hands out what it is: an event where it is made, for it is large.
    #[inline]
    pub(super) fn give(&self, each: &mut impl FnMut(EventOutcome<'a>)) -> Option<()> {
        if !self.rule.shape.filter.is_empty() && !self.passes(|_| true)? {
            each(EventOutcome::Skipped);
            return Some(());
        }
        if self.message.misshapen || self.element.is_some_and(|row| row.misshapen) {
            return None;
        }
        if let (Some(simple), None) = (&self.rule.simple, &self.element)
            && self.simple(simple, each).is_some()
        {
            return Some(());
        }
        each(self.any_outcome()?);
        Some(())
    }

    /// The event of a record that has its symbol, value and time each in a field, as nearly all have.
    #[inline]
    fn simple(&self, simple: &SimpleShape, each: &mut impl FnMut(EventOutcome<'a>)) -> Option<()> {
        let tokens = self.message.tokens;
        let (symbol, value, time) = (&tokens[simple.symbol], &tokens[simple.value], &tokens[simple.time]);
        if symbol.kind != JsonTokenKind::Text || !is_symbol(self.bytes, symbol.range()) {
            return None;
        }
        let symbol = Cow::Borrowed(self.text(symbol)?);
        let PlainNumber { negative, digits, fraction } = value.number()?;
        let value = self.rule.numbers.plain_value(negative, digits, fraction)?;
        let time = whole(&time.number()?, simple.places)?;
        let weight = match simple.weight.map(|slot| &tokens[slot]) {
            None | Some(JsonToken { kind: JsonTokenKind::Absent | JsonTokenKind::Null, .. }) => None,
            Some(token) => {
                let PlainNumber { negative, digits, fraction } = token.number()?;
                Some(self.rule.numbers.plain_weight(negative, digits, fraction)?)
            }
        };
        let event = DecodedEvent { symbol, value, time, weight, weight_beyond: false, id: None, rounded: false };
        each(EventOutcome::Event(event));
        Some(())
    }

    #[inline(never)]
    fn any_outcome(&self) -> Option<EventOutcome<'a>> {
        let shape = &self.rule.shape;
        let symbol = match shape.symbol.as_slice() {
            [one] => Cow::Borrowed(self.symbol(one)?),
            parts => Cow::Owned(parts.iter().map(|part| self.symbol(part)).collect::<Option<Vec<_>>>()?.join("/")),
        };
        if symbol.len() > MAX_SYMBOL_BYTES {
            return None;
        }
        let FieldInput::Slot(value) = shape.value else { return None };
        let PlainNumber { negative, digits, fraction } = self.token(value).number()?;
        let value = self.rule.numbers.plain_value(negative, digits, fraction)?;
        let time = self.time()?;
        let weight = match &shape.weight {
            None => None,
            Some(FieldInput::Slot(at)) => match self.token(*at) {
                JsonToken { kind: JsonTokenKind::Absent | JsonTokenKind::Null, .. } => None,
                token => {
                    let PlainNumber { negative, digits, fraction } = token.number()?;
                    Some(self.rule.numbers.plain_weight(negative, digits, fraction)?)
                }
            },
            Some(_) => return None,
        };
        let id = if shape.id.is_empty() { None } else { self.id(&symbol)? };
        Some(EventOutcome::Event(DecodedEvent {
            symbol,
            value,
            time,
            weight,
            weight_beyond: false,
            id,
            rounded: false,
        }))
    }

    /// The id, where all its parts are there.
    fn id(&self, symbol: &str) -> Option<Option<EventId>> {
        let inputs = &self.rule.shape.id;
        let (mut hasher, mut whole) = (IdHasher::new(symbol), true);
        for (at, input) in inputs.iter().enumerate() {
            let FieldInput::Slot(slot) = input else { return None };
            match self.token(*slot) {
                JsonToken { kind: JsonTokenKind::Absent | JsonTokenKind::Null, .. } => whole = false,
                JsonToken { kind: JsonTokenKind::Nested, .. } => return None,
                token if token.range().is_empty() => whole = false,
                token => hasher.add(self.text(token)?, at + 1 == inputs.len()),
            }
        }
        Some(whole.then(|| hasher.id()))
    }

    /// A part of the symbol, where it is plain ASCII.
    #[inline]
    fn symbol(&self, input: &'a FieldInput) -> Option<&'a str> {
        let text = match input {
            FieldInput::Slot(at) => {
                let token = self.token(*at);
                let is_name = match token.kind {
                    JsonTokenKind::Text => true,
                    JsonTokenKind::Literal => self.bytes[token.range()].iter().all(u8::is_ascii_digit),
                    _ => false,
                };
                self.text(token).filter(|_| is_name)?
            }
            FieldInput::Key => std::str::from_utf8(self.record.key?).ok()?,
            FieldInput::Log(name) => name.text(&self.rule.log_names)?,
            FieldInput::Constant(text) => text,
            FieldInput::Timestamp => return None,
        };
        (!text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))).then_some(text)
    }

    #[inline]
    fn time(&self) -> Option<EventTime> {
        match self.rule.shape.time.as_slice() {
            [FieldInput::Slot(at)] => {
                let places = self.rule.number_places()?;
                let token = self.token(*at);
                match token.number() {
                    Some(number) => whole(&number, places),
                    None if token.kind == JsonTokenKind::Text => plain_instant(&self.bytes[token.range()]),
                    None => None,
                }
            }
            [FieldInput::Timestamp] => self.record.timestamp,
            _ => None,
        }
    }
}

/// Has it 1 to [`MAX_SYMBOL_BYTES`] bytes, all of them printable ASCII?
#[inline]
fn is_symbol(bytes: &[u8], Range { start, end }: Range<usize>) -> bool {
    let mut scan = Scanner { bytes, at: start };
    while scan.at < end {
        let last = (end - scan.at).min(8);
        if !is_printable(scan.word(), last) {
            return false;
        }
        scan.at += last;
    }
    start < end && end - start <= MAX_SYMBOL_BYTES
}

#[inline]
fn whole(number: &PlainNumber, places: u32) -> Option<EventTime> {
    let power = POWERS[usize::try_from(places).ok()?];
    let ns = i64::try_from(number.digits.checked_mul(power)?).ok()?;
    let fits = number.fraction == 0 && ns <= EventTime::LIMIT;
    fits.then_some(EventTime(if number.negative { -ns } else { ns }))
}
