//! What is read of a record: which fields, and which of its parts count.

use super::times::TimeOptions;
use serde::{Deserialize, Serialize};

/// Where an event's parts stand in a record. A field is a name, a JSON pointer (RFC 6901), or one of the words that begin with
/// `@` ([`KEY`] and so on). With `each`, fields are those of an element; `@message/…` is of the whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldNames {
    /// The array whose elements are events, by its pointer; empty: the record itself. `None`: a record is one event.
    pub each: Option<String>,
    /// Fields that make the symbol, joined by `/`. One is also [`LOG_NAMES`], or [`CONSTANT`] and the symbol itself.
    /// Default: `symbol`.
    pub symbol: Vec<String>,
    /// A field that holds the value. Default: `price`.
    pub value: String,
    /// Fields that hold the event time: as a rule one, or date and time. Default: `ts`.
    pub time: Vec<String>,
    /// How event times are written. Default: numbers of milliseconds, and texts that say their offset.
    pub times: TimeOptions,
    /// A field that may hold a weight. Default: `volume`.
    pub weight: Option<String>,
    /// Conditions of which all must hold, as [`super::filter`] reads them; what they leave out is skipped.
    pub filter: Vec<String>,
    /// A field that tells an event from the others of its series.
    pub id: Option<String>,
}

impl Default for FieldNames {
    fn default() -> Self {
        FieldNames {
            each: None,
            symbol: vec!["symbol".into()],
            value: "price".into(),
            time: vec!["ts".into()],
            times: TimeOptions::default(),
            weight: Some("volume".into()),
            filter: Vec::new(),
            id: None,
        }
    }
}

/// The record's key, as text. `@key/…` is a field of a key that is JSON.
pub const KEY: &str = "@key";
/// The name of the log: its topic, or its file without folders and extensions.
pub const LOG_NAMES: [&str; 2] = ["@topic", "@file"];
/// The whole record or, with `each`, the whole element: for those that are a number or a string alone.
pub const PAYLOAD: &str = "@payload";
/// The stamp that the log gives a record.
pub const TIMESTAMP: &str = "@timestamp";
/// With `each`: a field of the whole record follows, as a pointer.
pub const MESSAGE: &str = "@message";
/// A symbol that all records have follows.
pub const CONSTANT: char = '=';
