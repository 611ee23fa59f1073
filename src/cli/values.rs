//! Typed values of options. clap stops at the first value that is wrong; here a wrong value is kept with its error, so that all
//! are reported at once.

use crate::duration::{MAX_DURATION_DAYS, MAX_LATENESS_DAYS};
use crate::start_at::Start;
use crate::text::{event_time, rfc3339};
use crate::{duration, size};
use clap::builder::{PossibleValue, TypedValueParser};
use minutely_dataflows::coarse::{WindowList, WindowListError};
use minutely_dataflows::decode::TimeUnit;
use minutely_dataflows::derived::{DeriveError, DerivedList};
use minutely_dataflows::numbers::{DecimalFactor, NotAFactor};
use minutely_dataflows::partition::{NotAnOutlierRule, OutlierRule};
use minutely_dataflows::record::Reason;
use minutely_dataflows::time::{EventTime, SECOND};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

const DAY_MS: u64 = 24 * 3_600_000;

/// The units of `--time-unit`.
pub(super) const TIME_UNITS: [Choice<TimeUnit>; 4] = [
    ("s", "seconds", TimeUnit::Seconds),
    ("ms", "milliseconds", TimeUnit::Milliseconds),
    ("us", "microseconds", TimeUnit::Microseconds),
    ("ns", "nanoseconds", TimeUnit::Nanoseconds),
];

/// `--start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartOption {
    /// At the oldest record.
    Earliest,
    /// At the end.
    Latest,
    /// At the first record whose timestamp is not before this.
    Time(EventTime),
}

/// A time that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedTime {
    /// This instant.
    At(EventTime),
    /// So many nanoseconds after midnight UTC, of the newest day.
    OfDay(i64),
}

impl fmt::Display for AskedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskedTime::At(time) => f.write_str(&rfc3339(*time, 0)),
            AskedTime::OfDay(ns) => write!(f, "{:02}:{:02}", ns / (3600 * SECOND), ns / (60 * SECOND) % 60),
        }
    }
}

impl From<StartOption> for Start {
    fn from(option: StartOption) -> Self {
        match option {
            StartOption::Earliest => Start::Earliest,
            StartOption::Latest => Start::Latest,
            StartOption::Time(time) => Start::Time(time),
        }
    }
}

/// A value by name: the name, its help, and what it stands for.
pub(super) type Choice<T> = (&'static str, &'static str, T);

/// The value of an option as it was given, and what it means or what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    text: String,
    value: Result<T, String>,
}

impl<T: Clone> Given<T> {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    ///
    /// # Errors
    /// The option, its text, what is wrong with it and what it takes: one paragraph.
    pub(super) fn value(&self) -> Result<T, String> {
        self.value.clone()
    }
}

/// Parses the value of an option into [`Given`]; clap itself never sees an error.
#[derive(Clone)]
pub(super) struct ValueParser<T> {
    parse: Arc<dyn Fn(&str) -> Result<T, String> + Send + Sync>,
    choices: Vec<PossibleValue>,
}

