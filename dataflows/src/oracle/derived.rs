//! The oracle's second page: derived values (R14), of all minutes of a series, by integers of any size. Nothing of
//! `crate::derived` but the names of the metrics: each value is computed as its definition says, and rounded as R14 says.

use super::{OracleColumns, PlainSums, Windows};
use crate::decimal::Scales;
use crate::derived::Metric;
use crate::row::Row;
use crate::time::{SECOND, State, WindowStart};
use crate::wide::I256;
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;
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

/// The derived values of the last of these minutes of a series, which ascend and lack nothing: a value for each column. Of one that
/// is made of all minutes so far it is not known what it is.
pub fn derived_values(
    minutes: &[(WindowStart, &PlainSums)],
    columns: &OracleColumns,
    (scales, length): (Scales, i64),
) -> Vec<Option<Option<f64>>> {
    let minutes: Vec<Minute> = minutes.iter().map(|(start, sums)| Minute::of(*start, sums)).collect();
    let averages: Vec<BigInt> = minutes.iter().map(|minute| minute.average(scales)).collect();
    let cells = |metric: Metric| -> Vec<Option<Option<f64>>> {
        if metric.is_recursive() {
            return metric.columns().map(|_| None).collect();
        }
        let cells = of_last(metric, &minutes, &averages, (scales, length));
        cells.into_iter().map(|cell| Some(cell.filter(|_| columns.market || !metric.needs_market()))).collect()
    };
    columns.derived.metrics().flat_map(cells).collect()
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
    let from = minutes.last().map_or(0, |last| last.start - i64::from(n - 1) * length);
    let first = minutes.iter().position(|minute| minute.start >= from).expect("its own, at least");
    of_minutes(&word, &minutes[first..], &averages[first..], scales, &power(digits(scales)))
}

