//! Derived values: what a row says beside its own minute's numbers, made of the minutes before it (moving averages and the like),
//! or of more than sums (`stddev`).
//!
//! ```text
//!   minutes held, as of a commit ──> strip of one series ──┐
//!   retired minutes ──> fold of the series ────────────────┴──> one value a column, or none
//! ```
//!
//! A value is a pure function of the series' minutes up to the row's own, so it is as final as its row (R14): nothing but exact
//! integers goes in, and each column is one correctly rounded quotient or a fixed-point number. Metrics that look back a number
//! of minutes keep those minutes from being forgotten; those that never forget are folds, one record a series.

mod change;
mod fixed;
mod folds;
mod groups;
mod list;
mod minute;
mod rolling;
mod spread;

pub use folds::Fold;
pub(crate) use folds::LONGEST_GAP;
pub use groups::{
    GROUP_COLUMNS, GroupMinute, GroupSource, GroupSums, GroupTable, GroupTableError, MAX_MEMBERSHIPS, Membership,
};
pub use list::{DeriveError, DerivedList, Metric};
pub use minute::{MarketSums, MinuteSums};

use crate::decimal::Scales;
use crate::time::{WindowStart, Windowing};
use std::collections::VecDeque;

/// The values of a row, in the order of [`DerivedList::columns`]; none where there is nothing to say.
pub type DerivedValues = Box<[Option<f64>]>;

/// The minutes of one series up to a row's own, as far as its values need them; minutes are pushed, ascending.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// Of all minutes so far.
    fold: Option<Fold>,
    /// Of those that a row still looks back at: averages, and all sums where a metric needs them.
    averages: VecDeque<(WindowStart, i128)>,
    sums: VecDeque<(WindowStart, MinuteSums)>,
}

impl Strip {
    /// Goes on from what the metrics that never forget keep of earlier minutes.
    pub fn after(fold: Option<Fold>) -> Self {
        Strip { fold, ..Strip::default() }
    }
}

/// Forgets what begins before this.
fn forget<T>(minutes: &mut VecDeque<(WindowStart, T)>, from: i64) {
    while minutes.front().is_some_and(|(start, _)| start.0 < from) {
        minutes.pop_front();
    }
}

/// Computes the values of rows.
#[derive(Clone, Debug)]
pub struct Deriver {
    list: DerivedList,
    scales: Scales,
    length: i64,
}

impl Deriver {
    /// For minutes of this length whose sums have these scales.
    pub fn new(list: DerivedList, scales: Scales, windowing: &Windowing) -> Self {
        Deriver { list, scales, length: windowing.length }
    }

    /// What it computes.
    pub fn list(&self) -> &DerivedList {
        &self.list
    }

    /// How far before a row's window others begin that it looks at, in nanoseconds; folds reach beyond.
    pub fn look_back(&self) -> i64 {
        self.list.look_back().saturating_mul(self.length)
    }

    /// A fold, and a minute that follows it.
    pub fn step(&self, fold: &mut Option<Fold>, window: WindowStart, minute: &MinuteSums) {
        if self.list.is_recursive() {
            self.step_by(fold, window, minute.average(self.scales.value));
        }
    }

    fn step_by(&self, fold: &mut Option<Fold>, window: WindowStart, average: i128) {
        match fold {
            Some(fold) if fold.reaches(window) => fold.step(window, average),
            _ => *fold = Some(Fold::begin(&self.list, window, average)),
        }
    }

    /// The strip goes on with a minute that has a row.
    pub fn push(&self, strip: &mut Strip, window: WindowStart, minute: &MinuteSums) {
        let from = window.0.saturating_sub(self.look_back());
        if self.list.needs_averages() {
            let average = minute.average(self.scales.value);
            if self.list.is_recursive() {
                self.step_by(&mut strip.fold, window, average);
            }
            forget(&mut strip.averages, from);
            strip.averages.push_back((window, average));
        }
        if self.list.needs_sums() {
            forget(&mut strip.sums, from);
            strip.sums.push_back((window, *minute));
        }
    }

    /// The strip goes on with a row's own minute: its values.
    pub fn values(&self, strip: &mut Strip, window: WindowStart, own: &MinuteSums) -> DerivedValues {
        self.push(strip, window, own);
        let mut values = Vec::with_capacity(self.list.width());
        let mut states = strip.fold.iter().flat_map(Fold::states);
        for metric in self.list.metrics() {
            match metric {
                Metric::Variance => values.push(spread::variance(own, self.scales.value)),
                Metric::Stddev => values.push(spread::stddev(own, self.scales.value)),
                Metric::Ema(_) | Metric::Macd | Metric::Rsi(_) => {
                    let state = states.next().expect("a fold has a state of each of these metrics");
                    state.push_values(self.scales.value, &mut values);
                }
                Metric::Change(minutes) => {
                    let then = window.0.saturating_sub(i64::from(minutes).saturating_mul(self.length));
                    let at = strip.sums.binary_search_by_key(&then, |(start, _)| start.0);
                    values.push(at.ok().and_then(|at| change::fraction(own, &strip.sums[at].1)));
                }
                Metric::Rolling(over, minutes) => {
                    let from = window.0.saturating_sub(i64::from(minutes - 1).saturating_mul(self.length));
                    let averages =
                        strip.averages.iter().rev().take_while(|(start, _)| start.0 >= from).map(|(_, a)| *a);
                    let sums = strip.sums.iter().rev().take_while(|(start, _)| start.0 >= from).map(|(_, sums)| sums);
                    rolling::push_values(over, (averages, sums), self.scales, &mut values);
                }
            }
        }
        values.into()
    }

    /// The values of a window that looks back at nothing: those of its own records.
    pub fn own(&self, own: &MinuteSums) -> DerivedValues {
        let mut values = Vec::with_capacity(self.list.width());
        for metric in self.list.metrics() {
            match metric {
                Metric::Variance => values.push(spread::variance(own, self.scales.value)),
                Metric::Stddev => values.push(spread::stddev(own, self.scales.value)),
                Metric::Rolling(..) | Metric::Change(_) | Metric::Ema(_) | Metric::Macd | Metric::Rsi(_) => {
                    values.extend(std::iter::repeat_n(None, metric.width()));
                }
            }
        }
        values.into()
    }

    /// Those of a row that may lack records: nothing is derived from it.
    pub fn none(&self) -> DerivedValues {
        vec![None; self.list.width()].into()
    }
}

#[cfg(test)]
mod tests;
