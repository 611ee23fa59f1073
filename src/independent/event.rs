//! The events of one record (R1, R2): from its text to exact values, or why there are none.

use super::document::JsonDocument;
use super::fields::{ConfiguredFields, EventTexts, FieldHome, FieldPlace};
use super::found::FieldText;
use super::instant::WrittenTimes;
use super::number::{NoValue, NumberScale, WeightText};
use super::pointer::{PointerEnd, ValueInDocument};
use minutely_dataflows::record::{MAX_SYMBOL_BYTES, Reason, Record};
use num_bigint::BigInt;

/// Elements of one record, at most: 2^20.
const MOST_ELEMENTS: usize = 1 << 20;

/// What tells an event from others of its series: the texts of its id's fields.
pub(super) type IdTexts = Vec<String>;

/// A record, or an element of one, with its exact numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndependentEvent {
    pub(super) symbol: String,
    /// As an integer at its scale; so is the weight.
    pub(super) value: BigInt,
    /// In nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) weight: Option<BigInt>,
    /// It has a weight that its scale cannot hold.
    pub(super) is_weight_beyond: bool,
    pub(super) id: Option<IdTexts>,
    /// Its value or its weight was rounded.
    pub(super) is_rounded: bool,
}

impl IndependentEvent {
    /// Its series.
    pub(crate) fn symbol(&self) -> &str {
        &self.symbol
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadEvent {
    Event(Box<IndependentEvent>),
    /// `--where` leaves it out.
    Skipped,
    Rejected(Reason),
}

/// Reads the records of one partition.
#[derive(Clone, Debug)]
pub(super) struct EventReader {
    pub(super) fields: ConfiguredFields,
    pub(super) times: WrittenTimes,
    pub(super) numbers: NumberScale,
}

impl EventReader {
    /// The events of a record, in order, each with its element where records are taken apart.
    pub(super) fn events(&self, record: &Record<'_>, each: &mut dyn FnMut(Option<u32>, ReadEvent)) {
        match self.whole(record) {
            Err(outcome) => each(None, outcome),
            Ok((message, key)) => {
                let texts =
                    EventTexts { record, message: &message, element: None, key: key.as_ref(), fields: &self.fields };
                match self.elements(&texts) {
                    Err(outcome) => each(None, outcome),
                    Ok(None) => each(None, self.event(&texts, FieldHome::Record)),
                    Ok(Some(elements)) => {
                        for (at, element) in (0..).zip(&elements) {
                            let texts = EventTexts { element: Some(element), ..texts };
                            each(Some(at), self.event(&texts, FieldHome::Element));
                        }
                    }
                }
            }
        }
    }

    /// The record's text, and that of its key where it is JSON and a field is in it.
    fn whole(&self, record: &Record<'_>) -> Result<(ValueInDocument, Option<ValueInDocument>), ReadEvent> {
        let payload = record.payload.ok_or(ReadEvent::Rejected(Reason::Null))?;
        if record.cut_from.is_some() {
            return Err(ReadEvent::Rejected(Reason::Long));
        }
        let parse = |bytes: &[u8]| JsonDocument::parse(std::str::from_utf8(bytes).ok()?).map(ValueInDocument::whole);
        let message = parse(payload).ok_or(ReadEvent::Rejected(Reason::Json))?;
        let key = record.key.filter(|_| !self.fields.ways(FieldHome::Key).is_empty()).and_then(parse);
        let texts = EventTexts { record, message: &message, element: None, key: key.as_ref(), fields: &self.fields };
        if is_twice(&texts, FieldHome::Record) || is_twice(&texts, FieldHome::Key) {
            return Err(ReadEvent::Rejected(Reason::Twice));
        }
        Ok((message, key))
    }

    /// With `--each` the elements whose conditions on the record hold.
    fn elements(&self, texts: &EventTexts<'_>) -> Result<Option<Vec<ValueInDocument>>, ReadEvent> {
        let Some(array) = &self.fields.array else { return Ok(None) };
        if !self.passes(texts, false) {
            return Err(ReadEvent::Skipped);
        }
        let rejected = |reason| Err(ReadEvent::Rejected(reason));
        if is_misshapen(texts, FieldHome::Record) {
            return rejected(Reason::Shape);
        }
        let PointerEnd::At(value) = texts.end(FieldHome::Record, array) else { return rejected(Reason::Null) };
        if *value.node() == super::document::JsonNode::Null {
            return rejected(Reason::Null);
        }
        match value.elements() {
            None => rejected(Reason::Shape),
            Some(elements) if elements.len() > MOST_ELEMENTS => rejected(Reason::Long),
            Some(elements) => Ok(Some(elements)),
        }
    }

    /// Do the conditions hold, those on an element's fields among them?
    fn passes(&self, texts: &EventTexts<'_>, with_element: bool) -> bool {
        let is_asked = |place: &FieldPlace| with_element || !matches!(place, FieldPlace::In(FieldHome::Element, _));
        let conditions = self.fields.conditions.iter().filter(|(place, _)| is_asked(place));
        conditions.into_iter().all(|(place, condition)| condition.holds(&texts.text(place)))
    }

    /// One event. `home`: what it is, the record or an element of it.
    fn event(&self, texts: &EventTexts<'_>, home: FieldHome) -> ReadEvent {
        if home == FieldHome::Element && is_twice(texts, home) {
            return ReadEvent::Rejected(Reason::Twice);
        }
        if !self.passes(texts, true) {
            return ReadEvent::Skipped;
        }
        if is_misshapen(texts, home) {
            return ReadEvent::Rejected(Reason::Shape);
        }
        match self.exact(texts) {
            Ok(event) => ReadEvent::Event(Box::new(event)),
            Err(reason) => ReadEvent::Rejected(reason),
        }
    }

    /// Symbol, value, time, weight and id, of which the first that is wrong is the reason.
    fn exact(&self, texts: &EventTexts<'_>) -> Result<IndependentEvent, Reason> {
        let parts = self.fields.symbol.iter().map(|place| symbol_part(&texts.text(place)));
        let symbol = parts.collect::<Result<Vec<_>, _>>()?.join("/");
        if symbol.len() > MAX_SYMBOL_BYTES {
            return Err(Reason::Symbol);
        }
        let (value, value_rounded) = match texts.text(&self.fields.value) {
            FieldText::Text(text) | FieldText::Literal(text) => self.numbers.value(&text).map_err(|why| match why {
                NoValue::NoNumber => Reason::Type,
                NoValue::Range => Reason::Range,
                NoValue::Precision => Reason::Precision,
            })?,
            FieldText::Absent | FieldText::Null => return Err(Reason::Null),
            FieldText::Stamp(_) | FieldText::Nested | FieldText::NoText => return Err(Reason::Type),
        };
        let times: Vec<FieldText> = self.fields.time.iter().map(|place| texts.text(place)).collect();
        let time = self.times.read(&times)?;
        let weight = self.fields.weight.as_ref().map_or(FieldText::Absent, |place| texts.text(place));
        let weight = match weight {
            FieldText::Absent | FieldText::Null => None,
            FieldText::Text(text) if matches!(text.as_str(), "" | "-") => None,
            FieldText::Text(text) | FieldText::Literal(text) => Some(self.numbers.weight(&text)),
            FieldText::Stamp(_) | FieldText::Nested | FieldText::NoText => return Err(Reason::Weight),
        };
        let (weight, weight_rounded, is_weight_beyond) = match weight {
            None => (None, false, false),
            Some(WeightText::Weight(weight, rounded)) => (Some(weight), rounded, false),
            Some(WeightText::Beyond) => (None, true, true),
            Some(WeightText::Wrong) => return Err(Reason::Weight),
        };
        let id = id(self.fields.id.iter().map(|place| texts.text(place)))?;
        let is_rounded = value_rounded || weight_rounded;
        Ok(IndependentEvent { symbol, value, time, weight, is_weight_beyond, id, is_rounded })
    }
}

/// Is a field of such a text there more than once?
fn is_twice(texts: &EventTexts<'_>, home: FieldHome) -> bool {
    texts.fields.ways(home).into_iter().any(|way| matches!(texts.end(home, way), PointerEnd::Twice))
}

/// Does a way lead through what has no members?
fn is_misshapen(texts: &EventTexts<'_>, home: FieldHome) -> bool {
    texts.fields.ways(home).into_iter().any(|way| matches!(texts.end(home, way), PointerEnd::Through))
}

/// A symbol is a string, or a whole number in digits alone; not empty, and without control characters.
fn symbol_part(found: &FieldText) -> Result<String, Reason> {
    match found {
        FieldText::Literal(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(text.clone()),
        FieldText::Text(text) if text.is_empty() || text.chars().any(char::is_control) => Err(Reason::Symbol),
        FieldText::Text(text) => Ok(text.clone()),
        FieldText::Absent | FieldText::Null => Err(Reason::Null),
        FieldText::NoText => Err(Reason::Symbol),
        FieldText::Literal(_) | FieldText::Nested | FieldText::Stamp(_) => Err(Reason::Type),
    }
}

/// An event that lacks a part of its id has none.
fn id(parts: impl Iterator<Item = FieldText>) -> Result<Option<IdTexts>, Reason> {
    let (mut texts, mut is_whole, mut is_asked) = (Vec::new(), true, false);
    for part in parts {
        is_asked = true;
        match part {
            FieldText::Absent | FieldText::Null => is_whole = false,
            FieldText::Text(text) if text.is_empty() => is_whole = false,
            FieldText::Text(text) | FieldText::Literal(text) => texts.push(text),
            FieldText::Stamp(_) | FieldText::Nested | FieldText::NoText => return Err(Reason::Type),
        }
    }
    Ok(Some(texts).filter(|_| is_whole && is_asked))
}
