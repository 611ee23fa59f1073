//! Why an event is skipped, for people: found again, so that what decodes records need not remember it.

use super::assemble::Assembler;
use super::beside::{ABSENT, beside};
use super::json;
use super::path::FieldPath;
use super::scalar::Scalar;
use super::shape::FieldInput;
use super::{Decoder, RecordFormat, behind_frame};
use crate::escape::shortened;
use crate::record::{Element, Record};

/// Why an event is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipCause {
    /// The line holds no event: what it is.
    Line(&'static str),
    /// The record is no row of a change event that counts: what it is.
    Envelope(&'static str),
    /// This condition does not hold.
    Condition {
        /// As it is given.
        condition: String,
        /// What stands in its field.
        found: String,
    },
}

impl Decoder {
    /// Why this event of a record is skipped; `None` where it is not, or a registry does not answer. Costs as much as to decode
    /// the record once more.
    pub fn skipped_by(&self, record: &Record<'_>, element: Option<Element<'_>>) -> Option<SkipCause> {
        let rule = &self.rule;
        let scalars = match &self.format {
            RecordFormat::Json { framed, .. } => {
                let payload = if *framed { super::schema::framed_json(record.payload?).ok() } else { record.payload };
                let record = &Record { payload, ..*record };
                return failing(rule, record, &json::scalars(rule, record, element)?, element, |path| {
                    json::has(record, path)
                });
            }
            RecordFormat::Changes { framed, events } => {
                let record = behind_frame(record, *framed).ok()?;
                return events.skipped(rule, &record).map(SkipCause::Envelope);
            }
            RecordFormat::Csv(rows) => match rows.no_event(record) {
                Some(what) => return Some(SkipCause::Line(what)),
                None => rows.cells(rule, record)?,
            },
            RecordFormat::Message(format) => {
                if self.header_at() == Some(record.offset) {
                    return Some(SkipCause::Line("the schema"));
                }
                if let Some(what) = format.skipped(record).ok()? {
                    return Some(SkipCause::Envelope(what));
                }
                return format.with_scalars(rule, record, element, |scalars, has| {
                    failing(rule, record, scalars, element, has)
                })?;
            }
        };
        failing(rule, record, &scalars, element, |_| false)
    }
}

/// The first condition that does not hold of these values. `has`: does the message have a field at this path?
fn failing(
    rule: &Assembler,
    record: &Record<'_>,
    scalars: &[Scalar<'_>],
    element: Option<Element<'_>>,
    has: impl Fn(&FieldPath) -> bool,
) -> Option<SkipCause> {
    // One of the record alone comes before it is taken apart.
    let all = element.is_some() || rule.shape.each.is_none();
    let (input, condition, found) = rule.first_failing(record, scalars, all)?;
    let mut found = shortened(&found.shown());
    if let FieldInput::Slot(at) = input
        && found == ABSENT
    {
        found.extend(beside(rule, *at, has));
    }
    Some(SkipCause::Condition { condition: condition.text(rule.shape.name(input)), found })
}
