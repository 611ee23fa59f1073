//! Any bytes as records of any configuration. The first line chooses it, a byte a choice ([`Choices`]); what follows are records.
//!
//! Whatever the bytes: no panic, one answer of the plain path and of the other, and an event is what `right` says that it is. How
//! long it may take and how much memory it may have, libFuzzer is told in `./test long`.

#![allow(dead_code, reason = "each target uses its part")]

use crate::right::{self, Beyond};
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::decode::schema::{FileSchema, RegisteredSchema, SchemaDecoder, SchemaKind};
use minutely_dataflows::decode::{
    CsvOptions, DecodedEvent, Decoder, EventOutcome, FieldNames, Format, TimeOptions, TimeUnit,
};
use minutely_dataflows::edge::{Halt, SchemaRegistry};
use minutely_dataflows::numbers::{NumberOptions, OnPrecision, WeightSign};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;

/// Bytes of a finding, at most: it is shown to people.
const MOST_FOUND: usize = 4096;

/// What a byte chooses: its distance from `a`, over and over. Where there is none, the first.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let byte = self.0.next().map_or(0, |byte| byte.wrapping_sub(b'a'));
        all[usize::from(byte) % all.len()].clone()
    }
}

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Json,
    FramedJson,
    Csv,
    Avro { framed: bool },
    Protobuf { framed: bool },
}

/// Members are in an object `d`, or at the top.
fn field(choices: &mut Choices<'_>, name: &str) -> String {
    let below = format!("/d/{name}");
    choices.of(&[name.to_owned(), below, format!("/{name}"), "/0".into(), "/d/1/x".into(), "@payload".into()])
}

const AVRO: &str = r#"{"type": "record", "name": "T", "fields": [{"name": "symbol", "type": "string"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
    {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "volume", "type": ["null", "double"]},
    {"name": "d", "type": {"type": "array", "items": ["null", "string", "float", {"type": "map", "values": "long"}, "T"]}}]}"#;
const PROTOBUF: &str = r#"syntax = "proto3"; import "google/protobuf/timestamp.proto";
    message T { string symbol = 1; sint64 price = 2; google.protobuf.Timestamp ts = 3; optional double volume = 4;
    repeated T d = 5; map<string, float> e = 6; oneof kind { bytes id = 7; fixed64 x = 8; } }"#;

fn registered(kind: SchemaKind) -> RegisteredSchema {
    let text = if kind == SchemaKind::Avro { AVRO } else { PROTOBUF };
    RegisteredSchema { kind, text: text.to_owned(), references: Vec::new() }
}

/// A registry that has schema 1.
struct One(SchemaKind);

impl SchemaRegistry for One {
    fn schema(&self, id: u32) -> Result<Option<RegisteredSchema>, Halt> {
        Ok((id == 1).then(|| registered(self.0)))
    }
}

thread_local! {
    static FILES: [FileSchema; 2] = [SchemaKind::Avro, SchemaKind::Protobuf]
        .map(|kind| FileSchema::of(&registered(kind), None).expect("it is a schema"));
}

fn schemas(written: Written) -> Option<SchemaDecoder> {
    let (kind, framed, at) = match written {
        Written::Avro { framed } => (SchemaKind::Avro, framed, 0),
        Written::Protobuf { framed } => (SchemaKind::Protobuf, framed, 1),
        _ => return None,
    };
    Some(match framed {
        true => SchemaDecoder::of_registry(kind, Arc::new(One(kind))),
        false => SchemaDecoder::of_file(FILES.with(|files| files[at].clone())),
    })
}

fn csv(choices: &mut Choices<'_>) -> CsvOptions {
    let names = |names: &str| Some(names.split(' ').map(str::to_owned).collect::<Vec<_>>());
    CsvOptions {
        delimiter: choices.of(b",;\t|"),
        quote: choices.of(&[Some(b'"'), None, Some(b'\'')]),
        columns: choices.of(&[None, names("symbol price ts volume"), names("ts id symbol e volume price date time")]),
        skip_lines: choices.of(&[0, 1, 3]),
    }
}

