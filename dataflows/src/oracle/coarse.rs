//! The oracle's third page: coarser windows, of all events in them, one after the other. Nothing of `crate::coarse` but the names of
//! the lengths: dates are gone through one by one.

use super::{OracleColumns, PlainSums, Position, derived};
use crate::coarse::WindowLevel;
use crate::decimal::Scales;
use crate::decode::DecodedEvent;
use crate::row::{Row, RowKind};
use crate::time::{EventTime, SECOND, State, WindowStart};
use jiff::civil::{Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;

/// The windows of one level: by end, start and symbol.
struct OfLevel {
    level: WindowLevel,
    /// The day or week of the event before.
    day: Option<[i64; 2]>,
    sums: BTreeMap<(i64, i64, String), PlainSums>,
}

/// All of them, of the events that it was given.
pub(super) struct CoarsePage<'c> {
    columns: &'c OracleColumns,
    /// How long a minute is.
    minute: i64,
    levels: Vec<OfLevel>,
}

impl<'c> CoarsePage<'c> {
    /// Of no event yet.
    pub(super) fn new(columns: &'c OracleColumns, minute: i64) -> Self {
        let of_level = |level: &WindowLevel| OfLevel { level: *level, day: None, sums: BTreeMap::new() };
        CoarsePage { columns, minute, levels: columns.windows.iter().map(of_level).collect() }
    }

    /// An event that counts for this minute.
    pub(super) fn add(&mut self, window: WindowStart, event: &DecodedEvent<'_>, position: Position) {
        let (zone, minute) = (&self.columns.zone, self.minute);
        for OfLevel { level, day, sums } in &mut self.levels {
            let [from, to] = if level.is_calendar() {
                let weekly = level.to_string().starts_with("1w");
                let known = day.filter(|[from, to]| (*from..*to).contains(&window.0));
                *day.insert(known.unwrap_or_else(|| {
                    dates(weekly, level.offset(), zone.as_ref().unwrap_or(&TimeZone::UTC), window.0)
                }))
            } else {
                let from = window.0 - (window.0 - level.offset()).rem_euclid(level.length());
                [from, from + level.length()]
            };
            // From the first minute that begins in it to the end of the last.
            let first = |time: i64| (time + minute - 1).div_euclid(minute) * minute;
            let window = sums.entry((first(to), first(from), event.symbol.to_string()));
            window.and_modify(|sums| sums.add(event, position)).or_insert_with(|| PlainSums::of(event, position));
        }
    }

    /// All rows, each with the end of its window. `partial_before`: as for minutes.
    pub(super) fn rows(self, partial_before: Option<EventTime>, scales: Scales) -> Vec<(EventTime, Row)> {
        let mut rows = Vec::new();
        for OfLevel { level, sums, .. } in self.levels {
            for ((end, start, symbol), sums) in sums {
                let state = if partial_before.is_some_and(|p| p.0 <= start) { State::Final } else { State::Partial };
                let derived = derived::own(&sums, state, self.columns, scales);
                let row = sums.row(&symbol, WindowStart(start), state, (self.columns.market, scales));
                rows.push((EventTime(end), Row { kind: RowKind::Window(level), derived, ..row }));
            }
        }
        rows.sort_by_key(|(end, _)| *end);
        rows
    }
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
