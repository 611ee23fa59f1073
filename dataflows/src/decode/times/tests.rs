//! Event times: every form, every reason, and against jiff.

use super::iso::{IsoTime, plain_instant};
use super::{TimeOptionError, TimeOptions, TimeProblem, TimeRule};
use crate::decode::scalar::Scalar;
use crate::decode::unit::TimeUnit;
use crate::record::Reason;
use crate::time::{EventTime, SECOND};
use jiff::tz::TimeZoneDatabase;

fn options(unit: TimeUnit, format: &str, zone: &str) -> TimeOptions {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    TimeOptions { unit, format: given(format), zone: given(zone) }
}

fn rule(format: &str, zone: &str) -> TimeRule {
    TimeRule::new(&options(TimeUnit::Milliseconds, format, zone)).unwrap()
}

fn in_unit(unit: TimeUnit) -> TimeRule {
    TimeRule::new(&options(unit, "", "")).unwrap()
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(text.into())
}

fn literal(text: &str) -> Scalar<'_> {
    Scalar::Literal(text.into())
}

/// Nanoseconds, or the reason.
fn read(rule: &TimeRule, part: Scalar<'_>) -> Result<i64, Reason> {
    rule.read(&[part]).map(|time| time.0).map_err(|problem| problem.reason)
}

/// The instant by jiff, from a text that says its offset.
fn at(text: &str) -> Result<i64, Reason> {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Ok(i64::try_from(instant.as_nanosecond()).unwrap())
}

#[test]
fn numbers_are_exact_in_every_unit() {
    use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};
    for (unit, number, want) in [
        (Seconds, "1772441400", 1_772_441_400_000_000_000),
        (Seconds, "1772441400.4327581", 1_772_441_400_432_758_100),
        (Seconds, "1554076803.2431521416", 1_554_076_803_243_152_141),
        (Seconds, "1.7724414e9", 1_772_441_400_000_000_000),
        (Seconds, "-0.0000000001", -1),
        (Milliseconds, "1772441400123", 1_772_441_400_123_000_000),
        (Milliseconds, "1772441400123.45", 1_772_441_400_123_450_000),
        (Milliseconds, "-1", -1_000_000),
        (Milliseconds, "0", 0),
        (Microseconds, "1772441400123456", 1_772_441_400_123_456_000),
        (Nanoseconds, "1772441400123456789", 1_772_441_400_123_456_789),
        (Nanoseconds, "4611686018427387904", EventTime::LIMIT),
    ] {
        for part in [literal(number), text(number)] {
            assert_eq!(read(&in_unit(unit), part), Ok(want), "{number} {unit:?}");
        }
    }
    for (unit, number) in [(Nanoseconds, "4611686018427387905"), (Seconds, "1772441400123"), (Seconds, "1e400")] {
        assert_eq!(read(&in_unit(unit), literal(number)), Err(Reason::Time), "{number}");
    }
    for other in ["", "1 ", "+1", "0x10", "1,5", "NaN", "now", "true", "１"] {
        assert_eq!(read(&in_unit(Milliseconds), text(other)), Err(Reason::Type), "{other}");
    }
}

