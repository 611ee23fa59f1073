//! From payload to event (R2).
//!
//! A record is one whole JSON text. The configured fields are found in one pass, as the text they were written in; the
//! rest is only checked. Nothing is decided before the text is known to be JSON, so a reason never depends on where a
//! reader stopped.
//!
//! Nearly every record is plain and read by `plain.rs`, which only ever says yes; everything else is serde_json's.

use crate::decimal::{self, Decimal, DecimalError};
use crate::escape::shortened;
use crate::plain::Plain;
use crate::record::{Finding, MAX_SYMBOL_BYTES, Reason, Record, Rejection};
use crate::time::EventTime;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, de};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Where an event's parts stand in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Fields {
    /// A field that holds the symbol, or `@key`: the record's key. Default: `symbol`.
    pub symbol: String,
    /// A field that holds the value. Default: `price`.
    pub value: String,
    /// A field that holds the event time. Default: `ts`.
    pub time: String,
    /// The unit of the event time. Default: milliseconds.
    pub unit: TimeUnit,
    /// A field that may hold a weight. Default: `volume`.
    pub weight: Option<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Fields {
            symbol: "symbol".into(),
            value: "price".into(),
            time: "ts".into(),
            unit: TimeUnit::Milliseconds,
            weight: Some("volume".into()),
        }
    }
}

/// The symbol is the record's key.
pub const KEY: &str = "@key";

/// The unit of an event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum TimeUnit {
    /// 10^9 nanoseconds.
    Seconds,
    /// 10^6 nanoseconds.
    Milliseconds,
    /// 10^3 nanoseconds.
    Microseconds,
    /// One nanosecond.
    Nanoseconds,
}

impl TimeUnit {
    /// Every unit, with its name for people.
    pub const ALL: [(TimeUnit, &'static str, &'static str); 4] = [
        (TimeUnit::Seconds, "s", "seconds"),
        (TimeUnit::Milliseconds, "ms", "milliseconds"),
        (TimeUnit::Microseconds, "us", "microseconds"),
        (TimeUnit::Nanoseconds, "ns", "nanoseconds"),
    ];

    /// The unit in words.
    pub fn words(self) -> &'static str {
        TimeUnit::ALL.iter().find(|(unit, ..)| *unit == self).map_or("", |(.., words)| words)
    }

    /// Nanoseconds of one.
    pub const fn nanoseconds(self) -> i64 {
        10_i64.pow(self.places())
    }

    /// Decimal places from the unit to nanoseconds.
    const fn places(self) -> u32 {
        match self {
            TimeUnit::Seconds => 9,
            TimeUnit::Milliseconds => 6,
            TimeUnit::Microseconds => 3,
            TimeUnit::Nanoseconds => 0,
        }
    }
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its series: not empty, no control characters.
    pub symbol: Cow<'a, str>,
    /// Its exact value.
    pub value: Decimal,
    /// When it says it happened.
    pub time: EventTime,
    /// Its exact weight, if it has one; at least 0.
    pub weight: Option<Decimal>,
}

pub(crate) const SYMBOL: usize = 0;
pub(crate) const VALUE: usize = 1;
pub(crate) const TIME: usize = 2;
pub(crate) const WEIGHT: usize = 3;

/// Decodes records of one shape.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// For plain records, if the fields are plain names.
    plain: Option<Plain>,
    root: Node,
    by_key: bool,
    unit: TimeUnit,
    /// What the fields are called, by their places; empty where there is none.
    names: [String; 4],
}

/// Configured fields below one object, by name.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The pointer that leads here; empty for the record itself.
    path: String,
    children: Vec<(String, Child)>,
}

#[derive(Clone, Debug)]
enum Child {
    /// A configured field: which.
    Field(usize),
    /// An object on a pointer's way: its number, for telling whether it came twice, and what is below.
    Object(usize, Node),
}

