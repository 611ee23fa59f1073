//! A message, and the ways into it.

use super::super::super::scalar::Scalar;
use super::super::numbers;
use super::compile::ProtobufSchema;
use crate::time::SECOND;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use std::borrow::Cow;

/// A value within a message.
#[derive(Clone, Debug)]
pub(crate) struct ProtobufNode<'t> {
    value: Cow<'t, Value>,
    /// The names of an enum's numbers.
    symbols: Option<EnumDescriptor>,
}

impl ProtobufSchema {
    /// The message that a payload is.
    ///
    /// # Errors
    /// What is wrong with its bytes, for people.
    pub(crate) fn decode(of: &MessageDescriptor, payload: &[u8]) -> Result<Value, String> {
        let message = DynamicMessage::decode(of.clone(), payload);
        message.map(Value::Message).map_err(|error| format!("{error}, in {} bytes", payload.len()))
    }
}

impl<'t> ProtobufNode<'t> {
    pub(crate) fn root(message: &'t Value) -> Self {
        ProtobufNode { value: Cow::Borrowed(message), symbols: None }
    }

    /// What a step leads to. `Ok(None)`: nothing is there.
    ///
    /// # Errors
    /// What is there, where it has no steps.
    pub(crate) fn step(&self, step: &str) -> Result<Option<Self>, &'static str> {
        // What is owned is the default of a field without presence: a scalar, or an empty list or map.
        let Cow::Borrowed(value) = self.value else {
            return if self.is_container() { Ok(None) } else { Err(self.what()) };
        };
        match value {
            Value::Message(message) => match structure(message) {
                Some(inner) => inner.map_or(Ok(None), |inner| inner.step(step)),
                None => Ok(field(message, step)),
            },
            Value::List(items) => {
                let item = super::super::index(step).and_then(|index| items.get(index));
                Ok(item.map(|item| self.child(item)))
            }
            Value::Map(entries) => {
                let entry = entries.iter().find(|(key, _)| is_key(key, step));
                Ok(entry.map(|(_, value)| self.child(value)))
            }
            _ => Err(self.what()),
        }
    }

    /// The elements, where it is a list; itself, where it has fields.
    ///
    /// # Errors
    /// What it is instead.
    pub(crate) fn elements(self) -> Result<Vec<Self>, Scalar<'static>> {
        match self.value {
            Cow::Borrowed(Value::Message(message)) => match structure(message) {
                Some(Some(inner)) => inner.elements(),
                Some(None) => Err(Scalar::Null),
                None => Ok(vec![self]),
            },
            Cow::Borrowed(Value::Map(_)) => Ok(vec![self]),
            Cow::Borrowed(Value::List(items)) => Ok(items.iter().map(|item| self.child(item)).collect()),
            _ if self.is_container() => Ok(Vec::new()),
            _ => Err(self.scalar()),
        }
    }

    fn child(&self, value: &'t Value) -> Self {
        ProtobufNode { value: Cow::Borrowed(value), symbols: self.symbols.clone() }
    }

    fn is_container(&self) -> bool {
        matches!(&*self.value, Value::Message(_) | Value::List(_) | Value::Map(_))
    }

    /// As a symbol, a number or a time is read from it.
    pub(crate) fn scalar(&self) -> Scalar<'static> {
        match &*self.value {
            Value::Bool(value) => numbers::boolean(*value),
            Value::I32(value) => numbers::integer(value),
            Value::I64(value) => numbers::integer(value),
            Value::U32(value) => numbers::integer(value),
            Value::U64(value) => numbers::integer(value),
            Value::F32(value) => numbers::float(*value),
            Value::F64(value) => numbers::double(*value),
            Value::String(text) => Scalar::Text(text.clone().into()),
            Value::EnumNumber(number) => match self.symbols.as_ref().and_then(|symbols| symbols.get_value(*number)) {
                Some(value) => Scalar::Text(value.name().to_owned().into()),
                None => numbers::integer(number), // as in Protobuf's JSON
            },
            Value::Message(message) => known(message).unwrap_or(Scalar::Other("a message".into())),
            Value::Bytes(_) | Value::List(_) | Value::Map(_) => Scalar::Other(self.what().into()),
        }
    }

    /// The names of a message's fields; of a map, whose keys have no order, none.
    pub(crate) fn names(&self) -> Vec<String> {
        match &*self.value {
            Value::Message(message) => message.descriptor().fields().map(|field| field.name().to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match &*self.value {
            Value::Bool(_) => "a bool",
            Value::I32(_) | Value::I64(_) | Value::U32(_) | Value::U64(_) | Value::F32(_) | Value::F64(_) => "a number",
            Value::String(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::EnumNumber(_) => "an enum",
            Value::Message(_) => "a message",
            Value::List(_) => "a repeated field",
            Value::Map(_) => "a map",
        }
    }
}

/// A field by its name in the schema or in JSON. One with presence (a message, `optional`, a oneof) that was not written is not
/// there; any other that was not written has its default: 0, false, an empty string.
fn field<'t>(message: &'t DynamicMessage, name: &str) -> Option<ProtobufNode<'t>> {
    let of = message.descriptor();
    let field = of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name))?;
    if field.supports_presence() && !message.has_field(&field) {
        return None;
    }
    Some(ProtobufNode { value: message.get_field(&field), symbols: symbols(&field) })
}

