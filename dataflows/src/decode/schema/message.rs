//! A decoded message: the values at its fields' paths, and the elements of an array at one.

use super::super::path::FieldPath;
use super::super::scalar::Scalar;
use super::avro::AvroValue;
use super::numbers;
use super::protobuf::ProtobufNode;
use std::fmt::Write as _;

/// A message as its schema decoded it.
#[derive(Clone, Debug)]
pub(crate) enum SchemaMessage<'a> {
    /// Borrows the payload.
    Avro(AvroValue<'a>),
    /// A message of Protobuf.
    Protobuf(prost_reflect::Value),
}

/// A value within a message, with what it holds.
///
/// A step of a path is the name of a record's or message's field (Protobuf: its name in the schema or in JSON), the key of a map, or
/// the index of an array. Unions, wrappers and the types of `google/protobuf/struct.proto` are passed without a step. A path
/// ends at what has a value: `google.protobuf.Timestamp`, `google.type.Money` and the like have one, and fields, too.
#[derive(Clone, Debug)]
pub(crate) enum SchemaNode<'t, 'a> {
    /// Of Avro.
    Avro(&'t AvroValue<'a>),
    /// Of Protobuf.
    Protobuf(ProtobufNode<'t>),
}

impl<'a> SchemaMessage<'a> {
    /// All of it.
    pub(crate) fn root(&self) -> SchemaNode<'_, 'a> {
        match self {
            SchemaMessage::Avro(value) => SchemaNode::Avro(value),
            SchemaMessage::Protobuf(message) => SchemaNode::Protobuf(ProtobufNode::root(message)),
        }
    }
}

impl<'t, 'a> SchemaNode<'t, 'a> {
    /// What stands at a path from here. Nothing where a step leads nowhere or a null is on the way; [`Scalar::Other`], saying
    /// what is there, where the path leads through something without fields.
    pub(crate) fn scalar(&self, path: &FieldPath) -> Scalar<'a> {
        match self.at(path) {
            Ok(Some(node)) => node.value(),
            Ok(None) => Scalar::Absent,
            Err(what) => Scalar::Other(what.into()),
        }
    }

    /// The elements of the array at a path from here, each to be read from by paths of its own; of a record, a message or a map
    /// itself alone.
    ///
    /// # Errors
    /// What is there instead, as [`SchemaNode::scalar`] says it.
    pub(crate) fn elements(&self, path: &FieldPath) -> Result<Vec<SchemaNode<'t, 'a>>, Scalar<'a>> {
        match self.at(path) {
            Ok(Some(SchemaNode::Avro(AvroValue::Array(items)))) => Ok(items.iter().map(SchemaNode::Avro).collect()),
            Ok(Some(node @ SchemaNode::Avro(AvroValue::Map(_) | AvroValue::Record(..)))) => Ok(vec![node]),
            Ok(Some(node @ SchemaNode::Avro(_))) => Err(node.value()),
            Ok(Some(SchemaNode::Protobuf(node))) => {
                Ok(node.elements()?.into_iter().map(SchemaNode::Protobuf).collect())
            }
            Ok(None) => Err(Scalar::Absent),
            Err(what) => Err(Scalar::Other(what.into())),
        }
    }

    /// The names of its fields, or the keys of a map, in the order of the schema or of the message; empty where it has none. For
    /// people, who may have misspelt one.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            SchemaNode::Avro(AvroValue::Record(of, _)) => of.names().map(str::to_owned).collect(),
            SchemaNode::Avro(AvroValue::Map(entries)) => entries.iter().map(|(key, _)| (*key).to_owned()).collect(),
            SchemaNode::Avro(_) => Vec::new(),
            SchemaNode::Protobuf(node) => node.names(),
        }
    }

    /// What a path leads to.
    ///
    /// # Errors
    /// What is on the way and has no fields.
    pub(crate) fn at(&self, path: &FieldPath) -> Result<Option<SchemaNode<'t, 'a>>, String> {
        let mut node = self.clone();
        for (done, step) in path.0.iter().enumerate() {
            let next = match &node {
                SchemaNode::Avro(value) => avro_step(value, step).map(|next| next.map(SchemaNode::Avro)),
                SchemaNode::Protobuf(inner) => inner.step(step).map(|next| next.map(SchemaNode::Protobuf)),
            };
            let next = next.map_err(|what| match done {
                0 => format!("{what}, which has no fields"),
                _ => format!("{what} at /{}, which has no fields", path.0[..done].join("/")),
            })?;
            match next {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// As a symbol, a number or a time is read from it.
    pub(crate) fn value(&self) -> Scalar<'a> {
        match self {
            SchemaNode::Avro(value) => avro_scalar(value),
            SchemaNode::Protobuf(node) => node.scalar(),
        }
    }
}

/// # Errors
/// What it is, where it has no fields.
fn avro_step<'t, 'a>(value: &'t AvroValue<'a>, step: &str) -> Result<Option<&'t AvroValue<'a>>, &'static str> {
    match value {
        AvroValue::Record(of, values) => Ok(of.index(step).and_then(|index| values.get(index))),
        // Of a key that is there twice the last counts, as in Java's maps.
        AvroValue::Map(entries) => Ok(entries.iter().rfind(|(key, _)| *key == step).map(|(_, value)| value)),
        AvroValue::Array(items) => Ok(super::index(step).and_then(|index| items.get(index))),
        AvroValue::Null => Ok(None),
        other => Err(what(other)),
    }
}