impl Decoder {
    /// A decoder for these fields: names, or JSON pointers (RFC 6901) through objects.
    ///
    /// # Errors
    /// All that is wrong with the fields, a line each.
    pub fn new(fields: &Fields) -> Result<Self, Vec<String>> {
        let names = [
            fields.symbol.clone(),
            fields.value.clone(),
            fields.time.clone(),
            fields.weight.clone().unwrap_or_default(),
        ];
        let by_key = fields.symbol == KEY;
        let mut decoder = Decoder { plain: None, root: Node::default(), by_key, unit: fields.unit, names };
        let mut errors = Vec::new();
        let symbol = (!decoder.by_key).then_some(&fields.symbol);
        let named = [
            ("--symbol-field", SYMBOL, symbol),
            ("--value-field", VALUE, Some(&fields.value)),
            ("--time-field", TIME, Some(&fields.time)),
            ("--weight-field", WEIGHT, fields.weight.as_ref()),
        ];
        let mut objects = 0;
        for (option, slot, field) in named {
            let Some(field) = field else { continue };
            let added = steps(field).and_then(|steps| decoder.root.add(&steps, slot, &mut objects));
            errors.extend(added.err().map(|why| format!("{option} {field:?}: {why}")));
        }
        if objects > 64 {
            errors.push("the fields' pointers lead through more than 64 objects".into());
        }
        let named = decoder.root.children.iter().map(|(name, child)| match child {
            Child::Field(slot) => Some((name.as_bytes().into(), *slot)),
            Child::Object(..) => None,
        });
        let named: Option<Vec<_>> = named.collect();
        decoder.plain = named.map(|names| Plain::new(names, decoder.by_key, fields.unit.places()));
        if errors.is_empty() { Ok(decoder) } else { Err(errors) }
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// Why it cannot count. If several reasons apply: `long`, then the first in the order of R2's list, then symbol,
    /// value, time, weight.
    pub fn decode<'a>(&self, record: &Record<'a>) -> Result<Event<'a>, Rejection> {
        self.plain_event(record).map_or_else(|| self.decode_any(record), Ok)
    }

    /// By the plain path.
    pub(crate) fn plain_event<'a>(&self, record: &Record<'a>) -> Option<Event<'a>> {
        self.plain.as_ref().filter(|_| record.cut_from.is_none())?.event(record)
    }

    /// By serde_json. Apart from the plain path, which nearly every record takes.
    #[cold]
    #[inline(never)]
    pub(crate) fn decode_any<'a>(&self, record: &Record<'a>) -> Result<Event<'a>, Rejection> {
        let found = self.fields_of(record)?;
        let symbol = self.symbol(record, &found)?;
        let value = self.value(&found)?;
        let time = self.number(TIME, &found)?;
        let time = match decimal::whole(time.as_bytes(), self.unit.places()) {
            Ok(ns) if ns.abs() <= EventTime::LIMIT => EventTime(ns),
            Ok(_) | Err(DecimalError::Range | DecimalError::Precision) => return Err(self.no_time(&time)),
            Err(DecimalError::NotANumber) => return Err(self.not_a_number(TIME, &found)),
        };
        let weight = found.get(WEIGHT).map(|raw| self.weight(raw)).transpose()?;
        Ok(Event { symbol, value, time, weight })
    }

    /// The configured fields of a record that is one whole JSON object.
    fn fields_of<'a>(&self, record: &Record<'a>) -> Result<FieldValue<'_, 'a>, Rejection> {
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
        let mut found = FieldValue::default();
        self.root.read(text, &mut found).map_err(|NotJson(why)| {
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

    fn symbol<'a>(&self, record: &Record<'a>, found: &FieldValue<'_, 'a>) -> Result<Cow<'a, str>, Rejection> {
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
                Err(NoString) => return Err(wrong(Reason::Type, shortened(raw))),
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
    fn number<'a>(&self, slot: usize, found: &FieldValue<'_, 'a>) -> Result<Cow<'a, str>, Rejection> {
        let Some(raw) = found.get(slot) else {
            let field = Some(self.names[slot].clone());
            return Err(reject(Reason::Null, field, A_NUMBER, found.absence(slot)));
        };
        number(raw).map_err(|NoString| self.not_a_number(slot, found))
    }

    fn not_a_number(&self, slot: usize, found: &FieldValue<'_, '_>) -> Rejection {
        let raw = found.get(slot).unwrap_or_default();
        reject(Reason::Type, Some(self.names[slot].clone()), A_NUMBER, shortened(raw))
    }

    fn value(&self, found: &FieldValue<'_, '_>) -> Result<Decimal, Rejection> {
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

    /// No event time, and in which unit it would be one of our days.
    fn no_time(&self, text: &str) -> Rejection {
        let words = self.unit.words();
        let expected = format!("a whole number of nanoseconds from 1823 to 2116, written in {words}");
        let unit = TimeUnit::ALL.iter().find(|(unit, ..)| {
            let time = decimal::whole(text.as_bytes(), unit.places()).ok();
            *unit != self.unit && time.is_some_and(|time| is_plausible(EventTime(time)))
        });
        let hint = unit.map(|(_, name, words)| format!("; in {words} (--time-unit {name}) it would be plausible"));
        let found = format!("{}{}", shortened(text), hint.unwrap_or_default());
        reject(Reason::Time, Some(self.names[TIME].clone()), expected, found)
    }
}

/// Finds the event time alone, whatever else a record has or lacks.
#[derive(Clone, Debug)]
pub struct TimeDecoder {
    root: Node,
    unit: TimeUnit,
}

impl TimeDecoder {
    /// For a field, or a JSON pointer, in this unit.
    ///
    /// # Errors
    /// What is wrong with the field.
    pub fn new(field: &str, unit: TimeUnit) -> Result<Self, String> {
        let mut root = Node::default();
        let added = steps(field).and_then(|steps| root.add(&steps, TIME, &mut 0));
        added.map_err(|why| format!("--time-field {field:?}: {why}"))?;
        Ok(TimeDecoder { root, unit })
    }

    /// The event time of a record, if it has one.
    pub fn time(&self, record: &Record<'_>) -> Option<EventTime> {
        let text = std::str::from_utf8(record.payload.filter(|_| record.cut_from.is_none())?).ok()?;
        let mut found = FieldValue::default();
        self.root.read(text, &mut found).ok()?;
        let ns = decimal::whole(number(found.get(TIME)?).ok()?.as_bytes(), self.unit.places()).ok()?;
        (ns.abs() <= EventTime::LIMIT && found.twice.is_none()).then_some(EventTime(ns))
    }
}

const A_NUMBER: &str = "a number, or a string that is exactly one";

/// Is that a time that data of our days has: from 1990 on, and before 2100?
pub fn is_plausible(time: EventTime) -> bool {
    const YEAR: i64 = 31_556_952 * crate::time::SECOND;
    (20 * YEAR..130 * YEAR).contains(&time.0)
}

fn reject(
    reason: Reason,
    field: Option<String>,
    expected: impl Into<Cow<'static, str>>,
    found: impl Into<String>,
) -> Rejection {
    Rejection { reason, finding: Finding { field, expected: expected.into(), found: found.into() } }
}

/// The steps of a field: a name is one, a pointer (RFC 6901) has any number.
fn steps(field: &str) -> Result<Vec<String>, String> {
    match field.strip_prefix('/') {
        None if field.is_empty() => Err("a field has a name".into()),
        None if field.starts_with('@') => {
            Err(format!("only the symbol may be {KEY}; a field whose name begins so is /@…"))
        }
        None => Ok(vec![field.to_owned()]),
        Some(pointer) => Ok(pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()),
    }
}

impl Node {
    fn add(&mut self, steps: &[String], slot: usize, objects: &mut usize) -> Result<(), String> {
        let [name, below @ ..] = steps else { return Err("a pointer has a step".into()) };
        let known = self.children.iter().position(|(n, _)| n == name);
        let conflict = || Err(format!("{name:?} is configured for another field already"));
        match (known.map(|i| &mut self.children[i].1), below) {
            (None, []) => self.children.push((name.clone(), Child::Field(slot))),
            (None, below) => {
                let mut node = Node { path: format!("{}/{}", self.path, escaped_step(name)), children: Vec::new() };
                let number = *objects;
                *objects += 1;
                node.add(below, slot, objects)?;
                self.children.push((name.clone(), Child::Object(number, node)));
            }
            (Some(Child::Object(_, node)), [_, ..]) => return node.add(below, slot, objects),
            (Some(_), _) => return conflict(),
        }
        Ok(())
    }

    /// Finds the configured fields of one object's text, and checks the whole text.
    fn read<'n, 'a>(&'n self, text: &'a str, found: &mut FieldValue<'n, 'a>) -> Result<(), NotJson> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = if text.trim_ascii_start().starts_with('{') {
            Object { node: self, found }.deserialize(&mut json)
        } else {
            found.shape.get_or_insert((&self.path, text));
            IgnoredAny::deserialize(&mut json).map(drop)
        };
        read.and_then(|()| json.end()).map_err(|error| NotJson(error.to_string()))
    }
}

/// A step as a pointer writes it.
fn escaped_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The fields as they were written.
#[derive(Default)]
struct FieldValue<'n, 'a> {
    fields: [Option<&'a str>; 4],
    /// One bit for each object on a pointer's way.
    objects: u64,
    /// What came more than once: a configured field, or the object that this pointer leads to.
    twice: Option<(Option<usize>, &'n str)>,
    /// Where no object is, the pointer to it, and what is there.
    shape: Option<(&'n str, &'a str)>,
}

impl<'a> FieldValue<'_, 'a> {
    /// What is there and not null.
    fn get(&self, slot: usize) -> Option<&'a str> {
        self.fields[slot].filter(|raw| *raw != "null")
    }

    /// Why nothing is there.
    fn absence(&self, slot: usize) -> &'static str {
        if self.fields[slot].is_some() { "null" } else { "no such field" }
    }
}

