//! Framed messages by the schemas of a registry in memory.

use super::*;
use crate::decode::path::FieldPath;
use crate::decode::scalar::Scalar;
use crate::edge::{Halt, HaltKind, SchemaRegistry};
use crate::record::{Reason, Rejection};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Schemas by id, and how often one was asked for.
struct Memory {
    schemas: Vec<(u32, RegisteredSchema)>,
    asked: AtomicU32,
}

impl SchemaRegistry for Memory {
    fn schema(&self, id: u32) -> Result<Option<RegisteredSchema>, Halt> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if id == 99 {
            return Err(Halt::new(HaltKind::Unreachable, "no answer"));
        }
        Ok(self.schemas.iter().find(|(known, _)| *known == id).map(|(_, schema)| schema.clone()))
    }
}

fn registered(kind: SchemaKind, text: &str) -> RegisteredSchema {
    RegisteredSchema { kind, text: text.to_owned(), references: Vec::new() }
}

fn memory() -> Arc<Memory> {
    let one =
        r#"{"type": "record", "name": "x.A", "fields": [{"name": "p", "type": "int"}, {"name": "q", "type": "int"}]}"#;
    let two = r#"{"type": "record", "name": "x.A", "fields": [{"name": "q", "type": "long"},
        {"name": "p", "type": ["null", "float"]}, {"name": "new", "type": "int", "default": 5}]}"#;
    let proto = "syntax = \"proto3\"; message A { int32 p = 1; } message B { message C { int32 p = 2; } }";
    let schemas = vec![
        (1, registered(SchemaKind::Avro, one)),
        (2, registered(SchemaKind::Avro, two)),
        (3, registered(SchemaKind::Avro, r#"{"type": "record"}"#)),
        (4, registered(SchemaKind::Protobuf, proto)),
        (5, registered(SchemaKind::Json, "{}")),
    ];
    Arc::new(Memory { schemas, asked: AtomicU32::new(0) })
}

/// The value of a field of a payload, or the finding of its rejection.
fn field(decoder: &mut SchemaDecoder, payload: &[u8], name: &str) -> Result<Scalar<'static>, String> {
    match decoder.message(payload).unwrap() {
        Ok(message) => Ok(match message.root().scalar(&FieldPath::parse(name).unwrap()) {
            Scalar::Literal(digits) => Scalar::Literal(digits.into_owned().into()),
            Scalar::Absent => Scalar::Absent,
            other => panic!("{other:?}"),
        }),
        Err(Rejection { reason, finding }) => {
            assert_eq!((reason, finding.field.as_ref()), (Reason::Schema, None));
            Err(finding.to_string())
        }
    }
}

fn literal(digits: &str) -> Result<Scalar<'static>, String> {
    Ok(Scalar::Literal(digits.to_owned().into()))
}

/// Each message is decoded by the schema that it was written with, whatever was read before it.
#[test]
fn a_schema_evolves() {
    let registry = memory();
    let mut decoder = SchemaDecoder::of_registry(SchemaKind::Avro, Arc::clone(&registry) as Arc<dyn SchemaRegistry>);
    let old = &[0, 0, 0, 0, 1, 4, 6][..];
    let new = &[0, 0, 0, 0, 2, 8, 2, 0, 0, 0x20, 0x40, 0][..];
    for _ in 0..3 {
        assert_eq!(field(&mut decoder, old, "p"), literal("2"));
        assert_eq!(field(&mut decoder, old, "q"), literal("3"));
        assert_eq!(field(&mut decoder, old, "new"), Ok(Scalar::Absent), "a reader's default is not looked at");
        assert_eq!(field(&mut decoder, new, "p"), literal("2.5"));
        assert_eq!(field(&mut decoder, new, "q"), literal("4"));
        assert_eq!(field(&mut decoder, new, "new"), literal("0"));
    }
    assert_eq!(registry.asked.load(Ordering::Relaxed), 2, "once for each id");
}

