//! An event from the values of its fields, whatever format they were found in; or why there is none.

use super::error::FieldError;
use super::event::{DecodedEvent, EventId, EventOutcome};
use super::fields::FieldNames;
use super::filter::Condition;
use super::log_name::LogNames;
use super::scalar::Scalar;
use super::shape::{FieldInput, Shape, SimpleShape};
use super::times::{TimeProblem, TimeRule};
use crate::decimal::DecimalError;
use crate::escape::shortened;
use crate::numbers::{NumberRule, ReadNumber, is_no_weight};
use crate::record::{Finding, MAX_SYMBOL_BYTES, PartitionName, Reason, Record, Rejection};
use crate::time::EventTime;
use std::borrow::Cow;

/// What makes events of fields.
#[derive(Clone, Debug)]
pub(super) struct Assembler {
    pub(super) shape: Shape,
    /// The same, where it is simple.
    pub(super) simple: Option<SimpleShape>,
    times: TimeRule,
    pub(super) numbers: NumberRule,
    /// What [`super::fields::LOG_NAMES`] stand for in this partition, where they stand for something.
    pub(super) log_names: LogNames,
}

/// What stands in the field of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoundWeight {
    None,
    Number(ReadNumber),
    /// A number that the scale cannot hold.
    Beyond,
}

/// Makes the id of an event: of its series' name and the texts of its fields, of which each but the last is told from the next by
/// its length. (The state has ids of one field as this makes them.)
pub(super) struct IdHasher(xxhash_rust::xxh3::Xxh3Default);

impl IdHasher {
    pub(super) fn new(symbol: &str) -> Self {
        let mut hasher = IdHasher(xxhash_rust::xxh3::Xxh3Default::new());
        hasher.add(symbol, false);
        hasher
    }

    pub(super) fn add(&mut self, text: &str, is_last: bool) {
        if !is_last {
            self.0.update(&(text.len() as u64).to_le_bytes());
        }
        self.0.update(text.as_bytes());
    }

    pub(super) fn id(&self) -> EventId {
        EventId(self.0.digest128())
    }
}

