//! Texts of ISO 8601 and RFC 3339, and those that are nearly so: a blank for the `T`, `UTC` for the `Z`.
//!
//! ```text
//!   date    YYYY-MM-DD | YYYYMMDD            between them T, t or a blank
//!   time    HH:MM[:SS[.fff…]] | HHMM[SS[.fff…]]          . or ,
//!   offset  Z | z | UTC | ±HH | ±HH:MM[:SS] | ±HHMM[SS]  after at most one blank; none: the time of a zone
//! ```
//!
//! [`plain_instant`] reads the one form that nearly every feed writes; [`IsoTime::parse`] reads all.

use crate::decimal::POWERS;
use crate::time::{EventTime, SECOND};
use jiff::civil::DateTime;

/// Digits of a second that a nanosecond has.
const MOST_DIGITS: usize = 9;

/// A text as it was read: a date and a time of day, and the offset if it says one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IsoTime {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsoError {
    /// It does not look like one.
    Shape,
    /// It looks like one that never was: what is impossible in it.
    Impossible(&'static str),
}

impl IsoTime {
    /// Reads a whole text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, IsoError> {
        let mut scan = Scan { rest: text };
        let time = scan.whole().ok_or(IsoError::Shape)?;
        let days = days_of_month(time.year, time.month);
        match time {
            _ if days == 0 => Err(IsoError::Impossible("there is no such month")),
            _ if !(1..=days).contains(&time.day) => Err(IsoError::Impossible("that month has no such day")),
            _ if time.hour > 23 => Err(IsoError::Impossible("a day has no such hour")),
            _ if time.minute > 59 => Err(IsoError::Impossible("an hour has no such minute")),
            _ if time.second > 60 => Err(IsoError::Impossible("a minute has no such second")),
            _ if time.offset.is_some_and(|offset| offset.abs() >= 86_400) => {
                Err(IsoError::Impossible("there is no such offset"))
            }
            time => Ok(IsoTime { second: time.second.min(59), ..time }),
        }
    }

    /// The instant in nanoseconds since 1970, if the text says an offset.
    pub(super) fn instant(&self) -> Option<i128> {
        let days = days_since_1970(self.year.into(), self.month.into(), self.day.into());
        let clock = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days * 86_400 + clock - i64::from(self.offset?);
        Some(i128::from(seconds) * i128::from(SECOND) + i128::from(self.nanosecond))
    }

    /// Date and time of day, for a zone.
    pub(super) fn civil(&self) -> Option<DateTime> {
        let IsoTime { year, month, day, hour, minute, second, nanosecond, .. } = *self;
        DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()
    }
}

/// An offset alone: `+01:00`, `-0530`, `+01`.
pub(super) fn offset_alone(text: &str) -> Option<i32> {
    let mut scan = Scan { rest: text.as_bytes() };
    let offset = scan.offset()?;
    (scan.rest.is_empty() && offset.abs() < 86_400).then_some(offset)
}

/// Days of a month; 0 if there is no such month.
fn days_of_month(year: i16, month: i8) -> i8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, by Howard Hinnant's `days_from_civil`: years begin in March, so
/// that a leap day is the last day of one.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// What is left of a text.
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn whole(&mut self) -> Option<IsoTime> {
        let year = i16::from(self.two()?) * 100 + i16::from(self.two()?);
        let dashes = self.eat(b"-");
        let month = self.two()?;
        if dashes && !self.eat(b"-") {
            return None;
        }
        let mut time = IsoTime { year, month, day: self.two()?, ..IsoTime::default() };
        if self.rest.is_empty() && dashes {
            return Some(time);
        }
        if !(self.eat(b"T") || self.eat(b"t") || self.eat(b" ")) {
            return None;
        }
        time.hour = self.two()?;
        let colons = self.eat(b":");
        time.minute = self.two()?;
        if if colons { self.eat(b":") } else { self.rest.first().is_some_and(u8::is_ascii_digit) } {
            time.second = self.two()?;
            if self.eat(b".") || self.eat(b",") {
                time.nanosecond = self.fraction()?;
            }
        }
        if !self.rest.is_empty() {
            self.eat(b" ");
            let utc = self.eat(b"Z") || self.eat(b"z") || self.eat(b"UTC");
            time.offset = Some(if utc { 0 } else { self.offset()? });
        }
        self.rest.is_empty().then_some(time)
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn two(&mut self) -> Option<i8> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] = self.rest else { return None };
        self.rest = rest;
        i8::try_from((a - b'0') * 10 + (b - b'0')).ok()
    }

    /// Nanoseconds; what is finer is cut off.
    fn fraction(&mut self) -> Option<i32> {
        let length = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(MOST_DIGITS);
        (length > 0).then(|| padded.fold(0, |n, c| n * 10 + i32::from(c - b'0')))
    }

    /// Seconds east of Greenwich; a day or more where minutes or seconds are above 59.
    fn offset(&mut self) -> Option<i32> {
        let west = self.eat(b"-");
        if !west && !self.eat(b"+") {
            return None;
        }
        let hours = self.two()?;
        let colons = self.eat(b":");
        let minutes = if colons { Some(self.two()?) } else { self.two() };
        let seconds = match minutes {
            Some(_) if colons && self.eat(b":") => Some(self.two()?),
            Some(_) if !colons => self.two(),
            _ => None,
        };
        let [minutes, seconds] = [minutes, seconds].map(|part| i32::from(part.unwrap_or(0)));
        let offset = i32::from(hours) * 3600 + minutes * 60 + seconds;
        let offset = if minutes > 59 || seconds > 59 { 86_400 } else { offset };
        Some(if west { -offset } else { offset })
    }
}

/// The instant of a text that is exactly `YYYY-MM-DDTHH:MM:SS[.f]Z` or `±hh:mm` for the `Z`, with 1 to 9 digits of fraction;
/// none if it is anything else, or out of range. It gives nothing but what [`IsoTime::parse`] gives.
pub(crate) fn plain_instant(text: &[u8]) -> Option<EventTime> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    if [head[4], head[7], head[10], head[13], head[16]] != *b"--T::" {
        return None;
    }
    let mut wrong = false;
    let mut two = |at: usize| {
        let (a, b) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        wrong |= a > 9 || b > 9;
        a.wrapping_mul(10).wrapping_add(b)
    };
    let (century, year, month, day) = (two(0), two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let year = i16::from(century) * 100 + i16::from(year);
    let days = days_of_month(year, i8::try_from(month).ok()?);
    let date = (1..=days).contains(&i8::try_from(day).ok()?) && (1823..2117).contains(&year);
    // Leap seconds are left to the other.
    if wrong || !date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (mut nanosecond, mut tail) = (0_u64, tail);
    if let [b'.', rest @ ..] = tail {
        let length = rest.iter().take(MOST_DIGITS).take_while(|c| c.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(length);
        nanosecond = digits.iter().fold(0, |n, c| n * 10 + u64::from(c - b'0')) * POWERS[MOST_DIGITS - length];
        if length == 0 {
            return None;
        }
        tail = rest;
    }
    let offset = match tail {
        b"Z" => 0,
        [b'+' | b'-', _, _, b':', _, _] => {
            i64::from((Scan { rest: tail }).offset().filter(|offset| offset.abs() < 86_400)?)
        }
        _ => return None,
    };
    let clock = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let seconds = days_since_1970(year.into(), month.into(), day.into()) * 86_400 + clock - offset;
    let ns = seconds.checked_mul(SECOND)?.checked_add_unsigned(nanosecond)?;
    (ns.unsigned_abs() <= EventTime::LIMIT.unsigned_abs()).then_some(EventTime(ns))
}
