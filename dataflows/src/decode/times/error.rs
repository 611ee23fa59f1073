//! What is wrong with options of event times.

use crate::decode::unit::TimeUnit;

/// Event times cannot be read by these options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeOptionError {
    /// There is no such zone.
    #[error(
        "{zone:?} is no time zone: it takes an IANA name such as Europe/Berlin, UTC, or an offset such as +01:00{}",
        nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
    )]
    UnknownZone {
        /// As it was given.
        zone: String,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// A directive of the format cannot be read by.
    #[error("{directive} of the time format {format:?} {problem}")]
    Directive {
        /// As it was given.
        format: String,
        /// From its `%` on.
        directive: String,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// The format does not say a time.
    #[error("the time format {format:?} does not say a time: {why}")]
    Incomplete {
        /// As it was given.
        format: String,
        /// What it lacks.
        why: String,
    },
    /// The format says no offset, and there is no zone.
    #[error("the time format {format:?} says no offset, and no time zone is given")]
    NoZone {
        /// As it was given.
        format: String,
    },
    /// There is a zone for a format that says the offset, or a whole instant.
    #[error("the time format {format:?} says the offset itself, so the time zone {zone:?} would have no effect")]
    UnusedZone {
        /// As it was given.
        format: String,
        /// As it was given.
        zone: String,
    },
    /// There is a unit and a format.
    #[error("numbers are read by the time format {format:?}, so the unit {} would have no effect", unit.words())]
    UnusedUnit {
        /// As it was given.
        format: String,
        /// As it was given.
        unit: TimeUnit,
    },
}
