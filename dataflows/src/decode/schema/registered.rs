//! A schema as a registry has it.

use std::fmt;

/// In which language a schema is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Avro's JSON.
    Avro,
    /// The text of a .proto file.
    Protobuf,
    /// JSON Schema. Messages are JSON after their frame, and are read without their schema.
    Json,
    /// One that is not known here.
    Other,
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SchemaKind::Avro => "Avro",
            SchemaKind::Protobuf => "Protobuf",
            SchemaKind::Json => "JSON Schema",
            SchemaKind::Other => "another language",
        })
    }
}

/// A schema as a registry has it. What an id stands for never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// Its language.
    pub kind: SchemaKind,
    /// The schema.
    pub text: String,
    /// What it refers to, directly and by way of others: by the name that is referred to (Protobuf: the path of an import),
    /// each after what it refers to itself.
    pub references: Vec<(String, String)>,
}