#[test]
fn texts_that_say_their_offset_need_no_option() {
    let rule = in_unit(TimeUnit::Nanoseconds); // no unit changes them
    let day = "2026-03-02T08:30:00";
    for (written, same) in [
        ("2026-03-02T08:30:00Z", format!("{day}Z")),
        ("2026-03-02t08:30:00z", format!("{day}Z")),
        ("2026-03-02 08:30:00Z", format!("{day}Z")),
        ("2026-03-02 08:30:00 UTC", format!("{day}Z")),
        ("2026-03-02 08:30:00+00", format!("{day}Z")),
        ("2026-03-02 08:30:00 +0000", format!("{day}Z")),
        ("2026-03-02T08:30Z", format!("{day}Z")),
        ("20260302T083000Z", format!("{day}Z")),
        ("20260302T0830-0500", format!("{day}-05:00")),
        ("2026-03-02T08:30:00.123456789Z", format!("{day}.123456789Z")),
        ("2026-03-02T08:30:00,5Z", format!("{day}.5Z")),
        ("2026-03-02T08:30:00.1234567899999Z", format!("{day}.123456789Z")),
        ("2026-03-02T08:30:00.000000Z", format!("{day}Z")),
        ("2026-03-02T17:30:00.123+09:00", format!("{day}.123Z")),
        ("2026-03-02T17:30:00.123+0900", format!("{day}.123Z")),
        ("2026-03-02T17:30:00.123+09", format!("{day}.123Z")),
        ("1881-03-02T08:30:00+00:19:32", "1881-03-02T08:10:28Z".to_owned()),
        ("2026-03-02T00:30:00-23:59", "2026-03-03T00:29:00Z".to_owned()),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z".to_owned()),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z".to_owned()),
        // A leap second is in the minute that its text names.
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z".to_owned()),
        ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.25Z".to_owned()),
        ("/Date(1772440200000)/", format!("{day}Z")),
        ("/Date(1772440200000+0100)/", format!("{day}Z")),
        ("/Date(-1)/", "1969-12-31T23:59:59.999Z".to_owned()),
    ] {
        assert_eq!(read(&rule, text(written)), at(&same), "{written}");
    }
    for impossible in [
        "2026-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "1822-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00Z",
        "/Date(99999999999999999999)/",
        // Without offset and zone.
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00",
    ] {
        assert_eq!(read(&rule, text(impossible)), Err(Reason::Time), "{impossible}");
    }
    for other in [
        "2026-01-01T",
        "2026-01-01T00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01  00:00:00Z",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00 ",
        " 2026-01-01T00:00:00Z",
        "2026-1-1T00:00:00Z",
        "2026-0101T00:00:00Z",
        "01/02/2026 09:30",
        "2026-01-01T00:00:00+1:00",
        "20260101Z",
        "/Date()/",
        "/Date(1+25)/",
        "/Date(+1)/",
    ] {
        assert_eq!(read(&rule, text(other)), Err(Reason::Type), "{other}");
    }
}

#[test]
fn a_zone_is_for_texts_that_say_no_offset() {
    let berlin = rule("", "Europe/Berlin");
    for (written, same) in [
        ("2026-03-02T09:30:00", "2026-03-02T08:30:00Z"),
        ("2026-07-02 10:30:00.5", "2026-07-02T08:30:00.5Z"),
        ("2026-03-02", "2026-03-01T23:00:00Z"),
        ("20260302 0930", "2026-03-02T08:30:00Z"),
        // It says its own.
        ("2026-03-02T09:30:00Z", "2026-03-02T09:30:00Z"),
        // 02:00 to 03:00 was skipped: read with the offset before it, which is 03:30 of the clocks after it.
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        // 02:00 to 03:00 came twice: the first counts.
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
    ] {
        assert_eq!(read(&berlin, text(written)), at(same), "{written}");
    }
    assert_eq!(read(&berlin, literal("7")), Ok(7_000_000), "a number is in no zone");
    for (zone, same) in [
        ("UTC", "2026-03-02T09:30:00Z"),
        ("+01:00", "2026-03-02T08:30:00Z"),
        ("-0530", "2026-03-02T15:00:00Z"),
        ("+09", "2026-03-02T00:30:00Z"),
        ("america/new_york", "2026-03-02T14:30:00Z"),
    ] {
        assert_eq!(read(&rule("", zone), text("2026-03-02 09:30:00")), at(same), "{zone}");
    }
    assert_eq!(read(&berlin, text("9999-12-31T23:59:59")), Err(Reason::Time));
    assert_eq!(read(&berlin, text("0000-01-01")), Err(Reason::Time));
}

