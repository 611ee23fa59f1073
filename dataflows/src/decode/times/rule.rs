//! The rule that fields are read by: which forms there are, and which comes first.

use super::error::TimeOptionError;
use super::format::{FormatMismatch, TimeFormat};
use super::iso::{IsoError, IsoTime, offset_alone, plain_instant};
use super::options::TimeOptions;
use super::zone::Zone;
use crate::decimal::{self, DecimalError};
use crate::decode::scalar::Scalar;
use crate::decode::unit::{TimeUnit, is_plausible};
use crate::escape::shortened;
use crate::record::Reason;
use crate::time::EventTime;
use std::borrow::Cow;

/// Reads event times of one way of writing.
#[derive(Clone, Debug)]
pub struct TimeRule {
    unit: TimeUnit,
    /// Reads all texts and digits, if there is one.
    format: Option<TimeFormat>,
    /// Of texts that say no offset; a format has its own.
    zone: Option<Zone>,
}

/// Why fields are no event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeProblem {
    /// `Null`, `Type` or `Time`.
    pub(crate) reason: Reason,
    /// What should be there.
    pub(crate) expected: Cow<'static, str>,
    /// What is there, shortened and escaped.
    pub(crate) found: String,
    /// Which of the fields, from 0; 0 where their joined text is to blame.
    pub(crate) part: usize,
}

impl TimeRule {
    /// For times that are written so.
    ///
    /// # Errors
    /// All that is wrong with the options, and where they contradict one another.
    pub fn new(options: &TimeOptions) -> Result<Self, Vec<TimeOptionError>> {
        let TimeOptions { unit, format, zone } = options;
        let Some(format) = format else {
            let zone = zone.as_deref().map(Zone::new).transpose().map_err(|unknown| vec![unknown])?;
            return Ok(TimeRule { unit: *unit, format: None, zone });
        };
        let unused = *unit != TimeOptions::default().unit;
        let unused = unused.then(|| TimeOptionError::UnusedUnit { format: format.clone(), unit: *unit });
        match (TimeFormat::new(format, zone.as_deref()), unused) {
            (Ok(format), None) => Ok(TimeRule { unit: *unit, format: Some(format), zone: None }),
            (read, unused) => Err(read.err().into_iter().flatten().chain(unused).collect()),
        }
    }

    /// Decimal places from the unit to nanoseconds, if numbers are read in it: not where a format reads them.
    pub(crate) fn number_places(&self) -> Option<u32> {
        self.format.is_none().then(|| self.unit.places())
    }

