//! Derived values beside those of pandas and TA-Lib, on two sessions of a stock: `derived/reference.py` made both files.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use differential_dataflow::difference::Semigroup;
use minutely_dataflows::acc::{Accumulate, LogPosition, Market};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::derived::{DerivedValues, Deriver, MinuteSums, Strip};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::{WindowStart, Windowing};
use std::collections::BTreeMap;

const TICKS: &str = include_str!("derived/ticks.csv");
const REFERENCE: &str = include_str!("derived/reference.csv");
const LIST: &str = "sma5,sma20,rhigh20,rlow20,ravg20,rvolume20,rvwap20,bb20,ema12,macd,variance,stddev,rsi14,chg5";

/// How far values may be off, of themselves; a `macd`, of the price; a change, of 1. The file has twelve digits.
const RELATIVE: f64 = 1e-11;

/// A column of TA-Lib, and the row from which on it is compared: it begins an ema with the mean of its first minutes, and what is
/// left of that is (1 − α)^rows.
const TALIB: [(&str, &str, usize); 6] = [
    ("talib_rsi14", "rsi14", 0),
    ("talib_bb20_upper", "bb20_upper", 0),
    ("talib_bb20_lower", "bb20_lower", 0),
    ("talib_ema12", "ema12", 150),
    ("talib_macd", "macd", 330),
    ("talib_macd_signal", "macd_signal", 330),
];

/// Adds up the ticks of each minute as a run does.
fn minutes() -> Vec<(WindowStart, MinuteSums)> {
    let fields = FieldNames { weight: Some("size".into()), ..FieldNames::default() };
    let (decoder, windowing) = (Decoder::new(&fields).unwrap(), Windowing::default());
    let mut minutes = BTreeMap::<WindowStart, Market>::new();
    for (offset, row) in (0..).zip(csv::Reader::from_reader(TICKS.as_bytes()).records()) {
        let row = row.unwrap();
        let text = format!(r#"{{"symbol": "A", "ts": {}, "price": {}, "size": {}}}"#, &row[0], &row[1], &row[2]);
        let event = decoder.decode(&Record { offset, payload: Some(text.as_bytes()), ..Record::default() });
        let event = event.unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        let tick = Market::of(&event, LogPosition::of(0, offset, None).unwrap());
        minutes.entry(windowing.window_of(event.time)).and_modify(|sums| sums.plus_equals(&tick)).or_insert(tick);
    }
    minutes.iter().map(|(window, sums)| (*window, sums.sums())).collect()
}

/// Of every minute, in the order of the columns.
fn derived(minutes: &[(WindowStart, MinuteSums)]) -> (Vec<String>, Vec<DerivedValues>) {
    let deriver = Deriver::new(LIST.parse().unwrap(), Scales::default(), &Windowing::default());
    let mut strip = Strip::default();
    let values = minutes.iter().map(|(window, sums)| deriver.values(&mut strip, *window, sums)).collect();
    (deriver.list().columns().collect(), values)
}

#[test]
fn values_are_those_of_pandas_and_talib() {
    let minutes = minutes();
    let (names, rows) = derived(&minutes);
    let mut reference = csv::Reader::from_reader(REFERENCE.as_bytes());
    let headers: Vec<String> = reference.headers().unwrap().iter().map(str::to_owned).collect();
    let mut compared = BTreeMap::<&str, (usize, f64)>::new();
    for (at, line) in reference.records().enumerate() {
        let line = line.unwrap();
        assert_eq!(line[0].parse::<i64>().unwrap() * 1_000_000, minutes[at].0.0, "row {at}");
        for (header, cell) in headers.iter().zip(&line).skip(1) {
            let talib = TALIB.iter().find(|(column, _, _)| column == header);
            let (name, from) = talib.map_or((header.as_str(), 0), |(_, name, from)| (*name, *from));
            let got = rows[at][names.iter().position(|column| column == name).unwrap()];
            let Ok(want) = cell.parse::<f64>() else {
                // TA-Lib says nothing before its windows are full; of an rsi that is so here as well, and a change needs its other minute.
                assert!(cell.is_empty() && (talib.is_some() && name != "rsi14" || got.is_none()), "{header}, row {at}");
                continue;
            };
            if at < from {
                continue;
            }
            let got = got.unwrap_or_else(|| panic!("{header}, row {at}: none, and not {want}"));
            let price = minutes[at].1.market.unwrap().high as f64 / 1e18;
            let unit = match name {
                "macd" | "macd_signal" => price,
                "chg5" => 1.0,
                _ => want.abs(),
            };
            let off = if got == want { 0.0 } else { (got - want).abs() / unit };
            assert!(off < RELATIVE, "{header}, row {at}: {got}, and not {want}");
            let (many, most) = compared.entry(header).or_default();
            (*many, *most) = (*many + 1, most.max(off));
        }
    }
    println!("compared, and how far off at most: {compared:#?}");
    assert_eq!(compared.len(), headers.len() - 1, "each column has values");
    assert!(compared.values().all(|(many, _)| *many > 75), "{compared:?}");
    // Bands of TA-Lib count rows, and are left out around gaps.
    assert_eq!(rows.len(), REFERENCE.lines().count() - 1);
}