#[test]
fn the_second_of_a_gap_and_of_an_overlap_is_that_of_jiff() {
    let (seed, database) = (fastrand::u64(..), TimeZoneDatabase::bundled());
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
    assert!(names.len() > 400, "the database is compiled in");
    for _ in 0..400 {
        let name = rng.choice(&names).unwrap();
        let (ours, theirs) = (rule("", name), database.get(name).unwrap());
        for _ in 0..50 {
            let instant = jiff::Timestamp::from_second(rng.i64(-2_000_000_000..4_000_000_000)).unwrap();
            let near = theirs.following(instant).next().map_or(instant, |change| change.timestamp());
            let instant = if rng.bool() { near } else { instant };
            let civil =
                theirs.to_datetime(instant).saturating_add(jiff::SignedDuration::from_secs(rng.i64(-9000..9000)));
            let want = theirs.to_ambiguous_timestamp(civil).compatible().unwrap();
            let got = read(&ours, text(&civil.to_string()));
            assert_eq!(got, at(&want.to_string()), "{civil} in {name}, seed {seed}");
        }
    }
}

#[test]
fn a_format_reads_texts_and_digits() {
    for (format, zone, part, same) in [
        ("%Y%m%d", "UTC", literal("20260302"), "2026-03-02T00:00:00Z"),
        ("%Y%m%d %H%M%S%3f", "-05:00", text("20260302 093000660"), "2026-03-02T14:30:00.660Z"),
        ("%Y%m%d %H:%M:%S%.f", "UTC", text("20260302 09:30:00.804"), "2026-03-02T09:30:00.804Z"),
        ("%Y%m%d %H:%M:%S%.f", "UTC", text("20260302 09:30:00"), "2026-03-02T09:30:00Z"),
        ("%Y-%m-%d %H:%M:%S%.f", "UTC", text("2026-03-02 09:30:00.12345678912345"), "2026-03-02T09:30:00.123456789Z"),
        // What is finer than a nanosecond is cut off, and not what stands behind a point of the date.
        ("%d.%m.%Y %H:%M:%S%.f", "UTC", text("02.03.2026 09:30:00.1234567899"), "2026-03-02T09:30:00.123456789Z"),
        ("%d/%m/%Y %I:%M:%S %p", "Asia/Kolkata", text("02/03/2026 12:05:09 AM"), "2026-03-01T18:35:09Z"),
        ("%d %b %y %R", "UTC", text("2 mar 26 09:30"), "2026-03-02T09:30:00Z"),
        ("%a, %d %b %Y %T %z", "", text("Mon, 02 Mar 2026 09:30:00 -0500"), "2026-03-02T14:30:00Z"),
        ("%FT%T%:z", "", text("2026-03-02T09:30:00+01:00"), "2026-03-02T08:30:00Z"),
        ("%F %T %Q", "", text("2026-03-29 02:30:00 Europe/Berlin"), "2026-03-29T01:30:00Z"),
        ("%s", "", literal("1772440200"), "2026-03-02T08:30:00Z"),
        ("at %s s", "", text("at -1 s"), "1969-12-31T23:59:59Z"),
        ("%G-W%V-%u", "UTC", text("2026-W10-1"), "2026-03-02T00:00:00Z"),
        ("%Y-%j", "UTC", text("2026-061"), "2026-03-02T00:00:00Z"),
        ("%F %T", "Europe/Berlin", text("2026-10-25 02:30:00"), "2026-10-25T00:30:00Z"),
    ] {
        assert_eq!(read(&rule(format, zone), part), at(same), "{format}");
    }
    let days = rule("%Y-%m-%d", "UTC");
    assert_eq!(read(&days, text("2026-02-30")), Err(Reason::Time));
    assert_eq!(read(&days, text("1700-01-01")), Err(Reason::Time), "too early");
    for other in ["", "2026-01-01T00:00:00Z", "01.02.2026", "1772440200000"] {
        assert_eq!(read(&days, text(other)), Err(Reason::Type), "{other}: the format alone counts");
    }
    assert_eq!(read(&days, literal("true")), Err(Reason::Type));
}

