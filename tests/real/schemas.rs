//! Messages of Avro, Protobuf and JSON Schema on a real Kafka, by the schemas of a real registry; change events of Debezium.

use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::rows::{Cells, csv, letters};
use crate::common::{fresh, needs};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Registers a schema of Avro; its id.
fn register(url: &str, subject: &str, schema: &Value) -> u32 {
    register_as(url, subject, &json!({"schema": schema.to_string()}))
}

/// Registers a schema of any kind, as Confluent's API takes it; its id.
fn register_as(url: &str, subject: &str, body: &Value) -> u32 {
    // Apicurio's first two registrations at once may lock its tables against each other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let asked = reqwest::Client::new().post(format!("{url}/subjects/{subject}/versions"));
        let answer = asked.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let answer = answer.text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
    })
}

/// Behind the frame of a registry.
fn framed(id: u32, datum: &[&[u8]]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), &datum.concat()].concat()
}

/// Seven bits a byte, the lowest first.
fn varint(mut rest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A long of Avro, or a sint64 of Protobuf: zigzag.
fn long(n: i64) -> Vec<u8> {
    varint(((n << 1) ^ (n >> 63)).cast_unsigned())
}

/// A string, or bytes.
fn text(text: &[u8]) -> Vec<u8> {
    [long(i64::try_from(text.len()).unwrap()), text.to_vec()].concat()
}

/// A field of Protobuf that has a length: a string, or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(u64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

/// A varint of Protobuf.
fn number(number: u8, bits: Vec<u8>) -> Vec<u8> {
    [vec![number << 3], bits].concat()
}

const MINUTE: i64 = 1_767_225_600_000;

#[test]
fn avro_of_two_versions_is_read_to_the_last_digit() {
    let Some(kafka) = Kafka::of_tests("Avro by a registry") else { return };
    let Some(url) = needs("Avro by a registry", "MINUTELY_TEST_REGISTRY_URL") else { return };
    let subject = format!("{}-value", fresh("avro"));
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3});
    let time = json!({"type": "long", "logicalType": "timestamp-millis"});
    let mut fields = vec![
        json!({"name": "price", "type": decimal}),
        json!({"name": "at", "type": time}),
        json!({"name": "size", "type": ["null", "double"], "default": null}),
    ];
    let schema = |fields: &[Value]| json!({"type": "record", "name": "Trade", "fields": fields});
    let first = register(&url, &subject, &schema(&fields));
    fields.insert(0, json!({"name": "venue", "type": "string", "default": "?"}));
    let second = register(&url, &subject, &schema(&fields));
    assert_ne!(first, second);
    let key = register(&url, &fresh("avro-key"), &json!("string"));

    let topic = kafka.topic("avro", 1, &[]);
    let writer = kafka.writer(&topic);
    let key = framed(key, &[&text("BAYN/XETRA".as_bytes())]);
    let size = |size: f64| [vec![2], size.to_le_bytes().to_vec()].concat();
    let none = vec![0];
    // 23.105, 23.110 of the newer schema, and -0.001.
    let records = [
        framed(first, &[&text(&[0x5a, 0x41]), &long(MINUTE + 5), &size(1.5)]),
        framed(second, &[&text(b"XETR"), &text(&[0x5a, 0x46]), &long(MINUTE + 6), &none]),
        framed(first, &[&text(&[0xff]), &long(MINUTE + 60_007), &size(0.1)]),
        framed(4_000_000_000, &[b"x"]),
        framed(first, &[&[9]]),
        b"{}".to_vec(),
    ];
    records.iter().for_each(|record| writer.send(0, Some(&key), Some(record), MINUTE));
    writer.flush();

    let options = ["--symbol-field", "@key", "--value-field", "price", "--time-field", "at", "--weight-field", "size"];
    let Done { counts, rows, reasons } = run(&kafka.uri(&topic), &url, &[&["--format", "avro"], &options[..]].concat());
    assert_eq!(counts, [3, 3, 0]);
    assert_eq!(
        rows,
        [
            ("2026-01-01T00:00:00Z BAYN/XETRA", 2, "46.215", Some("1.5")).into(),
            ("2026-01-01T00:01:00Z BAYN/XETRA", 1, "-0.001", Some("0.1")).into(),
        ]
    );
    assert_eq!(reasons, ["schema"; 3]);
}

/// A row, as far as records decide it: minute and symbol, count, sum, volume.
#[derive(Debug, PartialEq, Eq)]
struct Sums(String, i64, String, Option<String>);

impl From<(&str, i64, &str, Option<&str>)> for Sums {
    fn from((key, count, sum, volume): (&str, i64, &str, Option<&str>)) -> Self {
        Sums(key.to_owned(), count, sum.to_owned(), volume.map(str::to_owned))
    }
}

