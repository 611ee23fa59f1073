//! From payload to events (R2).
//!
//! ```text
//!   Record ──> plain ── JSON without escapes, short numbers ──────────────────────┐
//!          │     └─ anything else ──> json (serde_json) ─> scalars ─> assemble ───┼──> DecodedPart, one for each event:
//!          └──> csv ─ cells ─> tokens or scalars, in the same way ────────────────┘    event | skipped | rejected: reason, field,
//!                                                                                      what was found
//! ```
//!
//! A record is one whole JSON text, and one event; or, with `each`, an array in it has an event an element. The configured fields
//! are found in one pass, as the text they were written in; the rest is only checked. Nothing is decided before the text is
//! known to be JSON, so a reason never depends on where a decoder stopped.
//!
//! Nearly every record is plain and is decoded by `plain.rs`, which never rejects; everything else is decoded by serde_json.

mod assemble;
mod csv;
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
mod tree;
mod unit;

pub use error::{EventPart, FieldError, FieldProblem};
pub use event::{DecodedEvent, DecodedPart, EventId, Outcome};
pub use fields::{CONSTANT, CsvOptions, FieldNames, Format, KEY, LOG_NAMES, MESSAGE, PAYLOAD, TIMESTAMP};
pub use time::TimeDecoder;
pub use unit::{TimeUnit, is_plausible};

use crate::record::{PartitionName, Record, Rejection};
use assemble::Assembler;
use csv::CsvRows;

/// Decodes records of one shape.
#[derive(Clone, Debug)]
pub struct Decoder {
    rule: Assembler,
    format: RecordFormat,
}

/// What finds fields in a record: here is the one place where formats part.
#[derive(Clone, Debug)]
enum RecordFormat {
    /// `may_be_plain`: the configured fields are few enough, and of the payload, so that a record may be plain.
    Json {
        may_be_plain: bool,
    },
    Csv(CsvRows),
}

impl Decoder {
    /// A decoder for these fields, of no partition yet: names of logs are unknown.
    ///
    /// # Errors
    /// All that is wrong with the fields.
    pub fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let rule = Assembler::new(fields)?;
        let format = match &fields.format {
            Format::Json => {
                let may_be_plain = rule.shape.slots.len() <= plain::MAX_SLOTS && rule.shape.key.is_empty();
                RecordFormat::Json { may_be_plain }
            }
            Format::Csv(options) => RecordFormat::Csv(CsvRows::new(options, fields, &rule)?),
        };
        Ok(Decoder { rule, format })
    }

    /// For the records of this partition.
    #[must_use]
    pub fn for_partition(&self, name: &PartitionName) -> Self {
        Decoder { rule: self.rule.for_partition(name), format: self.format.clone() }
    }

    /// The offset of the record that tells what the others hold (the names of columns), where there is one.
    pub fn header_at(&self) -> Option<i64> {
        match &self.format {
            RecordFormat::Json { .. } => None,
            RecordFormat::Csv(rows) => rows.header_at,
        }
    }

    /// Learns from this record, if it is the one at [`Decoder::header_at`], what the others of its partition hold. To be called
    /// with each record, before it is decoded; in a partition that is read from a later offset, with that one first.
    pub fn learn(&mut self, record: &Record<'_>) {
        if let RecordFormat::Csv(rows) = &mut self.format
            && rows.header_at == Some(record.offset)
        {
            rows.read_header(&self.rule, record);
        }
    }

    /// Decodes all events of a record, in order.
    pub fn parts<'a>(&'a self, record: &Record<'a>, mut each: impl FnMut(DecodedPart<'a>)) {
        match &self.format {
            RecordFormat::Json { may_be_plain } => {
                let plain = *may_be_plain && record.cut_from.is_none();
                if !plain || plain::events(&self.rule, record, &mut each).is_none() {
                    json::events(&self.rule, record, &mut each);
                }
            }
            RecordFormat::Csv(rows) => {
                each(DecodedPart { element: None, outcome: rows.outcome(&self.rule, record) });
            }
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
