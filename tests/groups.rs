//! Groups through the whole program: `--groups` gives rows in every local sink, is checked before any effect, can be added to a job, and is
//! read again when it is edited.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::grown;
use common::program::{Ended, PATIENCE, Program};
use rusqlite::Connection;
use std::path::Path;

const START_MS: i64 = 1_767_225_600_000;
/// BOTH is of B alone from the third minute on.
const TABLE: &str =
    "symbol,group,weight,from,to\nA,BOTH,1,,2026-01-01T00:02:00Z\nB,BOTH,3,,\nB,A,0.5,,\nABSENT,A,2,,\n";

fn tick(symbol: &str, price: i64, minute: i64) -> String {
    let ts = START_MS + minute * 60_000;
    format!(r#"{{"symbol":"{symbol}","price":{price},"ts":{ts},"volume":2}}"#)
}

/// Minutes with an average of 10 and one of 20, of one record and of two.
fn records(minutes: std::ops::Range<i64>) -> Vec<String> {
    minutes.flat_map(|minute| [tick("A", 10, minute), tick("B", 15, minute), tick("B", 25, minute)]).collect()
}

/// One more night over a file that grows.
fn run(home: &Path, records: &[String], more: &[&str]) -> Ended {
    let source = grown(home, records);
    let [text, table] = ["csv:m.csv", "sqlite:m.db"].map(|sink| sink.replace("m.", &format!("{}/m.", home.display())));
    let args = ["--source", &source, "--sink", &text, "--sink", &table, "--job", "j", "--derive", "sma5", "--close"];
    Program::run(&home.join("data"), &[&args[..], more].concat(), &[])
}

/// Minute, group, average, records, members, members listed, weights.
fn groups(home: &Path) -> Vec<(String, String, f64, i64, [f64; 3])> {
    let db = Connection::open(home.join("m.db")).unwrap();
    let sql = "SELECT minute, symbol, avg, count, members, listed, weight, state, open FROM group_minutes ORDER BY minute, symbol";
    let mut rows = db.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| {
        assert_eq!((row.get::<_, String>(7)?.as_str(), row.get::<_, Option<f64>>(8)?), ("final", None));
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, [row.get(4)?, row.get(5)?, row.get(6)?]))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn row(minute: i64, group: &str, avg: f64, count: i64, columns: [f64; 3]) -> (String, String, f64, i64, [f64; 3]) {
    (format!("2026-01-01T00:0{minute}:00Z"), group.to_owned(), avg, count, columns)
}

#[test]
fn a_group_is_the_average_of_its_members_in_every_sink() {
    for workers in ["1", "3"] {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("groups.csv");
        std::fs::write(&file, TABLE).unwrap();
        let ran = run(home.path(), &records(0..3), &["--groups", file.to_str().unwrap(), "-w", workers]).well();
        assert!(ran.said.contains("groups.csv: 4 lines, 2 groups"), "{}", ran.said);
        // (1·10 + 3·20)/4; from the third minute on 20. The group A is no series.
        let of = |minute| [row(minute, "A", 20.0, 2, [1.0, 2.0, 0.5]), row(minute, "BOTH", 17.5, 3, [2.0, 2.0, 4.0])];
        let want =
            [of(0), of(1), [row(2, "A", 20.0, 2, [1.0, 2.0, 0.5]), row(2, "BOTH", 20.0, 2, [1.0, 1.0, 3.0])]].concat();
        assert_eq!(groups(home.path()), want);
        let text = std::fs::read_to_string(home.path().join("m.csv")).unwrap();
        let header = "symbol,minute,count,sum,avg,state,open,high,low,close,volume,vwap,sma5,members,listed,weight";
        assert_eq!(text.lines().next(), Some(header));
        let last = text.lines().filter(|line| line.contains("00:02:00Z,")).collect::<Vec<_>>();
        let want = [
            "A,2026-01-01T00:02:00Z,1,10.0,10.0,final,10.0,10.0,10.0,10.0,2.0,10.0,10.0,,,",
            "B,2026-01-01T00:02:00Z,2,40.0,20.0,final,15.0,25.0,15.0,25.0,4.0,20.0,20.0,,,",
            "A,2026-01-01T00:02:00Z,2,40.0,20.0,final,,,,,,,,1.0,2.0,0.5",
            "BOTH,2026-01-01T00:02:00Z,2,40.0,20.0,final,,,,,,,,1.0,1.0,3.0",
        ];
        assert_eq!(last[last.len() - 4..], want);
    }
}

/// The table is no part of the job: it is added, edited and left out between runs.
#[test]
fn a_job_goes_on_with_another_table_or_none() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("groups.csv");
    let given = ["--groups", file.to_str().unwrap()];
    run(home.path(), &records(0..1), &[]).well();
    let begun = std::fs::read_to_string(home.path().join("m.csv")).unwrap();
    std::fs::write(&file, "symbol,group\nA,g\nB,g\n").unwrap();
    let ran = run(home.path(), &records(1..2), &given).well();
    assert!(ran.said.contains("m.csv: was begun without the columns members, listed, weight"), "{}", ran.said);
    std::fs::write(&file, "symbol,group\nB,g\n").unwrap();
    run(home.path(), &records(2..3), &given).well();
    run(home.path(), &records(3..4), &[]).well();
    // Each minute by the table of its run.
    let want = [row(1, "g", 15.0, 3, [2.0, 2.0, 2.0]), row(2, "g", 20.0, 2, [1.0, 1.0, 1.0])];
    assert_eq!(groups(home.path()), want);
    let text = std::fs::read_to_string(home.path().join("m.csv")).unwrap();
    assert!(text.starts_with(&begun) && !text.contains("g,2026"), "a file has its columns to its end");
    // And one that was begun with those of groups keeps them.
    let other = tempfile::tempdir().unwrap();
    run(other.path(), &records(0..1), &given).well();
    run(other.path(), &records(1..2), &[]).well();
    let text = std::fs::read_to_string(other.path().join("m.csv")).unwrap();
    let cells: Vec<_> = text.lines().map(|line| line.split(',').count()).collect();
    assert!(cells.len() > 4 && cells.iter().all(|cells| *cells == 16), "{text}");
}