/// What a run wrote.
struct Done {
    /// Counted, rejected, skipped.
    counts: [i64; 3],
    rows: Vec<Sums>,
    /// Of dead letters.
    reasons: Vec<String>,
}

/// A run over all of a topic, with these options.
fn run(source: &str, url: &str, options: &[&str]) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    let sink = format!("csv:{}", out.display());
    let always = ["--source", source, "--sink", &sink, "--schema-registry", url, "--until-end", "--close"];
    let ended = Program::run(&folder.path().join("data"), &[&always, options].concat(), &[]).well();
    let volume = |cells: &Cells| cells.market.as_ref().unwrap().volume.clone();
    let rows = csv(&out).into_iter().map(|((minute, symbol), cells)| {
        Sums(format!("{minute} {symbol}"), cells.count, cells.sum.clone(), volume(&cells))
    });
    let letters = letters(&folder.path().join("data"));
    // What is skipped has a term where there is any.
    let skipped = if ended.said.contains(" skipped") { ended.done("skipped") } else { 0 };
    Done {
        counts: [ended.done("counted"), ended.done("rejected"), skipped],
        rows: rows.collect(),
        reasons: letters.iter().map(|letter| letter["reason"].as_str().unwrap().to_owned()).collect(),
    }
}

/// Two versions of a schema that imports another, of which frames name messages, one within another.
#[test]
fn protobuf_of_two_versions_and_an_import_is_read_to_the_last_digit() {
    let Some(kafka) = Kafka::of_tests("Protobuf by a registry") else { return };
    let Some(url) = needs("Protobuf by a registry", "MINUTELY_TEST_REGISTRY_URL") else { return };
    let size = "syntax = \"proto3\"; package lots; message Size { sint64 lots = 1; }";
    let import = fresh("size");
    register_as(&url, &import, &json!({"schemaType": "PROTOBUF", "schema": size}));
    let subject = format!("{}-value", fresh("proto"));
    let references = json!([{"name": "lots/size.proto", "subject": import, "version": 1}]);
    let schema = |more: &str| {
        let text = format!(
            "syntax = \"proto3\"; import \"lots/size.proto\"; message Ping {{ int32 n = 1; }} message Trade {{ string symbol = 1; \
             float price = 2; int64 ts = 3; lots.Size size = 4; {more} message Quote {{ string symbol = 1; string price = 2; int64 \
             ts = 3; }} }}"
        );
        register_as(&url, &subject, &json!({"schemaType": "PROTOBUF", "schema": text, "references": references}))
    };
    let (first, second) = (schema(""), schema("string venue = 5;"));
    assert_ne!(first, second);

    let topic = kafka.topic("proto", 1, &[]);
    let writer = kafka.writer(&topic);
    let trade = |price: f32, after: i64| {
        let price = [vec![2 << 3 | 5], price.to_le_bytes().to_vec()].concat();
        let size = field(4, &number(1, long(-3)));
        [field(1, b"RHM"), price, number(3, varint((MINUTE + after).cast_unsigned())), size].concat()
    };
    let quote = [field(1, b"RHM"), field(2, b"1512.505"), number(3, varint((MINUTE + 3).cast_unsigned()))].concat();
    let records = [
        framed(first, &[&[2, 2], &trade(1512.35, 1)]),
        framed(second, &[&[2, 2], &trade(0.1, 2), &field(5, b"XETR")]),
        framed(second, &[&[4, 2, 0], &quote]),
        framed(second, &[&[2, 6], &quote]),            // there is no fourth message
        framed(first, &[&[0], &number(1, varint(7))]), // a Ping: it has no price
        framed(first, &[&[2, 2], &[0xff]]),
    ];
    records.iter().for_each(|record| writer.send(0, None, Some(record), MINUTE));
    writer.flush();
    let options = ["--format", "protobuf", "--weight-field", "/size/lots"];
    let Done { counts, rows, reasons } = run(&kafka.uri(&topic), &url, &options);
    assert_eq!(counts, [3, 3, 0]);
    // 1512.35 and 0.1 are the shortest decimals of floats of 32 bits.
    assert_eq!(rows, [("2026-01-01T00:00:00Z RHM", 3, "3024.955", Some("6")).into()]);
    assert_eq!(reasons, ["schema", "null", "schema"]);
}

