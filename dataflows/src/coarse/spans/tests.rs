use super::*;
use crate::time::{EventTime, SECOND};

const MINUTE: i64 = 60 * SECOND;

fn windows(list: &str, zone: Option<&str>) -> CoarseWindows {
    CoarseWindows::new(&list.parse().unwrap(), zone, &Windowing::default()).unwrap()
}

fn at(text: &str) -> WindowStart {
    WindowStart(i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap())
}

/// The start and the closing minute of the window that this minute is in.
fn span(level: &str, zone: Option<&str>, minute: &str) -> [String; 2] {
    let windows = windows(level, zone);
    let CoarseSpan { start, closing } = windows.span(windows.levels()[0], at(minute));
    [start, closing].map(|minute| Timestamp::from_nanosecond(minute.0.into()).unwrap().to_string())
}

#[test]
fn windows_begin_where_people_expect_them() {
    let (berlin, york) = (Some("Europe/Berlin"), Some("America/New_York"));
    for (level, zone, minute, start, closing) in [
        ("5m", None, "2026-01-05T10:04:00Z", "2026-01-05T10:00:00Z", "2026-01-05T10:04:00Z"),
        ("1h+15m", berlin, "2026-01-05T10:04:00Z", "2026-01-05T09:15:00Z", "2026-01-05T10:14:00Z"),
        ("1h", None, "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1969-12-31T23:59:00Z"),
        ("1d", None, "2026-01-05T10:04:00Z", "2026-01-05T00:00:00Z", "2026-01-05T23:59:00Z"),
        ("1d", berlin, "2026-01-05T23:04:00Z", "2026-01-05T23:00:00Z", "2026-01-06T22:59:00Z"),
        // A day of 23 hours, and one of 25.
        ("1d", berlin, "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:00Z"),
        ("1d", berlin, "2026-10-25T10:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:00Z"),
        // Days that begin at an hour that is skipped (02:30 is 03:30), and that comes twice.
        ("1d+2h30m", berlin, "2026-03-29T10:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:29:00Z"),
        ("1d+2h30m", berlin, "2026-10-25T10:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:29:00Z"),
        // A session's day: from 18:00 in New York on.
        ("1d+18h", york, "2026-01-05T10:00:00Z", "2026-01-04T23:00:00Z", "2026-01-05T22:59:00Z"),
        // 2026-01-05 is a Monday.
        ("1w", None, "2026-01-11T23:59:00Z", "2026-01-05T00:00:00Z", "2026-01-11T23:59:00Z"),
        ("1w", None, "2026-01-12T00:00:00Z", "2026-01-12T00:00:00Z", "2026-01-18T23:59:00Z"),
        ("1w", berlin, "2026-01-04T23:00:00Z", "2026-01-04T23:00:00Z", "2026-01-11T22:59:00Z"),
        ("1w", berlin, "2026-03-29T21:59:00Z", "2026-03-22T23:00:00Z", "2026-03-29T21:59:00Z"),
        ("1w+6d", None, "2026-01-11T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-17T23:59:00Z"),
        ("1w+1d9h", berlin, "2026-01-06T07:59:00Z", "2025-12-30T08:00:00Z", "2026-01-06T07:59:00Z"),
        // 2011-12-30 never was in Samoa.
        ("1d", Some("Pacific/Apia"), "2011-12-30T09:59:00Z", "2011-12-29T10:00:00Z", "2011-12-30T09:59:00Z"),
        ("1d", Some("Pacific/Apia"), "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T09:59:00Z"),
        ("1d", Some("+05:30"), "2026-01-05T18:30:00Z", "2026-01-05T18:30:00Z", "2026-01-06T18:29:00Z"),
    ] {
        assert_eq!(span(level, zone, minute), [start, closing], "{level} {zone:?} {minute}");
    }
}

