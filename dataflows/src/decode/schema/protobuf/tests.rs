//! Protobuf by bytes that are written by hand from <https://protobuf.dev/programming-guides/encoding/>, and by another writer.

use super::*;
use crate::decode::path::FieldPath;
use crate::decode::scalar::Scalar;
use crate::decode::schema::{SchemaMessage, SchemaNode};
use prost_reflect::{DynamicMessage, Value};

fn literal(text: &str) -> Scalar<'_> {
    Scalar::Literal(text.into())
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(text.into())
}

fn compiled(text: &str, message: &str) -> ProtobufSchema {
    ProtobufSchema::compile(text, &[]).unwrap().choose(Some(message)).unwrap()
}

fn decoded(schema: &ProtobufSchema, payload: &[u8]) -> SchemaMessage<'static> {
    SchemaMessage::Protobuf(ProtobufSchema::decode(schema.chosen().unwrap(), payload).unwrap())
}

fn at(node: &SchemaNode<'_, 'static>, paths: &[&str]) -> Vec<Scalar<'static>> {
    paths.iter().map(|path| node.scalar(&FieldPath::parse(path).unwrap())).collect()
}

const TRADE: &str = r#"
syntax = "proto3";
package x.y;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Side { UNKNOWN = 0; BUY = 1; SELL = 2; }
message Trade {
  string symbol = 1;
  double price = 2;
  float size = 3;
  int64 trade_id = 4;
  google.protobuf.Timestamp at = 5;
  Side side = 6;
  optional sint32 delta = 7;
  google.protobuf.DoubleValue bid = 8;
  uint64 seq = 9;
  bytes raw = 10;
  repeated Side sides = 11;
  map<int32, Side> by_number = 12;
  Leg leg = 13;
  repeated Leg legs = 14;
  oneof kind { string option = 15; fixed64 future = 16; }
  message Leg { string venue = 1; repeated sint64 levels = 2; map<string, double> fees = 3; }
}
message Other { message A {} message B { uint32 n = 1; } map<string, A> m = 1; }
"#;

