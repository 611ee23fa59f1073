//! `--session`: a calendar by its name, or from a file.
//!
//! ```toml
//! zone = "Europe/Berlin"
//! holidays = ["2026-12-24", "2026-12-25"]
//! half-days = { "2026-12-30" = "14:00" }  # the day ends before this
//!
//! [[session]]
//! days = "mon-fri"                        # or "mon,wed,sat"
//! from = "09:00"
//! to = "17:30"                            # up to 24:00
//! ```

use minutely_dataflows::partition::{Calendar, DAY_MINUTES, TradingDays, TradingHours};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 1 << 20;

/// The calendar of this name, or of this file; `None` where all times count.
///
/// # Errors
/// What is wrong with the file, and where.
pub(super) fn calendar(text: &str) -> Result<Option<Calendar>, String> {
    match text {
        "24x7" => Ok(None),
        "NYSE" => Ok(Some(Calendar::nyse(false))),
        "NYSE+extended" => Ok(Some(Calendar::nyse(true))),
        path => {
            let unread = |error: std::io::Error| {
                format!("is none of NYSE, NYSE+extended and 24x7, and no file that can be read: {error}")
            };
            if std::fs::metadata(path).map_err(unread)?.len() > MAX_BYTES {
                return Err(format!("has more than {MAX_BYTES} bytes: it is no calendar"));
            }
            let text = std::fs::read_to_string(path).map_err(unread)?;
            parse(&text).map(Some).map_err(|CalendarError { at, what }| match at {
                Some(at) => format!("line {}: {what}", text[..at.start.min(text.len())].matches('\n').count() + 1),
                None => what,
            })
        }
    }
}

/// What is wrong, and where.
struct CalendarError {
    at: Option<Range<usize>>,
    what: String,
}

type Value<'i> = Spanned<DeValue<'i>>;

fn wrong(value: &Value<'_>, what: impl Into<String>) -> CalendarError {
    CalendarError { at: Some(value.span()), what: what.into() }
}

fn parse(text: &str) -> Result<Calendar, CalendarError> {
    let table = DeTable::parse(text);
    let table = table.map_err(|error| CalendarError { at: error.span(), what: error.message().to_owned() })?;
    let mut days = TradingDays::default();
    let mut zone = None;
    for (key, value) in table.get_ref().iter() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("zone", _) => zone = Some((text_of(value)?, value)),
            ("holidays", DeValue::Array(all)) => {
                for one in all.iter() {
                    days.holidays.insert(date(&text_of(one)?).ok_or_else(|| wrong(one, A_DATE))?);
                }
            }
            ("half-days", DeValue::Table(all)) => {
                for (day, end) in all.iter() {
                    let day = date(day.get_ref().as_ref()).ok_or_else(|| wrong(end, A_DATE))?;
                    days.half_days.insert(day, minute(&text_of(end)?).ok_or_else(|| wrong(end, A_TIME))?);
                }
            }
            ("session", DeValue::Array(all)) => all.iter().try_for_each(|one| session(one, &mut days))?,
            ("holidays" | "half-days" | "session", _) => {
                return Err(wrong(value, "holidays is an array, half-days a table, and each session a [[session]]"));
            }
            (other, _) => {
                return Err(wrong(
                    value,
                    format!("a calendar has zone, holidays, half-days and [[session]], not `{other}`"),
                ));
            }
        }
    }
    let Some((zone, at)) = zone else {
        return Err(CalendarError { at: None, what: "has no zone, such as zone = \"America/New_York\"".into() });
    };
    if days.weekly.iter().all(Vec::is_empty) {
        return Err(CalendarError { at: None, what: "has no [[session]]: nothing would count".into() });
    }
    Calendar::given(&zone, days).ok_or_else(|| wrong(at, format!("`{zone}` is no time zone, such as Europe/Berlin")))
}

const A_DATE: &str = "takes dates such as \"2026-12-25\"";
const A_TIME: &str = "takes times of day such as \"09:30\", up to \"24:00\"";

