//! Metrics that never forget: a state a series, one step a minute that has a row.
//!
//! All are of the minutes' averages, in fixed point. With α = 2/(n + 1) and x the average of a minute:
//!
//! | | begins | each step |
//! |---|---|---|
//! | `ema` | x | e + α(x − e) (pandas: `ewm(span=n, adjust=False)`) |
//! | `macd` | 0 | ema of 12 less ema of 26; its signal is the ema of 9 of that |
//! | `rsi` | mean of the first n gains, and of losses | (g(n − 1) + gain)/n, and so for losses; 100 g/(g + l) (Wilder, 1978) |
//!
//! `ema` and `macd` are in steps of the last digit of fixed-point numbers ([`fixed`]). An `rsi` is a quotient of two averages that both
//! fade while nothing moves, so they have more digits the smaller they are: else an hour of one price would leave what rounding left.
//!
//! A minute without a row is no step. After seven days without one a series begins anew: so what is kept has a bound.

use super::fixed;
use super::list::{DerivedList, Metric};
use crate::decimal::nearest;
use crate::time::{SECOND, WindowStart};
use crate::wide::U256;
use serde::{Deserialize, Serialize};

/// Between the starts of two minutes with rows, in nanoseconds: after more than that a series begins anew.
pub(crate) const LONGEST_GAP: i64 = 7 * 24 * 3600 * SECOND;

/// The states of one series, after its newest minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    newest: WindowStart,
    states: Vec<FoldState>,
}

/// What one metric keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FoldState {
    Ema(Ema),
    Macd { fast: Ema, slow: Ema, signal: Ema },
    Rsi(Rsi),
}

/// An exponential moving average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ema {
    minutes: u16,
    value: i128,
}

impl Ema {
    #[cfg(test)]
    pub(super) fn value(&self) -> i128 {
        self.value
    }

    fn step(&mut self, x: i128) {
        let n = i128::from(self.minutes);
        self.value = fixed::quotient(2 * x + (n - 1) * self.value, n + 1);
    }
}

/// A relative strength index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rsi {
    minutes: u16,
    /// Changes so far, up to `minutes`.
    changes: u16,
    last: i128,
    /// Sums of the first changes, then averages: fixed-point numbers times 2^`doubled`.
    gain: i128,
    loss: i128,
    doubled: u32,
}

/// Bits of the averages of an [`Rsi`] and of a change, at most, but for changes that have more themselves. A thousand times as many
/// fit an i128. So do those that are not doubled: gains of any m changes add up to at most (m + 1)·10^35, and earlier ones weigh
/// less, so n times their average is at most (n + 1)·10^35.
const RSI_BITS: u32 = 116;

impl Rsi {
    fn begin(minutes: u16, x: i128) -> Self {
        Rsi { minutes, changes: 0, last: x, gain: 0, loss: 0, doubled: 0 }
    }

    fn step(&mut self, x: i128) {
        let change = x - self.last;
        let n = i128::from(self.minutes);
        self.last = x;
        if self.changes == self.minutes {
            self.scale(change);
            let change = if change == 0 { 0 } else { change << self.doubled };
            self.gain = fixed::quotient(self.gain * (n - 1) + change.max(0), n);
            self.loss = fixed::quotient(self.loss * (n - 1) + (-change).max(0), n);
            return;
        }
        self.changes += 1;
        (self.gain, self.loss) = (self.gain + change.max(0), self.loss + (-change).max(0));
        if self.changes == self.minutes {
            self.scale(0);
            (self.gain, self.loss) = (fixed::quotient(self.gain, n), fixed::quotient(self.loss, n));
        }
    }

    /// Doubles both averages as often as they and the next change have room, or halves them (half to even).
    fn scale(&mut self, change: i128) {
        let bits = |x: i128| 128 - x.unsigned_abs().leading_zeros();
        let of_averages = bits(self.gain.max(self.loss));
        let averages = (of_averages > 0).then(|| (self.doubled + RSI_BITS).saturating_sub(of_averages));
        let change = (change != 0).then(|| RSI_BITS.saturating_sub(bits(change)));
        let Some(doubled) = averages.into_iter().chain(change).min() else { return };
        for average in [&mut self.gain, &mut self.loss] {
            *average = match doubled.checked_sub(self.doubled) {
                Some(more) if *average != 0 => *average << more,
                Some(_) => 0,
                None => 1_i128
                    .checked_shl(self.doubled - doubled)
                    .filter(|by| *by > 0)
                    .map_or(0, |by| fixed::quotient(*average, by)),
            };
        }
        self.doubled = doubled;
    }

    /// None before there are enough changes, and where nothing ever moved.
    fn value(&self) -> Option<f64> {
        let all = u128::try_from(self.gain + self.loss).ok().filter(|all| *all > 0 && self.changes == self.minutes)?;
        Some(nearest(false, U256::product(self.gain.unsigned_abs(), 100), U256::from(all)))
    }
}

impl FoldState {
    fn begin(metric: Metric, x: i128) -> Option<Self> {
        let ema = |minutes, value| Ema { minutes, value };
        match metric {
            Metric::Ema(minutes) => Some(FoldState::Ema(ema(minutes, x))),
            Metric::Macd => Some(FoldState::Macd { fast: ema(12, x), slow: ema(26, x), signal: ema(9, 0) }),
            Metric::Rsi(minutes) => Some(FoldState::Rsi(Rsi::begin(minutes, x))),
            Metric::Rolling(..) | Metric::Change(_) | Metric::Variance | Metric::Stddev => None,
        }
    }

    fn step(&mut self, x: i128) {
        match self {
            FoldState::Ema(ema) => ema.step(x),
            FoldState::Macd { fast, slow, signal } => {
                fast.step(x);
                slow.step(x);
                signal.step(fast.value - slow.value);
            }
            FoldState::Rsi(rsi) => rsi.step(x),
        }
    }

    /// Appends the values of its columns.
    pub(super) fn push_values(&self, decimals: u8, values: &mut Vec<Option<f64>>) {
        let f64_of = |fixed| Some(fixed::to_f64(fixed, decimals));
        match self {
            FoldState::Ema(ema) => values.push(f64_of(ema.value)),
            FoldState::Macd { fast, slow, signal } => {
                values.extend([f64_of(fast.value - slow.value), f64_of(signal.value)]);
            }
            FoldState::Rsi(rsi) => values.push(rsi.value()),
        }
    }
}

impl Fold {
    /// Of a series' first minute.
    pub(super) fn begin(list: &DerivedList, window: WindowStart, average: i128) -> Self {
        let states = list.metrics().filter_map(|metric| FoldState::begin(metric, average)).collect();
        Fold { newest: window, states }
    }

    /// Is this window's gap short enough for it to go on?
    pub(super) fn reaches(&self, window: WindowStart) -> bool {
        window.0.saturating_sub(self.newest.0) <= LONGEST_GAP
    }

    pub(super) fn step(&mut self, window: WindowStart, average: i128) {
        self.newest = window;
        self.states.iter_mut().for_each(|state| state.step(average));
    }

    /// In the order of the list.
    pub(super) fn states(&self) -> impl Iterator<Item = &FoldState> {
        self.states.iter()
    }

    /// The newest minute in it.
    pub fn newest(&self) -> WindowStart {
        self.newest
    }
}
