//! What costs time for each record and each window. `cargo bench --bench core`; a figure that is claimed is measured in
//! `experiments/`, on whole runs.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use divan::{Bencher, black_box};
use minutely_dataflows::acc::{Accumulate, LogPosition, Market};
use minutely_dataflows::checkpoint::{Object, ObjectBuilder};
use minutely_dataflows::decimal::{Decimal, nearest};
use minutely_dataflows::decode::{DecodedEvent, Decoder, FieldNames};
use minutely_dataflows::numbers::{NumberOptions, NumberRule};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::{EventTime, WindowStart};
use minutely_dataflows::wide::U256;

fn main() {
    divan::main();
}

/// A record of the plain path, and one that serde_json reads: its symbol has an escape.
#[divan::bench(args = ["plain", "escaped"])]
fn decode(bencher: Bencher<'_, '_>, kind: &str) {
    let symbol = if kind == "plain" { "MSFT" } else { "MSFT\\u0041" };
    let payload = format!(r#"{{"symbol":"{symbol}","price":412.37,"ts":1767600000123,"volume":100}}"#);
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let record = Record { offset: 1, key: None, payload: Some(payload.as_bytes()), ..Record::default() };
    assert!(decoder.decode(&record).is_ok());
    bencher.counter(payload.len()).bench(|| decoder.decode(black_box(&record)).is_ok());
}

/// The number of a record that serde_json reads; the last one is rounded.
#[divan::bench(args = ["0", "412.37", "-99999999999.999999999999999999", "0.0016429999999999999"])]
fn decimal(bencher: Bencher<'_, '_>, text: &str) {
    let rule = NumberRule::new(&NumberOptions::default());
    bencher.bench(|| rule.value(black_box(text).as_bytes()).is_ok());
}

/// The one division: the published average.
#[divan::bench]
fn division(bencher: Bencher<'_, '_>) {
    let numerator = U256::product(1_234_567_890_123_456_789_012_345_678, 7);
    let denominator = U256::product(10_u128.pow(18), 997);
    bencher.bench(|| nearest(black_box(false), black_box(numerator), black_box(denominator)));
}

/// An object of so many windows, sorted and written as bytes.
#[divan::bench(args = [100, 10_000])]
fn encode_object(bencher: Bencher<'_, '_>, windows: u32) {
    let decimal = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
    let event = DecodedEvent {
        symbol: "S".into(),
        value: decimal("412.37"),
        time: EventTime(60),
        weight: Some(decimal("100")),
        weight_beyond: false,
        id: None,
        rounded: false,
    };
    let acc = Market::of(&event, LogPosition { identity: 1, offset: 1 });
    let mut draft = ObjectBuilder::default();
    (0..windows).for_each(|n| draft.push(WindowStart(i64::from(n / 50) * 60_000_000_000), &format!("S{n}"), &acc));
    assert!(Object::open(&draft.encode()).is_ok());
    bencher.counter(windows).bench(|| draft.encode());
}
