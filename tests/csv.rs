//! Rows of cells, by the program as a whole: files of CSV and TSV in the shapes of public dumps, and what is wrong with them.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program};
use common::rows::{csv, letters};
use common::seed;
use serde_json::json;
use std::path::PathBuf;

/// Files, and runs that read them.
struct Log {
    dir: tempfile::TempDir,
}

impl Log {
    fn of(files: &[(&str, &str)]) -> Self {
        let log = Log { dir: tempfile::tempdir().unwrap() };
        files.iter().for_each(|(name, text)| log.write(name, text.as_bytes()));
        log
    }

    fn write(&self, name: &str, text: &[u8]) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a run over these files into `NAME.csv` with `NAME` as its folder.
    fn start(&self, name: &str, files: &str, args: &[&str]) -> Program {
        let source = format!("file:{}", self.path(files).display());
        let sink = format!("csv:{}", self.path(&format!("{name}.out")).display());
        let always = ["--source", &source, "--sink", &sink, "--as-of", "2026-06-01T00:00:00Z", "--emit", "final"];
        Program::start(&self.path(name), &[&always[..], args].concat(), &[])
    }

    fn run(&self, files: &str, args: &[&str]) -> Ended {
        self.start("data", files, args).ended(PATIENCE)
    }

    /// Each row as `MINUTE SYMBOL COUNT SUM VOLUME`.
    fn rows(&self, name: &str) -> Vec<String> {
        let rows = csv(&self.path(&format!("{name}.out")));
        let row = |((minute, symbol), cells): (&(String, String), &common::rows::Cells)| {
            let volume = cells.market.as_ref().and_then(|market| market.volume.as_deref()).unwrap_or("");
            format!("{minute} {symbol} {} {} {volume}", cells.count, cells.sum)
        };
        rows.iter().map(row).collect()
    }
}

/// Lines that end with a carriage return alone are one line, which would be the header.
#[test]
fn a_file_with_line_ends_of_another_kind_is_told_and_not_skipped() {
    let log = Log::of(&[
        ("mac.csv", "symbol,price,ts\rA,1,1767600000000\rB,2,1767600000000\r"),
        ("dos.csv", "symbol,price,ts\r\nA,1,1767600000000\r\n"),
        ("unix.csv", "symbol,price,ts\n"),
    ]);
    let ended = log.run("*.csv", &["--format", "csv", "--weight-field", ""]).well();
    let counts = ["records", "counted", "rejected", "skipped"].map(|what| ended.done(what));
    assert_eq!(counts, [4, 1, 1, 2], "{}", ended.said);
    let letter = &letters(&log.path("data"))[0];
    assert!(format!("{letter:?}").contains("carriage returns without line feeds"), "{letter:?}");
    let ended = log.start("header", "unix.csv", &["--format", "csv", "--weight-field", ""]).ended(PATIENCE).well();
    assert!(ended.said.contains("warning: nothing is an event: the only record is skipped"), "{}", ended.said);
}