fn symbols(field: &FieldDescriptor) -> Option<EnumDescriptor> {
    match field.kind() {
        Kind::Enum(symbols) => Some(symbols),
        Kind::Message(entry) if entry.is_map_entry() => symbols(&entry.get_field(2)?),
        _ => None,
    }
}

/// What a `Struct`, a `ListValue` or a `Value` of google.protobuf holds, which is JSON; within it nothing: null.
fn structure(message: &DynamicMessage) -> Option<Option<ProtobufNode<'_>>> {
    let inner = match message.descriptor().full_name() {
        "google.protobuf.Struct" => field(message, "fields"),
        "google.protobuf.ListValue" => field(message, "values"),
        "google.protobuf.Value" => {
            let set = message.fields().next();
            set.filter(|(field, _)| field.name() != "null_value")
                .map(|(_, value)| ProtobufNode { value: Cow::Borrowed(value), symbols: None })
        }
        _ => return None,
    };
    Some(inner)
}

/// The value of a message whose meaning is known.
fn known(message: &DynamicMessage) -> Option<Scalar<'static>> {
    let of = message.descriptor();
    let number =
        |name| message.get_field_by_name(name).and_then(|value| value.as_i64().or(value.as_i32().map(i64::from)));
    match of.full_name() {
        "google.protobuf.Timestamp" => {
            let (seconds, nanos) = (i128::from(number("seconds")?), i128::from(number("nanos")?));
            let is_valid = (0..i128::from(SECOND)).contains(&nanos);
            Some(if is_valid {
                Scalar::Instant(seconds * i128::from(SECOND) + nanos)
            } else {
                Scalar::Other(format!("a Timestamp of {nanos} nanos").into())
            })
        }
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue"
        | "google.type.Decimal" => Some(field(message, "value")?.scalar()),
        "google.type.Money" => {
            let nanos = i128::from(number("units")?) * 1_000_000_000 + i128::from(number("nanos")?);
            Some(numbers::decimal(&nanos.to_be_bytes(), 9))
        }
        "confluent.type.Decimal" => {
            let value = message.get_field_by_name("value")?;
            Some(numbers::decimal(value.as_bytes()?, number("scale")?))
        }
        _ => match structure(message)? {
            Some(inner) => Some(inner.scalar()),
            None => Some(Scalar::Null),
        },
    }
}

fn is_key(key: &MapKey, step: &str) -> bool {
    match key {
        MapKey::String(key) => key == step,
        MapKey::Bool(key) => step == if *key { "true" } else { "false" },
        MapKey::I32(key) => step == key.to_string(),
        MapKey::I64(key) => step == key.to_string(),
        MapKey::U32(key) => step == key.to_string(),
        MapKey::U64(key) => step == key.to_string(),
    }
}
