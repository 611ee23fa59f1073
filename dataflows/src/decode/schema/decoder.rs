//! Payloads to messages, by a registry's schemas or by one from a file.

use super::compiled::CompiledSchema;
use super::container::ContainerHeader;
use super::frame::{self, FRAME, Framed};
use super::message::SchemaMessage;
use super::protobuf::ProtobufSchema;
use super::registered::{RegisteredSchema, SchemaKind};
use crate::edge::SchemaRegistry;
use crate::escape::{escaped, shortened};
use crate::halt::Halt;
use crate::record::{Finding, Reason, Rejection};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Schemas that a worker keeps at most. A topic has a few; more ids than this are those of bytes that have no frame.
const MOST_SCHEMAS: usize = 1000;

/// A schema of a file, by which messages without a frame are decoded.
#[derive(Clone, Debug)]
pub struct FileSchema(Arc<CompiledSchema>);

impl FileSchema {
    /// Avro's JSON, or a .proto's text with the texts of what it imports by their paths. `message`: which type of Protobuf
    /// messages are; may be left out where there is one.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of(schema: &RegisteredSchema, message: Option<&str>) -> Result<Self, String> {
        Self::chosen(CompiledSchema::of(schema)?, message)
    }

    /// A set of Protobuf's descriptors, as `protoc --include_imports --descriptor_set_out` writes it; `message` as above.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_descriptors(bytes: &[u8], message: Option<&str>) -> Result<Self, String> {
        Self::chosen(CompiledSchema::Protobuf(ProtobufSchema::of_descriptors(bytes)?), message)
    }

    fn chosen(schema: CompiledSchema, message: Option<&str>) -> Result<Self, String> {
        Ok(FileSchema(Arc::new(match (schema, message) {
            (CompiledSchema::Protobuf(schema), message) => CompiledSchema::Protobuf(schema.choose(message)?),
            (CompiledSchema::Avro(_), Some(_)) => {
                return Err("a schema of Avro has one message: none can be chosen".into());
            }
            (avro, None) => avro,
        })))
    }
}

/// Decodes messages that a schema describes. One per worker: what it has compiled is its own.
#[derive(Clone)]
pub struct SchemaDecoder(By);

impl std::fmt::Debug for SchemaDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = match self.0 {
            By::Registry { .. } => "a registry",
            By::File(_) => "a file",
            By::Container(_) => "a container",
        };
        write!(f, "SchemaDecoder by {by}")
    }
}

#[derive(Clone)]
enum By {
    /// A frame says which.
    Registry {
        kind: SchemaKind,
        registry: Arc<dyn SchemaRegistry>,
        /// By id: the schema, or why there is none to decode by.
        schemas: BTreeMap<u32, Result<Arc<CompiledSchema>, String>>,
    },
    /// Always this.
    File(FileSchema),
    /// The first record of a partition has it.
    Container(ContainerHeader),
}

impl SchemaDecoder {
    /// By the schemas of a registry, which are to be of this kind.
    pub fn of_registry(kind: SchemaKind, registry: Arc<dyn SchemaRegistry>) -> Self {
        SchemaDecoder(By::Registry { kind, registry, schemas: BTreeMap::new() })
    }

    /// By this schema; messages have no frame.
    pub fn of_file(schema: FileSchema) -> Self {
        SchemaDecoder(By::File(schema))
    }

    /// By the schema that the first record of each partition is, as a container file of Avro has it.
    pub fn of_container() -> Self {
        SchemaDecoder(By::Container(ContainerHeader::default()))
    }

    /// The offset of the record that has the schema of its partition, where one has.
    pub(crate) fn header_at(&self) -> Option<i64> {
        matches!(self.0, By::Container(_)).then_some(ContainerHeader::OFFSET)
    }

    /// Reads that record.
    pub(crate) fn read_header(&mut self, payload: &[u8]) {
        if let By::Container(header) = &mut self.0 {
            header.read(payload);
        }
    }

    /// Have messages a frame that says their schema?
    pub(crate) fn has_registry(&self) -> bool {
        matches!(self.0, By::Registry { .. })
    }

    /// The message that a payload is, or why it is none. Blocks where a schema is not known yet, once for each.
    ///
    /// # Errors
    /// The registry does not answer.
    pub(crate) fn message<'a>(&mut self, payload: &'a [u8]) -> Result<Result<SchemaMessage<'a>, Rejection>, Halt> {
        match &mut self.0 {
            By::File(FileSchema(schema)) => {
                let message = schema.bare(payload);
                Ok(message.map_err(|why| reject(format!("a message of the {}", schema.describe()), why)))
            }
            By::Container(header) => Ok(header.message(payload).map_err(|(expected, found)| reject(expected, found))),
            By::Registry { kind, registry, schemas } => {
                let Framed { id, rest } = match frame::unframe(payload) {
                    Ok(framed) => framed,
                    Err(found) => return Ok(Err(reject(FRAME.into(), found))),
                };
                if !schemas.contains_key(&id) {
                    if schemas.len() >= MOST_SCHEMAS {
                        schemas.clear();
                    }
                    // Registries count in Java's int: a greater id is of no schema, and some answer it as no registry would.
                    let is_possible = i32::try_from(id).is_ok();
                    let registered = if is_possible { registry.schema(id)? } else { None };
                    schemas.insert(id, compile(*kind, registered));
                }
                Ok(match &schemas[&id] {
                    Err(why) => Err(reject(format!("schema {id} of {kind}"), why.clone())),
                    Ok(schema) => schema.framed(rest).map_err(|why| {
                        reject(format!("a message of schema {id}, {}", escaped(&schema.describe())), why)
                    }),
                })
            }
        }
    }
}

/// The JSON text that follows a frame: a message of JSON Schema. It is read without its schema, which need not be there.
///
/// # Errors
/// The payload has no frame.
pub(crate) fn framed_json(payload: &[u8]) -> Result<&[u8], Rejection> {
    frame::unframe(payload).map(|framed| framed.rest).map_err(|found| reject(FRAME.into(), found))
}

fn compile(kind: SchemaKind, registered: Option<RegisteredSchema>) -> Result<Arc<CompiledSchema>, String> {
    let registered = registered.ok_or("no such schema in the registry")?;
    if registered.kind != kind {
        return Err(format!("a schema of {}", registered.kind));
    }
    CompiledSchema::of(&registered).map(Arc::new).map_err(|why| format!("one that cannot be used: {}", shortened(&why)))
}

fn reject(expected: String, found: String) -> Rejection {
    Rejection { reason: Reason::Schema, finding: Finding { field: None, expected: expected.into(), found } }
}
