//! `minutely redrive`, without servers: rejected letters are read with other options, shown, and added to final minutes.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use common::rfc3339;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

/// Milliseconds of event time at this second.
fn at(second: i64) -> i64 {
    hostile::BEGAN.0 / 1_000_000 + second * 1000
}

fn minute(number: i64) -> String {
    rfc3339(hostile::BEGAN.0 + number * 60_000_000_000)
}

/// A job that reads one file, with its options in another.
struct Job {
    dir: tempfile::TempDir,
}

struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    /// The report: one object, also where rows are amended.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.said))
    }
}

impl Job {
    fn new(log: &[String], options: &str) -> Self {
        let job = Job { dir: tempfile::tempdir().unwrap() };
        let path = |name: &str| job.path(name).display().to_string();
        let own = format!(
            "source = \"file:{}\"\nsink = [\"sqlite:{}\", \"csv:{}\"]\njob = \"job\"\ndata = \"{}\"\nas-of = \"{}\"\n{options}",
            path("part-*.jsonl"),
            path("minutes.db"),
            path("minutes.csv"),
            path("data"),
            rfc3339(hostile::BEGAN.0 + 86_400_000_000_000),
        );
        std::fs::write(job.path("run.toml"), own).unwrap();
        std::fs::write(job.path("part-0.jsonl"), log.join("\n") + "\n").unwrap();
        let config = path("run.toml");
        Program::start(&job.path("data"), &["--config", &config], &[]).ended(PATIENCE).well();
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn letters(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.path("data/job")).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.to_string_lossy().ends_with(".jsonl"))
            .find(|path| path.to_string_lossy().contains("dead-letters-"))
            .unwrap()
    }

    fn look(&self, words: &[&str]) -> Looked {
        let mut command = command();
        command.args(words).arg("--config").arg(self.path("run.toml")).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Looked { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    fn redrive(&self, words: &[&str]) -> Looked {
        let letters = self.letters().display().to_string();
        self.look(&[&["redrive", &letters], words].concat())
    }

    /// minute, symbol: count, sum, letters.
    fn rows(&self) -> BTreeMap<(String, String), (i64, String, String)> {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        let mut statement =
            db.prepare("SELECT minute, symbol, count, sum_exact, letters FROM minutes_amended").unwrap();
        let rows =
            statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?))));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn bytes(&self) -> String {
        std::fs::read_to_string(self.path("minutes.amended.csv")).unwrap()
    }
}

