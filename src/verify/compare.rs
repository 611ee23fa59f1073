//! What the log comes to, beside what a sink holds: cell by cell.

use super::recount::RecordSpan;
use crate::sinks::{ForeignRow, StoredCell, StoredRows};
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::row::{Row, RowKind};
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

/// Rows of one kind, all of those of windows that begin in this range.
pub(crate) struct KindRows {
    pub(crate) kind: RowKind,
    pub(crate) starts: Range<WindowStart>,
    pub(crate) rows: ExpectedRows,
}

impl KindRows {
    /// How many minutes have rows of series: 0 of other kinds of rows.
    pub(crate) fn minutes(&self) -> u64 {
        let minutes: BTreeSet<WindowStart> = self.rows.keys().map(|(window, _)| *window).collect();
        if self.kind == RowKind::Minute { minutes.len() as u64 } else { 0 }
    }
}

/// A cell that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CellDifference {
    pub(crate) column: String,
    pub(crate) is: StoredCell,
    pub(crate) should_be: StoredCell,
}

/// What is wrong with one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    Missing,
    Different(Vec<CellDifference>),
    /// The log has nothing that counts for it.
    Extra,
}

/// A row that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowFinding {
    pub(crate) minute: WindowStart,
    pub(crate) symbol: String,
    pub(crate) fault: Fault,
    /// Records that count for it.
    pub(crate) spans: Vec<RecordSpan>,
    /// Its cells as the sink holds them; none where it is missing.
    pub(crate) stored: Vec<StoredCell>,
}

/// What came of one sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct SinkTally {
    pub(crate) equal: u64,
    pub(crate) missing: u64,
    pub(crate) different: u64,
    pub(crate) extra: u64,
    /// Columns of `--derive` that some of its rows do not have: files that were begun without them.
    pub(super) absent: BTreeSet<String>,
    /// The first faults.
    pub(crate) findings: Vec<RowFinding>,
    /// The first of those rows which no run has written; all of them are extra.
    pub(crate) foreign: Vec<ForeignRow>,
}

impl SinkTally {
    pub(crate) fn faults(&self) -> u64 {
        self.missing + self.different + self.extra
    }

    pub(crate) fn add(&mut self, finding: RowFinding, most: usize) {
        match finding.fault {
            Fault::Missing => self.missing += 1,
            Fault::Different(_) => self.different += 1,
            Fault::Extra => self.extra += 1,
        }
        if self.findings.len() < most {
            self.findings.push(finding);
        }
    }

    /// Adds a row that no run has written.
    pub(crate) fn add_foreign(&mut self, row: ForeignRow, most: usize) {
        self.extra += 1;
        if self.foreign.len() < most {
            self.foreign.push(row);
        }
    }

    /// Lines for a person: what is wrong with these findings, and with the first of the rows that no run has written. And how many more
    /// faults there are.
    pub(crate) fn shown(&self, most: usize) -> (impl Iterator<Item = &RowFinding>, impl Iterator<Item = &str>, u64) {
        let (found, foreign) = (self.findings.len().min(most), self.foreign.len().min(most));
        let more = self.faults() - (found + foreign) as u64;
        (self.findings.iter().take(found), self.foreign.iter().take(foreign).map(|row| row.what.as_str()), more)
    }
}

/// A sink that is compared.
pub(crate) struct ComparedSink {
    /// As the state calls it.
    pub(crate) name: String,
    /// Which of its rows.
    pub(crate) kind: RowKind,
    pub(crate) takes: RowFilter,
    /// It has stored every window of the kind that begins before this.
    pub(crate) stored_before: Option<WindowStart>,
    pub(crate) rows: Box<dyn StoredRows>,
    /// A column of `--derive` that it does not have is made once something is written: then each row lacks its value.
    pub(crate) makes_columns: bool,
    /// Of each of its columns: which of `--derive` it is.
    derived: Vec<Option<usize>>,
    pub(crate) tally: SinkTally,
}

impl ComparedSink {
    /// `derived`: the columns of `--derive`, or those of groups.
    pub(crate) fn new(
        name: String,
        (kind, takes): (RowKind, RowFilter),
        stored_before: Option<WindowStart>,
        rows: Box<dyn StoredRows>,
        derived: &[String],
    ) -> Self {
        let place = |column: &String| derived.iter().position(|name| name == column);
        let derived = rows.columns().iter().map(place).collect();
        ComparedSink {
            name,
            kind,
            takes,
            stored_before,
            rows,
            makes_columns: false,
            derived,
            tally: SinkTally::default(),
        }
    }

    /// Which of its rows, where they are not those of minutes: `5m`, `groups`.
    pub(crate) fn kind_name(&self) -> Option<String> {
        match self.kind {
            RowKind::Minute => None,
            RowKind::Window(level) => Some(level.to_string()),
            RowKind::Group => Some("groups".to_owned()),
        }
    }

    /// Compares rows of its kind, of windows of which `is_known` says that they are known by the log. At most so many findings
    /// are kept.
    ///
    /// # Errors
    /// It cannot be read, in words.
    pub(crate) fn compare(
        &mut self,
        rows: &KindRows,
        is_known: impl Fn(WindowStart) -> bool,
        most: usize,
    ) -> Result<(), String> {
        let found = self.find(rows, is_known)?;
        found.into_iter().for_each(|finding| self.tally.add(finding, most));
        Ok(())
    }

