//! Derived columns through the whole program: a late tick corrects its minute, what is made of it, and nothing else.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::grown;
use common::program::{Ended, Program};
use common::rows::{csv_lines, same, sqlite};
use std::collections::BTreeMap;
use std::path::Path;

const START_MS: i64 = 1_767_225_600_000;

fn tick(symbol: &str, price: i64, minute: i64, second: i64) -> String {
    let ts = START_MS + minute * 60_000 + second * 1000;
    format!(r#"{{"symbol":"{symbol}","price":{price},"ts":{ts},"volume":2}}"#)
}

/// One more night over a file that grows.
fn run(home: &Path, records: &[String], more: &[&str]) -> Ended {
    let source = grown(home, records);
    let [text, table] = ["csv:m.csv", "sqlite:m.db"].map(|sink| sink.replace("m.", &format!("{}/m.", home.display())));
    let args = ["--source", &source, "--sink", &text, "--sink", &table, "--job", "j", "--lateness", "3h"];
    Program::run(&home.join("data"), &[&args[..], more].concat(), &[]).well()
}

/// An hour of two symbols whose price is the minute, 100 more for B.
fn an_hour() -> Vec<String> {
    let both = |minute| [tick("A", minute, minute, 1), tick("B", 100 + minute, minute, 2)];
    (0..60).flat_map(both).collect()
}

/// By minute of the hour and symbol: the whole row.
fn rows(home: &Path) -> BTreeMap<(i64, String), Vec<String>> {
    let mut file = csv::Reader::from_path(home.join("m.csv")).unwrap();
    let row = |record: csv::StringRecord| {
        let key = (record[1][14..16].parse().unwrap(), record[0].to_owned());
        (key, record.iter().map(str::to_owned).collect())
    };
    file.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn a_late_tick_corrects_what_is_made_of_its_minute_and_nothing_else() {
    for (workers, derive, dependents) in [("1", "sma5,rhigh3", 5), ("2", "sma5,ema20", 40), ("3", "stddev", 1)] {
        let home = tempfile::tempdir().unwrap();
        let more = ["--keep-open", "--derive", derive, "-w", workers];
        run(home.path(), &an_hour(), &more);
        let before = rows(home.path());
        assert_eq!(before.len(), 120);
        // Forty minutes old.
        run(home.path(), &[tick("A", 120, 20, 59)], &more);
        let after = rows(home.path());
        let corrected: Vec<_> = after.keys().filter(|key| after[*key] != before[*key]).cloned().collect();
        let wanted: Vec<_> = (20..20 + dependents).map(|minute| (minute, "A".to_owned())).collect();
        assert_eq!(corrected, wanted, "{derive}");
        // (20 + 120) / 2 is 70, 50 more than before: a fifth of it in each of the five means.
        let value = |minute: i64, column: usize| after[&(minute, "A".to_owned())][12 + column].parse::<f64>().unwrap();
        match derive {
            "stddev" => assert_eq!(value(20, 0).to_bits(), 5000_f64.sqrt().to_bits()),
            "sma5,ema20" => assert_eq!([20, 24, 25].map(|minute| value(minute, 0)), [28.0, 32.0, 23.0]),
            _ => {
                assert_eq!(
                    [20, 21, 22, 23, 24, 25].map(|minute| value(minute, 0)),
                    [28.0, 29.0, 30.0, 31.0, 32.0, 23.0]
                );
                assert_eq!([20, 22, 23].map(|minute| value(minute, 1)), [120.0, 120.0, 23.0]);
            }
        }
        let table = sqlite(&home.path().join("m.db"));
        let corrected = &table[&("2026-01-01T00:20:00Z".to_owned(), "A".to_owned())];
        assert_eq!((corrected.count, corrected.sum.as_str()), (2, "140"));
    }
}

/// Several nights are as one run: look-back and folds go over the end of each.
#[test]
fn runs_go_on_where_the_last_one_ended() {
    let all = an_hour();
    for (workers, parts) in [(["1", "3", "2"], [31, 77]), (["2", "1", "1"], [2, 100])] {
        let (whole, nights) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let more = |workers| ["--close", "--derive", "sma20,bb5,ema12,macd,rsi14,stddev", "-w", workers];
        run(whole.path(), &all, &more("1"));
        let nightly = [&all[..parts[0]], &all[parts[0]..parts[1]], &all[parts[1]..]];
        for (records, workers) in nightly.into_iter().zip(workers) {
            run(nights.path(), records, &["--keep-open", "--derive", more("1")[2], "-w", workers]);
        }
        let ended = run(nights.path(), &[], &more("2"));
        assert!(ended.code == Some(0), "{}", ended.said);
        let text = |home: &Path| {
            let last: BTreeMap<_, _> = std::fs::read_to_string(home.join("m.csv"))
                .unwrap()
                .lines()
                .map(|line| (line.split(',').take(2).map(str::to_owned).collect::<Vec<_>>(), line.to_owned()))
                .collect();
            last
        };
        assert_eq!(text(nights.path()), text(whole.path()));
    }
}

/// A table of a version without derived columns gets them, and a file goes on without.
#[test]
fn what_was_begun_without_derived_columns_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let options = |derive| ["--keep-open", "--derive", derive];
    run(home.path(), &an_hour(), &options("none"));
    let refused = {
        let source = format!("file:{}", home.path().join("ticks.jsonl").display());
        let args = ["--source", &source, "--job", "j", "--lateness", "3h", "--sink", "csv:x.csv"];
        Program::run(&home.path().join("data"), &args, &[])
    };
    refused.refused(64, &["--derive sma5,sma20,ema12,stddev (it was none)"]);
    let rows = csv_lines(&home.path().join("m.csv"));
    assert!(rows.iter().all(|(_, cells)| cells.derived.is_empty()));
    same("sqlite", &sqlite(&home.path().join("m.db")), &rows.into_iter().collect());
}
