//! Event times (R2): numbers of a unit, texts of ISO 8601, `/Date(…)/`, and texts of a format, by jiff.

use super::found::FieldText;
use super::number::WrittenNumber;
use jiff::civil::{Date, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use minutely_dataflows::decode::{TimeOptions, TimeUnit};
use minutely_dataflows::record::Reason;

/// An event time is at most so many nanoseconds from 1970: 2^62.
const MOST: i128 = 1 << 62;

/// How event times are written.
#[derive(Clone, Debug)]
pub(super) struct WrittenTimes {
    /// Decimal places from the unit of numbers to nanoseconds.
    places: u32,
    format: Option<String>,
    /// Of texts that say no offset.
    zone: Option<TimeZone>,
}

impl WrittenTimes {
    /// By these options; none where their zone is not in the database.
    pub(super) fn of(options: &TimeOptions) -> Option<Self> {
        let places = match options.unit {
            TimeUnit::Seconds => 9,
            TimeUnit::Milliseconds => 6,
            TimeUnit::Microseconds => 3,
            TimeUnit::Nanoseconds => 0,
        };
        let zone = match &options.zone {
            None => None,
            Some(name) => Some(match offset(name).and_then(|offset| offset.ok()) {
                Some(offset) => TimeZone::fixed(offset),
                None => TimeZoneDatabase::bundled().get(name).ok()?,
            }),
        };
        Some(WrittenTimes { places, format: options.format.clone(), zone })
    }

    /// The event time of these fields: one, or date and time of day. In nanoseconds.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn read(&self, parts: &[FieldText]) -> Result<i64, Reason> {
        if let [FieldText::Stamp(stamp)] = parts {
            return within(i128::from(*stamp));
        }
        let mut texts = Vec::new();
        for part in parts {
            match part {
                FieldText::Text(text) | FieldText::Literal(text) => texts.push(text.as_str()),
                FieldText::Absent | FieldText::Null => return Err(Reason::Null),
                FieldText::Stamp(_) | FieldText::Nested | FieldText::NoText => return Err(Reason::Type),
            }
        }
        let text = texts.join(" ");
        match &self.format {
            Some(format) => self.by_format(format, &text).and_then(within),
            None => self.by_number_or_calendar(&text),
        }
    }

    fn by_format(&self, format: &str, text: &str) -> Result<i128, Reason> {
        // jiff reads nine digits of a second; what is finer is cut off.
        let read = BrokenDownTime::parse(format, text);
        let read = read.or_else(|_| BrokenDownTime::parse(format, with_nine_digits(text))).map_err(|_| Reason::Type)?;
        let instant = match (&self.zone, read.iana_time_zone()) {
            (Some(zone), _) => {
                return read.to_datetime().ok().and_then(|civil| in_zone(zone, civil)).ok_or(Reason::Time);
            }
            (None, None) => read.to_timestamp(),
            (None, Some(_)) => read.to_zoned_datetime_with(&TimeZoneDatabase::bundled()).map(|zoned| zoned.timestamp()),
        };
        instant.map(|instant| instant.as_nanosecond()).map_err(|_| Reason::Time)
    }

    fn by_number_or_calendar(&self, text: &str) -> Result<i64, Reason> {
        if let Some(number) = WrittenNumber::parse(text) {
            let floor = number.floor(self.places).and_then(|ns| i128::try_from(ns).ok());
            return floor.ok_or(Reason::Time).and_then(within);
        }
        if let Some(inside) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            return milliseconds(inside).ok_or(Reason::Type)?.ok_or(Reason::Time).and_then(within);
        }
        let CalendarText { year, month, day, hour, minute, second, nanosecond, east } =
            CalendarText::read(text).ok_or(Reason::Type)?;
        let narrow = |number: u32| i8::try_from(number).unwrap_or(i8::MAX);
        let year = i16::try_from(year).map_err(|_| Reason::Time)?;
        let date = Date::new(year, narrow(month), narrow(day)).map_err(|_| Reason::Time)?;
        // A leap second is read as the one before it.
        let second = if second == 60 { 59 } else { second };
        let nanosecond = i32::try_from(nanosecond).map_err(|_| Reason::Time)?;
        let time = Time::new(narrow(hour), narrow(minute), narrow(second), nanosecond).map_err(|_| Reason::Time)?;
        let civil = date.to_datetime(time);
        let instant = match (east, &self.zone) {
            (Some(offset), _) => offset.ok().and_then(|offset| in_zone(&TimeZone::fixed(offset), civil)),
            (None, Some(zone)) => in_zone(zone, civil),
            (None, None) => None,
        };
        instant.ok_or(Reason::Time).and_then(within)
    }
}

fn within(ns: i128) -> Result<i64, Reason> {
    i64::try_from(ns).ok().filter(|_| ns.abs() <= MOST).ok_or(Reason::Time)
}

/// In nanoseconds. Where clocks are changed, a time that is skipped has the offset before it, and of one that comes twice the first counts.
fn in_zone(zone: &TimeZone, civil: jiff::civil::DateTime) -> Option<i128> {
    zone.to_ambiguous_timestamp(civil).compatible().ok().map(|instant| instant.as_nanosecond())
}