#[test]
fn dumps_with_and_without_a_header() {
    let log = Log::of(&[
        // A header with blanks and quotes, a line before it, CRLF, and no line end at the end.
        (
            "kept.csv",
            "# prices of two days\r\ndate_ms, Name ,\"close\",volume\r\n1767225600000,AAL,14.75,8407500\r\n\
             1767225601000,\"Smith, J\",+0014.250,\r\n1767225602000,AAL,.5,\" 10 \"\r\n\r\n1767225660000,007,\"5.\",1",
        ),
        // The columns of a public data zip: id, price, quantity, quote quantity, time, two flags.
        (
            "NOPEUSDT-trades.csv",
            "9,17.80180000,5.69000000,101.29224200,1767225600123,True,True\n10,17.81,1,17.81,1767225600124,True,True\n",
        ),
        ("ticks.tsv", "1767225600\t\"A\t7,5\n1767225600\tB\t7.5\n"),
        ("semi.csv", "ts;symbol;price\n1767225600000;A;1,5\n1767225600000;A;2.5\n"),
    ]);
    let named = ["--symbol-field", "Name", "--value-field", "close", "--time-field", "date_ms"];
    let ended = log.run("kept.csv", &[&["--format", "csv", "--skip-lines", "1"], &named[..]].concat()).well();
    assert_eq!(
        log.rows("data"),
        [
            "2026-01-01T00:00:00Z AAL 2 15.25 8407510",
            "2026-01-01T00:00:00Z Smith, J 1 14.25 ",
            "2026-01-01T00:01:00Z 007 1 5 1",
        ]
    );
    assert_eq!((ended.done("counted"), ended.done("skipped")), (4, 3), "{}", ended.said);

    let numbered = ["--symbol-field", "@file", "--value-field", "/1", "--time-field", "/4", "--weight-field", "/2"];
    let ended = log.start("numbered", "NOPE*.csv", &[&["--format", "csv"], &numbered[..]].concat());
    assert_eq!(ended.ended(PATIENCE).well().done("counted"), 2);
    assert_eq!(log.rows("numbered"), ["2026-01-01T00:00:00Z NOPEUSDT-trades 2 35.6118 6.69"]);

    let part = ["--symbol-field", "@file/0", "--value-field", "/1", "--time-field", "/4", "--weight-field", "/2"];
    let ended = log.start("part", "NOPE*.csv", &[&["--format", "csv"], &part[..]].concat());
    assert_eq!(ended.ended(PATIENCE).well().done("counted"), 2);
    assert_eq!(log.rows("part"), ["2026-01-01T00:00:00Z NOPEUSDT 2 35.6118 6.69"]);

    let columns = ["--format", "tsv", "--quote", "none", "--columns", "ts,symbol,price", "--time-unit", "s"];
    let ended = log.start("tabs", "ticks.tsv", &columns).ended(PATIENCE).well();
    assert_eq!(log.rows("tabs"), ["2026-01-01T00:00:00Z B 1 7.5 "]);
    let found = letters(&log.path("tabs"));
    assert_eq!((found.len(), &found[0]["reason"]), (1, &json!("type")), "{}", ended.said);

    let ended = log.start("semi", "semi.csv", &["--format", "csv", "--delimiter", ";"]).ended(PATIENCE).well();
    assert_eq!(log.rows("semi"), ["2026-01-01T00:00:00Z A 1 2.5 "]);
    let letter = &letters(&log.path("semi"))[0];
    assert_eq!(letter["field"], "price", "{}", ended.said);
    assert_eq!(letter["found"], "\"1,5\" (a decimal comma: convert it to a point first)");
}

#[test]
fn each_file_has_its_own_header_and_a_wrong_one_is_told() {
    let log = Log::of(&[
        ("a.csv", "ts,symbol,price,volume\n1767225600000,A,1,2\n"),
        ("b.csv", "price,ts,symbol\n3,1767225600001,A\n"),
        ("c.csv", "when,symbol,price\n1767225600002,A,5\n"),
        ("d.csv", "ts,symbol,price\n1767225600002,A,5,6\n1767225600002,\"A,5\n"),
    ]);
    log.write("e.csv", b"ts,symbol,price\n1767225600003,S\xe3o,7\n");
    let ended = log.run("?.csv", &["--format", "csv", "-w", "2"]).well();
    assert_eq!(log.rows("data"), ["2026-01-01T00:00:00Z A 2 4 2"]);
    let found = letters(&log.path("data"));
    let reasons: Vec<_> = found.iter().map(|letter| json!([letter["path"], letter["reason"]])).collect();
    let wanted = [["c.csv", "null"], ["d.csv", "csv"], ["d.csv", "csv"], ["e.csv", "csv"]].map(|letter| json!(letter));
    assert_eq!(reasons, wanted, "{}", ended.said);
    assert_eq!(found[0]["field"], "ts");
    assert_eq!(found[0]["found"], "no such field (there are when, symbol, price)");
    assert!(found[3]["found"].as_str().unwrap().starts_with("no UTF-8 from byte 15 on"), "{}", found[3]);
}

