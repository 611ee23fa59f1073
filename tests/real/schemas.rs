//! Messages of Avro on a real Kafka, by the schemas of a real registry.

use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::rows::{csv, letters};
use crate::common::{fresh, needs};
use serde_json::{Value, json};

/// Registers a schema; its id.
fn register(url: &str, subject: &str, schema: &Value) -> u32 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let body = json!({"schema": schema.to_string()}).to_string();
        let asked = reqwest::Client::new().post(format!("{url}/subjects/{subject}/versions"));
        let answer = asked.header("content-type", "application/json").body(body).send().await.unwrap();
        let answer = answer.text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
    })
}

/// Behind the frame of a registry.
fn framed(id: u32, datum: &[&[u8]]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), &datum.concat()].concat()
}

/// A long of Avro: zigzag, then seven bits a byte.
fn long(n: i64) -> Vec<u8> {
    let mut rest = ((n << 1) ^ (n >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A string, or bytes.
fn text(text: &[u8]) -> Vec<u8> {
    [long(i64::try_from(text.len()).unwrap()), text.to_vec()].concat()
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

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    let sink = format!("csv:{}", out.display());
    let source = kafka.uri(&topic);
    let options = ["--symbol-field", "@key", "--value-field", "price", "--time-field", "at", "--weight-field", "size"];
    let run =
        ["--source", &source, "--sink", &sink, "--format", "avro", "--schema-registry", &url, "--until-end", "--close"];
    let ended = Program::run(&folder.path().join("data"), &[&run, &options[..]].concat(), &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (3, 3), "{}", ended.said);
    let rows = csv(&out);
    let row = |minute: &str| &rows[&(minute.to_owned(), "BAYN/XETRA".to_owned())];
    let (one, two) = (row("2026-01-01T00:00:00Z"), row("2026-01-01T00:01:00Z"));
    assert_eq!((one.count, one.sum.as_str(), two.count, two.sum.as_str()), (2, "46.215", 1, "-0.001"));
    let volume = |cells: &crate::common::rows::Cells| cells.market.as_ref().unwrap().volume.clone();
    assert_eq!((volume(one).as_deref(), volume(two).as_deref()), (Some("1.5"), Some("0.1")));
    let letters = letters(&folder.path().join("data"));
    assert!(letters.iter().all(|letter| letter["reason"] == "schema"), "{letters:?}");
    assert_eq!(letters.len(), 3);
}