#[test]
fn date_and_time_may_stand_in_fields_of_their_own() {
    let joined =
        |rule: &TimeRule, parts: &[Scalar<'_>]| rule.read(parts).map(|time| time.0).map_err(|p| (p.reason, p.part));
    let iso = rule("", "UTC");
    assert_eq!(joined(&iso, &[text("2026-03-02"), text("09:30:00.5")]).ok(), at("2026-03-02T09:30:00.5Z").ok());
    assert_eq!(joined(&iso, &[literal("20260302"), literal("093000")]).ok(), at("2026-03-02T09:30:00Z").ok());
    assert_eq!(
        joined(&iso, &[text("2026-03-02"), text("09:30:00"), text("+01:00")]).ok(),
        at("2026-03-02T08:30:00Z").ok()
    );
    let format = rule("%m/%d/%Y %H.%M", "UTC");
    assert_eq!(joined(&format, &[text("03/02/2026"), literal("9.30")]).ok(), at("2026-03-02T09:30:00Z").ok());
    assert_eq!(joined(&iso, &[text("2026-03-02"), Scalar::Null]), Err((Reason::Null, 1)));
    assert_eq!(joined(&iso, &[Scalar::Absent, text("09:30")]), Err((Reason::Null, 0)));
    assert_eq!(joined(&iso, &[text("2026-03-02"), Scalar::Instant(1)]), Err((Reason::Type, 1)));
    assert_eq!(joined(&iso, &[text("2026-03-02"), text("noon")]), Err((Reason::Type, 0)));
    assert_eq!(joined(&iso, &[]), Err((Reason::Null, 0)));
}

#[test]
fn an_instant_of_a_schema_is_taken_as_it_is() {
    for rule in [in_unit(TimeUnit::Seconds), rule("%F", "UTC")] {
        assert_eq!(read(&rule, Scalar::Instant(7)), Ok(7));
        assert_eq!(read(&rule, Scalar::Instant(-(1 << 62))), Ok(-EventTime::LIMIT));
        for beyond in [(1 << 62) + 1, i128::MAX, i128::MIN] {
            assert_eq!(read(&rule, Scalar::Instant(beyond)), Err(Reason::Time));
        }
    }
}

#[test]
fn a_problem_says_what_was_expected_and_what_was_found() {
    let said = |rule: &TimeRule, part: Scalar<'_>| {
        let TimeProblem { reason, expected, found, .. } = rule.read(&[part]).unwrap_err();
        format!("{} {expected} / {found}", reason.name())
    };
    let (ms, days) = (in_unit(TimeUnit::Milliseconds), rule("%Y-%m-%d", "UTC"));
    for (rule, part, want) in [
        (&ms, Scalar::Absent, "null a number of milliseconds, or a time such as 2026-01-05T08:00:00Z / no such field"),
        (&ms, Scalar::Null, "null a number of milliseconds, or a time such as 2026-01-05T08:00:00Z / null"),
        (
            &ms,
            Scalar::Other("{\"a\":1}".into()),
            "type a number of milliseconds, or a time such as 2026-01-05T08:00:00Z / {\"a\":1}",
        ),
        (&ms, text("now"), "type a number of milliseconds, or a time such as 2026-01-05T08:00:00Z / \"now\""),
        (&ms, literal("true"), "type a number of milliseconds, or a time such as 2026-01-05T08:00:00Z / true"),
        (
            &ms,
            literal("1772440200000000"),
            "time a time from 1823 to 2116, written in milliseconds / 1772440200000000; in microseconds (--time-unit us) it would \
             be plausible",
        ),
        (&ms, text("1e99"), "time a time from 1823 to 2116, written in milliseconds / \"1e99\""),
        (
            &ms,
            text("2026-03-02 09:30:00"),
            "time a time with Z or an offset, such as 2026-01-05T08:00:00+01:00, or the zone of times that have none (--time-zone) \
             / \"2026-03-02 09:30:00\"",
        ),
        (
            &ms,
            text("2026-02-30T00:00Z"),
            "time a date and a time of day that exist / \"2026-02-30T00:00Z\" (that month has no such day)",
        ),
        (&ms, text("1700-01-01T00:00Z"), "time a time from 1823 to 2116 / \"1700-01-01T00:00Z\""),
        (&days, Scalar::Null, "null a time as \"%Y-%m-%d\" says / null"),
    ] {
        assert_eq!(said(rule, part), want);
    }
    let not_so = said(&days, text("02.03.2026"));
    assert!(not_so.starts_with("type a time as \"%Y-%m-%d\" says / \"02.03.2026\" ("), "{not_so}");
    let hostile = said(&ms, text(&"\u{1b}x".repeat(100_000)));
    assert!(hostile.len() < 1000 && !hostile.contains('\u{1b}'), "{hostile}");
}

