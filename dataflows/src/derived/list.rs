//! `--derive`: which values are derived, as they are named.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Minutes that a metric may be of, at most: what it looks at stays in memory, and its integers have bounds.
pub(super) const MAX_MINUTES: u16 = 1000;

/// What is computed of the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Over {
    /// Mean of their averages.
    Mean,
    /// Their sum over their count: each record has one vote.
    Records,
    /// Highest value.
    High,
    /// Lowest value.
    Low,
    /// Sum of volumes.
    Volume,
    /// Sum of value x weight over the sum of weights.
    Vwap,
    /// Mean of the averages, plus and minus two standard deviations of them.
    Bands,
}

/// A derived metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Of the last so many minutes of the clock that have a row.
    Rolling(Over, u16),
    /// Exponential moving average of the averages of all minutes so far.
    Ema(u16),
    /// Ema of 12 less that of 26, and the ema of 9 of this.
    Macd,
    /// Relative strength index, as Wilder has it.
    Rsi(u16),
    /// Sample variance of the minute's own values.
    Variance,
    /// Its root.
    Stddev,
    /// From the average of the minute of so many minutes of the clock before to the minute's own, as a fraction of that one.
    Change(u16),
}

/// Names that end in a number of minutes.
const COUNTED: [(&str, fn(u16) -> Metric); 10] = [
    ("sma", |n| Metric::Rolling(Over::Mean, n)),
    ("ravg", |n| Metric::Rolling(Over::Records, n)),
    ("rhigh", |n| Metric::Rolling(Over::High, n)),
    ("rlow", |n| Metric::Rolling(Over::Low, n)),
    ("rvolume", |n| Metric::Rolling(Over::Volume, n)),
    ("rvwap", |n| Metric::Rolling(Over::Vwap, n)),
    ("bb", |n| Metric::Rolling(Over::Bands, n)),
    ("ema", Metric::Ema),
    ("rsi", Metric::Rsi),
    ("chg", Metric::Change),
];
/// Names as they are.
const PLAIN: [(&str, Metric); 3] = [("macd", Metric::Macd), ("variance", Metric::Variance), ("stddev", Metric::Stddev)];

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = PLAIN.iter().find(|(_, metric)| metric == self).map(|(name, _)| *name);
        match (plain, *self) {
            (Some(name), _) => f.write_str(name),
            (None, Metric::Rolling(_, n) | Metric::Ema(n) | Metric::Rsi(n) | Metric::Change(n)) => {
                let name = COUNTED.iter().find(|(_, of)| of(n) == *self).map_or("", |(name, _)| name);
                write!(f, "{name}{n}")
            }
            (None, _) => unreachable!("all others are plain"),
        }
    }
}

impl FromStr for Metric {
    type Err = DeriveError;

    fn from_str(name: &str) -> Result<Self, DeriveError> {
        if let Some((_, metric)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Ok(*metric);
        }
        let unknown = || DeriveError::Unknown(name.to_owned());
        let digits = name.find(|c: char| c.is_ascii_digit()).ok_or_else(unknown)?;
        let (word, minutes) = name.split_at(digits);
        let of = COUNTED.iter().find(|(known, _)| *known == word).ok_or_else(unknown)?.1;
        let good = minutes.bytes().all(|c| c.is_ascii_digit()) && !minutes.starts_with('0');
        let least = if matches!(of(2), Metric::Rolling(Over::Bands, _)) { 2 } else { 1 };
        let minutes = minutes.parse().ok().filter(|n| good && (least..=MAX_MINUTES).contains(n));
        minutes.map(of).ok_or_else(|| DeriveError::Minutes { name: name.to_owned(), least })
    }
}

impl Metric {
    /// Has it a state of all minutes so far?
    pub fn is_recursive(self) -> bool {
        matches!(self, Metric::Ema(_) | Metric::Macd | Metric::Rsi(_))
    }

    /// Does it need what `--metrics market` adds up?
    pub fn needs_market(self) -> bool {
        match self {
            Metric::Rolling(over, _) => matches!(over, Over::High | Over::Low | Over::Volume | Over::Vwap),
            Metric::Variance | Metric::Stddev => true,
            Metric::Ema(_) | Metric::Macd | Metric::Rsi(_) | Metric::Change(_) => false,
        }
    }

    /// How many columns it has.
    pub(super) fn width(self) -> usize {
        self.suffixes().len()
    }

    /// The names of its columns.
    pub fn columns(self) -> impl Iterator<Item = String> {
        self.suffixes().iter().map(move |suffix| format!("{self}{suffix}"))
    }

    /// What its columns are called after its name.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Metric::Rolling(Over::Bands, _) => &["_upper", "_lower"],
            Metric::Macd => &["", "_signal"],
            _ => &[""],
        }
    }
}

/// Why a text is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// No metric is called so.
    #[error(
        "`{0}` is no derived metric; there are smaN, ravgN, rhighN, rlowN, rvolumeN, rvwapN, bbN, emaN, rsiN, chgN (N: minutes, as in \
         `sma20`), macd, variance and stddev; or none"
    )]
    Unknown(String),
    /// Its number is none, or out of range.
    #[error("`{name}`: the number of minutes is from {least} to {MAX_MINUTES}")]
    Minutes {
        /// As it was written.
        name: String,
        /// The least number.
        least: u16,
    },
    /// It is there twice.
    #[error("`{0}` is given twice")]
    Twice(Metric),
}

