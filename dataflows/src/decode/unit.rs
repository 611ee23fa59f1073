//! Units of event time, and which event times are plausible.

use crate::time::{EventTime, SECOND};
use serde::{Deserialize, Serialize};
use std::ops::Range;

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

    /// The unit as options have it.
    pub fn name(self) -> &'static str {
        TimeUnit::ALL.iter().find(|(unit, ..)| *unit == self).map_or("", |(_, name, _)| name)
    }

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

const YEAR: i64 = 31_556_952 * SECOND;
/// 1990 to 2099.
const PLAUSIBLE: Range<i64> = 20 * YEAR..130 * YEAR;

/// Is that a time that data of our days has: from 1990 on, and before 2100?
#[inline]
pub fn is_plausible(time: EventTime) -> bool {
    PLAUSIBLE.contains(&time.0)
}

/// The year of a time, in UTC.
pub fn year(time: EventTime) -> i16 {
    let instant = jiff::Timestamp::from_nanosecond(time.0.into()).expect("2^63 nanoseconds are less than 300 years");
    jiff::tz::Offset::UTC.to_datetime(instant).year()
}

/// Valid event times that were read with one rule, in any order: are they of our days?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeCounts {
    /// How many.
    pub valid: i64,
    /// How many are before 1990.
    pub before: i64,
    /// How many are after 2099.
    pub after: i64,
    /// How many more are one or the other, where no more is known of them.
    pub either: i64,
    /// The newest.
    pub newest: Option<EventTime>,
}

impl TimeCounts {
    /// This many implausible ones, and none that is plausible, are a suspicion while more may come.
    pub const SUSPICIOUS: i64 = 1000;

    /// One more.
    pub fn add(&mut self, time: EventTime) {
        self.valid += 1;
        self.before += i64::from(time.0 < PLAUSIBLE.start);
        self.after += i64::from(time.0 >= PLAUSIBLE.end);
        self.newest = self.newest.max(Some(time));
    }

    /// When all of them are, if that is not plausible and they are enough to say so. `ended`: there will be no more, so one is
    /// enough.
    pub fn implausible(&self, ended: bool) -> Option<&'static str> {
        let enough = self.valid >= if ended { 1 } else { TimeCounts::SUSPICIOUS };
        if !enough || self.before + self.after + self.either < self.valid {
            return None;
        }
        Some(match (self.before, self.after, self.either) {
            (_, 0, 0) => "before 1990",
            (0, _, 0) => "after 2099",
            _ => "before 1990 or after 2099",
        })
    }
}

impl TimeUnit {
    /// The unit in which a time that was read in this one would be plausible, and of which year it would be.
    pub fn better(self, read: EventTime) -> Option<(TimeUnit, i16)> {
        let written = i128::from(read.0) / i128::from(self.nanoseconds());
        TimeUnit::ALL.iter().find_map(|(other, ..)| {
            let time = i64::try_from(written * i128::from(other.nanoseconds())).ok().map(EventTime)?;
            (*other != self && is_plausible(time)).then(|| (*other, year(time)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(times: &[i64]) -> TimeCounts {
        let mut counts = TimeCounts::default();
        times.iter().for_each(|seconds| counts.add(EventTime(seconds * SECOND)));
        counts
    }

    #[test]
    fn a_unit_is_found_in_which_times_would_be_of_our_days() {
        use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};
        // 2026-03-02T08:30:00Z, written in one unit and read in another.
        for (written, read) in
            [(Seconds, Milliseconds), (Seconds, Nanoseconds), (Milliseconds, Microseconds), (Microseconds, Nanoseconds)]
        {
            let number = 1_772_440_200 * (SECOND / written.nanoseconds());
            let time = EventTime(number * read.nanoseconds());
            assert_eq!(read.better(time), Some((written, 2026)), "{written:?} read as {read:?}");
            assert_eq!(year(time), 1970);
        }
        assert_eq!(Seconds.better(EventTime(1)), None);
        assert_eq!(
            [year(EventTime(-1)), year(EventTime(EventTime::LIMIT)), year(EventTime(i64::MIN))],
            [1969, 2116, 1677]
        );
    }

    #[test]
    fn times_are_suspicious_if_all_are_implausible() {
        let (early, ours, late) = (1_000, 1_772_440_200, 4_200_000_000);
        assert_eq!(counts(&[early; 999]).implausible(false), None, "too few yet");
        assert_eq!(counts(&[early; 1000]).implausible(false), Some("before 1990"));
        assert_eq!(counts(&[late]).implausible(true), Some("after 2099"));
        assert_eq!(counts(&[late, early]).implausible(true), Some("before 1990 or after 2099"));
        assert_eq!(counts(&[early, ours]).implausible(true), None);
        assert_eq!(counts(&[]).implausible(true), None);
        assert_eq!(counts(&[early, ours, early]).newest, Some(EventTime(ours * SECOND)));
    }
}
