//! What is shown of a run while it goes: rows before they are committed, the marks that give them their states, the run's
//! status. For the page and for metrics.
//!
//! It is ahead of what is committed, and a run that is killed loses that lead. It promises that marks are shown only after
//! all rows that they make final, so that a row which is final by them has its final numbers. Rows that could not be shown
//! are named ([`PreviewRows::lost`]).

use crate::marks::Marks;
use crate::partial::PartialBefore;
use crate::partition::DelayHistogram;
use crate::record::DeadLetter;
use crate::row::Row;
use crate::status::Status;
use crate::time::WindowStart;
use serde::{Deserialize, Serialize};

/// Rows as they are now, from one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PreviewRows {
    /// The numbers of windows that changed. The state in them says nothing: it follows from the marks.
    pub rows: Vec<Row>,
    /// Rows up to this window were left out: more changed than could be shown, or they were forgotten meanwhile.
    pub lost: Option<WindowStart>,
    /// Where rows are derived from other windows: from which.
    pub derived_from: Option<DerivedFrom>,
}

/// What the rows of one worker are derived from (R14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivedFrom {
    /// Which worker.
    pub worker: usize,
    /// From windows that are not partial by this.
    pub partial: PartialBefore,
    /// All of its rows are; else some are still by what was known before.
    pub complete: bool,
}

/// Is called by worker 0 between two steps of the dataflow, and returns at once.
pub trait Watcher {
    /// Rows that changed.
    fn rows(&mut self, rows: PreviewRows);
    /// Rows of groups, which are final: as a sink is sent them, and again for each sink.
    fn groups(&mut self, rows: Vec<Row>);
    /// All rows were shown that these marks make final.
    fn marks(&mut self, marks: Marks);
    /// How the run is, at most every 100 ms, and when it cannot continue. [`Status::newest`] may be ahead of the marks that
    /// were shown.
    fn status(&mut self, status: &Status, behind: &DelayHistogram);
    /// Dead letters of a cut that was committed just now.
    fn dead_letters(&mut self, dead_letters: &[DeadLetter]);
}
