//! What is cleaned (R5): by a file whose every verdict is known, and through `kill -9` at any number of workers.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program, command, files};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// 2026-03-06T14:30:00Z, a Friday on which New York opens then, in milliseconds.
const OPENS: i64 = 1_772_807_400_000;
const RULES: [&str; 8] = ["--value-min", "0.01", "--value-max", "1e5", "--outlier", "4", "--session", "NYSE"];

/// Seconds after the opening, and a price.
const TICKS: [(i64, &str); 10] = [
    (-30, "40.00"), // before it opens
    (5, "40.10"),
    (10, "40.20"),
    (15, "40.30"),
    (20, "0"),
    (25, "400"), // the median is 40.2, and the MAD 0.1
    (30, "40.90"),
    (60, "2000000"),
    (65, "40.25"),
    (23_400, "40.25"), // 16:00 there
];

fn ticks(folder: &Path) -> PathBuf {
    let line = |(second, price): &(i64, &str)| {
        format!("{{\"symbol\":\"XYZ\",\"price\":{price},\"ts\":{}}}\n", OPENS + second * 1000)
    };
    let path = folder.join("ticks.jsonl");
    std::fs::write(&path, TICKS.iter().map(line).collect::<String>()).unwrap();
    path
}

fn run(folder: &Path, more: &[&str]) -> Ended {
    let (source, sink) =
        (format!("file:{}", ticks(folder).display()), format!("csv:{}", folder.join("m.csv").display()));
    let args =
        ["--source", &source, "--sink", &sink, "--job", "j", "--metrics", "avg", "--as-of", "2026-03-07T00:00:00Z"];
    Program::run(&folder.join("data"), &[&args[..], more].concat(), &[])
}