impl<T> ValueParser<T> {
    /// A parser whose error says what the option takes.
    fn new(parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static) -> Self {
        ValueParser { parse: Arc::new(parse), choices: Vec::new() }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for ValueParser<T> {
    type Value = Given<T>;

    fn parse_ref(&self, _: &clap::Command, option: Option<&clap::Arg>, value: &OsStr) -> Result<Given<T>, clap::Error> {
        let text = value.to_string_lossy().into_owned();
        let parsed = value.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(|text| (self.parse)(text));
        let name = option.map(|option| match (option.get_short(), option.get_long()) {
            (Some(short), _) => format!("-{short}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => option.get_id().to_string(),
        });
        let value = parsed.map_err(|why| format!("{} {text}: {why}", name.unwrap_or_default()));
        Ok(Given { text, value })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        (!self.choices.is_empty()).then(|| Box::new(self.choices.iter().cloned()) as Box<_>)
    }
}

/// A duration in nanoseconds, of at least this many milliseconds.
pub(super) fn duration(least_ms: u64) -> ValueParser<i64> {
    duration_within(least_ms, MAX_DURATION_DAYS)
}

/// A lateness in nanoseconds.
pub(super) fn lateness() -> ValueParser<i64> {
    duration_within(0, MAX_LATENESS_DAYS)
}

fn duration_within(least_ms: u64, most_days: u64) -> ValueParser<i64> {
    ValueParser::new(move |text| {
        let ms = duration::parse_ms(text).filter(|ms| (least_ms..=most_days * DAY_MS).contains(ms));
        ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| ms * 1_000_000).ok_or_else(|| {
            format!("takes a duration such as 500ms, 90s, 1h30m or 1d, from {least_ms} ms to {most_days} d")
        })
    })
}

/// A size in bytes, of at least this many megabytes.
pub(super) fn size(least_mb: u64) -> ValueParser<u64> {
    ValueParser::new(move |text| {
        let bytes = size::parse_bytes(text).filter(|bytes| *bytes >= least_mb * 1_000_000);
        bytes.ok_or_else(|| format!("takes a size such as 64MB or 1GiB, of at least {least_mb} MB"))
    })
}

/// A size in bytes, of at least a kilobyte; none for `none`.
pub(super) fn size_or_none() -> ValueParser<Option<u64>> {
    ValueParser::new(|text| {
        let bytes = size::parse_bytes(text).filter(|bytes| *bytes >= 1000);
        let size = if text == "none" { Some(None) } else { bytes.map(Some) };
        size.ok_or_else(|| "takes a size such as 64MB or 1GiB, of at least 1kB, or none".to_owned())
    })
}

/// A whole number of this range, ends included.
pub(super) fn number<T>(least: T, most: T) -> ValueParser<T>
where
    T: FromStr + PartialOrd + Display + Send + Sync + 'static,
{
    ValueParser::new(move |text| {
        let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
        number.ok_or_else(|| format!("takes a number from {least} to {most}"))
    })
}

/// The number of a process, or `ordinal`: the number at the end of this host's name. Below `end`.
pub(super) fn process(end: usize) -> ValueParser<usize> {
    ValueParser::new(move |text| {
        let number = match text {
            "ordinal" => {
                let system = rustix::system::uname();
                let name = system.nodename().to_string_lossy();
                ordinal(&name).ok_or_else(|| format!("the name of this host, {name}, does not end in -NUMBER"))?
            }
            number => number.parse().unwrap_or(usize::MAX),
        };
        let takes =
            || format!("takes a number from 0 to {}, or ordinal: the number at the end of this host's name", end - 1);
        (number < end).then_some(number).ok_or_else(takes)
    })
}

/// The number at the end of a host's name, as Kubernetes' StatefulSets have it: of `minutely-2`, and of `minutely-2.minutely`, 2.
fn ordinal(host: &str) -> Option<usize> {
    let (_, number) = host.split('.').next()?.rsplit_once('-')?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then(|| number.parse().ok())?
}

/// What values are multiplied by.
pub(super) fn factor() -> ValueParser<DecimalFactor> {
    ValueParser::new(|text| text.parse().map_err(|error: NotAFactor| error.to_string()))
}

/// Which values are derived.
pub(super) fn derive() -> ValueParser<DerivedList> {
    ValueParser::new(|text| text.parse().map_err(|error: DeriveError| error.to_string()))
}

/// Which coarser windows there are.
pub(super) fn windows() -> ValueParser<WindowList> {
    ValueParser::new(|text| text.parse().map_err(|error: WindowListError| error.to_string()))
}

/// When a value is an outlier: N, or N,K.
pub(super) fn outlier() -> ValueParser<OutlierRule> {
    ValueParser::new(|text| {
        text.parse().map_err(|_: NotAnOutlierRule| {
            "takes N or N,K: the number of values that one is compared with, 3 to 1000, and how many standard deviations from \
             their median it may be, 0.01 to 100, such as 20,3.5"
                .to_owned()
        })
    })
}

/// An instant of event time.
pub(super) fn instant() -> ValueParser<EventTime> {
    ValueParser::new(|text| parse_instant(text).ok_or_else(|| "takes a time such as 2026-01-05T08:00:00Z".to_owned()))
}

/// An instant of event time, or hours and minutes of the newest day.
pub(super) fn asked_time() -> ValueParser<AskedTime> {
    ValueParser::new(|text| {
        let time = of_day(text).map(AskedTime::OfDay).or_else(|| parse_instant(text).map(AskedTime::At));
        time.ok_or_else(|| "takes a time such as 2026-01-05T08:41:00Z, or 08:41 of the newest day (UTC)".to_owned())
    })
}

/// HH:MM as nanoseconds after midnight.
fn of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let part = |text: &str, end: i64| {
        let digits = text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit());
        text.parse::<i64>().ok().filter(|part| digits && *part < end)
    };
    Some((part(hours, 24)? * 60 + part(minutes, 60)?) * 60 * SECOND)
}

