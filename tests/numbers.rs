//! Values and weights as feeds have them, through the whole program: to the last digit, in every sink.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, Program, command};
use common::rows::{Bits, Cells, Rows, csv, letters, same, sqlite};
use std::path::Path;

const START: i64 = 1_767_225_600_000;

/// A run over these records into a CSV file and a database, which must agree.
fn over(home: &Path, records: &[String], more: &[&str]) -> (Ended, Rows) {
    std::fs::write(home.join("ticks.jsonl"), records.join("\n") + "\n").unwrap();
    let source = format!("file:{}", home.join("ticks.jsonl").display());
    let [text, table] = ["csv:m.csv", "sqlite:m.db"].map(|sink| sink.replace("m.", &format!("{}/m.", home.display())));
    let args = ["--source", &source, "--sink", &text, "--sink", &table, "--emit", "final", "--http", "none"];
    let ended = Program::run(&home.join("data"), &[&args[..], more].concat(), &[]).well();
    let rows = csv(&home.join("m.csv"));
    same("sqlite", &sqlite(&home.join("m.db")), &rows);
    (ended, rows)
}

/// Count, sum, average, volume and vwap of a row.
type Sums = (i64, String, Bits, Option<String>, Option<Bits>);

fn sums(count: i64, sum: &str, avg: f64, volume: Option<&str>, vwap: Option<f64>) -> Sums {
    (count, sum.to_owned(), Bits::of(avg), volume.map(str::to_owned), vwap.map(Bits::of))
}

/// The one row of a run over records of one minute.
fn one(records: &[String], more: &[&str]) -> Sums {
    let home = tempfile::tempdir().unwrap();
    let (_, rows) = over(home.path(), records, more);
    assert_eq!(rows.len(), 1, "{rows:?}");
    let (_, Cells { count, sum, avg, market, .. }) = rows.into_iter().next().unwrap();
    let market = market.unwrap();
    (count, sum, avg, market.volume, market.vwap)
}

