//! Change events as Debezium's connectors write them: which rows count, and to the last digit.

use crate::decode::{DebeziumOptions, Decoder, EventOutcome, FieldNames, Format, SkipCause};
use crate::record::{Record, Rejection};
use crate::time::EventTime;

/// Columns, as a schema says them: `numeric(12,4)`, `numeric` without a scale, `timestamp(6)`, and an array of records.
const COLUMNS: &str = r#"{"type":"string","field":"symbol"},
    {"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,
     "parameters":{"scale":"4","connect.decimal.precision":"12"},"field":"price"},
    {"type":"struct","name":"io.debezium.data.VariableScaleDecimal","version":1,"field":"volume",
     "fields":[{"type":"int32","field":"scale"},{"type":"bytes","field":"value"}]},
    {"type":"int64","name":"io.debezium.time.MicroTimestamp","version":1,"field":"ts"},
    {"type":"array","field":"legs","items":{"type":"struct","fields":[{"type":"bytes","field":"price",
     "name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"1"}}]}}"#;

fn row_schema(field: &str, columns: &str) -> String {
    format!(r#"{{"type":"struct","fields":[{columns}],"optional":true,"name":"s.public.t.Value","field":"{field}"}}"#)
}

/// An event with its schema.
fn with_schema(columns: &str, payload: &str) -> String {
    let (before, after) = (row_schema("before", columns), row_schema("after", columns));
    let op = r#"{"type":"string","optional":false,"field":"op"}"#;
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{before},{after},{op}],"name":"s.public.t.Envelope"}},"payload":{payload}}}"#
    )
}

fn envelope(op: &str, before: &str, after: &str) -> String {
    format!(
        r#"{{"before":{before},"after":{after},"source":{{"table":"t","ts_ms":1767225600005}},"op":"{op}","ts_ms":1767225600009,"transaction":null}}"#
    )
}

fn fields() -> FieldNames {
    FieldNames { debezium: Some(DebeziumOptions::default()), ..FieldNames::default() }
}

/// Each event: `A 1.5 x2 @ns`; what is skipped and as what; what is rejected.
fn events_of(fields: &FieldNames, record: &Record<'_>) -> Vec<String> {
    let decoder = Decoder::new(fields).unwrap();
    let mut all = Vec::new();
    decoder
        .parts(record, |part| {
            all.push(match part.outcome {
                EventOutcome::Skipped => "skipped".to_owned(),
                EventOutcome::Rejected(Rejection { reason, finding }) => format!("{}: {finding}", reason.name()),
                EventOutcome::Event(event) => {
                    let weight = event.weight.map(|weight| format!(" x{}", weight.with_decimals(18)));
                    let EventTime(ns) = event.time;
                    format!("{} {}{} @{ns}", event.symbol, event.value.with_decimals(18), weight.unwrap_or_default())
                }
            });
        })
        .unwrap();
    let skipped = decoder.skipped_by(record, None);
    if let ([one], Some(SkipCause::Envelope(what))) = (&mut all[..], skipped) {
        *one = format!("{one}: {what}");
    }
    all
}

fn decoded(fields: &FieldNames, payload: &str) -> Vec<String> {
    let record = Record { payload: Some(payload.as_bytes()), key: Some(b"K"), ..Record::default() };
    events_of(fields, &record)
}

const ROW: &str = r#"{"symbol":"A","price":"AeJA","volume":{"scale":2,"value":"MDk="},"ts":1767225600000001,"legs":[{"price":"BQ=="},{"price":"+w=="}]}"#;

