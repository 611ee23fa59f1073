//! The event time alone.

use super::error::{EventPart, FieldError};
use super::event::TIME;
use super::json::scalar;
use super::times::{TimeOptions, TimeRule};
use super::tree::{FieldTexts, FieldTree, steps};
use super::unit::TimeUnit;
use crate::record::Record;
use crate::time::EventTime;

/// Finds the event time alone, whatever else a record has or lacks.
#[derive(Clone, Debug)]
pub struct TimeDecoder {
    tree: FieldTree,
    times: TimeRule,
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
        let times =
            TimeRule::new(&TimeOptions { unit, ..TimeOptions::default() }).expect("a unit alone contradicts nothing");
        Ok(TimeDecoder { tree, times })
    }

    /// The event time of a record, if it has one.
    pub fn time(&self, record: &Record<'_>) -> Option<EventTime> {
        let text = std::str::from_utf8(record.payload.filter(|_| record.cut_from.is_none())?).ok()?;
        let mut found = FieldTexts::default();
        self.tree.read(text, &mut found).ok()?;
        let time = self.times.read(&[scalar(TIME, &found)]).ok()?;
        found.twice.is_none().then_some(time)
    }
}