#[test]
fn a_run_resumes_in_the_middle_of_rows_at_another_number_of_workers() {
    let mut rng = seed();
    let log = Log::of(&[]);
    let minutes = 40;
    let write = |rng: &mut fastrand::Rng, file: u32, upto: u32| {
        let mut own = fastrand::Rng::with_seed(rng.get_seed() ^ u64::from(file));
        let mut text = String::from("junk\nprice,note,ts,symbol,volume\n");
        if file == 1 {
            text = "junk\nts,symbol,note,price,volume\n".into();
        }
        for n in 0..upto * 60 {
            let (price, symbol, volume) = (own.u32(1..100_000), own.u32(0..5), own.u32(0..9));
            let (price, ts) = (format!("{}.{:02}", price / 100, price % 100), 1_767_225_600_000 + u64::from(n) * 1000);
            let note = *own.choice(&["", "x", "\"a, b\"", "\"say \"\"so\"\"\"", "\"open"]).unwrap();
            text += &match file {
                1 => format!("{ts},S{symbol},{note},{price},{volume}\n"),
                _ => format!("{price},{note},{ts},S{symbol},{volume}\n"),
            };
        }
        log.write(&format!("{file}.csv"), text.as_bytes());
    };
    let options = ["--format", "csv", "--skip-lines", "1", "--lateness", "1m"];
    for (upto, workers, ending) in [(9, "2", "--keep-open"), (23, "1", "--keep-open"), (minutes, "3", "--close")] {
        (0..3).for_each(|file| write(&mut rng, file, upto));
        let args = [&options[..], &["--job", "job", "-w", workers, ending]].concat();
        log.start("grown", "*.csv", &args).ended(PATIENCE).well();
    }
    let whole = log.start("whole", "*.csv", &[&options[..], &["--job", "job", "--close"]].concat());
    let ended = whole.ended(PATIENCE).well();
    assert_eq!(ended.done("skipped"), 6, "{}", ended.said);
    let rows = log.rows("whole");
    assert!(rows.len() == 200 && rows == log.rows("grown"), "{}", rows.len());
    let found = letters(&log.path("whole"));
    assert!(found.len() > 1000 && found.iter().all(|letter| letter["reason"] == "csv"), "{}", found.len());
    assert_eq!(found, letters(&log.path("grown")));
}

#[test]
fn wrong_use_is_refused_before_any_effect() {
    let log = Log::of(&[("a.csv", "ts,symbol,price\n")]);
    for (args, parts) in [
        (&["--delimiter", ";"][..], &["--delimiter is for rows: give --format csv or tsv"][..]),
        (&["--format", "tsv", "--delimiter", ";"], &["--format tsv it is a tab"]),
        (&["--format", "csv", "--delimiter", "ab"], &["--delimiter ab: takes one ASCII character"]),
        (&["--format", "csv", "--quote", "ß"], &["--quote ß: takes one", "or none"]),
        (&["--format", "csv", "--quote", ","], &["--delimiter, --quote: ", "not the same"]),
        (&["--format", "csv", "--skip-lines", "x"], &["--skip-lines x: takes a number from 0"]),
        (&["--format", "csv", "--each", "/data"], &["--each \"/data\": rows of CSV have no arrays"]),
        (&["--format", "csv", "--value-field", "/a/b"], &["--value-field \"/a/b\": ", "as /0"]),
        (
            &["--format", "csv", "--columns", "ts,symbol,close"],
            &["--value-field \"price\": no such column; there are ts"],
        ),
        (&["--format", "csv", "--source", "kafka://localhost:1/t"], &["have no header", "--columns"]),
        (
            &["--format", "csv", "--source", "sim:", "--columns", "ts,symbol,price", "--skip-lines", "1"],
            &["--skip-lines: each message of `sim:` is a row"],
        ),
    ] {
        let own = format!("file:{}", log.path("a.csv").display());
        let source: &[&str] = if args.contains(&"--source") { &[] } else { &["--source", &own] };
        Program::start(&log.path("data"), &[source, args].concat(), &[]).ended(PATIENCE).refused(64, parts);
        assert!(!log.path("data").exists(), "{args:?}");
    }
}