#[test]
fn values_that_stand_elsewhere_are_mapped_and_added() {
    let log = [
        format!(r#"{{"symbol":"A","price":1.5,"ts":{}}}"#, at(5)),
        format!(r#"{{"symbol":"A","p":2.25,"ts":{}}}"#, at(10)),
        format!(r#"{{"symbol":"A","p":"0.1000000000000000055","ts":{},"volume":3}}"#, at(20)),
        format!(r#"{{"symbol":"B","p":7,"ts":{}}}"#, at(70)),
        format!(r#"{{"symbol":"A","data":[{{"p":9}}],"ts":{}}}"#, at(30)),
        "{\"symbol\":".to_owned(),
        format!(r#"{{"symbol":"A","price":100,"ts":{}}}"#, at(3600)),
        // Late, by half an hour.
        format!(r#"{{"symbol":"A","price":4.5,"ts":{}}}"#, at(40)),
        format!(r#"{{"symbol":"A","p":0.25,"ts":{}}}"#, at(50)),
    ];
    let job = Job::new(&log, "");
    let shown = job.redrive(&["--map", "price=.p"]);
    assert_eq!(shown.code, Some(65), "{}{}", shown.out, shown.said);
    for part in [
        "6 rejected letters: 4 can be read now; 1 of other reasons are passed over",
        "4 of final minutes",
        "part-0.jsonl@1: symbol = A (symbol) · price = 2.25 (value) · ts = ",
        "still not: 1 letter, first part-0.jsonl@4",
        "--map price=.p: there is no such value",
        "is no JSON, so --map finds nothing in it",
        "nothing is written yet",
    ] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert!(!job.path("minutes.amended.csv").exists());
    let done = job.redrive(&["--map", "price=.p", "--yes", "--amend", "--json"]);
    assert_eq!(done.code, Some(65), "two are broken still: {}{}", done.out, done.said);
    let report = done.json();
    assert_eq!((&report["can_be_read"], &report["amended"]["amending"]), (&4.into(), &4.into()), "{report:#}");
    let key = |number: i64, symbol: &str| (minute(number), symbol.to_owned());
    let a = |sum: &str, count: i64, letters: &str| (count, sum.to_owned(), letters.to_owned());
    // The value has 19 digits, and rows have 18.
    let sum = "4.100000000000000006";
    assert_eq!(job.rows()[&key(0, "A")], a(sum, 4, "part-0.jsonl@1 part-0.jsonl@2 part-0.jsonl@8"));
    assert_eq!(job.rows()[&key(1, "B")], a("7", 1, "part-0.jsonl@3"));
    // The late one comes to it, and the corrected ones stay: their records in the log are as broken as before.
    let amended = job.look(&["amend", "--yes", "--json"]);
    assert_eq!(amended.code, Some(0), "{}{}", amended.out, amended.said);
    let both = a("8.600000000000000006", 5, "part-0.jsonl@1 part-0.jsonl@2 part-0.jsonl@7 part-0.jsonl@8");
    assert_eq!(job.rows()[&key(0, "A")], both);
    // Another path for those that are left; then all of it again, in another order: the same bytes.
    let other = job.redrive(&["--map", "price=.data[0].p", "--yes", "--amend"]);
    assert_eq!(other.code, Some(65), "{}{}", other.out, other.said);
    let all = "part-0.jsonl@1 part-0.jsonl@2 part-0.jsonl@4 part-0.jsonl@7 part-0.jsonl@8";
    assert_eq!(job.rows()[&key(0, "A")], a("17.600000000000000006", 6, all));
    let bytes = job.bytes();
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    db.execute_batch("DROP TABLE minutes_amended").unwrap();
    std::fs::remove_file(job.path("minutes.amended.csv")).unwrap();
    job.redrive(&["--map", "price=/data/0/p", "--yes", "--amend"]);
    assert_eq!(job.look(&["amend", "--yes"]).code, Some(0));
    job.redrive(&["--map", "price=.p", "--yes", "--amend"]);
    job.redrive(&["--map", "price=.p", "--yes", "--amend"]);
    assert_eq!(job.bytes(), bytes);
    // Another correction of what is amended already would count twice.
    let twice = job.redrive(&["--map", "price=.p", "--map", "ts=.p", "--time-unit", "s", "--yes", "--amend"]);
    assert!(
        twice.code == Some(65) && twice.out.contains("by another correction before"),
        "{}{}",
        twice.out,
        twice.said
    );
    assert_eq!(job.bytes(), bytes);
    let verified = job.look(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.said);
    let said = |what: &str| ["minutes.db", "minutes.csv"].map(|name| format!("{name}, amended: {what}"));
    let equal = said("2 equal, 0 different, 0 extra");
    assert!(equal.iter().all(|part| verified.out.contains(part)), "{}", verified.out);
    // Of what was corrected, and is not kept any more, nothing is known: neither that it is right nor that it is wrong.
    std::fs::remove_file(job.path("data/job/corrected.jsonl")).unwrap();
    let unknown = job.look(&["verify"]);
    let gone = said("0 equal, 0 different, 0 extra, 2 no longer verifiable");
    assert!(gone.iter().all(|part| unknown.out.contains(part)), "{}{}", unknown.out, unknown.said);
    assert!(unknown.out.contains("no longer verifiable: part-0.jsonl@1 does not decode"), "{}", unknown.out);
}

#[test]
fn only_what_rows_name_is_kept_and_letters_of_another_log_are_told() {
    let log = [
        format!(r#"{{"symbol":"A","price":1,"ts":{}}}"#, at(5)),
        format!(r#"{{"symbol":"A","p":500,"ts":{}}}"#, at(10)),
        format!(r#"{{"symbol":"A","p":7,"ts":{}}}"#, at(20)),
        format!(r#"{{"symbol":"A","price":2,"ts":{}}}"#, at(3600)),
    ];
    let job = Job::new(&log, "value-max = \"100\"\n");
    let text = std::fs::read_to_string(job.letters()).unwrap();
    let of =
        |offset: i64| text.lines().find(|line| line.contains(&format!("\"offset\":{offset},"))).unwrap().to_owned();
    let amended = |lines: &[String]| {
        let file = job.path("some.jsonl");
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        let file = file.display().to_string();
        let done = job.look(&["redrive", &file, "--map", "price=.p", "--yes", "--amend", "--json"]);
        (done.code, done.json())
    };
    // Out of bounds: no row takes it, so nothing is kept.
    let (code, report) = amended(&[of(1)]);
    assert_eq!((code, &report["amended"]["amending"]), (Some(0), &0.into()), "{report:#}");
    let kept = job.path("data/job/corrected.jsonl");
    assert!(!kept.exists(), "{}", std::fs::read_to_string(&kept).unwrap());
    // Letters of another log, at a place that has another record, or none; and one letter twice.
    let forged = [of(2).replace("\"offset\":2,", "\"offset\":3,"), of(2).replace("\"offset\":2,", "\"offset\":-7,")];
    let (code, report) = amended(&[forged[0].clone(), forged[1].clone(), of(2), of(2)]);
    assert_eq!(
        (code, &report["letters"], &report["amended"]["amending"]),
        (Some(65), &3.into(), &1.into()),
        "{report:#}"
    );
    let why = &report["still_not"][0];
    assert_eq!(why["count"], 2, "{report:#}");
    assert!(why["why"].as_str().unwrap().contains("is of another log"), "{report:#}");
    assert_eq!(job.rows()[&(minute(0), "A".to_owned())], (2, "8".to_owned(), "part-0.jsonl@2".to_owned()));
    assert_eq!(std::fs::read_to_string(&kept).unwrap().lines().count(), 1);
}

#[test]
fn options_on_the_command_line_hold_for_the_letters_and_the_record_is_as_the_run_reads_it() {
    let seconds = |second: i64| at(second) / 1000;
    let log = [
        format!(r#"{{"symbol":"A","price":150,"ts":{}}}"#, seconds(5)),
        // Of a producer that writes nanoseconds, prices in full, and other names.
        format!(r#"{{"symbol":"A","price":"2.5x","full":2.5,"ts":{}000123,"v":1.5}}"#, at(10)),
        format!(r#"{{"symbol":"A","price":100,"ts":{}}}"#, seconds(3600)),
    ];
    let job = Job::new(&log, "time-unit = \"s\"\nvalue-scale = \"0.01\"\n");
    let words = ["--map", "price=.full", "--time-unit", "ns", "--value-scale", "1", "--weight-field", "v"];
    let shown = job.redrive(&words);
    assert_eq!(shown.code, Some(0), "{}{}", shown.out, shown.said);
    assert!(shown.out.contains("price = 2.5 (value)") && shown.out.contains("00:10.000000123"), "{}", shown.out);
    let done = job.redrive(&[&words[..], &["--yes", "--amend"]].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.said);
    let kept = std::fs::read_to_string(job.path("data/job/corrected.jsonl")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let payload = kept["payload"].as_str().unwrap();
    let want =
        format!(r#"{{"symbol":"A","price":2.5e2,"full":2.5,"ts":{}.000000123,"v":1.5,"volume":1.5}}"#, seconds(10));
    assert_eq!(payload, want);
    let row = &job.rows()[&(minute(0), "A".to_owned())];
    assert_eq!((row.0, row.1.as_str()), (2, "4"));
}

/// A job's numbers are integers of one scale, and letters may be read at another.
#[test]
fn decimals_of_the_letters_shift_no_number_and_round_none() {
    let log = [
        format!(r#"{{"symbol":"A","price":100,"ts":{},"volume":2}}"#, at(5)),
        format!(r#"{{"symbol":"A","price":0.00123,"ts":{},"volume":3}}"#, at(10)),
        format!(r#"{{"symbol":"A","price":1e28,"ts":{}}}"#, at(12)),
        format!(r#"{{"symbol":"B","p":12.5,"ts":{},"volume":1.25}}"#, at(20)),
        format!(r#"{{"symbol":"B","p":0.125,"ts":{},"volume":1}}"#, at(21)),
        format!(r#"{{"symbol":"B","p":3,"ts":{},"volume":0.0625}}"#, at(22)),
        format!(r#"{{"symbol":"A","price":100,"ts":{}}}"#, at(3600)),
    ];
    let job = Job::new(&log, "decimals = \"2\"\nweight-decimals = \"3\"\n");
    let told = |words: &[&str], read: &str, why: &[&str]| {
        let done = job.redrive(&[words, &["--yes", "--amend"]].concat());
        assert_eq!(done.code, Some(65), "{}{}", done.out, done.said);
        for part in [&[read][..], why].concat() {
            assert!(done.out.contains(part), "{part}: {}", done.out);
        }
    };
    // What the run's own options reject for a digit too many is not another number: more digits are not counted by this job.
    let of_value = "does not fit --decimals 2 of this job";
    told(&["--decimals", "5"], "5 rejected letters: 0 can be read now", &["1 letter, first part-0.jsonl@1:", of_value]);
    told(&["--decimals", "0", "--on-precision", "reject"], "0 can be read now", &["first part-0.jsonl@2:", of_value]);
    assert!(!job.path("minutes.amended.csv").exists());
    let of_weight = "its weight does not fit --weight-decimals 3 of this job";
    let map = ["--map", "price=.p", "--decimals", "7", "--weight-decimals", "5"];
    told(
        &map,
        "5 rejected letters: 1 can be read now",
        &["price = 12.5 (value)", "= 1.25 (weight)", of_value, of_weight],
    );
    let rows: Vec<_> = job.rows().into_iter().collect();
    let b = ((minute(0), "B".to_owned()), (1, "12.5".to_owned(), "part-0.jsonl@3".to_owned()));
    assert_eq!(rows, [b]);
    let kept = std::fs::read_to_string(job.path("data/job/corrected.jsonl")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let payload: Value = serde_json::from_str(kept["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["price"], &payload["volume"]), (&12.5.into(), &1.25.into()), "{payload}");
    let verified = job.look(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.said);
}

#[test]
fn what_cannot_be_redriven_is_refused_with_what_to_do() {
    let log =
        [format!(r#"{{"symbol":"A","p":1,"ts":{}}}"#, at(5)), format!(r#"{{"symbol":"A","price":1,"ts":{}}}"#, at(7))];
    let job = Job::new(&log, "");
    for (words, code, parts) in [
        (&["--map", "price"][..], 64, &["give FIELD=PATH"][..]),
        (&["--map", "price=p"], 64, &["`p` is no path", ".data[0].p"]),
        (&["--map", "cost=.p"], 64, &["the run has no such field", "symbol, price, ts, volume"]),
        (&["--map", "price=.p", "--yes"], 64, &["--to-topic or --amend"]),
        (&["--map", "price=.p", "--yes", "--amend", "--to-topic"], 64, &["exclude each other"]),
        (&["--map", "price=.p", "--yes", "--to-topic"], 64, &["kafka:// alone", "--amend"]),
        (&["--map", "price=.p", "--window", "5m"], 64, &["written with other options", "--config or by variables"]),
    ] {
        let looked = job.redrive(words);
        assert_eq!(looked.code, Some(code), "{words:?}: {}{}", looked.out, looked.said);
        parts.iter().for_each(|part| assert!(looked.said.contains(part), "{part}: {}", looked.said));
    }
    let nowhere = job.look(&["redrive", "nowhere.jsonl", "--map", "price=.p"]);
    assert!(nowhere.code == Some(64) && nowhere.said.contains("name a file of dead letters"), "{}", nowhere.said);
    let csv = Job::new(
        &["symbol,price,ts".to_owned(), format!("A,x,{}", at(5)), format!("A,1,{}", at(6))],
        "format = \"csv\"\n",
    );
    let looked = csv.redrive(&["--map", "price=.p"]);
    assert!(looked.code == Some(64) && looked.said.contains("the run reads CSV"), "{}", looked.said);
}
