//! Derived values against the oracle's second page, which shares no arithmetic with them, against exact fractions, and by hand.

use super::*;
use crate::decimal::LIMIT;
use crate::oracle::OracleColumns;
use crate::oracle::derived::{Minute, values as oracles_values};
use crate::time::SECOND;
use crate::wide::{I256, U256};
use fastrand::Rng;
use num_bigint::BigInt;

const LARGEST: i128 = LIMIT.cast_signed();
const MINUTE: i64 = 60 * SECOND;

/// What one minute's events have.
#[derive(Clone, Debug)]
struct Events {
    start: i64,
    /// Value and weight.
    pairs: Vec<(i128, Option<i128>)>,
}

impl Events {
    fn of(start: i64, values: &[i128]) -> Self {
        Events { start, pairs: values.iter().map(|value| (*value, None)).collect() }
    }

    /// As a job adds them up.
    fn sums(&self) -> MinuteSums {
        let values = || self.pairs.iter().map(|(value, _)| *value);
        let weights = || self.pairs.iter().filter_map(|(_, weight)| *weight);
        let products = self.pairs.iter().map(|(value, weight)| I256::product(*value, weight.unwrap_or(0)));
        let square = |value: i128| U256::product(value.unsigned_abs(), value.unsigned_abs());
        let market = MarketSums {
            high: values().max().unwrap(),
            low: values().min().unwrap(),
            volume: weights().next().is_some().then(|| weights().sum()),
            weight_beyond: false,
            weighted: products.fold(I256::ZERO, I256::plus),
            squares: Some(values().map(square).fold(U256::ZERO, U256::plus)),
        };
        MinuteSums { count: self.pairs.len().try_into().unwrap(), sum: values().sum(), market: Some(market) }
    }

    fn for_the_oracle(&self) -> Minute {
        Minute::of_pairs(self.start, &self.pairs)
    }
}

fn deriver(list: &str, scales: Scales, length: i64) -> Deriver {
    Deriver::new(list.parse().unwrap(), scales, &Windowing { length, ..Windowing::default() })
}

/// The values of the last minute, and what was folded of those before.
fn of_last(deriver: &Deriver, fold: Option<Fold>, minutes: &[(WindowStart, MinuteSums)]) -> DerivedValues {
    let mut strip = Strip::after(fold);
    let ((window, own), before) = minutes.split_last().unwrap();
    before.iter().for_each(|(window, minute)| deriver.push(&mut strip, *window, minute));
    deriver.values(&mut strip, *window, own)
}

/// The values of every minute. Of those that a row no longer looks back to, any number is folded: `folded` says how many, of at most
/// so many.
fn all_values(deriver: &Deriver, minutes: &[Events], mut folded: impl FnMut(usize) -> usize) -> Vec<DerivedValues> {
    let sums: Vec<_> = minutes.iter().map(|minute| (WindowStart(minute.start), minute.sums())).collect();
    let row = |at: usize| {
        let from = minutes[at].start - deriver.look_back();
        let many = folded(minutes.partition_point(|minute| minute.start < from));
        let mut fold = None;
        sums[..many].iter().for_each(|(window, minute)| deriver.step(&mut fold, *window, minute));
        of_last(deriver, fold, &sums[many..=at])
    };
    (0..minutes.len()).map(row).collect()
}

/// Of the only column.
fn column(list: &str, decimals: u8, minutes: &[Events]) -> Vec<Option<f64>> {
    let rows = all_values(&deriver(list, Scales { value: decimals, weight: 0 }, MINUTE), minutes, |most| most);
    rows.iter().map(|row| row[0]).collect()
}

/// Minutes with no gap, each of one value.
fn in_a_row(values: &[i128]) -> Vec<Events> {
    (0..).zip(values).map(|(at, value)| Events::of(at * MINUTE, &[*value])).collect()
}

fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
    values.iter().map(|value| value.map(f64::to_bits)).collect()
}

