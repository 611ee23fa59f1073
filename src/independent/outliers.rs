//! The Hampel filter of `--outlier` (R5), over the values of one series in one partition.

use minutely_dataflows::partition::OutlierRule;
use num_bigint::BigInt;
use std::collections::VecDeque;

/// What is remembered of a series.
#[derive(Debug, Default)]
pub(super) struct SeriesValues {
    /// The last that counted, at most N, oldest first.
    counted: VecDeque<BigInt>,
    /// Outliers since, in a row.
    outliers: Vec<BigInt>,
    /// When the newest window is final that an event was looked at for.
    final_at: Option<i128>,
}

impl SeriesValues {
    /// Is this value too far from those that counted before it? It is remembered either way. `final_at`: when its window is final; `h`: the
    /// partition's H before it.
    pub(super) fn is_outlier(&mut self, rule: &OutlierRule, value: &BigInt, final_at: i128, h: Option<i64>) -> bool {
        if self.final_at.zip(h).is_some_and(|(at, h)| at <= i128::from(h)) {
            *self = SeriesValues::default();
        }
        self.final_at = self.final_at.max(Some(final_at));
        let is_outlier = self.counted.len() >= rule.values.div_ceil(2) && self.is_far(rule, value);
        if is_outlier {
            self.outliers.push(value.clone());
            if self.outliers.len() == rule.values {
                // So many in a row are where the series is now.
                self.counted = std::mem::take(&mut self.outliers).into();
            }
        } else {
            self.outliers.clear();
            self.counted.push_back(value.clone());
            if self.counted.len() > rule.values {
                self.counted.pop_front();
            }
        }
        is_outlier
    }

    /// |value − m| > K · 1.4826 · MAD
    fn is_far(&self, rule: &OutlierRule, value: &BigInt) -> bool {
        let median = lower_median(self.counted.iter().cloned().collect());
        let distance = |value: &BigInt| BigInt::from((value - &median).magnitude().clone());
        let distances: Vec<BigInt> = self.counted.iter().map(distance).collect();
        let Some(least) = distances.iter().filter(|distance| **distance > BigInt::ZERO).min().cloned() else {
            return false;
        };
        let mad = Some(lower_median(distances)).filter(|mad| *mad > BigInt::ZERO).unwrap_or(least);
        distance(value) * 1_000_000 > mad * rule.hundredths * 14_826
    }
}

/// The one in the middle, or the lower of two. There is at least one.
fn lower_median(mut values: Vec<BigInt>) -> BigInt {
    values.sort_unstable();
    values.swap_remove((values.len() - 1) / 2)
}