/// The text is not JSON, and why.
struct NotJson(String);

/// A JSON value that is not a string.
struct NoString;

/// Visits one object.
struct Object<'n, 'f, 'a> {
    node: &'n Node,
    found: &'f mut FieldValue<'n, 'a>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, '_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, '_, 'a> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let found = self.found;
        while let Some(child) = map.next_key_seed(Key(self.node))? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = map.next_value::<&RawValue>()?.get();
            match child {
                Child::Field(slot) => {
                    if found.fields[*slot].replace(raw).is_some() {
                        found.twice.get_or_insert((Some(*slot), ""));
                    }
                }
                Child::Object(number, node) => {
                    if found.objects >> number & 1 == 1 {
                        found.twice.get_or_insert((None, &node.path));
                    }
                    found.objects |= 1 << number;
                    node.read(raw, found).map_err(|NotJson(why)| de::Error::custom(why))?;
                }
            }
        }
        Ok(())
    }
}

/// Is this key configured?
struct Key<'n>(&'n Node);

impl<'a, 'n> DeserializeSeed<'a> for Key<'n> {
    type Value = Option<&'n Child>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl<'n> Visitor<'_> for Key<'n> {
    type Value = Option<&'n Child>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|(name, _)| name == key).map(|(_, child)| child))
    }
}