fn equal_to_the_oracle(list: &str, scales: Scales, length: i64, minutes: &[Events], rng: &mut Rng) {
    let deriver = deriver(list, scales, length);
    let columns = OracleColumns { market: true, derived: deriver.list().clone(), ..OracleColumns::default() };
    let theirs: Vec<Minute> = minutes.iter().map(Events::for_the_oracle).collect();
    let want = oracles_values(&theirs, &columns, scales, length);
    let got = all_values(&deriver, minutes, |most| rng.usize(..=most));
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(&want).enumerate() {
        let names = columns.derived.columns();
        let differ: Vec<_> =
            names.zip(got.iter().zip(want)).filter(|(_, (got, want))| bits(&[**got]) != bits(&[**want])).collect();
        assert!(got.len() == want.len() && differ.is_empty(), "minute {at}, {scales:?}: got and want: {differ:?}");
    }
}

fn all_metrics(n: u16) -> String {
    let bands = n.max(2);
    format!("sma{n},ravg{n},rhigh{n},rlow{n},rvolume{n},rvwap{n},bb{bands},ema{n},rsi{n},chg{n},macd,variance,stddev")
}

/// Values of one of five kinds: prices that move little, the largest there are, one price, any, and those of a few units.
fn draw_value(rng: &mut Rng, kind: u8, last: i128) -> i128 {
    let drawn = match kind {
        0 => last + rng.i128(-(last.abs() / 1000).max(9)..=(last.abs() / 1000).max(9)),
        1 => *rng.choice(&[-LARGEST, LARGEST, LARGEST, 0, LARGEST - 1]).unwrap(),
        2 => last,
        3 => rng.i128(-LARGEST..=LARGEST),
        _ => rng.i128(-3..=3),
    };
    drawn.clamp(-LARGEST, LARGEST)
}

fn draw_minutes(rng: &mut Rng, length: i64) -> Vec<Events> {
    let (mut start, mut last) = (rng.i64(-1000..1000) * length, rng.i128(-LARGEST..=LARGEST) >> rng.u32(..90));
    let mut kind = rng.u8(..5);
    let mut minutes = Vec::new();
    for _ in 0..rng.usize(1..80) {
        if rng.u8(..12) == 0 {
            kind = rng.u8(..5);
        }
        let mut pairs = Vec::new();
        for _ in 0..rng.usize(1..5) {
            last = draw_value(rng, kind, last);
            let weight = rng.i128(0..=LARGEST) >> rng.u32(..96);
            let weight = [Some(weight), Some(-weight), Some(0), None][rng.usize(..4)];
            pairs.push((last, weight));
        }
        minutes.push(Events { start, pairs });
        let longest = folds::LONGEST_GAP / length;
        start += length
            * match rng.u8(..40) {
                0 => longest,
                1 => longest + 1,
                2 => rng.i64(1..1200),
                3..12 => rng.i64(2..5),
                _ => 1,
            };
    }
    minutes
}

#[test]
fn all_metrics_are_the_oracles_bit_for_bit() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..400 {
        let decimals = |rng: &mut Rng| *rng.choice(&[0, 2, 11, 12, 13, 18, 24, 28]).unwrap();
        let scales = Scales { value: decimals(&mut rng), weight: decimals(&mut rng) };
        let length = *rng.choice(&[SECOND, MINUTE, 3600 * SECOND]).unwrap();
        let n = *rng.choice(&[1, 2, 3, 5, 14, 60, 999, 1000]).unwrap();
        let minutes = draw_minutes(&mut rng, length);
        equal_to_the_oracle(&all_metrics(n), scales, length, &minutes, &mut rng);
    }
}

