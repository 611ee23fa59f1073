//! A schema of Avro, compiled: its types by number, so that a type may lead to itself.

use std::sync::Arc;

/// A type's number within its schema.
pub(super) type TypeId = usize;

/// A schema that messages can be decoded by.
#[derive(Clone, Debug)]
pub(crate) struct AvroSchema {
    pub(super) types: Vec<AvroType>,
    /// What a message is.
    pub(super) root: TypeId,
}

/// A type, with what its logical type makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AvroType {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// An instant: whole units since 1970, a unit in nanoseconds; written as an int or a long.
    Instant {
        unit: i64,
        is_int: bool,
    },
    /// An integer in two's complement, most significant byte first, times 10^-scale; of this many bytes, else their number
    /// is written before them.
    Decimal {
        scale: i64,
        size: Option<usize>,
    },
    /// A decimal in bytes that has its own scale.
    BigDecimal,
    /// 16 bytes.
    Uuid,
    Enum(Arc<[Arc<str>]>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Arc<RecordType>),
    /// A name whose type is not known yet; no schema that was parsed has one.
    Named,
}

/// A record's name and fields, in the order in which they are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordType {
    /// With its namespace.
    pub(super) name: String,
    pub(super) fields: Vec<(String, TypeId)>,
}

impl RecordType {
    /// Which of its fields has this name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field == name)
    }

    /// The names of its fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(field, _)| field.as_str())
    }

    /// Debezium's decimals of changing scale: a record of `scale` and `value`.
    pub(crate) fn is_variable_decimal(&self) -> bool {
        self.name == "io.debezium.data.VariableScaleDecimal"
    }
}

impl AvroSchema {
    /// What a message is, for people: `record x.Trade`.
    pub(crate) fn describe(&self) -> String {
        match &self.types[self.root] {
            AvroType::Record(record) => format!("record {}", record.name),
            other => other.name().to_owned(),
        }
    }
}

impl AvroType {
    /// For people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            AvroType::Null => "null",
            AvroType::Boolean => "boolean",
            AvroType::Int => "int",
            AvroType::Long => "long",
            AvroType::Float => "float",
            AvroType::Double => "double",
            AvroType::Bytes => "bytes",
            AvroType::Text => "string",
            AvroType::Fixed(_) => "fixed",
            AvroType::Instant { .. } => "timestamp",
            AvroType::Decimal { .. } | AvroType::BigDecimal => "decimal",
            AvroType::Uuid => "uuid",
            AvroType::Enum(_) => "enum",
            AvroType::Array(_) => "array",
            AvroType::Map(_) => "map",
            AvroType::Union(_) => "union",
            AvroType::Record(_) | AvroType::Named => "record",
        }
    }
}
