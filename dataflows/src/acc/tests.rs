use super::*;
use crate::decimal::Decimal;

fn event(value: &str, time: i64, weight: Option<&str>) -> DecodedEvent<'static> {
    let decimal = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
    let weight = weight.map(decimal);
    DecodedEvent {
        symbol: "A".into(),
        value: decimal(value),
        time: EventTime(time),
        weight,
        weight_beyond: false,
        id: None,
        rounded: false,
    }
}

fn market(events: &[(&str, i64, Option<&str>)]) -> Market {
    let each = events.iter().enumerate().map(|(i, (value, time, weight))| {
        Market::of(&event(value, *time, *weight), LogPosition { identity: 7, offset: i64::try_from(i).unwrap() })
    });
    each.reduce(|mut a, b| {
        a.plus_equals(&b);
        a
    })
    .unwrap()
}

fn row(acc: &Market) -> Option<Row> {
    acc.row("A", WindowStart(0), State::Open, Scales::default())
}

fn volume(acc: &Market) -> Option<String> {
    row(acc).unwrap().market.unwrap().volume.map(|volume| volume.to_string())
}

#[test]
fn a_minute_of_oil() {
    let acc = market(&[("-37.63", 3, Some("200")), ("10.01", 1, None), ("-1", 3, Some("100.5"))]);
    let row = row(&acc).unwrap();
    assert_eq!((row.count, row.sum.to_string(), row.avg), (3, "-28.62".into(), -9.54));
    let m = row.market.unwrap();
    assert_eq!((m.open, m.high, m.low, m.close), (10.01, 10.01, -37.63, -1.0));
    // (-37.63·200 - 100.5) / 300.5 = -7626.5 / 300.5
    assert_eq!((m.volume.unwrap().to_string(), m.vwap), ("300.5".into(), Some(-25.379_367_720_465_89)));
}

#[test]
fn no_weight_is_not_a_weight_of_0() {
    assert_eq!(volume(&market(&[("5", 1, None), ("6", 2, None)])), None);
    assert_eq!(volume(&market(&[("5", 1, None), ("6", 2, Some("0"))])).as_deref(), Some("0"));
    // (--weight-sign keep)
    for weights in [["3", "-3"], ["3", "-4"]] {
        let acc = market(&[("5", 1, Some(weights[0])), ("6", 2, Some(weights[1]))]);
        assert_eq!(row(&acc).unwrap().market.unwrap().vwap, None, "{weights:?}");
        assert!(volume(&acc).is_some());
    }
    assert_eq!(volume(&market(&[("5", 1, Some("3")), ("6", 2, Some("-4"))])).as_deref(), Some("-1"));
}

#[test]
fn a_row_is_at_the_scales_of_its_decimals() {
    // 113 wei twice, and a weight of 0.5 at 1 decimal; then the same integers as thousandths.
    let event = DecodedEvent { value: Decimal(113), weight: Some(Decimal(5)), ..event("0", 1, None) };
    let position = LogPosition { identity: 1, offset: 1 };
    let mut acc = Market::of(&event, position);
    acc.plus_equals(&Market::of(&DecodedEvent { value: Decimal(115), ..event }, position));
    let row = |value, weight| acc.row("A", WindowStart(0), State::Open, Scales { value, weight }).unwrap();
    let texts = |row: &Row| (row.sum.to_string(), row.market.as_ref().unwrap().volume.unwrap().to_string());
    let floats = |row: &Row| {
        let m = row.market.as_ref().unwrap();
        (row.avg, m.open, m.high, m.vwap)
    };
    let whole = row(0, 1);
    assert_eq!((texts(&whole), floats(&whole)), (("228".into(), "1".into()), (114.0, 113.0, 115.0, Some(114.0))));
    let small = row(3, 0);
    assert_eq!((texts(&small), floats(&small)), (("0.228".into(), "10".into()), (0.114, 0.113, 0.115, Some(0.114))));
}

