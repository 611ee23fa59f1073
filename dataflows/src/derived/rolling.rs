//! Metrics of the last minutes of the clock: of those that have a row, at least the row's own.

use super::fixed;
use super::list::Over;
use super::minute::{MarketSums, MinuteSums};
use crate::decimal::{ExactNumber, Scales, nearest};
use crate::wide::{I256, U256};

/// Appends the values of a metric's columns.
pub(super) fn push_values<'a>(
    over: Over,
    minutes: impl Iterator<Item = &'a MinuteSums> + Clone,
    scales: Scales,
    values: &mut Vec<Option<f64>>,
) {
    let market = minutes.clone().filter_map(|minute| minute.market.as_ref());
    let exact = |scaled| ExactNumber::new(scaled, scales.value).to_f64();
    match over {
        Over::Mean => values.push(mean(minutes, scales)),
        Over::Records => values.push(per_record(minutes, scales)),
        Over::High => values.push(market.map(|m| m.high).max().map(exact)),
        Over::Low => values.push(market.map(|m| m.low).min().map(exact)),
        Over::Volume => {
            let one = U256::from(10_u128.pow(u32::from(scales.weight)));
            values.push(volume(market).map(|sum| nearest(sum < 0, U256::from(sum.unsigned_abs()), one)));
        }
        Over::Vwap => values.push(vwap(market, scales)),
        Over::Bands => values.extend(bands(minutes, scales.value)),
    }
}

fn mean<'a>(minutes: impl Iterator<Item = &'a MinuteSums>, scales: Scales) -> Option<f64> {
    let (mut sum, mut many) = (0, 0);
    minutes.for_each(|minute| (sum, many) = (sum + minute.average(scales.value), many + 1));
    (many > 0).then(|| fixed::nearest_over(sum, many, scales.value))
}

fn per_record<'a>(minutes: impl Iterator<Item = &'a MinuteSums>, scales: Scales) -> Option<f64> {
    let (mut sum, mut count) = (0_i128, 0_u128);
    for minute in minutes {
        (sum, count) = (sum.checked_add(minute.sum)?, count + u128::from(minute.count.unsigned_abs()));
    }
    let one = 10_u128.pow(u32::from(scales.value));
    (count > 0).then(|| nearest(sum < 0, U256::from(sum.unsigned_abs()), U256::product(count, one)))
}

/// None where no record had a weight.
fn volume<'a>(mut minutes: impl Iterator<Item = &'a MarketSums>) -> Option<i128> {
    minutes.try_fold(None, |so_far, minute| match (so_far, minute.volume) {
        (Some(a), Some(b)) => i128::checked_add(a, b).map(Some),
        _ => Some(so_far.or(minute.volume)),
    })?
}

/// None unless the sum of weights is above 0.
fn vwap<'a>(minutes: impl Iterator<Item = &'a MarketSums> + Clone, scales: Scales) -> Option<f64> {
    let weights = u128::try_from(volume(minutes.clone())?).ok().filter(|sum| *sum > 0)?;
    let (negative, sum) = minutes.fold(I256::ZERO, |sum, minute| sum.plus(minute.weighted)).split();
    Some(nearest(negative, sum, U256::product(weights, 10_u128.pow(u32::from(scales.value)))))
}

/// Upper and lower: mean ± 2 standard deviations of all the averages (as of a population), where there are two at least. The root
/// is cut off at the last digit of the fixed-point numbers.
fn bands<'a>(minutes: impl Iterator<Item = &'a MinuteSums>, decimals: u8) -> [Option<f64>; 2] {
    let (mut sum, mut squares, mut many) = (0_i128, U256::ZERO, 0_u64);
    for minute in minutes {
        let average = minute.average(decimals);
        let square = U256::product(average.unsigned_abs(), average.unsigned_abs());
        (sum, squares, many) = (sum + average, squares.plus(square), many + 1);
    }
    if many < 2 {
        return [None, None];
    }
    // n·Σa² − (Σa)², at most 10^76: a is at most 10^35 and n at most 1000.
    let squared = U256::product(sum.unsigned_abs(), sum.unsigned_abs());
    let spread =
        squares.times(many).checked_sub(squared).expect("a mean of squares is no less than the square of the mean");
    let deviation = 2 * spread.isqrt().cast_signed();
    [sum + deviation, sum - deviation].map(|sum| Some(fixed::nearest_over(sum, many.into(), decimals)))
}
