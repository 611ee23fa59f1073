//! `minutely verify` and `minutely digest`, without servers: what sinks hold is counted again from files, and whatever somebody changed
//! is found and named.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use common::{rfc3339, seed};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Partitions, and minutes of event time of the log.
const PARTITIONS: usize = 3;
const MINUTES: i64 = 95;

/// A tick a second in each file: out of order by up to five minutes, a few late, a few broken.
fn write_log(folder: &Path, from: i64, to: i64, rng: &mut fastrand::Rng) {
    for partition in 0..PARTITIONS {
        let mut text = String::new();
        for second in from * 60..to * 60 {
            let back = match rng.u8(..40) {
                0 => 20 * 60,
                1..8 => rng.i64(0..300),
                _ => 0,
            };
            let at = hostile::BEGAN.0 / 1_000_000 + (second - back) * 1000 + rng.i64(0..1000);
            let (symbol, price, volume) = (rng.u8(..4), rng.i64(-50..100_000), rng.u32(..900));
            match rng.u8(..60) {
                0 => text.push_str("{\"symbol\":\n"),
                1 => writeln!(text, r#"{{"symbol":"S{symbol}","price":"{price}e-3","ts":{at}}}"#).unwrap(),
                _ => writeln!(
                    text,
                    r#"{{"symbol":"S{symbol}","price":{}.{:02},"volume":{volume}.5,"ts":{at},"id":"{}"}}"#,
                    price / 100,
                    price.abs() % 100,
                    rng.u8(..)
                )
                .unwrap(),
            }
        }
        let path = folder.join(format!("part-{partition}.jsonl"));
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, before + &text).unwrap();
    }
}

/// A log in files, and a job that reads it.
struct Job {
    dir: tempfile::TempDir,
    options: Vec<String>,
}

/// How a command ended that looks.
struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.said);
        self.out
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.said))
    }
}

impl Job {
    fn new(rng: &mut fastrand::Rng, options: &[&str]) -> Self {
        let job = Job::without_log(options);
        write_log(job.dir.path(), 0, MINUTES, rng);
        job
    }