/// Windows of a level follow one another without gap or overlap, and each minute is in the one that it is said to be in.
#[test]
fn every_minute_is_in_one_window() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Havana",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "Asia/Tehran",
        "Pacific/Apia",
        "Africa/Monrovia",
        "-03:30",
    ];
    let lists = ["5m,1h,4h,1d,1w", "7m,1h+15m,1d+9h30m,1w+1d", "1d+23h59m,1w+6d23h59m", "90m,24h,1d+2h,1w+2h30m"];
    for round in 0..400 {
        let zone = rng.bool().then(|| zones[rng.usize(..zones.len())]);
        let windows = windows(lists[round % lists.len()], zone);
        // This century and the last, or any time that is decoded.
        let most = if rng.bool() { EventTime::LIMIT } else { 2_000_000_000 * SECOND };
        let minute = WindowStart(rng.i64(-most..most).div_euclid(MINUTE) * MINUTE);
        let mut last = LastSpans::new(&windows);
        assert!(last.each(minute).eq(windows.levels().iter().map(|level| windows.span(*level, minute))));
        for (level, span) in windows.levels().iter().zip(last.each(minute).collect::<Vec<_>>()) {
            let said = format!("{level} {zone:?} {minute:?} seed {seed}");
            assert!(span.contains(minute), "{said}");
            let within = WindowStart(rng.i64(span.start.0 / MINUTE..=span.closing.0 / MINUTE) * MINUTE);
            for other in [span.start, within, span.closing] {
                assert_eq!(windows.span(*level, other), span, "{said} {other:?}");
            }
            let next = windows.span(*level, WindowStart(span.closing.0 + MINUTE));
            assert_eq!(next.start.0, span.closing.0 + MINUTE, "{said}");
            assert_eq!(windows.span(*level, WindowStart(span.start.0 - MINUTE)).closing.0, span.start.0 - MINUTE);
            let length = span.closing.0 + MINUTE - span.start.0;
            if level.is_calendar() && zone.is_some() {
                assert!((length - level.length()).abs() <= 25 * 60 * MINUTE, "{said}: {length}");
            } else {
                assert_eq!(length, level.length(), "{said}");
            }
            assert!(windows.last_closing(minute) >= span.closing);
        }
    }
}

/// A day is what its date says, where its zone's clocks show whole minutes.
#[test]
fn days_are_dates() {
    let mut rng = fastrand::Rng::with_seed(fastrand::u64(..));
    for name in ["Europe/Berlin", "America/New_York", "America/Havana", "Pacific/Apia"] {
        let (windows, zone) = (windows("1d", Some(name)), time_zone(name).unwrap());
        for _ in 0..300 {
            let minute = WindowStart(rng.i64(0..4_000_000_000 / 60) * MINUTE);
            let date =
                |minute: WindowStart| zone.to_datetime(Timestamp::from_nanosecond(minute.0.into()).unwrap()).date();
            let span = windows.span(windows.levels()[0], minute);
            assert_eq!([span.start, span.closing].map(date), [date(minute); 2], "{name} {minute:?}");
            assert_ne!(date(WindowStart(span.start.0 - MINUTE)), date(minute));
        }
    }
}

#[test]
fn windows_are_whole_multiples_of_the_minutes_they_are_made_of() {
    let of = |list: &str, seconds: i64| {
        let windowing = Windowing { length: seconds * SECOND, lateness: 0 };
        CoarseWindows::new(&list.parse().unwrap(), None, &windowing).map(drop).map_err(|e| e.to_string())
    };
    for (list, seconds) in [("5m,1d,1w", 60), ("14s", 7), ("1d,1w", 3600), ("1w", 86_400), ("none", 7), ("1h+15m", 900)]
    {
        assert_eq!(of(list, seconds), Ok(()), "{list} of {seconds} s");
    }
    for (list, seconds, why) in [
        ("1m", 60, "`1m`: must be longer than --window 1m"),
        ("1d", 86_400, "must be longer than --window 24h"),
        ("90s", 60, "whole multiples of --window 1m"),
        ("1h+30s", 60, "whole multiples"),
        ("1d", 7, "whole multiples of --window 7s"),
    ] {
        assert!(of(list, seconds).unwrap_err().contains(why), "{list} of {seconds} s: {:?}", of(list, seconds));
    }
    let unknown = CoarseWindows::new(&"1d".parse().unwrap(), Some("Europe/Berlim"), &Windowing::default());
    assert!(matches!(unknown, Err(WindowsError::Zone(_))));
}