/// A thousand minutes of the largest values: each sum, product and root is as large as it can be.
#[test]
fn the_largest_values_for_a_thousand_minutes_have_values() {
    let mut rng = Rng::with_seed(1);
    for decimals in [0, 28] {
        let scales = Scales { value: decimals, weight: decimals };
        let signs: [fn(i64) -> bool; 4] = [|_| false, |at| at % 2 == 0, |at| at % 10 == 0, |at| at < 1000];
        for is_below_0 in signs {
            let of = |at| if is_below_0(at) { -LARGEST } else { LARGEST };
            let minutes: Vec<_> = (0..1001)
                .map(|at| Events { start: at * MINUTE, pairs: vec![(of(at), Some(LARGEST)), (of(at), Some(LARGEST))] })
                .collect();
            let deriver = deriver(&all_metrics(1000), scales, MINUTE);
            let columns = OracleColumns { market: true, derived: deriver.list().clone(), ..OracleColumns::default() };
            let theirs: Vec<Minute> = minutes.iter().map(Events::for_the_oracle).collect();
            let want = oracles_values(&theirs, &columns, scales, MINUTE).pop().unwrap();
            let sums: Vec<_> = minutes.iter().map(|minute| (WindowStart(minute.start), minute.sums())).collect();
            let got = of_last(&deriver, None, &sums);
            assert_eq!(bits(&got), bits(&want), "{decimals} decimals");
        }
        let few: Vec<_> = (0..40).map(|at| if at % 2 == 0 { LARGEST } else { -LARGEST }).collect();
        equal_to_the_oracle("rsi1,rsi2,rsi14,ema1,ema2,macd,bb2", scales, MINUTE, &in_a_row(&few), &mut rng);
    }
}

/// A minute of as many records as a sum has room for (R2), and a thousand of them.
#[test]
fn minutes_of_as_many_records_as_a_sum_has_room_for() {
    let scales = Scales { value: 0, weight: 28 };
    let count = 1_700_000_000;
    let many = i128::from(count);
    let sums = |sign: i128| MinuteSums {
        count,
        sum: sign * many * LARGEST,
        market: Some(MarketSums {
            high: LARGEST,
            low: -LARGEST,
            volume: Some(many * LARGEST),
            weight_beyond: false,
            weighted: I256::product(sign * many * LARGEST, LARGEST),
            squares: Some(U256::product(LARGEST.unsigned_abs(), (many * LARGEST).unsigned_abs())),
        }),
    };
    let minutes: Vec<_> = (0..1000).map(|at| (WindowStart(at * MINUTE), sums(if at < 700 { 1 } else { -1 }))).collect();
    let deriver =
        deriver("sma1000,ravg1000,rvolume1000,rvwap1000,rsi1000,bb1000,variance,stddev,chg999", scales, MINUTE);
    let got = of_last(&deriver, None, &minutes);
    // Mean 0.4 of the largest, and a deviation of √(1 − 0.16) of it.
    let mean = 4e28;
    let want = [mean, mean, 1.7e13, mean];
    assert_eq!(got[..4], want.map(Some));
    assert_eq!(got[4], None, "999 changes");
    let deviation = 0.84_f64.sqrt() * 1e29;
    assert!((got[5].unwrap() / (mean + 2.0 * deviation) - 1.0).abs() < 1e-15, "{got:?}");
    assert!((got[6].unwrap() / (mean - 2.0 * deviation) - 1.0).abs() < 1e-15, "{got:?}");
    assert_eq!(got[7..9], [Some(0.0), Some(0.0)], "all values of the last minute are one");
    assert_eq!(got[9], Some(-2.0), "from the largest to the least");
    // Half of them on either side: the largest deviation there is.
    let mut wide = sums(1);
    wide.sum = 0;
    let own = of_last(&deriver, None, &[(WindowStart(0), wide)]);
    let of_a_sample = 1e58 * (1.0 + 1.0 / 1_699_999_999.0);
    assert!((own[7].unwrap() / of_a_sample - 1.0).abs() < 1e-15, "{own:?}");
    assert!((own[8].unwrap() / of_a_sample.sqrt() - 1.0).abs() < 1e-15, "{own:?}");
}

/// A positive f64 as a whole number times 2^exponent, and the halves of the way to its neighbours, times 2.
fn halves(x: f64) -> ([BigInt; 2], i64) {
    let (exponent, fraction) = (i64::try_from(x.to_bits() >> 52).unwrap(), x.to_bits() & ((1 << 52) - 1));
    let mantissa = BigInt::from(fraction | 1 << 52);
    // Below a power of two neighbours stand half as far apart: both in quarters.
    let below: BigInt = if fraction == 0 { &mantissa * 4 - 1 } else { &mantissa * 4 - 2 };
    ([below, &mantissa * 4 + 2], exponent - 1023 - 52 - 2)
}

