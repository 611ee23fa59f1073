//! The event of a plain record's tokens; none where anything about it is to be looked at more closely.

use super::assemble::{Assembler, IdHasher};
use super::event::{DecodedEvent, EventId, EventOutcome};
use super::scan::{JsonToken, JsonTokenKind, PlainNumber};
use super::shape::FieldInput;
use super::times::iso::plain_instant;
use crate::decimal::POWERS;
use crate::record::{MAX_SYMBOL_BYTES, Record};
use crate::time::EventTime;
use std::borrow::Cow;

/// A row of any number of slots.
#[derive(Clone, Copy)]
pub(super) struct TokenRow<'f> {
    pub(super) tokens: &'f [JsonToken],
    pub(super) misshapen: bool,
}

/// The event of a row of tokens, one for each slot, that stand in this text.
pub(super) fn row_event<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    text: &'a str,
    tokens: &[JsonToken],
) -> Option<EventOutcome<'a>> {
    let message = TokenRow { tokens, misshapen: false };
    Found { rule, record, text, message, element: None }.outcome()
}

/// The tokens of an event.
pub(super) struct Found<'f, 'a> {
    pub(super) rule: &'a Assembler,
    pub(super) record: &'f Record<'a>,
    pub(super) text: &'a str,
    pub(super) message: TokenRow<'f>,
    pub(super) element: Option<TokenRow<'f>>,
}

impl<'a> Found<'_, 'a> {
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
                        JsonTokenKind::Text => condition.holds_plainly(&self.text[token.range()], false)?,
                        JsonTokenKind::Literal => condition.holds_plainly(&self.text[token.range()], true)?,
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

    pub(super) fn outcome(&self) -> Option<EventOutcome<'a>> {
        if !self.rule.shape.filter.is_empty() && !self.passes(|_| true)? {
            return Some(EventOutcome::Skipped);
        }
        if self.message.misshapen || self.element.is_some_and(|row| row.misshapen) {
            return None;
        }
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
                token => hasher.add(&self.text[token.range()], at + 1 == inputs.len()),
            }
        }
        Some(whole.then(|| hasher.id()))
    }

    /// A part of the symbol, where it is plain ASCII.
    fn symbol(&self, input: &'a FieldInput) -> Option<&'a str> {
        let text = match input {
            FieldInput::Slot(at) => {
                let token = self.token(*at);
                let is_name = match token.kind {
                    JsonTokenKind::Text => true,
                    JsonTokenKind::Literal => self.text[token.range()].bytes().all(|b| b.is_ascii_digit()),
                    _ => false,
                };
                self.text.get(token.range()).filter(|_| is_name)?
            }
            FieldInput::Key => std::str::from_utf8(self.record.key?).ok()?,
            FieldInput::Log(name) => name.text(&self.rule.log_names)?,
            FieldInput::Constant(text) => text,
            FieldInput::Timestamp => return None,
        };
        (!text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))).then_some(text)
    }

    fn time(&self) -> Option<EventTime> {
        match self.rule.shape.time.as_slice() {
            [FieldInput::Slot(at)] => {
                let places = self.rule.number_places()?;
                let token = self.token(*at);
                match token.number() {
                    Some(number) => whole(&number, places),
                    None if token.kind == JsonTokenKind::Text => plain_instant(self.text[token.range()].as_bytes()),
                    None => None,
                }
            }
            [FieldInput::Timestamp] => self.record.timestamp,
            _ => None,
        }
    }
}

fn whole(number: &PlainNumber, places: u32) -> Option<EventTime> {
    let power = POWERS[usize::try_from(places).ok()?];
    let ns = i64::try_from(number.digits.checked_mul(power)?).ok()?;
    let fits = number.fraction == 0 && ns <= EventTime::LIMIT;
    fits.then_some(EventTime(if number.negative { -ns } else { ns }))
}
