//! Metrics of the last minutes of the clock: of those that have a row, at least the row's own.

use super::fixed;
use super::list::Over;
use super::minute::{MarketSums, MinuteSums};
use crate::decimal::{ExactNumber, POWERS, Scales, nearest};
use crate::wide::{I256, U256};

/// Appends the values of a metric's columns: of the averages of those minutes, or of their sums.
pub(super) fn push_values<'a>(
    over: Over,
    (averages, minutes): (impl Iterator<Item = i128>, impl Iterator<Item = &'a MinuteSums> + Clone),
    scales: Scales,
    values: &mut Vec<Option<f64>>,
) {
    let market = minutes.clone().filter_map(|minute| minute.market.as_ref());
    let exact = |scaled| ExactNumber::new(scaled, scales.value).to_f64();
    match over {
        Over::Mean => values.push(mean(averages, scales.value)),
        Over::Records => values.push(per_record(minutes, scales)),
        Over::High => values.push(market.map(|m| m.high).max().map(exact)),
        Over::Low => values.push(market.map(|m| m.low).min().map(exact)),
        Over::Volume => {
            let quotient = |(negative, sum)| nearest(negative, sum, U256::from(power(scales.weight)));
            values.push(volume(market).map(I256::split).map(quotient));
        }
        Over::Vwap => values.push(vwap(market, scales)),
        Over::Bands => values.extend(bands(averages, scales.value)),
    }
}

fn mean(averages: impl Iterator<Item = i128>, decimals: u8) -> Option<f64> {
    let (sum, many) = averages.fold((0, 0), |(sum, many), average| (sum + average, many + 1));
    (many > 0).then(|| fixed::nearest_over(wide(sum), many, decimals))
}

/// In 256 bits, like all sums below: a minute's may be nearly 2^127 (R2), and there are up to a thousand of them.
fn wide(sum: i128) -> I256 {
    I256::product(sum, 1)
}

fn per_record<'a>(minutes: impl Iterator<Item = &'a MinuteSums>, scales: Scales) -> Option<f64> {
    let (mut sum, mut count) = (I256::ZERO, 0_u128);
    for minute in minutes {
        (sum, count) = (sum.plus(wide(minute.sum)), count + u128::from(minute.count.unsigned_abs()));
    }
    let (negative, sum) = sum.split();
    (count > 0).then(|| nearest(negative, sum, U256::product(count, power(scales.value))))
}

fn power(decimals: u8) -> u128 {
    10_u128.pow(u32::from(decimals))
}

/// None where no record had a weight, or one had a weight that is not known.
fn volume<'a>(minutes: impl Iterator<Item = &'a MarketSums> + Clone) -> Option<I256> {
    let known = !minutes.clone().any(|minute| minute.weight_beyond);
    let volume = minutes.filter_map(|minute| minute.volume).map(wide).reduce(I256::plus);
    volume.filter(|_| known)
}

/// None unless the sum of weights is above 0.
fn vwap<'a>(minutes: impl Iterator<Item = &'a MarketSums> + Clone, scales: Scales) -> Option<f64> {
    let (below_zero, weights) = volume(minutes.clone())?.split();
    let (negative, sum) = minutes.fold(I256::ZERO, |sum, minute| sum.plus(minute.weighted)).split();
    // A power of at most 10^28, in two factors that fit.
    let (first, second) = (scales.value / 2, scales.value - scales.value / 2);
    let divisor = weights.times(POWERS[usize::from(first)]).times(POWERS[usize::from(second)]);
    (!below_zero && weights > U256::ZERO).then(|| nearest(negative, sum, divisor))
}

/// Upper and lower: mean ± 2 standard deviations of all the averages (as of a population), where there are two at least. The root
/// is cut off at the last digit of the fixed-point numbers.
fn bands(averages: impl Iterator<Item = i128>, decimals: u8) -> [Option<f64>; 2] {
    let (mut sum, mut squares, mut many) = (0_i128, U256::ZERO, 0_u64);
    for average in averages {
        let square = U256::product(average.unsigned_abs(), average.unsigned_abs());
        (sum, squares, many) = (sum + average, squares.plus(square), many + 1);
    }
    if many < 2 {
        return [None, None];
    }
    // n·Σa² − (Σa)², at most 10^76: a is at most 10^35 and n at most 1000. So its root is at most 10^38, and twice that may not
    // fit an i128.
    let squared = U256::product(sum.unsigned_abs(), sum.unsigned_abs());
    let spread =
        squares.times(many).checked_sub(squared).expect("a mean of squares is no less than the square of the mean");
    let root = spread.isqrt().cast_signed();
    [2, -2].map(|times| Some(fixed::nearest_over(wide(sum).plus(I256::product(root, times)), many.into(), decimals)))
}