/// `numerator/denominator` compared with (x · 2^exponent)^power, by whole numbers.
fn compare(numerator: &BigInt, denominator: &BigInt, x: &BigInt, exponent: i64, power: u32) -> std::cmp::Ordering {
    let by = exponent * i64::from(power);
    let (left, right) = (numerator.clone(), denominator * x.pow(power));
    if by < 0 { (left << -by).cmp(&right) } else { left.cmp(&(right << by)) }
}

#[test]
fn variance_and_its_root_are_the_floats_nearest_to_the_exact_ones() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..3000 {
        let decimals = *rng.choice(&[0, 2, 18, 24, 28]).unwrap();
        let shift = rng.u32(..96);
        let values: Vec<i128> = (0..rng.usize(2..9)).map(|_| rng.i128(-LARGEST..=LARGEST) >> shift).collect();
        let deriver = deriver("variance,stddev", Scales { value: decimals, weight: 0 }, MINUTE);
        let got = of_last(&deriver, None, &[(WindowStart(0), Events::of(0, &values).sums())]);
        // Σ(n·x − Σx)² = n²·Σ(x − mean)², over n²·(n − 1)·10^2N.
        let n = BigInt::from(values.len());
        let sum: BigInt = values.iter().sum();
        let numerator: BigInt = values.iter().map(|x| (x * &n - &sum).pow(2)).sum();
        let denominator = &n * &n * (&n - 1) * BigInt::from(10).pow(2 * u32::from(decimals));
        if numerator == BigInt::ZERO {
            assert_eq!(got[..], [Some(0.0), Some(0.0)]);
            continue;
        }
        for (power, got) in (1..).zip(got.iter()).map(|(at, got)| (at, got.unwrap())) {
            let ([low, high], exponent) = halves(got);
            let is_near = compare(&numerator, &denominator, &low, exponent, power).is_ge()
                && compare(&numerator, &denominator, &high, exponent, power).is_le();
            assert!(is_near, "{got:?} of {values:?} with {decimals} decimals, seed {seed}");
        }
    }
}

#[test]
fn an_ema_is_within_a_quarter_of_its_minutes_in_last_digits_of_the_exact_one() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for n in [1_u16, 2, 12, 26, 1000] {
        let list: DerivedList = format!("ema{n}").parse().unwrap();
        let (mut exact, mut over) = (BigInt::ZERO, BigInt::from(1));
        let mut fold: Option<Fold> = None;
        for at in 0..300 {
            let x = rng.i128(-LARGEST * 1_000_000..=LARGEST * 1_000_000) >> if at % 50 < 25 { 100 } else { 0 };
            let window = WindowStart(at * MINUTE);
            if let Some(fold) = &mut fold {
                fold.step(window, x);
                exact = exact * (n - 1) + &over * (2 * x);
                over *= n + 1;
            } else {
                (fold, exact) = (Some(Fold::begin(&list, window, x)), x.into());
            }
            let states: Vec<_> = fold.iter().flat_map(Fold::states).collect();
            let folds::FoldState::Ema(ema) = states[0] else { panic!("{states:?}") };
            let off: BigInt = (&exact - &over * ema.value()) * 4_u16;
            assert!(off.magnitude() <= (&over * (n + 1)).magnitude(), "ema{n}, step {at}, seed {seed}");
        }
    }
}