fn tick(symbol: &str, price: &str, volume: &str) -> String {
    let volume = if volume.is_empty() { String::new() } else { format!(r#","volume":{volume}"#) };
    format!(r#"{{"symbol":"{symbol}","price":{price},"ts":{START}{volume}}}"#)
}

#[test]
fn a_price_and_an_amount_that_were_printed_from_floats_count() {
    let trade = r#"{"channel":"trades_xyzeur","event":"trade","data":{"amount":0.0027810000000000001,"price":2871.4000000000001,"us":"1767225600243152"}}"#;
    let fields = ["--symbol-field=channel", "--value-field=/data/price", "--weight-field=/data/amount"];
    let args = [&fields[..], &["--time-field=/data/us", "--time-unit=us"]].concat();
    let got = one(&[trade.to_owned()], &args);
    assert_eq!(got, sums(1, "2871.4000000000001", 2871.4, Some("0.002781"), Some(2871.4)));
    let home = tempfile::tempdir().unwrap();
    let (ended, rows) = over(home.path(), &[trade.to_owned()], &[&args[..], &["--on-precision=reject"]].concat());
    assert_eq!((ended.done("rejected"), rows.len()), (1, 0));
    let letter = &letters(&home.path().join("data"))[0];
    assert_eq!((letter["reason"].as_str(), letter["field"].as_str()), (Some("weight"), Some("/data/amount")));
    assert!(letter["found"].as_str().unwrap().ends_with("; --weight-decimals 19 would take it"), "{letter}");
}

#[test]
fn a_sell_of_a_negative_size_keeps_its_price() {
    let records = [("1800.5", "0.25"), ("1802.5", "-0.75")].map(|(price, volume)| tick("XYZ", price, volume));
    let both = |volume, vwap| sums(2, "3603", 1801.5, Some(volume), vwap);
    assert_eq!(one(&records, &[]), both("1", Some(1802.0)));
    assert_eq!(one(&records, &["--weight-sign", "keep"]), both("-0.5", None));
    let buy = sums(1, "1800.5", 1800.5, Some("0.25"), Some(1800.5));
    assert_eq!(one(&records, &["--weight-sign", "reject"]), buy);
}

#[test]
fn exponents_and_zeros_are_exact() {
    let records = [tick("P", "7.45e-06", "1.2e9"), tick("P", "\"7.46E-6\"", "\"3E+3\"")];
    let want = sums(2, "0.00001491", 7.455e-6, Some("1200003000"), Some(7.4500000249999375e-6));
    assert_eq!(one(&records, &[]), want);
    let zeros = tick("Z", "\"3.250000000000000000000000000000000000\"", "");
    assert_eq!(one(&[zeros, tick("Z", "\"0003.25\"", "")], &[]), sums(1, "3.25", 3.25, None, None));
}

#[test]
fn computed_floats_lose_no_price_at_any_scale() {
    let prices = ["7.45e-06", "0.7999999999999999", "8.931893099999999e-06", "0.000023178082191780822"];
    let more = ["0.0003333333333333333", "2871.4000000000001"];
    let records: Vec<String> = prices.iter().chain(&more).map(|price| tick("C", price, "1")).collect();
    let (count, sum, ..) = one(&records, &[]);
    assert_eq!((count, sum.as_str()), (6, "2872.200372893308725014"));
    let (count, sum, ..) = one(&records, &["--decimals", "24", "--on-precision", "reject"]);
    assert_eq!((count, sum.as_str()), (6, "2872.200372893308725014121"));
}

#[test]
fn big_values_and_big_volumes_have_scales_that_hold_them() {
    let wei = [tick("W", "\"4321987650123456789012\"", ""), tick("W", "31000000001", "")];
    let sum = "4321987650154456789013";
    assert_eq!(one(&wei, &["--decimals", "0"]), sums(2, sum, 2.1609938250772285e21, None, None));
    let caps = [tick("C", "2712345678901.5", ""), tick("C", "118500000000", "")];
    let want = sums(2, "2830845678901.5", 1_415_422_839_450.75, None, None);
    assert_eq!(one(&caps, &["--decimals", "7"]), want);
    let shib = [tick("S", "7.45e-6", "512345678901.5"), tick("S", "7.45e-6", "1e18")];
    let got = one(&shib, &["--weight-decimals", "6", "--decimals", "24"]);
    assert_eq!(got, sums(2, "0.0000149", 7.45e-6, Some("1000000512345678901.5"), Some(7.45e-6)));
    // The dead letter names what would have taken it.
    let home = tempfile::tempdir().unwrap();
    let (ended, _) = over(home.path(), &caps, &[]);
    assert_eq!(ended.done("rejected"), 2);
    let found = letters(&home.path().join("data"));
    let found: Vec<&str> = found.iter().map(|letter| letter["found"].as_str().unwrap()).collect();
    assert_eq!(found, ["2712345678901.5; --decimals 16 would take it", "118500000000; --decimals 17 would take it"]);
}

/// Its price counts, and what is not known is not shown: no volume that lacks the largest trade.
#[test]
fn a_weight_beyond_the_range_costs_the_volume_and_no_price() {
    let shib = [tick("S", "7.25", "512345678901.5"), tick("S", "7.75", "4"), tick("S", "8.25", "-1e400")];
    assert_eq!(one(&shib, &[]), sums(3, "23.25", 7.75, None, None));
    assert_eq!(
        one(&shib[..2], &["--weight-decimals", "6"]),
        sums(2, "15", 7.5, Some("512345678905.5"), Some(7.2500000000039035))
    );
    let home = tempfile::tempdir().unwrap();
    let (ended, _) = over(home.path(), &shib, &[]);
    assert_eq!((ended.done("counted"), ended.done("rounded"), ended.done("rejected")), (3, 2, 0), "{}", ended.said);
    for (option, rejected) in [(["--on-precision", "reject"], 2), (["--weight-sign", "reject"], 1)] {
        let home = tempfile::tempdir().unwrap();
        let (ended, _) = over(home.path(), &shib, &option);
        assert_eq!(ended.done("rejected"), rejected, "{}", ended.said);
    }
}

#[test]
fn no_size_is_not_a_size_of_0() {
    let all = |volume: &str| [tick("A", "17.25", volume), tick("A", "17.75", volume)];
    let both = |volume, vwap| sums(2, "35", 17.5, volume, vwap);
    assert_eq!(one(&all("0"), &[]), both(Some("0"), None));
    for none in ["", "null", "\"\"", "\"-\""] {
        assert_eq!(one(&all(none), &[]), both(None, None), "{none}");
    }
    assert_eq!(one(&[tick("A", "17.25", "0"), tick("A", "17.75", "\"-\"")], &[]), both(Some("0"), None));
    assert_eq!(one(&[tick("A", "17.25", "4"), tick("A", "17.75", "")], &[]), both(Some("4"), Some(17.25)));

    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("t.jsonl"), all("").join("\n")).unwrap();
    let source = format!("file:{}", home.path().join("t.jsonl").display());
    let args = ["--source", &source, "--sink", "stdout:json", "--http", "none", "--state", "none"];
    let output = command().args(args).arg("--data").arg(home.path().join("data")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(row["volume"].is_null() && row["vwap"].is_null() && row["close"] == 17.75, "{row}");
}

#[test]
fn paise_become_rupees_exactly() {
    let records = [tick("INFY", "274365", "2"), tick("INFY", "\"274366.5\"", "2")];
    let want = sums(2, "5487.315", 2743.6575, Some("4"), Some(2743.6575));
    assert_eq!(one(&records, &["--value-scale", "0.01"]), want);
    assert_eq!(one(&records, &["--value-scale", "1e-4", "--decimals", "4"]).1, "54.8731");
}

/// Dead letters show a value at its scale, and a state belongs to its scale.
#[test]
fn a_late_value_and_a_resumed_window_are_at_the_jobs_scale() {
    let home = tempfile::tempdir().unwrap();
    let at = |minute: i64, price: &str| {
        tick("L", price, "\"2.5\"").replace(&START.to_string(), &(START + minute * 60_000).to_string())
    };
    let first = [at(0, "0.000000000000000000000125"), at(30, "1.5"), at(1, "0.000000000000000000000375")];
    let scale = ["--decimals", "24", "--weight-decimals", "1", "--keep-open"];
    over(home.path(), &first, &scale);
    let found = letters(&home.path().join("data"));
    assert_eq!((found.len(), found[0]["value"].as_str()), (1, Some("0.000000000000000000000375")));

    let all = [&first[..], &[at(30, "0.000000000000000000000001"), at(90, "9")]].concat();
    let (ended, rows) = over(home.path(), &all, &scale);
    assert_eq!(ended.done("counted"), 4);
    let minute = "2026-01-01T00:30:00Z".to_owned();
    let cells = &rows[&(minute, "L".to_owned())];
    let market = cells.market.as_ref().unwrap();
    assert_eq!((cells.sum.as_str(), market.volume.as_deref()), ("1.500000000000000000000001", Some("5")));
    std::fs::write(home.path().join("ticks.jsonl"), all.join("\n")).unwrap();
    let source = format!("file:{}", home.path().join("ticks.jsonl").display());
    let sink = format!("csv:{}", home.path().join("other.csv").display());
    let again = ["--source", &source, "--sink", &sink, "--job", "a", "--keep-open"];
    Program::run(&home.path().join("data"), &again, &[]).well();
    let other = Program::run(&home.path().join("data"), &[&again[..], &["--decimals", "24"]].concat(), &[]);
    other.refused(64, &["--decimals 24 (it was 18)"]);
}

#[test]
fn number_options_that_make_no_sense_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let args = ["--decimals", "29", "--weight-decimals=-1", "--value-scale", "0", "--on-precision", "cut"];
    let ended = Program::run(&home.path().join("data"), &[&args[..], &["--weight-sign", "minus"]].concat(), &[]);
    let wrong =
        ["--decimals 29: takes a number from 0 to 28", "--weight-decimals -1: takes", "--on-precision cut: is not one"];
    let more = ["--value-scale 0: takes a positive number", "--weight-sign minus: is not"];
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    wrong.iter().chain(&more).for_each(|part| assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said));
}
