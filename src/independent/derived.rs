//! Values of a row that are made of several minutes, or of more than sums (R14), by their definitions.

use super::fraction::{half_even, nearest, nearest_root, power_of_ten};
use super::sums::IndependentSums;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::time::{State, WindowStart};
use num_bigint::{BigInt, Sign};

/// What rows have beside count, sum and average.
#[derive(Clone, Debug)]
pub(crate) struct IndependentColumns {
    /// With `--metrics market`.
    market: bool,
    /// Words of `--derive`, each with its number.
    pub(super) metrics: Vec<(String, u32)>,
    /// Nanoseconds from one minute to the next.
    length: i64,
    scales: Scales,
}

/// Digits of a fraction that averages have: those of values, and up to 6 more where those are fewer than 18.
pub(super) fn average_digits(scales: Scales) -> u32 {
    let digits = u32::from(scales.value);
    digits.max(18.min(digits + 6))
}

impl IndependentSums {
    /// The average in fixed point.
    pub(super) fn average(&self, scales: Scales) -> BigInt {
        let more = average_digits(scales) - u32::from(scales.value);
        half_even(&(&self.sum * power_of_ten(more)), &self.count.into())
    }
}

impl IndependentColumns {
    /// Of these options; `length` of a window, in nanoseconds.
    pub(crate) fn new(market: bool, derived: &DerivedList, scales: Scales, length: i64) -> Self {
        let parts = |name: String| {
            let (word, number) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
            (word.to_owned(), number.parse().unwrap_or(1))
        };
        let metrics = derived.metrics().map(|metric| parts(metric.to_string())).collect();
        IndependentColumns { market, metrics, length, scales }
    }

    /// The values of the last of these minutes of a series, which ascend and lack nothing: a value for each column, where it is known.
    /// `recursive`: what [`super::IndependentFolds::step`] said of it.
    pub(crate) fn values(
        &self,
        minutes: &[(WindowStart, &IndependentSums)],
        recursive: Option<Vec<Option<f64>>>,
    ) -> Vec<Option<Option<f64>>> {
        let mut recursive = recursive.map(Vec::into_iter);
        let mut values = Vec::new();
        for (word, n) in &self.metrics {
            let columns = if word == "macd" { 2 } else { 1 };
            match word.as_str() {
                "ema" | "macd" | "rsi" => {
                    values.extend((0..columns).map(|_| recursive.as_mut().map(|known| known.next().flatten())));
                }
                _ => values.extend(self.looking_back(word, *n, minutes).into_iter().map(Some)),
            }
        }
        values
    }

    /// The values of a coarser window, which has those alone that look at its own records (R15).
    pub(crate) fn of_window(&self, sums: &IndependentSums, state: State) -> Vec<Option<f64>> {
        let mut values = Vec::new();
        for (word, _) in &self.metrics {
            match word.as_str() {
                "variance" | "stddev" if self.market && state != State::Partial => {
                    values.push(self.spread(sums, word == "stddev"));
                }
                "bb" | "macd" => values.extend([None, None]),
                _ => values.push(None),
            }
        }
        values
    }

    /// A metric of some of these minutes.
    fn looking_back(&self, word: &str, n: u32, minutes: &[(WindowStart, &IndependentSums)]) -> Vec<Option<f64>> {
        let Some((own_start, own)) = minutes.last() else { return vec![None] };
        let back = |n: u32| own_start.0 - i64::from(n) * self.length;
        let needs_market = matches!(word, "rhigh" | "rlow" | "rvolume" | "rvwap" | "variance" | "stddev");
        if needs_market && !self.market {
            return vec![None];
        }
        let last: Vec<&IndependentSums> =
            minutes.iter().filter(|(start, _)| start.0 >= back(n.saturating_sub(1))).map(|(_, sums)| *sums).collect();
        match word {
            "variance" | "stddev" => vec![self.spread(own, word == "stddev")],
            "chg" => {
                let before = minutes.iter().find(|(start, _)| start.0 == back(n));
                vec![before.and_then(|(_, before)| change(before, own))]
            }
            "bb" => self.bands(&last),
            _ => vec![self.over(word, &last)],
        }
    }

    /// A metric with one column, of these minutes.
    fn over(&self, word: &str, minutes: &[&IndependentSums]) -> Option<f64> {
        let unit = power_of_ten(self.scales.value.into());
        let is_known = !minutes.iter().any(|minute| minute.is_beyond);
        let weights = || minutes.iter().filter_map(|minute| minute.weights.as_ref());
        match word {
            "sma" => {
                let sum = minutes.iter().map(|minute| minute.average(self.scales)).sum();
                Some(nearest(sum, power_of_ten(average_digits(self.scales)) * minutes.len()))
            }
            "ravg" => {
                let count: u64 = minutes.iter().map(|minute| minute.count).sum();
                Some(nearest(minutes.iter().map(|minute| &minute.sum).sum(), unit * count))
            }
            "rhigh" => minutes.iter().map(|minute| &minute.high).max().map(|high| nearest(high.clone(), unit)),
            "rlow" => minutes.iter().map(|minute| &minute.low).min().map(|low| nearest(low.clone(), unit)),
            "rvolume" if is_known && weights().next().is_some() => {
                Some(nearest(weights().sum(), power_of_ten(self.scales.weight.into())))
            }
            "rvwap" => {
                let volume: BigInt = weights().sum();
                let products = minutes.iter().map(|minute| &minute.products).sum();
                (is_known && volume.sign() == Sign::Plus).then(|| nearest(products, volume * unit))
            }
            _ => None,
        }
    }

    /// The mean of averages, and twice their deviation (of a population) above and below.
    fn bands(&self, minutes: &[&IndependentSums]) -> Vec<Option<f64>> {
        if minutes.len() < 2 {
            return vec![None, None];
        }
        let averages: Vec<BigInt> = minutes.iter().map(|minute| minute.average(self.scales)).collect();
        let many = BigInt::from(averages.len());
        let sum: BigInt = averages.iter().sum();
        // m times each: m²σ² = Σ (m·a − Σa)² / m, of which the root is cut off.
        let distance = |average: &BigInt| average * &many - &sum;
        let squares: BigInt = averages.iter().map(|average| distance(average).pow(2)).sum();
        let twice = (squares / &many).sqrt() * 2;
        let over = many * power_of_ten(average_digits(self.scales));
        vec![Some(nearest(&sum + &twice, over.clone())), Some(nearest(sum - twice, over))]
    }

    /// The variance of a minute's own values (of a sample), or its root.
    fn spread(&self, own: &IndependentSums, is_root: bool) -> Option<f64> {
        let count = BigInt::from(own.count);
        let over = &count * (&count - 1) * power_of_ten(2 * u32::from(self.scales.value));
        let squares = &count * &own.squares - &own.sum * &own.sum;
        match (own.count > 1, is_root) {
            (false, _) => None,
            (true, true) => Some(nearest_root(&squares, &over)),
            (true, false) => Some(nearest(squares, over)),
        }
    }
}

/// a/b − 1, of the averages of a minute and of one before; none unless that one's is above 0.
fn change(before: &IndependentSums, own: &IndependentSums) -> Option<f64> {
    let (old, new) = (&before.sum * own.count, &own.sum * before.count);
    (old.sign() == Sign::Plus).then(|| nearest(new - &old, old))
}
