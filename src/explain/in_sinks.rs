//! The row of the minute, as each sink holds it now.

use super::reading::WorkWatch;
use super::symbols::KnownSymbols;
use super::wanted::WantedMinute;
use crate::sinks::StoredCell;
use crate::verify::{ComparedSink, ExpectedRow, Unverifiable};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::{SECOND, State, WindowStart};
use std::collections::BTreeSet;
use std::ops::Range;

/// How a sink's row is beside the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SinkVerdict {
    Equal,
    Different,
    Missing,
    /// The log has nothing that counts for it.
    Extra,
    /// Nothing is said, for this reason: neither is it equal nor is it wrong.
    NotCompared(&'static str),
}

impl SinkVerdict {
    /// For a person and for a program.
    pub(super) fn word(self) -> &'static str {
        match self {
            SinkVerdict::Equal => "equal",
            SinkVerdict::Different => "different",
            SinkVerdict::Missing => "missing",
            SinkVerdict::Extra => "extra",
            SinkVerdict::NotCompared(_) => "not compared",
        }
    }

    /// Is the sink wrong?
    pub(super) fn is_fault(self) -> bool {
        matches!(self, SinkVerdict::Different | SinkVerdict::Missing | SinkVerdict::Extra)
    }
}

/// One column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CellView {
    pub(super) column: String,
    pub(super) sink: Option<StoredCell>,
    /// None where the log has no row, or this cell of it is not known.
    pub(super) log: Option<StoredCell>,
    pub(super) differs: bool,
}

/// A sink's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SinkView {
    pub(super) name: String,
    pub(super) verdict: SinkVerdict,
    /// None where neither the sink nor the log has a row.
    pub(super) cells: Vec<CellView>,
}

/// What is known of the minute beside the sink.
#[derive(Clone, Copy)]
pub(super) struct MinuteFacts<'a> {
    pub(super) wanted: &'a WantedMinute<'a>,
    pub(super) expected: Option<&'a ExpectedRow>,
    pub(super) state: State,
    pub(super) unverifiable: Option<Unverifiable>,
    /// Windows from here on are not final.
    pub(super) final_before: WindowStart,
}

fn unreadable(why: String) -> Halt {
    Halt::new(HaltKind::Unreachable, why)
}

/// Reads rows of a sink, for as long as `watch` lets it.
fn read(
    sink: &mut ComparedSink,
    minutes: Range<WindowStart>,
    each: &mut dyn FnMut(WindowStart, String, Vec<StoredCell>),
    watch: &mut WorkWatch<'_>,
) -> Result<(), Halt> {
    watch()?;
    let mut ended = None;
    let read = sink.rows.read(minutes, each, &mut || match watch() {
        Ok(()) => true,
        Err(halt) => {
            ended = Some(halt);
            false
        }
    });
    ended.map_or_else(|| read.map_err(unreadable), Err)
}

/// Looks into a sink.
///
/// # Errors
/// It cannot be read; what `watch` says.
pub(super) fn look(
    sink: &mut ComparedSink,
    minute: &MinuteFacts<'_>,
    watch: &mut WorkWatch<'_>,
) -> Result<SinkView, Halt> {
    let MinuteFacts { wanted, expected, .. } = *minute;
    let mut stored: Option<Vec<StoredCell>> = None;
    let one = wanted.window..WindowStart(wanted.window.0 + 1);
    let mut add = |at, symbol, cells| {
        if at == wanted.window && symbol == wanted.symbol {
            stored = Some(cells);
        }
    };
    read(sink, one, &mut add, watch)?;
    let differing: BTreeSet<String> = match (expected, &stored) {
        (Some(expected), Some(cells)) => {
            let differ = sink.differences(expected, cells).unwrap_or_default();
            differ.into_iter().map(|cell| cell.column).collect()
        }
        _ => BTreeSet::new(),
    };
    let verdict = verdict(sink, minute, (stored.is_some(), differing.is_empty()));
    let log = expected.map(|expected| sink.known_cells(expected));
    let columns = sink.rows.columns().iter().enumerate().filter(|_| stored.is_some() || log.is_some());
    let cell = |(place, column): (usize, &String)| CellView {
        column: column.clone(),
        sink: stored.as_ref().and_then(|cells| cells.get(place).cloned()),
        log: log.as_ref().and_then(|cells| cells.get(place).cloned().flatten()),
        differs: differing.contains(column),
    };
    Ok(SinkView { name: sink.name.clone(), verdict, cells: columns.map(cell).collect() })
}

fn verdict(sink: &ComparedSink, minute: &MinuteFacts<'_>, (is_stored, is_equal): (bool, bool)) -> SinkVerdict {
    let MinuteFacts { wanted, expected, state, unverifiable, final_before } = *minute;
    if unverifiable.is_some() {
        return SinkVerdict::NotCompared("the log cannot be counted again");
    }
    if wanted.window >= final_before {
        return match (expected.is_some(), is_stored) {
            (true, true) if is_equal => SinkVerdict::Equal,
            (_, true) => {
                SinkVerdict::NotCompared("the minute is not final, and the sink may have it as of another commit")
            }
            (_, false) if sink.takes.changes => {
                SinkVerdict::NotCompared("the minute is not final, and the sink has no row yet")
            }
            (_, false) => SinkVerdict::NotCompared("the minute is not final, and the sink takes final rows alone"),
        };
    }
    let takes = expected.is_some() && (sink.takes.partial || state != State::Partial);
    if expected.is_some() && !sink.rows.can_hold(wanted.symbol) {
        return SinkVerdict::NotCompared("the sink can hold no row of this symbol");
    }
    if sink.stored_before.is_none_or(|before| wanted.window >= before) && !(takes && is_stored && is_equal) {
        return SinkVerdict::NotCompared("the sink had not stored the minute by the newest manifest");
    }
    match (takes, is_stored) {
        (true, true) if is_equal => SinkVerdict::Equal,
        (true, true) => SinkVerdict::Different,
        (true, false) => SinkVerdict::Missing,
        (false, true) => SinkVerdict::Extra,
        (false, false) if expected.is_some() => SinkVerdict::NotCompared("the sink takes no rows that are partial"),
        (false, false) => SinkVerdict::Equal,
    }
}

/// Adds the symbols that a sink has within an hour of the minute: a run that goes on has no memory for more.
///
/// # Errors
/// It cannot be read; what `watch` says.
pub(super) fn add_symbols(
    sink: &mut ComparedSink,
    window: WindowStart,
    known: &mut KnownSymbols,
    watch: &mut WorkWatch<'_>,
) -> Result<(), Halt> {
    const HOUR: i64 = 3600 * SECOND;
    let around = WindowStart(window.0.saturating_sub(HOUR))..WindowStart(window.0.saturating_add(HOUR));
    read(sink, around, &mut |_, symbol, _| known.add(&symbol), watch)
}