    /// What is wrong with these rows. Those that are equal are counted.
    ///
    /// # Errors
    /// It cannot be read, in words.
    pub(crate) fn find(
        &mut self,
        KindRows { starts, rows: expected, .. }: &KindRows,
        is_known: impl Fn(WindowStart) -> bool,
    ) -> Result<Vec<RowFinding>, String> {
        let end = self.stored_before.map_or(starts.start, |before| before.min(starts.end));
        let minutes = starts.start..end;
        let mut found = Vec::new();
        if minutes.is_empty() {
            return Ok(found);
        }
        let mut stored: BTreeMap<(WindowStart, String), Vec<StoredCell>> = BTreeMap::new();
        let mut add = |minute, symbol, cells| {
            if is_known(minute) {
                stored.insert((minute, symbol), cells);
            }
        };
        self.rows.read(minutes.clone(), &mut add, &mut || true)?;
        let takes = |row: &ExpectedRow| {
            (self.takes.partial || row.row.state != State::Partial) && self.rows.can_hold(&row.row.symbol)
        };
        let due = expected.range((minutes.start, String::new())..(minutes.end, String::new()));
        for (key, row) in due.filter(|(_, row)| takes(row)) {
            let (fault, stored) = match stored.remove(key) {
                None => (Some(Fault::Missing), Vec::new()),
                Some(cells) => {
                    self.tally.absent.extend(self.absent(&cells));
                    (self.differences(row, &cells).map(Fault::Different), cells)
                }
            };
            let (minute, symbol) = key.clone();
            match fault {
                None => self.tally.equal += 1,
                Some(fault) => found.push(RowFinding { minute, symbol, fault, spans: row.spans.clone(), stored }),
            }
        }
        for ((minute, symbol), stored) in stored {
            found.push(RowFinding { minute, symbol, fault: Fault::Extra, spans: Vec::new(), stored });
        }
        Ok(found)
    }

    /// Adds what no run has written, in these ranges of minutes; without one, wherever it stands. At most so many are kept.
    ///
    /// # Errors
    /// It cannot be read, in words.
    pub(crate) fn add_foreign(&mut self, within: &[Range<WindowStart>], most: usize) -> Result<(), String> {
        let tally = &mut self.tally;
        self.rows.foreign(within, &mut |row| tally.add_foreign(row, most))
    }

    /// The row as it is to be written: what the log does not say of it is as the sink has it. How many columns are not known at all.
    pub(crate) fn completed(&self, expected: &ExpectedRow, stored: &[StoredCell]) -> (Row, usize) {
        let mut row = expected.row.clone();
        let mut unknown = expected.known.iter().filter(|known| !**known).count();
        for (derived, cell) in self.derived.iter().zip(stored) {
            let place = derived.filter(|place| expected.known.get(*place) == Some(&false));
            let (Some(place), StoredCell::Float(value)) = (place, cell) else { continue };
            if let Some(of_row) = row.derived.get_mut(place) {
                (*of_row, unknown) = (Some(*value), unknown - 1);
            }
        }
        (row, if stored.is_empty() { unknown } else { 0 })
    }

    /// The columns of `--derive` that a row does not have.
    fn absent(&self, stored: &[StoredCell]) -> Vec<String> {
        let columns = self.rows.columns().iter().zip(&self.derived).zip(stored);
        let absent = columns.filter(|((_, derived), cell)| derived.is_some() && matches!(cell, StoredCell::NoColumn));
        absent.map(|((name, _), _)| name.clone()).collect()
    }

    /// The cells of a row that are not what they should be; none where all are.
    pub(crate) fn differences(&self, expected: &ExpectedRow, stored: &[StoredCell]) -> Option<Vec<CellDifference>> {
        let should_be = self.rows.cells(&expected.row);
        let columns = self.rows.columns().iter().zip(&self.derived);
        let is_known = |derived: Option<usize>| derived.is_none_or(|place| expected.known.get(place) == Some(&true));
        let differ = |((column, derived), (is, should_be)): ((&String, &Option<usize>), (&StoredCell, StoredCell))| {
            let is_absent = derived.is_some() && matches!(is, StoredCell::NoColumn);
            let is_absent = is_absent && (!self.makes_columns || should_be == StoredCell::Nothing);
            let differs = *is != should_be && !is_absent && is_known(*derived);
            differs.then(|| CellDifference { column: column.clone(), is: is.clone(), should_be })
        };
        let all: Vec<_> = columns.zip(stored.iter().zip(should_be)).filter_map(differ).collect();
        Some(all).filter(|all| !all.is_empty())
    }

    /// What it should hold of a row, cell by cell; none where that is not known.
    pub(crate) fn known_cells(&self, expected: &ExpectedRow) -> Vec<Option<StoredCell>> {
        let is_known = |derived: Option<usize>| derived.is_none_or(|place| expected.known.get(place) == Some(&true));
        let cells = self.rows.cells(&expected.row).into_iter().zip(&self.derived);
        cells.map(|(cell, derived)| Some(cell).filter(|_| is_known(*derived))).collect()
    }
}