#[test]
fn a_table_that_is_wrong_is_refused_before_any_effect() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("groups.csv");
    std::fs::write(&file, "symbol,group,weight\nA,g,1\nB,g,-2\n").unwrap();
    let given = ["--groups", file.to_str().unwrap()];
    run(home.path(), &records(0..1), &given).refused(64, &["--groups", "line 3: a weight is above 0"]);
    std::fs::remove_file(&file).unwrap();
    run(home.path(), &[], &given).refused(64, &["--groups", "cannot be read"]);
    assert!(!home.path().join("m.db").exists() && !home.path().join("data").exists());
}

#[test]
fn an_edited_table_holds_for_minutes_that_are_not_final() {
    let home = tempfile::tempdir().unwrap();
    let (file, db) = (home.path().join("groups.csv"), home.path().join("m.db"));
    let write = |weight: &str| std::fs::write(&file, format!("symbol,group,weight\nAAPL,g,{weight}\n")).unwrap();
    write("1");
    let sink = format!("sqlite:{}", db.display());
    let short = ["--window", "1s", "--lateness", "1s", "--idle", "1s", "--http", "none"];
    let args = ["--source", "sim:?symbols=3&rate=300&history=10s", "--sink", &sink, "--groups", file.to_str().unwrap()];
    let mut program = Program::start(&home.path().join("data"), &[&args[..], &short].concat(), &[]);
    let weights = || -> Vec<f64> {
        let Ok(db) = Connection::open(&db) else { return Vec::new() };
        let Ok(mut rows) = db.prepare("SELECT weight FROM group_minutes ORDER BY minute") else { return Vec::new() };
        let rows = rows.query_map([], |row| row.get(0)).map(|rows| rows.filter_map(Result::ok).collect());
        rows.unwrap_or_default()
    };
    program.until("there are rows", PATIENCE, |_| !weights().is_empty());
    write("none");
    let told = "line 2: `weight` takes a number such as 2.5, not `none`; the table that was read before still holds";
    program.until("a broken edit is told", PATIENCE, |program| program.said().contains(told));
    write("2");
    program.until("an edit is told", PATIENCE, |program| {
        program.said().contains("was edited: 1 line, 1 group, for minutes from")
    });
    program.until("and holds", PATIENCE, |_| weights().last() == Some(&2.0));
    let all = weights();
    assert!(all.is_sorted() && all[0] == 1.0, "what is final keeps the table that it was made by: {all:?}");
    program.stopped();
}