/// A text without digits behind a point that are more than nine.
fn with_nine_digits(text: &str) -> String {
    let (mut kept, mut behind) = (String::new(), None);
    for c in text.chars() {
        behind = match (c, behind) {
            ('.' | ',', _) => Some(0),
            ('0'..='9', Some(digits)) => Some(digits + 1),
            _ => None,
        };
        if behind.is_none_or(|digits| digits <= 9) {
            kept.push(c);
        }
    }
    kept
}

/// Of .NET's `/Date(…)/`: milliseconds since 1970, in nanoseconds; none within where it is no such text as a whole, or too far away.
fn milliseconds(inside: &str) -> Option<Option<i128>> {
    let from = usize::from(inside.starts_with(['-', '+']));
    let end = inside.get(from..)?.find(['+', '-']).map_or(inside.len(), |at| from + at);
    let (number, shown) = inside.split_at(end);
    if !shown.is_empty() {
        offset(shown)?.ok()?;
    }
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(number.parse::<i64>().ok().map(|ms| i128::from(ms) * 1_000_000))
}

/// There is no such offset.
#[derive(Debug)]
struct NoOffset;

/// An offset alone, if it looks like one: `+hh`, `+hhmm[ss]` or `+hh:mm[:ss]`.
fn offset(text: &str) -> Option<Result<Offset, NoOffset>> {
    let west = text.starts_with('-');
    let rest = text.strip_prefix(['+', '-'])?;
    let parts: Vec<&str> = if rest.contains(':') {
        let parts: Vec<&str> = rest.split(':').collect();
        if parts.len() > 3 {
            return None;
        }
        parts
    } else {
        if !rest.is_ascii() || !matches!(rest.len(), 2 | 4 | 6) {
            return None;
        }
        (0..rest.len()).step_by(2).map(|at| &rest[at..at + 2]).collect()
    };
    let number = |part: &&str| (part.len() == 2 && is_digits(part)).then(|| part.parse::<i32>().ok()).flatten();
    let parts: Vec<i32> = parts.iter().map(number).collect::<Option<_>>()?;
    let part = |at: usize| parts.get(at).copied().unwrap_or(0);
    let seconds = part(0) * 3600 + part(1) * 60 + part(2);
    let is_one = part(0) < 24 && part(1) < 60 && part(2) < 60;
    let offset = Offset::from_seconds(if west { -seconds } else { seconds });
    Some(offset.ok().filter(|_| is_one).ok_or(NoOffset))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text of ISO 8601 or RFC 3339 in its parts, which may be of no day or time that there is.
#[derive(Debug, Default)]
struct CalendarText {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    /// What it says of its offset.
    east: Option<Result<Offset, NoOffset>>,
}

impl CalendarText {
    fn read(text: &str) -> Option<Self> {
        // A date has eight digits, or ten places with two dashes.
        let is_long = text.as_bytes().get(4) == Some(&b'-');
        let (date, rest) = text.split_at_checked(if is_long { 10 } else { 8 })?;
        let date = if is_long {
            let (year, rest) = date.split_once('-')?;
            let (month, day) = rest.split_once('-')?;
            [year, month, day]
        } else {
            [date.get(..4)?, date.get(4..6)?, date.get(6..)?]
        };
        let [year, month, day] = [(date[0], 4), (date[1], 2), (date[2], 2)].map(|(part, length)| number(part, length));
        let read = CalendarText { year: year?, month: month?, day: day?, ..CalendarText::default() };
        if rest.is_empty() {
            return is_long.then_some(read);
        }
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(rest.len());
        let (clock, offset) = rest.split_at(end);
        read.clock(clock)?.offset(offset)
    }

    /// `hh:mm[:ss[.f]]` or `hhmm[ss[.f]]`.
    fn clock(self, text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once(['.', ',']) {
            None => (text, None),
            Some((whole, fraction)) => (whole, Some(fraction).filter(|fraction| is_digits(fraction)).map(Some)?),
        };
        let parts: Vec<&str> = if whole.contains(':') {
            whole.split(':').collect()
        } else {
            (0..whole.len()).step_by(2).map(|at| whole.get(at..at + 2)).collect::<Option<_>>()?
        };
        let parts: Vec<u32> = parts.into_iter().map(|part| number(part, 2)).collect::<Option<_>>()?;
        let (hour, minute, second) = match parts[..] {
            [hour, minute] if fraction.is_none() => (hour, minute, 0),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        };
        // What is finer than a nanosecond is cut off.
        let nine: String = fraction.unwrap_or("").chars().chain("000000000".chars()).take(9).collect();
        Some(CalendarText { hour, minute, second, nanosecond: nine.parse().ok()?, ..self })
    }

    /// `Z`, `UTC` or `±hh…`, after at most one blank; or nothing.
    fn offset(self, text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(self);
        }
        let east = match text.strip_prefix(' ').unwrap_or(text) {
            "Z" | "z" | "UTC" => Ok(Offset::UTC),
            text => offset(text)?,
        };
        Some(CalendarText { east: Some(east), ..self })
    }
}

/// Exactly so many digits.
fn number(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && is_digits(text)).then(|| text.parse().ok()).flatten()
}
