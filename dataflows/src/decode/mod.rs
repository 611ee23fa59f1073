//! From payload to events (R2).
//!
//! ```text
//!   Record ──> plain ── JSON without escapes, short numbers ──────────────────────┐
//!                └─ anything else ──> json (serde_json) ─> scalars ─> assemble ───┴──> DecodedPart, one for each event:
//!                                                                      event | skipped | rejected: reason, field, what was found
//! ```
//!
//! A record is one whole JSON text, and one event; or, with `each`, an array in it has an event an element. The configured fields
//! are found in one pass, as the text they were written in; the rest is only checked. Nothing is decided before the text is
//! known to be JSON, so a reason never depends on where a decoder stopped.
//!
//! Nearly every record is plain and is decoded by `plain.rs`, which never rejects; everything else is decoded by serde_json.

mod assemble;
mod error;
mod event;
mod fields;
mod filter;
mod json;
mod lookup;
mod path;
mod plain;
mod scalar;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod time;
mod times;
mod tree;
mod unit;

pub use error::{EventPart, FieldError, FieldProblem};
pub use event::{DecodedEvent, DecodedPart, EventId, Outcome};
pub use fields::{CONSTANT, FieldNames, KEY, LOG_NAMES, MESSAGE, PAYLOAD, TIMESTAMP};
pub use time::TimeDecoder;
pub use times::{TimeOptionError, TimeOptions, TimeRule};
pub use unit::{TimeCounts, TimeUnit, is_plausible, year};

use crate::record::{PartitionName, Record, Rejection};
use assemble::Assembler;

/// Decodes records of one shape.
#[derive(Clone, Debug)]
pub struct Decoder {
    rule: Assembler,
    /// The configured fields are few enough, and of the payload, so that a record may be plain.
    may_be_plain: bool,
}

impl Decoder {
    /// A decoder for these fields, of no partition yet: names of logs are unknown.
    ///
    /// # Errors
    /// All that is wrong with the fields.
    pub fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let rule = Assembler::new(fields)?;
        let may_be_plain = rule.shape.slots.len() <= plain::MAX_SLOTS && rule.shape.key.is_empty();
        Ok(Decoder { rule, may_be_plain })
    }

    /// For the records of this partition.
    #[must_use]
    pub fn for_partition(&self, name: &PartitionName) -> Self {
        Decoder { rule: self.rule.for_partition(name), ..*self }
    }

    /// Decodes all events of a record, in order.
    pub fn parts<'a>(&'a self, record: &Record<'a>, mut each: impl FnMut(DecodedPart<'a>)) {
        let plain = self.may_be_plain && record.cut_from.is_none();
        if !plain || plain::events(&self.rule, record, &mut each).is_none() {
            json::events(&self.rule, record, &mut each);
        }
    }

    /// Decodes a record that is one event, for a decoder that takes no record apart and skips none.
    ///
    /// # Errors
    /// Why it cannot count. If several reasons apply: `long`, then the first in the order of R2's list, then symbol,
    /// value, time, weight, id.
    ///
    /// # Panics
    /// If the record is no event, or several.
    pub fn decode<'a>(&'a self, record: &Record<'a>) -> Result<DecodedEvent<'a>, Rejection> {
        let mut decoded = None;
        self.parts(record, |part| assert!(decoded.replace(part.outcome).is_none(), "one event a record"));
        match decoded {
            Some(Outcome::Event(event)) => Ok(event),
            Some(Outcome::Rejected(rejection)) => Err(rejection),
            Some(Outcome::Skipped) | None => panic!("one event a record"),
        }
    }
}
