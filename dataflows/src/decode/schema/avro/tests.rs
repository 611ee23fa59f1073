//! Avro by bytes that are written by hand from the specification, and by those of another writer.

use super::*;
use crate::decode::path::FieldPath;
use crate::decode::scalar::Scalar;
use crate::decode::schema::SchemaMessage;
use apache_avro::types::Value as Written;

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text, std::iter::empty()).unwrap()
}

/// What stands at these paths.
fn at<'a>(schema: &AvroSchema, payload: &'a [u8], paths: &[&str]) -> Vec<Scalar<'a>> {
    let message = SchemaMessage::Avro(schema.decode(payload).unwrap());
    paths.iter().map(|path| message.root().scalar(&FieldPath::parse(path).unwrap())).collect()
}

fn literal(text: &str) -> Scalar<'_> {
    Scalar::Literal(text.into())
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(text.into())
}

const TRADE: &str = r#"{"type": "record", "name": "Trade", "namespace": "x.y", "fields": [
    {"name": "symbol", "type": "string"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}},
    {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "size", "type": ["null", "double"], "default": null},
    {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}}]}"#;

#[test]
fn a_trade_by_hand() {
    let trade = schema(TRADE);
    assert_eq!(trade.describe(), "record x.y.Trade");
    let payload = [
        &[6, b'X', b'Y', b'Z'][..],                        // a string of 3
        &[6, 0xfe, 0x1d, 0xc1],                            // 3 bytes: -123455, so -12.3455
        &[0x80, 0x80, 0x82, 0xe2, 0x88, 0xd2, 0xa3, 0x06], // twice 1767225600000000, in groups of 7 bits
        &[2, 0, 0, 0, 0, 0, 0, 0x04, 0x40],                // branch 1: 2.5
        &[2],                                              // symbol 1
    ]
    .concat();
    let want = [
        text("XYZ"),
        literal("-12.3455"),
        Scalar::Instant(1_767_225_600_000_000_000),
        literal("2.5"),
        text("SELL"),
        Scalar::Absent,
        Scalar::Other("a string at /symbol, which has no fields".into()),
        Scalar::Other("a record".into()),
    ];
    let message = SchemaMessage::Avro(trade.decode(&payload).unwrap());
    let found: Vec<_> = ["symbol", "price", "ts", "size", "side", "none", "/symbol/x"]
        .iter()
        .map(|path| message.root().scalar(&FieldPath::parse(path).unwrap()))
        .chain([message.root().scalar(&FieldPath(Vec::new()))])
        .collect();
    assert_eq!(found, want);
}

