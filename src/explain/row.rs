//! The row of the minute, as the log gives it.

use super::reading::MinuteReading;
use super::wanted::WantedMinute;
use crate::verify::{ExpectedRow, OpenLog};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::oracle::{PlainSums, derived_values};
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{State, WindowStart};

/// See the module; none where nothing counts, or where it cannot be counted again. Of columns that are made of all minutes before, and of
/// those that look back at minutes which cannot be counted again, nothing is known.
pub(super) fn of_minute(
    log: &OpenLog,
    wanted: &WantedMinute<'_>,
    reading: &MinuteReading,
    (state, scales): (State, Scales),
) -> Option<ExpectedRow> {
    let sums = reading.sums.get(&wanted.window)?;
    let row = sums.row(wanted.symbol, wanted.window, state, (log.columns.market, scales));
    let width = log.columns.derived.columns().count();
    let mut buckets = wanted.back_to.0.div_euclid(BUCKET)..=wanted.window.0.div_euclid(BUCKET);
    let (derived, known) = if state == State::Partial || width == 0 {
        (vec![None; width], vec![true; width])
    } else if buckets.any(|bucket| log.facts.unverifiable(bucket).is_some()) {
        (vec![None; width], vec![false; width])
    } else {
        let whole = |window: WindowStart| log.state_of(window) != State::Partial;
        let minutes: Vec<(WindowStart, &PlainSums)> =
            reading.sums.iter().filter(|(at, _)| whole(**at)).map(|(at, sums)| (*at, sums)).collect();
        let values = derived_values(&minutes, None, &log.columns, (scales, wanted.windowing.length));
        values.into_iter().map(|value| (value.flatten(), value.is_some())).unzip()
    };
    Some(ExpectedRow::new(Row { derived: derived.into(), ..row }, known))
}
