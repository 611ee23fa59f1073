//! The event time alone.

use super::error::{EventPart, FieldError};
use super::event::TIME;
use super::texts::number;
use super::tree::{FieldTexts, FieldTree, steps};
use super::unit::TimeUnit;
use crate::decimal;
use crate::record::Record;
use crate::time::EventTime;

/// Finds the event time alone, whatever else a record has or lacks.
#[derive(Clone, Debug)]
pub struct TimeDecoder {
    tree: FieldTree,
    unit: TimeUnit,
}

impl TimeDecoder {
    /// For a field, or a JSON pointer, in this unit.
    ///
    /// # Errors
    /// What is wrong with the field.
    pub fn new(field: &str, unit: TimeUnit) -> Result<Self, FieldError> {
        let mut tree = FieldTree::default();
        let added = steps(field).and_then(|steps| tree.add(&steps, TIME, &mut 0));
        let error = |problem| FieldError::Field { part: EventPart::Time, field: field.to_owned(), problem };
        added.map_err(error)?;
        Ok(TimeDecoder { tree, unit })
    }

    /// The event time of a record, if it has one.
    pub fn time(&self, record: &Record<'_>) -> Option<EventTime> {
        let text = std::str::from_utf8(record.payload.filter(|_| record.cut_from.is_none())?).ok()?;
        let mut found = FieldTexts::default();
        self.tree.read(text, &mut found).ok()?;
        let ns = decimal::whole(number(found.get(TIME)?).ok()?.as_bytes(), self.unit.places()).ok()?;
        (ns.abs() <= EventTime::LIMIT && found.twice.is_none()).then_some(EventTime(ns))
    }
}
