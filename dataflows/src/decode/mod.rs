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
//! With `debezium` a record is a change event, and the row in it is read so: `envelope` says which rows count.
//!
//! Nearly every record is plain and is decoded by `plain.rs`, which never rejects; everything else is decoded by serde_json.

mod assemble;
mod beside;
mod changes;
mod connect;
mod csv;
mod envelope;
mod error;
mod event;
mod fields;
mod filter;
mod json;
mod layout;
mod log_name;
mod lookup;
mod message;
mod path;
mod plain;
mod scalar;
mod scan;
pub mod schema;
mod shape;
mod skipped;
#[cfg(test)]
mod tests;
mod times;
mod tokens;
mod tree;
mod unit;
mod words;

pub use error::{EventPart, FieldError, FieldProblem};
pub use event::{DecodedEvent, DecodedPart, EventId, EventOutcome};
pub use fields::{
    CONSTANT, CsvOptions, DebeziumOptions, ENVELOPE, FieldNames, Format, KEY, LOG_NAMES, MESSAGE, PAYLOAD, TIMESTAMP,
};
pub use skipped::SkipCause;
pub(crate) use times::time_zone;
pub use times::{TimeOptionError, TimeOptions, TimeRule};
pub use unit::{TimeCounts, TimeUnit, is_plausible, year};

use crate::decimal::Scales;
use crate::halt::Halt;
use crate::record::{PartitionName, Record, Rejection};
use assemble::Assembler;
use changes::ChangeEvents;
use csv::CsvRows;
use layout::Layouts;
use message::SchemaFormat;
use schema::SchemaDecoder;

/// Decodes records of one shape.
#[derive(Clone, Debug)]
pub struct Decoder {
    rule: Assembler,
    format: RecordFormat,
}

/// What finds fields in a record: here is the one place where formats part.
#[derive(Clone, Debug)]
enum RecordFormat {
    /// `framed`: behind the frame of a registry. `may_be_plain`: the configured fields are few enough, and of the payload, so that
    /// a record may be plain. `layouts`: those that were seen in this partition.
    Json {
        framed: bool,
        may_be_plain: bool,
        layouts: Layouts,
    },
    /// JSON that is change events; `framed` as above.
    Changes {
        framed: bool,
        events: ChangeEvents,
    },
    Csv(CsvRows),
    Message(SchemaFormat),
}

impl Decoder {
    /// A decoder for these fields, of no partition yet: names of logs are unknown.
    ///
    /// # Errors
    /// All that is wrong with the fields, and [`FieldError::NoSchemas`].
    pub fn new(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        Decoder::with_schemas(fields, None)
    }

    /// The same, with what tells how messages of Avro and Protobuf are read.
    ///
    /// # Errors
    /// All that is wrong with the fields, and [`FieldError::NoSchemas`].
    pub fn with_schemas(fields: &FieldNames, schemas: Option<SchemaDecoder>) -> Result<Self, Vec<FieldError>> {
        let rule = Assembler::new(fields)?;
        let may_be_plain = rule.shape.slots.len() <= plain::MAX_SLOTS && rule.shape.key.is_empty();
        let rows = fields.debezium.is_some();
        if let Some(debezium) = &fields.debezium {
            check_changes(fields, debezium, &rule)?;
        }
        let changes = |framed| {
            let scales = fields.debezium.as_ref().map(|debezium| debezium.scales.as_slice());
            RecordFormat::Changes { framed, events: ChangeEvents::new(scales.unwrap_or_default()) }
        };
        let format = match (&fields.format, schemas) {
            (Format::Json, _) if rows => changes(false),
            (Format::JsonSchema, _) if rows => changes(true),
            (Format::Json | Format::JsonSchema, _) => {
                let framed = matches!(fields.format, Format::JsonSchema);
                RecordFormat::Json { framed, may_be_plain, layouts: Layouts::default() }
            }
            (Format::Csv(options), _) => RecordFormat::Csv(CsvRows::new(options, fields, &rule)?),
            (Format::Avro | Format::Protobuf, Some(schemas)) => RecordFormat::Message(SchemaFormat::new(schemas, rows)),
            (Format::Avro | Format::Protobuf, None) => return Err(vec![FieldError::NoSchemas]),
        };
        Ok(Decoder { rule, format })
    }

    /// The scales of the decimals in its events.
    pub fn scales(&self) -> Scales {
        self.rule.numbers.scales()
    }

    /// For the records of this partition.
    #[must_use]
    pub fn for_partition(&self, name: &PartitionName) -> Self {
        Decoder { rule: self.rule.for_partition(name), format: self.format.clone() }
    }

    /// May a record have many events?
    pub(crate) fn has_elements(&self) -> bool {
        self.rule.shape.each.is_some()
    }