/// Its messages are JSON behind a frame, whatever the schema says.
#[test]
fn json_schema_of_two_versions_is_read_to_the_last_digit() {
    let Some(kafka) = Kafka::of_tests("JSON Schema by a registry") else { return };
    let Some(url) = needs("JSON Schema by a registry", "MINUTELY_TEST_REGISTRY_URL") else { return };
    let subject = format!("{}-value", fresh("json"));
    let schema = |kind: &str| {
        let text = json!({"type": "object", "properties": {"price": {"type": kind}}}).to_string();
        register_as(&url, &subject, &json!({"schemaType": "JSON", "schema": text}))
    };
    let ids = [schema("number"), schema("string")];
    assert_ne!(ids[0], ids[1]);
    let topic = kafka.topic("json", 1, &[]);
    let writer = kafka.writer(&topic);
    let record = |id: u32, price: &str| {
        framed(id, &[format!(r#"{{"symbol":"DTE","price":{price},"ts":{MINUTE},"volume":2}}"#).as_bytes()])
    };
    let records = [
        record(ids[0], "31.000000000000000001"),
        record(ids[1], "\"0.1\""),
        record(ids[1], "\"dear\""),
        br#"{"symbol":"DTE","price":1,"ts":1}"#.to_vec(),
    ];
    records.iter().for_each(|record| writer.send(0, None, Some(record), MINUTE));
    writer.flush();
    let Done { counts, rows, reasons } = run(&kafka.uri(&topic), &url, &["--format", "json-schema"]);
    assert_eq!(counts, [2, 2, 0]);
    assert_eq!(rows, [("2026-01-01T00:00:00Z DTE", 2, "31.100000000000000001", Some("4")).into()]);
    assert_eq!(reasons, ["type", "schema"]);
}

/// As a connector with Avro's converter writes them: an insertion, its correction and its deletion with the tombstone.
#[test]
fn change_events_in_avro_count_once() {
    let Some(kafka) = Kafka::of_tests("Debezium by a registry") else { return };
    let Some(url) = needs("Debezium by a registry", "MINUTELY_TEST_REGISTRY_URL") else { return };
    let decimal = json!({"type": "bytes", "scale": 3, "precision": 12, "connect.name": "org.apache.kafka.connect.data.Decimal",
        "connect.version": 1, "connect.parameters": {"scale": "3"}, "logicalType": "decimal"});
    let variable = json!({"type": "record", "name": "VariableScaleDecimal", "namespace": "io.debezium.data",
        "fields": [{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]});
    let row = json!({"type": "record", "name": "Value", "fields": [
        {"name": "symbol", "type": "string"}, {"name": "price", "type": decimal},
        {"name": "qty", "type": ["null", variable], "default": null},
        {"name": "at", "type": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}}]});
    let source = json!({"type": "record", "name": "Source", "fields": [{"name": "table", "type": "string"}]});
    let envelope = json!({"type": "record", "name": "Envelope", "namespace": "db.public.ticks", "fields": [
        {"name": "before", "type": ["null", row], "default": null},
        {"name": "after", "type": ["null", "Value"], "default": null},
        {"name": "source", "type": source}, {"name": "op", "type": "string"}]});
    let id = register(&url, &format!("{}-value", fresh("changes")), &envelope);
    let boundary = json!({"type": "record", "name": "TransactionMetadataValue", "fields": [
        {"name": "status", "type": "string"}, {"name": "id", "type": "string"},
        {"name": "event_count", "type": ["null", "long"], "default": null}]});
    let boundary = register(&url, &format!("{}-value", fresh("transactions")), &boundary);

    // 1.234 with a weight of 99 times 10^2, and 1.235.
    let row = |price: u8, after: i64| {
        let qty = [vec![2], long(-2), text(&[99])].concat();
        [vec![2], text(b"SAP"), text(&[0x04, price]), qty, long((MINUTE + after) * 1000)].concat()
    };
    let none = vec![0];
    let event = |before: &[u8], after: &[u8], table: &str, op: &str| {
        framed(id, &[before, after, &text(table.as_bytes()), &text(op.as_bytes())])
    };
    let records = [
        Some(event(&none, &row(0xd2, 1), "ticks", "r")),
        Some(event(&none, &row(0xd3, 2), "ticks", "c")),
        Some(event(&row(0xd3, 2), &row(0xd4, 2), "ticks", "u")),
        Some(event(&row(0xd4, 2), &none, "ticks", "d")),
        None,
        Some(event(&none, &none, "ticks", "t")),
        Some(event(&none, &row(0xd2, 3), "other", "c")),
        Some(framed(boundary, &[&text(b"END"), &text(b"571"), &[2], &long(3)])),
        Some(event(&none, &none, "ticks", "c")),
    ];
    let topic = kafka.topic("changes", 1, &[]);
    let writer = kafka.writer(&topic);
    records.iter().for_each(|record| writer.send(0, Some(b"key"), record.as_deref(), MINUTE));
    writer.flush();
    let options = ["--format", "avro", "--envelope", "debezium", "--time-field", "at", "--weight-field", "qty"];
    let options = [&options[..], &["--where", "@envelope/source/table=ticks"]].concat();
    let Done { counts, rows, reasons } = run(&kafka.uri(&topic), &url, &options);
    assert_eq!(counts, [2, 1, 6]);
    assert_eq!(rows, [("2026-01-01T00:00:00Z SAP", 2, "2.469", Some("19800")).into()]);
    assert_eq!(reasons, ["null"]);
}
