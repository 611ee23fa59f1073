//! Durations as people write them.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use minutely_dataflows::time::{SECOND, Windowing};

/// The longest lateness, in days: a hundred years, for files that are sorted by symbol or newest first. Window, lateness and
/// event time (R2) together stay within what nanoseconds in 64 bits hold.
pub(crate) const MAX_LATENESS_DAYS: u64 = (Windowing::LONGEST_LATENESS / DAY).unsigned_abs();
/// The longest other duration, in days.
pub(crate) const MAX_DURATION_DAYS: u64 = (Windowing::LONGEST / DAY).unsigned_abs();
/// Nanoseconds in a day.
const DAY: i64 = 86_400 * SECOND;

/// `500ms`, `90s`, `1h30m`, `1d` (24 hours) or `0`, in milliseconds. Absent for any other text, for less than a millisecond, and
/// for months and years, which have no one length.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|c| c == b'0') {
        return Some(0);
    }
    let duration = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let ms = i64::try_from(duration.as_millis()).ok()?;
    u64::try_from(ms).ok().filter(|_| SignedDuration::from_millis(ms) == duration)
}

/// A duration that is longer than this one in nanoseconds, as an option takes it: the next whole second below a minute, the next
/// minute below a day, else the next hour.
pub(crate) fn longer_than(ns: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = ns.max(0) / 1_000_000_000 + 1;
    let step = match seconds {
        ..=60 => 1,
        61..=86_400 => 60,
        _ => 3_600,
    };
    let mut left = (seconds + step - 1) / step * step;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if left >= length {
            text += &format!("{}{unit}", left / length);
            left %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{longer_than, parse_ms};

    #[test]
    fn a_longer_duration_is_one_that_an_option_takes() {
        let second = 1_000_000_000;
        for (ns, text) in [
            (-1, "1s"),
            (0, "1s"),
            (second - 1, "1s"),
            (second, "2s"),
            (59 * second, "1m"),
            (61 * second, "2m"),
            (3_540 * second, "1h"),
            (10_799 * second, "3h"),
            (10_800 * second, "3h1m"),
            (86_399 * second, "1d"),
            (86_400 * second, "1d1h"),
        ] {
            assert_eq!(longer_than(ns), text, "{ns}");
            let ms = parse_ms(text).unwrap();
            assert!(i64::try_from(ms).unwrap() * 1_000_000 > ns, "{text} is longer than {ns} ns");
        }
    }

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("2s", 2000),
            ("1m", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
            ("36500d", 3_153_600_000_000),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1 hour 30 minutes", 5_400_000),
            ("1.5s", 1_500),
            ("1w", 604_800_000),
            ("2d12h", 216_000_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
        for text in
            ["", "5", "m", "-1s", "1s ago", "1.5ms", "10us", "1mo", "1y", "soon", "1m h", "30m1h", "9999999999999999d"]
        {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }

    /// What was accepted when there was one number and one unit.
    #[test]
    fn one_number_with_one_unit_means_what_it_always_meant() {
        for (unit, unit_ms) in [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)] {
            for number in [0, 1, 7, 59, 60, 61, 1_000, 36_500] {
                assert_eq!(parse_ms(&format!("{number}{unit}")), Some(number * unit_ms), "{number}{unit}");
                assert_eq!(parse_ms(&format!("00{number}{unit}")), Some(number * unit_ms), "00{number}{unit}");
            }
        }
    }
}
