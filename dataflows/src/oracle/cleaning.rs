//! The oracle's cleaning (R5): every value of a series is remembered, and looked at again for each event.

use crate::decimal::Decimal;
use crate::decode::DecodedEvent;
use crate::partition::Rule;
use crate::record::{Evidence, Reason};
use crate::time::EventTime;
use std::collections::BTreeMap;

/// An event that came to the filter, and whether it counted.
struct Filtered {
    value: i128,
    counted: bool,
    /// When its window becomes final.
    final_at: EventTime,
}

/// Of one partition.
pub(super) struct PlainCleaning<'a> {
    rule: &'a Rule,
    series: BTreeMap<String, Vec<Filtered>>,
}

impl<'a> PlainCleaning<'a> {
    pub(super) fn new(rule: &'a Rule) -> Self {
        PlainCleaning { rule, series: BTreeMap::new() }
    }

    /// Why an event does not count by itself.
    pub(super) fn misfit(&self, event: &DecodedEvent<'_>) -> Option<(Reason, Evidence)> {
        let cleaning = self.rule.cleaning?;
        if cleaning.session.as_ref().is_some_and(|calendar| !calendar.is_open(event.time)) {
            return Some((Reason::Session, Evidence::Closed));
        }
        let bound = match (cleaning.least, cleaning.greatest) {
            (Some(least), _) if event.value < least => least,
            (_, Some(greatest)) if event.value > greatest => greatest,
            _ => return None,
        };
        Some((Reason::Bounds, Evidence::Bound(bound)))
    }

    /// Why an event does not count beside those before it, all of which have come here. `h`: the partition's H before it.
    pub(super) fn outlier(&mut self, event: &DecodedEvent<'_>, h: Option<EventTime>) -> Option<(Reason, Evidence)> {
        let outlier = self.rule.cleaning?.outlier?;
        let value = event.value.0;
        let all = self.series.entry(event.symbol.to_string()).or_default();
        if all.iter().map(|one| one.final_at).max() <= h {
            all.clear();
        }
        let (last, verdict) = (recent(all, outlier.values), |(median, most): (i128, i128)| {
            let (median, most) = (Decimal(median), Decimal(most));
            (Reason::Outlier, Evidence::Median { median, most })
        });
        let band = if last.len() < outlier.values.div_ceil(2) { None } else { band(&last, outlier.hundredths) };
        let verdict = band.filter(|(median, most)| (value - median).abs() > *most).map(verdict);
        let window = self.rule.windowing.window_of(event.time);
        all.push(Filtered { value, counted: verdict.is_none(), final_at: self.rule.windowing.final_at(window) });
        // As many outliers in a row as there are values: they are those that count from now on.
        let row = all.iter().rev().take_while(|one| !one.counted).count();
        if row == outlier.values {
            all.iter_mut().rev().take(row).for_each(|one| one.counted = true);
        }
        verdict
    }
}

/// The last values that counted.
fn recent(all: &[Filtered], most: usize) -> Vec<i128> {
    all.iter().rev().filter(|one| one.counted).take(most).map(|one| one.value).collect()
}

/// The median of these values, and how far from it one may be; `None` where all are equal.
fn band(values: &[i128], hundredths: u32) -> Option<(i128, i128)> {
    let lower_median = |mut values: Vec<i128>| {
        values.sort_unstable();
        values[(values.len() - 1) / 2]
    };
    let median = lower_median(values.to_vec());
    let distances: Vec<i128> = values.iter().map(|value| (value - median).abs()).collect();
    let least = distances.iter().copied().filter(|distance| *distance > 0).min()?;
    let mad = Some(lower_median(distances)).filter(|mad| *mad > 0).unwrap_or(least);
    Some((median, mad * 14_826 * i128::from(hundredths) / 1_000_000))
}
