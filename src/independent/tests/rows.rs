//! Whole partitions: verdicts, rows, digests and derived values, by the oracle and independently.

use super::super::derived::IndependentColumns;
use super::super::folds::IndependentFolds;
use super::super::judge::{IndependentJudgement, IndependentPartition};
use super::super::rules::IndependentRules;
use super::super::sums::IndependentSums;
use super::configured::fields;
use super::hostile_json::RecordMaker;
use super::{partition, random, records};
use fastrand::Rng;
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::oracle::{
    Exceptions, Judgement, OracleColumns, OraclePartition, PlainSums, SeriesFolds, derived_values,
};
use minutely_dataflows::partition::{CleaningRule, OutlierRule, Rule};
use minutely_dataflows::record::{Cause, Evidence, Reason};
use minutely_dataflows::time::{EventTime, SECOND, State, WindowStart, Windowing};
use std::collections::BTreeMap;

/// Records of one partition.
const RECORDS: u64 = 2000;

fn rule(rng: &mut Rng) -> Rule {
    let seconds = |rng: &mut Rng, most: i64| rng.i64(1..most) * SECOND;
    let windowing = Windowing { length: seconds(rng, 200), lateness: seconds(rng, 100) };
    let limit =
        |rng: &mut Rng| Some(Decimal(i128::from(rng.i64(..)) * 10_i128.pow(rng.u32(0..5)))).filter(|_| rng.bool());
    let (a, b) = (limit(rng), limit(rng));
    let outlier = OutlierRule { values: rng.usize(3..12), hundredths: rng.u32(1..400) };
    let cleaning = CleaningRule {
        least: a.min(b).filter(|_| rng.u8(..3) == 0),
        greatest: a.max(b).filter(|_| rng.u8(..3) == 0),
        outlier: Some(outlier).filter(|_| rng.bool()),
        session: None,
    };
    let max_past = Some(seconds(rng, 400)).filter(|_| rng.bool());
    Rule { windowing, max_future: seconds(rng, 5), max_past, ..Rule::default() }.with_cleaning(cleaning)
}

/// A few records that a clock or a floor judged.
fn exceptions(rng: &mut Rng) -> Exceptions {
    let mut listed = Exceptions::new();
    for _ in 0..rng.usize(..20) {
        let at = EventTime(rng.i64(0..1_700_000_000_000_000_000));
        let one = match rng.u8(..3) {
            0 => (Reason::Late, Evidence::Floor(at)),
            1 => (Reason::Future, Evidence::Clock(at)),
            _ => (Reason::Past, Evidence::Clock(at)),
        };
        listed.insert((rng.i64(0..RECORDS.cast_signed()), Some(rng.u32(..2)).filter(|_| rng.bool())), one);
    }
    listed
}

/// Sums by window and series.
type Sums<S> = BTreeMap<(WindowStart, String), S>;

/// What both say of a partition: events by what became of them, and sums.
struct JudgedByBoth {
    letters: [Vec<(i64, Reason)>; 2],
    oracle: Sums<PlainSums>,
    independent: Sums<IndependentSums>,
}

fn judge(rng: &mut Rng, fields: &FieldNames, decoder: &Decoder, rules: &IndependentRules, rule: &Rule) -> JudgedByBoth {
    let (name, listed) = (partition(rng), exceptions(rng));
    let h = Some(EventTime(1_767_225_000_000_000_000)).filter(|_| rng.bool());
    let mut oracle = OraclePartition::new(&name, decoder, rule, listed.clone(), h);
    let mut independent = IndependentPartition::new(rules, &name, listed, h);
    let mut maker = RecordMaker::new(rng, fields);
    let mut both = JudgedByBoth { letters: [Vec::new(), Vec::new()], oracle: Sums::new(), independent: Sums::new() };
    for offset in 0..RECORDS.cast_signed() {
        let made = maker.record(rng);
        let record = made.lend(offset);
        let judged = oracle.record(&record, |judgement| match judgement {
            Judgement::Counts(window, position, event) => {
                let sums = both.oracle.entry((window, event.symbol.to_string()));
                sums.and_modify(|sums| sums.add(&event, position)).or_insert_with(|| PlainSums::of(&event, position));
            }
            Judgement::DeadLetter(_, Cause::Rejected(rejection)) => both.letters[0].push((offset, rejection.reason)),
            Judgement::DeadLetter(_, Cause::Judged(reason, _)) => both.letters[0].push((offset, reason)),
        });
        judged.expect("there is no registry");
        independent.record(&record, |judgement| match judgement {
            IndependentJudgement::Counts(window, place, event) => {
                let sums = both.independent.entry((window, event.symbol().to_owned()));
                sums.and_modify(|sums| sums.add(&event, place)).or_insert_with(|| IndependentSums::of(&event, place));
            }
            IndependentJudgement::Letter(reason) => both.letters[1].push((offset, reason)),
            IndependentJudgement::Nothing => {}
        });
        assert_eq!(oracle.h(), independent.h(), "H after offset {offset}");
    }
    both
}