#[test]
fn options_are_checked_before_any_record_is() {
    let errors = |unit, format: &str, zone: &str| match TimeRule::new(&options(unit, format, zone)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    let ms = TimeUnit::Milliseconds;
    for (zone, nearest) in [
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("US/New_York", "America/New_York"),
        ("asia/calcuta", "Asia/Calcutta"),
    ] {
        let said = errors(ms, "", zone).join("|");
        assert!(said.ends_with(&format!("; did you mean {nearest}?")), "{said}");
    }
    for zone in ["nowhere at all", "", "+25:00", "+1", "Etc/Unknown", "../etc/passwd"] {
        let unknown = TimeRule::new(&TimeOptions { zone: Some(zone.into()), ..TimeOptions::default() }).unwrap_err();
        assert!(matches!(&unknown[..], [TimeOptionError::UnknownZone { .. }]), "{zone} {unknown:?}");
    }
    for (format, zone, part) in [
        ("%Y-%m-%d %Z", "UTC", "%Z of the time format \"%Y-%m-%d %Z\" is an abbreviation"),
        ("%Y-%m-%d %K", "UTC", "%K of the time format"),
        ("%Y-%m-%d %", "UTC", "% of the time format \"%Y-%m-%d %\" ends before its letter"),
        ("%Y-%m-%d %_5", "UTC", "%_5 of the time format"),
        ("%F %T%.", "UTC", "%. of the time format"),
        ("%F %:H", "UTC", "%:H of the time format \"%F %:H\" has no form with colons"),
        ("%F %é", "UTC", "%é of the time format"),
        ("%c", "UTC", "%c of the time format \"%c\" depends on a language"),
        ("%s.%f", "", "%s of the time format \"%s.%f\" is a whole time"),
        ("%H:%M:%S", "UTC", "does not say a time: "),
        ("%Y-%m", "UTC", "does not say a time: "),
        ("%F %M", "UTC", "does not say a time: "),
        ("%F %I:%M", "UTC", "(%I, %l) needs %p"),
        ("date", "UTC", "does not say a time: "),
        ("", "UTC", "does not say a time: "),
        ("%F %T", "", "says no offset, and no time zone is given"),
        ("%F %T", "Europe/Berln", "\"Europe/Berln\" is no time zone"),
        ("%F %T%z", "UTC", "the time zone \"UTC\" would have no effect"),
        ("%s", "UTC", "the time zone \"UTC\" would have no effect"),
    ] {
        let zone = (!zone.is_empty()).then(|| zone.to_owned());
        let wrong = TimeRule::new(&TimeOptions { format: Some(format.into()), zone, unit: ms }).unwrap_err();
        let said: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(part), "{format}: {said:?}");
    }
    assert_eq!(errors(TimeUnit::Seconds, "%F", "Nowhere/").len(), 2, "all that is wrong is said");
    assert!(errors(TimeUnit::Seconds, "%F", "UTC")[0].ends_with("the unit seconds would have no effect"));
    assert_eq!(errors(TimeUnit::Seconds, "", "UTC"), Vec::<String>::new());
}

