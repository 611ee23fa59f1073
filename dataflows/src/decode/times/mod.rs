//! Event times as people and programs write them (R2): numbers in a unit, texts of ISO 8601 and RFC 3339, texts by a format.
//!
//! ```text
//!   TimeOptions ──> TimeRule::new ──> TimeRule ──read──> EventTime
//!                        └─> TimeOptionError        └──> TimeProblem: reason, expected, found, which field
//! ```
//!
//! An event time is a function of the fields and the options alone. There is no clock in it, and no file: zones are those of
//! the database that is compiled in, whatever the machine has.
//!
//! What is finer than a nanosecond is cut off towards the past, so that a float that was computed does not cost its record.
//! The second 60 is read as 59: a record of a leap second is in the minute that its text names.

mod error;
mod format;
pub(super) mod iso;
mod options;
mod rule;
#[cfg(test)]
mod tests;
mod zone;

pub use error::TimeOptionError;
pub use options::TimeOptions;
pub(crate) use rule::TimeProblem;
pub use rule::TimeRule;

use jiff::tz::TimeZone;

/// The zone of this name, as `--time-zone` takes it.
///
/// # Errors
/// When there is none.
pub(crate) fn time_zone(name: &str) -> Result<TimeZone, TimeOptionError> {
    zone::Zone::new(name).map(zone::Zone::into_inner)
}
