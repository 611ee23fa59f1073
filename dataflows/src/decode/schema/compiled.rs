//! A schema that messages can be decoded by, of any language.

use super::avro::AvroSchema;
use super::frame;
use super::message::SchemaMessage;
use super::protobuf::ProtobufSchema;
use super::registered::{RegisteredSchema, SchemaKind};

/// A schema that messages can be decoded by.
#[derive(Clone, Debug)]
pub(crate) enum CompiledSchema {
    /// Avro.
    Avro(AvroSchema),
    /// Protobuf.
    Protobuf(ProtobufSchema),
}

impl CompiledSchema {
    /// A schema of a registry.
    ///
    /// # Errors
    /// Why messages cannot be decoded by it, for people.
    pub(crate) fn of(registered: &RegisteredSchema) -> Result<Self, String> {
        match registered.kind {
            SchemaKind::Avro => {
                let references = registered.references.iter().map(|(_, text)| text.as_str());
                AvroSchema::parse(&registered.text, references).map(CompiledSchema::Avro)
            }
            SchemaKind::Protobuf => {
                ProtobufSchema::compile(&registered.text, &registered.references).map(CompiledSchema::Protobuf)
            }
            SchemaKind::Json | SchemaKind::Other => {
                Err(format!("a schema of {}, which decodes no bytes", registered.kind))
            }
        }
    }

    /// The message that follows a frame.
    ///
    /// # Errors
    /// What is wrong with its bytes, for people.
    pub(super) fn framed<'a>(&self, rest: &'a [u8]) -> Result<SchemaMessage<'a>, String> {
        match self {
            CompiledSchema::Avro(schema) => schema.decode(rest).map(SchemaMessage::Avro),
            CompiledSchema::Protobuf(schema) => {
                let (indexes, rest) = frame::message_indexes(rest)?;
                let of = schema.message_at(&indexes);
                let of = of.ok_or_else(|| format!("message {indexes:?}, which the schema does not have"))?;
                ProtobufSchema::decode(&of, rest).map(SchemaMessage::Protobuf)
            }
        }
    }

    /// The message that a payload without a frame is.
    ///
    /// # Errors
    /// What is wrong with its bytes, for people.
    pub(super) fn bare<'a>(&self, payload: &'a [u8]) -> Result<SchemaMessage<'a>, String> {
        match self {
            CompiledSchema::Avro(schema) => schema.decode(payload).map(SchemaMessage::Avro),
            CompiledSchema::Protobuf(schema) => {
                let of = schema.chosen().ok_or("a schema of several messages, of which none is chosen")?;
                ProtobufSchema::decode(of, payload).map(SchemaMessage::Protobuf)
            }
        }
    }

    /// What a message of it is, for people; a frame may say another message of it.
    pub(super) fn describe(&self) -> String {
        match self {
            CompiledSchema::Avro(schema) => format!("Avro {}", schema.describe()),
            CompiledSchema::Protobuf(schema) => match schema.chosen() {
                Some(message) => format!("Protobuf message {}", message.full_name()),
                None => "Protobuf message".to_owned(),
            },
        }
    }
}
