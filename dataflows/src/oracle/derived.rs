//! The oracle's second page: derived values (R14), of all minutes of a series, by integers of any size. Nothing of
//! `crate::derived` but the names of the metrics: each value is computed as its definition says, and rounded as R14 says.

use super::folds::PlainFold;
use super::rounding::{half_even, nearest, nearest_root, power};
use super::{OracleColumns, PlainSums, Windows};
use crate::decimal::Scales;
use crate::derived::{DerivedValues, Metric};
use crate::row::Row;
use crate::time::{SECOND, State, WindowStart};
use crate::wide::I256;
use num_bigint::{BigInt, Sign};
use std::collections::BTreeMap;

/// A minute that lacks nothing: what its events add up to, as scaled integers.
pub(crate) struct Minute {
    start: i64,
    count: BigInt,
    sum: BigInt,
    squares: BigInt,
    high: BigInt,
    low: BigInt,
    /// None without any weight.
    volume: Option<BigInt>,
    weighted: BigInt,
    /// A weight is beyond what its scale can hold.
    weight_beyond: bool,
}

impl Minute {
    fn of(start: WindowStart, sums: &PlainSums) -> Self {
        let wide = |number: I256| {
            let (high, low) = number.halves();
            (BigInt::from(high) << 128) + low
        };
        Minute {
            start: start.0,
            count: sums.count.into(),
            sum: sums.sum.into(),
            squares: wide(sums.squares),
            high: sums.high.0.into(),
            low: sums.low.0.into(),
            volume: sums.volume.map(BigInt::from),
            weighted: wide(sums.weighted),
            weight_beyond: sums.beyond,
        }
    }

    /// With more digits than its values have.
    fn average(&self, scales: Scales) -> BigInt {
        half_even(&(&self.sum * power(digits(scales) - scales.value)), &self.count)
    }

    /// Of these values and weights, of which there is at least one.
    #[cfg(test)]
    pub(crate) fn of_pairs(start: i64, pairs: &[(i128, Option<i128>)]) -> Self {
        let values = || pairs.iter().map(|(value, _)| BigInt::from(*value));
        let weights = || pairs.iter().filter_map(|(_, weight)| weight.map(BigInt::from));
        Minute {
            start,
            count: pairs.len().into(),
            sum: values().sum(),
            squares: values().map(|value| &value * &value).sum(),
            high: values().max().expect("there is one"),
            low: values().min().expect("there is one"),
            volume: weights().next().is_some().then(|| weights().sum()),
            weighted: values().zip(pairs).filter_map(|(value, (_, weight))| Some(value * (*weight)?)).sum(),
            weight_beyond: false,
        }
    }
}

/// What one metric says in one row: a value for each of its columns.
type Cells = Vec<Option<f64>>;

/// Fills in the derived values of all rows. Those that say `partial` have none, and are no part of any other's.
pub(super) fn fill(
    rows: &mut BTreeMap<(WindowStart, String), Row>,
    windows: &Windows,
    columns: &OracleColumns,
    scales: Scales,
    length: i64,
) {
    let mut series = BTreeMap::<&str, Vec<Minute>>::new();
    for (key @ (start, symbol), sums) in windows {
        if rows[key].state != State::Partial {
            series.entry(symbol).or_default().push(Minute::of(*start, sums));
        }
    }
    let width = columns.derived.columns().count();
    rows.values_mut().for_each(|row| row.derived = vec![None; width].into());
    for (symbol, minutes) in series {
        for (minute, cells) in minutes.iter().zip(values(&minutes, columns, scales, length)) {
            let row = rows.get_mut(&(WindowStart(minute.start), symbol.to_owned()));
            row.expect("a minute has a row").derived = cells.into();
        }
    }
}

/// The derived values of a window that looks at its own events alone.
pub(super) fn own(sums: &PlainSums, state: State, columns: &OracleColumns, scales: Scales) -> DerivedValues {
    let minute = Minute::of(WindowStart(0), sums);
    let known = columns.market && state != State::Partial;
    let cell = |name: String| {
        let is_own = ["variance", "stddev"].contains(&name.as_str());
        let mut cells =
            if is_own { of_minutes(&name, std::slice::from_ref(&minute), &[], scales, &power(0)) } else { vec![None] };
        cells.pop().flatten().filter(|_| known)
    };
    columns.derived.columns().map(cell).collect()
}

