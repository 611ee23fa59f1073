//! Units of event time, and which event times are plausible.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// The unit of an event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// 10^9 nanoseconds.
    Seconds,
    /// 10^6 nanoseconds.
    Milliseconds,
    /// 10^3 nanoseconds.
    Microseconds,
    /// One nanosecond.
    Nanoseconds,
}

impl TimeUnit {
    /// Every unit, with its name for people.
    pub const ALL: [(TimeUnit, &'static str, &'static str); 4] = [
        (TimeUnit::Seconds, "s", "seconds"),
        (TimeUnit::Milliseconds, "ms", "milliseconds"),
        (TimeUnit::Microseconds, "us", "microseconds"),
        (TimeUnit::Nanoseconds, "ns", "nanoseconds"),
    ];

    /// The unit in words.
    pub fn words(self) -> &'static str {
        TimeUnit::ALL.iter().find(|(unit, ..)| *unit == self).map_or("", |(.., words)| words)
    }

    /// Nanoseconds of one.
    pub const fn nanoseconds(self) -> i64 {
        10_i64.pow(self.places())
    }

    /// Decimal places from the unit to nanoseconds.
    pub(super) const fn places(self) -> u32 {
        match self {
            TimeUnit::Seconds => 9,
            TimeUnit::Milliseconds => 6,
            TimeUnit::Microseconds => 3,
            TimeUnit::Nanoseconds => 0,
        }
    }
}

/// Is that a time that data of our days has: from 1990 on, and before 2100?
pub fn is_plausible(time: EventTime) -> bool {
    const YEAR: i64 = 31_556_952 * crate::time::SECOND;
    (20 * YEAR..130 * YEAR).contains(&time.0)
}
