//! Any record, by serde_json: its event, or its reason with what was expected and what was found.

use super::error::FieldError;
use super::event::{DecodedEvent, SYMBOL, TIME, VALUE, WEIGHT};
use super::fields::{FieldNames, KEY};
use super::scalar::Scalar;
use super::texts::{NotAString, number, string};
use super::times::{TimeProblem, TimeRule};
use super::tree::{FieldTexts, FieldTree, NotJson};
use crate::decimal::{Decimal, DecimalError};
use crate::escape::shortened;
use crate::record::{Finding, MAX_SYMBOL_BYTES, Reason, Record, Rejection};
use std::borrow::Cow;

/// Decodes records of one shape, whatever they look like.
#[derive(Clone, Debug)]
pub(super) struct JsonDecoder {
    tree: FieldTree,
    by_key: bool,
    times: TimeRule,
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
        let times = TimeRule::new(&fields.times).map_err(|wrong| wrong.into_iter().map(FieldError::from).collect());
        let (tree, times) = match (FieldTree::of(fields), times) {
            (Ok(tree), Ok(times)) => (tree, times),
            (tree, times) => {
                let errors: [Option<Vec<FieldError>>; 2] = [tree.err(), times.err()];
                return Err(errors.into_iter().flatten().flatten().collect());
            }
        };
        Ok(JsonDecoder { tree, by_key: fields.symbol == KEY, times, names })
    }

    /// Decimal places from the unit of numbers to nanoseconds, where numbers are times in a unit.
    pub(super) fn number_places(&self) -> Option<u32> {
        self.times.number_places()
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
        let time =
            self.times.read(&[scalar(TIME, &found)]).map_err(|TimeProblem { reason, expected, found, .. }| {
                reject(reason, Some(self.names[TIME].clone()), expected, found)
            })?;
        let weight = found.get(WEIGHT).map(|raw| self.weight(raw)).transpose()?;
        Ok(DecodedEvent { symbol, value, time, weight })
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

    fn value(&self, found: &FieldTexts<'_, '_>) -> Result<Decimal, Rejection> {
        let text = self.number(VALUE, found)?;
        let wrong = |reason, expected: &'static str| {
            reject(reason, Some(self.names[VALUE].clone()), expected, shortened(&text))
        };
        Decimal::parse(text.as_bytes()).map_err(|error| match error {
            DecimalError::NotANumber => self.not_a_number(VALUE, found),
            DecimalError::Range => wrong(Reason::Range, "a number of at most 100000000000 in magnitude"),
            DecimalError::Precision => wrong(Reason::Precision, "a number of at most 18 fractional digits"),
        })
    }

    fn weight(&self, raw: &str) -> Result<Decimal, Rejection> {
        let weight = number(raw).ok().and_then(|text| Decimal::parse(text.as_bytes()).ok());
        weight.filter(|w| w.0 >= 0).ok_or_else(|| {
            let expected = "a number from 0 to 100000000000 of at most 18 fractional digits, null, or nothing";
            reject(Reason::Weight, Some(self.names[WEIGHT].clone()), expected, shortened(raw))
        })
    }
}

/// What a field holds, for the rules that read it.
pub(super) fn scalar<'a>(slot: usize, found: &FieldTexts<'_, 'a>) -> Scalar<'a> {
    match found.get(slot) {
        None if found.absence(slot) == "null" => Scalar::Null,
        None => Scalar::Absent,
        Some(raw) if raw.starts_with(['{', '[']) => Scalar::Other(raw.into()),
        Some(raw) => match string(raw) {
            Ok(Some(text)) => Scalar::Text(text),
            Ok(None) => Scalar::Other(raw.into()), // half of a surrogate pair
            Err(NotAString) => Scalar::Literal(raw.into()),
        },
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
