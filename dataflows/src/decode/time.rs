//! The event time alone.

use super::error::{EventPart, FieldError, FieldProblem};
use super::fields::TIMESTAMP;
use super::lookup::JsonFields;
use super::path::FieldPath;
use super::scalar::Scalar;
use super::times::{TimeOptions, TimeRule};
use super::tree::TreeNode;
use super::unit::TimeUnit;
use crate::record::Record;
use crate::time::EventTime;

/// Finds the event time alone, whatever else a record has or lacks.
#[derive(Clone, Debug)]
pub struct TimeDecoder {
    /// `None`: it is the stamp of the log.
    tree: Option<TreeNode>,
    times: TimeRule,
}

impl TimeDecoder {
    /// For a field, or a JSON pointer, in this unit.
    ///
    /// # Errors
    /// What is wrong with the field.
    pub fn new(field: &str, unit: TimeUnit) -> Result<Self, FieldError> {
        let options = TimeOptions { unit, ..TimeOptions::default() };
        let times = TimeRule::new(&options).expect("a unit alone contradicts nothing");
        if field == TIMESTAMP {
            return Ok(TimeDecoder { tree: None, times });
        }
        let error =
            |problem: FieldProblem| FieldError::Field { part: EventPart::Time, field: field.to_owned(), problem };
        let mut tree = TreeNode::default();
        tree.at(&FieldPath::parse(field).map_err(error)?).slots.push(0);
        tree.number(0);
        Ok(TimeDecoder { tree: Some(tree), times })
    }

    /// The event time of a record, if it has one.
    pub fn time(&self, record: &Record<'_>) -> Option<EventTime> {
        let Some(tree) = &self.tree else { return record.timestamp };
        let text = std::str::from_utf8(record.payload.filter(|_| record.cut_from.is_none())?).ok()?;
        let mut found = JsonFields::new(1);
        found.read(tree, text).ok()?;
        let time = self.times.read(&[Scalar::of_json(found.texts.pop()??)]).ok()?;
        found.twice.is_none().then_some(time)
    }
}