/// Which values are derived, in the order of their columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DerivedList(Vec<Metric>);

impl DerivedList {
    /// What rows have where nothing else is asked for, with `--metrics market`.
    pub fn usual() -> Self {
        let (five, twenty) = (Metric::Rolling(Over::Mean, 5), Metric::Rolling(Over::Mean, 20));
        DerivedList(vec![five, twenty, Metric::Ema(12), Metric::Stddev])
    }

    /// The metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + '_ {
        self.0.iter().copied()
    }

    /// Is nothing derived?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is a column of some list called so?
    pub fn is_column(name: &str) -> bool {
        ["", "_upper", "_lower", "_signal"].iter().any(|suffix| {
            let metric = name.strip_suffix(suffix).and_then(|metric| metric.parse::<Metric>().ok());
            metric.is_some_and(|metric| metric.suffixes().contains(suffix))
        })
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = String> + '_ {
        self.metrics().flat_map(Metric::columns)
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        self.metrics().map(Metric::width).sum()
    }

    /// How many windows before a row's own others begin that it looks at; folds reach beyond.
    pub fn look_back(&self) -> i64 {
        let windows = |metric| match metric {
            Metric::Rolling(_, minutes) => i64::from(minutes) - 1,
            Metric::Change(minutes) => i64::from(minutes),
            Metric::Ema(_) | Metric::Macd | Metric::Rsi(_) | Metric::Variance | Metric::Stddev => 0,
        };
        self.metrics().map(windows).max().unwrap_or(0)
    }

    /// Has any a state of all minutes so far?
    pub fn is_recursive(&self) -> bool {
        self.metrics().any(Metric::is_recursive)
    }

    /// Is any made of the averages of minutes?
    pub(super) fn needs_averages(&self) -> bool {
        let rolls = |metric| matches!(metric, Metric::Rolling(Over::Mean | Over::Bands, _));
        self.metrics().any(|metric| metric.is_recursive() || rolls(metric))
    }

    /// Is any made of other sums of the minutes before a row's own?
    pub(super) fn needs_sums(&self) -> bool {
        self.metrics().any(|metric| match metric {
            Metric::Rolling(over, _) => !matches!(over, Over::Mean | Over::Bands),
            Metric::Change(_) => true,
            Metric::Ema(_) | Metric::Macd | Metric::Rsi(_) | Metric::Variance | Metric::Stddev => false,
        })
    }
}

impl fmt::Display for DerivedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<String> = self.metrics().map(|metric| metric.to_string()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for DerivedList {
    type Err = DeriveError;

    fn from_str(text: &str) -> Result<Self, DeriveError> {
        if text.trim() == "none" {
            return Ok(DerivedList::default());
        }
        let mut list = Vec::new();
        for name in text.split(',') {
            let metric: Metric = name.trim().parse()?;
            if list.contains(&metric) {
                return Err(DeriveError::Twice(metric));
            }
            list.push(metric);
        }
        Ok(DerivedList(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_it_is_read() {
        let all = "sma5,ravg1,rhigh1000,rlow2,rvolume60,rvwap5,bb20,ema12,rsi14,chg60,macd,variance,stddev";
        let list: DerivedList = all.parse().unwrap();
        assert_eq!(list.to_string(), all);
        assert_eq!((list.look_back(), list.is_recursive()), (999, true));
        let one: DerivedList = "sma60,chg60".parse().unwrap();
        assert_eq!((one.look_back(), one.is_recursive()), (60, false), "the minute that it is compared with, too");
        assert_eq!(DerivedList::usual().to_string(), "sma5,sma20,ema12,stddev");
        let none: DerivedList = "none".parse().unwrap();
        assert_eq!((none.to_string(), none.look_back(), none.columns().count()), ("none".to_owned(), 0, 0));
        let columns: Vec<String> = "macd, bb20".parse::<DerivedList>().unwrap().columns().collect();
        assert_eq!(columns, ["macd", "macd_signal", "bb20_upper", "bb20_lower"]);
        let is_column = |name: &str| DerivedList::is_column(name);
        assert!(list.columns().chain(columns).all(|name| is_column(&name)));
        assert!(!["bb20", "sma5_upper", "macd_lower", "sma", "price"].into_iter().any(is_column));
    }

    #[test]
    fn what_is_no_metric_is_told() {
        for unknown in ["", "sma", "foo5", "macd9", "5", "SMA5", "sma5;ema3", "none,sma5"] {
            assert!(unknown.parse::<DerivedList>().is_err(), "{unknown}");
        }
        for minutes in ["sma0", "sma05", "sma1001", "sma99999", "bb1", "ema5x", "chg0"] {
            assert!(matches!(minutes.parse::<Metric>(), Err(DeriveError::Minutes { .. })), "{minutes}");
        }
        assert_eq!("sma5,ema3,sma5".parse::<DerivedList>(), Err(DeriveError::Twice(Metric::Rolling(Over::Mean, 5))));
    }
}
