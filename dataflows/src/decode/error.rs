//! What is wrong with the fields that are to be read.

use super::fields::{ENVELOPE, KEY, LOG_NAMES, MESSAGE, PAYLOAD, TIMESTAMP};
use super::times::TimeOptionError;

/// What a configured field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPart {
    /// Its series.
    Symbol,
    /// What is averaged.
    Value,
    /// When it happened.
    Time,
    /// What the value counts for.
    Weight,
    /// The array whose elements are events.
    Each,
    /// Whether it is read at all.
    Filter,
    /// What tells it from others.
    Id,
}

impl EventPart {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            EventPart::Symbol => "symbol",
            EventPart::Value => "value",
            EventPart::Time => "time",
            EventPart::Weight => "weight",
            EventPart::Each => "each",
            EventPart::Filter => "where",
            EventPart::Id => "id",
        }
    }
}

/// A field cannot be read, or all of them together cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// One cannot.
    #[error("{} field {field:?}: {problem}", part.name())]
    Field {
        /// What it is for.
        part: EventPart,
        /// As it was given.
        field: String,
        /// What is wrong with it.
        #[source]
        problem: FieldProblem,
    },
    /// Event times cannot be read by their options.
    #[error(transparent)]
    Times(#[from] TimeOptionError),
    /// Messages need their schemas.
    #[error("messages of Avro and of Protobuf are read by their schemas, which a registry or a file has")]
    NoSchemas,
    /// What is between cells, or around them, is none of that.
    #[error("a delimiter and a quote are one ASCII character each, no letter or digit, and not the same")]
    Delimiter,
    /// Rows are no change events.
    #[error("change events are JSON, or messages of Avro or Protobuf, and no rows of CSV")]
    NoChangeEvents,
    /// A scale is for a field that is not read, or not of JSON.
    #[error("{0:?} is no field that is read from JSON")]
    NoDecimal(String),
    /// Their pointers are too many, or too long.
    #[error("the fields' pointers lead through more than {most} objects and arrays")]
    TooManyObjects {
        /// How many they may lead through.
        most: usize,
    },
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// It is empty.
    #[error("a field has a name")]
    NoName,
    /// It begins like a word for something else than a field, and is none that fits here.
    #[error(
        "no such word here; {KEY}, {}, {} and {MESSAGE}/… are for a symbol, {TIMESTAMP} is for a time, {PAYLOAD} for a value; a \
         field whose name begins so is /@…",
        LOG_NAMES[0],
        LOG_NAMES[1]
    )]
    Word,
    /// It is no pointer where one must be.
    #[error("a pointer is empty or begins with a slash, as /data")]
    NotAPointer,
    /// A part of the log's name is counted.
    #[error("a part of the log's name is its number from 0, as {}/0", LOG_NAMES[1])]
    NotAPart,
    /// Without an array to take apart there is no other message.
    #[error("{MESSAGE} is for fields beside the array of --each; without it a field is the record's")]
    NoElements,
    /// Without an envelope there is nothing around a record.
    #[error("{ENVELOPE} is for fields of a change event beside its row, with --envelope debezium")]
    NoEnvelope,
    /// Another field is the same, or inside it, or around it.
    #[error("{0:?} is configured for another field already")]
    Conflict(String),
    /// Rows have no arrays.
    #[error("rows of CSV have no arrays to take apart")]
    NoArray,
    /// A pointer into a row that names no one cell.
    #[error("with CSV a field is the name of a column, or its number from 0, as /0")]
    NotAColumn,
    /// Columns have names, and not this one; they are these.
    #[error("no such column; there are {0}")]
    UnknownColumn(String),
    /// More than one column has its name.
    #[error("more than one column has this name")]
    ColumnTwice,
    /// A condition that is none.
    #[error("a condition is FIELD, !FIELD, FIELD=VALUE, FIELD!=VALUE, or FIELD=A|B for one of several values")]
    NoCondition,
}
