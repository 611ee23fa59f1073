//! The options of a simulated log, as they stand in its URI. All mistakes are found at once.

use super::rhythm::MINUTE_MS;
use std::fmt::Write;

/// Milliseconds in an hour.
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Milliseconds in a day.
const DAY_MS: u64 = 24 * HOUR_MS;
/// A fraction of 1: fractions are integers, scaled by 10^9.
pub(super) const WHOLE: u64 = 1_000_000_000;

/// What is traded and how well the log behaves. All but `history` and `records` is part of the log's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SimOptions {
    /// `symbols=`: how many are traded at a time, 1 to 1,000,000.
    pub(super) symbols: u64,
    /// `rate=`: records in a million seconds, over all partitions, on a day's average. In the URI: a second.
    pub(super) rate_micro: u64,
    /// `partitions=`: 1 to 1000. A symbol has its partition.
    pub(super) partitions: u64,
    /// `seed=`: another one, another log.
    pub(super) seed: u64,
    /// `history=`: how far back retention reaches at the run's start, in milliseconds.
    pub(super) history_ms: u64,
    /// `records=`: how many there are after the earliest, over all partitions.
    pub(super) records: Option<u64>,
    /// `disorder=`: event time is before arrival by less than this many milliseconds.
    pub(super) disorder_ms: u64,
    /// `late=`: fraction of records that come 12 to 60 minutes too late, on top of the disorder.
    pub(super) late: u64,
    /// `future=`: fraction of records 50 to 70 minutes ahead of their arrival.
    pub(super) future: u64,
    /// `broken=`: fraction of records that cannot be decoded.
    pub(super) broken: u64,
    /// `duplicate=`: fraction of records that repeat the one before them.
    pub(super) duplicate: u64,
    /// `churn=`: fraction of symbols that give way to new ones every minute.
    pub(super) churn: u64,
    /// `skew=`: partition p has a share of 1 / (p+1)^skew, 0 to 3.
    pub(super) skew: u32,
    /// `lag=P:DURATION[,…]`: how far partition P's event times run behind its arrivals, in milliseconds; one per partition.
    pub(super) lag_ms: Vec<u64>,
    /// `shape=market`: few symbols and hours are lively, most are not; `even`: all are alike.
    pub(super) market: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        SimOptions {
            symbols: 20,
            rate_micro: 1_000_000_000,
            partitions: 8,
            seed: 1,
            history_ms: 30 * MINUTE_MS,
            records: None,
            disorder_ms: 2_000,
            late: 0,
            future: 0,
            broken: 0,
            duplicate: 0,
            churn: 0,
            skew: 0,
            lag_ms: Vec::new(),
            market: true,
        }
    }
}

/// The keys, each with what it takes.
const KEYS: [(&str, &str); 15] = [
    ("symbols", "a whole number from 1 to 1000000"),
    ("rate", "records a second from 0.001 to 100000000"),
    ("partitions", "a whole number from 1 to 1000"),
    ("seed", "a whole number"),
    ("history", "a duration of at most 36500d, such as 30m"),
    ("records", "a whole number of at most 10^15"),
    ("disorder", "a duration of at most 1d, such as 2s"),
    ("late", "a fraction of 1, such as 0.001 or 0.1%"),
    ("future", "a fraction of 1, such as 0.001 or 0.1%"),
    ("broken", "a fraction of 1, such as 0.02 or 2%"),
    ("duplicate", "a fraction of at most 0.9, such as 0.01 or 1%"),
    ("churn", "a fraction of 1, such as 0.1 or 10%"),
    ("skew", "0, 1, 2 or 3"),
    ("lag", "partition:duration[,…], such as 0:24h"),
    ("shape", "market or even"),
];

impl SimOptions {
    /// Reads what follows `sim:`.
    ///
    /// # Errors
    /// All mistakes.
    pub(super) fn parse(rest: &str) -> Result<Self, Vec<String>> {
        let mut options = SimOptions::default();
        let mut mistakes = Vec::new();
        let mut lags = Vec::new();
        let mut seen = Vec::new();
        let query = match rest.strip_prefix('?') {
            Some(query) => query,
            None if rest.is_empty() => "",
            None => {
                return Err(vec![format!("sim: takes options only, as in sim:?symbols=100&rate=5000, not `{rest}`")]);
            }
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some((_, takes)) = KEYS.iter().find(|(known, _)| *known == key) else {
                let known = KEYS.map(|(known, _)| known).join(", ");
                mistakes.push(format!("sim: has no option `{key}`: it knows {known}"));
                continue;
            };
            if seen.contains(&key) {
                mistakes.push(format!("sim: {key}= is given twice"));
            } else if options.set(key, value, &mut lags).is_none() {
                mistakes.push(format!("sim: {key}= takes {takes}, not `{value}`"));
            }
            seen.push(key);
        }
        options.lag_ms = vec![0; usize::try_from(options.partitions).expect("at most 1000")];
        for (partition, lag) in lags {
            match options.lag_ms.get_mut(partition) {
                Some(place) => *place = lag,
                None => mistakes.push(format!(
                    "sim: lag= names partition {partition}, but there are {} of them, counted from 0",
                    options.partitions
                )),
            }
        }
        if options.late + options.future + options.broken > WHOLE {
            mistakes.push("sim: late=, future= and broken= are more than all records together".into());
        }
        if mistakes.is_empty() { Ok(options) } else { Err(mistakes) }
    }