/// Floats are equal where their bits are.
fn bits(values: Vec<Option<Option<f64>>>) -> Vec<Option<Option<u64>>> {
    values.into_iter().map(|value| value.map(|value| value.map(f64::to_bits))).collect()
}

/// Each is to be met.
const REASONS: [&str; 5] = ["late", "future", "past", "bounds", "outlier"];

#[test]
fn both_judge_add_and_derive_the_same() {
    let mut rng = random();
    let (mut tried, mut rows) = (0, 0);
    let mut told = BTreeMap::<&str, u64>::new();
    // (Rules are drawn: where they left out a reason, some more are.)
    while tried < records() / 2 || (tried < 4 * records() && !REASONS.iter().all(|reason| told.contains_key(*reason))) {
        let (mut fields, rule) = (fields(&mut rng), rule(&mut rng));
        if rng.u8(..3) > 0 {
            // Rows of many records: of fields that are nearly always there.
            let plain = FieldNames::default();
            let numbers = if rng.bool() { fields.numbers } else { plain.numbers.clone() };
            fields = FieldNames { numbers, id: fields.id, ..plain };
        }
        let (Ok(decoder), Ok(rules)) = (Decoder::new(&fields), IndependentRules::of(&fields, &rule)) else { continue };
        let both = judge(&mut rng, &fields, &decoder, &rules, &rule);
        let first = both.letters[0].iter().zip(&both.letters[1]).find(|(a, b)| a != b);
        assert_eq!(first, None, "dead letters: by {fields:?} {rule:?}");
        assert_eq!(both.letters[0].len(), both.letters[1].len());
        both.letters[0].iter().for_each(|(_, reason)| *told.entry(reason.name()).or_default() += 1);
        let keys: Vec<_> = both.oracle.keys().collect();
        assert_eq!(keys, both.independent.keys().collect::<Vec<_>>());
        let scales = fields.numbers.scales();
        let market = rng.u8(..4) > 0;
        for ((window, symbol), sums) in &both.oracle {
            let other = &both.independent[&(*window, symbol.clone())];
            let [a, b] = [
                sums.row(symbol, *window, State::Final, (market, scales)),
                other.row(symbol, *window, State::Final, (market, scales)),
            ];
            assert_eq!(a, b);
            assert_eq!(format!("{a:?}"), format!("{b:?}"), "bit for bit");
            assert_eq!(sums.numbers(market), other.numbers(market));
            rows += 1;
        }
        derive(&both, market, scales, rule.windowing.length);
        tried += RECORDS;
    }
    eprintln!("{tried} records, {rows} rows, dead letters {told:?}");
    for reason in REASONS {
        assert!(told.contains_key(reason), "no event was {reason}: {told:?}");
    }
    assert!(rows > tried / 200, "{rows} rows");
}

/// All metrics, of each series from its first window on.
fn derive(both: &JudgedByBoth, market: bool, scales: minutely_dataflows::decimal::Scales, length: i64) {
    const ALL: &str = "sma1,sma5,ravg3,rhigh4,rlow4,rvolume3,rvwap3,bb2,bb7,chg1,chg3,ema1,ema12,macd,rsi1,rsi3,rsi14,variance,stddev";
    let columns = OracleColumns { market, derived: ALL.parse().expect("all are metrics"), ..OracleColumns::default() };
    let own = IndependentColumns::new(market, &columns.derived, scales, length);
    let mut series = BTreeMap::<&str, Vec<(WindowStart, &PlainSums, &IndependentSums)>>::new();
    for (key @ (window, symbol), sums) in &both.oracle {
        series.entry(symbol).or_default().push((*window, sums, &both.independent[key]));
    }
    for minutes in series.into_values() {
        let (mut folds, mut own_folds) = (SeriesFolds::begin(&columns, true), IndependentFolds::begin(&own, true));
        for at in 0..minutes.len() {
            let (window, sums, other) = minutes[at];
            let recursive = folds.step(window, sums, scales);
            let own_recursive = own_folds.step(&own, window, other, scales);
            let from = at.saturating_sub(8);
            let oracle: Vec<_> = minutes[from..=at].iter().map(|(window, sums, _)| (*window, *sums)).collect();
            let independent: Vec<_> = minutes[from..=at].iter().map(|(window, _, sums)| (*window, *sums)).collect();
            let [a, b] = [
                derived_values(&oracle, recursive, &columns, (scales, length)),
                own.values(&independent, own_recursive),
            ];
            assert_eq!(bits(a.clone()), bits(b.clone()), "{a:?} {b:?} of {oracle:?}");
        }
    }
}