/// Nanoseconds between the starts of two minutes of a series, at most, for a metric of all minutes to go on.
const LONGEST_GAP: i64 = 7 * 24 * 3600 * SECOND;

/// What metrics of all minutes so far are of one series.
pub struct SeriesFolds {
    newest: Option<i64>,
    /// No minute before the first that was given is lacking.
    known: bool,
    folds: Vec<(Metric, PlainFold)>,
}

impl SeriesFolds {
    /// Of no minute yet. `whole`: the first that comes is the first that there is.
    pub fn begin(columns: &OracleColumns, whole: bool) -> Self {
        let recursive = columns.derived.metrics().filter(|metric| metric.is_recursive());
        let folds = recursive.map(|metric| (metric, PlainFold::of(metric, parts(metric).1))).collect();
        SeriesFolds { newest: None, known: whole, folds }
    }

    /// Of one more minute, which lacks nothing: the values of its columns, where they are known.
    pub fn step(&mut self, start: WindowStart, sums: &PlainSums, scales: Scales) -> Option<Vec<Option<f64>>> {
        if self.newest.is_some_and(|newest| start.0 - newest > LONGEST_GAP) {
            self.known = true;
            self.folds.iter_mut().for_each(|(metric, fold)| *fold = PlainFold::of(*metric, parts(*metric).1));
        }
        self.newest = Some(start.0);
        if self.folds.is_empty() {
            return Some(Vec::new());
        }
        let average = Minute::of(start, sums).average(scales);
        let cells = self.folds.iter_mut().flat_map(|(_, fold)| fold.step(&average, digits(scales))).collect();
        Some(cells).filter(|_| self.known)
    }
}

/// The derived values of the last of these minutes of a series, which ascend and lack nothing: a value for each column, where it is
/// known. `recursive`: what [`SeriesFolds::step`] said of it.
pub fn derived_values(
    minutes: &[(WindowStart, &PlainSums)],
    recursive: Option<Vec<Option<f64>>>,
    columns: &OracleColumns,
    (scales, length): (Scales, i64),
) -> Vec<Option<Option<f64>>> {
    let minutes: Vec<Minute> = minutes.iter().map(|(start, sums)| Minute::of(*start, sums)).collect();
    let averages: Vec<BigInt> = minutes.iter().map(|minute| minute.average(scales)).collect();
    let mut recursive = recursive.map(Vec::into_iter);
    let mut cells = |metric: Metric| -> Vec<Option<Option<f64>>> {
        if metric.is_recursive() {
            return metric.columns().map(|_| recursive.as_mut().map(|cells| cells.next().flatten())).collect();
        }
        let cells = of_last(metric, &minutes, &averages, (scales, length));
        cells.into_iter().map(|cell| Some(cell.filter(|_| columns.market || !metric.needs_market()))).collect()
    };
    columns.derived.metrics().flat_map(&mut cells).collect()
}

/// A metric's name, and of how many minutes it is.
fn parts(metric: Metric) -> (String, u16) {
    let name = metric.to_string();
    let (word, n) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
    (word.to_owned(), n.parse().unwrap_or(1))
}

/// How many digits of a fraction averages have.
fn digits(scales: Scales) -> u8 {
    scales.value.max(18.min(scales.value + 6))
}

/// A metric of the last of these minutes that looks at no more than its own number of them.
fn of_last(metric: Metric, minutes: &[Minute], averages: &[BigInt], (scales, length): (Scales, i64)) -> Cells {
    let (word, n) = parts(metric);
    if let Some(own) = minutes.last().filter(|_| word == "chg") {
        let before = minutes.iter().find(|minute| minute.start == own.start - i64::from(n) * length);
        return vec![before.and_then(|before| change(before, own))];
    }
    let from = minutes.last().map_or(0, |last| last.start - i64::from(n - 1) * length);
    let first = minutes.iter().position(|minute| minute.start >= from).expect("its own, at least");
    of_minutes(&word, &minutes[first..], &averages[first..], scales, &power(digits(scales)))
}

