//! What is wrong with the fields that are to be read.

use super::fields::KEY;
use super::times::TimeOptionError;

/// A part of an event.
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
}

impl EventPart {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            EventPart::Symbol => "symbol",
            EventPart::Value => "value",
            EventPart::Time => "time",
            EventPart::Weight => "weight",
        }
    }
}

/// A field cannot be read, or all of them together cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// One cannot.
    #[error("{} field {field:?}: {problem}", part.name())]
    Field {
        /// What it is to hold.
        part: EventPart,
        /// As it was given: a name or a JSON pointer.
        field: String,
        /// What is wrong with it.
        #[source]
        problem: FieldProblem,
    },
    /// Event times cannot be read by their options.
    #[error(transparent)]
    Times(#[from] TimeOptionError),
    /// Their pointers are too many, or too long.
    #[error("the fields' pointers lead through more than {most} objects")]
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
    /// Its name begins as that of the key does.
    #[error("only the symbol may be {KEY}; a field whose name begins so is /@…")]
    Key,
    /// It is a pointer without steps.
    #[error("a pointer has a step")]
    NoStep,
    /// This step of it is another field, or leads to one.
    #[error("{0:?} is configured for another field already")]
    Conflict(String),
}
