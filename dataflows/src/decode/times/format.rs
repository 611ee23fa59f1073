//! Texts by a format of strptime, as `jiff::fmt::strtime` reads them.
//!
//! A format is checked before any record is read: each directive, and whether they say a time together. For the latter, a
//! time is written by the format and read again.

use super::error::TimeOptionError;
use super::zone::Zone;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZoneDatabase;

/// A format, with the zone where it says no offset.
#[derive(Clone, Debug)]
pub(super) struct TimeFormat {
    format: String,
    place: Place,
}

/// Which instant a date and a time of day are.
#[derive(Clone, Debug)]
enum Place {
    /// `%s`: the text says seconds since 1970.
    Stamp,
    /// `%z`: the text says its offset.
    Offset,
    /// `%Q`: the text says its zone.
    Named(TimeZoneDatabase),
    /// It is in this zone.
    In(Zone),
}

/// Why a text is no time of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormatMismatch {
    /// It is not written so.
    Shape(String),
    /// It is, and there is no such time.
    Impossible(String),
}

impl TimeFormat {
    /// A format, and the zone for texts that say no offset.
    pub(super) fn new(format: &str, zone: Option<&str>) -> Result<Self, Vec<TimeOptionError>> {
        let owned = || format.to_owned();
        let zone = zone.map(|name| (name, Zone::new(name)));
        let mut errors = Vec::new();
        let directives = directives(format).unwrap_or_else(|(directive, problem)| {
            errors.push(TimeOptionError::Directive { format: owned(), directive: directive.to_owned(), problem });
            Vec::new()
        });
        let has = |directive| directives.contains(&directive);
        let place = if has('s') {
            if !directives.iter().all(|directive| matches!(directive, 's' | '%' | 'n' | 't')) {
                let problem = "is a whole time: other directives beside it would have no effect (seconds with a fraction \
                               need no format, but the unit of seconds)";
                errors.push(TimeOptionError::Directive { format: owned(), directive: "%s".into(), problem });
            }
            Some(Place::Stamp)
        } else if has('Q') {
            Some(Place::Named(TimeZoneDatabase::bundled()))
        } else {
            has('z').then_some(Place::Offset)
        };
        let place = match (place, zone) {
            (Some(place), None) => Some(place),
            (Some(_), Some((zone, _))) => {
                errors.push(TimeOptionError::UnusedZone { format: owned(), zone: zone.to_owned() });
                None
            }
            (None, Some((_, Ok(zone)))) => Some(Place::In(zone)),
            (None, Some((_, Err(unknown)))) => {
                errors.push(unknown);
                None
            }
            // Where a directive is wrong, it may be the one that says the offset.
            (None, None) if errors.is_empty() => {
                errors.push(TimeOptionError::NoZone { format: owned() });
                None
            }
            (None, None) => None,
        };
        if !directives.is_empty() || !format.contains('%') {
            errors.extend(incomplete(format).map(|why| TimeOptionError::Incomplete { format: owned(), why }));
        }
        match place {
            Some(place) if errors.is_empty() => Ok(TimeFormat { format: owned(), place }),
            _ => Err(errors),
        }
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.format
    }

    /// The instant of a text, in nanoseconds since 1970.
    pub(super) fn instant(&self, text: &str) -> Result<i128, FormatMismatch> {
        let parse = |text: &str| BrokenDownTime::parse(&self.format, text);
        // jiff reads nine digits of a second and takes a tenth for something else.
        let read = parse(text).or_else(|error| shorter_fraction(text).map_or(Err(error), |text| parse(&text)));
        let read = read.map_err(|error| FormatMismatch::Shape(error.to_string()))?;
        let instant = match &self.place {
            Place::Stamp | Place::Offset => read.to_timestamp(),
            Place::Named(database) => read.to_zoned_datetime_with(database).map(|time| time.timestamp()),
            Place::In(zone) => {
                let civil = read.to_datetime().map_err(|error| FormatMismatch::Impossible(error.to_string()))?;
                let beyond = || FormatMismatch::Impossible("it is at the end of the calendar".into());
                return zone.instant(civil).ok_or_else(beyond);
            }
        };
        instant.map(|instant| instant.as_nanosecond()).map_err(|error| FormatMismatch::Impossible(error.to_string()))
    }
}

