//! Which minutes a coarser window is made of. Pure: of the levels, the zone and the minute alone.

use super::level::{DAY, WindowLevel, WindowList};
use crate::decode::{TimeOptionError, time_zone};
use crate::row::RowKind;
use crate::time::{EventTime, WindowStart, Windowing};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Monday, 1970-01-05: weeks begin on Mondays.
const MONDAY: i64 = 4 * DAY;

/// Why windows of these lengths cannot be made of those of `--window`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowsError {
    /// No longer than the windows that they are made of.
    #[error("`{0}`: must be longer than --window {1}, whose windows it is made of")]
    TooShort(WindowLevel, WindowLevel),
    /// A window would end within one of those.
    #[error("`{0}`: its length and its offset must be whole multiples of --window {1}")]
    NotAMultiple(WindowLevel, WindowLevel),
    /// The time zone is none.
    #[error(transparent)]
    Zone(#[from] TimeOptionError),
}

/// The minutes that one coarser window is made of. (A minute is a window of `--window`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoarseSpan {
    /// The first, by which it is named.
    pub start: WindowStart,
    /// The last, its closing minute.
    pub closing: WindowStart,
}

impl CoarseSpan {
    /// Is this minute one of them?
    pub fn contains(&self, minute: WindowStart) -> bool {
        (self.start..=self.closing).contains(&minute)
    }
}

/// The coarser windows of a run.
#[derive(Clone, Debug, Default)]
pub struct CoarseWindows {
    list: WindowList,
    /// Of days and weeks; none: UTC.
    zone: Option<TimeZone>,
    /// Of a minute, in nanoseconds.
    minute: i64,
}

impl CoarseWindows {
    /// Of these levels, made of windows of this length. `zone`: of days and weeks, as `--time-zone` takes it.
    ///
    /// # Errors
    /// The first level that cannot be made of them; a zone that is unknown.
    pub fn new(list: &WindowList, zone: Option<&str>, windowing: &Windowing) -> Result<Self, WindowsError> {
        let minute = windowing.length;
        for level in list.levels() {
            let of = WindowLevel::fixed(minute);
            if level.length() <= minute {
                return Err(WindowsError::TooShort(*level, of));
            }
            if level.length() % minute != 0 || level.offset() % minute != 0 {
                return Err(WindowsError::NotAMultiple(*level, of));
            }
        }
        let zone = zone.map(time_zone).transpose()?;
        Ok(CoarseWindows { list: list.clone(), zone, minute })
    }

    /// As `--windows` has them.
    pub fn list(&self) -> &WindowList {
        &self.list
    }

    /// The levels, the shortest first.
    pub fn levels(&self) -> &[WindowLevel] {
        self.list.levels()
    }

    /// The zone of days and weeks; none: UTC.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The window of this level that the minute is in. A minute that a day's boundary lies within, as in zones whose offset is no
    /// multiple of it, is of the day that it begins in.
    pub fn span(&self, level: WindowLevel, minute: WindowStart) -> CoarseSpan {
        let (from, to) = match &self.zone {
            Some(zone) if level.is_calendar() => calendar(zone, level, minute.0),
            _ => fixed(level, minute.0),
        };
        // The first minutes that begin at these times or after them.
        let first = |time: i64| time.div_euclid(self.minute) + i64::from(time.rem_euclid(self.minute) > 0);
        CoarseSpan {
            start: WindowStart(first(from).saturating_mul(self.minute)),
            closing: WindowStart((first(to) - 1).saturating_mul(self.minute)),
        }
    }

    /// What rows of a level are: 0 for minutes, else its place in [`CoarseWindows::levels`], from 1 on.
    ///
    /// # Panics
    /// When there is no such level.
    pub(crate) fn kind(&self, level: usize) -> RowKind {
        level.checked_sub(1).map_or(RowKind::Minute, |place| RowKind::Window(self.levels()[place]))
    }

    /// When the window of a level begins that this minute closes.
    pub(crate) fn start(&self, level: usize, closing: WindowStart) -> WindowStart {
        match self.kind(level) {
            RowKind::Minute | RowKind::Group => closing,
            RowKind::Window(level) => self.span(level, closing).start,
        }
    }

    /// The minute that ends then.
    pub(crate) fn minute_before(&self, end: EventTime) -> WindowStart {
        WindowStart(end.0 - self.minute)
    }

    /// Which level is called so.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        let level: WindowLevel = name.parse().ok()?;
        self.levels().iter().position(|known| *known == level).map(|place| place + 1)
    }

    /// The latest closing minute of the windows that this minute is in; its own without any.
    pub fn last_closing(&self, minute: WindowStart) -> WindowStart {
        let closing = self.levels().iter().map(|level| self.span(*level, minute).closing);
        closing.max().map_or(minute, |closing| closing.max(minute))
    }
}

/// When the window begins and when the next one does, where all have one length.
fn fixed(level: WindowLevel, time: i64) -> (i64, i64) {
    let length = level.length();
    let origin = level.offset() + if level.is_calendar() && length > DAY { MONDAY } else { 0 };
    let from = (time - origin).div_euclid(length) * length + origin;
    (from, from + length)
}

/// As [`fixed`], of days or weeks in a zone. A time of day that is skipped is read with the offset before the change, of one that
/// comes twice the first counts, as everywhere (R2).
fn calendar(zone: &TimeZone, level: WindowLevel, time: i64) -> (i64, i64) {
    let days = if level.length() > DAY { 7 } else { 1 };
    let (later_days, later) = (level.offset() / DAY, SignedDuration::from_nanos(level.offset() % DAY));
    let begins = |date: Date| -> i64 {
        let local = date.at(0, 0, 0, 0) + later_days.days() + later;
        let instant = zone.to_ambiguous_timestamp(local).compatible();
        let instant = instant.expect("event times are centuries away from the ends of the calendar");
        i64::try_from(instant.as_nanosecond()).expect("event times fit 64 bits with centuries to spare")
    };
    let instant = Timestamp::from_nanosecond(time.into()).expect("an i64 of nanoseconds is within the calendar");
    let local = zone.to_datetime(instant);
    let mut date = local.date() - later_days.days();
    if days == 7 {
        date -= i64::from(date.weekday().to_monday_zero_offset()).days();
    }
    // Off by the time of day, by a day of the week, and by what clocks were changed.
    while begins(date) > time {
        date -= days.days();
    }
    loop {
        let next = date + days.days();
        let (from, to) = (begins(date), begins(next));
        if to > time {
            return (from, to);
        }
        date = next;
    }
}

/// The last window of each level that was asked for: most minutes are in the same ones as the minute before.
#[derive(Clone, Debug)]
pub struct LastSpans {
    windows: CoarseWindows,
    last: Vec<Option<CoarseSpan>>,
}

impl LastSpans {
    /// None was asked for yet.
    pub fn new(windows: &CoarseWindows) -> Self {
        LastSpans { windows: windows.clone(), last: vec![None; windows.levels().len()] }
    }

    /// As [`CoarseWindows::span`], of each level in order.
    pub fn each(&mut self, minute: WindowStart) -> impl Iterator<Item = CoarseSpan> + '_ {
        let windows = &self.windows;
        windows.levels().iter().zip(&mut self.last).map(move |(level, last)| match last {
            Some(span) if span.contains(minute) => *span,
            last => *last.insert(windows.span(*level, minute)),
        })
    }
}

#[cfg(test)]
mod tests;