#[test]
fn what_cannot_be_decoded_says_why() {
    let registry = memory();
    let mut decoder = SchemaDecoder::of_registry(SchemaKind::Avro, Arc::clone(&registry) as Arc<dyn SchemaRegistry>);
    for (payload, want) in [
        (
            &[0, 0, 0, 0, 1, 4][..],
            "expected a message of schema 1, Avro record x.A, found an integer that does not end in 10 bytes in q, at byte 1 of 1",
        ),
        (&[0, 0, 0, 0, 7, 4], "expected schema 7 of Avro, found no such schema in the registry"),
        (&[0, 0, 0, 0, 3, 4], "expected schema 3 of Avro, found one that cannot be used: a type without its \"name\""),
        (&[0, 0, 0, 0, 4, 4], "expected schema 4 of Avro, found a schema of Protobuf"),
        (&[0, 0, 0, 0, 5, 4], "expected schema 5 of Avro, found a schema of JSON Schema"),
        (b"{}", "expected Confluent's wire format (magic byte 0, schema id, message), found JSON without a frame: {}"),
    ] {
        assert_eq!(field(&mut decoder, payload, "p"), Err(want.to_owned()));
        assert_eq!(field(&mut decoder, payload, "p"), Err(want.to_owned()));
    }
    assert_eq!(registry.asked.load(Ordering::Relaxed), 5);
    for _ in 0..2 {
        let halt = decoder.message(&[0, 0, 0, 0, 99, 1]).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Unreachable);
    }
    assert_eq!(registry.asked.load(Ordering::Relaxed), 7, "what was not answered is asked again");
}

#[test]
fn a_frame_of_protobuf_says_the_message() {
    let mut decoder = SchemaDecoder::of_registry(SchemaKind::Protobuf, memory());
    assert_eq!(field(&mut decoder, &[0, 0, 0, 0, 4, 0, 8, 7], "p"), literal("7"));
    assert_eq!(field(&mut decoder, &[0, 0, 0, 0, 4, 4, 2, 0, 16, 7], "p"), literal("7"));
    let none = field(&mut decoder, &[0, 0, 0, 0, 4, 2, 6, 8, 7], "p").unwrap_err();
    assert_eq!(
        none,
        "expected a message of schema 4, Protobuf message, found message [3], which the schema does not have"
    );
}

#[test]
fn schemas_are_forgotten_before_they_fill_the_memory() {
    let registry = memory();
    let mut decoder = SchemaDecoder::of_registry(SchemaKind::Avro, Arc::clone(&registry) as Arc<dyn SchemaRegistry>);
    for id in 1000_u32..2500 {
        let payload = [&[0][..], &id.to_be_bytes(), &[1]].concat();
        assert!(field(&mut decoder, &payload, "p").is_err());
    }
    assert_eq!(field(&mut decoder, &[0, 0, 0, 0, 1, 4, 6], "p"), literal("2"));
    assert_eq!(registry.asked.load(Ordering::Relaxed), 1501);
}

#[test]
fn a_schema_from_a_file_needs_no_frame() {
    let schema = FileSchema::of(&memory().schemas[0].1, None).unwrap();
    let mut decoder = SchemaDecoder::of_file(schema);
    assert_eq!(field(&mut decoder, &[4, 6], "q"), literal("3"));
    let framed = field(&mut decoder, &[0, 0, 0, 0, 1, 4, 6], "q").unwrap_err();
    assert_eq!(framed, "expected a message of the Avro record x.A, found 2 bytes of it, and 5 more");
    let proto = &memory().schemas[3].1;
    let mut decoder = SchemaDecoder::of_file(FileSchema::of(proto, Some("A")).unwrap());
    assert_eq!(field(&mut decoder, &[8, 7], "p"), literal("7"));
    assert!(FileSchema::of(proto, None).is_err_and(|why| why.contains("A, B")));
    assert!(FileSchema::of(&memory().schemas[0].1, Some("A")).is_err());
}

#[test]
fn json_follows_its_frame() {
    assert_eq!(framed_json(b"\0\0\0\0\x01{\"a\":1}"), Ok(&b"{\"a\":1}"[..]));
    let rejection = framed_json(b"{\"a\":1}").unwrap_err();
    assert_eq!(rejection.reason, Reason::Schema);
}

#[test]
fn an_index_is_digits_without_a_leading_zero() {
    let found = ["0", "7", "10", "00", "01", "-1", "+1", "-", "", "a", "99999999999999999999"].map(index);
    assert_eq!(found, [Some(0), Some(7), Some(10), None, None, None, None, None, None, None, None]);
}