/// Where reading begins.
pub(super) fn start() -> ValueParser<StartOption> {
    ValueParser::new(|text| match text {
        "earliest" => Ok(StartOption::Earliest),
        "latest" => Ok(StartOption::Latest),
        time => parse_instant(time)
            .map(StartOption::Time)
            .ok_or_else(|| "takes earliest, latest, or a time such as 2026-01-05T08:00:00Z".to_owned()),
    })
}

/// One ASCII character that is no letter, digit or line end.
pub(super) fn sign() -> ValueParser<u8> {
    ValueParser::new(parse_sign)
}

/// The same, or none.
pub(super) fn sign_or_none() -> ValueParser<Option<u8>> {
    ValueParser::new(|text| match text {
        "none" => Ok(None),
        text => parse_sign(text).map(Some).map_err(|why| format!("{why}, or none")),
    })
}

fn parse_sign(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        br"\t" => Ok(b'\t'),
        [sign] if sign.is_ascii_punctuation() || matches!(sign, b' ' | b'\t') => Ok(*sign),
        _ => Err("takes one ASCII character that is no letter and no digit, such as ; or |, or \\t".to_owned()),
    }
}

/// One of these, by name.
pub(super) fn choice<T: Copy + Send + Sync + 'static>(choices: &'static [Choice<T>]) -> ValueParser<T> {
    let parse = |text: &str| {
        let found = choices.iter().find(|(name, ..)| *name == text);
        let names = || choices.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        found.map(|(.., value)| *value).ok_or_else(|| format!("is not one of {}", names()))
    };
    let choices = choices.iter().map(|(name, help, _)| PossibleValue::new(*name).help(*help)).collect();
    ValueParser { choices, ..ValueParser::new(parse) }
}

/// A reason of dead letters, by its name.
pub(super) fn reason() -> ValueParser<String> {
    ValueParser::new(|text| {
        let name: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        Reason::deserialize(name).map(|reason| reason.name().to_owned()).map_err(|unknown| {
            let unknown = unknown.to_string();
            let names = unknown.split_once("one of ").map_or(unknown.as_str(), |(_, names)| names);
            format!("is not one of {}", names.replace('`', ""))
        })
    })
}

/// The name of a job, which is the name of its folder.
pub(super) fn job_name() -> ValueParser<String> {
    ValueParser::new(|text| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = !text.is_empty() && !text.starts_with('.') && text.chars().all(allowed);
        fits.then(|| text.to_owned())
            .ok_or_else(|| "takes letters, digits, `-`, `_` and `.`, and does not begin with `.`".to_owned())
    })
}

fn parse_instant(text: &str) -> Option<EventTime> {
    event_time(text).filter(|time| (-EventTime::LIMIT..=EventTime::LIMIT).contains(&time.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_of_64_bits_is_too_much() {
        for text in ["1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_of_a_stateful_set_has_its_number_at_the_end() {
        assert_eq!((ordinal("minutely-0"), ordinal("my-run-12.minutely.ns")), (Some(0), Some(12)));
        for other in ["minutely", "minutely-", "minutely-a1", "minutely-1a", "7", "minutely-+1", "minutely-0-x.y-1"] {
            assert_eq!(ordinal(other), None, "{other}");
        }
    }

    #[test]
    fn a_time_of_day_is_two_digits_each() {
        assert_eq!(of_day("08:41"), Some((8 * 60 + 41) * 60 * SECOND));
        assert_eq!(AskedTime::OfDay(of_day("23:59").unwrap()).to_string(), "23:59");
        for wrong in ["8:41", "24:00", "08:60", "08:41:00", "+8:41", "", ":", "é8:41"] {
            assert_eq!(of_day(wrong), None, "{wrong}");
        }
    }
}