    /// The event time that these fields say: one as a rule; where date and time of day have a field each, their texts are
    /// joined by a blank.
    ///
    /// # Errors
    /// Why they say none.
    pub(crate) fn read(&self, parts: &[Scalar<'_>]) -> Result<EventTime, TimeProblem> {
        match parts {
            [part] => self.alone(part),
            [] => Err(self.nothing(&Scalar::Absent, 0)),
            parts => self.joined(parts),
        }
    }

    fn alone(&self, part: &Scalar<'_>) -> Result<EventTime, TimeProblem> {
        match part {
            Scalar::Instant(ns) => in_range(*ns).ok_or_else(|| beyond(ns.to_string())),
            Scalar::Text(text) => self.text(text, || format!("\"{}\"", shortened(text))),
            Scalar::Literal(text) => self.text(text, || shortened(text)),
            other => Err(self.nothing(other, 0)),
        }
    }

    fn joined(&self, parts: &[Scalar<'_>]) -> Result<EventTime, TimeProblem> {
        let mut texts = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            match part {
                Scalar::Text(text) | Scalar::Literal(text) => texts.push(&**text),
                other => return Err(self.nothing(other, at)),
            }
        }
        let text = texts.join(" ");
        self.text(&text, || format!("\"{}\"", shortened(&text)))
    }

    /// The time of a text, or of a number as it is written.
    fn text(&self, text: &str, found: impl Fn() -> String) -> Result<EventTime, TimeProblem> {
        let because = |why: &str| format!("{} ({why})", found());
        let instant = if let Some(format) = &self.format {
            let expected = || Cow::Owned(self.expected());
            format.instant(text).map_err(|mismatch| match mismatch {
                FormatMismatch::Shape(why) => problem(Reason::Type, expected(), because(&why)),
                FormatMismatch::Impossible(why) => problem(Reason::Time, expected(), because(&why)),
            })?
        } else if let Some(time) = plain_instant(text.as_bytes()) {
            return Ok(time);
        } else {
            match decimal::floor(text.as_bytes(), self.unit.places()) {
                Ok(ns) if ns.unsigned_abs() <= EventTime::LIMIT.unsigned_abs() => return Ok(EventTime(ns)),
                Ok(_) | Err(DecimalError::Range | DecimalError::Precision) => {
                    return Err(self.out_of_unit(text, found()));
                }
                Err(DecimalError::NotANumber) => {}
            }
            match IsoTime::parse(text.as_bytes()) {
                Ok(time) => self.instant(&time).ok_or_else(|| match self.zone {
                    None => problem(Reason::Time, WITH_OFFSET.into(), found()),
                    Some(_) => beyond(found()),
                })?,
                Err(IsoError::Impossible(why)) => return Err(problem(Reason::Time, A_TIME.into(), because(why))),
                Err(IsoError::Shape) => {
                    dotnet(text).ok_or_else(|| problem(Reason::Type, self.expected().into(), found()))?
                }
            }
        };
        in_range(instant).ok_or_else(|| beyond(found()))
    }

    /// None if it needs a zone and there is none, or at the ends of the calendar.
    fn instant(&self, time: &IsoTime) -> Option<i128> {
        time.instant().or_else(|| self.zone.as_ref()?.instant(time.civil()?))
    }

    /// A number that is no time in its unit, and in which unit it would be one of our days.
    fn out_of_unit(&self, text: &str, found: String) -> TimeProblem {
        let expected = format!("a time from 1823 to 2116, written in {}", self.unit.words());
        let unit = TimeUnit::ALL.iter().find(|(unit, ..)| {
            let time = decimal::floor(text.as_bytes(), unit.places()).ok();
            *unit != self.unit && time.is_some_and(|time| is_plausible(EventTime(time)))
        });
        // It names an option, for states and dead letters keep this text.
        let hint = unit.map(|(_, name, words)| format!("; in {words} (--time-unit {name}) it would be plausible"));
        problem(Reason::Time, expected.into(), found + &hint.unwrap_or_default())
    }

    /// What is neither text nor number.
    fn nothing(&self, part: &Scalar<'_>, at: usize) -> TimeProblem {
        let (reason, found) = match part {
            Scalar::Absent => (Reason::Null, "no such field".to_owned()),
            Scalar::Null => (Reason::Null, "null".to_owned()),
            Scalar::Instant(_) => (Reason::Type, "an instant among several fields".to_owned()),
            Scalar::Text(text) | Scalar::Literal(text) | Scalar::Other(text) => (Reason::Type, shortened(text)),
        };
        TimeProblem { part: at, ..problem(reason, self.expected().into(), found) }
    }

    fn expected(&self) -> String {
        match &self.format {
            Some(format) => format!("a time as {:?} says", format.text()),
            None => format!("a number of {}, or a time such as {EXAMPLE}", self.unit.words()),
        }
    }
}

const EXAMPLE: &str = "2026-01-05T08:00:00Z";
const A_TIME: &str = "a date and a time of day that exist";
const WITH_OFFSET: &str =
    "a time with Z or an offset, such as 2026-01-05T08:00:00+01:00, or the zone of times that have none (--time-zone)";

/// .NET's `/Date(1767225600000)/`: milliseconds since 1970, whatever the unit is. An offset in it says how to show the time, and
/// changes nothing.
fn dotnet(text: &str) -> Option<i128> {
    let inside = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let offset = inside.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (number, offset) = inside.split_at(offset.unwrap_or(inside.len()));
    if !offset.is_empty() {
        offset_alone(offset)?;
    }
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    // A number of 20 digits and more is beyond any time: it stays so.
    is_whole.then(|| number.parse::<i64>().map_or(i128::MAX, |ms| i128::from(ms) * 1_000_000))
}

fn in_range(ns: i128) -> Option<EventTime> {
    i64::try_from(ns).ok().filter(|ns| ns.unsigned_abs() <= EventTime::LIMIT.unsigned_abs()).map(EventTime)
}

fn beyond(found: String) -> TimeProblem {
    problem(Reason::Time, "a time from 1823 to 2116".into(), found)
}

fn problem(reason: Reason, expected: Cow<'static, str>, found: String) -> TimeProblem {
    TimeProblem { reason, expected, found, part: 0 }
}