/// The derived values of each minute of a series; they ascend.
pub(crate) fn values(minutes: &[Minute], columns: &OracleColumns, scales: Scales, length: i64) -> Vec<Cells> {
    let mut rows = vec![Cells::new(); minutes.len()];
    let averages: Vec<BigInt> = minutes.iter().map(|minute| minute.average(scales)).collect();
    for metric in columns.derived.metrics() {
        let (_, n) = parts(metric);
        let cells: Vec<Cells> = if metric.is_recursive() {
            // Begun anew after more than seven days.
            let runs = minutes.chunk_by(|a, b| b.start - a.start <= LONGEST_GAP);
            let mut rest = &averages[..];
            let next = |run: &[Minute]| {
                let mut fold = PlainFold::of(metric, n);
                let run = rest.split_off(..run.len()).expect("as many");
                run.iter().map(|average| fold.step(average, digits(scales))).collect::<Vec<_>>()
            };
            runs.flat_map(next).collect()
        } else {
            let last = |at: usize| of_last(metric, &minutes[..=at], &averages[..=at], (scales, length));
            (0..minutes.len()).map(last).collect()
        };
        let is_known = columns.market || !metric.needs_market();
        for (row, cells) in rows.iter_mut().zip(cells) {
            row.extend(cells.into_iter().map(|cell| cell.filter(|_| is_known)));
        }
    }
    rows
}

/// Metrics of these minutes, the last of which is the row's own; `one`: that of averages.
fn of_minutes(word: &str, minutes: &[Minute], averages: &[BigInt], scales: Scales, one: &BigInt) -> Cells {
    let known = !minutes.iter().any(|minute| minute.weight_beyond);
    let (count, many) = (minutes.iter().map(|minute| &minute.count).sum::<BigInt>(), BigInt::from(averages.len()));
    let sum: BigInt = minutes.iter().map(|minute| &minute.sum).sum();
    let volumes = || minutes.iter().filter_map(|minute| minute.volume.as_ref());
    let volume: BigInt = volumes().sum();
    let unit = power(scales.value);
    // Of n numbers: n times the sum of their squares, less the square of their sum.
    let spread = |n: &BigInt, squares: BigInt, sum: &BigInt| n * squares - sum * sum;
    match word {
        "sma" => vec![Some(nearest(&averages.iter().sum(), &(many * one)))],
        "ravg" => vec![Some(nearest(&sum, &(count * unit)))],
        "rhigh" => vec![minutes.iter().map(|minute| &minute.high).max().map(|high| nearest(high, &unit))],
        "rlow" => vec![minutes.iter().map(|minute| &minute.low).min().map(|low| nearest(low, &unit))],
        "rvolume" => vec![volumes().next().filter(|_| known).map(|_| nearest(&volume, &power(scales.weight)))],
        "rvwap" => {
            let products: BigInt = minutes.iter().map(|minute| &minute.weighted).sum();
            vec![(known && volume.sign() == Sign::Plus).then(|| nearest(&products, &(volume * unit)))]
        }
        "bb" => {
            let sum: BigInt = averages.iter().sum();
            let twice: BigInt = spread(&many, averages.iter().map(|x| x * x).sum(), &sum).sqrt() * 2;
            let bands = [&sum + &twice, &sum - &twice];
            bands.map(|band| (averages.len() > 1).then(|| nearest(&band, &(&many * one)))).into()
        }
        "variance" | "stddev" => {
            let over = &count * (&count - 1_u8) * &unit * &unit;
            let squares = minutes.iter().map(|minute| &minute.squares).sum();
            let numerator = spread(&count, squares, &sum);
            let rounded = if word == "stddev" { nearest_root } else { nearest };
            vec![(over.sign() == Sign::Plus).then(|| rounded(&numerator, &over))]
        }
        _ => unreachable!("there is no metric {word}"),
    }
}

/// The mean of a minute's values over that of another, less 1. None where that other is not above 0.
fn change(before: &Minute, minute: &Minute) -> Option<f64> {
    // Means over a common divisor.
    let (old, new) = (&before.sum * &minute.count, &minute.sum * &before.count);
    (old.sign() == Sign::Plus).then(|| nearest(&(new - &old), &old))
}