#[test]
fn bytes_that_are_not_of_the_schema_say_where() {
    let trade = schema(TRADE);
    let good = [&[2, b'A', 2, 5, 2, 0, 0][..]].concat();
    assert!(trade.decode(&good).is_ok());
    for (payload, want) in [
        (&good[..6], "an integer that does not end in 10 bytes in side, at byte 6 of 6"),
        (&[&good[..], &[7]].concat()[..], "7 bytes of it, and 1 more"),
        (&[2, 0xff, 2, 5, 2, 0, 0], "a string that is no UTF-8 in symbol"),
        (&[2, b'A', 1, 5, 2, 0, 0], "a length of -1 in price"),
        (&[2, b'A', 200, 1, 5, 2, 0, 0], "its end in price"),
        (&[2, b'A', 2, 5, 2, 6, 0], "branch 3 of a union of 2 in size"),
        (&[2, b'A', 2, 5, 2, 0, 4], "symbol 2 of an enum of 2 in side"),
    ] {
        let error = trade.decode(payload).unwrap_err();
        assert!(error.starts_with(want), "{error}, {want}");
    }
    assert!(schema(r#""boolean""#).decode(&[2]).unwrap_err().starts_with("a boolean that is neither"));
    assert!(schema(r#""int""#).decode(&[0x80, 0x80, 0x80, 0x80, 0x10]).unwrap_err().contains("32 bits"));
    assert!(schema(r#""boolean""#).decode(&[]).is_err(), "what is cut off is not null");
}

/// Debezium's change events: an envelope of rows that may be null, in types that are named before.
#[test]
fn a_change_event() {
    let envelope = schema(
        r#"{"type": "record", "name": "Envelope", "namespace": "shop.public.ticks", "fields": [
            {"name": "before", "default": null, "type": ["null", {"type": "record", "name": "Value", "fields": [
                {"name": "id", "type": "long"},
                {"name": "bid", "type": {"type": "bytes", "scale": 3, "precision": 10, "connect.version": 1,
                    "connect.parameters": {"scale": "3"}, "connect.name": "org.apache.kafka.connect.data.Decimal",
                    "logicalType": "decimal"}},
                {"name": "any", "type": ["null", {"type": "record", "name": "VariableScaleDecimal",
                    "namespace": "io.debezium.data", "fields": [
                        {"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]}]},
                {"name": "at", "type": {"type": "long", "connect.version": 1,
                    "connect.name": "io.debezium.time.MicroTimestamp"}}]}]},
            {"name": "after", "type": ["null", "Value"], "default": null},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"], "default": null}]}"#,
    );
    // before null; after: id 5, bid 1.234, any 99e2 with scale -2, at 10 µs; op "c"; ts_ms null.
    let row = [10, 4, 0x04, 0xd2, 2, 3, 2, 99, 20];
    let payload = [&[0, 2][..], &row, &[2, b'c', 0]].concat();
    let paths = [
        "/after/id",
        "/after/bid",
        "/after/any",
        "/after/any/scale",
        "/after/at",
        "op",
        "ts_ms",
        "/before/id",
        "before",
    ];
    let want = [
        literal("5"),
        literal("1.234"),
        literal("9900"),
        literal("-2"),
        Scalar::Instant(10_000),
        text("c"),
        Scalar::Null,
        Scalar::Absent,
        Scalar::Null,
    ];
    assert_eq!(at(&envelope, &payload, &paths), want);
}

/// Each logical type, and what is none.
#[test]
fn logical_types() {
    for (of, payload, want) in [
        (r#"{"type": "int", "logicalType": "date"}"#, &[2][..], Scalar::Instant(86_400_000_000_000)),
        (r#"{"type": "long", "logicalType": "timestamp-millis"}"#, &[3], Scalar::Instant(-2_000_000)),
        (r#"{"type": "long", "logicalType": "local-timestamp-micros"}"#, &[2], Scalar::Instant(1_000)),
        (r#"{"type": "long", "logicalType": "timestamp-nanos"}"#, &[2], Scalar::Instant(1)),
        (r#"{"type": "long", "logicalType": "time-micros"}"#, &[2], literal("1")),
        (r#"{"type": "int", "logicalType": "timestamp-millis"}"#, &[2], literal("1")),
        (r#"{"type": "string", "logicalType": "uuid"}"#, &[2, b'u'], text("u")),
        (r#"{"type": "bytes"}"#, &[2, 9], Scalar::Other("bytes".into())),
        (r#"{"type": "bytes", "logicalType": "decimal", "precision": 4}"#, &[2, 9], literal("9")),
        (r#"{"type": "bytes", "logicalType": "big-decimal"}"#, &[6, 2, 25, 2], literal("2.5")),
        (
            r#"{"type": "fixed", "size": 2, "name": "f", "logicalType": "decimal", "scale": 1}"#,
            &[0xff, 0xf6],
            literal("-1.0"),
        ),
        (
            r#"{"type": "fixed", "size": 12, "name": "f", "logicalType": "duration"}"#,
            &[0; 12],
            Scalar::Other("bytes".into()),
        ),
        (r#"{"type": {"type": "long", "logicalType": "timestamp-millis"}}"#, &[2], Scalar::Instant(1_000_000)),
        ("\"float\"", &[0xcd, 0xcc, 0xcc, 0x3d], literal("0.1")),
        ("\"double\"", &[0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f], literal("0.1")),
        ("\"float\"", &[0, 0, 0xc0, 0x7f], Scalar::Other("NaN".into())),
        ("boolean", &[1], literal("true")),
        ("\"null\"", &[], Scalar::Null),
    ] {
        let schema = schema(of);
        let message = SchemaMessage::Avro(schema.decode(payload).unwrap());
        assert_eq!(message.root().scalar(&FieldPath(Vec::new())), want, "{of}");
    }
    let uuid = schema(r#"{"type": "fixed", "size": 16, "name": "u", "logicalType": "uuid"}"#);
    let bytes = *b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00";
    let message = SchemaMessage::Avro(uuid.decode(&bytes).unwrap());
    assert_eq!(message.root().scalar(&FieldPath(Vec::new())), text("123e4567-e89b-12d3-a456-426614174000"));
}

#[test]
fn arrays_and_maps() {
    let schema = schema(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "trades", "type": {"type": "array", "items": {"type": "record", "name": "T", "fields": [
                {"name": "p", "type": "int"}]}}},
            {"name": "tags", "type": {"type": "map", "values": ["null", "string"]}}]}"#,
    );
    // A block of 2, one of 1 with its length; a map of a: "b", c: null, a: "d".
    let payload = [&[4, 2, 4, 1, 2, 6, 0][..], &[6, 2, b'a', 2, 2, b'b', 2, b'c', 0, 2, b'a', 2, 2, b'd', 0]].concat();
    let paths = ["/trades/0/p", "/trades/2/p", "/trades/3/p", "/trades/00/p", "/tags/a", "/tags/c", "/tags/x"];
    let absent = || Scalar::Absent;
    let want = [literal("1"), literal("3"), absent(), absent(), text("d"), Scalar::Null, absent()];
    assert_eq!(at(&schema, &payload, &paths), want);
    let message = SchemaMessage::Avro(schema.decode(&payload).unwrap());
    assert_eq!(message.root().names(), ["trades", "tags"]);
    let elements = |path: &str| message.root().elements(&FieldPath::parse(path).unwrap());
    let price = FieldPath::parse("p").unwrap();
    let prices: Vec<_> = elements("trades").unwrap().iter().map(|trade| trade.scalar(&price)).collect();
    assert_eq!(prices, [literal("1"), literal("2"), literal("3")]);
    let tags = elements("tags").unwrap();
    assert_eq!((tags.len(), tags[0].names()), (1, vec!["a".to_owned(), "c".to_owned(), "a".to_owned()]));
    assert_eq!(elements("/tags/c").unwrap_err(), Scalar::Null);
    assert_eq!(elements("/tags/a").unwrap_err(), text("d"));
    assert_eq!(elements("none").unwrap_err(), Scalar::Absent);
}

/// Names are looked for in the namespace that they stand in; references are types of other texts.
#[test]
fn names_and_references() {
    let money =
        r#"{"type": "record", "name": "Money", "namespace": "b.c", "fields": [{"name": "cents", "type": "int"}]}"#;
    let outer = r#"{"type": "record", "name": "b.Outer", "fields": [
        {"name": "a", "type": "b.c.Money"},
        {"name": "b", "type": {"type": "record", "name": "Inner", "namespace": "b.c", "fields": [
            {"name": "m", "type": "Money"}, {"name": "self", "type": ["null", "Inner"]}]}},
        {"name": "c", "type": {"type": "b.c.Money"}}]}"#;
    let schema = AvroSchema::parse(outer, std::iter::once(money)).unwrap();
    let payload = [2, 4, 2, 6, 0, 8];
    let want = [literal("1"), literal("2"), literal("3"), literal("4")];
    assert_eq!(at(&schema, &payload, &["/a/cents", "/b/m/cents", "/b/self/m/cents", "/c/cents"]), want);
    let error = AvroSchema::parse(outer, std::iter::empty()).unwrap_err();
    assert_eq!(error, r#"field "a" of b.Outer: type "b.c.Money" is not defined in it, nor in what it refers to"#);
    for (text, want) in [
        ("{", "no JSON"),
        ("3", "a type is a string"),
        (r#"{"name": "x"}"#, "a type without \"type\""),
        (r#"["null", ["int"]]"#, "a union in a union"),
        (r#"{"type": "record", "name": "r"}"#, "\"fields\" is missing"),
        (r#"{"type": "record", "name": "r", "fields": [{"name": "f"}]}"#, "field \"f\" of r: it has no"),
        (r#"{"type": "fixed", "name": "f", "size": -2}"#, "a fixed without its"),
        (r#"{"type": "enum", "name": "e", "symbols": [1]}"#, "something that is no string"),
        (r#"{"type": "array"}"#, "an array without"),
        (r#"{"type": "map"}"#, "a map without"),
        ("\"strong\"", "type \"\\\"strong\\\"\" is not defined"),
    ] {
        let error = AvroSchema::parse(text, std::iter::empty()).unwrap_err();
        assert!(
            error.contains(want) || error.contains("not defined") && want.contains("not defined"),
            "{error}: {want}"
        );
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(1000), "}".repeat(1000));
    assert!(AvroSchema::parse(&deep, std::iter::empty()).unwrap_err().contains("recursion limit"));
}

/// Few bytes that would take all memory, all time or all of the stack.
#[test]
fn hostile_messages_have_bounds() {
    let endless = schema(r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "A"}]}"#);
    assert!(endless.decode(&[]).unwrap_err().starts_with("more than 64 levels"));
    let list = schema(r#"{"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}"#);
    assert!(list.decode(&vec![2; 1 << 20]).unwrap_err().starts_with("more than 64 levels"));
    assert!(list.decode(&[2, 2, 2, 0]).is_ok());
    let nulls = schema(r#"{"type": "array", "items": "null"}"#);
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0];
    assert!(nulls.decode(&most).unwrap_err().starts_with("more values than its bytes can hold"));
    let least = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0];
    assert!(nulls.decode(&least).unwrap_err().starts_with("more values"), "a count of -2^63");
    // Each record has two of the next: 2^60 values in no bytes at all.
    let mut doubling = String::from("\"null\"");
    for depth in 0..40 {
        doubling = format!(
            r#"{{"type":"record","name":"D{depth}","fields":[{{"name":"a","type":{doubling}}},{{"name":"b","type":"{}"}}]}}"#,
            if depth == 0 { "null".to_owned() } else { format!("D{}", depth - 1) }
        );
    }
    assert!(schema(&doubling).decode(&[]).unwrap_err().starts_with("more values"));
}

/// A schema with one of everything.
const EVERYTHING: &str = r#"{"type": "record", "name": "Everything", "namespace": "n", "fields": [
    {"name": "flag", "type": "boolean"},
    {"name": "int", "type": "int"},
    {"name": "long", "type": "long"},
    {"name": "float", "type": "float"},
    {"name": "double", "type": "double"},
    {"name": "bytes", "type": "bytes"},
    {"name": "text", "type": "string"},
    {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 3}},
    {"name": "side", "type": {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}},
    {"name": "list", "type": {"type": "array", "items": "long"}},
    {"name": "map", "type": {"type": "map", "values": "double"}},
    {"name": "maybe", "type": ["null", "long", "string"]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "inner", "type": ["null", "Everything"]}]}"#;

/// A random value of it, as the other writer takes it, and what its fields are to be read as.
fn random(rng: &mut fastrand::Rng, depth: usize) -> (Written, Vec<(String, Scalar<'static>)>) {
    let long = rng.i64(..) >> rng.u32(0..63);
    let int = rng.i32(..) >> rng.u32(0..31);
    let (float, double) = (f32::from_bits(rng.u32(..)), f64::from_bits(rng.u64(..)));
    let name: String = (0..rng.usize(0..20)).map(|_| rng.char(..)).collect();
    let list: Vec<i64> = (0..rng.usize(0..5)).map(|_| rng.i64(..)).collect();
    let side = rng.usize(0..3);
    let finite = |finite: bool, digits: String| {
        if finite { Scalar::Literal(digits.into()) } else { Scalar::Other(digits.into()) }
    };
    let mut want = vec![
        ("/int".to_owned(), Scalar::Literal(int.to_string().into())),
        ("/long".to_owned(), Scalar::Literal(long.to_string().into())),
        ("/text".to_owned(), Scalar::Text(name.clone().into())),
        ("/side".to_owned(), Scalar::Text(["A", "B", "C"][side].into())),
        ("/at".to_owned(), Scalar::Instant(i128::from(long) * 1_000_000)),
        ("/maybe".to_owned(), Scalar::Literal(long.to_string().into())),
        (
            "/map/k".to_owned(),
            finite(double.is_finite(), if double.is_finite() { String::new() } else { double.to_string() }),
        ),
    ];
    want.extend(
        list.iter().enumerate().map(|(at, item)| (format!("/list/{at}"), Scalar::Literal(item.to_string().into()))),
    );
    let inner = if depth == 0 || rng.bool() {
        Written::Union(0, Box::new(Written::Null))
    } else {
        let (inner, wanted) = random(rng, depth - 1);
        want.extend(wanted.into_iter().map(|(path, scalar)| (format!("/inner{path}"), scalar)));
        Written::Union(1, Box::new(inner))
    };
    let fields = vec![
        ("flag", Written::Boolean(rng.bool())),
        ("int", Written::Int(int)),
        ("long", Written::Long(long)),
        ("float", Written::Float(float)),
        ("double", Written::Double(double)),
        ("bytes", Written::Bytes((0..rng.usize(0..40)).map(|_| rng.u8(..)).collect())),
        ("text", Written::String(name)),
        ("fixed", Written::Fixed(3, vec![rng.u8(..), 2, 3])),
        ("side", Written::Enum(u32::try_from(side).unwrap(), ["A", "B", "C"][side].into())),
        ("list", Written::Array(list.into_iter().map(Written::Long).collect())),
        ("map", Written::Map([("k".to_owned(), Written::Double(double))].into())),
        ("maybe", Written::Union(1, Box::new(Written::Long(long)))),
        ("at", Written::TimestampMillis(long)),
        ("inner", inner),
    ];
    (Written::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()), want)
}

#[test]
fn what_another_writer_wrote() {
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    let writer = apache_avro::Schema::parse_str(EVERYTHING).unwrap();
    let schema = schema(EVERYTHING);
    for _ in 0..2_000 {
        let (value, want) = random(&mut rng, 4);
        let payload = apache_avro::to_avro_datum(&writer, value).unwrap();
        let message = SchemaMessage::Avro(schema.decode(&payload).unwrap());
        for (path, scalar) in want {
            let found = message.root().scalar(&FieldPath::parse(&path).unwrap());
            match (&found, &scalar) {
                (Scalar::Literal(digits), Scalar::Other(want)) if want.is_empty() => {
                    panic!("{path}: {digits}")
                }
                (Scalar::Literal(digits), Scalar::Literal(want)) if want.is_empty() => {
                    assert!(digits.parse::<f64>().unwrap().is_finite());
                }
                _ => assert_eq!(found, scalar, "{path}"),
            }
        }
    }
}

/// Any change of good bytes, and any bytes: decoded or refused, and what was decoded can be looked at.
#[test]
fn no_bytes_panic() {
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    let writer = apache_avro::Schema::parse_str(EVERYTHING).unwrap();
    let schemas = [
        schema(EVERYTHING),
        schema(TRADE),
        schema(r#"{"type": "map", "values": {"type": "array", "items": ["null", "double"]}}"#),
    ];
    let paths =
        ["/inner/inner/text", "/list/1", "price", "/k/0", "/map/k", "text"].map(|path| FieldPath::parse(path).unwrap());
    let mut payload = Vec::new();
    let mut decoded = 0;
    for round in 0..100_000 {
        if round % 10 == 0 {
            payload = apache_avro::to_avro_datum(&writer, random(&mut rng, 2).0).unwrap();
        }
        let mut bytes = payload.clone();
        match rng.u8(0..4) {
            0 => bytes = (0..rng.usize(0..40)).map(|_| rng.u8(..)).collect(),
            1 => bytes.truncate(rng.usize(0..=bytes.len())),
            _ => {
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(0..bytes.len());
                    bytes[at] = rng.u8(..);
                }
            }
        }
        for schema in &schemas {
            if let Ok(value) = schema.decode(&bytes) {
                decoded += 1;
                let message = SchemaMessage::Avro(value);
                for path in &paths {
                    message.root().scalar(path);
                    let _either = message.root().elements(path);
                }
            }
        }
    }
    assert!(decoded > 1_000, "{decoded}");
}

/// Any change of a schema's text.
#[test]
fn no_schema_panics() {
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    let texts = [
        EVERYTHING,
        TRADE,
        r#"["null", {"type": "fixed", "size": 2, "name": "f", "logicalType": "decimal", "scale": 1}]"#,
    ];
    for _ in 0..20_000 {
        let mut text = texts[rng.usize(0..texts.len())].as_bytes().to_vec();
        for _ in 0..rng.usize(1..5) {
            let (at, from) = (rng.usize(0..text.len()), rng.usize(0..text.len()));
            match rng.u8(0..3) {
                0 => text[at] = rng.u8(0x20..0x7f),
                1 => drop(text.splice(at..at, text[from..(from + 9).min(text.len())].to_vec())),
                _ => drop(text.drain(at..(at + 5).min(text.len()))),
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Ok(schema) = AvroSchema::parse(&text, std::iter::empty()) {
            let _either = schema.decode(&[2; 200]);
            let _either = schema.decode(&[0; 20]);
        }
    }
}