fn times(choices: &mut Choices<'_>) -> TimeOptions {
    let text = |text: &str| Some(text.to_owned());
    TimeOptions {
        unit: choices.of(&TimeUnit::ALL.map(|(unit, ..)| unit)),
        format: choices.of(&[None, None, text("%Y-%m-%d %H:%M:%S%.f"), text("%d/%m/%y %H:%M %z"), text("%s")]),
        zone: choices.of(&[None, text("Europe/Berlin"), text("+05:30"), text("America/New_York")]),
    }
}

/// What values may be multiplied by, and in parts.
const FACTORS: [(&str, u32, i64); 4] =
    [("1", 1, 0), ("0.01", 1, -2), ("2.5e3", 25, 2), ("999999999e-28", 999_999_999, -28)];

fn numbers(choices: &mut Choices<'_>, factor: &str) -> NumberOptions {
    NumberOptions {
        decimals: choices.of(&[18, 0, 8, 28]),
        weight_decimals: choices.of(&[18, 0, 28]),
        on_precision: choices.of(&[OnPrecision::Round, OnPrecision::Reject]),
        value_scale: factor.parse().expect("it is one"),
        weight_sign: choices.of(&[WeightSign::Abs, WeightSign::Keep, WeightSign::Reject]),
    }
}

fn fields(choices: &mut Choices<'_>, written: Written, factor: &str) -> FieldNames {
    let each = choices.of(&[None, Some(""), Some("/d"), Some("/d/0")]).map(str::to_owned);
    let symbol = field(choices, "symbol");
    let symbol =
        choices.of(&[vec![symbol.clone()], vec!["@key".into()], vec!["=A".into()], vec!["@file".into(), symbol]]);
    let value = field(choices, "price");
    let time = field(choices, "ts");
    let time = choices.of(&[vec![time], vec!["date".into(), "time".into()], vec!["@timestamp".into()]]);
    let weight = field(choices, "volume");
    let conditions: [&[&str]; 6] =
        [&[], &["e=trade|1"], &["!/d/e"], &["e!=1.50", "price"], &["/0=", "!/1"], &["e=1e2"]];
    FieldNames {
        each: each.filter(|_| written != Written::Csv),
        symbol,
        value: choices.of(&[value.clone(), value, "=12.5".into()]),
        time,
        times: times(choices),
        weight: choices.of(&[Some(weight), None]),
        filter: choices.of(&conditions).iter().map(|text| (*text).to_owned()).collect(),
        id: choices.of(&[
            vec![],
            vec!["id".to_owned()],
            vec!["/d/id".to_owned()],
            vec!["id".to_owned(), "/d/id".to_owned()],
        ]),
        numbers: numbers(choices, factor),
        debezium: None,
        format: match written {
            Written::Json => Format::Json,
            Written::FramedJson => Format::JsonSchema,
            Written::Csv => Format::Csv(csv(choices)),
            Written::Avro { .. } => Format::Avro,
            Written::Protobuf { .. } => Format::Protobuf,
        },
    }
}

/// One event of a record, as it is compared.
type Part<'a> = (Option<(u32, Option<&'a [u8]>)>, EventOutcome<'a>);

fn parts<'a>(decoder: &'a Decoder, record: &Record<'a>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let each = |part: minutely_dataflows::decode::DecodedPart<'a>| {
        parts.push((part.element.map(|element| (element.index, element.text)), part.outcome));
    };
    decoder.parts(record, each).expect("the registry answers");
    parts
}

