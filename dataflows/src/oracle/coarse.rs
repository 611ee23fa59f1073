//! The oracle's third page: coarser windows, of all events in them, one after the other. Nothing of `crate::coarse` but the names of
//! the lengths: dates are gone through one by one.

use super::{EventsByWindow, OracleColumns, Position, derived, row};
use crate::decimal::Scales;
use crate::decode::DecodedEvent;
use crate::row::{Row, RowKind};
use crate::time::{EventTime, SECOND, State, WindowStart};
use jiff::civil::{Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;

/// All rows, each with the end of its window. `partial_before`: as for minutes.
pub(super) fn rows(
    windows: &EventsByWindow<'_>,
    partial_before: Option<EventTime>,
    columns: &OracleColumns,
    scales: Scales,
    minute: i64,
) -> Vec<(EventTime, Row)> {
    let mut rows = Vec::new();
    for level in &columns.windows {
        let mut events = BTreeMap::<(i64, i64, &str), Vec<&(Position, DecodedEvent<'_>)>>::new();
        let mut day: Option<[i64; 2]> = None;
        for ((start, symbol), of_minute) in windows {
            let (from, to) = match level.is_calendar() {
                true => {
                    let weekly = level.to_string().starts_with("1w");
                    let [from, to] = day.filter(|[from, to]| (*from..*to).contains(&start.0)).unwrap_or_else(|| {
                        dates(weekly, level.offset(), columns.zone.as_ref().unwrap_or(&TimeZone::UTC), start.0)
                    });
                    day = Some([from, to]);
                    (from, to)
                }
                false => {
                    let from = start.0 - (start.0 - level.offset()).rem_euclid(level.length());
                    (from, from + level.length())
                }
            };
            // From the first minute that begins in it to the end of the last.
            let first = |time: i64| (time + minute - 1).div_euclid(minute) * minute;
            events.entry((first(to), first(from), symbol)).or_default().extend(of_minute);
        }
        for ((end, start, symbol), mut events) in events {
            events.sort_unstable_by_key(|(position, event)| (event.time, *position));
            let state = if partial_before.is_some_and(|p| p.0 <= start) { State::Final } else { State::Partial };
            let derived = derived::own(&events, state, columns, scales);
            let (kind, minute) = (RowKind::Window(*level), WindowStart(start));
            let numbers = row(&events, columns.market, scales);
            rows.push((EventTime(end), Row { kind, symbol: symbol.to_owned(), minute, state, derived, ..numbers }));
        }
    }
    rows.sort_by_key(|(end, _)| *end);
    rows
}

/// The day or week that this instant is in, which begins so much after midnight.
fn dates(weekly: bool, later: i64, zone: &TimeZone, instant: i64) -> [i64; 2] {
    let around = zone.to_datetime(Timestamp::from_nanosecond(instant.into()).expect("within the calendar")).date();
    let mut begins = Vec::new();
    for days in -20..=20_i64 {
        let day = around + days.days();
        if !weekly || day.weekday() == Weekday::Monday {
            let clock = date(day.year(), day.month(), day.day()).at(0, 0, 0, 0) + (later / SECOND).seconds();
            let instant = zone.to_ambiguous_timestamp(clock).compatible().expect("within the calendar");
            begins.push(i64::try_from(instant.as_nanosecond()).expect("within 64 bits"));
        }
    }
    let next = begins.iter().position(|begin| *begin > instant).expect("one of the next weeks");
    [begins[next - 1], begins[next]]
}
