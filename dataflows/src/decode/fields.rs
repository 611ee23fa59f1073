//! What is read of a record: which fields, and which of its parts count.

use super::times::TimeOptions;
use crate::numbers::NumberOptions;
use serde::{Deserialize, Serialize};

/// Where an event's parts stand in a record. Of JSON, a field is a name, a JSON pointer (RFC 6901), or one of the words that begin with
/// `@` ([`KEY`] and so on). With `each`, fields are those of an element; `@message/…` is of the whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldNames {
    /// The array whose elements are events, by its pointer; empty: the record itself. `None`: a record is one event.
    pub each: Option<String>,
    /// Fields that make the symbol, joined by `/`. One is also [`LOG_NAMES`], or [`CONSTANT`] and the symbol itself.
    /// Default: `symbol`.
    pub symbol: Vec<String>,
    /// A field that holds the value, or [`CONSTANT`] and the value of all. Default: `price`.
    pub value: String,
    /// Fields that hold the event time: as a rule one, or date and time. Default: `ts`.
    pub time: Vec<String>,
    /// How event times are written. Default: numbers of milliseconds, and texts that say their offset.
    pub times: TimeOptions,
    /// A field that may hold a weight. Default: `volume`.
    pub weight: Option<String>,
    /// Conditions of which all must hold, such as `/e=trade` or `!/data`; what they leave out is skipped.
    pub filter: Vec<String>,
    /// Fields that together tell an event from the others of its series; none: nothing does.
    pub id: Vec<String>,
    /// Which numbers value and weight are.
    #[serde(default)]
    pub numbers: NumberOptions,
    /// How a record is written. Default: JSON.
    pub format: Format,
    /// A record is a change event, and fields are those of its row. `None`: they are the record's own.
    #[serde(default)]
    pub debezium: Option<DebeziumOptions>,
}

/// How change events of Debezium are read (R1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebeziumOptions {
    /// JSON: of fields that hold a decimal in base64, as they are configured, how many of its digits are a fraction. Where a schema
    /// says a field's type, it is not needed.
    pub scales: Vec<(String, i16)>,
}

/// How records are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// A JSON text a record.
    #[default]
    Json,
    /// A row of cells a record.
    Csv(CsvOptions),
    /// A JSON text behind the frame of a schema registry.
    JsonSchema,
    /// A message of Avro, by its schema.
    Avro,
    /// A message of Protocol Buffers, by its schema.
    Protobuf,
}

/// How rows are written. A field is the name of a column, or its number from 0 as `/0`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// What stands between cells: ASCII.
    pub delimiter: u8,
    /// What a cell begins and ends with that holds delimiters, or this twice for once: ASCII. `None`: nothing does.
    pub quote: Option<u8>,
    /// The names of columns. `None`: where a field is a name, the log's first row has them ([`super::Decoder::header_at`]).
    pub columns: Option<Vec<String>>,
    /// Records before the first row, which are skipped.
    pub skip_lines: u32,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { delimiter: b',', quote: Some(b'"'), columns: None, skip_lines: 0 }
    }
}

impl CsvOptions {
    /// Is what is between cells, and what is around them, one byte of text each, and not the same?
    pub fn is_valid(&self) -> bool {
        let is_text = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
        let is_sign = |byte: u8| is_text(byte) && !byte.is_ascii_alphanumeric();
        is_sign(self.delimiter) && self.quote.is_none_or(|quote| is_sign(quote) && quote != self.delimiter)
    }
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
            id: Vec::new(),
            numbers: NumberOptions::default(),
            format: Format::Json,
            debezium: None,
        }
    }
}

/// The record's key, as text. `@key/…` is a field of a key that is JSON.
pub const KEY: &str = "@key";
/// The name of the log: its topic, or its file without folders and extensions. `@file/0` is the first part of it, between the signs
/// `-`, `_`, `.` and spaces.
pub const LOG_NAMES: [&str; 2] = ["@topic", "@file"];
/// The whole record or, with `each`, the whole element: for those that are a number or a string alone.
pub const PAYLOAD: &str = "@payload";
/// The stamp that the log gives a record.
pub const TIMESTAMP: &str = "@timestamp";
/// With `each`: a field of the whole record follows, as a pointer.
pub const MESSAGE: &str = "@message";
/// With [`FieldNames::debezium`]: a field of the change event follows, as a pointer; other fields are of its row.
pub const ENVELOPE: &str = "@envelope";
/// A symbol, or a value, that all records have follows.
pub const CONSTANT: char = '=';