#[test]
fn a_trade_by_hand() {
    let schema = compiled(TRADE, "x.y.Trade");
    let payload = [
        &[0x0a, 3, b'X', b'Y', b'Z'][..],                                 // symbol
        &[0x11, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f],          // price: 0.1
        &[0x1d, 0xcd, 0xcc, 0xcc, 0x3d],                                  // size: 0.1 in 32 bits
        &[0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // trade_id: -1
        &[0x2a, 4, 0x08, 2, 0x10, 5],                                     // at: 2 s and 5 ns
        &[0x30, 2],                                                       // side
        &[0x42, 0],                                                       // bid: a wrapper of 0
        &[0x48, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // seq: 2^64-1
        &[0x52, 1, 9],                                                    // raw
        &[0x5a, 3, 1, 2, 7],                                              // sides, packed; 7 has no name
        &[0x62, 4, 0x08, 5, 0x10, 1],                                     // by_number: 5 is BUY
        &[0x6a, 3, 0x0a, 1, b'Q'],                                        // leg
        &[0x72, 2, 0x12, 0, 0x72, 4, 0x12, 2, 1, 2],                      // legs: none, and levels -1, 1
        &[0x81, 1, 7, 0, 0, 0, 0, 0, 0, 0],                               // future: 7
        &[0xfa, 0x7f, 1, 1],                                              // a field that is not known
    ]
    .concat();
    let message = decoded(&schema, &payload);
    let found = at(
        &message.root(),
        &[
            "symbol",
            "price",
            "size",
            "trade_id",
            "tradeId",
            "at",
            "/at/seconds",
            "side",
            "delta",
            "bid",
            "seq",
            "raw",
            "/sides/1",
            "/sides/2",
            "/by_number/5",
            "/by_number/6",
            "/leg/venue",
            "/legs/1/levels/0",
            "option",
            "future",
            "none",
            "/symbol/x",
            "leg",
        ],
    );
    let want = [
        text("XYZ"),
        literal("0.1"),
        literal("0.1"),
        literal("-1"),
        literal("-1"),
        Scalar::Instant(2_000_000_005),
        literal("2"),
        text("SELL"),
        Scalar::Absent,
        literal("0"),
        literal("18446744073709551615"),
        Scalar::Other("bytes".into()),
        text("SELL"),
        literal("7"),
        text("BUY"),
        Scalar::Absent,
        text("Q"),
        literal("-1"),
        Scalar::Absent,
        literal("7"),
        Scalar::Absent,
        Scalar::Other("a string at /symbol, which has no fields".into()),
        Scalar::Other("a message".into()),
    ];
    assert_eq!(found, want);
    assert_eq!(message.root().names()[..3], ["symbol", "price", "size"]);
    let legs = message.root().elements(&FieldPath::parse("legs").unwrap()).unwrap();
    let venues: Vec<_> = legs.iter().flat_map(|leg| at(leg, &["venue", "/levels/1"])).collect();
    assert_eq!(venues, [text(""), Scalar::Absent, text(""), literal("1")]);
    assert_eq!(message.root().elements(&FieldPath::parse("leg").unwrap()).unwrap().len(), 1);
    assert_eq!(message.root().elements(&FieldPath::parse("side").unwrap()).unwrap_err(), text("SELL"));
}

/// What was not written: a default, but where the schema tells an absent field from one of the default.
#[test]
fn nothing_written() {
    let message = decoded(&compiled(TRADE, "Trade"), &[]);
    let found = at(
        &message.root(),
        &["symbol", "price", "side", "at", "bid", "delta", "leg", "/leg/venue", "sides", "/sides/0", "/symbol/x"],
    );
    let absent = || Scalar::Absent;
    let want = [
        text(""),
        literal("0"),
        text("UNKNOWN"),
        absent(),
        absent(),
        absent(),
        absent(),
        absent(),
        Scalar::Other("a repeated field".into()),
        absent(),
        Scalar::Other("a string at /symbol, which has no fields".into()),
    ];
    assert_eq!(found, want);
    assert!(message.root().elements(&FieldPath::parse("legs").unwrap()).unwrap().is_empty());
    assert_eq!(message.root().elements(&FieldPath::parse("leg").unwrap()).unwrap_err(), absent());
    let old = compiled(
        "syntax = \"proto2\"; message Old { required int32 a = 1; optional int32 b = 2 [default = 7]; }",
        "Old",
    );
    let message = decoded(&old, &[0x08, 0]);
    assert_eq!(at(&message.root(), &["a", "b"]), [literal("0"), absent()]);
}

/// Types whose meaning is known beyond their fields.
#[test]
fn known_types() {
    let schema = compiled(
        r#"syntax = "proto3";
        import "confluent/meta.proto";
        import "confluent/type/decimal.proto";
        import "google/protobuf/struct.proto";
        import "google/protobuf/timestamp.proto";
        import "google/type/decimal.proto";
        import "google/type/money.proto";
        message M {
          confluent.type.Decimal price = 1 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
          google.type.Decimal bid = 2;
          google.type.Money cost = 3;
          google.protobuf.Struct extra = 4;
          google.protobuf.Timestamp at = 5;
          google.protobuf.Value any = 6;
        }"#,
        "M",
    );
    let payload = [
        &[0x0a, 6, 0x0a, 2, 0xcf, 0xc7, 0x18, 2][..], // -12345 times 10^-2
        &[0x12, 6, 0x0a, 4, b'2', b'.', b'5', b'0'],
        &[0x1a, 7, 0x10, 3, 0x18, 0x80, 0xe5, 0x9a, 0x77], // 3 and 250000000 nanos
        &[0x22, 14, 0x0a, 12, 0x0a, 1, b'k', 0x12, 7, 0x1a, 5, b'h', b'e', b'l', b'l', b'o'],
        &[0x2a, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 3], // 10^9 nanos: no Timestamp
        &[0x32, 2, 0x08, 0],
    ]
    .concat();
    let message = decoded(&schema, &payload);
    let want = [
        literal("-123.45"),
        text("2.50"),
        literal("3.250000000"),
        text("hello"),
        Scalar::Absent,
        Scalar::Other("a Timestamp of 1000000000 nanos".into()),
        Scalar::Null,
        text("2.50"),
    ];
    assert_eq!(at(&message.root(), &["price", "bid", "cost", "/extra/k", "/extra/x", "at", "any", "/bid/value"]), want);
}

#[test]
fn a_frame_says_which_message() {
    let schema = ProtobufSchema::compile(TRADE, &[]).unwrap();
    let name = |indexes: &[usize]| schema.message_at(indexes).map(|message| message.full_name().to_owned());
    assert_eq!(name(&[0]).unwrap(), "x.y.Trade");
    assert_eq!(name(&[0, 0]).unwrap(), "x.y.Trade.Leg");
    assert_eq!(name(&[1, 1]).unwrap(), "x.y.Other.B");
    assert_eq!((name(&[2]), name(&[1, 2]), name(&[])), (None, None, None), "the entries of a map have no index");
}

#[test]
fn texts_that_are_no_schema() {
    let wrong = |text: &str| ProtobufSchema::compile(text, &[]).unwrap_err();
    assert!(
        wrong("message M { int32 a = 0; }").contains("message numbers must be"),
        "{}",
        wrong("message M { int32 a = 0; }")
    );
    assert!(wrong("syntax = \"proto3\"; import \"b.proto\"; message M {}").contains("b.proto"));
    assert!(wrong("syntax = \"proto3\"; message M { Nope n = 1; }").contains("Nope"));
    assert!(wrong("syntax = \"proto3\"; import \"schema of this message.proto\"; message M {}").contains("import"));
    assert!(!wrong("edition = \"2023\"; message M {}").is_empty());
    assert!(wrong("message M {} message M {}").contains("M"), "{}", wrong("message M {} message M {}"));
    let imports = [
        ("b.proto".to_owned(), "syntax = \"proto3\"; import \"c.proto\"; message B { C c = 1; }".to_owned()),
        ("c.proto".to_owned(), "syntax = \"proto3\"; message C { int32 n = 1; }".to_owned()),
    ];
    let text = "syntax = \"proto3\"; import \"b.proto\"; message M { B b = 1; }";
    let schema = ProtobufSchema::compile(text, &imports).unwrap().choose(None).unwrap();
    assert_eq!(at(&decoded(&schema, &[0x0a, 4, 0x0a, 2, 0x08, 9]).root(), &["/b/c/n"]), [literal("9")]);
    let circle = [("b.proto".to_owned(), "import \"b.proto\"; message B {}".to_owned())];
    assert!(ProtobufSchema::compile(text, &circle).is_err());

    let several = ProtobufSchema::compile(TRADE, &[]).unwrap();
    assert_eq!(
        several.clone().choose(None).unwrap_err(),
        "it has several messages, and one must be chosen: x.y.Trade, x.y.Other"
    );
    assert_eq!(
        several.clone().choose(Some("Trede")).unwrap_err(),
        "it has no message \"Trede\", but x.y.Trade, x.y.Other"
    );
    assert_eq!(several.choose(Some("x.y.Trade.Leg")).unwrap().chosen().unwrap().name(), "Leg");
    assert_eq!(ProtobufSchema::compile("", &[]).unwrap().choose(None).unwrap_err(), "it has no message");
}

#[test]
fn a_set_of_descriptors() {
    let mut compiler = protox::Compiler::with_file_resolver(protox::file::GoogleFileResolver::new());
    assert!(compiler.open_file("google/protobuf/timestamp.proto").is_ok());
    let mut pool = compiler.include_imports(true).descriptor_pool();
    pool.add_file_descriptor_proto(
        protox::file::File::from_source(
            "t.proto",
            TRADE
                .replace("import \"google/protobuf/wrappers.proto\";", "")
                .replace("google.protobuf.DoubleValue bid = 8;", "")
                .as_str(),
        )
        .unwrap()
        .into(),
    )
    .unwrap();
    let bytes = pool.encode_to_vec();
    let schema = ProtobufSchema::of_descriptors(&bytes).unwrap().choose(Some("Trade")).unwrap();
    assert_eq!(at(&decoded(&schema, &[0x0a, 1, b'A', 0x30, 1]).root(), &["symbol", "side"]), [text("A"), text("BUY")]);
    assert!(ProtobufSchema::of_descriptors(b"\x0a\x05nope").unwrap_err().starts_with("no set of descriptors"));
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    for _ in 0..20_000 {
        let mut bytes = bytes.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..bytes.len());
            bytes[at] = rng.u8(..);
        }
        if let Ok(schema) = ProtobufSchema::of_descriptors(&bytes).and_then(|schema| schema.choose(Some("Trade"))) {
            let _either = ProtobufSchema::decode(schema.chosen().unwrap(), &[0x0a, 1, b'A', 0x30, 1, 0x5a, 1, 1]);
        }
    }
}