/// See the module.
pub(crate) fn records(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let mut choices = Choices(bytes[..end].iter());
    let rest = bytes.get(end + 1..).unwrap_or_default();
    let written = choices.of(&[
        Written::Json,
        Written::Csv,
        Written::FramedJson,
        Written::Avro { framed: false },
        Written::Avro { framed: true },
        Written::Protobuf { framed: false },
        Written::Protobuf { framed: true },
    ]);
    let factor = choices.of(&FACTORS);
    let key = choices.of(&[Some(&b"KEY"[..]), Some(br#"{"d":{"price":1,"symbol":"K"}}"#), None, Some(b"\xff")]);
    let (frame, by_line) = (choices.of(&[true, false]), choices.of(&[true, false]));
    let fields = fields(&mut choices, written, factor.0);
    let Ok(decoder) = Decoder::with_schemas(&fields, schemas(written)) else { return };
    let run = Run { fields, written, factor, key, frame };
    match written {
        Written::Json | Written::FramedJson | Written::Csv if by_line => {
            run.check(decoder, rest.split(|byte| *byte == b'\n'))
        }
        _ => run.check(decoder, std::iter::once(rest)),
    }
}

/// A configuration and what records have beside their payload.
struct Run<'a> {
    fields: FieldNames,
    written: Written,
    factor: (&'static str, u32, i64),
    key: Option<&'a [u8]>,
    frame: bool,
}

impl Run<'_> {
    fn check<'a>(&self, decoder: Decoder, payloads: impl Iterator<Item = &'a [u8]>) {
        let partition = PartitionName { log: "x/ticks.csv".to_owned(), number: None };
        let mut decoder = decoder.for_partition(&partition);
        // No record with a condition on its key takes the plain path. This one always holds.
        let filter = [&self.fields.filter[..], &["!@key/none".to_owned()]].concat();
        let slow = FieldNames { filter, ..self.fields.clone() };
        let mut slow =
            Decoder::with_schemas(&slow, schemas(self.written)).expect("the other is right").for_partition(&partition);
        let mut header = None;
        for (offset, payload) in (0..).zip(payloads) {
            let framed = [
                &[0, 0, 0, 0, 1][..],
                if self.written == (Written::Protobuf { framed: true }) { &[0] } else { &[] },
                payload,
            ]
            .concat();
            let framed_text = matches!(
                self.written,
                Written::FramedJson | Written::Avro { framed: true } | Written::Protobuf { framed: true }
            );
            let whole = if self.frame && framed_text { &framed[..] } else { payload };
            let record = Record {
                offset,
                key: self.key,
                payload: Some(whole),
                timestamp: Some(EventTime(7)),
                ..Record::default()
            };
            if decoder.header_at() == Some(offset) {
                header = std::str::from_utf8(payload).ok().map(|text| text.strip_suffix('\r').unwrap_or(text));
            }
            decoder.learn(&record);
            slow.learn(&record);
            let found = parts(&decoder, &record);
            assert_eq!(found, parts(&slow, &record), "the plain path gives another answer");
            for (at, (element, outcome)) in (0..).zip(&found) {
                assert!(
                    element.map_or(found.len() == 1, |(index, _)| index == at && self.fields.each.is_some()),
                    "elements in order"
                );
                match outcome {
                    EventOutcome::Event(event) => self.event(event, *element, (payload, header)),
                    EventOutcome::Rejected(rejection) => {
                        let finding = &rejection.finding;
                        assert!(finding.found.len() < MOST_FOUND, "{} bytes of a finding", finding.found.len());
                        assert!(!finding.found.contains(char::is_control), "{}", finding.found);
                    }
                    EventOutcome::Skipped => {}
                }
            }
        }
    }

    /// An event is what its record says.
    fn event(
        &self,
        event: &DecodedEvent<'_>,
        element: Option<(u32, Option<&[u8]>)>,
        (payload, header): (&[u8], Option<&str>),
    ) {
        assert!(!event.symbol.is_empty() && event.symbol.len() <= 1024, "{:?}", event.symbol);
        let Ok(text) = std::str::from_utf8(payload) else { return };
        let of_element = element.and_then(|(_, text)| text).and_then(|text| std::str::from_utf8(text).ok());
        if self.fields.each.is_some() && of_element.is_none() {
            return;
        }
        let at = |field: &str| match &self.fields.format {
            Format::Json | Format::JsonSchema => right::json_text(right::json_at(of_element.unwrap_or(text), field)),
            Format::Csv(options) => cell(text, header, field, options),
            Format::Avro | Format::Protobuf => None,
        };
        if matches!(self.fields.format, Format::Avro | Format::Protobuf) {
            return;
        }
        let value = match self.fields.value.strip_prefix('=') {
            Some(constant) => Some(constant.to_owned()),
            None => at(&self.fields.value),
        };
        let numbers = &self.fields.numbers;
        let value = value.expect("an event has a value");
        let (wanted, exact) =
            right::scaled(value.trim(), self.factor.1, self.factor.2 + i64::from(numbers.decimals), Beyond::HalfToEven)
                .expect("an event's value is a number");
        assert_eq!(event.value, Decimal(wanted), "the value of {value}");
        let weight =
            self.fields.weight.as_ref().and_then(|field| at(field)).filter(|text| !matches!(text.trim(), "" | "-"));
        let scaled =
            |text: String| right::scaled(text.trim(), 1, i64::from(numbers.weight_decimals), Beyond::HalfToEven);
        let (given, shown) = (weight.is_some(), format!("{weight:?} in {text:?}"));
        let weight = weight.and_then(scaled).filter(|(weight, _)| weight.unsigned_abs() <= 10_u128.pow(29));
        assert_eq!(event.weight_beyond, given && weight.is_none(), "{shown} is beyond the range: {event:?}");
        let signed = |weight: i128| if numbers.weight_sign == WeightSign::Keep { weight } else { weight.abs() };
        assert_eq!(event.weight, weight.map(|(weight, _)| Decimal(signed(weight))), "the weight");
        let is_rounded = event.weight_beyond || weight.is_some_and(|(_, exact)| !exact);
        assert_eq!(event.rounded, !exact || is_rounded, "rounded");
        self.time(event.time, &at);
        if let [one] = self.fields.symbol.as_slice()
            && !one.starts_with(['@', '='])
        {
            assert_eq!(Some(&*event.symbol), at(one).as_deref(), "the symbol");
        }
    }

    fn time(&self, time: EventTime, at: &impl Fn(&str) -> Option<String>) {
        assert!(time.0.unsigned_abs() <= 1 << 62, "{time:?}");
        let [field] = self.fields.time.as_slice() else { return };
        if field == "@timestamp" {
            return assert_eq!(time, EventTime(7));
        }
        let places = [
            (TimeUnit::Seconds, 9),
            (TimeUnit::Milliseconds, 6),
            (TimeUnit::Microseconds, 3),
            (TimeUnit::Nanoseconds, 0),
        ];
        let places = places.iter().find(|(unit, _)| *unit == self.fields.times.unit).map_or(0, |(_, places)| *places);
        let text = at(field).expect("an event has a time");
        let text = text.trim();
        let is_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        let is_number = is_number && !text[1..].split(['e', 'E']).next().unwrap_or_default().contains('-');
        if self.fields.times.format.is_none() && is_number {
            let wanted = right::scaled(text, 1, places, Beyond::Floor).map(|(ns, _)| ns);
            assert_eq!(Some(i128::from(time.0)), wanted, "the time of {text}");
        }
    }
}

/// The cell of a row that a field is.
fn cell(row: &str, header: Option<&str>, field: &str, options: &CsvOptions) -> Option<String> {
    let split = |row: &str| right::cells(row, char::from(options.delimiter), options.quote.map(char::from));
    let names = options.columns.clone().or_else(|| header.map(split)).unwrap_or_default();
    let step = field.strip_prefix('/');
    let number =
        step.and_then(|step| step.parse::<usize>().ok()).filter(|number| Some(number.to_string().as_str()) == step);
    let at = number.or_else(|| names.iter().position(|name| name.trim() == step.unwrap_or(field)))?;
    split(row.strip_suffix('\r').unwrap_or(row)).into_iter().nth(at).filter(|text| !text.is_empty())
}