/// The derived values of each minute of a series; they ascend.
pub(crate) fn values(minutes: &[Minute], columns: &OracleColumns, scales: Scales, length: i64) -> Vec<Cells> {
    let mut rows = vec![Cells::new(); minutes.len()];
    let averages: Vec<BigInt> = minutes.iter().map(|minute| minute.average(scales)).collect();
    for metric in columns.derived.metrics() {
        let (word, n) = parts(metric);
        let cells: Vec<Cells> = if metric.is_recursive() {
            // Begun anew after more than seven days.
            let runs = minutes.chunk_by(|a, b| b.start - a.start <= 7 * 24 * 3600 * SECOND);
            let mut rest = &averages[..];
            let next =
                |run: &[Minute]| without_end(&word, n, rest.split_off(..run.len()).expect("as many"), digits(scales));
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

/// Metrics of all minutes so far, of which these are the averages.
fn without_end(word: &str, n: u16, averages: &[BigInt], digits: u8) -> Vec<Cells> {
    let of = |numbers: Vec<BigInt>| numbers.into_iter().map(|x| Some(nearest(&x, &power(digits)))).collect::<Vec<_>>();
    match word {
        "ema" => of(ema(averages, n)).into_iter().map(|value| vec![value]).collect(),
        "macd" => {
            let line: Vec<BigInt> = ema(averages, 12).iter().zip(ema(averages, 26)).map(|(a, b)| a - b).collect();
            of(line.clone()).into_iter().zip(of(ema(&line, 9))).map(|(line, signal)| vec![line, signal]).collect()
        }
        _ => rsi(averages, n).into_iter().map(|value| vec![value]).collect(),
    }
}

/// e + 2(x − e)/(n + 1), from the first on.
fn ema(numbers: &[BigInt], n: u16) -> Vec<BigInt> {
    let step = |e: &mut Option<BigInt>, x: &BigInt| {
        let next = e.take().map_or(x.clone(), |e| half_even(&(2 * x + (n - 1) * e), &(n + 1).into()));
        *e = Some(next.clone());
        Some(next)
    };
    numbers.iter().scan(None, step).collect()
}

/// Wilder's: means of the first n gains and losses; then each is n − 1 times itself and the next, over n.
fn rsi(averages: &[BigInt], n: u16) -> Vec<Option<f64>> {
    let mut values = vec![None; averages.len()];
    let changes: Vec<BigInt> = averages.windows(2).map(|pair| &pair[1] - &pair[0]).collect();
    let Some((first, later)) = changes.split_at_checked(n.into()) else { return values };
    let sides = |change: &BigInt| [change.clone(), -change].map(|side| side.max(BigInt::ZERO));
    let value = |both: &[BigInt; 2]| {
        let all: BigInt = both.iter().sum();
        (all.sign() == Sign::Plus).then(|| nearest(&(&both[0] * 100), &all))
    };
    let sums = [0, 1].map(|side| first.iter().map(|change| sides(change)[side].clone()).sum());
    let (both, mut doubled) = doubled_to_116_bits(sums, 0, &BigInt::ZERO);
    let mut both = both.map(|sum| half_even(&sum, &n.into()));
    values[usize::from(n)] = value(&both);
    for (change, answer) in later.iter().zip(&mut values[usize::from(n) + 1..]) {
        (both, doubled) = doubled_to_116_bits(both, doubled, change);
        let ([gains, losses], [gain, loss]) = (both, sides(change).map(|side| side << doubled));
        both = [gains * (n - 1) + gain, losses * (n - 1) + loss].map(|sum| half_even(&sum, &n.into()));
        *answer = value(&both);
    }
    values
}

/// Averages that are doubled so often, doubled more often or less: as often as leaves 116 bits to the larger of them, and to the
/// change doubled likewise.
fn doubled_to_116_bits(both: [BigInt; 2], doubled: u64, change: &BigInt) -> ([BigInt; 2], u64) {
    let times = |x: &BigInt, doubled: u64| (x.bits() > 0).then(|| (doubled + 116).saturating_sub(x.bits()));
    let rooms = [times(&both[0], doubled), times(&both[1], doubled), times(change, 0)];
    let most = rooms.into_iter().flatten().min().unwrap_or(doubled);
    (both.map(|x| half_even(&(x << most), &(BigInt::from(1) << doubled))), most)
}

fn power(digits: u8) -> BigInt {
    BigInt::from(10).pow(digits.into())
}

/// The whole number nearest to a quotient, ties to even.
fn half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let (quotient, rest) =
        (numerator.magnitude() / denominator.magnitude(), numerator.magnitude() % denominator.magnitude());
    let up = match (rest * 2_u8).cmp(denominator.magnitude()) {
        Ordering::Less => false,
        Ordering::Equal => quotient.bit(0),
        Ordering::Greater => true,
    };
    BigInt::from_biguint(numerator.sign(), quotient + u8::from(up))
}

/// The f64 nearest to a quotient, ties to even; denominators are above 0.
fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
    // 65 bits or 66, the last of which says whether there is more: a cast is correctly rounded.
    let (n, d) = (numerator.magnitude(), denominator.magnitude());
    let (up, down) = ((66 + d.bits()).saturating_sub(n.bits()), n.bits().saturating_sub(66 + d.bits()));
    let (n, d) = (n << up, d << down);
    let quotient = u128::try_from(&n / &d).expect("66 bits") | u128::from(&n % &d != BigUint::ZERO);
    let rounded = times_2_to(quotient as f64, down.cast_signed() - up.cast_signed());
    if numerator.sign() == Sign::Minus { rounded.copysign(-1.0) } else { rounded }
}

/// The f64 nearest to the root of a quotient that is not below 0.
fn nearest_root(numerator: &BigInt, denominator: &BigInt) -> f64 {
    // A square of 132 bits or a little more, so a root of 66.
    let (n, d) = (numerator.magnitude(), denominator.magnitude());
    let half = (132 + d.bits()).saturating_sub(n.bits()).div_ceil(2);
    let n = n << (2 * half);
    let (quotient, root) = (&n / d, (&n / d).sqrt());
    let more = &root * &root != quotient || &quotient * d != n;
    times_2_to((u128::try_from(root).expect("127 bits") | u128::from(more)) as f64, -half.cast_signed())
}

/// x · 2^exponent, of an x that is 0 or as large that both are normal numbers.
fn times_2_to(x: f64, exponent: i64) -> f64 {
    if x == 0.0 { x } else { f64::from_bits(x.to_bits().wrapping_add_signed(exponent << 52)) }
}

#[cfg(test)]
mod tests {
    use crate::decode::{Decoder, FieldNames};
    use crate::oracle::{Log, OracleColumns, answer};
    use crate::partition::Rule;
    use crate::record::{PartitionName, Record};
    use crate::time::{NextOffset, SECOND, State, Windowing};

    #[test]
    fn partial_rows_have_no_values_and_are_no_part_of_others() {
        // The log begins above 0: its first minute, 0, ends at 60 s, and with the lateness at 120 s.
        let ticks = [(0, "A", 1), (1, "A", 2), (2, "A", 10), (2, "A", 20), (3, "B", 7), (4, "A", 30)];
        let texts = ticks.map(|(minute, symbol, price)| {
            let ts = minute * 60_000;
            format!(r#"{{"symbol": "{symbol}", "ts": {ts}, "price": {price}, "volume": 2}}"#)
        });
        let record = |(offset, text): (i64, &'static str)| Record {
            offset,
            payload: Some(text.as_bytes()),
            ..Record::default()
        };
        let texts = texts.map(|text| &*text.leak());
        let records = (5..).zip(texts).map(record).collect();
        let name = PartitionName { log: "ticks".into(), number: Some(0) };
        let logs = [Log { name, start: NextOffset(5), records }];
        let windowing = Windowing { length: 60 * SECOND, lateness: 60 * SECOND };
        let rule = Rule { windowing, ..Rule::default() };
        let columns = |market| OracleColumns { market, derived: "sma5,ema3,rsi1,rvolume4,stddev".parse().unwrap() };
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let said = |columns| {
            let rows = answer(&logs, &decoder, &rule, &[], &columns).rows.into_values();
            rows.map(|row| (row.symbol, row.state, row.derived.to_vec())).collect::<Vec<_>>()
        };
        let root = 50_f64.sqrt();
        let mut want = vec![
            ("A".to_owned(), State::Partial, vec![None; 5]),
            ("A".to_owned(), State::Partial, vec![None; 5]),
            ("A".to_owned(), State::Final, vec![Some(15.0), Some(15.0), None, Some(4.0), Some(root)]),
            ("B".to_owned(), State::Final, vec![Some(7.0), Some(7.0), None, Some(2.0), None]),
            ("A".to_owned(), State::Final, vec![Some(22.5), Some(22.5), Some(100.0), Some(6.0), None]),
        ];
        assert_eq!(said(columns(true)), want);
        want.iter_mut().for_each(|(_, _, values)| values[3..].fill(None));
        assert_eq!(said(columns(false)), want, "without sums of the market");
        assert!(said(OracleColumns::default()).iter().all(|(_, _, values)| values.is_empty()));
    }
}
