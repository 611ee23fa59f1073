//! What somebody sees who watches a run from beside: rows before they are committed, the marks that give them their
//! states, the run's status. A live view, metrics.
//!
//! It runs ahead of what is committed, and steps back with a run that was killed. What it promises: marks are told only
//! after all rows that they make final, so that a row which is called final by them has its final numbers. A row that
//! could not be told is named ([`PreviewRows::lost`]).

use crate::checkpoint::Manifest;
use crate::control::Control;
use crate::marks::Marks;
use crate::partition::DelayHistogram;
use crate::record::DeadLetter;
use crate::row::Row;
use crate::status::Status;
use crate::time::{Epoch, Monotonic, SECOND, WindowStart};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A status is told at most that often, in nanoseconds.
const STATUS_EVERY: i64 = SECOND / 10;

/// Rows as they are now, from one worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PreviewRows {
    /// The numbers of windows that changed. The state in them says nothing: it follows from the marks.
    pub rows: Vec<Row>,
    /// Rows up to this window were left out: more changed than could be told, or they were forgotten meanwhile.
    pub lost: Option<WindowStart>,
}

/// Is told by worker 0, between two steps of the dataflow: returns at once.
pub trait Watcher {
    /// Rows that changed.
    fn rows(&mut self, rows: PreviewRows);
    /// All rows are told that these marks make final.
    fn marks(&mut self, marks: Marks);
    /// How the run is, at most every 100 ms, and when it cannot go on. [`Status::newest`] may be ahead of the marks that
    /// were told.
    fn status(&mut self, status: &Status, behind: &DelayHistogram);
    /// Dead letters of a cut that was committed just now.
    fn letters(&mut self, letters: &[DeadLetter]);
}

/// The objects of the newest manifest that is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Its number.
    pub seq: u64,
    /// Bytes of its objects.
    pub bytes: u64,
    /// How many there are.
    pub objects: usize,
}

impl StateSize {
    /// What this manifest names.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let objects = || manifest.parts.iter().flat_map(|part| &part.objects);
        StateSize { seq: manifest.seq, bytes: objects().map(|object| object.bytes).sum(), objects: objects().count() }
    }
}

/// Worker 0's side: keeps the order of rows and marks.
pub(crate) struct Watch {
    watcher: Box<dyn Watcher>,
    /// Marks that wait for rows of epochs before this one.
    waiting: VecDeque<(Epoch, Marks)>,
    told: Option<Epoch>,
    status_at: Option<Monotonic>,
    /// The newest of each worker.
    behind: Vec<DelayHistogram>,
}

impl Watch {
    pub(crate) fn new(watcher: Box<dyn Watcher>, workers: usize) -> Self {
        let behind = vec![DelayHistogram::default(); workers];
        Watch { watcher, waiting: VecDeque::new(), told: None, status_at: None, behind }
    }

    pub(crate) fn behind(&mut self, worker: usize, behind: DelayHistogram) {
        self.behind[worker] = behind;
    }

    pub(crate) fn letters(&mut self, letters: &[DeadLetter]) {
        if !letters.is_empty() {
            self.watcher.letters(letters);
        }
    }

    /// After a round of Control. `rows` came since the last; those of epochs before `through` have all come, of all
    /// epochs for none.
    pub(crate) fn look(&mut self, rows: Vec<PreviewRows>, through: Option<Epoch>, control: &Control, now: Monotonic) {
        rows.into_iter().for_each(|rows| self.watcher.rows(rows));
        let (epoch, marks) = control.weighed();
        if self.waiting.back().is_none_or(|(last, _)| *last < epoch) && self.told.is_none_or(|told| told < epoch) {
            self.waiting.push_back((epoch, marks));
        }
        let mut newest = None;
        while let Some((epoch, marks)) = self.waiting.front().copied().filter(|(e, _)| through.is_none_or(|t| *e <= t))
        {
            self.waiting.pop_front();
            self.told = Some(epoch);
            newest = Some(marks);
        }
        if let Some(marks) = newest {
            self.watcher.marks(marks);
        }
        if self.status_at.is_none_or(|at| now.0 - at.0 >= STATUS_EVERY) {
            self.status_at = Some(now);
            self.status(control);
        }
    }

    /// How the run is.
    pub(crate) fn status(&mut self, control: &Control) {
        let mut behind = DelayHistogram::default();
        self.behind.iter().for_each(|worker| behind.add(worker));
        self.watcher.status(&control.status(), &behind);
    }
}