impl Assembler {
    /// # Errors
    /// All that is wrong with the fields.
    pub(super) fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let times = TimeRule::new(&fields.times).map_err(|wrong| wrong.into_iter().map(FieldError::from).collect());
        match (Shape::of(fields), times) {
            (Ok(shape), Ok(times)) => {
                let numbers = NumberRule::new(&fields.numbers);
                let simple = SimpleShape::of(&shape, times.number_places());
                Ok(Assembler { shape, simple, times, numbers, log_names: [None, None] })
            }
            (shape, times) => {
                let errors: [Option<Vec<FieldError>>; 2] = [shape.err(), times.err()];
                Err(errors.into_iter().flatten().flatten().collect())
            }
        }
    }

    /// Decimal places from the unit of numbers to nanoseconds, where numbers are times in a unit.
    pub(super) fn number_places(&self) -> Option<u32> {
        self.times.number_places()
    }

    /// For the records of this partition.
    pub(super) fn for_partition(&self, name: &PartitionName) -> Self {
        let file = name.log.rsplit('/').next().unwrap_or_default();
        let (topic, file) = match name.number {
            Some(_) => (Some(name.log.as_str()), None),
            None => (None, file.split('.').find(|part| !part.is_empty())),
        };
        Assembler { log_names: [topic, file].map(|text| text.map(Into::into)), ..self.clone() }
    }

    /// Do all conditions hold of these values? `all`: also those of an element's fields, which come last.
    pub(super) fn passes<'a>(&'a self, record: &Record<'a>, scalars: &[Scalar<'a>], all: bool) -> bool {
        self.first_failing(record, scalars, all).is_none()
    }

    /// The first condition that does not hold, and what stands in its field.
    pub(super) fn first_failing<'a>(
        &'a self,
        record: &Record<'a>,
        scalars: &[Scalar<'a>],
        all: bool,
    ) -> Option<(&'a FieldInput, &'a Condition, Scalar<'a>)> {
        let of_element = |input: &FieldInput| matches!(input, FieldInput::Slot(at) if self.shape.is_of_element(*at));
        let conditions = self.shape.filter.iter().filter(|(input, _)| all || !of_element(input));
        conditions.into_iter().find_map(|(input, condition)| {
            let holds = match input {
                FieldInput::Slot(at) => condition.holds(&scalars[*at]),
                input => condition.holds(&self.text(input, record)),
            };
            (!holds).then(|| (input, condition, self.scalar(input, record, scalars)))
        })
    }

    /// The event of these values, whose conditions hold.
    pub(super) fn event<'a>(&'a self, record: &Record<'a>, scalars: &[Scalar<'a>]) -> EventOutcome<'a> {
        let assembled = (|| {
            let symbol = self.symbol(record, scalars)?;
            let value = self.value(record, scalars)?;
            let time = self.time(record, scalars)?;
            let weight = self.weight(scalars)?;
            let id = self.id(record, scalars, &symbol)?;
            let weight_beyond = weight == FoundWeight::Beyond;
            let (weight, weight_rounded) = match weight {
                FoundWeight::Number(weight) => (Some(weight.number), weight.rounded),
                FoundWeight::None | FoundWeight::Beyond => (None, weight_beyond),
            };
            let (value, rounded) = (value.number, value.rounded || weight_rounded);
            Ok(DecodedEvent { symbol, value, time, weight, weight_beyond, id, rounded })
        })();
        match assembled {
            Ok(event) => EventOutcome::Event(event),
            Err(rejection) => EventOutcome::Rejected(rejection),
        }
    }

    /// The value of an input that is no field.
    fn text<'a>(&'a self, input: &'a FieldInput, record: &Record<'a>) -> Scalar<'a> {
        match input {
            FieldInput::Key => match record.key.map(std::str::from_utf8) {
                None => Scalar::Absent,
                Some(Ok(key)) => Scalar::Text(key.into()),
                Some(Err(_)) => Scalar::Other("no UTF-8".into()),
            },
            FieldInput::Log(name) => {
                name.text(&self.log_names).map_or(Scalar::Absent, |name| Scalar::Text(name.into()))
            }
            FieldInput::Constant(text) => Scalar::Text((&**text).into()),
            FieldInput::Timestamp => {
                record.timestamp.map_or(Scalar::Absent, |stamp| Scalar::Instant(i128::from(stamp.0)))
            }
            FieldInput::Slot(_) => Scalar::Absent,
        }
    }

    fn scalar<'a>(&'a self, input: &'a FieldInput, record: &Record<'a>, scalars: &[Scalar<'a>]) -> Scalar<'a> {
        match input {
            FieldInput::Slot(at) => scalars[*at].clone(),
            input => self.text(input, record),
        }
    }

    fn symbol<'a>(&'a self, record: &Record<'a>, scalars: &[Scalar<'a>]) -> Result<Cow<'a, str>, Rejection> {
        let symbol = match self.shape.symbol.as_slice() {
            [one] => self.symbol_part(one, record, scalars)?,
            parts => {
                let parts =
                    parts.iter().map(|part| self.symbol_part(part, record, scalars)).collect::<Result<Vec<_>, _>>()?;
                Cow::Owned(parts.join("/"))
            }
        };
        if symbol.len() > MAX_SYMBOL_BYTES {
            let found = format!("one of {} bytes: {}", symbol.len(), shortened(&symbol));
            return Err(self.rejected(&self.shape.symbol[0], Reason::Symbol, A_SYMBOL, found));
        }
        Ok(symbol)
    }

    fn symbol_part<'a>(
        &'a self,
        input: &'a FieldInput,
        record: &Record<'a>,
        scalars: &[Scalar<'a>],
    ) -> Result<Cow<'a, str>, Rejection> {
        let wrong = |reason, found: String| Err(self.rejected(input, reason, A_SYMBOL, found));
        let text = match self.scalar(input, record, scalars) {
            Scalar::Text(text) => text,
            Scalar::Literal(text) if text.bytes().all(|b| b.is_ascii_digit()) => text,
            Scalar::Absent if *input == FieldInput::Key => return wrong(Reason::Null, "no key".into()),
            absent @ (Scalar::Absent | Scalar::Null) => return wrong(Reason::Null, absent.shown().into_owned()),
            Scalar::Other(_) if *input == FieldInput::Key => {
                let key = record.key.unwrap_or_default();
                let key = String::from_utf8_lossy(&key[..key.len().min(400)]);
                return wrong(Reason::Symbol, format!("no UTF-8: {}", shortened(&key)));
            }
            Scalar::Other(raw) if raw.starts_with('"') => return wrong(Reason::Symbol, shortened(&raw)),
            other => return wrong(Reason::Type, shortened(&other.shown())),
        };
        // ASCII first: the check by character costs more than the rest of the symbol.
        let plain = text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if text.is_empty() {
            return wrong(Reason::Symbol, "an empty one".into());
        }
        if !plain && text.chars().any(char::is_control) {
            return wrong(Reason::Symbol, shortened(&text));
        }
        Ok(text)
    }

    fn value(&self, record: &Record<'_>, scalars: &[Scalar<'_>]) -> Result<ReadNumber, Rejection> {
        let input = &self.shape.value;
        let scalar = self.scalar(input, record, scalars);
        let wrong = |reason| Err(self.rejected(input, reason, A_NUMBER, shortened(&scalar.shown())));
        let text = match &scalar {
            Scalar::Text(text) | Scalar::Literal(text) => text.as_bytes(),
            Scalar::Absent | Scalar::Null => return wrong(Reason::Null),
            Scalar::Instant(_) | Scalar::Other(_) => return wrong(Reason::Type),
        };
        self.numbers.value(text).or_else(|error| {
            let reason = match error {
                DecimalError::NotANumber => return wrong(Reason::Type),
                DecimalError::Range => Reason::Range,
                DecimalError::Precision => Reason::Precision,
            };
            let found = hinted(shortened(&String::from_utf8_lossy(text)), self.numbers.value_hint(text));
            Err(self.rejected(input, reason, self.numbers.expected_value(error), found))
        })
    }

    fn time(&self, record: &Record<'_>, scalars: &[Scalar<'_>]) -> Result<EventTime, Rejection> {
        let inputs = &self.shape.time;
        let read = match inputs.as_slice() {
            [one] => self.times.read(std::slice::from_ref(&self.scalar(one, record, scalars))),
            several => {
                let parts: Vec<_> = several.iter().map(|input| self.scalar(input, record, scalars)).collect();
                self.times.read(&parts)
            }
        };
        read.map_err(|TimeProblem { reason, expected, found, part }| {
            self.rejected(&inputs[part], reason, expected, found)
        })
    }

    fn weight(&self, scalars: &[Scalar<'_>]) -> Result<FoundWeight, Rejection> {
        let Some(input @ FieldInput::Slot(at)) = &self.shape.weight else { return Ok(FoundWeight::None) };
        let scalar = &scalars[*at];
        let text = match scalar {
            Scalar::Absent | Scalar::Null => return Ok(FoundWeight::None),
            Scalar::Text(text) if is_no_weight(text) => return Ok(FoundWeight::None),
            Scalar::Text(text) | Scalar::Literal(text) => text.as_bytes(),
            Scalar::Instant(_) | Scalar::Other(_) => &[],
        };
        match self.numbers.weight(text) {
            Ok(number) => Ok(FoundWeight::Number(number)),
            Err(_) if self.numbers.is_weight_beyond(text) => Ok(FoundWeight::Beyond),
            Err(_) => {
                let found = hinted(shortened(&scalar.shown()), self.numbers.weight_hint(text));
                Err(self.rejected(input, Reason::Weight, self.numbers.expected_weight(), found))
            }
        }
    }

    fn id(&self, record: &Record<'_>, scalars: &[Scalar<'_>], symbol: &str) -> Result<Option<EventId>, Rejection> {
        let Some(last) = self.shape.id.len().checked_sub(1) else { return Ok(None) };
        let (mut hasher, mut whole) = (IdHasher::new(symbol), true);
        for (at, input) in self.shape.id.iter().enumerate() {
            match self.scalar(input, record, scalars) {
                Scalar::Absent | Scalar::Null => whole = false,
                // It tells no event from another.
                Scalar::Text(text) if text.is_empty() => whole = false,
                Scalar::Text(text) | Scalar::Literal(text) => hasher.add(&text, at == last),
                other => {
                    let found = shortened(&other.shown());
                    return Err(self.rejected(input, Reason::Type, "an id: a text or a number", found));
                }
            }
        }
        Ok(whole.then(|| hasher.id()))
    }

    pub(super) fn rejected(
        &self,
        input: &FieldInput,
        reason: Reason,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
    ) -> Rejection {
        rejection(reason, Some(self.shape.name(input).to_owned()), expected, found)
    }
}

fn hinted(found: String, hint: Option<String>) -> String {
    hint.map_or(found.clone(), |hint| format!("{found}; {hint}"))
}

const A_SYMBOL: &str = "a symbol of 1 to 1024 bytes of UTF-8 without control characters";
const A_NUMBER: &str = "a number, or a string that is exactly one";

pub(super) fn rejection(
    reason: Reason,
    field: Option<String>,
    expected: impl Into<Cow<'static, str>>,
    found: impl Into<String>,
) -> Rejection {
    Rejection { reason, finding: Finding { field, expected: expected.into(), found: found.into() } }
}
