//! The days and hours of the New York Stock Exchange, by its public rules (<https://www.nyse.com/markets/hours-calendars>, and Rule
//! 7.2 of its rule book for holidays that fall on a weekend). They hold from 2013 on; days of mourning are listed as they come.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday, date};

/// Where it is.
pub(super) const ZONE: &str = "America/New_York";

/// Days that no rule gives: of mourning for a president.
const SPECIAL: [Date; 2] = [date(2018, 12, 5), date(2025, 1, 9)];
/// When trading ends, in minutes of the day, on half days: the session, and the late one.
const HALF_END: u16 = 13 * 60;
const HALF_LATE_END: u16 = 17 * 60;

/// The hours of a whole day, in minutes of it: 9:30 to 16:00, or 4:00 to 20:00 with the early and the late session.
pub(super) fn hours(extended: bool) -> (u16, u16) {
    if extended { (4 * 60, 20 * 60) } else { (9 * 60 + 30, 16 * 60) }
}

/// Before which minute a day ends that is no whole one: 0, where there is no trading.
pub(super) fn end(day: Date, extended: bool) -> Option<u16> {
    if is_weekend(day) || SPECIAL.contains(&day) || holidays(day.year()).contains(&Some(day)) {
        return Some(0);
    }
    is_half(day).then_some(if extended { HALF_LATE_END } else { HALF_END })
}

/// Saturday or Sunday.
fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The holidays of a year; `None` where one is not kept.
fn holidays(year: i16) -> [Option<Date>; 10] {
    let nth = |month: i8, nth: i8, weekday| {
        let first = Date::new(year, month, 1).ok()?;
        first.nth_weekday_of_month(nth, weekday).ok()
    };
    let fixed = |month: i8, day: i8| Date::new(year, month, day).ok().and_then(observed);
    // On a Saturday it would be observed in the year before, at whose end books are closed: it is not.
    let new_year = fixed(1, 1).filter(|day| day.year() == year);
    [
        new_year,
        nth(1, 3, Weekday::Monday), // Martin Luther King
        nth(2, 3, Weekday::Monday), // Washington
        good_friday(year),
        nth(5, -1, Weekday::Monday),           // Memorial Day
        fixed(6, 19).filter(|_| year >= 2022), // Juneteenth
        fixed(7, 4),
        nth(9, 1, Weekday::Monday), // Labor Day
        thanksgiving(year),
        fixed(12, 25),
    ]
}

/// The day on which a holiday is kept: the Friday before a Saturday, the Monday after a Sunday.
fn observed(day: Date) -> Option<Date> {
    match day.weekday() {
        Weekday::Saturday => day.checked_sub(1.day()).ok(),
        Weekday::Sunday => day.checked_add(1.day()).ok(),
        _ => Some(day),
    }
}

fn thanksgiving(year: i16) -> Option<Date> {
    Date::new(year, 11, 1).ok()?.nth_weekday_of_month(4, Weekday::Thursday).ok()
}

/// A day that ends at 13:00: before Independence Day, after Thanksgiving, and before Christmas, where the next day is no weekend.
fn is_half(day: Date) -> bool {
    match (day.month(), day.day()) {
        (7, 3) | (12, 24) => !is_weekend(day) && day.weekday() != Weekday::Friday,
        (11, _) => thanksgiving(day.year()).and_then(|thursday| thursday.checked_add(1.day()).ok()) == Some(day),
        _ => false,
    }
}

/// Two days before Easter Sunday, which is computed by the anonymous Gregorian algorithm.
fn good_friday(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let n = h + l - 7 * m;
    let month = (n + 90) / 25;
    let day = (n + 33 * month + 19) % 32;
    let easter = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    easter.checked_sub(2.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The holidays that the exchange has published, <https://www.nyse.com/markets/hours-calendars> and its announcements before.
    #[test]
    fn holidays_and_half_days_are_those_that_were_published() {
        let closed = [
            "2021-01-01 2021-01-18 2021-02-15 2021-04-02 2021-05-31 2021-07-05 2021-09-06 2021-11-25 2021-12-24",
            "2022-01-17 2022-02-21 2022-04-15 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-11-24 2022-12-26",
            "2023-01-02 2023-01-16 2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23 2023-12-25",
            "2024-01-01 2024-01-15 2024-02-19 2024-03-29 2024-05-27 2024-06-19 2024-07-04 2024-09-02 2024-11-28 2024-12-25",
            "2025-01-01 2025-01-09 2025-01-20 2025-02-17 2025-04-18 2025-05-26 2025-06-19 2025-07-04 2025-09-01 2025-11-27 \
             2025-12-25",
            "2026-01-01 2026-01-19 2026-02-16 2026-04-03 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-11-26 2026-12-25",
            "2027-01-01 2027-01-18 2027-02-15 2027-03-26 2027-05-31 2027-06-18 2027-07-05 2027-09-06 2027-11-25 2027-12-24",
        ];
        let half = "2021-11-26 2022-11-25 2023-07-03 2023-11-24 2024-07-03 2024-11-29 2024-12-24 2025-07-03 2025-11-28 2025-12-24 \
                    2026-11-27 2026-12-24 2027-11-26";
        let of = |text: &str| text.split_whitespace().map(|day| day.parse().unwrap()).collect::<Vec<Date>>();
        let days =
            || date(2021, 1, 1).series(1.day()).take_while(|day| day.year() < 2028).filter(|day| !is_weekend(*day));
        let found: Vec<Date> = days().filter(|day| end(*day, false) == Some(0)).collect();
        assert_eq!(found, of(&closed.join(" ")));
        let found: Vec<Date> = days().filter(|day| end(*day, false) == Some(13 * 60)).collect();
        assert_eq!(found, of(half));
        assert_eq!((end(date(2026, 11, 27), true), end(date(2026, 11, 28), true)), (Some(17 * 60), Some(0)));
    }
}
