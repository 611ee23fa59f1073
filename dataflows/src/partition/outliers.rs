//! Outliers (R5): a Hampel filter over the values of each series that counted last in its partition.
//!
//! ```text
//!   the last N values that counted ── median m, and the median of all |x − m|: MAD ──> |value − m| > K · 1.4826 · MAD: an outlier
//!   N outliers in a row: the series has moved; they are the N values from now on
//! ```
//!
//! All of it is of integers. Medians are the lower ones, so each is a value (or a distance) of the window. A series of which no event
//! came for as long as its newest window lived is forgotten by H, as ids are.

use crate::decimal::Decimal;
use crate::mutants::{self, Mutant};
use crate::record::Evidence;
use crate::time::{EventTime, WindowStart, Windowing};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

/// 1.4826, the factor by which the MAD of a normal distribution becomes its standard deviation: 1 / 0.67449, to four digits.
const SIGMA: (i128, i128) = (14_826, 10_000);
/// Hundredths in one.
const HUNDRED: i128 = 100;
/// Series that are held before the first look for those that are forgotten.
const SLACK: usize = 1 << 10;

/// When a value is an outlier: `--outlier N,K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierRule {
    /// N: how many values that counted it is compared with, and how many outliers in a row begin them again.
    pub values: usize,
    /// K in hundredths: how many standard deviations from their median it may be.
    pub hundredths: u32,
}

impl OutlierRule {
    /// The least and the greatest N.
    pub const VALUES: (usize, usize) = (3, 1000);
    /// The least and the greatest K, in hundredths: no product overflows.
    pub const HUNDREDTHS: (u32, u32) = (1, 10_000);

    /// Values below which there is no verdict: half of N, rounded up.
    pub fn least(&self) -> usize {
        self.values.div_ceil(2)
    }

    /// How far from the median a value may be whose window has this MAD.
    pub(crate) fn distance(&self, mad: i128) -> i128 {
        // At most 2·10^29 · 10^4 · 14826 < 2^127.
        mad * i128::from(self.hundredths) * SIGMA.0 / (HUNDRED * SIGMA.1)
    }
}

/// As the option has it: `20,3.5`.
impl fmt::Display for OutlierRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.values, Decimal(i128::from(self.hundredths)).with_decimals(2))
    }
}

/// A text that is no [`OutlierRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnOutlierRule;

/// N, or N,K.
impl FromStr for OutlierRule {
    type Err = NotAnOutlierRule;

    fn from_str(text: &str) -> Result<Self, NotAnOutlierRule> {
        let (values, deviations) = text.split_once(',').unwrap_or((text, "5"));
        let (whole, fraction) = deviations.split_once('.').unwrap_or((deviations, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = digits(values) && digits(whole) && digits(fraction) && fraction.len() <= 2;
        let hundredths = format!("{whole}{fraction:0<2}").parse().ok().filter(|_| is_number);
        let within = |hundredths: &u32| (Self::HUNDREDTHS.0..=Self::HUNDREDTHS.1).contains(hundredths);
        let values = values.parse().ok().filter(|values| (Self::VALUES.0..=Self::VALUES.1).contains(values));
        match (values, hundredths.filter(within)) {
            (Some(values), Some(hundredths)) => Ok(OutlierRule { values, hundredths }),
            _ => Err(NotAnOutlierRule),
        }
    }
}

/// What the state keeps of a series: its values as integers at the job's scale, oldest first, separated by blanks; zeros at the end
/// are an exponent, as in `10125e16`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilteredSeries {
    /// Its name.
    pub series: String,
    /// The newest window that an event was judged for.
    pub newest: WindowStart,
    /// The values that counted last.
    pub counted: String,
    /// The outliers since, in a row.
    pub outliers: String,
}

impl FilteredSeries {
    /// Are its numbers numbers of a value's size?
    pub(crate) fn is_whole(&self) -> bool {
        numbers(&self.counted).is_some() && numbers(&self.outliers).is_some()
    }
}

fn text<'a>(values: impl Iterator<Item = &'a i128>) -> String {
    let one = |value: &i128| {
        let (mut rest, mut zeros) = (*value, 0);
        while rest != 0 && rest % 10 == 0 {
            (rest, zeros) = (rest / 10, zeros + 1);
        }
        if zeros == 0 { rest.to_string() } else { format!("{rest}e{zeros}") }
    };
    values.map(one).collect::<Vec<_>>().join(" ")
}

fn numbers(text: &str) -> Option<Vec<i128>> {
    let one = |word: &str| {
        let (digits, zeros) = word.split_once('e').unwrap_or((word, "0"));
        let value = digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros.parse().ok()?)?)?;
        Decimal::bounded(value < 0, value.unsigned_abs()).map(|decimal| decimal.0)
    };
    text.split_whitespace().map(one).collect()
}

