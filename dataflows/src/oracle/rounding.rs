//! Powers of ten, quotients and roots of integers of any size, and how they are rounded.

use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;

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
pub(super) fn nearest_root(numerator: &BigInt, denominator: &BigInt) -> f64 {
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