/// Texts that are nearly times: proper ones with a few bytes changed.
fn damaged(rng: &mut fastrand::Rng) -> String {
    let seconds = rng.i64(-4_700_000_000..4_700_000_000);
    let ns = rng.i32(..1_000_000_000);
    let time = jiff::Timestamp::new(seconds, ns / 10_i32.pow(rng.u32(..10))).unwrap_or_default();
    let zone = jiff::tz::Offset::from_seconds(60 * rng.i32(-1439..1440)).unwrap().to_time_zone();
    let mut text = match rng.u8(..4) {
        0 => time.to_zoned_datetime(zone).strftime("%FT%T%.f%:z").to_string(),
        1 => time.strftime("%FT%T%.6fZ").to_string(),
        2 => time.strftime("%FT%TZ").to_string(),
        _ => time.strftime("%FT%T%.3f+00:00").to_string(),
    }
    .into_bytes();
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(..text.len());
        let byte = *rng.choice(b"0123456789012345678901234567896:-+.,TtZz []").unwrap();
        match rng.u8(..4) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, byte),
            _ => text[at] = byte,
        }
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn the_plain_form_is_read_as_jiff_and_the_other_parser_read_it() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plain = 0;
    for _ in 0..300_000 {
        let text = damaged(&mut rng);
        let jiff = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_nanosecond());
        let within = jiff.filter(|ns| ns.unsigned_abs() <= 1 << 62);
        let parsed = IsoTime::parse(text.as_bytes()).ok().and_then(|time| time.instant());
        if let Some(time) = plain_instant(text.as_bytes()) {
            assert_eq!(within, Some(i128::from(time.0)), "{text} seed {seed}");
            assert_eq!(parsed, within, "{text} seed {seed}");
            plain += 1;
        }
        // What both read is the same; jiff reads zones in brackets as well, and offsets of more than a day.
        if let (Some(ours), Some(theirs)) = (parsed, jiff) {
            assert_eq!(ours, theirs, "{text} seed {seed}");
        }
    }
    assert!(plain > 100_000, "too few to say anything: {plain}");
    for (second, ns) in [(0, 0), (-1, 999_999_999), (4_611_686_018, 427_387_904), (-4_611_686_018, 0)] {
        let text = jiff::Timestamp::new(second, ns).unwrap().to_string();
        assert_eq!(plain_instant(text.as_bytes()), Some(EventTime(second * SECOND + i64::from(ns))), "{text}");
    }
    assert_eq!(plain_instant(b"2116-02-20T23:53:38.427387905Z"), None, "2^62 and one");
}

#[test]
fn no_text_and_no_format_makes_it_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let pieces = [
        "%Y", "%m", "%d", "%H", "%M", "%S", "%.f", "%3f", "%f", "%z", "%:z", "%Q", "%s", "%p", "%I", "%a", "%b", "%j",
        "%U", "%W", "%u", "%G", "%V", "%C", "%y", "%F", "%T", "%%", "%", "%-", "%0", "%9", "%:", "%.", "-", " ", "é",
        ":", "20", "1",
    ];
    let some = |rng: &mut fastrand::Rng| (0..rng.usize(..8)).map(|_| *rng.choice(&pieces).unwrap()).collect::<String>();
    let (mut made, mut taken) = (0, 0);
    for _ in 0..20_000 {
        let (format, zone) = match rng.u8(..4) {
            0 => ("%FT%T%.f%:z".to_owned(), false), // what most of the texts are
            1 => (format!("%Y-%m-%d {}", some(&mut rng)), rng.bool()),
            _ => (some(&mut rng), rng.bool()),
        };
        let zone = zone.then(|| "Europe/Berlin".to_owned());
        let Ok(rule) = TimeRule::new(&TimeOptions { format: Some(format), zone, ..TimeOptions::default() }) else {
            continue;
        };
        made += 1;
        for _ in 0..10 {
            let part = if rng.bool() { damaged(&mut rng) } else { some(&mut rng) };
            taken += usize::from(rule.read(&[text(&part)]).is_ok());
        }
    }
    assert!(made > 100 && taken > 100, "too few to say anything: {made} formats, {taken} times");
}
