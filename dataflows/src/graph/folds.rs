//! The folds of one worker's series: what recursive metrics keep of minutes that are retired ([`crate::derived`]).
//!
//! A fold is stepped as a minute is retired, in the order of minutes, and holds exactly the minutes before `retired_before`. So it is
//! as final as they are, and a row's value is the fold and the minutes that are held. A cut has the folds that changed.

use crate::checkpoint::ObjectBuilder;
use crate::derived::{Deriver, Fold, LONGEST_GAP, MinuteSums};
use crate::mutants::{self, Mutant};
use crate::time::WindowStart;
use std::collections::HashMap;

/// Under which window a fold stands in an object: a series has one.
const FOLD: WindowStart = WindowStart(0);

/// See the module.
#[derive(Default)]
pub(crate) struct FoldTable {
    folds: HashMap<Box<str>, Kept>,
    /// Changed since the cut before.
    changed: Vec<Box<str>>,
    /// Folds that are too old to go on were looked for last when windows before this were retired.
    swept: Option<WindowStart>,
}

/// One series' fold, from its first minute on.
#[derive(Default)]
struct Kept {
    fold: Option<Fold>,
    /// Is it among those that changed?
    changed: bool,
}

impl FoldTable {
    /// What an earlier run kept. All of it is to be written again: objects are of one generation.
    pub(crate) fn restore(&mut self, folds: impl IntoIterator<Item = (Box<str>, Fold)>) {
        if mutants::on(Mutant::FoldsNotRestored) {
            return;
        }
        self.folds = folds.into_iter().map(|(name, fold)| (name, Kept { fold: Some(fold), changed: true })).collect();
        self.changed = self.folds.keys().cloned().collect();
    }

    pub(crate) fn get(&self, series: &str) -> Option<&Fold> {
        self.folds.get(series)?.fold.as_ref()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.folds.len() as u64
    }

    /// A minute of this series is retired; nothing is kept of it where no metric is recursive.
    pub(crate) fn step(
        &mut self,
        deriver: &Deriver,
        series: &str,
        window: WindowStart,
        minute: impl FnOnce() -> MinuteSums,
    ) {
        if !deriver.list().is_recursive() {
            return;
        }
        if !self.folds.contains_key(series) {
            self.folds.insert(series.into(), Kept::default());
        }
        let kept = self.folds.get_mut(series).expect("it is there");
        deriver.step(&mut kept.fold, window, &minute());
        if !kept.changed {
            kept.changed = true;
            self.changed.push(series.into());
        }
    }

    /// Windows before this are retired: forgets, now and then, what no later minute goes on from.
    pub(crate) fn sweep(&mut self, retired_before: WindowStart) {
        let due = |swept: WindowStart| retired_before.0.saturating_sub(swept.0) > LONGEST_GAP / 8;
        if self.swept.is_none_or(due) {
            self.swept = Some(retired_before);
            let old = |fold: &Fold| retired_before.0.saturating_sub(fold.newest().0) > LONGEST_GAP;
            self.folds.retain(|_, kept| !kept.fold.as_ref().is_some_and(old));
        }
    }

    /// What is to be written of a cut.
    pub(crate) fn take_changed(&mut self) -> ObjectBuilder {
        let mut builder = ObjectBuilder::default();
        for series in self.changed.drain(..) {
            if let Some(kept) = self.folds.get_mut(&series).filter(|kept| kept.changed) {
                kept.changed = false;
                let fold = kept.fold.as_ref().expect("a fold begins with its first minute");
                builder.push(FOLD, &series, fold);
            }
        }
        builder
    }
}
