//! Which fields of a record are read.

use super::unit::TimeUnit;
use crate::numbers::NumberOptions;
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
    /// The unit of the event time. Default: milliseconds.
    pub unit: TimeUnit,
    /// A field that may hold a weight. Default: `volume`.
    pub weight: Option<String>,
    /// Which numbers value and weight are.
    #[serde(default)]
    pub numbers: NumberOptions,
}

impl Default for FieldNames {
    fn default() -> Self {
        FieldNames {
            symbol: "symbol".into(),
            value: "price".into(),
            time: "ts".into(),
            unit: TimeUnit::Milliseconds,
            weight: Some("volume".into()),
            numbers: NumberOptions::default(),
        }
    }
}

/// The symbol is the record's key.
pub const KEY: &str = "@key";
