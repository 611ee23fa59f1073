//! From payload to event (R2).
//!
//! ```text
//!   Record ──> plain ── flat JSON, no escapes, short numbers ───────────────> DecodedEvent
//!                └─ anything else ──> json (serde_json, tree, texts) ──┬────> DecodedEvent
//!                                                                      └────> Rejection: reason, field, what was found
//! ```
//!
//! A record is one whole JSON text. The configured fields are found in one pass, as the text they were written in; the
//! rest is only checked. Nothing is decided before the text is known to be JSON, so a reason never depends on where a
//! decoder stopped.
//!
//! Nearly every record is plain and is decoded by `plain.rs`, which never rejects; everything else is decoded by serde_json.

mod error;
mod event;
mod fields;
mod json;
#[allow(dead_code, reason = "until `Decoder` reads fields by it")]
mod path;
mod plain;
#[allow(dead_code, reason = "until `Decoder` reads fields by it")]
mod scalar;
#[allow(dead_code, unused_imports, reason = "until `Decoder` reads messages by it")]
pub mod schema;
#[cfg(test)]
mod tests;
mod texts;
mod time;
mod tree;
mod unit;

pub use error::{EventPart, FieldError, FieldProblem};
pub use event::DecodedEvent;
pub use fields::{FieldNames, KEY};
pub use time::TimeDecoder;
pub use unit::{TimeUnit, is_plausible};

use crate::record::{Record, Rejection};
use json::JsonDecoder;
use plain::PlainDecoder;

/// Decodes records of one shape.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// For plain records; absent where a field is a pointer.
    plain: Option<PlainDecoder>,
    /// For all others.
    json: JsonDecoder,
}

impl Decoder {
    /// A decoder for these fields: names, or JSON pointers (RFC 6901) through objects.
    ///
    /// # Errors
    /// All that is wrong with the fields.
    pub fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let json = JsonDecoder::new(fields)?;
        let by_key = fields.symbol == KEY;
        let plain = json.flat_fields().map(|names| PlainDecoder::new(names, by_key, fields.unit.places()));
        Ok(Decoder { plain, json })
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// Why it cannot count. If several reasons apply: `long`, then the first in the order of R2's list, then symbol,
    /// value, time, weight.
    pub fn decode<'a>(&self, record: &Record<'a>) -> Result<DecodedEvent<'a>, Rejection> {
        self.plain_event(record).map_or_else(|| self.json.event(record), Ok)
    }

    /// The event of a plain record.
    fn plain_event<'a>(&self, record: &Record<'a>) -> Option<DecodedEvent<'a>> {
        self.plain.as_ref().filter(|_| record.cut_from.is_none())?.event(record)
    }
}