    /// The offset of the record that tells what the others hold (the names of columns, a schema), where there is one.
    pub fn header_at(&self) -> Option<i64> {
        match &self.format {
            RecordFormat::Json { .. } | RecordFormat::Changes { .. } => None,
            RecordFormat::Message(format) => format.header_at(),
            RecordFormat::Csv(rows) => rows.header_at,
        }
    }

    /// Learns from this record what the others of its partition hold, if it is the one at [`Decoder::header_at`]; of JSON, how
    /// they are laid out, which makes them cheaper and changes nothing else. To be called with each record, before it is
    /// decoded; in a partition that is read from a later offset, with the one at [`Decoder::header_at`] first.
    #[inline]
    pub fn learn(&mut self, record: &Record<'_>) {
        match &mut self.format {
            RecordFormat::Json { framed, may_be_plain: true, layouts } if layouts.wants() => {
                if let Ok(record) = behind_frame(record, *framed) {
                    plain::learn(&self.rule, layouts, &record);
                }
            }
            RecordFormat::Csv(rows) if rows.header_at == Some(record.offset) => rows.read_header(&self.rule, record),
            RecordFormat::Message(format) => format.learn(record),
            _ => {}
        }
    }

    /// Decodes all events of a record, in order.
    ///
    /// # Errors
    /// A registry of schemas does not answer. Nothing else ends a run.
    #[inline]
    pub fn parts<'a>(&'a self, record: &Record<'a>, mut each: impl FnMut(DecodedPart<'a>)) -> Result<(), Halt> {
        match &self.format {
            RecordFormat::Json { framed, may_be_plain, layouts } => {
                let layouts = may_be_plain.then_some(layouts);
                match behind_frame(record, *framed) {
                    Err(rejection) => each(DecodedPart { element: None, outcome: EventOutcome::Rejected(rejection) }),
                    Ok(record) => self.json(layouts, &record, &mut each),
                }
            }
            RecordFormat::Changes { framed, events } => match behind_frame(record, *framed) {
                Err(rejection) => each(DecodedPart { element: None, outcome: EventOutcome::Rejected(rejection) }),
                Ok(record) => events.events(&self.rule, &record, &mut each),
            },
            RecordFormat::Csv(rows) => rows.part(&self.rule, record, &mut each),
            RecordFormat::Message(format) => return format.events(&self.rule, record, &mut each),
        }
        Ok(())
    }

    /// `layouts`: none where no record is plain.
    #[inline]
    fn json<'a>(&'a self, layouts: Option<&Layouts>, record: &Record<'a>, each: &mut impl FnMut(DecodedPart<'a>)) {
        let layouts = layouts.filter(|_| record.cut_from.is_none());
        if layouts.and_then(|layouts| plain::events(&self.rule, layouts, record, each)).is_none() {
            json::events(&self.rule, record, each);
        }
    }

    /// Decodes a record that is one event, for a decoder that takes no record apart and skips none.
    ///
    /// # Errors
    /// Why it cannot count. If several reasons apply: `long`, then the first in the order of R2's list, then symbol,
    /// value, time, weight, id.
    ///
    /// # Panics
    /// If the record is no event, or several, or a registry does not answer.
    pub fn decode<'a>(&'a self, record: &Record<'a>) -> Result<DecodedEvent<'a>, Rejection> {
        let mut decoded = None;
        let parts = self.parts(record, |part| assert!(decoded.replace(part.outcome).is_none(), "one event a record"));
        parts.expect("no registry is asked, or it answers");
        match decoded {
            Some(EventOutcome::Event(event)) => Ok(event),
            Some(EventOutcome::Rejected(rejection)) => Err(rejection),
            Some(EventOutcome::Skipped) | None => panic!("one event a record"),
        }
    }
}

/// The record without the frame of a registry, if it has one.
fn behind_frame<'a>(record: &Record<'a>, framed: bool) -> Result<Record<'a>, Rejection> {
    match record.payload.filter(|_| framed).map(schema::framed_json) {
        None => Ok(*record),
        Some(text) => Ok(Record { payload: Some(text?), ..*record }),
    }
}

/// Can change events be of this format, and have fields a scale that are read?
fn check_changes(fields: &FieldNames, debezium: &DebeziumOptions, rule: &Assembler) -> Result<(), Vec<FieldError>> {
    if matches!(fields.format, Format::Csv(_)) {
        return Err(vec![FieldError::NoChangeEvents]);
    }
    let is_json = matches!(fields.format, Format::Json | Format::JsonSchema);
    let is_read = |field: &str| is_json && rule.shape.slots.iter().any(|(name, _)| name == field);
    let unused = debezium.scales.iter().filter(|(field, _)| !is_read(field));
    let errors: Vec<_> = unused.map(|(field, _)| FieldError::NoDecimal(field.clone())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
