//! From payload to event (R2).
//!
//! A record is one whole JSON text. The configured fields are found in one pass, as the text they were written in; the
//! rest is only checked. Nothing is decided before the text is known to be JSON, so a reason never depends on where a
//! reader stopped.
//!
//! Nearly every record is plain and read by `plain.rs`, which only ever says yes; everything else is serde_json's.

use crate::decimal::{self, Decimal, DecimalError};
use crate::plain::Plain;
use crate::record::{Reason, Record};
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
}

/// Configured fields below one object, by name.
#[derive(Clone, Debug, Default)]
struct Node {
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
        let mut decoder =
            Decoder { plain: None, root: Node::default(), by_key: fields.symbol == KEY, unit: fields.unit };
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
    /// Why it cannot count. If several reasons apply: the first in the order of R2's list, then symbol, value, time,
    /// weight.
    pub fn decode<'a>(&self, record: &Record<'a>) -> Result<Event<'a>, Reason> {
        self.plain_event(record).map_or_else(|| self.decode_any(record), Ok)
    }

    /// By the plain path.
    pub(crate) fn plain_event<'a>(&self, record: &Record<'a>) -> Option<Event<'a>> {
        self.plain.as_ref()?.event(record)
    }

    /// By serde_json.
    pub(crate) fn decode_any<'a>(&self, record: &Record<'a>) -> Result<Event<'a>, Reason> {
        let payload = record.payload.ok_or(Reason::Null)?;
        let text = std::str::from_utf8(payload).map_err(|_| Reason::Json)?;
        let mut found = Found::default();
        self.root.read(text, &mut found).map_err(|NotJson| Reason::Json)?;
        if found.shape {
            return Err(Reason::Shape);
        }
        if found.twice {
            return Err(Reason::Twice);
        }
        let symbol = if self.by_key {
            let key = record.key.ok_or(Reason::Null)?;
            Cow::Borrowed(std::str::from_utf8(key).map_err(|_| Reason::Symbol)?)
        } else {
            string(found.get(SYMBOL).ok_or(Reason::Null)?)?.ok_or(Reason::Symbol)?
        };
        // ASCII first: the check by character costs more than the rest of the symbol.
        let plain = symbol.bytes().all(|b| (0x20..0x7f).contains(&b));
        if symbol.is_empty() || (!plain && symbol.chars().any(char::is_control)) {
            return Err(Reason::Symbol);
        }
        let value = number(found.get(VALUE).ok_or(Reason::Null)?)
            .and_then(|text| Decimal::parse(text.as_bytes()).map_err(Reason::from))?;
        let time = number(found.get(TIME).ok_or(Reason::Null)?)?;
        let time = match decimal::whole(time.as_bytes(), self.unit.places()) {
            Ok(ns) if ns.abs() <= EventTime::LIMIT => EventTime(ns),
            Ok(_) | Err(DecimalError::Range | DecimalError::Precision) => return Err(Reason::Time),
            Err(DecimalError::NotANumber) => return Err(Reason::Type),
        };
        let weight = match found.get(WEIGHT) {
            None => None,
            Some(raw) => {
                let weight = number(raw).ok().and_then(|text| Decimal::parse(text.as_bytes()).ok());
                Some(weight.filter(|w| w.0 >= 0).ok_or(Reason::Weight)?)
            }
        };
        Ok(Event { symbol, value, time, weight })
    }
}

impl From<DecimalError> for Reason {
    fn from(error: DecimalError) -> Self {
        match error {
            DecimalError::NotANumber => Reason::Type,
            DecimalError::Range => Reason::Range,
            DecimalError::Precision => Reason::Precision,
        }
    }
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
                let mut node = Node::default();
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
    fn read<'a>(&self, text: &'a str, found: &mut Found<'a>) -> Result<(), NotJson> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = if text.trim_ascii_start().starts_with('{') {
            Object { node: self, found }.deserialize(&mut json)
        } else {
            found.shape = true;
            IgnoredAny::deserialize(&mut json).map(drop)
        };
        read.and_then(|()| json.end()).map_err(|_| NotJson)
    }
}

/// The fields as they were written.
#[derive(Default)]
struct Found<'a> {
    fields: [Option<&'a str>; 4],
    /// One bit for each object on a pointer's way.
    objects: u64,
    twice: bool,
    shape: bool,
}

impl<'a> Found<'a> {
    /// What is there and not null.
    fn get(&self, slot: usize) -> Option<&'a str> {
        self.fields[slot].filter(|raw| *raw != "null")
    }
}

/// The text is not JSON.
struct NotJson;

/// Visits one object.
struct Object<'n, 'f, 'a> {
    node: &'n Node,
    found: &'f mut Found<'a>,
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
                Child::Field(slot) => found.twice |= found.fields[*slot].replace(raw).is_some(),
                Child::Object(number, node) => {
                    found.twice |= found.objects >> number & 1 == 1;
                    found.objects |= 1 << number;
                    node.read(raw, found).map_err(|NotJson| de::Error::custom("an object"))?;
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
fn string(raw: &str) -> Result<Option<Cow<'_, str>>, Reason> {
    let inside = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).ok_or(Reason::Type)?;
    if inside.contains('\\') {
        return Ok(serde_json::from_str(raw).ok().map(Cow::Owned));
    }
    Ok(Some(Cow::Borrowed(inside)))
}

/// The text of a number, or of a string that is to be exactly one number literal.
fn number(raw: &str) -> Result<Cow<'_, str>, Reason> {
    match raw.as_bytes().first() {
        Some(b'"') => string(raw)?.ok_or(Reason::Type),
        _ => Ok(Cow::Borrowed(raw)), // a literal, or something that will be no number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Record<'_> {
        Record { offset: 0, append_time: None, key: Some(b"KEY"), payload: Some(payload) }
    }

    fn decode(payload: &str) -> Result<(String, String, i64, Option<String>), Reason> {
        let decoder = Decoder::new(&Fields::default()).unwrap();
        let event = decoder.decode(&record(payload.as_bytes()))?;
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
        assert_eq!(decoder.decode(&record(b"{\"symbol\":\"\xff\",\"price\":1,\"ts\":1}")), Err(Json));
        assert_eq!(decoder.decode(&Record { payload: None, ..record(b"") }), Err(Null));
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
            decoder.decode(&record(payload.as_bytes())).map(|e| (e.symbol.into_owned(), e.value.to_string(), e.time.0))
        };
        let event = Ok(("KEY".to_owned(), "2".to_owned(), 7_000_000));
        assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7}}}"#), event);
        assert_eq!(decode(r#"{"dat\u0061":{"a/b":2,"t":{"ms":7}}}"#), event);
        assert_eq!(decode(r#"{"data":[]}"#), Err(Reason::Shape));
        assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7},"t":{}}}"#), Err(Reason::Twice));
        assert_eq!(decode(r#"{"data":{}}"#), Err(Reason::Null));
        let errors = Decoder::new(&Fields { value: "x".into(), time: "x".into(), symbol: "".into(), ..fields });
        assert_eq!(errors.unwrap_err().len(), 2);
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
            assert_eq!(ours != Err(Reason::Json), reference, "{:?} seed {seed}", String::from_utf8_lossy(&text));
            taken += usize::from(ours.is_ok());
        }
        assert!(taken > 100, "too few events to say anything: {taken}");
    }
}
