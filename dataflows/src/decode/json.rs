//! Any record, by serde_json: its event, or its reason with what was expected and what was found.

use super::error::FieldError;
use super::event::{DecodedEvent, SYMBOL, TIME, VALUE, WEIGHT};
use super::fields::{FieldNames, KEY};
use super::texts::{NotAString, number, string};
use super::tree::{FieldTexts, FieldTree, NotJson};
use super::unit::{TimeUnit, is_plausible};
use crate::decimal::{self, DecimalError};
use crate::escape::shortened;
use crate::numbers::{NumberRule, ReadNumber, is_no_weight};
use crate::record::{Finding, MAX_SYMBOL_BYTES, Reason, Record, Rejection};
use crate::time::EventTime;
use std::borrow::Cow;

/// Decodes records of one shape, whatever they look like.
#[derive(Clone, Debug)]
pub(super) struct JsonDecoder {
    tree: FieldTree,
    by_key: bool,
    unit: TimeUnit,
    numbers: NumberRule,
    /// What the fields are called, by slot; empty where there is none.
    names: [String; 4],
}

impl JsonDecoder {
    /// # Errors
    /// All that is wrong with the fields.
    pub(super) fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let names = [
            fields.symbol.clone(),
            fields.value.clone(),
            fields.time.clone(),
            fields.weight.clone().unwrap_or_default(),
        ];
        let numbers = NumberRule::new(&fields.numbers);
        Ok(JsonDecoder {
            tree: FieldTree::of(fields)?,
            by_key: fields.symbol == KEY,
            unit: fields.unit,
            numbers,
            names,
        })
    }

    /// Names and slots of the fields, if none of them is a pointer.
    pub(super) fn flat_fields(&self) -> Option<Vec<(Box<[u8]>, usize)>> {
        self.tree.flat_fields()
    }

    /// The event of any record, or why it has none. Kept out of the plain path's code, which nearly every record takes.
    #[cold]
    #[inline(never)]
    pub(super) fn event<'a>(&self, record: &Record<'a>) -> Result<DecodedEvent<'a>, Rejection> {
        let found = self.fields_of(record)?;
        let symbol = self.symbol(record, &found)?;
        let value = self.value(&found)?;
        let time = self.number(TIME, &found)?;
        let time = match decimal::whole(time.as_bytes(), self.unit.places()) {
            Ok(ns) if ns.abs() <= EventTime::LIMIT => EventTime(ns),
            Ok(_) | Err(DecimalError::Range | DecimalError::Precision) => return Err(self.no_time(&time)),
            Err(DecimalError::NotANumber) => return Err(self.not_a_number(TIME, &found)),
        };
        let weight = found.get(WEIGHT).map_or(Ok(None), |raw| self.weight(raw))?;
        let rounded = value.rounded || weight.is_some_and(|weight| weight.rounded);
        let weight = weight.map(|weight| weight.number);
        Ok(DecodedEvent { symbol, value: value.number, time, weight, rounded })
    }

    /// The configured fields of a record that is one whole JSON object.
    fn fields_of<'a>(&self, record: &Record<'a>) -> Result<FieldTexts<'_, 'a>, Rejection> {
        let Some(payload) = record.payload else {
            return Err(reject(Reason::Null, None, "a payload", "none (a tombstone)"));
        };
        let begins = || shortened(&String::from_utf8_lossy(&payload[..payload.len().min(400)]));
        if let Some(bytes) = record.cut_from {
            let found = format!("{bytes} bytes, of which these are the first: {}", begins());
            return Err(reject(Reason::Long, None, "a record that its source can hold in memory", found));
        }
        let not_json = |found: String| reject(Reason::Json, None, "one whole JSON text in UTF-8", found);
        let text = std::str::from_utf8(payload).map_err(|error| {
            let utf16 = matches!(payload, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
            let what =
                if utf16 { "UTF-16".to_owned() } else { format!("no UTF-8 from byte {} on", error.valid_up_to()) };
            not_json(format!("{what}: {}", begins()))
        })?;
        let mut found = FieldTexts::default();
        self.tree.read(text, &mut found).map_err(|NotJson(why)| {
            let what = match text {
                "" => "nothing (an empty record)".into(),
                text if text.starts_with('\u{feff}') => format!("a byte order mark before it: {}", begins()),
                _ => format!("{} ({why})", begins()),
            };
            not_json(what)
        })?;
        if let Some((path, text)) = found.shape {
            let field = (!path.is_empty()).then(|| path.to_owned());
            return Err(reject(Reason::Shape, field, "an object", shortened(text)));
        }
        if let Some((slot, path)) = found.twice {
            let field = slot.map_or(path, |slot| &self.names[slot]).to_owned();
            return Err(reject(Reason::Twice, Some(field), "it once", "it more than once"));
        }
        Ok(found)
    }

    fn symbol<'a>(&self, record: &Record<'a>, found: &FieldTexts<'_, 'a>) -> Result<Cow<'a, str>, Rejection> {
        const EXPECTED: &str = "a symbol of 1 to 1024 bytes of UTF-8 without control characters";
        let wrong = |reason, found: String| reject(reason, Some(self.names[SYMBOL].clone()), EXPECTED, found);
        let symbol = if self.by_key {
            let key = record.key.ok_or_else(|| wrong(Reason::Null, "no key".into()))?;
            Cow::Borrowed(std::str::from_utf8(key).map_err(|_| {
                let key = &key[..key.len().min(400)];
                wrong(Reason::Symbol, format!("no UTF-8: {}", shortened(&String::from_utf8_lossy(key))))
            })?)
        } else {
            let raw = found.get(SYMBOL).ok_or_else(|| wrong(Reason::Null, found.absence(SYMBOL).into()))?;
            match string(raw) {
                Err(NotAString) => return Err(wrong(Reason::Type, shortened(raw))),
                Ok(symbol) => symbol.ok_or_else(|| wrong(Reason::Symbol, shortened(raw)))?,
            }
        };
        // ASCII first: the check by character costs more than the rest of the symbol.
        let plain = symbol.bytes().all(|b| (0x20..0x7f).contains(&b));
        if symbol.is_empty() {
            return Err(wrong(Reason::Symbol, "an empty one".into()));
        }
        if symbol.len() > MAX_SYMBOL_BYTES {
            return Err(wrong(Reason::Symbol, format!("one of {} bytes: {}", symbol.len(), shortened(&symbol))));
        }
        if !plain && symbol.chars().any(char::is_control) {
            return Err(wrong(Reason::Symbol, shortened(&symbol)));
        }
        Ok(symbol)
    }

    /// The text of the number that a required field holds.
    fn number<'a>(&self, slot: usize, found: &FieldTexts<'_, 'a>) -> Result<Cow<'a, str>, Rejection> {
        let Some(raw) = found.get(slot) else {
            let field = Some(self.names[slot].clone());
            return Err(reject(Reason::Null, field, A_NUMBER, found.absence(slot)));
        };
        number(raw).map_err(|NotAString| self.not_a_number(slot, found))
    }

    fn not_a_number(&self, slot: usize, found: &FieldTexts<'_, '_>) -> Rejection {
        let raw = found.get(slot).unwrap_or_default();
        reject(Reason::Type, Some(self.names[slot].clone()), A_NUMBER, shortened(raw))
    }

    fn value(&self, found: &FieldTexts<'_, '_>) -> Result<ReadNumber, Rejection> {
        let text = self.number(VALUE, found)?;
        self.numbers.value(text.as_bytes()).map_err(|error| {
            let reason = match error {
                DecimalError::NotANumber => return self.not_a_number(VALUE, found),
                DecimalError::Range => Reason::Range,
                DecimalError::Precision => Reason::Precision,
            };
            let hint = self.numbers.value_hint(text.as_bytes()).map(|hint| format!("; {hint}"));
            let found = format!("{}{}", shortened(&text), hint.unwrap_or_default());
            reject(reason, Some(self.names[VALUE].clone()), self.numbers.expected_value(error), found)
        })
    }

    fn weight(&self, raw: &str) -> Result<Option<ReadNumber>, Rejection> {
        let text = number(raw).ok();
        if text.as_ref().is_some_and(|text| is_no_weight(text)) {
            return Ok(None);
        }
        let weight = text.as_ref().and_then(|text| self.numbers.weight(text.as_bytes()).ok());
        weight.map(Some).ok_or_else(|| {
            let hint = text.and_then(|text| self.numbers.weight_hint(text.as_bytes()));
            let found = format!("{}{}", shortened(raw), hint.map(|hint| format!("; {hint}")).unwrap_or_default());
            reject(Reason::Weight, Some(self.names[WEIGHT].clone()), self.numbers.expected_weight(), found)
        })
    }

    /// No event time, and in which unit it would be one of our days.
    fn no_time(&self, text: &str) -> Rejection {
        let words = self.unit.words();
        let expected = format!("a whole number of nanoseconds from 1823 to 2116, written in {words}");
        let unit = TimeUnit::ALL.iter().find(|(unit, ..)| {
            let time = decimal::whole(text.as_bytes(), unit.places()).ok();
            *unit != self.unit && time.is_some_and(|time| is_plausible(EventTime(time)))
        });
        // It names an option, for states and dead letters keep this text.
        let hint = unit.map(|(_, name, words)| format!("; in {words} (--time-unit {name}) it would be plausible"));
        let found = format!("{}{}", shortened(text), hint.unwrap_or_default());
        reject(Reason::Time, Some(self.names[TIME].clone()), expected, found)
    }
}

const A_NUMBER: &str = "a number, or a string that is exactly one";

fn reject(
    reason: Reason,
    field: Option<String>,
    expected: impl Into<Cow<'static, str>>,
    found: impl Into<String>,
) -> Rejection {
    Rejection { reason, finding: Finding { field, expected: expected.into(), found: found.into() } }
}
