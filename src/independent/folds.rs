//! Metrics of all minutes of a series so far (R14): `emaN`, `macd`, `rsiN`.

use super::derived::{IndependentColumns, average_digits};
use super::fraction::{half_even, nearest, power_of_ten};
use super::sums::IndependentSums;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::time::{SECOND, WindowStart};
use num_bigint::{BigInt, Sign};

/// Metrics begin again where two minutes of a series begin more than seven days apart.
const LONGEST_GAP: i64 = 7 * 24 * 3600 * SECOND;

/// Of one series.
pub(crate) struct IndependentFolds {
    newest: Option<i64>,
    /// No minute before the first that was given is lacking.
    is_known: bool,
    folds: Vec<MetricFold>,
}

/// One metric, as of the minutes that it was given.
#[derive(Clone, Debug)]
enum MetricFold {
    Ema(EmaState),
    Macd { short: EmaState, long: EmaState, signal: EmaState },
    Rsi(Box<RsiState>),
}

impl IndependentFolds {
    /// Of no minute yet. `whole`: the first that comes is the first that there is.
    pub(crate) fn begin(columns: &IndependentColumns, whole: bool) -> Self {
        IndependentFolds { newest: None, is_known: whole, folds: folds(columns) }
    }

    /// Of one more minute, which lacks nothing: the values of its columns, where they are known.
    pub(crate) fn step(
        &mut self,
        columns: &IndependentColumns,
        start: WindowStart,
        sums: &IndependentSums,
        scales: Scales,
    ) -> Option<Vec<Option<f64>>> {
        if self.newest.is_some_and(|newest| start.0 - newest > LONGEST_GAP) {
            self.is_known = true;
            self.folds = folds(columns);
        }
        self.newest = Some(start.0);
        let average = sums.average(scales);
        let unit = power_of_ten(average_digits(scales));
        let values = self.folds.iter_mut().flat_map(|fold| fold.step(&average, &unit)).collect();
        Some(values).filter(|_| self.is_known || self.folds.is_empty())
    }
}

/// Of no minute yet, in the order of the columns.
fn folds(columns: &IndependentColumns) -> Vec<MetricFold> {
    let fold = |(word, n): &(String, u32)| match word.as_str() {
        "ema" => Some(MetricFold::Ema(EmaState::of(*n))),
        "macd" => Some(MetricFold::Macd { short: EmaState::of(12), long: EmaState::of(26), signal: EmaState::of(9) }),
        "rsi" => Some(MetricFold::Rsi(Box::new(RsiState { n: *n, last: None, first: Vec::new(), means: None }))),
        _ => None,
    };
    columns.metrics.iter().filter_map(fold).collect()
}

impl MetricFold {
    fn step(&mut self, average: &BigInt, unit: &BigInt) -> Vec<Option<f64>> {
        let value = |number: BigInt| Some(nearest(number, unit.clone()));
        match self {
            MetricFold::Ema(ema) => vec![value(ema.step(average))],
            MetricFold::Macd { short, long, signal } => {
                let line = short.step(average) - long.step(average);
                let signal = signal.step(&line);
                vec![value(line), value(signal)]
            }
            MetricFold::Rsi(rsi) => vec![rsi.step(average)],
        }
    }
}

/// e ← e + 2(x − e)/(n + 1), from the first x on.
#[derive(Clone, Debug)]
struct EmaState {
    n: u32,
    e: Option<BigInt>,
}

impl EmaState {
    fn of(n: u32) -> Self {
        EmaState { n, e: None }
    }

    fn step(&mut self, x: &BigInt) -> BigInt {
        let next = match &self.e {
            None => x.clone(),
            // Over one denominator, so that it is rounded once.
            Some(e) => half_even(&(e * (self.n + 1) + (x - e) * 2), &BigInt::from(self.n + 1)),
        };
        self.e.insert(next).clone()
    }
}

/// Wilder's: means of gains and of losses.
#[derive(Clone, Debug)]
struct RsiState {
    n: u32,
    last: Option<BigInt>,
    /// The first n changes, while there are fewer.
    first: Vec<BigInt>,
    means: Option<WilderMeans>,
}

/// Means of gains and of losses, times a power of two.
#[derive(Clone, Debug)]
struct WilderMeans {
    gain: BigInt,
    loss: BigInt,
    doubled: u64,
}

impl RsiState {
    fn step(&mut self, average: &BigInt) -> Option<f64> {
        let last = self.last.replace(average.clone())?;
        let change = average - last;
        let n = BigInt::from(self.n);
        let next = match self.means.take() {
            Some(means) => {
                let WilderMeans { gain, loss, doubled } = means.scaled_for(&change);
                let step = |mean: BigInt, part: BigInt| half_even(&(mean * (self.n - 1) + (part << doubled)), &n);
                WilderMeans { gain: step(gain, gain_of(&change)), loss: step(loss, gain_of(&-&change)), doubled }
            }
            None => {
                self.first.push(change);
                if self.first.len() < usize::try_from(self.n).unwrap_or(usize::MAX) {
                    return None;
                }
                let gains = self.first.iter().map(gain_of).sum();
                let losses = self.first.iter().map(|change| gain_of(&-change)).sum();
                let sums = WilderMeans { gain: gains, loss: losses, doubled: 0 }.scaled_for(&BigInt::ZERO);
                WilderMeans { gain: half_even(&sums.gain, &n), loss: half_even(&sums.loss, &n), doubled: sums.doubled }
            }
        };
        let WilderMeans { gain, loss, .. } = self.means.insert(next);
        let both: BigInt = &*gain + &*loss;
        (both.sign() == Sign::Plus).then(|| nearest(&*gain * 100, both))
    }
}

/// A change, or 0 where it is a fall.
fn gain_of(change: &BigInt) -> BigInt {
    if change.sign() == Sign::Plus { change.clone() } else { BigInt::ZERO }
}

impl WilderMeans {
    /// Doubled as often as leaves 116 bits to the larger of them and to the next change doubled as often, or halved (half to even).
    fn scaled_for(self, change: &BigInt) -> Self {
        let larger = (&self.gain).max(&self.loss);
        // As many bits as they have without having been doubled; of 0 nothing is asked.
        let room = |number: &BigInt, doubled: u64| match number.bits() {
            0 => None,
            bits => Some((116 + doubled).saturating_sub(bits)),
        };
        let most = [room(larger, self.doubled), room(change, 0)].into_iter().flatten().min().unwrap_or(self.doubled);
        let scaled = |mean: BigInt| match most.checked_sub(self.doubled) {
            Some(more) => mean << more,
            None => half_even(&mean, &(BigInt::from(1) << (self.doubled - most))),
        };
        WilderMeans { gain: scaled(self.gain), loss: scaled(self.loss), doubled: most }
    }
}
