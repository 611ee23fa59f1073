//! A word on a field that an element lacks and that stands beside the array, in the message.

use super::assemble::Assembler;
use super::event::EventOutcome;
use super::fields::MESSAGE;
use super::path::{FieldPath, pointer_text};
use super::shape::Origin;
use crate::record::{Reason, Rejection};

/// As [`super::scalar::Scalar::shown`] has it.
pub(super) const ABSENT: &str = "no such field";

/// What helps where an element lacks the field of a slot that stands beside the array.
pub(super) fn beside(rule: &Assembler, slot: usize, has: impl Fn(&FieldPath) -> bool) -> Option<String> {
    let path = &rule.shape.paths[slot];
    let is_beside = rule.shape.slots[slot].1 == Origin::Element && !path.0.is_empty() && has(path);
    is_beside.then(|| format!("; the message has one beside the array: {MESSAGE}{}", pointer_text(path)))
}

/// The same outcome; of an element that is rejected for a field that stands beside the array, with a word on it.
pub(super) fn with_beside<'a>(
    rule: &Assembler,
    mut outcome: EventOutcome<'a>,
    has: impl Fn(&FieldPath) -> bool,
) -> EventOutcome<'a> {
    if let EventOutcome::Rejected(Rejection { reason: Reason::Null, finding }) = &mut outcome
        && finding.found.starts_with(ABSENT)
    {
        let is_its =
            |(name, origin): &(String, Origin)| *origin == Origin::Element && Some(name) == finding.field.as_ref();
        let slot = rule.shape.slots.iter().position(is_its);
        finding.found.extend(slot.and_then(|slot| beside(rule, slot, has)));
    }
    outcome
}
