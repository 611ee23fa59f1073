//! A record, or an element of one, that does not count, and why.

use crate::dead_letter_line::{DeadLetterLine, EvidenceLine};
use crate::letters::judged_by;
use crate::text::event_time;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::EventTime;

/// Records that do not count and are kept, of one partition, of the dead letters, and in what is told.
pub(super) const MOST_UNCOUNTED: usize = 1000;

/// What tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UncountedOrigin {
    /// It was judged again.
    Log,
    /// The run's dead letters.
    DeadLetters,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UncountedRecord {
    pub(super) partition: String,
    pub(super) offset: i64,
    pub(super) element: Option<u32>,
    /// As in dead letters, or `duplicate`.
    pub(super) reason: String,
    /// None of a record that cannot be decoded.
    pub(super) time: Option<EventTime>,
    pub(super) value: Option<String>,
    /// By what it was judged, or what is wrong with it, in words; empty where the reason says all.
    pub(super) why: String,
    /// Its verdict is one that the log alone does not give (R10): of a clock or a floor.
    pub(super) exception: bool,
    pub(super) origin: UncountedOrigin,
}

impl UncountedRecord {
    /// Of a dead letter.
    pub(super) fn of(letter: &DeadLetterLine<'_>, origin: UncountedOrigin) -> Self {
        let (place, why) = (&letter.place, &letter.why);
        let log = place.topic.as_ref().or(place.path.as_ref()).map(ToString::to_string).unwrap_or_default();
        let wrong = why.expected.as_ref().zip(why.found.as_ref()).map(|(expected, found)| {
            let field = why.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
            format!("{field}expected {expected}, found {found}")
        });
        UncountedRecord {
            partition: PartitionName { log, number: place.partition }.to_string(),
            offset: place.offset,
            element: place.element,
            reason: place.reason.to_string(),
            time: why.event_time.as_ref().and_then(|time| event_time(time)),
            value: why.value.as_ref().map(ToString::to_string),
            why: letter.evidence.as_ref().map(judged_by).or(wrong).unwrap_or_default(),
            exception: matches!(letter.evidence, Some(EvidenceLine::Floor(_) | EvidenceLine::Clock(_))),
            origin,
        }
    }

    /// Where it stands.
    pub(super) fn place(&self) -> (&str, i64, Option<u32>) {
        (&self.partition, self.offset, self.element)
    }
}
