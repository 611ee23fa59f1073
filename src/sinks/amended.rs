//! Rows of final minutes with the late letters that missed them: beside a sink's own rows, which are never touched.
//!
//! | sink | amended rows are |
//! |---|---|
//! | `sqlite:` | in a table `TABLE_amended` |
//! | `csv:NAME.csv` | in a file `NAME.amended.csv`, which is replaced as a whole |
//! | `influxdb:`, `influxdb1:` | in a measurement `MEASUREMENT_amended` |
//!
//! Written without a run, and beside one: no version, no chain, no position. An amended row says which letters it has, so a writer needs to
//! know nothing of those before it.

use super::options::Owner;
use super::stored::StoredCell;
use crate::clock::SystemClock;
use crate::text::Columns;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{WindowStart, Windowing};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// What the state of such a row is called.
pub(crate) const AMENDED: &str = "amended";

/// A final minute of a series with late letters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AmendedRow {
    /// Its numbers; its own state is not written.
    pub(crate) row: Row,
    /// The places of its letters, in order, with a space between.
    pub(crate) letters: String,
    pub(crate) letter_count: i64,
}

/// A row that is there, as it is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredAmended {
    /// As [`AmendedRow::letters`].
    pub(crate) letters: String,
    /// In the order of [`AmendedRows::cells`].
    pub(crate) cells: Vec<StoredCell>,
}

/// By minute and symbol.
pub(crate) type StoredAmendedRows = BTreeMap<(WindowStart, String), StoredAmended>;

/// The amended rows of one sink.
pub(crate) trait AmendedRows {
    /// Can it hold rows of this symbol?
    fn can_hold(&self, _symbol: &str) -> bool {
        true
    }

    /// The names of cells, in their order.
    fn columns(&self) -> Vec<&'static str>;

    /// What it holds of a row.
    fn cells(&self, row: &AmendedRow) -> Vec<StoredCell>;

    /// What it holds of these minutes; nothing where there is no such place yet.
    ///
    /// # Errors
    /// It cannot be read; 64 where it is another job's.
    fn read(&mut self, minutes: Range<WindowStart>) -> Result<StoredAmendedRows, Halt>;

    /// Writes rows, durably. Those of other minutes and symbols stay. The same rows may be written again.
    ///
    /// # Errors
    /// It cannot be written; 64 where it is another job's.
    fn write(&mut self, rows: &[AmendedRow]) -> Result<(), Halt>;
}

/// How it is opened.
#[derive(Clone)]
pub(crate) struct AmendedOptions {
    pub(crate) columns: Columns,
    pub(crate) windowing: Windowing,
    /// The job, and as an earlier version would have recorded it.
    pub(crate) owners: Vec<Owner>,
    /// The job's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) clock: SystemClock,
}

impl AmendedOptions {
    /// Is that this job?
    pub(super) fn is_owner(&self, other: &Owner) -> bool {
        self.owners.contains(other)
    }
}

/// What is said of a place that belongs to another job.
pub(super) fn of_another_job(place: &str, theirs: &Owner) -> Halt {
    Halt::new(
        HaltKind::Usage,
        format!(
            "{place} belongs to job {}, and amended rows of two jobs would overwrite each other: give the options of that job, or \
             the sink of this one",
            theirs.job
        ),
    )
}
