//! A published row: what sinks write. Everything in it is exact or correctly rounded once (R9).

use crate::coarse::WindowLevel;
use crate::decimal::ExactNumber;
use crate::derived::DerivedValues;
use crate::time::{State, WindowStart};
use serde::{Deserialize, Serialize};

/// What a row is of. In this order rows of one window of the run follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RowKind {
    /// One window of `--window` of one series.
    #[default]
    Minute,
    /// One window of this length of one series, of `--windows`.
    Window(WindowLevel),
    /// One window of `--window` of one group of series, of `--groups`: its columns are [`crate::derived::GROUP_COLUMNS`].
    Group,
}

/// One window of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is of.
    pub kind: RowKind,
    /// The series, or the group.
    pub symbol: String,
    /// The window's start.
    pub minute: WindowStart,
    /// How many records count, at least 1.
    pub count: i64,
    /// Their exact sum.
    pub sum: ExactNumber,
    /// The f64 nearest to sum/count, ties to even.
    pub avg: f64,
    /// Where the window is in its life.
    pub state: State,
    /// With `--metrics market`.
    pub market: Option<MarketRow>,
    /// One for each column of `--derive`, or of a group; without them, empty.
    pub derived: DerivedValues,
}

impl Row {
    /// What no other row of a run has but versions of this one: what it is of, when that begins, and the series.
    pub fn point(&self) -> (RowKind, WindowStart, String) {
        (self.kind, self.minute, self.symbol.clone())
    }
}

/// What `--metrics market` adds to a row. Prices are the nearest f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketRow {
    /// Value of the record with the smallest (event time, partition identity, offset).
    pub open: f64,
    /// Largest value.
    pub high: f64,
    /// Smallest value.
    pub low: f64,
    /// Value of the record with the largest (event time, partition identity, offset).
    pub close: f64,
    /// Exact sum of the weights; none where no record that counts had one.
    pub volume: Option<ExactNumber>,
    /// Sum of value x weight over the sum of weights; none unless that is above 0.
    pub vwap: Option<f64>,
}
