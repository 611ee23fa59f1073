//! The oracle's second page: derived values (R14), of all events of a series, by integers of any size. Nothing of
//! `crate::derived` but the names of the metrics: each value is computed as its definition says, and rounded as R14 says.

use super::{EventsByWindow, OracleColumns, Position};
use crate::decimal::Scales;
use crate::decode::DecodedEvent;
use crate::derived::DerivedValues;
use crate::row::Row;
use crate::time::{SECOND, State, WindowStart};
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A minute that lacks nothing: values and weights of its events, as scaled integers.
pub(crate) struct Minute {
    pub(crate) start: i64,
    pub(crate) values: Vec<BigInt>,
    pub(crate) weights: Vec<Option<BigInt>>,
    /// A weight is beyond what its scale can hold.
    pub(crate) weight_beyond: bool,
}

/// What one metric says in one row: a value for each of its columns.
type Cells = Vec<Option<f64>>;

/// Fills in the derived values of all rows. Those that say `partial` have none, and are no part of any other's.
pub(super) fn fill(
    rows: &mut BTreeMap<(WindowStart, String), Row>,
    windows: &EventsByWindow<'_>,
    columns: &OracleColumns,
    scales: Scales,
    length: i64,
) {
    let mut series = BTreeMap::<&str, Vec<Minute>>::new();
    for (key @ (start, symbol), events) in windows {
        if rows[key].state != State::Partial {
            let values = events.iter().map(|(_, event)| event.value.0.into()).collect();
            let weights = events.iter().map(|(_, event)| Some(event.weight?.0.into())).collect();
            let weight_beyond = events.iter().any(|(_, event)| event.weight_beyond);
            series.entry(symbol).or_default().push(Minute { start: start.0, values, weights, weight_beyond });
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
pub(super) fn own(
    events: &[&(Position, DecodedEvent<'_>)],
    state: State,
    columns: &OracleColumns,
    scales: Scales,
) -> DerivedValues {
    let minute = Minute {
        start: 0,
        values: events.iter().map(|(_, event)| event.value.0.into()).collect(),
        weights: Vec::new(),
        weight_beyond: false,
    };
    let known = columns.market && state != State::Partial;
    let cell = |name: String| {
        let is_own = ["variance", "stddev"].contains(&name.as_str());
        let mut cells =
            if is_own { of_minutes(&name, std::slice::from_ref(&minute), &[], scales, &power(0)) } else { vec![None] };
        cells.pop().flatten().filter(|_| known)
    };
    columns.derived.columns().map(cell).collect()
}

/// The derived values of each minute of a series; they ascend.
pub(crate) fn values(minutes: &[Minute], columns: &OracleColumns, scales: Scales, length: i64) -> Vec<Cells> {
    let mut rows = vec![Cells::new(); minutes.len()];
    let digits = scales.value.max(18.min(scales.value + 6));
    let average = |minute: &Minute| {
        let sum: BigInt = minute.values.iter().sum();
        half_even(&(sum * power(digits - scales.value)), &minute.values.len().into())
    };
    let averages: Vec<BigInt> = minutes.iter().map(average).collect();
    for metric in columns.derived.metrics() {
        let name = metric.to_string();
        let (word, n) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
        let n: u16 = n.parse().unwrap_or(1);
        let cells: Vec<Cells> = if ["ema", "macd", "rsi"].contains(&word) {
            // Begun anew after more than seven days.
            let runs = minutes.chunk_by(|a, b| b.start - a.start <= 7 * 24 * 3600 * SECOND);
            let mut rest = &averages[..];
            let next = |run: &[Minute]| without_end(word, n, rest.split_off(..run.len()).expect("as many"), digits);
            runs.flat_map(next).collect()
        } else if word == "chg" {
            let before = |at: usize| {
                minutes[..at].iter().find(|minute| minute.start == minutes[at].start - i64::from(n) * length)
            };
            (0..minutes.len()).map(|at| vec![before(at).and_then(|before| change(before, &minutes[at]))]).collect()
        } else {
            let last = |at: usize| {
                let from = minutes[at].start - i64::from(n - 1) * length;
                let first = minutes.iter().position(|minute| minute.start >= from).expect("its own, at least");
                of_minutes(word, &minutes[first..=at], &averages[first..=at], scales, &power(digits))
            };
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
    let values = || minutes.iter().flat_map(|minute| &minute.values);
    let pairs = || minutes.iter().flat_map(|minute| minute.values.iter().zip(&minute.weights));
    let weights = || pairs().filter_map(|(_, weight)| weight.as_ref());
    let known = !minutes.iter().any(|minute| minute.weight_beyond);
    let (count, many) = (BigInt::from(values().count()), BigInt::from(averages.len()));
    let unit = power(scales.value);
    // Of n numbers: n times the sum of their squares, less the square of their sum.
    let spread = |n: &BigInt, numbers: &mut dyn Iterator<Item = &BigInt>, sum: &BigInt| {
        n * numbers.map(|x| x * x).sum::<BigInt>() - sum * sum
    };
    match word {
        "sma" => vec![Some(nearest(&averages.iter().sum(), &(many * one)))],
        "ravg" => vec![Some(nearest(&values().sum(), &(count * unit)))],
        "rhigh" => vec![values().max().map(|high| nearest(high, &unit))],
        "rlow" => vec![values().min().map(|low| nearest(low, &unit))],
        "rvolume" => vec![weights().next().filter(|_| known).map(|_| nearest(&weights().sum(), &power(scales.weight)))],
        "rvwap" => {
            let products: BigInt = pairs().filter_map(|(value, weight)| Some(value * weight.as_ref()?)).sum();
            let volume: BigInt = weights().sum();
            vec![(known && volume.sign() == Sign::Plus).then(|| nearest(&products, &(volume * unit)))]
        }
        "bb" => {
            let sum: BigInt = averages.iter().sum();
            let twice: BigInt = spread(&many, &mut averages.iter(), &sum).sqrt() * 2;
            let bands = [&sum + &twice, &sum - &twice];
            bands.map(|band| (averages.len() > 1).then(|| nearest(&band, &(&many * one)))).into()
        }
        "variance" | "stddev" => {
            let over = &count * (&count - 1_u8) * &unit * &unit;
            let numerator = spread(&count, &mut values(), &values().sum());
            let rounded = if word == "stddev" { nearest_root } else { nearest };
            vec![(over.sign() == Sign::Plus).then(|| rounded(&numerator, &over))]
        }
        _ => unreachable!("there is no metric {word}"),
    }
}

/// The mean of a minute's values over that of another, less 1. None where that other is not above 0.
fn change(before: &Minute, minute: &Minute) -> Option<f64> {
    let [old, new] = [before, minute].map(|minute| minute.values.iter().sum::<BigInt>());
    let [old_over, new_over] = [before, minute].map(|minute| BigInt::from(minute.values.len()));
    // Means over a common divisor.
    let (old, new) = (old * &new_over, new * &old_over);
    (old.sign() == Sign::Plus).then(|| nearest(&(new - &old), &old))
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

pub(super) fn power(digits: u8) -> BigInt {
    BigInt::from(10).pow(digits.into())
}

/// The whole number nearest to a quotient, ties to even.
pub(super) fn half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
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
pub(super) fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
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
        let columns = |market| OracleColumns {
            market,
            derived: "sma5,ema3,rsi1,rvolume4,stddev".parse().unwrap(),
            ..OracleColumns::default()
        };
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
