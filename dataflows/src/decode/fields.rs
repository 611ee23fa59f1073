//! Which fields of a record are read.

use super::times::TimeOptions;
use serde::{Deserialize, Serialize};

/// Where an event's parts stand in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldNames {
    /// A field that holds the symbol, or `@key`: the record's key. Default: `symbol`.
    pub symbol: String,
    /// A field that holds the value. Default: `price`.
    pub value: String,
    /// A field that holds the event time. Default: `ts`.
    pub time: String,
    /// How event times are written. Default: numbers of milliseconds, and texts that say their offset.
    pub times: TimeOptions,
    /// A field that may hold a weight. Default: `volume`.
    pub weight: Option<String>,
}

impl Default for FieldNames {
    fn default() -> Self {
        FieldNames {
            symbol: "symbol".into(),
            value: "price".into(),
            time: "ts".into(),
            times: TimeOptions::default(),
            weight: Some("volume".into()),
        }
    }
}

/// The symbol is the record's key.
pub const KEY: &str = "@key";
