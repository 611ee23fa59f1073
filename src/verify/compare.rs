//! What the log comes to, beside what a sink holds: cell by cell.

use super::recount::RecordSpan;
use crate::sinks::{StoredCell, StoredRows};
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{State, WindowStart};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A row by the log.
pub(crate) struct ExpectedRow {
    pub(crate) row: Row,
    /// Of each column of `--derive`: is its value known?
    pub(crate) known: Vec<bool>,
    pub(super) spans: Vec<RecordSpan>,
}

impl ExpectedRow {
    /// Of which it is told elsewhere which records count.
    pub(crate) fn new(row: Row, known: Vec<bool>) -> Self {
        ExpectedRow { row, known, spans: Vec::new() }
    }
}

/// The rows of some minutes.
pub(crate) type ExpectedRows = BTreeMap<(WindowStart, String), ExpectedRow>;

/// A cell that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CellDifference {
    pub(crate) column: String,
    pub(super) is: StoredCell,
    pub(super) should_be: StoredCell,
}

/// What is wrong with one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Missing,
    Different(Vec<CellDifference>),
    /// The log has nothing that counts for it.
    Extra,
}

/// A row that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowFinding {
    pub(super) minute: WindowStart,
    pub(super) symbol: String,
    pub(super) fault: Fault,
    /// Records that count for it.
    pub(super) spans: Vec<RecordSpan>,
}

/// What came of one sink.
#[derive(Clone, Debug, Default)]
pub(super) struct SinkTally {
    pub(super) equal: u64,
    pub(super) missing: u64,
    pub(super) different: u64,
    pub(super) extra: u64,
    /// Columns of `--derive` that some of its rows do not have: files that were begun without them.
    pub(super) absent: BTreeSet<String>,
    /// The first faults.
    pub(super) findings: Vec<RowFinding>,
}

impl SinkTally {
    pub(super) fn faults(&self) -> u64 {
        self.missing + self.different + self.extra
    }

    fn add(&mut self, finding: RowFinding, most: usize) {
        match finding.fault {
            Fault::Missing => self.missing += 1,
            Fault::Different(_) => self.different += 1,
            Fault::Extra => self.extra += 1,
        }
        if self.findings.len() < most {
            self.findings.push(finding);
        }
    }
}

/// A sink that is compared.
pub(crate) struct ComparedSink {
    /// As the state calls it.
    pub(crate) name: String,
    pub(crate) takes: RowFilter,
    /// It has stored every window before this.
    pub(crate) stored_before: Option<WindowStart>,
    pub(crate) rows: Box<dyn StoredRows>,
    /// Of each of its columns: which of `--derive` it is.
    derived: Vec<Option<usize>>,
    pub(super) tally: SinkTally,
}

impl ComparedSink {
    /// `derived`: the columns of `--derive`.
    pub(super) fn new(
        name: String,
        takes: RowFilter,
        stored_before: Option<WindowStart>,
        rows: Box<dyn StoredRows>,
        derived: &[String],
    ) -> Self {
        let place = |column: &String| derived.iter().position(|name| name == column);
        let derived = rows.columns().iter().map(place).collect();
        ComparedSink { name, takes, stored_before, rows, derived, tally: SinkTally::default() }
    }

    /// Compares the rows of these minutes, of which `is_known` are known by the log. At most so many findings are kept.
    ///
    /// # Errors
    /// It cannot be read, in words.
    pub(super) fn compare(
        &mut self,
        minutes: Range<WindowStart>,
        expected: &ExpectedRows,
        is_known: impl Fn(WindowStart) -> bool,
        most: usize,
    ) -> Result<(), String> {
        let end = self.stored_before.map_or(minutes.start, |before| before.min(minutes.end));
        let minutes = minutes.start..end;
        if minutes.is_empty() {
            return Ok(());
        }
        let mut stored: BTreeMap<(WindowStart, String), Vec<StoredCell>> = BTreeMap::new();
        self.rows.read(minutes.clone(), &mut |minute, symbol, cells| {
            if is_known(minute) {
                stored.insert((minute, symbol), cells);
            }
        })?;
        let takes = |row: &ExpectedRow| {
            (self.takes.partial || row.row.state != State::Partial) && self.rows.can_hold(&row.row.symbol)
        };
        let due = expected.range((minutes.start, String::new())..(minutes.end, String::new()));
        for (key, row) in due.filter(|(_, row)| takes(row)) {
            let fault = match stored.remove(key) {
                None => Some(Fault::Missing),
                Some(cells) => {
                    self.tally.absent.extend(self.absent(&cells));
                    self.differences(row, cells).map(Fault::Different)
                }
            };
            let (minute, symbol) = key.clone();
            match fault {
                None => self.tally.equal += 1,
                Some(fault) => self.tally.add(RowFinding { minute, symbol, fault, spans: row.spans.clone() }, most),
            }
        }
        for (minute, symbol) in stored.into_keys() {
            self.tally.add(RowFinding { minute, symbol, fault: Fault::Extra, spans: Vec::new() }, most);
        }
        Ok(())
    }

    /// The columns of `--derive` that a row does not have.
    fn absent(&self, stored: &[StoredCell]) -> Vec<String> {
        let columns = self.rows.columns().iter().zip(&self.derived).zip(stored);
        let absent = columns.filter(|((_, derived), cell)| derived.is_some() && matches!(cell, StoredCell::NoColumn));
        absent.map(|((name, _), _)| name.clone()).collect()
    }

    /// The cells of a row that are not what they should be; none where all are.
    pub(crate) fn differences(&self, expected: &ExpectedRow, stored: Vec<StoredCell>) -> Option<Vec<CellDifference>> {
        let should_be = self.rows.cells(&expected.row);
        let columns = self.rows.columns().iter().zip(&self.derived);
        let is_known = |derived: Option<usize>| derived.is_none_or(|place| expected.known.get(place) == Some(&true));
        let differ = |((column, derived), (is, should_be)): ((&String, &Option<usize>), (StoredCell, StoredCell))| {
            let is_absent = derived.is_some() && matches!(is, StoredCell::NoColumn);
            let differs = is != should_be && !is_absent && is_known(*derived);
            differs.then(|| CellDifference { column: column.clone(), is, should_be })
        };
        let all: Vec<_> = columns.zip(stored.into_iter().zip(should_be)).filter_map(differ).collect();
        Some(all).filter(|all| !all.is_empty())
    }

    /// What it should hold of a row, cell by cell; none where that is not known.
    pub(crate) fn known_cells(&self, expected: &ExpectedRow) -> Vec<Option<StoredCell>> {
        let is_known = |derived: Option<usize>| derived.is_none_or(|place| expected.known.get(place) == Some(&true));
        let cells = self.rows.cells(&expected.row).into_iter().zip(&self.derived);
        cells.map(|(cell, derived)| Some(cell).filter(|_| is_known(*derived))).collect()
    }
}