fn avro_scalar<'a>(value: &AvroValue<'a>) -> Scalar<'a> {
    match value {
        AvroValue::Null => Scalar::Null,
        AvroValue::Boolean(value) => numbers::boolean(*value),
        AvroValue::Integer(value) => numbers::integer(value),
        AvroValue::Float(value) => numbers::float(*value),
        AvroValue::Double(value) => numbers::double(*value),
        AvroValue::Text(text) => Scalar::Text((*text).into()),
        AvroValue::Enum(symbol) => Scalar::Text(symbol.to_string().into()),
        AvroValue::Instant(units, unit) => Scalar::Instant(i128::from(*units) * i128::from(*unit)),
        AvroValue::Decimal(bytes, scale) => numbers::decimal(bytes, *scale),
        AvroValue::Uuid(bytes) => Scalar::Text(uuid(bytes).into()),
        AvroValue::Record(of, values) if of.is_variable_decimal() => {
            let field = |name| of.index(name).and_then(|index| values.get(index));
            match (field("scale"), field("value")) {
                (Some(AvroValue::Integer(scale)), Some(AvroValue::Bytes(bytes))) => numbers::decimal(bytes, *scale),
                _ => Scalar::Other(what(value).into()),
            }
        }
        AvroValue::Bytes(_) | AvroValue::Array(_) | AvroValue::Map(_) | AvroValue::Record(..) => {
            Scalar::Other(what(value).into())
        }
    }
}

/// For people.
fn what(value: &AvroValue<'_>) -> &'static str {
    match value {
        AvroValue::Null => "null",
        AvroValue::Boolean(_) => "a boolean",
        AvroValue::Integer(_) | AvroValue::Float(_) | AvroValue::Double(_) | AvroValue::Decimal(..) => "a number",
        AvroValue::Bytes(_) => "bytes",
        AvroValue::Text(_) | AvroValue::Uuid(_) => "a string",
        AvroValue::Enum(_) => "an enum",
        AvroValue::Instant(..) => "a timestamp",
        AvroValue::Array(_) => "an array",
        AvroValue::Map(_) => "a map",
        AvroValue::Record(..) => "a record",
    }
}

/// As in 123e4567-e89b-12d3-a456-426614174000.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a string takes it");
    }
    text
}