/// A string's content; none if it is not Unicode text (half of a surrogate pair).
fn string(raw: &str) -> Result<Option<Cow<'_, str>>, NoString> {
    let inside = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).ok_or(NoString)?;
    if inside.contains('\\') {
        return Ok(serde_json::from_str(raw).ok().map(Cow::Owned));
    }
    Ok(Some(Cow::Borrowed(inside)))
}

/// The text of a number, or of a string that is to be exactly one number literal.
fn number(raw: &str) -> Result<Cow<'_, str>, NoString> {
    match raw.as_bytes().first() {
        Some(b'"') => string(raw)?.ok_or(NoString),
        _ => Ok(Cow::Borrowed(raw)), // a literal, or something that will be no number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Record<'_> {
        Record { offset: 0, append_time: None, key: Some(b"KEY"), payload: Some(payload), cut_from: None }
    }

    fn decode(payload: &str) -> Result<(String, String, i64, Option<String>), Reason> {
        let decoder = Decoder::new(&Fields::default()).unwrap();
        let event = decoder.decode(&record(payload.as_bytes())).map_err(|rejection| rejection.reason)?;
        let weight = event.weight.map(|w| w.to_string());
        Ok((event.symbol.into_owned(), event.value.to_string(), event.time.0, weight))
    }

    #[test]
    fn events_are_taken_as_written() {
        let event = |symbol: &str, value: &str, ns, weight: Option<&str>| {
            Ok((symbol.to_owned(), value.to_owned(), ns, weight.map(ToOwned::to_owned)))
        };
        for (payload, want) in [
            (r#"{"symbol":"A","price":1.50,"ts":1,"volume":2}"#, event("A", "1.5", 1_000_000, Some("2"))),
            (
                r#" { "ts" : 1e3 , "x":[{"price":1}], "price" : "1e2", "symbol":"é ß" } "#,
                event("é ß", "100", 1_000_000_000, None),
            ),
            (
                r#"{"s\u0079mbol":"\u0041\"","price":"\u0031","ts":-1.5,"volume":null}"#,
                event("A\"", "1", -1_500_000, None),
            ),
            (
                r#"{"symbol":"A","price":-0.000000000000000001,"ts":4611686018427.387904}"#,
                event("A", "-0.000000000000000001", 1 << 62, None),
            ),
        ] {
            assert_eq!(decode(payload), want, "{payload}");
        }
    }

    #[test]
    fn everything_else_has_its_reason() {
        use Reason::{Json, Null, Precision, Range, Shape, Symbol, Time, Twice, Type, Weight};
        for (payload, want) in [
            ("", Json),
            (r#"{"symbol":"A","price":1,"ts":1"#, Json),
            (r#"{"symbol":"A","price":1,"ts":1}}"#, Json),
            (r#"{"symbol":"A","price":01,"ts":1}"#, Json),
            (r#"{"symbol":"A","price":1,"ts":1,}"#, Json),
            (r#"{"symbol":"A","price":1,"ts":1,"x":"\u12G4"}"#, Json),
            (r#"{"symbol":"A","price":NaN,"ts":1}"#, Json),
            ("\u{feff}{}", Json),
            ("[]", Shape),
            ("null", Shape),
            ("1", Shape),
            (r#"{"symbol":"A","price":1,"price":1,"ts":1}"#, Twice),
            (r#"{"symbol":"A","price":1,"ts":1,"t\u0073":null}"#, Twice),
            (r#"{"symbol":"","price":1,"ts":1}"#, Symbol),
            (r#"{"symbol":"\ud800","price":1,"ts":1}"#, Symbol),
            (r#"{"symbol":"a\nb","price":1,"ts":1}"#, Symbol),
            ("{\"symbol\":\"a\u{85}b\",\"price\":1,\"ts\":1}", Symbol),
            (r#"{"symbol":7,"price":1,"ts":1}"#, Type),
            (r#"{"symbol":"A","price":true,"ts":1}"#, Type),
            (r#"{"symbol":"A","price":" 1","ts":1}"#, Type),
            (r#"{"symbol":"A","price":{},"ts":1}"#, Type),
            (r#"{"symbol":"A","price":1,"ts":"now"}"#, Type),
            (r#"{"symbol":"A","price":1e12,"ts":1}"#, Range),
            (r#"{"symbol":"A","price":1e-19,"ts":1}"#, Precision),
            (r#"{"symbol":"A","price":1,"ts":0.0000001}"#, Time),
            (r#"{"symbol":"A","price":1,"ts":4611686018427.387905}"#, Time),
            (r#"{"symbol":"A","price":1,"ts":1e400}"#, Time),
            (r#"{"symbol":"A","price":1,"ts":1,"volume":-1}"#, Weight),
            (r#"{"symbol":"A","price":1,"ts":1,"volume":[]}"#, Weight),
            (r#"{"symbol":"A","price":null,"ts":1}"#, Null),
            (r#"{"price":1,"ts":1}"#, Null),
            ("{}", Null),
        ] {
            assert_eq!(decode(payload), Err(want), "{payload}");
        }
        let deep = format!(r#"{{"symbol":"A","price":1,"ts":1,"x":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert!(decode(&deep).is_ok() || decode(&deep) == Err(Json), "deep nesting is decided, not a crash");
        let decoder = Decoder::new(&Fields::default()).unwrap();
        let reason = |record: &Record<'_>| decoder.decode(record).unwrap_err().reason;
        assert_eq!(reason(&record(b"{\"symbol\":\"\xff\",\"price\":1,\"ts\":1}")), Json);
        assert_eq!(reason(&Record { payload: None, ..record(b"") }), Null);
    }

    #[test]
    fn pointers_and_keys() {
        let fields = Fields {
            symbol: KEY.into(),
            value: "/data/a~1b".into(),
            time: "/data/t/ms".into(),
            weight: None,
            ..Fields::default()
        };
        let decoder = Decoder::new(&fields).unwrap();
        let decode = |payload: &str| {
            let event = decoder.decode(&record(payload.as_bytes()));
            event
                .map(|e| (e.symbol.into_owned(), e.value.to_string(), e.time.0))
                .map_err(|Rejection { reason, finding }| (reason, finding.field))
        };
        let event = Ok(("KEY".to_owned(), "2".to_owned(), 7_000_000));
        assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7}}}"#), event);
        assert_eq!(decode(r#"{"dat\u0061":{"a/b":2,"t":{"ms":7}}}"#), event);
        let wrong = |reason, field: &str| Err((reason, Some(field.to_owned())));
        assert_eq!(decode("[]"), Err((Reason::Shape, None)));
        assert_eq!(decode(r#"{"data":[]}"#), wrong(Reason::Shape, "/data"));
        assert_eq!(decode(r#"{"data":{"t":7}}"#), wrong(Reason::Shape, "/data/t"));
        assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7},"t":{}}}"#), wrong(Reason::Twice, "/data/t"));
        assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7,"ms":7}}}"#), wrong(Reason::Twice, "/data/t/ms"));
        assert_eq!(decode(r#"{"data":{}}"#), wrong(Reason::Null, "/data/a~1b"));
        let errors = Decoder::new(&Fields { value: "x".into(), time: "x".into(), symbol: "".into(), ..fields });
        assert_eq!(errors.unwrap_err().len(), 2);
    }

    #[test]
    fn a_rejection_says_where_what_was_expected_and_what_was_found() {
        let decoder = Decoder::new(&Fields::default()).unwrap();
        let said = |payload: &[u8]| decoder.decode(&record(payload)).unwrap_err().finding.to_string();
        for (payload, parts) in [
            (&br#"{"symbol":"A","price":1}"#[..], &["ts: expected a number", "found no such field"][..]),
            (br#"{"symbol":"A","price":null,"ts":1}"#, &["price: expected a number", "found null"]),
            (br#"{"symbol":"A","price":"1,5","ts":1}"#, &["price: expected a number", "found \"1,5\""]),
            (br#"{"symbol":7,"price":1,"ts":1}"#, &["symbol: expected a symbol of 1 to 1024 bytes", "found 7"]),
            (br#"{"symbol":"A","price":1,"ts":1,"volume":-2}"#, &["volume: expected a number from 0", "found -2"]),
            (br#"{"symbol":"A","price":1,"ts":1767225600000000}"#, &["ts: ", "microseconds (--time-unit us)"]),
            (br#"{"symbol":"A","price":1,"ts":1767225600000000000}"#, &["ts: ", "nanoseconds (--time-unit ns)"]),
            (br#"{"symbol":"A","price":1,"ts":0.0000001}"#, &["ts: ", "found 0.0000001"]),
            ("{\"symbol\":\"a\u{202e}\\u001b\",\"price\":1,\"ts\":1}".as_bytes(), &["found a\\u{202e}\\u{1b}"]),
            (b"", &["expected one whole JSON text in UTF-8, found nothing (an empty record)"]),
            (b"symbol,price,ts", &["found symbol,price,ts (expected value at line 1 column 1)"]),
            (b"\xef\xbb\xbf{}", &["a byte order mark"]),
            (b"\xff\xfe{\0", &["UTF-16"]),
            (b"{\"symbol\":\"\xe9\"}", &["no UTF-8 from byte 11 on"]),
            (b"[1]", &["expected an object, found [1]"]),
        ] {
            let said = said(payload);
            assert!(parts.iter().all(|part| said.contains(part)), "{said:?} has not all of {parts:?}");
        }
        let long = format!(r#"{{"symbol":"A","price":"{}","ts":1}}"#, "x".repeat(1_000_000));
        assert!(said(long.as_bytes()).len() < 300, "{}", said(long.as_bytes()));
        let cut = decoder.decode(&Record { cut_from: Some(5_000), ..record(br#"{"symbol":"A","price":1,"ts":1}"#) });
        let Rejection { reason, finding } = cut.unwrap_err();
        assert_eq!((reason, finding.found.starts_with("5000 bytes")), (Reason::Long, true), "{finding}");
        let by_key = Decoder::new(&Fields { symbol: KEY.into(), ..Fields::default() }).unwrap();
        let bad = by_key.decode(&Record { key: Some(&[0xff, b'A']), ..record(br#"{"price":1,"ts":1}"#) }).unwrap_err();
        assert_eq!((bad.reason, bad.finding.field.as_deref()), (Reason::Symbol, Some(KEY)));
    }

    #[test]
    fn an_event_time_is_found_without_symbol_and_value() {
        let decoder = TimeDecoder::new("/t/T", TimeUnit::Seconds).unwrap();
        let time = |payload: &str| decoder.time(&record(payload.as_bytes())).map(|time| time.0);
        assert_eq!(time(r#"{"p":"1","t":{"T":"7.5"}}"#), Some(7_500_000_000));
        for payload in
            ["", "[]", "{}", r#"{"t":{"T":null}}"#, r#"{"t":{"T":1,"T":2}}"#, r#"{"t":{"T":1e30}}"#, r#"{"t":7}"#]
        {
            assert_eq!(time(payload), None, "{payload}");
        }
        assert!(TimeDecoder::new("", TimeUnit::Seconds).unwrap_err().contains("--time-field"));
    }

    /// R2, in both paths: by field and by key, of ASCII and of other characters.
    #[test]
    fn a_symbol_has_at_most_1024_bytes() {
        let by_name = Decoder::new(&Fields::default()).unwrap();
        let by_key = Decoder::new(&Fields { symbol: KEY.into(), ..Fields::default() }).unwrap();
        for (symbol, fits) in
            [("Q".repeat(1024), true), ("Q".repeat(1025), false), ("é".repeat(512), true), ("é".repeat(513), false)]
        {
            let payload = format!(r#"{{"symbol":"{symbol}","price":1,"ts":1}}"#);
            let by_key_alone = br#"{"price":1,"ts":1}"#;
            for (decoder, payload) in [(&by_name, payload.as_bytes()), (&by_key, by_key_alone)] {
                let record = Record { key: Some(symbol.as_bytes()), ..record(payload) };
                let reason = decoder.decode(&record).map(|event| event.symbol.len()).map_err(|wrong| wrong.reason);
                assert_eq!(reason, if fits { Ok(1024) } else { Err(Reason::Symbol) }, "{} bytes", symbol.len());
            }
        }
    }

    /// Any damage: what is JSON for serde_json is JSON here, and nothing else is.
    #[test]
    fn json_is_what_the_reference_says() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let decoder = Decoder::new(&Fields::default()).unwrap();
        let pieces = [
            r#""symbol":"A""#,
            r#""price":1.25"#,
            r#""ts":1"#,
            r#""volume":"3""#,
            r#""x":[1,{"y":null},"z"]"#,
            r#""a":-0.5e+7"#,
            r#""b":true"#,
            r#""é":"\n""#,
            r#""c":{"symbol":[]}"#,
            r#""long":123456789012345678901234567890.5"#,
        ];
        let mut taken = 0;
        for _ in 0..60_000 {
            let body: Vec<_> = (0..rng.usize(..9)).map(|_| pieces[rng.usize(..pieces.len())]).collect();
            let mut text = format!("{{{}}}", body.join(if rng.bool() { "," } else { " ,\t" })).into_bytes();
            for _ in 0..rng.usize(..3) {
                let at = rng.usize(..text.len());
                match rng.u8(..3) {
                    0 => text[at] = *rng.choice(b"{}[],:\"\\0123456789.eE+-tfn \t\x01\xff").unwrap(),
                    1 => drop(text.remove(at)),
                    _ => text.insert(at, *rng.choice(b"{}[],:\"\\0.eE- ").unwrap()),
                }
                if text.is_empty() {
                    break;
                }
            }
            let reference = serde_json::from_slice::<&RawValue>(&text).is_ok();
            let ours = decoder.decode(&record(&text));
            let json = !matches!(&ours, Err(Rejection { reason: Reason::Json, .. }));
            assert_eq!(json, reference, "{:?} seed {seed}", String::from_utf8_lossy(&text));
            taken += usize::from(ours.is_ok());
        }
        assert!(taken > 100, "too few events to say anything: {taken}");
    }
}