/// All lines of the dead letters below a folder, by place.
fn dead_letters(folder: &Path) -> Vec<String> {
    let found = files(folder).into_iter().filter(|path| path.to_string_lossy().contains("dead-letters-"));
    let text: String = found.map(|path| std::fs::read_to_string(folder.join(path)).unwrap()).collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn each_event_of_a_file_is_judged_as_by_hand() {
    let home = tempfile::tempdir().unwrap();
    let ended = run(home.path(), &RULES).well();
    assert_eq!(["counted", "late", "cleaned"].map(|what| ended.done(what)), [5, 0, 5], "{}", ended.said);
    let rows = std::fs::read_to_string(home.path().join("m.csv")).unwrap();
    let wanted = "symbol,minute,count,sum,avg,state\nXYZ,2026-03-06T14:30:00Z,4,161.5,40.375,final\n\
                  XYZ,2026-03-06T14:31:00Z,1,40.25,40.25,final\n";
    assert_eq!(rows, wanted);
    let found = dead_letters(&home.path().join("data")).into_iter().map(|line| {
        let line: Value = serde_json::from_str(&line).unwrap();
        json!([line["offset"], line["reason"], line["value"], line["evidence"]])
    });
    let wanted = [
        json!([0, "session", "40", null]),
        json!([4, "bounds", "0", {"bound": "0.01"}]),
        json!([5, "outlier", "400", {"filter": {"median": "40.2", "most": "0.7413"}}]),
        json!([7, "bounds", "2000000", {"bound": "100000"}]),
        json!([9, "session", "40.25", null]),
    ];
    assert_eq!(found.collect::<Vec<_>>(), wanted);

    let state = home.path().join("data/j/state").display().to_string();
    let shown = command().args(["state", "show", "--state", &state]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for part in [
        "5 counted + 0 late + 0 rejected + 0 quarantined + 5 cleaned, 2 session, 2 bounds, 1 outlier",
        "\n  --outlier 4,5\n  --session NYSE\n",
        "\n  --value-max 100000\n  --value-min 0.01\n",
        "H 2026-03-06T21:00:00",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let other = run(home.path(), &["--outlier", "4,5.00", "--session", "NYSE"]);
    assert!(other.said.contains("--value-max not given (it was 100000)"), "{}", other.said);
    assert!(!other.said.contains("--outlier 4"), "the same by value: {}", other.said);
}

#[test]
fn check_says_what_would_be_cleaned_and_wrong_options_say_why() {
    let home = tempfile::tempdir().unwrap();
    let source = format!("file:{}", ticks(home.path()).display());
    let args = ["check", "--source", &source, "--as-of", "2026-03-07T00:00:00Z", "--records", "10"];
    let said = command().args([&args[..], &RULES].concat()).arg("--data").arg(home.path().join("d")).output().unwrap();
    let (code, printed) = (said.status.code(), String::from_utf8(said.stdout).unwrap());
    assert_eq!(code, Some(65), "{printed}");
    for (part, times) in [(" -> SESSION: ", 2), (" -> BOUNDS: ", 2), (" -> OUTLIER: ", 1)] {
        assert_eq!(printed.matches(part).count(), times, "{part}: {printed}");
    }
    let calendar = home.path().join("c.toml");
    std::fs::write(
        &calendar,
        "zone = \"Europe/Berlin\"\n[[session]]\ndays = \"mon-fri\"\nfrom = \"9:00\"\nto = \"17:30\"\n",
    )
    .unwrap();
    let calendar = calendar.display().to_string();
    for (given, wanted) in [
        (&["--outlier", "2"][..], "--outlier 2: takes N or N,K"),
        (&["--outlier", "20,0"], "--outlier 20,0: takes"),
        (&["--value-min", "x"], "--value-min x: takes a number"),
        (
            &["--value-max", "0.001", "--decimals", "2"],
            "--value-max 0.001: has more fractional digits than --decimals 2",
        ),
        (&["--value-min", "2", "--value-max", "-1"], "--value-min is above --value-max"),
        (&["--session", "LSE"], "--session LSE: is none of NYSE"),
        (&["--session", &calendar], "c.toml: line 4: takes times of day"),
    ] {
        let ended = run(home.path(), given);
        assert!(ended.said.contains(wanted), "{wanted}: {}", ended.said);
    }
}

/// Lines of one file.
const LINES: i64 = 150_000;

/// A price that wanders, with a spike now and then, some in a row, and a series that moves for good.
fn line(file: i64, number: i64) -> String {
    let series = number % 7;
    let noise = (number * 7919 + file * 104_729) % 97;
    let moved = if number > LINES / 2 && series == 3 { 50_000 } else { 0 };
    let spike = if (number * 31 + file) % 211 == 5 { 90_000 + noise } else { 0 };
    let cents = 10_000 + series * 1000 + noise + moved + spike;
    format!(
        "{{\"symbol\":\"S{series}\",\"price\":{}.{:02},\"ts\":{}}}\n",
        cents / 100,
        cents % 100,
        OPENS + number * 20
    )
}

struct Job(tempfile::TempDir);

impl Job {
    fn new() -> Job {
        let job = Job(tempfile::tempdir().unwrap());
        for file in 0..3 {
            let text = (0..LINES).fold(String::new(), |mut text, number| {
                write!(text, "{}", line(file, number)).unwrap();
                text
            });
            std::fs::write(job.0.path().join(format!("log-{file}.jsonl")), text).unwrap();
        }
        job
    }

    fn start(&self, workers: &str) -> Program {
        let (source, sink) = (self.0.path().join("log-*.jsonl"), self.0.path().join("rows.csv"));
        let (source, sink) = (format!("file:{}", source.display()), format!("csv:{}", sink.display()));
        let args = [
            "--source",
            &source,
            "--sink",
            &sink,
            "--job",
            "j",
            "--outlier",
            "15,4",
            "--session",
            "NYSE",
            "-w",
            workers,
        ];
        let rule = ["--as-of", "2026-03-10T00:00:00Z", "--emit", "final", "--checkpoint-interval", "10ms", "--close"];
        Program::start(&self.0.path().join("data"), &[&args[..], &rule].concat(), &[])
    }

    /// Lines that the newest cut has read, and the series whose values it has.
    fn committed(&self) -> (i64, usize) {
        let state = self.0.path().join("data/j/state").display().to_string();
        let shown = command().args(["state", "show", "--json", "--state", &state]).output().unwrap();
        let Ok(shown) = serde_json::from_slice::<Value>(&shown.stdout) else { return (0, 0) };
        let states = shown["partitions"].as_array().unwrap().iter().map(|partition| &partition["state"]);
        let of =
            |state: &Value| (state["next"].as_i64().unwrap_or(0), state["filtered"].as_array().map_or(0, Vec::len));
        states.map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The number of the newest manifest; 0 before the first.
    fn newest_manifest(&self) -> u64 {
        let Ok(folder) = std::fs::read_dir(self.0.path().join("data/j/state/manifest")) else { return 0 };
        folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
    }

    /// Rows in order, and dead letters.
    fn answer(&self) -> (Vec<String>, Vec<String>) {
        let rows = std::fs::read_to_string(self.0.path().join("rows.csv")).unwrap();
        let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
        rows.sort();
        (rows, dead_letters(&self.0.path().join("data")))
    }
}

#[test]
fn killed_at_any_moment_it_cleans_as_if_nobody_had() {
    let whole = Job::new();
    let ended = whole.start("1").ended(PATIENCE).well();
    let job = Job::new();
    let mut within = 0;
    for workers in ["1", "3", "2", "1", "2", "3"] {
        let (before, manifest) = (job.committed().0, job.newest_manifest());
        let run = job.start(workers);
        let io = format!("/proc/{}/io", run.id());
        let deadline = Instant::now() + PATIENCE;
        // (One is of the start. A run that has ended does no I/O.)
        while job.newest_manifest() < manifest + 3 && std::fs::read_to_string(&io).is_ok() {
            assert!(Instant::now() < deadline, "it commits nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(run);
        let (lines, series) = job.committed();
        within += i32::from(lines > before && lines < 3 * LINES && series > 0);
    }
    assert!(within > 0, "no kill came between two lines that count");
    eprintln!("{within} of 6 kills came within the log");
    let resumed = job.start("2").ended(PATIENCE).well();
    let counts = |ended: &Ended| ["counted", "cleaned"].map(|what| ended.done(what));
    assert_eq!(counts(&resumed), counts(&ended));
    let (rows, letters) = whole.answer();
    assert!(letters.len() > 1000 && rows.len() > 100, "{} {}", letters.len(), rows.len());
    // The series that moves loses fifteen in each partition, and no more of that.
    let moved = letters.iter().filter(|line| line.contains("\"symbol\":\"S3\",\"value\":\"6")).count();
    assert!((45..100).contains(&moved), "{moved}");
    assert!(job.answer() == (rows, letters), "rows or dead letters differ");
}