/// 0x01e240 is 123456, 0x3039 is 12345, in two's complement.
#[test]
fn a_schema_says_scales_and_units() {
    let event = ["A 12.3456 x123.45 @1767225600000001000"];
    for op in ["c", "r"] {
        assert_eq!(decoded(&fields(), &with_schema(COLUMNS, &envelope(op, "null", ROW))), event);
    }
    // The same decoder sees another schema: the scale is another.
    let decoder = Decoder::new(&fields()).unwrap();
    for (scale, want) in [("4", "12.3456"), ("2", "1234.56"), ("4", "12.3456")] {
        let columns = COLUMNS.replace(r#""scale":"4""#, &format!(r#""scale":"{scale}""#));
        let payload = with_schema(&columns, &envelope("c", "null", ROW));
        let event = decoder.decode(&Record { payload: Some(payload.as_bytes()), ..Record::default() }).unwrap();
        assert_eq!(event.value.with_decimals(18).to_string(), want);
    }
    // Elements of an array in a row have types, too; -5 is 0xfb.
    let each = FieldNames {
        each: Some("/legs".into()),
        symbol: vec!["@message/symbol".into()],
        time: vec!["@message/ts".into()],
        weight: None,
        ..fields()
    };
    let legs = ["A 0.5 @1767225600000001000", "A -0.5 @1767225600000001000"];
    assert_eq!(decoded(&each, &with_schema(COLUMNS, &envelope("c", "null", ROW))), legs);
}

#[test]
fn without_schemas_the_options_say_them() {
    let plain = r#"{"symbol":"A","price":"12.3456","volume":2,"ts":1767225600000}"#;
    let want = ["A 12.3456 x2 @1767225600000000000"];
    assert_eq!(decoded(&fields(), &envelope("c", "null", plain)), want);
    let bytes = r#"{"symbol":"A","price":"AeJA","volume":{"scale":2,"value":"MDk="},"ts":1767225600000}"#;
    let said = decoded(&fields(), &envelope("c", "null", bytes));
    let want = r#"type: price: expected a number, or a string that is exactly one, found "AeJA" (decimal in base64? --decimal-scale says its scale)"#;
    assert_eq!(said, [want]);
    let scaled = |scales: &[(&str, i16)]| {
        let scales = scales.iter().map(|(field, scale)| ((*field).to_owned(), *scale)).collect();
        FieldNames { debezium: Some(DebeziumOptions { scales }), ..FieldNames::default() }
    };
    let want = ["A 12.3456 x123.45 @1767225600000000000"];
    assert_eq!(decoded(&scaled(&[("price", 4)]), &envelope("c", "null", bytes)), want);
    // A schema wins over the option.
    let columns =
        r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"4"},"field":"price"}"#;
    assert_eq!(decoded(&scaled(&[("price", 1)]), &with_schema(columns, &envelope("c", "null", bytes))), want);
    // Digits alone are base64, too: the option says that they are no number.
    let digits = bytes.replace("AeJA", "1234");
    let said = decoded(&scaled(&[("price", 0)]), &envelope("c", "null", &digits));
    assert_eq!(said, ["A -2658824 x123.45 @1767225600000000000"]);
    assert!(Decoder::new(&scaled(&[("prise", 1)])).unwrap_err()[0].to_string().contains("prise"));
    assert!(Decoder::new(&FieldNames { format: Format::Csv(Default::default()), ..fields() }).is_err());
}