    fn without_log(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Job { dir: tempfile::tempdir().unwrap(), options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let as_of = rfc3339(hostile::BEGAN.0 + (MINUTES + 200) * 60_000_000_000);
        let own = [
            ("--source", format!("file:{}", path("part-*.jsonl"))),
            ("--sink", format!("sqlite:{}", path("minutes.db"))),
            ("--sink", format!("csv:{}", path("minutes.csv"))),
            ("--job", "job".into()),
            ("--as-of", as_of),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        own.chain(self.options.iter().cloned()).chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    fn start(&self, more: &[&str]) -> Program {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Program::start(&self.path("data"), &args, &[])
    }

    fn run(&self, more: &[&str]) {
        self.start(more).ended(PATIENCE).well();
    }

    fn look(&self, what: &str, more: &[&str]) -> Looked {
        let mut command = command();
        command.arg(what).args(self.args(more)).arg("--data").arg(self.path("data"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Looked { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    fn verified(&self, more: &[&str]) -> Value {
        let looked = self.look("verify", &[&["--json"], more].concat());
        let report = looked.json();
        assert_eq!(looked.code, Some(0), "{report:#}{}", looked.said);
        assert_eq!(report["equal"], true, "{report:#}");
        report
    }

    fn sql(&self, text: &str) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        assert_eq!(db.execute(text, []).unwrap(), 1, "{text}");
    }
}

/// Of a sink's findings: minute, symbol, what, columns.
fn findings(report: &Value, sink: usize) -> Vec<(String, String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |finding: &Value| {
        let columns = finding["columns"].as_array().unwrap().iter().map(|cell| text(&cell["column"]));
        (text(&finding["minute"]), text(&finding["symbol"]), text(&finding["what"]), columns.collect())
    };
    let mut all: Vec<_> = report["sinks"][sink]["findings"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

/// The start of a minute of the log.
fn minute(number: i64) -> String {
    rfc3339(hostile::BEGAN.0 + number * 60_000_000_000)
}

#[test]
fn rows_are_the_logs_at_any_number_of_workers_and_digests_are_the_same() {
    let rng = seed();
    let mut digests = Vec::new();
    for (workers, metrics) in [("1", "market"), ("2", "market"), ("8", "market"), ("3", "avg")] {
        let job = Job::new(&mut rng.clone(), &["--metrics", metrics, "-w", workers]);
        job.run(&[]);
        let report = job.verified(&[]);
        let rows = report["rows"].as_u64().unwrap();
        assert!(rows > 300 && report["minutes"].as_i64().unwrap() > 90, "{report:#}");
        for sink in report["sinks"].as_array().unwrap() {
            assert_eq!((&sink["equal"], &sink["missing"], &sink["extra"]), (&rows.into(), &0.into(), &0.into()));
        }
        assert!(report["digests"]["compared"].as_u64().unwrap() > 70, "{report:#}");
        let text = job.look("verify", &[]).well();
        assert!(text.lines().count() < 12 && text.contains("0 missing, 0 different, 0 extra"), "{text}");
        digests.push(job.look("digest", &[]).well());
    }
    assert!(
        digests[0].lines().count() > 70 && digests[0].lines().last().unwrap().starts_with("all "),
        "{}",
        digests[0]
    );
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[3], "other columns are other numbers");
}

#[test]
fn a_column_that_is_gone_is_told_and_never_equal() {
    let job = Job::new(&mut seed(), &["--emit", "final"]);
    job.run(&[]);
    job.verified(&[]);
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    db.execute("ALTER TABLE minutes DROP COLUMN sma20", []).unwrap();
    drop(db);
    let text = std::fs::read_to_string(job.path("minutes.csv")).unwrap();
    std::fs::write(job.path("minutes.csv"), text.replacen(",ema12", ",other", 1)).unwrap();
    let report = job.verified(&[]);
    let absent = |sink: usize| report["sinks"][sink]["absent_columns"].clone();
    assert_eq!((absent(0), absent(1)), (["sma20"].into(), ["ema12"].into()));
    let said = job.look("verify", &[]).well();
    assert!(said.contains("not compared where it has no such column: sma20"), "{said}");
    // What every row has is a fault where it lacks.
    std::fs::write(job.path("minutes.csv"), text.replacen(",avg", ",other", 1)).unwrap();
    let looked = job.look("verify", &["--json"]);
    assert_eq!(looked.code, Some(65));
    let report = looked.json();
    assert!(report["sinks"][1]["different"].as_u64() > Some(10), "{report:#}");
}

#[test]
fn what_somebody_changed_is_found_and_named() {
    let job = Job::new(&mut seed(), &["--emit", "final"]);
    job.run(&[]);
    job.verified(&[]);
    let (a, b, c, d) = (minute(20), minute(31), minute(42), minute(43));
    // The last bit of a mean, one digit of a sum, a derived value, and the state.
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    let of = format!("WHERE minute = '{a}' AND symbol = 'S1'");
    let avg: f64 = db.query_row(&format!("SELECT avg FROM minutes {of}"), [], |row| row.get(0)).unwrap();
    let flipped = f64::from_bits(avg.to_bits() ^ 1);
    assert_eq!(db.execute(&format!("UPDATE minutes SET avg = ?1 {of}"), [flipped]).unwrap(), 1);
    drop(db);
    job.sql(&format!("UPDATE minutes SET sum_exact = sum_exact || '1' WHERE minute = '{b}' AND symbol = 'S0'"));
    job.sql(&format!("UPDATE minutes SET sma5 = sma5 + 1, count = count + 1 WHERE minute = '{b}' AND symbol = 'S2'"));
    job.sql(&format!("UPDATE minutes SET state = 'open', ema12 = ema12 * 1.5 WHERE minute = '{b}' AND symbol = 'S3'"));
    job.sql(&format!("DELETE FROM minutes WHERE minute = '{c}' AND symbol = 'S3'"));
    job.sql(&format!("UPDATE minutes SET symbol = 'T' WHERE minute = '{d}' AND symbol = 'S0'"));
    let again = format!("{}.000Z", d.trim_end_matches('Z'));
    job.sql(&format!("UPDATE minutes SET minute = '{again}' WHERE minute = '{d}' AND symbol = 'S2'"));
    // In the file one line is changed, one is gone, and one is there twice.
    let text = std::fs::read_to_string(job.path("minutes.csv")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let place = |lines: &[String], symbol: &str, minute: &str| {
        lines.iter().position(|line| line.starts_with(&format!("{symbol},{minute},"))).unwrap()
    };
    let at = place(&lines, "S1", &a);
    let mut cells: Vec<&str> = lines[at].split(',').collect();
    let high = format!("{}1", cells[7]);
    cells[7] = &high;
    lines[at] = cells.join(",");
    lines.push(lines[at].clone());
    lines.remove(place(&lines, "S2", &c));
    std::fs::write(job.path("minutes.csv"), lines.join("\n") + "\nS0,half a li").unwrap();

    let looked = job.look("verify", &["--json"]);
    let report = looked.json();
    assert_eq!((looked.code, &report["equal"]), (Some(65), &false.into()), "{report:#}");
    let is = |minute: &str, symbol: &str, what: &str, columns: &[&str]| {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
        (minute.to_owned(), symbol.to_owned(), what.to_owned(), columns)
    };
    let want = [
        is(&a, "S1", "different", &["avg"]),
        is(&b, "S0", "different", &["sum_exact"]),
        is(&b, "S2", "different", &["count", "sma5"]),
        is(&b, "S3", "different", &["state", "ema12"]),
        is(&c, "S3", "missing", &[]),
        is(&d, "S0", "missing", &[]),
        is(&d, "S2", "missing", &[]),
        is(&d, "T", "extra", &[]),
    ];
    let mut found = findings(&report, 0);
    let foreign = found.iter().position(|(minute, ..)| *minute == again).unwrap();
    assert_eq!(found.remove(foreign).2, "extra", "the same instant in other letters is another row: {report:#}");
    assert_eq!(found, want, "{report:#}");
    assert_eq!(
        findings(&report, 1),
        [is(&a, "S1", "different", &["high"]), is(&c, "S2", "missing", &[])],
        "{report:#}"
    );
    let first = &report["sinks"][0]["findings"][0];
    assert_eq!(first["columns"][0]["sink"], flipped.to_string());
    assert_eq!(first["columns"][0]["log"], avg.to_string());
    assert!(first["records"][0]["partition"].as_str().unwrap().contains("part-"), "{first:#}");
    assert_eq!(report["digests"]["different"].as_array().unwrap().len(), 0, "the run itself was right");
    let text = job.look("verify", &[]);
    assert_eq!(text.code, Some(65));
    assert!(text.out.contains(&format!("{c} S3: missing (")) && text.out.contains("records of "), "{}", text.out);
    assert!(text.said.contains("11 differences"), "{}", text.said);
    // Other minutes are as they were.
    job.verified(&["--from", &minute(44), "--to", &minute(60)]);
}

impl Job {
    /// A second row of this minute and symbol, changed so: where the key is another one, SQLite takes it.
    fn second_row(&self, minute: &str, symbol: &str, change: &str) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        db.execute_batch(&format!(
            "CREATE TEMP TABLE second AS SELECT * FROM minutes WHERE minute = '{minute}' AND symbol = '{symbol}';
             UPDATE second SET {change}; INSERT INTO minutes SELECT * FROM second"
        ))
        .unwrap();
    }
}

/// Another spelling of an instant, a minute that is none, a symbol that is no text; lines without a minute, with a quote that is not closed,
/// and of bytes that are no UTF-8.
#[test]
fn rows_that_no_run_writes_are_extra_and_spoil_no_other() {
    let job = Job::new(&mut seed(), &["--emit", "final"]);
    job.run(&[]);
    let rows = job.verified(&[])["rows"].as_u64().unwrap();
    let at = minute(30);
    let again = format!("{}.000Z", at.trim_end_matches('Z'));
    job.second_row(&at, "S1", &format!("minute = '{again}'"));
    job.second_row(&at, "S2", "symbol = cast(symbol AS BLOB), count = count + 1");
    job.second_row(&at, "S3", "minute = 'garbage'");
    let text = std::fs::read_to_string(job.path("minutes.csv")).unwrap();
    let mut lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    lines.insert(7, b"S1,notime,1,1.0,1.0,final");
    lines.insert(20, b"\"S1,2026-01-05T08:20:00Z,1,1.0,1.0,final");
    lines.push(b"\xff,2026-01-05T08:20:00Z,1,1.0,1.0,final");
    let mut bytes = lines.join(&b"\n"[..]);
    bytes.push(b'\n');
    std::fs::write(job.path("minutes.csv"), &bytes).unwrap();
    let looked = job.look("verify", &["--json"]);
    let report = looked.json();
    assert_eq!(looked.code, Some(65), "{report:#}");
    for sink in report["sinks"].as_array().unwrap() {
        let of = |name: &str| sink[name].as_u64().unwrap();
        assert_eq!((of("equal"), of("missing"), of("different"), of("extra")), (rows, 0, 0, 3), "{report:#}");
    }
    let minutes: Vec<_> = findings(&report, 0).into_iter().map(|(minute, symbol, ..)| (minute, symbol)).collect();
    let is = |minute: &str, symbol: &str| (minute.to_owned(), symbol.to_owned());
    let mut want = [is(&again, "S1"), is(&at, "S2"), is("garbage", "S3")];
    want.sort();
    assert_eq!(minutes, want, "{report:#}");
    let said = job.look("verify", &[]).out;
    assert!(said.contains("symbol `S2` (a blob)"), "{said}");
    let file = job.path("minutes.csv").display().to_string();
    let last = lines.len();
    for (line, what) in
        [(8, "has no minute in its second column"), (21, "has a quote that is not closed"), (last, "is not UTF-8")]
    {
        assert!(said.contains(&format!("  extra: line {line} of {file} {what}: `")), "{line}: {said}");
    }
    // Of a part of the minutes those rows are asked for that have such a minute.
    let part = job.look("verify", &["--json", "--from", &minute(40)]).json();
    assert_eq!((&part["sinks"][0]["extra"], &part["sinks"][1]["extra"]), (&0.into(), &3.into()), "{part:#}");
}

/// Each sink is read for each hour, but not for those of half a century in which nothing counts.
#[test]
fn a_range_that_begins_long_before_the_log_costs_what_the_log_costs() {
    let job = Job::new(&mut seed(), &["--emit", "final"]);
    job.run(&[]);
    let all = job.verified(&[]);
    let begun = std::time::Instant::now();
    let since = job.verified(&["--from", "1970-01-01T00:00:00Z"]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((&since["rows"], &since["from"]), (&all["rows"], &"1970-01-01T00:00:00Z".into()));
}

/// What a run writes, it reads: at both ends of event time, with the longest windows and the longest lateness.
#[test]
fn a_state_at_the_ends_of_time_is_read_again() {
    let (latest, first) = ("4102444800000", "-4611686018427");
    let log = |times: &[&str]| -> String {
        times.iter().map(|ts| format!("{{\"symbol\":\"A\",\"price\":1,\"ts\":{ts}}}\n")).collect()
    };
    let cases: [(&[&str], &[&str]); 4] = [
        (&[latest], &["--lateness", "36525d", "--as-of", "2100-01-02T00:00:00Z"]),
        (
            &[first, "4611686018427"],
            &["--keep-open", "--lateness", "36525d", "--window", "366d", "--as-of", "2116-02-20T23:53:38Z"],
        ),
        (&[first, "0"], &["--window", "366d"]),
        (&[first, "0"], &["--window", "30d", "--windows", "1440h"]),
    ];
    for (times, options) in cases {
        let job = Job::without_log(&[]);
        std::fs::write(job.path("a.jsonl"), log(times)).unwrap();
        let (source, sink) = (job.path("a.jsonl").display().to_string(), job.path("m.db").display().to_string());
        let (source, sink) = (format!("file:{source}"), format!("sqlite:{sink}"));
        let own = ["--source", &source, "--sink", &sink, "--job", "job"];
        let args = [&own[..], options].concat();
        for _ in 0..2 {
            Program::start(&job.path("data"), &args, &[]).ended(PATIENCE).well();
        }
        for what in ["verify", "digest", "repair"] {
            let output = command().arg(what).args(&args).arg("--data").arg(job.path("data")).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let is_well = output.status.code() == Some(0) || said.contains("no minute that is asked for is final yet");
            assert!(is_well, "{what} {options:?}: {said}{}", String::from_utf8(output.stdout).unwrap());
        }
    }
}

/// What a record says, as nobody should write it.
fn hostile_value(rng: &mut fastrand::Rng) -> String {
    let (whole, fraction) = (rng.u32(..100_000), rng.u64(..));
    match rng.u8(..14) {
        0 => format!("{whole}.{fraction}{fraction}{fraction}"),
        1 => format!("\"-{whole}.{fraction}E-{}\"", rng.u8(..9)),
        2 => format!("{whole}e+00{}", rng.u8(..9)),
        3 => format!("{}", f64::from(whole) / 7.0),
        4 => ["NaN", "Infinity", "01", "1.", "-", "1e", "\"1,5\"", "null", "{}", "\"\\ud800\"", "1e400", "1e-400"]
            [rng.usize(..12)]
        .into(),
        5 => "1".repeat(rng.usize(1..4000)),
        _ => format!("{whole}.{:02}", rng.u8(..100)),
    }
}

/// A log of hostile records in arrays: escapes, halves of surrogate pairs, fields that are there twice, JSON in strings, nesting, bytes that
/// are no UTF-8; in order but for some.
fn write_hostile_log(folder: &Path, rng: &mut fastrand::Rng) {
    for partition in 0..2 {
        let mut log: Vec<u8> = Vec::new();
        for second in 0..60 * 60 {
            let mut events = Vec::new();
            for _ in 0..rng.usize(..4) {
                let back = if rng.u8(..20) == 0 { rng.i64(0..900) } else { rng.i64(0..20) };
                let ns = hostile::BEGAN.0 + (second - back) * 1_000_000_000 + rng.i64(0..1_000_000_000);
                let time = match rng.u8(..4) {
                    0 => format!("\"{}\"", rfc3339(ns)),
                    1 => format!("{}.{:06}9", ns / 1_000_000, ns % 1_000_000),
                    2 => format!("{ns}e-6"),
                    _ => (ns / 1_000_000).to_string(),
                };
                let symbol = ["\"S1\"", "\"\\u0053\\u0031\"", "\"S\\ud83d\\ude00\"", "7", "\"\\ud83d\"", "\"é/\\\"\""]
                    [rng.usize(..6)];
                let price = match rng.u8(..30) {
                    0 => format!("\"p\":{},\"p\":{}", hostile_value(rng), hostile_value(rng)),
                    _ => format!("\"p\":{}", hostile_value(rng)),
                };
                let d = format!("{{{price},\"volume\":{},\"\\ude00\":[[[{{}}]]]}}", hostile_value(rng));
                let d = if rng.u8(..9) == 0 { serde_json::to_string(&d).unwrap() } else { d };
                let kind = ["trade", "trade", "trade", "\\u0074rade", "quote"][rng.usize(..5)];
                events.push(format!(r#"{{"s":{symbol},"d":{d},"t":{time},"id":"{}","e":"{kind}"}}"#, rng.u16(..)));
            }
            let mut text =
                format!("{{\"x\":{},\"data\":[{}]}}", "[1e999,".repeat(rng.usize(..3)) + "null", events.join(","));
            text = text.replace("[1e999,null", "[1e999,null]").replace("[1e999,[1e999,null]", "[1e999,[1e999,null]]");
            let mut bytes = text.into_bytes();
            if rng.u8(..40) == 0 {
                let at = rng.usize(..bytes.len());
                bytes[at] = [0xff, b'\\', b'"', b'0', b'}', 0][rng.usize(..6)];
            }
            log.extend(bytes);
            log.push(b'\n');
        }
        std::fs::write(folder.join(format!("part-{partition}.jsonl")), log).unwrap();
    }
}

/// The same by another JSON parser and integers of any size: hostile records are equal, one bit of a sink is not, and what is not read is
/// refused.
#[test]
fn another_decoder_and_another_arithmetic_say_the_same() {
    let mut rng = seed();
    let job = Job::without_log(&[
        "-w",
        "2",
        "--emit",
        "final",
        "--each",
        "/data",
        "--symbol-field",
        "/s",
        "--value-field",
        "/d/p",
        "--time-field",
        "/t",
        "--weight-field",
        "/d/volume",
        "--where",
        "e=trade",
        "--id-field",
        "id",
        "--outlier",
        "20,8",
        "--value-min",
        "-50000",
        "--decimals",
        "6",
        "--weight-sign",
        "keep",
        "--derive",
        "sma5,ema12,rsi3,macd,bb4,rvwap5,chg2,variance,stddev",
        "--windows",
        "5m",
    ]);
    write_hostile_log(job.dir.path(), &mut rng);
    job.run(&[]);
    let by_decoder = job.verified(&[]);
    let report = job.verified(&["--independent"]);
    assert_eq!((&report["independent"], &by_decoder["independent"]), (&true.into(), &false.into()));
    assert!(report["rows"].as_u64() > Some(100) && report["digests"]["compared"].as_u64() > Some(30), "{report:#}");
    for what in ["rows", "minutes", "records", "digests"] {
        assert_eq!(report[what], by_decoder[what], "{what}");
    }
    let said = job.look("verify", &["--independent"]).well();
    assert!(said.contains("decoded and computed independently"), "{said}");
    // One bit.
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    let of = "WHERE (minute, symbol) = (SELECT minute, symbol FROM minutes WHERE stddev > 0 ORDER BY minute, symbol LIMIT 1)";
    let stddev: f64 = db.query_row(&format!("SELECT stddev FROM minutes {of}"), [], |row| row.get(0)).unwrap();
    let flipped = f64::from_bits(stddev.to_bits() ^ 1);
    assert_eq!(db.execute(&format!("UPDATE minutes SET stddev = ?1 {of}"), [flipped]).unwrap(), 1);
    drop(db);
    let looked = job.look("verify", &["--independent", "--json"]);
    let report = looked.json();
    let found = findings(&report, 0);
    assert_eq!((looked.code, found.len(), &found[0].3[..]), (Some(65), 1, &["stddev".to_owned()][..]), "{report:#}");
    assert_eq!(report["sinks"][0]["findings"][0]["columns"][0]["log"], stddev.to_string());
    let refused = job.look("verify", &["--independent", "--session", "NYSE"]);
    assert!(refused.code == Some(64) && refused.said.contains("does not read --session"), "{}", refused.said);
}

#[test]
fn coarser_windows_and_groups_are_counted_again() {
    let rng = &mut seed();
    let mut job = Job::new(rng, &["--windows", "5m,1h+15m,1d", "--time-zone", "Asia/Kolkata", "--emit", "final"]);
    let table = job.path("groups.csv");
    std::fs::write(&table, format!("symbol,group,weight,from\nS0,g,2.5,\nS1,g,1,{}\nS2,h,1,\n", minute(40))).unwrap();
    job.options.extend(["--groups".to_owned(), table.display().to_string()]);
    for w in ["1", "3"] {
        for name in ["data", "minutes.db", "minutes.csv"] {
            let (_folder, _file) = (std::fs::remove_dir_all(job.path(name)), std::fs::remove_file(job.path(name)));
        }
        job.run(&["-w", w, "--close"]);
        let report = job.verified(&[]);
        let sinks = report["sinks"].as_array().unwrap();
        let kinds: Vec<_> = sinks.iter().map(|sink| sink["rows"].as_str().unwrap_or("minutes")).collect();
        let want = ["minutes", "5m", "1h+15m", "1d", "groups"];
        assert_eq!(kinds, [want, want].concat(), "{report:#}");
        let equal = |place: usize| sinks[place]["equal"].as_i64().unwrap();
        // (The first minutes of the log are those of late records, so no window of an hour is cut off before it.)
        assert!(equal(1) >= equal(0) / 5 && equal(2) >= 4 && equal(4) > 90, "{report:#}");
        for place in 0..5 {
            assert_eq!(equal(place), equal(place + 5), "both sinks have the same: {report:#}");
        }
    }
    // A part of the log has no window that is not whole in it.
    let (from, to) = (minute(22), minute(41));
    let report = job.verified(&["--from", &from, "--to", &to]);
    assert_eq!((&report["sinks"][1]["equal"], &report["sinks"][2]["equal"]), (&12.into(), &0.into()), "{report:#}");

    let five = minute(50);
    job.sql(&format!("UPDATE window_5m SET high = high + 1 WHERE minute = '{five}' AND symbol = 'S1'"));
    job.sql(&format!("DELETE FROM group_minutes WHERE minute = '{}' AND symbol = 'g'", minute(52)));
    job.sql(&format!("UPDATE group_minutes SET members = 7 WHERE minute = '{}' AND symbol = 'h'", minute(53)));
    job.sql(&format!("UPDATE window_5m SET symbol = 'T' WHERE minute = '{five}' AND symbol = 'S0'"));
    let report = job.look("verify", &["--json"]).json();
    let what = |place| {
        findings(&report, place).into_iter().map(|(at, symbol, what, columns)| (at, symbol, what + &columns.concat()))
    };
    let is = |at: &str, symbol: &str, what: &str| (at.to_owned(), symbol.to_owned(), what.to_owned());
    let of_five = [is(&five, "S0", "missing"), is(&five, "S1", "differenthigh"), is(&five, "T", "extra")];
    assert_eq!(what(1).collect::<Vec<_>>(), of_five, "{report:#}");
    let groups = [is(&minute(52), "g", "missing"), is(&minute(53), "h", "differentmembers")];
    assert_eq!(what(4).collect::<Vec<_>>(), groups, "{report:#}");
    assert_eq!(what(0).chain(what(5)).count(), 0, "{report:#}");
}

/// Windows of a quarter of an hour do not begin where the index' buckets do: what is made of all of them is compared from the first on.
#[test]
fn windows_of_any_length_are_compared_whole() {
    for (window, coarser) in [("15m", "45m"), ("7m", "21m"), ("25m", "50m")] {
        let job = Job::new(&mut seed(), &["--window", window, "--windows", coarser, "--emit", "final"]);
        job.run(&["--close"]);
        let report = job.verified(&[]);
        assert_eq!(report["not_compared"]["rows"], 0, "{window}: {report:#}");
        let sinks = report["sinks"].as_array().unwrap();
        assert!(sinks[1]["equal"].as_i64() >= Some(4), "{window}: {report:#}");
        let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
        let rows: i64 = db.query_row(&format!("SELECT count(*) FROM window_{coarser}"), [], |row| row.get(0)).unwrap();
        assert_eq!(sinks[1]["equal"].as_i64(), Some(rows), "{window}: {report:#}");
        db.execute(&format!("UPDATE window_{coarser} SET count = count + 7"), []).unwrap();
        assert_eq!(db.execute("UPDATE minutes SET ema12 = 1", []).unwrap() as i64, sinks[0]["equal"].as_i64().unwrap());
        drop(db);
        let looked = job.look("verify", &["--json"]);
        let damaged = looked.json();
        assert_eq!((looked.code, &damaged["sinks"][0]["different"]), (Some(65), &sinks[0]["equal"]), "{damaged:#}");
        assert_eq!(damaged["sinks"][1]["different"].as_i64(), Some(rows), "{damaged:#}");
    }
}

#[test]
fn few_minutes_cost_a_part_of_the_log() {
    let job = Job::new(&mut seed(), &[]);
    job.run(&[]);
    let all = job.verified(&[]);
    let read = |report: &Value| report["records"].as_i64().unwrap();
    let few = job.verified(&["--from", &minute(70), "--to", &minute(75)]);
    assert_eq!((&few["minutes"], &few["from"]), (&5.into(), &minute(70).into()), "{few:#}");
    assert_eq!((&all["not_compared"]["rows"], &few["not_compared"]["rows"]), (&0.into(), &few["rows"]), "{few:#}");
    assert_eq!(few["not_compared"]["columns"].to_string(), "[\"ema12\"]");
    // Two buckets and a half: what is derived from twenty minutes before, and records that may be ten minutes late.
    assert!(read(&few) * 2 < read(&all) && read(&few) > 0, "{few:#}");
    let newest = job.verified(&["--since-final", "15m"]);
    assert_eq!(newest["minutes"], 15, "{newest:#}");
    let sample = job.verified(&["--sample", "4"]);
    assert!((1..=4).contains(&sample["minutes"].as_i64().unwrap()), "{sample:#}");
    let nothing = job.look("verify", &["--from", &minute(500)]);
    assert_eq!(nothing.code, Some(65), "{}", nothing.said);
    let backwards = job.look("verify", &["--from", &minute(5), "--to", &minute(5)]);
    assert!(backwards.code == Some(64) && backwards.said.contains("--from is not before --to"), "{}", backwards.said);
}

/// Ids and filters are judged from the beginning of each partition, and what they leave out is left out again.
#[test]
fn ids_and_cleaning_are_judged_again() {
    for options in [&["--id-field", "id"][..], &["--outlier", "20,3", "--value-min", "0"]] {
        let job = Job::new(&mut seed(), options);
        job.run(&[]);
        let all = job.verified(&[]);
        let few = job.verified(&["--from", &minute(70), "--to", &minute(75)]);
        assert!(few["records"].as_i64().unwrap() * 10 > all["records"].as_i64().unwrap() * 7, "{few:#}");
    }
}

/// What a floor judged is no function of the log (R10): it is read from the dead letters of the run.
#[test]
fn exceptions_are_those_that_the_run_has_listed() {
    let mut rng = seed();
    let job = Job::without_log(&["--close"]);
    write_log(job.dir.path(), 0, 40, &mut rng);
    job.run(&[]);
    // The log goes on where the first run has closed the windows.
    write_log(job.dir.path(), 38, 80, &mut rng);
    job.run(&[]);
    let report = job.verified(&[]);
    let exceptions: i64 = report["exceptions"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum();
    assert!(exceptions > 100, "{report:#}");
    // Without the list they would count.
    let folder = job.path("data/job");
    let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(69) && looked.said.contains("put it back"), "{}", looked.said);
    let spaces = |line: &str| if line.contains("\"floor\"") { " ".repeat(line.len()) } else { line.to_owned() };
    let without: String = kept.lines().map(|line| format!("{}\n", spaces(line))).collect();
    std::fs::write(&file, without).unwrap();
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(65) && looked.said.contains("differences"), "{}", looked.said);
    // Nor is a line taken for nothing that somebody has broken, or a file that is cut short.
    let (at, line) = kept.lines().enumerate().find(|(_, line)| line.contains("\"floor\"")).unwrap();
    std::fs::write(&file, kept.replacen(line, &line.replacen('{', "[", 1), 1)).unwrap();
    let looked = job.look("verify", &[]);
    let told = format!("line {}: is no dead letter", at + 1);
    assert!(looked.code == Some(65) && looked.said.contains(&told), "{}", looked.said);
    std::fs::write(&file, &kept[..kept.len() - 1]).unwrap();
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(65) && looked.said.contains("bytes, and the state knows of"), "{}", looked.said);
}

#[test]
fn a_log_that_is_another_one_is_noticed() {
    let mut rng = seed();
    let job = Job::new(&mut rng, &[]);
    job.run(&[]);
    let path = job.path("part-1.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    // Its last line is another; then its end is gone.
    std::fs::write(&path, text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n{}\n").unwrap();
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(65) && looked.said.contains("part-1.jsonl"), "{}{}", looked.out, looked.said);
    let half = text[..text.len() / 2].rsplit_once('\n').unwrap().0.to_owned() + "\n";
    std::fs::write(&path, half).unwrap();
    let looked = job.look("verify", &[]);
    let told = looked.said.contains("part-1.jsonl") && looked.said.contains("has fewer records than the");
    assert!(looked.code == Some(65) && told && looked.out.is_empty(), "{}{}", looked.out, looked.said);
    // One record in the middle, which a run that resumes does not look at: one that is in order, so it counts.
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let in_order = |(at, line): &(usize, &String)| {
        let began = hostile::BEGAN.0 / 1_000_000 + i64::try_from(*at).unwrap() * 1000;
        let tick: Value = serde_json::from_str(line).unwrap_or_default();
        tick["ts"].as_i64().is_some_and(|ts| (began..began + 1000).contains(&ts)) && tick["price"].as_f64() > Some(0.0)
    };
    let (at, _) = lines.iter().enumerate().skip(3000).find(in_order).unwrap();
    // (Of the same length: the last line begins where it did.)
    let digit = lines[at].find("\"price\":").unwrap() + "\"price\":".len();
    let other = if lines[at].as_bytes()[digit] == b'7' { "8" } else { "7" };
    lines[at].replace_range(digit..=digit, other);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let looked = job.look("verify", &["--json"]);
    let report = looked.json();
    let found = findings(&report, 0);
    assert!(looked.code == Some(65) && found[0].3.contains(&"avg".to_owned()), "{report:#}{}", looked.said);
    assert!(
        found[1..]
            .iter()
            .all(|(.., columns)| columns.iter().all(|column| column.starts_with("sma") || column == "ema12")),
        "{report:#}"
    );
    assert_eq!(report["digests"]["different"].as_array().unwrap().len(), 1, "the state is not of this log: {report:#}");
}

#[test]
fn killed_at_any_moment_its_rows_and_its_index_are_the_logs() {
    let mut rng = seed();
    let job = Job::without_log(&["--checkpoint-interval", "10ms", "-w", "2"]);
    write_log(job.dir.path(), 0, 4 * MINUTES, &mut rng);
    let mut kills = 0;
    loop {
        let program = job.start(&[]);
        // Longer each time: a whole run may be over within a tenth of a second.
        std::thread::sleep(Duration::from_millis(rng.u64(10..20 + 8 * u64::from(kills))));
        program.signal("KILL");
        let killed = program.ended(PATIENCE).code.is_none();
        kills += u32::from(killed);
        if !killed || kills > 30 {
            break;
        }
    }
    job.run(&[]);
    assert!(kills > 2, "{kills} kills");
    job.verified(&[]);
    let whole = Job::without_log(&[]);
    for partition in 0..PARTITIONS {
        let name = format!("part-{partition}.jsonl");
        std::fs::copy(job.path(&name), whole.path(&name)).unwrap();
    }
    whole.run(&[]);
    assert_eq!(job.look("digest", &[]).well(), whole.look("digest", &[]).well());
}

#[test]
fn what_cannot_be_verified_says_why() {
    let job = Job::new(&mut seed(), &[]);
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(64) && looked.said.contains("there is none"), "{}", looked.said);
    job.run(&[]);
    let looked = job.look("verify", &["--state", "none"]);
    assert!(looked.code == Some(64) && looked.said.contains("keeps no state"), "{}", looked.said);
    let looked = job.look("verify", &["--lateness", "11m"]);
    assert!(looked.code == Some(64) && looked.said.contains("--lateness"), "{}", looked.said);
    std::fs::write(job.path("other.csv"), "symbol,minute,count,sum,avg,state\n").unwrap();
    let other = format!("csv:{}", job.path("other.csv").display());
    let looked = job.look("verify", &["--sink", &other]);
    assert!(looked.code == Some(64) && looked.said.contains("knows no such sink"), "{}", looked.said);
    std::fs::remove_file(job.path("minutes.csv")).unwrap();
    let looked = job.look("verify", &[]);
    assert!(looked.code == Some(69) && looked.said.contains("minutes.csv"), "{}", looked.said);
    let looked = job.look("digest", &["--from", &minute(500)]);
    assert_eq!(looked.code, Some(65), "{}", looked.said);
}
