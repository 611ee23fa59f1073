//! Trading calendars (R5): the event times that count.
//!
//! ```text
//!   event time ── zone ──> date and time of day ── hours of that date ──> open | closed
//! ```

use super::nyse;
use crate::time::{EventTime, SECOND};
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Minutes of a day: the last end of a session.
pub const DAY_MINUTES: u16 = 24 * 60;

/// A session of one day: from a minute of the day on, and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TradingHours {
    /// The first minute, from 0.
    pub from: u16,
    /// The minute that is no part of it any more, up to [`DAY_MINUTES`].
    pub to: u16,
}

impl fmt::Display for TradingHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TradingHours { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// A week with its exceptions, as a file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradingDays {
    /// Sessions by day, from Monday on.
    pub weekly: [Vec<TradingHours>; 7],
    /// Days without any.
    pub holidays: BTreeSet<Date>,
    /// Days that end before this minute.
    pub half_days: BTreeMap<Date, u16>,
}

impl TradingDays {
    /// The days of a week as a file names them, from Monday on.
    pub const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    fn hours(&self, date: Date) -> Vec<TradingHours> {
        if self.holidays.contains(&date) {
            return Vec::new();
        }
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        until(&self.weekly[weekday], self.half_days.get(&date).copied())
    }
}

/// These hours, but none from this minute on.
fn until(hours: &[TradingHours], end: Option<u16>) -> Vec<TradingHours> {
    let end = end.unwrap_or(DAY_MINUTES);
    let cut = hours.iter().map(|hours| TradingHours { to: hours.to.min(end), ..*hours });
    cut.filter(|hours| hours.from < hours.to).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    Nyse { extended: bool },
    Given(Box<TradingDays>),
}

/// Which times of which days count, in the exchange's own zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone_name: String,
    zone: TimeZone,
    days: Days,
}

impl Calendar {
    /// That of the New York Stock Exchange; with its early and its late session, where `extended`.
    pub fn nyse(extended: bool) -> Self {
        let zone_name = nyse::ZONE.to_owned();
        let zone = TimeZoneDatabase::bundled().get(nyse::ZONE).expect("it is compiled in");
        Calendar { zone_name, zone, days: Days::Nyse { extended } }
    }

    /// These days in this zone; `None` where the database that is compiled in has no such zone.
    pub fn given(zone_name: &str, days: TradingDays) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(zone_name).ok().filter(|zone| !zone.is_unknown())?;
        Some(Calendar { zone_name: zone_name.to_owned(), zone, days: Days::Given(Box::new(days)) })
    }

    fn hours(&self, date: Date) -> Vec<TradingHours> {
        match &self.days {
            Days::Nyse { extended } => {
                let (from, to) = nyse::hours(*extended);
                until(&[TradingHours { from, to }], nyse::end(date, *extended))
            }
            Days::Given(days) => days.hours(date),
        }
    }

    /// Does an event of this time count? By the date and the time of day in the zone.
    pub fn is_open(&self, time: EventTime) -> bool {
        let Some(local) = self.local(time) else { return false };
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        self.hours(local.date()).iter().any(|hours| (hours.from..hours.to).contains(&minute))
    }

    fn local(&self, time: EventTime) -> Option<DateTime> {
        let instant = Timestamp::from_nanosecond(i128::from(time.0)).ok()?;
        Some(self.zone.to_datetime(instant))
    }

    /// A time around this one in which the answer is the same.
    pub(super) fn span(&self, time: EventTime) -> SessionSpan {
        let is_open = self.is_open(time);
        self.day_span(time, is_open).unwrap_or(SessionSpan { from: time.0, to: time.0.saturating_add(1), is_open })
    }

    /// The same, on a day that has 24 hours; on those on which clocks are changed each event is looked at.
    fn day_span(&self, time: EventTime, is_open: bool) -> Option<SessionSpan> {
        let date = self.local(time)?.date();
        let midnight = |date: Date| {
            let instant = self.zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible().ok()?;
            i64::try_from(instant.as_nanosecond()).ok()
        };
        let day = midnight(date)?;
        let next_day = midnight(date.checked_add(1.day()).ok()?)?;
        if next_day - day != i64::from(DAY_MINUTES) * 60 * SECOND || !(day..next_day).contains(&time.0) {
            return None;
        }
        let at = |minute: u16| day + i64::from(minute) * 60 * SECOND;
        let changes = self.hours(date).into_iter().flat_map(|hours| [at(hours.from), at(hours.to)]);
        let changes: Vec<i64> = changes.chain([day, next_day]).collect();
        let from = changes.iter().copied().filter(|change| *change <= time.0).max()?;
        let to = changes.iter().copied().filter(|change| *change > time.0).min()?;
        Some(SessionSpan { from, to, is_open })
    }
}

/// All that decides, in one line: equal where the calendars are.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = match &self.days {
            Days::Nyse { extended: false } => return f.write_str("NYSE"),
            Days::Nyse { extended: true } => return f.write_str("NYSE+extended"),
            Days::Given(days) => days,
        };
        f.write_str(&self.zone_name)?;
        for (name, hours) in TradingDays::WEEK.iter().zip(&days.weekly) {
            hours.iter().try_for_each(|hours| write!(f, " {name} {hours}"))?;
        }
        days.holidays.iter().try_for_each(|date| write!(f, " closed {date}"))?;
        let until = |(date, end): (&Date, &u16)| write!(f, " until {date} {:02}:{:02}", end / 60, end % 60);
        days.half_days.iter().try_for_each(until)
    }
}

/// A time in which a session is open, or closed, throughout; empty by default.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SessionSpan {
    from: i64,
    to: i64,
    pub(super) is_open: bool,
}

impl SessionSpan {
    pub(super) fn contains(&self, time: EventTime) -> bool {
        (self.from..self.to).contains(&time.0)
    }
}
