//! Coarser windows through the whole program: in every sink and the API, over a change of the clocks, after a late tick, and through
//! `kill -9`.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::grown;
use common::program::{Ended, PATIENCE, Program};
use common::web::{ask, get, json, serving};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
/// 2026-03-28T20:00:00Z, a Saturday evening before clocks go ahead in Berlin.
const START_MS: i64 = 1_774_728_000_000;

fn tick(symbol: &str, price: i64, ms: i64) -> String {
    format!(r#"{{"symbol":"{symbol}","price":{price},"ts":{},"volume":2}}"#, START_MS + ms)
}

/// Over a file with these lines after those that are there.
fn arguments(home: &Path, lines: &[String], more: &[&str]) -> Vec<String> {
    let source = grown(home, lines);
    let sinks = ["csv:m.csv", "sqlite:m.db"].map(|sink| sink.replace("m.", &format!("{}/m.", home.display())));
    let args = ["--source", &source, "--sink", &sinks[0], "--sink", &sinks[1], "--job", "j"];
    args.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
}

fn run(home: &Path, lines: &[String], more: &[&str]) -> Ended {
    let args = arguments(home, lines, more);
    Program::run(&home.join("data"), &args.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

/// The last row of each (window, minute, symbol) in the CSV: all of its cells by name.
fn rows(home: &Path) -> BTreeMap<[String; 3], BTreeMap<String, String>> {
    let mut file = csv::Reader::from_path(home.join("m.csv")).unwrap();
    let header = file.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let cells = header.iter().zip(&record).map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        let cells: BTreeMap<String, String> = cells.collect();
        (["window", "minute", "symbol"].map(|name: &str| cells[name].clone()), cells)
    };
    file.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn a_late_tick_corrects_its_minute_and_the_windows_that_it_is_in() {
    for workers in ["1", "3"] {
        let home = tempfile::tempdir().unwrap();
        let more = ["--keep-open", "--lateness", "3h", "--windows", "1h,5m", "--derive", "sma5,stddev", "-w", workers];
        let both = |minute| [tick("A", minute, minute * MINUTE_MS), tick("B", 100 + minute, minute * MINUTE_MS + 2)];
        run(home.path(), &(0..90).flat_map(both).collect::<Vec<_>>(), &more).well();
        let before = rows(home.path());
        assert_eq!(before.len(), 2 * (90 + 18 + 2));
        let hour = |rows: &BTreeMap<_, BTreeMap<String, String>>, column: &str| {
            rows[&["1h", "2026-03-28T20:00:00Z", "A"].map(str::to_owned)][column].clone()
        };
        let columns = ["count", "sum", "open", "high", "low", "close", "volume", "sma5", "state"];
        assert_eq!(
            columns.map(|column| hour(&before, column)),
            ["60", "1770.0", "0.0", "59.0", "0.0", "59.0", "120.0", "", "closed"]
        );
        // Forty minutes before the hour's last.
        run(home.path(), &[tick("A", 120, 20 * MINUTE_MS + 1)], &more).well();
        let after = rows(home.path());
        let corrected: BTreeSet<_> = after
            .iter()
            .filter(|(key, row)| before[*key] != **row)
            .map(|([window, minute, symbol], _)| (window.as_str(), &minute[11..16], symbol.as_str()))
            .collect();
        let minutes = ["20:20", "20:21", "20:22", "20:23", "20:24"].map(|minute| ("1m", minute, "A"));
        let coarse = [("5m", "20:20", "A"), ("1h", "20:00", "A")];
        assert_eq!(corrected, minutes.into_iter().chain(coarse).collect(), "sma5 looks back at it");
        assert_eq!(
            columns.map(|column| hour(&after, column)),
            ["61", "1890.0", "0.0", "120.0", "0.0", "59.0", "122.0", "", "closed"]
        );
        // Of 0 to 59 and 120: n·Σx² − (Σx)² over n·(n − 1).
        let [n, squares, sum] = [61.0, 84_610.0, 1890.0_f64];
        let stddev: f64 = hour(&after, "stddev").parse().unwrap();
        assert!((stddev - ((n * squares - sum * sum) / (n * (n - 1.0))).sqrt()).abs() < 1e-12, "{stddev}");
        let db = rusqlite::Connection::open(home.path().join("m.db")).unwrap();
        for (window, table) in [("1m", "minutes"), ("5m", "window_5m"), ("1h", "window_1h")] {
            let mut select = db.prepare(&format!("SELECT minute, symbol, count, sum, high FROM {table}")).unwrap();
            let found =
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
            let found: Vec<(String, String, i64, f64, f64)> = found.unwrap().map(Result::unwrap).collect();
            assert_eq!(found.len(), after.keys().filter(|[of, ..]| of == window).count(), "{table}");
            for (minute, symbol, count, sum, high) in found {
                let row = &after[&[window.to_owned(), minute, symbol]];
                let texts = [count.to_string(), format!("{sum:?}"), format!("{high:?}")];
                assert_eq!(["count", "sum", "high"].map(|column| row[column].clone()), texts);
            }
        }
    }
}

/// With `--emit final` a window that has not ended has no row anywhere, so the end of a run says which are open.
#[test]
fn windows_that_have_not_ended_are_told_at_the_end_of_a_run() {
    let home = tempfile::tempdir().unwrap();
    let both = |minute: i64| [tick("A", 1, minute * MINUTE_MS), tick("B", 2, minute * MINUTE_MS)];
    let minutes = |minutes: std::ops::Range<i64>| minutes.flat_map(both).collect::<Vec<_>>();
    let common = ["--keep-open", "--lateness", "0s", "--windows", "5m,1h,1d", "--derive", "sma5"];
    let with = |more: &[&'static str]| [&common[..], more].concat();
    // The newest minute, of 20:07, is open; with it the five minutes from 20:05 on.
    let ran = run(home.path(), &minutes(0..8), &with(&["--emit", "final", "-w", "2"])).well();
    let open = "coarser windows of symbols left open: 2 of 5m until 2026-03-28T20:10:00Z, 2 of 1h until 2026-03-28T21:00:00Z, 2 \
                of 1d until 2026-03-29T00:00:00Z; they have no rows yet (--emit final); a later run resumes them, and --close \
                makes them final";
    assert!(ran.said.contains(open), "{}", ran.said);
    assert!(rows(home.path()).keys().all(|[window, ..]| !["1h", "1d"].contains(&window.as_str())));
    // B has no tick in the hour after.
    let later: Vec<_> = minutes(8..60).into_iter().chain((60..63).map(|n| tick("A", 1, n * MINUTE_MS))).collect();
    let ran = run(home.path(), &later, &with(&["--emit", "final"])).well();
    let open = "left open: 1 of 5m until 2026-03-28T21:05:00Z, 1 of 1h until 2026-03-28T22:00:00Z, 2 of 1d until";
    assert!(ran.said.contains(open), "{}", ran.said);
    let ran = run(home.path(), &[], &with(&["--emit", "changes"])).well();
    assert!(ran.said.contains(open) && !ran.said.contains("no rows yet"), "{}", ran.said);
    let close: Vec<_> = with(&["--close"]).into_iter().filter(|option| *option != "--keep-open").collect();
    let ran = run(home.path(), &[], &close).well();
    assert!(!ran.said.contains("left open"), "{}", ran.said);
    assert_eq!(rows(home.path()).keys().filter(|[window, ..]| window == "1d").count(), 2);
}

/// Many ticks over two nights and the days about them, of which some come late.
fn nights() -> Vec<String> {
    let mut rng = common::seed();
    let mut lines = Vec::new();
    for n in 0..60_000 {
        let ms = (n * 3000 - rng.i64(0..90_000)).max(0);
        lines.push(tick(["A", "B", "C"][rng.usize(..3)], rng.i64(1..1000), ms));
    }
    lines
}

/// Records by day of Berlin, and of the week that ends with Sunday.
fn by_date(lines: &[String]) -> (BTreeMap<String, i64>, [i64; 2]) {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let (mut days, mut weeks) = (BTreeMap::new(), [0; 2]);
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = berlin.to_datetime(jiff::Timestamp::from_millisecond(value["ts"].as_i64().unwrap()).unwrap());
        *days.entry(at.date().to_string()).or_default() += 1;
        weeks[usize::from(at.date() >= jiff::civil::date(2026, 3, 30))] += 1;
    }
    (days, weeks)
}

#[test]
fn kills_change_no_coarser_window_and_days_are_those_of_the_zone() {
    let lines = nights();
    let rule = ["--lateness", "3m", "--windows", "5m,1h+15m,1d,1w", "--time-zone", "Europe/Berlin", "--emit", "final"];
    let times = ["--checkpoint-interval", "20ms", "--as-of", "2026-04-10T00:00:00Z"];
    let all = [&rule[..], &times].concat();
    let whole = tempfile::tempdir().unwrap();
    run(whole.path(), &lines, &[&all[..], &["--close", "-w", "2"]].concat()).well();
    let found = |home: &Path| std::fs::read_to_string(home.join("m.csv")).unwrap();

    let killed = tempfile::tempdir().unwrap();
    let (mut rng, mut kills, mut rest) = (common::seed(), 0, &lines[..]);
    for workers in ["1", "2", "3", "1", "3", "2"] {
        // The log grows between two runs, and each is killed at any moment.
        let (part, later) = rest.split_at(lines.len() / 6);
        rest = later;
        let args = arguments(killed.path(), part, &[&all[..], &["--keep-open", "-w", workers]].concat());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let program = Program::start(&killed.path().join("data"), &args, &[]);
        // Until one was killed, soon: on a fast machine a run is over within a tenth of a second.
        std::thread::sleep(Duration::from_millis(1 << rng.u32(if kills == 0 { 2..6 } else { 2..10 })));
        kills += i32::from(!program.said().contains("minutely: done: "));
        drop(program);
    }
    assert!(rest.is_empty() && kills > 0, "{kills} kills");
    run(killed.path(), &[], &[&all[..], &["--close", "-w", "3"]].concat()).well();
    assert!(found(killed.path()) == found(whole.path()), "the rows differ");

    let rows = rows(whole.path());
    let (days, weeks) = by_date(&lines);
    assert!(days.len() > 2 && weeks.iter().all(|records| *records > 0), "{days:?}");
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut all_of = BTreeMap::new();
    for ([window, minute, _], row) in &rows {
        let count: i64 = row["count"].parse().unwrap();
        *counts.entry((window, minute)).or_default() += count;
        *all_of.entry(window.as_str()).or_insert(0) += count;
        assert_eq!(row["state"], "final");
    }
    assert_eq!(all_of.keys().copied().collect::<Vec<_>>(), ["1d", "1h+15m", "1m", "1w", "5m"]);
    assert!(
        all_of.values().all(|count| *count == all_of["1m"]),
        "each record is in one window of each length: {all_of:?}"
    );
    // What came too late is in no window, so a day has a little less than was sent.
    for (start, date) in
        [("2026-03-27T23", "2026-03-28"), ("2026-03-28T23", "2026-03-29"), ("2026-03-29T22", "2026-03-30")]
    {
        let counted = counts[&("1d", format!("{start}:00:00Z").as_str())];
        assert!((days[date] - 40..=days[date]).contains(&counted), "{date}: {counted} of {}", days[date]);
    }
    assert!(
        counts
            .keys()
            .filter(|(window, _)| *window == "1w")
            .map(|(_, start)| *start)
            .eq(["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"])
    );
}

#[test]
fn the_api_has_coarser_windows_apart_and_the_stream_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("sim:?seed={}&history=60s&rate=300", fastrand::u32(..));
    let db = format!("sqlite:{}", folder.path().join("m.db").display());
    let times = ["--window", "1s", "--lateness", "1s", "--idle", "1s", "--windows", "5s,20s"];
    let args = [&["--source", &source, "--sink", &db, "-w", "2"][..], &times].concat();
    let (program, at) = serving(&folder.path().join("data"), &args, &[]);
    let finals = |path: &str| -> BTreeMap<(i64, String), (i64, Option<String>)> {
        let page = json(&at, path);
        let rows = page["rows"].as_array().unwrap().iter().filter(|row| row["state"] == "final");
        rows.map(|row| {
            let key = (row["minute"].as_i64().unwrap(), row["symbol"].as_str().unwrap().to_owned());
            (key, (row["count"].as_i64().unwrap(), row["window"].as_str().map(str::to_owned)))
        })
        .collect()
    };
    let coarse = common::poll("coarser windows are final", PATIENCE, || {
        Some(finals("/api/minutes?window=20s&symbol=AAPL&limit=10000")).filter(|rows| rows.len() > 1)
    });
    // In memory or from the database: the sums of what they are made of.
    let seconds = finals("/api/minutes?symbol=AAPL&limit=10000");
    for ((start, _), (count, window)) in &coarse {
        assert_eq!((start % 20_000, window.as_deref()), (0, Some("20s")));
        let within = seconds.iter().filter(|((second, _), _)| (*start..start + 20_000).contains(second));
        assert_eq!(within.map(|(_, (count, _))| count).sum::<i64>(), *count);
    }
    assert!(seconds.values().all(|(_, window)| window.is_none()));
    assert_eq!(json(&at, "/api/status")["settings"]["windows"], serde_json::json!(["5s", "20s"]));
    let text = get(&at, "/api/minutes?window=5s&format=csv&limit=3");
    assert!(text.starts_with("symbol,minute,window,count,"), "{text}");
    assert!(text.lines().skip(1).all(|line| line.contains("Z,5s,")), "{text}");
    let unknown = ask(&at, "GET /api/minutes?window=1m", &[]);
    assert!(unknown.status == 404 && unknown.body.contains("(5s,20s)"), "{unknown:?}");
    program.stopped();
}

#[test]
fn what_cannot_be_is_told_before_anything_is_done() {
    let home = tempfile::tempdir().unwrap();
    let lines = [tick("A", 1, 0)];
    for (more, parts) in [
        (&["--windows", "90s"][..], &["--windows `90s`", "whole multiples of --window 1m"][..]),
        (&["--windows", "1m"], &["`1m`: must be longer than --window 1m"]),
        (&["--windows", "2d"], &["--windows", "only 1d and 1w"]),
        (&["--windows", "5x"], &["--windows", "`5x` is no window"]),
        (&["--windows", "1h,60m"], &["`1h` is given twice"]),
        (&["--window", "7s", "--windows", "1d"], &["whole multiples of --window 7s"]),
    ] {
        run(home.path(), &[], more).refused(64, parts);
    }
    assert!(!home.path().join("m.csv").exists() && !home.path().join("data").exists());
    // Other windows are another job.
    run(home.path(), &lines, &["--keep-open"]).well();
    let refused = run(home.path(), &[], &["--keep-open", "--windows", "5m"]);
    refused.refused(64, &["--windows 5m (it was none)"]);
}
