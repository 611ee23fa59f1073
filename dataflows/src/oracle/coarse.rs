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

/// Which minutes the windows of one level are made of.
pub struct LevelSpans<'c> {
    level: WindowLevel,
    zone: Option<&'c TimeZone>,
    /// How long a minute is.
    minute: i64,
    /// The day or week that was asked for before.
    day: Option<[i64; 2]>,
}

impl<'c> LevelSpans<'c> {
    /// Of a level, whose minutes are so long.
    pub fn new(level: WindowLevel, columns: &'c OracleColumns, minute: i64) -> Self {
        LevelSpans { level, zone: columns.zone.as_ref(), minute, day: None }
    }

    /// The window that this minute is in: the start of its first minute, and the end of its last.
    pub fn around(&mut self, minute: WindowStart) -> [WindowStart; 2] {
        let LevelSpans { level, zone, .. } = *self;
        let [from, to] = if level.is_calendar() {
            let weekly = level.to_string().starts_with("1w");
            let known = self.day.filter(|[from, to]| (*from..*to).contains(&minute.0));
            *self.day.insert(
                known.unwrap_or_else(|| dates(weekly, level.offset(), zone.unwrap_or(&TimeZone::UTC), minute.0)),
            )
        } else {
            let from = minute.0.saturating_sub(minute.0.saturating_sub(level.offset()).rem_euclid(level.length()));
            [from, from.saturating_add(level.length())]
        };
        [from, to].map(|time| WindowStart(time.saturating_add(self.minute - 1).div_euclid(self.minute) * self.minute))
    }

    /// The row of a window of these sums.
    pub fn row(
        &self,
        (start, symbol): (WindowStart, &str),
        sums: &PlainSums,
        state: State,
        columns: &OracleColumns,
        scales: Scales,
    ) -> Row {
        let derived = derived::own(sums, state, columns, scales);
        Row { kind: RowKind::Window(self.level), derived, ..sums.row(symbol, start, state, (columns.market, scales)) }
    }
}

/// The windows of one level, and what they come to, by end, start and symbol.
type OfLevel<'c> = (LevelSpans<'c>, BTreeMap<(WindowStart, WindowStart, String), PlainSums>);

/// All of them, of the events that it was given.
pub(super) struct CoarsePage<'c> {
    columns: &'c OracleColumns,
    levels: Vec<OfLevel<'c>>,
}

impl<'c> CoarsePage<'c> {
    /// Of no event yet.
    pub(super) fn new(columns: &'c OracleColumns, minute: i64) -> Self {
        let spans = |level: &WindowLevel| (LevelSpans::new(*level, columns, minute), BTreeMap::new());
        CoarsePage { columns, levels: columns.windows.iter().map(spans).collect() }
    }

    /// An event that counts for this minute.
    pub(super) fn add(&mut self, minute: WindowStart, event: &DecodedEvent<'_>, position: Position) {
        for (spans, sums) in &mut self.levels {
            let [start, end] = spans.around(minute);
            let window = sums.entry((end, start, event.symbol.to_string()));
            window.and_modify(|sums| sums.add(event, position)).or_insert_with(|| PlainSums::of(event, position));
        }
    }

    /// All rows, each with the end of its window. `partial_before`: as for minutes.
    pub(super) fn rows(self, partial_before: Option<EventTime>, scales: Scales) -> Vec<(EventTime, Row)> {
        let mut rows = Vec::new();
        for (spans, of_level) in self.levels {
            for ((end, start, symbol), sums) in of_level {
                let state = if partial_before.is_some_and(|p| p.0 <= start.0) { State::Final } else { State::Partial };
                rows.push((EventTime(end.0), spans.row((start, &symbol), &sums, state, self.columns, scales)));
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