#[test]
fn each_kind_of_record() {
    let row = r#"{"symbol":"A","price":1,"ts":1}"#;
    let one = "A 1 @1000000";
    let transaction = r#"{"status":"BEGIN","id":"571:53195829","ts_ms":1,"event_count":null,"data_collections":null}"#;
    let ddl =
        r#"{"source":{"table":"t"},"ts_ms":1,"databaseName":"d","schemaName":null,"ddl":"ALTER","tableChanges":[]}"#;
    let message = r#"{"op":"m","ts_ms":1,"source":{},"message":{"prefix":"p","content":"Zm9v"}}"#;
    let mongo = serde_json::to_string(row).unwrap();
    for (payload, want) in [
        (envelope("c", "null", row), one),
        (envelope("r", "null", row), one),
        (envelope("u", row, row), "skipped: an update"),
        (envelope("d", row, "null"), "skipped: a deletion"),
        (envelope("t", "null", "null"), "skipped: a truncation"),
        (message.to_owned(), "skipped: a message of the database"),
        (transaction.to_owned(), "skipped: the boundary of a transaction"),
        (ddl.to_owned(), "skipped: a change of the database's schema"),
        (r#"{"ts_ms":1}"#.to_owned(), "skipped: a heartbeat"),
        (with_schema("", "null"), "skipped: a tombstone"),
        ("null".to_owned(), "skipped: a tombstone"),
        (with_schema("", &envelope("u", row, row)), "skipped: an update"),
        (with_schema("", transaction), "skipped: the boundary of a transaction"),
        (envelope("c", "null", &mongo), one), // MongoDB: the document is JSON in a string
        (r#"{"symbol":"A","price":1,"ts":1,"__op":"c","__deleted":"false"}"#.to_owned(), one),
        (r#"{"symbol":"A","price":1,"ts":1,"__op":"u","__deleted":"false"}"#.to_owned(), "skipped: an update"),
        (r#"{"symbol":"A","price":1,"ts":1,"__deleted":"true"}"#.to_owned(), "skipped: a deletion"),
        (with_schema("", r#"{"symbol":"A","price":1,"ts":1,"__op":"r"}"#), one),
        (envelope("c", "null", "null"), "null: after: expected the row, found null"),
        (r#"{"op":"c"}"#.to_owned(), "null: after: expected the row, found no such field"),
        (envelope("x", "null", row), "type: op: expected an operation: c, r, u, d, t or m, found \"x\""),
        (envelope("c", "null", "7"), "shape: expected an object, found 7"),
        (
            "[]".to_owned(),
            "shape: expected an object (of an array, /0 is the first element, and --each reads all), found []",
        ),
        (with_schema("", "5"), "shape: /payload: expected an object, found 5"),
        (r#"{"op":"c","op":"c","after":{}}"#.to_owned(), "twice: /op: expected it once, found it more than once"),
        (
            envelope("c", "null", r#"{"symbol":"A","ts":1}"#),
            "null: price: expected a number, or a string that is exactly one, found no such field (there are symbol, ts)",
        ),
    ] {
        assert_eq!(decoded(&fields(), &payload), [want], "{payload}");
    }
    for (payload, begins) in [
        (row, "null: op: expected a change event of Debezium: "),
        (r#"{"symbol":"A","__deleted":"false"}"#, "null: __op: expected a change event of Debezium: "),
        ("{\"op\":", "json: expected one whole JSON text in UTF-8, found "),
        ("", "json: expected one whole JSON text in UTF-8, found nothing (an empty record)"),
    ] {
        let said = decoded(&fields(), payload);
        assert!(said.len() == 1 && said[0].starts_with(begins), "{payload}: {said:?}");
    }
    assert_eq!(events_of(&fields(), &Record::default()), ["skipped: a tombstone"]);
    let cut = Record { payload: Some(b"{"), cut_from: Some(9), ..Record::default() };
    assert!(events_of(&fields(), &cut)[0].starts_with("long: "));
}

#[test]
fn fields_of_the_envelope_and_conditions() {
    let row = |price: &str| format!(r#"{{"symbol":"A","price":"{price}","ts":1}}"#);
    let of_event = FieldNames {
        symbol: vec!["@envelope/source/table".into(), "symbol".into()],
        time: vec!["@envelope/source/ts_ms".into()],
        filter: vec!["@envelope/source/table=t|u".into(), "price!=2".into(), "!@envelope/before/price".into()],
        ..fields()
    };
    let want = ["t/A 1.5 @1767225600005000000"];
    assert_eq!(decoded(&of_event, &envelope("c", "null", &row("1.5"))), want);
    assert_eq!(decoded(&of_event, &with_schema("", &envelope("c", "null", &row("1.5")))), want);
    assert_eq!(decoded(&of_event, &envelope("c", "null", &row("2"))), ["skipped"]);
    assert_eq!(decoded(&of_event, &envelope("c", &row("1"), &row("1.5"))), ["skipped"]);
    let other = FieldNames { filter: vec!["@envelope/source/table!=t".into()], ..fields() };
    assert_eq!(decoded(&other, &envelope("c", "null", &row("1.5"))), ["skipped"]);
    // Conditions are of numbers, not of their bytes.
    let filter =
        FieldNames { filter: vec!["price=12.3456".into(), "@envelope/before/price=12.3456".into()], ..fields() };
    let payload = with_schema(COLUMNS, &envelope("c", ROW, ROW));
    assert_eq!(decoded(&filter, &payload), ["A 12.3456 x123.45 @1767225600000001000"]);
    let alone = FieldNames { symbol: vec!["@envelope/source/table".into()], ..FieldNames::default() };
    assert!(Decoder::new(&alone).unwrap_err()[0].to_string().contains("--envelope debezium"));
}

/// Behind the frame of a registry; its schema is not asked for.
#[test]
fn a_frame_comes_first() {
    let json_schema = FieldNames { format: Format::JsonSchema, ..fields() };
    let row = r#"{"symbol":"A","price":1,"ts":1}"#;
    assert_eq!(decoded(&json_schema, &format!("\0\0\0\0\u{7}{}", envelope("c", "null", row))), ["A 1 @1000000"]);
    assert_eq!(decoded(&json_schema, &format!("\0\0\0\0\u{7}{}", envelope("d", row, "null"))), ["skipped: a deletion"]);
    assert!(decoded(&json_schema, &envelope("c", "null", row))[0].starts_with("schema: "));
}