/// The values of one series.
#[derive(Clone, Debug)]
struct RecentValues {
    newest: WindowStart,
    /// Oldest first; N at most.
    counted: VecDeque<i128>,
    /// Oldest first; fewer than N.
    outliers: Vec<i128>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct OutlierFilters {
    rule: OutlierRule,
    windowing: Windowing,
    series: HashMap<Box<str>, RecentValues>,
    /// As many series as there may be before those that are forgotten are looked for.
    room: usize,
    /// Bytes of all names.
    name_bytes: usize,
    scratch: Vec<i128>,
}

impl OutlierFilters {
    pub(super) fn new(rule: OutlierRule, windowing: Windowing) -> Self {
        OutlierFilters { rule, windowing, series: HashMap::new(), room: SLACK, name_bytes: 0, scratch: Vec::new() }
    }

    /// What an outlier is judged by; `None` where it is none. `h`: the partition's H before it.
    pub(super) fn judge(
        &mut self,
        series: &str,
        Decimal(value): Decimal,
        window: WindowStart,
        h: Option<EventTime>,
    ) -> Option<Evidence> {
        if !self.series.contains_key(series) {
            if self.series.len() >= self.room {
                self.forget(h);
                self.room = 2 * self.series.len() + SLACK;
            }
            self.name_bytes += series.len();
            let empty = RecentValues { newest: window, counted: VecDeque::new(), outliers: Vec::new() };
            self.series.insert(series.into(), empty);
        }
        let values = self.series.get_mut(series).expect("it was put there");
        if h.is_some_and(|h| self.windowing.final_at(values.newest) <= h) {
            *values = RecentValues { newest: window, counted: VecDeque::new(), outliers: Vec::new() };
        }
        values.newest = values.newest.max(window);
        let evidence = if values.counted.len() < self.rule.least() {
            None
        } else {
            self.scratch.clear();
            self.scratch.extend(&values.counted);
            outlier(self.rule, &mut self.scratch, value)
        };
        if evidence.is_none() {
            if values.counted.len() == self.rule.values {
                values.counted.pop_front();
            }
            values.counted.push_back(value);
            values.outliers.clear();
            return None;
        }
        values.outliers.push(value);
        if values.outliers.len() == self.rule.values {
            values.counted = std::mem::take(&mut values.outliers).into();
        }
        evidence
    }

    /// Lets go of series whose newest window is final by `h`.
    fn forget(&mut self, h: Option<EventTime>) {
        let windowing = self.windowing;
        self.series.retain(|_, values| h.is_none_or(|h| windowing.final_at(values.newest) > h));
        self.name_bytes = self.series.keys().map(|name| name.len()).sum();
    }

    /// All series that are not forgotten by `h`, by name.
    pub(super) fn save(&mut self, h: Option<EventTime>) -> Vec<FilteredSeries> {
        self.forget(h);
        let save = |(series, values): (_, &RecentValues)| FilteredSeries {
            series,
            newest: values.newest,
            counted: text(values.counted.iter()),
            outliers: text(values.outliers.iter()),
        };
        let mut all: Vec<_> = self.series.iter().map(|(name, values)| save((name.to_string(), values))).collect();
        all.sort_unstable_by(|a, b| a.series.cmp(&b.series));
        all
    }

    /// Takes back what [`OutlierFilters::save`] gave.
    pub(super) fn restore(&mut self, all: &[FilteredSeries]) {
        if mutants::on(Mutant::OutliersNotRestored) {
            return;
        }
        for FilteredSeries { series, newest, counted, outliers } in all {
            // (A manifest is checked as it is read: these are numbers.)
            let values = |text: &str| numbers(text).unwrap_or_default();
            let recent = RecentValues { newest: *newest, counted: values(counted).into(), outliers: values(outliers) };
            self.name_bytes += series.len();
            self.series.insert(series.as_str().into(), recent);
        }
    }

    /// Bytes of memory, about: an entry, its name, and two lists of which the first grows to N.
    pub(super) fn bytes(&self) -> u64 {
        let each = size_of::<(Box<str>, RecentValues)>() + 2 * 16 * self.rule.values;
        (self.series.len() * each + self.name_bytes) as u64
    }
}

/// What `value` is judged by where it is an outlier of these values, of which there is at least one. Their order is lost.
fn outlier(rule: OutlierRule, values: &mut [i128], value: i128) -> Option<Evidence> {
    let middle = (values.len() - 1) / 2;
    let median = *values.select_nth_unstable(middle).1;
    values.iter_mut().for_each(|one| *one = (*one - median).abs());
    let mad = match *values.select_nth_unstable(middle).1 {
        0 if mutants::on(Mutant::OutlierOfEqualValues) => 0,
        // Most of them are equal: the least step that another made.
        0 => values.iter().copied().filter(|distance| *distance > 0).min()?,
        mad => mad,
    };
    let most = rule.distance(mad);
    let far = (value - median).abs() > most;
    far.then_some(Evidence::Median { median: Decimal(median), most: Decimal(most) })
}