/// What rounding leaves must not pass for what prices did.
#[test]
fn an_rsi_stays_where_it_is_while_nothing_moves() {
    for decimals in [0, 2, 18, 28] {
        // Up 3, down 1: 75, more or less.
        let mut values: Vec<i128> = (0..40).map(|at| 1000 + at / 2 * 2 + if at % 2 == 0 { 0 } else { 3 }).collect();
        let last = values[39];
        let moved = column("rsi14", decimals, &in_a_row(&values));
        let before = moved[39].unwrap();
        values.resize(40 + 5000, last);
        let rows = in_a_row(&values);
        let deriver = deriver("rsi14", Scales { value: decimals, weight: 0 }, MINUTE);
        let mut fold = None;
        rows.iter().for_each(|row| deriver.step(&mut fold, WindowStart(row.start), &row.sums()));
        let next = Events::of(5040 * MINUTE, &[last]);
        let minutes = [(WindowStart(next.start), next.sums())];
        let after = of_last(&deriver, fold.clone(), &minutes)[0].unwrap();
        assert!((70.0..80.0).contains(&before) && (after - before).abs() < 1e-12, "{before}, {after}");
        // One move counts for all, after such a time.
        let next = Events::of(5040 * MINUTE, &[last - 1]);
        let minutes = [(WindowStart(next.start), next.sums())];
        assert!(of_last(&deriver, fold, &minutes)[0].unwrap() < 1e-12);
    }
}

#[test]
fn by_hand() {
    let close = |list, values: &[i128], want: &[Option<f64>]| {
        let got = column(list, 0, &in_a_row(values));
        let near = |(got, want): (&Option<f64>, &Option<f64>)| match (got, want) {
            (Some(got), Some(want)) => (got - want).abs() < 1e-9,
            (got, want) => got == want,
        };
        assert!(got.len() == want.len() && got.iter().zip(want).all(near), "{list}: {got:?}, not {want:?}");
    };
    close("sma3", &[1, 2, 6, 10], &[Some(1.0), Some(1.5), Some(3.0), Some(6.0)]);
    close("ema3", &[2, 4, 8, 0], &[Some(2.0), Some(3.0), Some(5.5), Some(2.75)]);
    // Gains 2 and 0, losses 0 and 1: means of 1 and 0.5. Then a gain of 4: 2.5 and 0.25.
    close("rsi2", &[10, 12, 11, 15], &[None, None, Some(100.0 / 1.5), Some(250.0 / 2.75)]);
    close("rsi2", &[5, 5, 5, 5, 4], &[None, None, None, None, Some(0.0)]);
    close("rsi1", &[5, 6, 6, 5], &[None, Some(100.0), None, Some(0.0)]);
    // Mean 3, deviation 1 as of a population.
    close("bb2", &[2, 4, 4], &[None, Some(5.0), Some(4.0)]);
    close("macd", &[13 * 27, 0], &[Some(0.0), Some(13.0 * 27.0 * (11.0 / 13.0 - 25.0 / 27.0))]);
    close("rhigh2", &[5, -7, -9], &[Some(5.0), Some(5.0), Some(-7.0)]);
    close("rlow2", &[5, -7, 9, 10], &[Some(5.0), Some(-7.0), Some(-7.0), Some(9.0)]);
    // Of 0, and of less, there is no fraction.
    let changes = [None, Some(0.25), Some(-0.5), Some(-1.0), None, Some(-2.0), None, None];
    close("chg1", &[8, 10, 5, 0, 7, -7, -14, -7], &changes);
    close("rvolume2", &[5, 6], &[None, None]);
    close("rvwap2", &[5, 6], &[None, None]);
    close("stddev", &[5, 6], &[None, None]);
}

