//! Times and lengths of time, as people and file names have them.

use jiff::Timestamp;
use minutely_dataflows::partition::Counts;
use minutely_dataflows::time::{EventTime, SECOND};
use std::fmt::Display;

/// RFC 3339 in UTC, to the second below; `unknown yet` where there is no time.
pub(crate) fn utc(time: Option<EventTime>) -> String {
    let timestamp = time.and_then(|time| Timestamp::from_second(time.0.div_euclid(SECOND)).ok());
    timestamp.map_or("unknown yet".into(), |timestamp| timestamp.to_string())
}

/// RFC 3339 in UTC, to the millisecond below.
pub(crate) fn utc_ms(time: EventTime) -> String {
    let timestamp = Timestamp::from_millisecond(time.0.div_euclid(SECOND / 1000)).unwrap_or_default();
    format!("{timestamp:.3}")
}

/// In UTC to the second, without signs that a file name should not have: `20260105T080000Z`.
pub(crate) fn file_stamp(now: EventTime) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(now.0)).unwrap_or_default();
    timestamp.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A length of time in nanoseconds, rounded down: tenths of a second below two minutes, then minutes, hours and days.
pub(crate) fn duration(ns: i64) -> String {
    let seconds = ns / SECOND;
    match seconds.abs() {
        0..120 => format!("{}.{} s", seconds, (ns / (SECOND / 10)).abs() % 10),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// So many of these: `1 record`, `2 records`.
pub(crate) fn number_of(count: impl Display + PartialEq + From<u8>, noun: &str) -> String {
    let ending = if count == 1.into() { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// What was read and counts, with a comma before it, where numbers of any of it were rounded.
pub(crate) fn rounded(counts: &Counts) -> String {
    if counts.rounded == 0 { String::new() } else { format!(", {} rounded", counts.rounded) }
}

/// The first equation of R11, as `7 records read = 5 counted + 1 late + …`. Events are counted apart where a record has
/// several; `cleaned`, `skipped` and `duplicate` have a term where there are any.
pub(crate) fn first_equation(counts: &Counts) -> String {
    format!("{} read{}", number_of(counts.read, "record"), became(counts))
}

/// What became of the records that were read: the first equation from its events on.
pub(crate) fn became(counts: &Counts) -> String {
    let Counts { read, events, counted, late, rejected, quarantined, cleaned, skipped, duplicates, .. } = counts;
    let events = if events == read { String::new() } else { format!(", {}", number_of(*events, "event")) };
    let term = |count: &i64, name: &str| if *count == 0 { String::new() } else { format!(" + {count} {name}") };
    let (skipped, duplicates) = (term(skipped, "skipped"), term(duplicates, "duplicate"));
    let cleaned = term(cleaned, "cleaned");
    format!(
        "{events} = {counted} counted + {late} late + {rejected} rejected + {quarantined} quarantined\
         {cleaned}{skipped}{duplicates}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_them_is_no_plural() {
        let of = |read, events| {
            first_equation(&Counts { read, events, counted: events, ..Counts::default() }).replace(" + 0 late", "")
        };
        let rest = " + 0 rejected + 0 quarantined";
        assert_eq!(of(1, 1), format!("1 record read = 1 counted{rest}"));
        assert_eq!(of(1, 2), format!("1 record read, 2 events = 2 counted{rest}"));
        assert_eq!(of(2, 1), format!("2 records read, 1 event = 1 counted{rest}"));
        assert_eq!(of(0, 0), format!("0 records read = 0 counted{rest}"));
    }

    #[test]
    fn times_are_for_people() {
        let time = EventTime(1_767_600_000_999_999_999);
        assert_eq!(utc(Some(time)), "2026-01-05T08:00:00Z");
        assert_eq!(
            (utc_ms(time), utc_ms(EventTime(-1))),
            ("2026-01-05T08:00:00.999Z".into(), "1969-12-31T23:59:59.999Z".into())
        );
        assert_eq!(utc(None), "unknown yet");
        assert_eq!(file_stamp(time), "20260105T080000Z");
        assert_eq!(
            (duration(1_240_000_000), duration(300 * SECOND), duration(90_000 * SECOND)),
            ("1.2 s".into(), "5 min".into(), "25 h".into())
        );
    }
}