/// The letters of all directives; or the first that cannot be read by, with what is wrong with it.
fn directives(format: &str) -> Result<Vec<char>, (&str, &'static str)> {
    const KNOWN: &str = "AaBbCDdeFfGgHhIjklMmNnPpQRSsTtUuVWwYyz%";
    let mut letters = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let whole = &rest[at..];
        let after = whole[1..].trim_start_matches(['_', '-', '0', '^', '#']);
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let colons = after.len() - after.trim_start_matches(':').len();
        let letter = after[colons..].chars().next();
        let length = whole.len() - after.len() + colons + letter.map_or(0, char::len_utf8);
        let wrong = |problem| Err((&whole[..length], problem));
        match letter {
            None => return wrong("ends before its letter (a percent sign itself is %%)"),
            Some('.') => {
                let digits = after[colons + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
                if colons > 0 || !digits.starts_with('f') {
                    return wrong("is not known: a fraction with its point is %.f");
                }
                letters.push('f');
                rest = &digits[1..];
                continue;
            }
            Some('Z') => {
                return wrong("is an abbreviation, which can mean several offsets: an offset is %z, an IANA name %Q");
            }
            Some('c' | 'r' | 'X' | 'x') => {
                return wrong("depends on a language: write its parts, such as %Y-%m-%d %H:%M:%S");
            }
            Some('q') => return wrong("does not say a day"),
            Some(letter) if !KNOWN.contains(letter) => return wrong("is not known"),
            Some('z') if colons > 3 => return wrong("has too many colons"),
            Some('Q') if colons > 1 => return wrong("has too many colons"),
            Some(letter) if colons > 0 && !matches!(letter, 'z' | 'Q') => return wrong("has no form with colons"),
            Some(letter) => letters.push(letter),
        }
        rest = &whole[length..];
    }
    Ok(letters)
}

/// What a format lacks to say a time; none if it says one.
fn incomplete(format: &str) -> Option<String> {
    // 2026-11-23T21:43:56.123456789Z: no two parts of it are alike, and each has all its digits.
    const WRITTEN_NS: i128 = 1_795_470_236_123_456_789;
    const HOUR: i8 = 21;
    let zone = TimeZoneDatabase::bundled().get("Etc/GMT").ok()?;
    let written = jiff::Timestamp::from_nanosecond(WRITTEN_NS).ok()?.to_zoned_datetime(zone);
    let text = match BrokenDownTime::from(&written).to_string(format) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let read = match BrokenDownTime::parse(format, &text) {
        Ok(read) => read,
        Err(error) => return Some(format!("what it writes ({text}) it cannot read ({error})")),
    };
    if read.timestamp().is_some() {
        return None;
    }
    match read.to_datetime() {
        Err(error) => Some(error.to_string()),
        Ok(_) if read.hour().is_some_and(|hour| hour != HOUR) => Some("an hour of 12 (%I, %l) needs %p".into()),
        Ok(civil) if civil.date() != written.date() => Some(format!("it reads {text} as {}", civil.date())),
        Ok(_) => None,
    }
}

/// The text without the digits of a second that are below a nanosecond, if it has such: those behind a point that are more than nine. (A
/// date may have points, too.)
fn shorter_fraction(text: &str) -> Option<String> {
    let digits = |point: usize| text[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
    let points = text.match_indices(['.', ',']).map(|(point, _)| point);
    let (point, digits) = points.map(|point| (point, digits(point))).find(|(_, digits)| *digits > 9)?;
    Some(format!("{}{}", &text[..point + 10], &text[point + 1 + digits..]))
}