#[test]
fn messages_in_messages_have_a_bound() {
    let schema = compiled("syntax = \"proto3\"; message N { N n = 1; int32 v = 2; }", "N");
    let mut payload = vec![0x10, 1];
    for _ in 0..200 {
        let mut length = payload.len();
        let mut outer = vec![0x0a];
        while length >= 0x80 {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        payload = [outer, payload].concat();
    }
    let error = ProtobufSchema::decode(schema.chosen().unwrap(), &payload).unwrap_err();
    assert!(error.contains("recursion limit"), "{error}");
    let deep = format!("{}{}", "message M { ".repeat(10_000), "}".repeat(10_000));
    assert!(ProtobufSchema::compile(&deep, &[]).unwrap_err().contains("recursion limit"));
}

/// Any change of good bytes, and any bytes: decoded or refused, and what was decoded can be looked at.
#[test]
fn no_bytes_panic() {
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    let schema = compiled(TRADE, "Trade");
    let of = schema.chosen().unwrap();
    let mut message = DynamicMessage::new(of.clone());
    message.set_field_by_name("symbol", Value::String("ABC".into()));
    message.set_field_by_name("sides", Value::List(vec![Value::EnumNumber(2)]));
    message.set_field_by_name("by_number", Value::Map([(prost_reflect::MapKey::I32(3), Value::EnumNumber(1))].into()));
    let leg = message.get_field_by_name_mut("leg").unwrap().as_message_mut().unwrap();
    leg.set_field_by_name("levels", Value::List(vec![Value::I64(-5), Value::I64(7)]));
    leg.set_field_by_name("fees", Value::Map([(prost_reflect::MapKey::String("k".into()), Value::F64(0.5))].into()));
    message.set_field_by_name("future", Value::U64(9));
    let good = prost_reflect::prost::Message::encode_to_vec(&message);
    let paths = ["symbol", "/leg/levels/1", "/leg/fees/k", "/sides/0", "/by_number/3", "at", "option", "/legs/0/venue"];
    let want = [
        text("ABC"),
        literal("7"),
        literal("0.5"),
        text("SELL"),
        text("BUY"),
        Scalar::Absent,
        Scalar::Absent,
        Scalar::Absent,
    ];
    assert_eq!(at(&decoded(&schema, &good).root(), &paths), want);
    let paths = paths.map(|path| FieldPath::parse(path).unwrap());
    let mut right = 0;
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        match rng.u8(0..4) {
            0 => bytes = (0..rng.usize(0..40)).map(|_| rng.u8(..)).collect(),
            1 => bytes.truncate(rng.usize(0..=good.len())),
            _ => {
                for _ in 0..rng.usize(1..4) {
                    bytes[rng.usize(0..good.len())] = rng.u8(..);
                }
            }
        }
        if let Ok(value) = ProtobufSchema::decode(of, &bytes) {
            right += 1;
            let message = SchemaMessage::Protobuf(value);
            for path in &paths {
                message.root().scalar(path);
                let _either = message.root().elements(path);
            }
        }
    }
    assert!(right > 10_000, "{right}");
}

/// Any change of a schema's text.
#[test]
fn no_text_panics() {
    let mut rng = fastrand::Rng::new();
    println!("seed {}", rng.get_seed());
    for _ in 0..3_000 {
        let mut text = TRADE.as_bytes().to_vec();
        for _ in 0..rng.usize(1..5) {
            let (at, from) = (rng.usize(0..text.len()), rng.usize(0..text.len()));
            match rng.u8(0..3) {
                0 => text[at] = rng.u8(0x20..0x7f),
                1 => drop(text.splice(at..at, text[from..(from + 9).min(text.len())].to_vec())),
                _ => drop(text.drain(at..(at + 5).min(text.len()))),
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Ok(schema) = ProtobufSchema::compile(&text, &[]) {
            let of = schema.message_at(&[0]);
            let _either = of.map(|of| ProtobufSchema::decode(&of, &[0x0a, 1, b'A', 0x30, 1, 0x5a, 1, 1]));
        }
    }
}