#[test]
fn rolling_metrics_count_minutes_of_the_clock() {
    // Minutes 0, 1, 4, 5: of the last three of the clock, those that have a row.
    let minutes = [(0, 10), (1, 20), (4, 40), (5, 60)].map(|(at, value)| Events::of(at * MINUTE, &[value]));
    assert_eq!(column("sma3", 2, &minutes), [0.1, 0.15, 0.4, 0.5].map(Some));
    // Each record has one vote with ravg, each minute with sma.
    let minutes = [Events::of(0, &[1, 1, 1]), Events::of(MINUTE, &[5])];
    assert_eq!(column("sma2", 0, &minutes)[1], Some(3.0));
    assert_eq!(column("ravg2", 0, &minutes)[1], Some(2.0));
    // A change is from the minute that many minutes of the clock before, or there is none.
    let minutes = [(0, 10), (2, 15), (3, 40), (5, 60)].map(|(at, value)| Events::of(at * MINUTE, &[value, value]));
    assert_eq!(column("chg2", 0, &minutes), [None, Some(0.5), None, Some(0.5)]);
    assert_eq!(column("chg3", 2, &minutes), [None, None, Some(3.0), Some(3.0)]);
    // Weights: a volume of 0 is one, and has no vwap.
    let weighted = |start, pairs: &[(i128, Option<i128>)]| Events { start, pairs: pairs.to_vec() };
    let minutes = [
        weighted(0, &[(10, Some(1)), (20, Some(3))]),
        weighted(MINUTE, &[(99, None)]),
        weighted(2 * MINUTE, &[(30, Some(0))]),
        weighted(4 * MINUTE, &[(30, Some(0))]),
    ];
    assert_eq!(column("rvolume2", 0, &minutes), [4.0, 4.0, 0.0, 0.0].map(Some));
    assert_eq!(column("rvwap3", 0, &minutes), [Some(17.5), Some(17.5), Some(17.5), None]);
}

#[test]
fn after_more_than_seven_days_a_series_begins_anew() {
    let week = folds::LONGEST_GAP;
    for (gap, want) in [(week, 1.5), (week + MINUTE, 2.0)] {
        let minutes = [Events::of(0, &[1]), Events::of(gap, &[2])];
        assert_eq!(column("ema3", 0, &minutes)[1], Some(want));
    }
    // An rsi needs its first changes again, and does not take the step over the gap for one.
    let at = |minute: i64| minute * MINUTE + if minute > 2 { week } else { 0 };
    let minutes: Vec<_> =
        (0..6).zip([1, 2, 3, 50, 49, 48]).map(|(minute, value)| Events::of(at(minute), &[value])).collect();
    assert_eq!(column("rsi2", 0, &minutes), [None, None, Some(100.0), None, None, Some(0.0)]);
}

#[test]
fn without_sums_of_the_market_its_metrics_have_no_values() {
    let mut sums = Events { start: 0, pairs: vec![(1, Some(1)), (2, Some(2))] }.sums();
    let of_pairs = deriver(&all_metrics(2), Scales::default(), MINUTE);
    let values = |sums| of_last(&of_pairs, None, &[(WindowStart(0), sums)]);
    assert_eq!(values(sums).iter().filter(|value| value.is_none()).count(), 4, "bands, an rsi, and a change");
    // Of a minute that a version without squares began.
    sums.market = sums.market.map(|market| MarketSums { squares: None, ..market });
    assert_eq!(values(sums).iter().filter(|value| value.is_none()).count(), 6, "and variance, stddev");
    sums.market = None;
    let deriver = deriver(&all_metrics(2), Scales::default(), MINUTE);
    let known: Vec<String> = deriver
        .list()
        .columns()
        .zip(&values(sums))
        .filter(|(_, value)| value.is_some())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(known, ["sma2", "ravg2", "ema2", "macd", "macd_signal"]);
    assert_eq!(deriver.none().len(), deriver.list().columns().count());
}

/// A weight that the scale cannot hold leaves the volumes of all minutes that are looked at unknown, and nothing else.
#[test]
fn a_volume_that_is_not_known_is_no_part_of_a_sum() {
    let deriver = Deriver::new("rvolume2,rvwap2,rhigh2".parse().unwrap(), Scales::default(), &Windowing::default());
    let minute = |n: i64, weight_beyond: bool| {
        let mut sums = Events { start: n, pairs: vec![(7, Some(2))] }.sums();
        let market = sums.market.unwrap();
        let volume = market.volume.filter(|_| !weight_beyond);
        sums.market = Some(MarketSums { volume, weight_beyond, ..market });
        (WindowStart(n * Windowing::default().length), sums)
    };
    let known = |minutes: &[(WindowStart, MinuteSums)]| {
        let values = of_last(&deriver, None, minutes);
        values.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(known(&[minute(0, true), minute(1, false)]), [false, false, true]);
    assert_eq!(known(&[minute(0, true), minute(2, false)]), [true, true, true]);
}