/// Adds a `[[session]]`.
fn session(value: &Value<'_>, days: &mut TradingDays) -> Result<(), CalendarError> {
    let DeValue::Table(table) = value.get_ref() else { return Err(wrong(value, "takes [[session]]")) };
    let (mut on, mut from, mut to) = (None, None, None);
    for (key, value) in table.iter() {
        let text = text_of(value)?;
        match key.get_ref().as_ref() {
            "days" => {
                on = Some(weekdays(&text).ok_or_else(|| wrong(value, "takes days such as \"mon-fri\" or \"mon,wed\""))?)
            }
            "from" => from = Some(minute(&text).ok_or_else(|| wrong(value, A_TIME))?),
            "to" => to = Some(minute(&text).ok_or_else(|| wrong(value, A_TIME))?),
            other => return Err(wrong(value, format!("a session has days, from and to, not `{other}`"))),
        }
    }
    let (Some(on), Some(from), Some(to)) = (on, from, to) else {
        return Err(wrong(value, "a session has days, from and to"));
    };
    if from >= to {
        return Err(wrong(
            value,
            "a session ends after it begins; one over midnight is two: to \"24:00\", and from \"00:00\"",
        ));
    }
    for day in on {
        days.weekly[day].push(TradingHours { from, to });
        days.weekly[day].sort_unstable();
    }
    Ok(())
}

fn text_of(value: &Value<'_>) -> Result<String, CalendarError> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        _ => Err(wrong(value, "takes a text")),
    }
}

fn date(text: &str) -> Option<jiff::civil::Date> {
    text.parse().ok().filter(|_| text.len() == "2026-12-25".len())
}

/// The minute of a day.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    Some(hours * 60 + minutes).filter(|minute| minutes < 60 && *minute <= DAY_MINUTES)
}

/// Days of a week, from Monday on.
fn weekdays(text: &str) -> Option<Vec<usize>> {
    let day = |name: &str| TradingDays::WEEK.iter().position(|known| *known == name.trim());
    let mut all = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) if day(first)? <= day(last)? => all.extend(day(first)?..=day(last)?),
            Some(_) => return None,
            None => all.push(day(part)?),
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all).filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_which_times_count_and_errors_say_where() {
        let file = "zone = \"Europe/Berlin\"\nholidays = [\"2026-12-25\", 2026-01-01]\n[half-days]\n\"2026-12-30\" = \"14:00\"\n\
                    [[session]]\ndays = \"mon-thu, sat\"\nfrom = \"09:00\"\nto = \"24:00\"\n[[session]]\ndays = \"sat\"\n\
                    from = \"00:00\"\nto = \"08:30\"\n";
        let said = "Europe/Berlin mon 09:00-24:00 tue 09:00-24:00 wed 09:00-24:00 thu 09:00-24:00 sat 00:00-08:30 \
                    sat 09:00-24:00 closed 2026-01-01 closed 2026-12-25 until 2026-12-30 14:00";
        let calendar = |text: &str| parse(text).map(|calendar| calendar.to_string()).map_err(|error| error.what);
        assert_eq!(calendar(file).unwrap(), said);
        for (was, is, error) in [
            ("Europe/Berlin", "Europe/Berln", "is no time zone"),
            ("24:00", "24:01", "times of day"),
            ("2026-12-25", "2026-12-32", "dates"),
            ("mon-thu", "thu-mon", "takes days"),
            ("\"08:30\"", "\"00:00\"", "over midnight"),
            ("zone =", "zones =", "not `zones`"),
            ("zone = \"Europe/Berlin\"", "", "has no zone"),
            ("[half-days]", "[half-days", "expected"),
        ] {
            let said = calendar(&file.replacen(was, is, 1)).unwrap_err();
            assert!(said.contains(error), "{is}: {said}");
        }
        assert_eq!(calendar("zone = \"UTC\"").unwrap_err(), "has no [[session]]: nothing would count");
    }
}
