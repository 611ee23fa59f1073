//! The oracle (R10): what a bounded run must answer, computed one record after the other from the logs, the
//! configuration and the listed exceptions. No dataflow, no epochs, no partition rule; every test of the whole compares
//! with it, byte for byte, and so does `minutely verify`. Its second page has derived values (R14), its
//! third coarser windows (R15).
//!
//! ```text
//!   record ── judge ──> counts ── sums ──> row ── derived ──> row with all its columns
//!               └──> dead letter
//! ```

use crate::coarse::WindowLevel;
use crate::decimal::Scales;
use crate::decode::Decoder;
use crate::derived::DerivedList;
use crate::partition::{Counts, Rule};
use crate::record::{DeadLetter, PartitionName, Record};
use crate::row::Row;
use crate::time::{EventTime, NextOffset, State, WindowStart};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

mod cleaning;
mod coarse;
pub(crate) mod derived;
mod folds;
mod groups;
mod judge;
mod rounding;
mod sums;

pub use coarse::LevelSpans;
pub use derived::{SeriesFolds, derived_values};
pub use groups::group_rows;
pub use judge::{Exceptions, Judgement, OraclePartition};
pub use sums::PlainSums;

/// One partition's part of the log: its records from `start` to the recorded end, in offset order.
pub struct Log<'a> {
    /// Which partition.
    pub name: PartitionName,
    /// The first offset that was read.
    pub start: NextOffset,
    /// Its records.
    pub records: Vec<Record<'a>>,
}

/// Partition identity, offset, and element.
pub type Position = (u64, i64, Option<u32>);

/// What counts for each window of a series.
type Windows = BTreeMap<(WindowStart, String), PlainSums>;

/// What must come out.
#[derive(Debug, Default, PartialEq)]
pub struct OracleAnswer {
    /// The last row of every window of every series: final or `partial`.
    pub rows: BTreeMap<(WindowStart, String), Row>,
    /// As these, of every coarser window of every series, in the order of their ends.
    pub coarse: Vec<(EventTime, Row)>,
    /// All dead letters, by partition and offset.
    pub dead_letters: Vec<DeadLetter>,
    /// Sums over all partitions; gaps are left out.
    pub counts: Counts,
}

/// What rows have beside count, sum and average.
#[derive(Clone, Debug, Default)]
pub struct OracleColumns {
    /// With `--metrics market`.
    pub market: bool,
    /// With `--derive`.
    pub derived: DerivedList,
    /// With `--windows`.
    pub windows: Vec<WindowLevel>,
    /// With `--time-zone`: of their days and weeks.
    pub zone: Option<TimeZone>,
}

/// Answers. `exceptions` are the dead letters of the run that the log alone does not give.
///
/// # Panics
/// When a registry of schemas does not answer.
pub fn answer(
    logs: &[Log<'_>],
    decoder: &Decoder,
    rule: &Rule,
    exceptions: &[DeadLetter],
    columns: &OracleColumns,
) -> OracleAnswer {
    let mut listed = OraclePartition::exceptions(exceptions);
    let mut answer = OracleAnswer::default();
    let mut windows = Windows::new();
    let mut coarse = coarse::CoarsePage::new(columns, rule.windowing.length);
    let mut partial_before = Some(EventTime(i64::MIN));
    for log in logs {
        let exceptions = listed.remove(&log.name).unwrap_or_default();
        let mut partition = OraclePartition::new(&log.name, decoder, rule, exceptions, None);
        for record in &log.records {
            let judged = partition.record(record, |judgement| match judgement {
                Judgement::Counts(window, position, event) => {
                    coarse.add(window, &event, position);
                    let key = (window, event.symbol.to_string());
                    let sums = windows.entry(key);
                    sums.and_modify(|sums| sums.add(&event, position))
                        .or_insert_with(|| PlainSums::of(&event, position));
                }
                Judgement::DeadLetter(element, cause) => {
                    answer.dead_letters.push(DeadLetter::of(record, element, &log.name, cause));
                }
            });
            judged.expect("no registry is asked, or it answers");
        }
        answer.counts.add(&partition.counts);
        let first_end = if log.start.0 == 0 { Some(EventTime(i64::MIN)) } else { partition.first_final_at() };
        partial_before = partial_before.zip(first_end).map(|(a, b)| a.max(b));
    }
    answer.rows = rows(&windows, partial_before, columns.market, decoder.scales());
    derived::fill(&mut answer.rows, &windows, columns, decoder.scales(), rule.windowing.length);
    answer.coarse = coarse.rows(partial_before, decoder.scales());
    answer.dead_letters.sort_unstable();
    answer
}

/// The rows of all windows. Those that begin before `partial_before` may lack records; all may, without it.
fn rows(
    windows: &Windows,
    partial_before: Option<EventTime>,
    market: bool,
    scales: Scales,
) -> BTreeMap<(WindowStart, String), Row> {
    let row = |(key @ (minute, symbol), sums): (&(WindowStart, String), &PlainSums)| {
        let state = if partial_before.is_some_and(|p| p.0 <= minute.0) { State::Final } else { State::Partial };
        (key.clone(), sums.row(symbol, *minute, state, (market, scales)))
    };
    windows.iter().map(row).collect()
}