#[test]
fn a_retraction_takes_all_away() {
    for mut acc in [market(&[("1", 1, Some("3")), ("-1", 2, None)]), market(&[("-7.5", 9, Some("0"))])] {
        let gone = acc.retraction();
        assert!(!acc.is_zero(), "values may cancel, the count does not");
        acc.plus_equals(&gone);
        assert!(acc.is_zero() && acc.volume.get() == 0 && acc.weighted() == I256::ZERO && acc.avg.sum.get() == 0);
        assert_eq!((acc.weights, row(&acc)), (0, None));
    }
}

/// As differential adds them: in any order and in any batches, and with one complete retraction at the end.
#[test]
fn parts_add_up_in_any_order_and_batches() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..2_000 {
        let number = |rng: &mut fastrand::Rng| Decimal(rng.i128(-(10_i128.pow(29))..=10_i128.pow(29)) >> rng.u32(..97));
        let parts: Vec<Market> = (0..rng.i64(1..9))
            .map(|offset| {
                let weight = rng.bool().then(|| number(&mut rng));
                let event = DecodedEvent { value: number(&mut rng), weight, ..event("0", rng.i64(..4), None) };
                Market::of(&event, LogPosition { identity: rng.u64(..3), offset })
            })
            .collect();
        let add = |mut a: Market, b: Market| {
            a.plus_equals(&b);
            a
        };
        let all = parts.iter().copied().reduce(add).unwrap();
        let mut batches = parts.clone();
        while batches.len() > 1 {
            let one = batches.swap_remove(rng.usize(..batches.len()));
            let other = batches.swap_remove(rng.usize(..batches.len()));
            batches.push(add(one, other));
        }
        assert_eq!(batches[0], all, "seed {seed}");
        let gone = add(all, all.retraction());
        assert!(gone.is_zero() && gone.weights == 0 && gone.volume.get() == 0, "seed {seed}");
        let bytes = postcard::to_allocvec(&all).unwrap();
        assert_eq!(Market::decode(&bytes), Ok(all), "seed {seed}");
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Bytes that version 0.1.0 wrote, of the records below.
#[test]
fn what_version_0_1_wrote_is_read() {
    let weighted = bytes_of(
        "06038080c882aab4d5e872f02e0700008080a4cdefbeaaf58a01b06d0704018080f0c4c5a9d28ff201008080a4cdefbeaaf58a01058080b4f0\
         f4cbd8e3f501148080c8cec9f6c5bfde0101e9ffffffffffffffff01ffadd6dcca8c96cf3c808080808083809a25",
    );
    let mut now = market(&[("10.01", 3_000, None), ("-37.63", 5_000, Some("200")), ("-1", 7_000, Some("0.5"))]);
    now.weights = 3; // It did not tell which had one,
    (now.squares, now.squared) = ([Int128::new(0); 2], 0); // nor how far values lie apart.
    assert_eq!(Market::decode(&weighted), Ok(now));

    let unweighted = bytes_of(
        "02008080a4cdefbeaaf58a01f02e0700008080a4cdefbeaaf58a01f02e0700008080a4cdefbeaaf58a01008080a4cdefbeaaf58a01\
         008080a4cdefbeaaf58a01000000000000",
    );
    let mut old = Market::decode(&unweighted).unwrap();
    assert_eq!(volume(&old).as_deref(), Some("0"), "as its rows said");
    old.plus_equals(&market(&[("10.02", 4_000, None)]));
    assert_eq!(volume(&old).as_deref(), Some("0"));
    old.plus_equals(&old.retraction());
    assert!(old.is_zero() && old.weights == 0);

    for bytes in [&weighted[..weighted.len() - 1], &[&weighted[..], &[6, 0]].concat(), &[]] {
        assert!(Market::decode(bytes).is_err());
    }
    assert!(Avg::decode(&postcard::to_allocvec(&now.avg).unwrap()).is_ok() && Avg::decode(&weighted).is_err());
}

#[test]
fn a_diff_has_few_bytes() {
    assert_eq!((size_of::<Avg>(), size_of::<Market>(), align_of::<Market>()), (24, 232, 8));
}