    fn set(&mut self, key: &str, value: &str, lags: &mut Vec<(usize, u64)>) -> Option<()> {
        match key {
            "symbols" => self.symbols = within(whole(value)?, 1, 1_000_000)?,
            "rate" => self.rate_micro = within(decimal(value, 6)?, 1_000, 100_000_000_000_000)?,
            "partitions" => self.partitions = within(whole(value)?, 1, 1_000)?,
            "seed" => self.seed = whole(value)?,
            "history" => self.history_ms = within(crate::duration::parse_ms(value)?, 0, 36_500 * DAY_MS)?,
            "records" => self.records = Some(within(whole(value)?, 0, 1_000_000_000_000_000)?),
            "disorder" => self.disorder_ms = within(crate::duration::parse_ms(value)?, 0, DAY_MS)?,
            "late" => self.late = fraction(value)?,
            "future" => self.future = fraction(value)?,
            "broken" => self.broken = fraction(value)?,
            "duplicate" => self.duplicate = within(fraction(value)?, 0, WHOLE / 10 * 9)?,
            "churn" => self.churn = fraction(value)?,
            "skew" => self.skew = u32::try_from(within(whole(value)?, 0, 3)?).ok()?,
            "lag" => {
                for lag in value.split(',') {
                    let (partition, lag) = lag.split_once(':')?;
                    let lag = within(crate::duration::parse_ms(lag)?, 0, 3_650 * DAY_MS)?;
                    lags.push((usize::try_from(whole(partition)?).ok()?, lag));
                }
            }
            "shape" => {
                self.market = match value {
                    "market" => true,
                    "even" => false,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// What the content of the log depends on, the same however it was written. Lengths of time are milliseconds,
    /// fractions and rates are whole numbers.
    pub(super) fn identity(&self) -> String {
        let mut text = format!(
            "sim:?symbols={}&rate_micro={}&partitions={}&seed={}",
            self.symbols, self.rate_micro, self.partitions, self.seed
        );
        let default = SimOptions::default();
        let mut differing = |key: &str, value: u64, usual: u64| {
            if value != usual {
                write!(text, "&{key}={value}").expect("a string takes all");
            }
        };
        differing("disorder_ms", self.disorder_ms, default.disorder_ms);
        differing("late", self.late, 0);
        differing("future", self.future, 0);
        differing("broken", self.broken, 0);
        differing("duplicate", self.duplicate, 0);
        differing("churn", self.churn, 0);
        differing("skew", u64::from(self.skew), 0);
        for (partition, lag) in self.lag_ms.iter().enumerate() {
            differing(&format!("lag_ms.{partition}"), *lag, 0);
        }
        differing("even", u64::from(!self.market), 0);
        text
    }

    /// Each partition's rate, in records in a million seconds, at least 1.
    pub(super) fn rates_micro(&self) -> Vec<u64> {
        let weight = |partition: u64| (1_u64 << 40) / (partition + 1).pow(self.skew);
        let all: u64 = (0..self.partitions).map(weight).sum();
        let rate = |partition| u128::from(self.rate_micro) * u128::from(weight(partition)) / u128::from(all);
        (0..self.partitions).map(|partition| u64::try_from(rate(partition)).expect("a share").max(1)).collect()
    }

    /// Each partition's part of `records`, by its rate; together they are `records`.
    pub(super) fn quotas(&self) -> Option<Vec<u64>> {
        let records = self.records?;
        let rates = self.rates_micro();
        let all: u128 = rates.iter().copied().map(u128::from).sum();
        let (mut before, mut given) = (0, 0);
        let quota = |rate: u64| {
            before += u128::from(rate);
            let upto = u64::try_from(u128::from(records) * before / all).expect("at most `records`");
            let quota = upto - given;
            given = upto;
            quota
        };
        Some(rates.into_iter().map(quota).collect())
    }
}

fn within(n: u64, least: u64, most: u64) -> Option<u64> {
    (least..=most).contains(&n).then_some(n)
}

/// Digits, and nothing else.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A decimal number, scaled by 10^digits; no more digits after the point than that.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (int, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > digits {
        return None;
    }
    let scale = |digits: usize| 10_u64.checked_pow(u32::try_from(digits).ok()?);
    let fraction = whole(fraction)? * scale(digits - fraction.len())?;
    whole(int)?.checked_mul(scale(digits)?)?.checked_add(fraction)
}

/// `0.001` or `0.1%`, scaled by 10^9, at most 1.
fn fraction(text: &str) -> Option<u64> {
    let scaled = match text.strip_suffix('%') {
        Some(percent) => decimal(percent, 7)?,
        None => decimal(text, 9)?,
    };
    within(scaled, 0, WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_they_say() {
        assert_eq!(SimOptions::parse("").unwrap(), SimOptions { lag_ms: vec![0; 8], ..SimOptions::default() });
        assert_eq!(SimOptions::parse("?").unwrap(), SimOptions::parse("").unwrap());
        let text = "?symbols=100&rate=0.5&partitions=3&seed=9&history=7d&records=12&disorder=500ms&late=0.1%&future=0.002\
                    &broken=2%&duplicate=1%&churn=10%&skew=1&lag=0:24h,2:1s&shape=even";
        let all = SimOptions {
            symbols: 100,
            rate_micro: 500_000,
            partitions: 3,
            seed: 9,
            history_ms: 7 * DAY_MS,
            records: Some(12),
            disorder_ms: 500,
            late: 1_000_000,
            future: 2_000_000,
            broken: 20_000_000,
            duplicate: 10_000_000,
            churn: 100_000_000,
            skew: 1,
            lag_ms: vec![DAY_MS, 0, 1_000],
            market: false,
        };
        assert_eq!(SimOptions::parse(text).unwrap(), all);
    }

    #[test]
    fn every_mistake_is_told() {
        let bad = "?symbols=0&rate=fast&late=101%&lag=9:1h&seed=-1&colour=red&history=3mo&late=0&broken=1e-3&skew&records=1.5";
        let mistakes = SimOptions::parse(bad).unwrap_err();
        for needle in [
            "symbols= takes a whole number from 1 to 1000000, not `0`",
            "rate= takes records a second",
            "late= takes a fraction of 1, such as 0.001 or 0.1%, not `101%`",
            "lag= names partition 9, but there are 8",
            "seed=",
            "no option `colour`: it knows symbols, rate,",
            "history= takes a duration",
            "late= is given twice",
            "broken=",
            "skew=",
            "records=",
        ] {
            assert!(mistakes.iter().any(|mistake| mistake.contains(needle)), "{needle}: {mistakes:#?}");
        }
        assert_eq!(mistakes.len(), 11, "{mistakes:#?}");
        assert_eq!(SimOptions::parse("?late=0.6&future=0.6").unwrap_err().len(), 1);
        assert_eq!(SimOptions::parse("trades").unwrap_err().len(), 1);
        for huge in ["rate=99999999999999999999", "history=99999999999999999d", "seed=18446744073709551616", "rate=."] {
            assert_eq!(SimOptions::parse(&format!("?{huge}")).unwrap_err().len(), 1, "{huge}");
        }
    }

    #[test]
    fn identity_is_the_content_however_it_was_written() {
        let identity = |text| SimOptions::parse(text).unwrap().identity();
        assert_eq!(identity("?late=0.1%&rate=5&history=1h"), identity("?records=7&rate=5.0&late=0.001&symbols=20"));
        assert_ne!(identity("?seed=2"), identity(""));
        assert_ne!(identity("?lag=0:1h"), identity("?lag=1:1h"));
        assert_ne!(identity("?shape=even"), identity(""));
    }

    #[test]
    fn quotas_are_all_records() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..1000 {
            let options = SimOptions {
                partitions: rng.u64(1..200),
                records: Some(rng.u64(0..1_000_000_000_000_000)),
                skew: rng.u32(0..4),
                rate_micro: rng.u64(1000..1_000_000_000_000),
                ..SimOptions::default()
            };
            assert_eq!(options.quotas().unwrap().iter().sum::<u64>(), options.records.unwrap());
        }
        let skewed = SimOptions { partitions: 2, skew: 1, records: Some(300), ..SimOptions::default() };
        assert_eq!(skewed.quotas().unwrap(), [200, 100]);
    }
}
