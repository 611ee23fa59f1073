//! The live view: feeds a [`Watcher`], and keeps the order of rows and marks.

use super::inbox::PreviewFacts;
use crate::marks::Marks;
use crate::partition::DelayHistogram;
use crate::record::DeadLetter;
use crate::row::Row;
use crate::status::Status;
use crate::time::{Epoch, Monotonic, SECOND};
use crate::watch::{DerivedFrom, Watcher};
use std::collections::{BTreeMap, VecDeque};

/// A status is shown at most that often, in nanoseconds.
const STATUS_EVERY: i64 = SECOND / 10;

/// See the module.
pub(super) struct LiveView {
    watcher: Box<dyn Watcher>,
    /// Marks that wait for rows of epochs before this one.
    waiting: VecDeque<(Epoch, Marks)>,
    /// Marks were shown as of all epochs before this one.
    shown: Option<Epoch>,
    status_at: Option<Monotonic>,
    /// The newest of each worker.
    behind: Vec<DelayHistogram>,
    /// What the rows of each worker are derived from that has shown any.
    derived_from: BTreeMap<usize, DerivedFrom>,
}

impl LiveView {
    pub(super) fn new(watcher: Box<dyn Watcher>, workers: usize) -> Self {
        let behind = vec![DelayHistogram::default(); workers];
        let derived_from = BTreeMap::new();
        LiveView { watcher, waiting: VecDeque::new(), shown: None, status_at: None, behind, derived_from }
    }

    /// Dead letters of a cut that was committed just now.
    pub(super) fn dead_letters(&mut self, dead_letters: &[DeadLetter]) {
        if !dead_letters.is_empty() {
            self.watcher.dead_letters(dead_letters);
        }
    }

    /// Rows of groups that a sink is sent.
    pub(super) fn groups(&mut self, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.watcher.groups(rows);
        }
    }

    /// Shows what came since the last call, and the newest marks all of whose rows were shown. `marks`: as of all epochs
    /// before that one.
    pub(super) fn show(&mut self, fresh: PreviewFacts, (epoch, marks): (Epoch, Marks)) {
        fresh.behind.into_iter().for_each(|(worker, behind)| self.behind[worker] = behind);
        for rows in fresh.rows {
            self.derived_from.extend(rows.derived_from.map(|from| (from.worker, from)));
            self.watcher.rows(rows);
        }
        if self.waiting.back().is_none_or(|(last, _)| *last < epoch) && self.shown.is_none_or(|shown| shown < epoch) {
            self.waiting.push_back((epoch, marks));
        }
        let mut newest = None;
        let derived_from = &self.derived_from;
        let is_derived =
            |marks: &Marks| derived_from.values().all(|from| from.complete && from.partial == marks.partial_before);
        let can_be_shown = |(e, marks): &(Epoch, Marks)| fresh.through.reached(*e) && is_derived(marks);
        while let Some((epoch, marks)) = self.waiting.front().copied().filter(can_be_shown) {
            self.waiting.pop_front();
            self.shown = Some(epoch);
            newest = Some(marks);
        }
        if let Some(marks) = newest {
            self.watcher.marks(marks);
        }
    }

    /// Is a status to be shown now? Then the next is not for a while.
    pub(super) fn status_is_due(&mut self, now: Monotonic) -> bool {
        let due = self.status_at.is_none_or(|at| now.0 - at.0 >= STATUS_EVERY);
        if due {
            self.status_at = Some(now);
        }
        due
    }

    /// Shows how the run is.
    pub(super) fn status(&mut self, status: &Status) {
        let mut behind = DelayHistogram::default();
        self.behind.iter().for_each(|worker| behind.add(worker));
        self.watcher.status(status, &behind);
    }
}
