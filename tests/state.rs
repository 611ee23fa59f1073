//! The state, by the program as a whole: what it shows, what damage does, and what a run goes on from.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::poll;
use common::program::{Ended, PATIENCE, Program, command, files};
use common::rows::{csv, sqlite};
use minutely_dataflows::checkpoint::{FORMAT, Manifest, ObjectRef};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a command ended that looks at a state.
struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    fn at(args: &[&str]) -> Self {
        Self::by(command().args(args))
    }

    fn by(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Looked { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.said);
        self.out
    }

    /// Damaged, with this file named twice: in the list, and by the run.
    fn damaged(&self, file: &Path) {
        assert_eq!(self.code, Some(65), "{}{}", self.out, self.said);
        let told = format!("{}{}", self.out, self.said);
        assert!(told.contains(&file.display().to_string()), "{} is not in {told}", file.display());
    }
}

/// `minutes` minutes of ticks of five symbols, two a second each; one in 50 is broken.
fn ticks(from: u32, minutes: u32) -> String {
    let began = hostile::BEGAN.0 / 1_000_000;
    let tick = |n: u32| match n % 50 {
        49 => "{\"symbol\":\n".to_owned(),
        _ => {
            let (symbol, price) = (n % 5, f64::from(n % 977) / 8.0);
            format!("{{\"symbol\":\"S{symbol}\",\"price\":{price},\"ts\":{}}}\n", began + i64::from(n) * 100)
        }
    };
    (from * 600..(from + minutes) * 600).map(tick).collect()
}

/// A log in a file, and a job that reads it.
struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        let job = Job { dir: tempfile::tempdir().unwrap() };
        job.grow(0, 30);
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("data/job/state")
    }

    fn grow(&self, from: u32, minutes: u32) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.path("ticks.jsonl"));
        file.unwrap().write_all(ticks(from, minutes).as_bytes()).unwrap();
    }

    /// Runs it into this sink, and with these options.
    fn run(&self, sink: &str, more: &[&str]) -> Ended {
        self.start(sink, more).ended(PATIENCE)
    }

    fn start(&self, sink: &str, more: &[&str]) -> Program {
        let source = format!("file:{}", self.path("ticks.jsonl").display());
        let (kind, name) = sink.split_once(':').unwrap();
        let sink = format!("{kind}:{}", self.path(name).display());
        let args = ["--source", &source, "--sink", &sink, "--job", "job", "--as-of", "2026-03-01T00:00:00Z"];
        // The log grows between runs, and would be left open.
        let close: &[&str] =
            if more.contains(&"--keep-open") || more.contains(&"--close") { &[] } else { &["--close"] };
        Program::start(&self.path("data"), &[&args[..], close, more].concat(), &[])
    }

    fn look(&self, what: &str) -> Looked {
        Looked::at(&["state", what, "--state", &self.state().display().to_string()])
    }

    /// Every file that the head needs, and every manifest.
    fn needed(&self) -> Vec<PathBuf> {
        let found = files(&self.state()).into_iter().filter(|file| file.components().count() == 2);
        found.map(|file| self.state().join(file)).collect()
    }
}

#[test]
fn a_state_is_shown_and_checked_while_a_run_has_it_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let source = "sim:?rate=3000&late=1%&partitions=3";
    let args = ["--source", source, "--job", "job", "-w", "2", "--checkpoint-interval", "20ms"];
    let mut program = Program::start(&data, &args, &[]);
    program.until("it forgets", PATIENCE, |program| {
        program.live().is_some_and(|line| line.contains(" held + ") && !line.contains(" + 0 forgotten"))
    });
    let state = data.join("job/state").display().to_string();
    let by_job = ["--source", source, "--job", "job", "--data", &data.display().to_string()];
    for _ in 0..10 {
        assert!(Looked::at(&["state", "check", "--state", &state]).well().starts_with("ok: "));
        Looked::at(&[&["state", "show"], &by_job[..]].concat()).well();
    }
    let rebuilt = Looked::at(&["state", "rebuild", "--state", &state]);
    assert!(rebuilt.code == Some(78) && rebuilt.said.contains("owns it"), "{}", rebuilt.said);
    let ended = program.stopped();

    let before: Vec<_> =
        files(&data).into_iter().map(|file| (std::fs::read(data.join(&file)).unwrap(), file)).collect();
    let shown = Looked::at(&["state", "show", "--state", &state]).well();
    let json = Looked::at(&["state", "show", "--json", "--state", &state]).well();
    let checked = Looked::at(&["state", "check", "--state", &state]).well();
    let after: Vec<_> = files(&data).into_iter().map(|file| (std::fs::read(data.join(&file)).unwrap(), file)).collect();
    assert!(before == after, "who looks leaves all as it was");

    let (counted, late) = (ended.done("counted"), ended.done("late"));
    let forgotten = ended.kept() - checked_number(&checked, "in windows held");
    for part in [
        format!("{counted} counted + {late} late"),
        format!("+ {forgotten} in windows forgotten"),
        "sim/2: from ".into(),
        "  1: ".into(),
        "sqlite:".into(),
        "chain 1".into(),
        "dead letters: ".into(),
        "audit trail: from manifest 2 of ".into(),
        "published ".into(),
        "of generation 1".into(),
        "--window 1m".into(),
    ] {
        assert!(shown.contains(&part), "`{part}` is not in: {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["format"].as_i64(), json["partitions"].as_array().unwrap().len()), (Some(1), 3));
    assert_eq!(checked_number(&checked, "counted"), counted, "{checked}");
    let up_to = format!("manifests up to {}", json["seq"]);
    assert!(checked.contains(&up_to), "{up_to}: {checked}");
}

/// It is no part of the fingerprint.
#[test]
fn an_audit_trail_may_be_left_out_by_one_run_and_begun_again_by_the_next() {
    let job = Job::new();
    let trail = || {
        assert!(job.look("check").well().starts_with("ok: "));
        let shown = job.look("show").well();
        shown.lines().find_map(|line| line.strip_prefix("audit trail: ")).map(str::to_owned).unwrap()
    };
    let often = ["--keep-open", "--checkpoint-interval", "10ms"];
    job.run("csv:m.csv", &often).well();
    let first = trail();
    assert!(first.starts_with("from manifest 2 of "), "{first}");
    job.grow(30, 5);
    job.run("csv:m.csv", &[&often[..], &["--audit", "0s"]].concat()).well();
    assert_eq!(trail(), "none is kept");
    job.grow(35, 5);
    job.run("csv:m.csv", &[&often[..], &["--audit", "1h", "--audit-size", "1MB"]].concat()).well();
    let again = trail();
    assert!(again.starts_with("from manifest ") && !again.starts_with("from manifest 2 of "), "{again}");
}

/// With all that is in it.
fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&file), target).unwrap();
    }
}

/// The number in front of these words.
fn checked_number(text: &str, words: &str) -> i64 {
    let before = text.split_once(words).unwrap_or_else(|| panic!("`{words}` is not in: {text}")).0;
    before.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn damage_between_two_runs_ends_the_second_with_the_file_named() {
    let job = Job::new();
    job.run("csv:m.csv", &["--keep-open", "--emit", "final"]).well();
    assert!(job.look("check").well().starts_with("ok: "));
    job.grow(30, 10);
    let needed = job.needed();
    let objects: Vec<_> = needed.iter().filter(|file| file.parent().unwrap().ends_with("object")).collect();
    assert!(!objects.is_empty() && needed.len() > objects.len() + 1, "{needed:?}");
    let last_manifest = needed.iter().rfind(|file| !objects.contains(file)).unwrap();
    let rows = std::fs::read(job.path("m.csv")).unwrap();
    for file in &needed {
        let whole = std::fs::read(file).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let other = needed.iter().rev().find(|other| *other != file).unwrap();
        let damages: [(&str, Option<Vec<u8>>); 4] = [
            ("gone", None),
            ("cut short", Some(whole[..whole.len() - 1].to_vec())),
            ("a bit flipped", Some(flipped)),
            ("another in its place", Some(std::fs::read(other).unwrap())),
        ];
        for (what, damage) in damages {
            match damage {
                Some(bytes) => std::fs::write(file, bytes).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            // Without the newest manifest the one before it is the head: an older copy, and no damage.
            if file == last_manifest && what == "gone" {
                std::fs::write(file, &whole).unwrap();
                continue;
            }
            eprintln!("{}: {what}", file.display());
            let ended = job.run("csv:m.csv", &["--emit", "final"]);
            ended.refused(65, &[&file.display().to_string(), "minutely state rebuild"]);
            job.look("check").damaged(file);
            assert!(std::fs::read(job.path("m.csv")).unwrap() == rows, "nothing is written");
            std::fs::write(file, &whole).unwrap();
        }
    }
    job.run("csv:m.csv", &["--emit", "final"]).well();
    let whole = Job::new();
    whole.grow(30, 10);
    whole.run("csv:m.csv", &["--emit", "final"]).well();
    assert_eq!(csv(&job.path("m.csv")), csv(&whole.path("m.csv")));
    assert_eq!(csv(&job.path("m.csv")).len(), 40 * 5);
}

/// Ten minutes of ticks of two symbols, one a second, each with an id of its own; `again` of them come a second time at the end, half
/// a minute later in event time.
fn identified(again: u32) -> String {
    let began = hostile::BEGAN.0 / 1_000_000;
    let tick = |n: u32, later: i64| {
        let (symbol, ts) = (n % 2, began + i64::from(n) * 1000 + later);
        format!("{{\"symbol\":\"S{symbol}\",\"price\":{n},\"ts\":{ts},\"trade\":{{\"id\":\"{n}\"}}}}\n")
    };
    (0..600).map(|n| tick(n, 0)).chain((600 - again..600).map(|n| tick(n, 30_000))).collect()
}

#[test]
fn a_run_resumes_with_the_ids_that_may_be_repeated() {
    let job = Job::new();
    let log = |job: &Job, again| std::fs::write(job.path("ticks.jsonl"), identified(again)).unwrap();
    let options = ["--id-field", "/trade/id", "--lateness", "2m", "--emit", "final"];
    log(&job, 0);
    let first = job.run("csv:m.csv", &[&options[..], &["--keep-open", "-w", "2"]].concat()).well();
    assert_eq!(first.done("counted"), 600);
    // Minutes 7 to 9 are not final at 9:59. The first of them begins with tick 420.
    let shown = job.look("show").well();
    assert!(shown.contains(" bytes, 180 ids\n"), "{shown}");
    assert!(job.look("check").well().starts_with("ok: "));

    log(&job, 200);
    let needed = job.needed();
    let ids = needed.iter().find(|file| file.display().to_string().contains("-ids-")).unwrap();
    let whole = std::fs::read(ids).unwrap();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() - 1], b"minutely-1\n"] {
        std::fs::write(ids, damaged).unwrap();
        job.run("csv:m.csv", &options).refused(65, &[&ids.display().to_string(), "minutely state rebuild"]);
        job.look("check").damaged(ids);
    }
    std::fs::write(ids, whole).unwrap();

    // H is at 9:59, and rises by the repeated ones: of 400 to 419 the windows are final, all others are held.
    let second = job.run("csv:m.csv", &[&options[..], &["--close", "-w", "3"]].concat()).well();
    assert_eq!((second.done("counted"), second.done("duplicate")), (620, 180));
    let rows = csv(&job.path("m.csv"));
    let whole = Job::new();
    log(&whole, 200);
    let fresh = whole.run("csv:m.csv", &[&options[..], &["--close"]].concat()).well();
    assert_eq!((fresh.done("duplicate"), csv(&whole.path("m.csv"))), (180, rows));
}

/// A device whose clock stands in 1970, or long before: how late its records are is no reason to refuse what says so.
#[test]
fn a_record_that_is_late_by_a_century_is_a_record_that_is_late() {
    let job = Job::new();
    let old = |ts: i64| format!("{{\"symbol\":\"S1\",\"price\":1,\"ts\":{ts}}}\n");
    let mut file = std::fs::OpenOptions::new().append(true).open(job.path("ticks.jsonl")).unwrap();
    file.write_all((old(0) + &old(-4_600_000_000_000)).as_bytes()).unwrap();
    assert_eq!(job.run("csv:m.csv", &[]).well().done("late"), 2);
    assert!(job.look("check").well().starts_with("ok: "));
    job.grow(30, 5);
    job.run("csv:m.csv", &["-w", "2"]).well();
}

#[test]
fn an_older_copy_is_refused_where_it_can_be_told() {
    let job = Job::new();
    job.run("sqlite:m.db", &["--keep-open"]).well();
    copy(&job.state(), &job.path("copy"));
    job.grow(30, 10);
    job.run("sqlite:m.db", &["--keep-open"]).well();
    let restore = |from: &str| {
        std::fs::remove_dir_all(job.state()).unwrap();
        copy(&job.path(from), &job.state());
    };
    copy(&job.state(), &job.path("newest"));
    restore("copy");
    for _ in 0..3 {
        let ended = job.run("sqlite:m.db", &[]);
        let state = job.state().display().to_string();
        ended.refused(65, &["m.db", "rows of manifest", &state, "older copy", "minutely state rebuild"]);
    }
    restore("newest");
    job.run("sqlite:m.db", &[]).well();
    let whole = Job::new();
    whole.grow(30, 10);
    whole.run("sqlite:m.db", &[]).well();
    assert_eq!(sqlite(&job.path("m.db")), sqlite(&whole.path("m.db")));

    // Or begun anew, as it says.
    restore("copy");
    let rebuilt = job.look("rebuild");
    assert!(rebuilt.code == Some(0) && rebuilt.said.contains("begins a new chain"), "{}", rebuilt.said);
    assert!(!job.state().exists());
    job.run("sqlite:m.db", &[]).well();
    assert_eq!(sqlite(&job.path("m.db")), sqlite(&whole.path("m.db")));
    assert!(job.look("check").well().starts_with("ok: "));
}

/// Rows that a sink has stored are forgotten: they cannot be sent again.
#[test]
fn a_database_that_is_gone_or_older_than_the_state_is_refused() {
    let job = Job::new();
    let db = job.path("m.db");
    // With what SQLite keeps beside it.
    let names = ["m.db", "m.db-wal", "m.db-shm"];
    let take = || names.map(|name| std::fs::read(job.path(name)).ok());
    let put = |saved: &[Option<Vec<u8>>; 3]| {
        for (name, bytes) in names.iter().zip(saved) {
            let path = job.path(name);
            match bytes {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None if path.exists() => std::fs::remove_file(&path).unwrap(),
                None => {}
            }
        }
    };
    job.run("sqlite:m.db", &[]).well();
    let older = take();
    job.grow(60, 10);
    job.run("sqlite:m.db", &[]).well();
    let newest = take();
    put(&older);
    job.run("sqlite:m.db", &[]).refused(65, &["m.db", "had those of manifest", "restore the database"]);
    put(&[None, None, None]);
    job.run("sqlite:m.db", &[]).refused(65, &["m.db", "has rows up to manifest 0", "minutely state rebuild"]);
    assert!(!db.exists(), "nothing is written");
    put(&newest);
    job.run("sqlite:m.db", &[]).well();
    let whole = Job::new();
    whole.grow(60, 10);
    whole.run("sqlite:m.db", &[]).well();
    assert_eq!(sqlite(&db), sqlite(&whole.path("m.db")));
}

/// What `state show` says of a sink.
fn shown(job: &Job, sink: &str) -> String {
    let shown = job.look("show").well();
    shown.lines().find(|line| line.contains(&format!("{sink}: "))).unwrap_or_else(|| panic!("{shown}")).to_owned()
}

#[test]
fn a_sink_that_lacks_rows_is_not_left_out_unless_told() {
    let job = Job::new();
    let db = format!("sqlite:{}", job.path("m.db").display());
    let open = ["--keep-open", "--emit", "final"];
    job.run("csv:m.csv", &[&open[..], &["--sink", &db]].concat()).well();
    job.grow(30, 10);
    let before = files(job.dir.path());
    let refused = job.run("csv:m.csv", &open);
    refused.refused(64, &["m.db", "which this run leaves out", "its rows wait", "--forget-sink sqlite:"]);
    assert_eq!(files(job.dir.path()), before, "nothing is written");
    let both = job.run("csv:m.csv", &[&open[..], &["--sink", &db, "--forget-sink", &db]].concat());
    both.refused(64, &["--forget-sink sqlite:", "leave one of the two out"]);
    job.run("csv:m.csv", &[&open[..], &["--forget-sink", &db]].concat()).well();
    assert!(!job.look("show").well().contains("m.db"), "it is forgotten");
    let again = job.run("csv:m.csv", &[&open[..], &["--forget-sink", &db]].concat()).well();
    assert!(
        again.said.contains("the state knows no such sink"),
        "a service that is started so starts again: {}",
        again.said
    );
}

#[test]
fn a_sink_that_is_left_out_or_new_says_which_windows_it_lacks() {
    let job = Job::new();
    let others = ["b.csv", "c.csv"].map(|name| format!("csv:{}", job.path(name).display()));
    let finals = ["--close", "--emit", "final"];
    let with = |number: usize| {
        let more: Vec<&str> = others[..number].iter().flat_map(|uri| ["--sink", uri.as_str()]).collect();
        job.run("csv:a.csv", &[&finals[..], &more].concat()).well()
    };
    with(1);
    // A day later, when nothing of the days before is held.
    job.grow(24 * 60, 30);
    let out = with(0);
    assert!(out.said.contains("b.csv: is left out"), "{}", out.said);
    assert!(
        shown(&job, "b.csv").contains("left out by the newest run: lacks what it forgets from 2026-01-05T08:30:00Z on")
    );
    job.grow(2 * 24 * 60, 30);
    let back = with(2);
    let gap = "from 2026-01-05T08:30:00Z to 2026-01-06T08:30:00Z";
    assert!(back.said.contains(&format!("b.csv: was left out of a run and lacks the windows {gap}")), "{}", back.said);
    assert!(
        back.said.contains("c.csv: is new to this state, and gets windows from 2026-01-06T08:30:00Z on"),
        "{}",
        back.said
    );
    assert!(shown(&job, "a.csv").contains("has all windows before 2026-01-07T08:30:00Z,"), "{}", shown(&job, "a.csv"));
    assert!(
        shown(&job, "b.csv").contains(&format!("has all windows before 2026-01-07T08:30:00Z, but lacks those {gap}"))
    );
    assert!(
        shown(&job, "c.csv").contains("has all windows from 2026-01-06T08:30:00Z on and before 2026-01-07T08:30:00Z")
    );
    let days = |name: &str| csv(&job.path(name)).keys().map(|(minute, _)| minute[..10].to_owned()).collect::<Vec<_>>();
    let has = |name: &str| ["2026-01-05", "2026-01-06", "2026-01-07"].map(|day| days(name).iter().any(|d| d == day));
    assert_eq!([has("a.csv"), has("b.csv"), has("c.csv")], [[true; 3], [true, false, true], [false, false, true]]);
}

/// Files are cut back and written again, so an older copy leaves the same rows there.
#[test]
fn an_older_copy_gives_the_same_file() {
    let job = Job::new();
    job.run("csv:m.csv", &["--emit", "final", "--keep-open"]).well();
    copy(&job.state(), &job.path("copy"));
    job.grow(30, 10);
    job.run("csv:m.csv", &["--emit", "final"]).well();
    let rows = std::fs::read(job.path("m.csv")).unwrap();
    std::fs::remove_dir_all(job.state()).unwrap();
    copy(&job.path("copy"), &job.state());
    job.run("csv:m.csv", &["--emit", "final"]).well();
    assert!(std::fs::read(job.path("m.csv")).unwrap() == rows);

    // Shorter than the state knows: not the file that it was.
    std::fs::write(job.path("m.csv"), &rows[..rows.len() / 2]).unwrap();
    job.grow(40, 10);
    job.run("csv:m.csv", &["--emit", "final"]).refused(65, &["m.csv", "bytes and had", "restore it"]);
}

#[test]
fn options_that_mean_something_else_are_refused_by_name_and_others_may_change() {
    let job = Job::new();
    let begun = ["--keep-open", "--emit", "final", "-w", "2"];
    let db = format!("sqlite:{}", job.path("m.db").display());
    let both = [&begun[..], &["--sink", &db]].concat();
    job.run("csv:m.csv", &both).well();
    job.grow(30, 10);
    let before = files(job.dir.path());
    for (option, value) in [
        ("--lateness", "9m"),
        ("--window", "2m"),
        ("--max-future", "2m"),
        ("--metrics", "avg"),
        ("--value-field", "p"),
        ("--time-unit", "s"),
        ("--weight-field", ""),
        ("--decimals", "24"),
        ("--weight-decimals", "6"),
        ("--on-precision", "reject"),
        ("--value-scale", "0.01"),
        ("--weight-sign", "keep"),
    ] {
        let ended = job.run("csv:m.csv", &[&[option, value], &both[..]].concat());
        ended.refused(64, &[&format!("{option} {value} (it was "), "state", "--job NAME"]);
    }
    let other = job.run("csv:m.csv", &[&both[3..], &["--lateness", "9m", "--window", "2m"]].concat());
    other.refused(64, &["--lateness 9m (it was 10m)", "--window 2m (it was 1m)"]);
    assert_eq!(files(job.dir.path()), before, "nothing is written");
    // Workers, sinks, addresses, and how it is run.
    let csv = format!("csv:{}", job.path("m.csv").display());
    let more = ["--idle", "1s", "--max-ahead", "5m", "--checkpoint-interval", "50ms", "--close", "--forget-sink", &csv];
    job.run("sqlite:m.db", &[&["-w", "3"], &more[..]].concat()).well();
    let whole = Job::new();
    whole.grow(30, 10);
    whole.run("sqlite:m.db", &[]).well();
    assert_eq!(sqlite(&job.path("m.db")), sqlite(&whole.path("m.db")));
}

/// Runs the job that the options themselves name, to the end that the log has now.
fn by_options(job: &Job, more: &[&str]) -> Ended {
    let source = format!("file:{}", job.path("ticks.jsonl").display());
    let args = ["--source", &source, "--as-of", "2026-03-01T00:00:00Z", "--keep-open"];
    Program::run(&job.path("data"), &[&args[..], more].concat(), &[])
}

/// The folders of jobs in the data folder.
fn job_folders(job: &Job) -> Vec<String> {
    let entries = std::fs::read_dir(job.path("data")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn values_decide_which_job_it_is_however_they_are_written() {
    let job = Job::new();
    let read = by_options(&job, &[]).well().done("records");
    job.grow(30, 1);
    for (run, more) in [
        &["--window", "60s", "--lateness", "600s"][..],
        &["--window", "60000ms", "--max-future", "60s"],
        &["--lateness", "10m", "-w", "2"],
        &[],
    ]
    .into_iter()
    .enumerate()
    {
        let ended = by_options(&job, more).well();
        let before = read + if run == 0 { 0 } else { 600 };
        assert!(ended.said.contains(&format!("({before} records already read)")), "{more:?}: {}", ended.said);
        assert_eq!(ended.done("records"), read + 600, "{more:?}: {}", ended.said);
        assert_eq!(job_folders(&job).len(), 1, "{more:?}");
    }
    let folder = job.path("data").join(&job_folders(&job)[0]);
    let whole = Job::new();
    whole.grow(30, 1);
    whole.run("sqlite:m.db", &["--keep-open"]).well();
    assert_eq!(sqlite(&folder.join("minutes.db")), sqlite(&whole.path("m.db")));
}

/// Rewrites the newest manifest of a state with other text, as an earlier version would have written it.
fn respell(state: &Path, option: &str, text: &str) -> Manifest {
    let file = state.join(format!("manifest/{:020}", newest_manifest(state).unwrap()));
    let mut head = Manifest::decode(&std::fs::read(&file).unwrap()).unwrap();
    head.semantics.insert(option.into(), text.into()).expect("it was there");
    std::fs::write(&file, head.encode()).unwrap();
    head
}

#[test]
fn a_state_with_the_text_that_was_typed_is_recognised_by_value_and_keeps_its_text() {
    let job = Job::new();
    let read = job.run("csv:m.csv", &["--keep-open"]).well().done("records");
    respell(&job.state(), "--lateness", "600s");
    let resumed = format!("({read} records already read)");
    for more in [&[][..], &["--lateness", "600s"], &["--lateness", "600000ms"]] {
        let ended = job.run("csv:m.csv", &[more, &["--keep-open"]].concat()).well();
        assert!(ended.said.contains(&resumed), "{more:?}: {}", ended.said);
    }
    assert!(job.look("show").well().contains("--lateness 600s"), "an earlier version can still go on with it");
    let other = job.run("csv:m.csv", &["--keep-open", "--lateness", "9m"]);
    other.refused(64, &["--lateness 9m (it was 600s)", "they change results", "--job NAME"]);
}

#[test]
fn a_folder_that_an_earlier_version_named_by_what_was_typed_is_found() {
    let job = Job::new();
    let csv = format!("csv:{}", job.path("m.csv").display());
    let typed = ["--sink", &csv, "--window", "60s"];
    let read = by_options(&job, &typed).well().done("records");
    let usual = job_folders(&job).remove(0);
    let semantics = respell(&job.path("data").join(&usual).join("state"), "--window", "60s").semantics;
    let text: String = semantics.iter().map(|(option, text)| format!("{option}\0{text}\0")).collect();
    let older = format!("file-{:08x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 32);
    assert_ne!(older, usual);
    std::fs::rename(job.path("data").join(&usual), job.path("data").join(&older)).unwrap();
    for _ in 0..2 {
        let ended = by_options(&job, &typed).well();
        for part in [
            format!("({read} records already read)"),
            format!("{older}, which an earlier version named"),
            usual.clone(),
        ] {
            assert!(ended.said.contains(&part), "{part}: {}", ended.said);
        }
        assert_eq!(job_folders(&job), [older.as_str()]);
    }
}

/// Puts a file where the objects are, so that nothing can be written, whoever we are.
fn obstruct(state: &Path) {
    std::fs::rename(state.join("object"), state.join("aside")).unwrap();
    std::fs::write(state.join("object"), "in the way").unwrap();
}

fn clear(state: &Path) {
    std::fs::remove_file(state.join("object")).unwrap();
    std::fs::rename(state.join("aside"), state.join("object")).unwrap();
}

/// A live run, into `state`, that has committed something.
fn live(data: &Path, state: &Path) -> Program {
    let state = state.display().to_string();
    let args = ["--source", "sim:?rate=2000&partitions=2", "--state", &state, "--job", "job", "-w", "2"];
    let mut program = Program::start(data, &args, &[]);
    program.until("it counts", PATIENCE, |program| program.counted() > 0);
    program
}

fn says_and_goes_on(program: &mut Program, state: &Path, trouble: &str, mend: impl FnOnce()) {
    let told = |program: &Program| {
        let named = format!("| state {}", state.display());
        program.live().is_some_and(|line| line.contains(&named) && line.contains(trouble))
    };
    program.until("its line tells", PATIENCE, told);
    mend();
    program.until("it is well again", PATIENCE, |program| !told(program));
    let counted = program.counted();
    program.until("it goes on", PATIENCE, |program| program.counted() > counted);
}

#[test]
fn trouble_of_the_state_is_in_the_live_line_and_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut program = live(folder.path(), &state);
    obstruct(&state);
    says_and_goes_on(&mut program, &state, "Not a directory", || clear(&state));
    let check = || Looked::at(&["state", "check", "--state", &state.display().to_string()]).well();
    assert!(check().starts_with("ok: "));
    // Who stops it then need not mend the disk first.
    obstruct(&state);
    program.until("its line tells", PATIENCE, |program| program.live().is_some_and(|line| line.contains("Not a dir")));
    program.stopped();
    clear(&state);
    assert!(check().starts_with("ok: "));
    live(folder.path(), &state).stopped();
}

#[test]
fn a_bounded_run_waits_for_the_state_no_longer_than_it_is_told() {
    let job = Job::new();
    job.run("csv:m.csv", &["--keep-open", "--emit", "final"]).well();
    let args = ["--sink-timeout", "1s", "--checkpoint-interval", "10ms", "--emit", "final"];
    let mut minutes = 30;
    let ended = loop {
        job.grow(minutes, 600);
        minutes += 600;
        let before = newest_manifest(&job.state()).unwrap();
        let program = job.start("csv:m.csv", &[&args[..], &["--keep-open"]].concat());
        // The second is of a commit: all that the run left before was read.
        let deadline = Instant::now() + PATIENCE;
        while newest_manifest(&job.state()) < Some(before + 2) {
            assert!(Instant::now() < deadline, "it commits nothing: {}", program.said());
            std::thread::yield_now();
        }
        obstruct(&job.state());
        let ended = program.ended(PATIENCE);
        clear(&job.state());
        if ended.code != Some(0) {
            break ended; // else it was faster
        }
    };
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    let last = ended.said.lines().last().unwrap();
    assert!(last.contains(&format!("state {}", job.state().display())) && last.contains("see to the disk"), "{last}");
    assert!(ended.said.contains("trying again"), "{}", ended.said);
    job.run("csv:m.csv", &["--emit", "final"]).well();
    let whole = Job::new();
    whole.grow(30, minutes - 30);
    whole.run("csv:m.csv", &["--emit", "final"]).well();
    assert_eq!(csv(&job.path("m.csv")), csv(&whole.path("m.csv")));
}

#[test]
fn a_bounded_run_that_waits_for_its_reader_does_not_commit_all_the_while() {
    let job = Job::new();
    job.grow(30, 600);
    let source = format!("file:{}", job.path("ticks.jsonl").display());
    let mut command = command();
    command.args(["--source", &source, "--sink", "stdout:", "--job", "job", "--http", "none", "--data"]);
    let mut child = command.arg(job.path("data")).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let settled = poll("all is read and committed", PATIENCE, || {
        let before = newest_manifest(&job.state())?;
        std::thread::sleep(Duration::from_secs(1)); // a rate needs a time
        newest_manifest(&job.state()).filter(|now| now - before <= 10)
    });
    std::thread::sleep(Duration::from_secs(2));
    let now = newest_manifest(&job.state()).unwrap();
    assert!(now - settled <= 20, "{settled} manifests, and {now} two seconds later");
    let mut rows = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rows).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rows.lines().filter(|row| row.contains(",final")).count(), 5 * 630);
}

fn newest_manifest(state: &Path) -> Option<u64> {
    let names = files(&state.join("manifest"));
    names.iter().filter_map(|name| name.to_str()?.parse().ok()).max()
}

/// A file system of its own, for as long as it is held.
struct Small(PathBuf);

impl Small {
    /// None, told aloud, where this may not be.
    fn mount(at: &Path, what: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "minutely-test"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Small(at.to_owned()));
        }
        // Straight to stderr: what `eprintln` says of a test that passes is not shown.
        let note = format!("LEFT OUT: {what}, needs the right to mount a tmpfs\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        None
    }

    fn again(&self, option: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _left = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_out_and_what_is_there_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&folder.path().join("disk"), "a full disk under the state") else { return };
    let state = disk.0.join("state");
    let mut program = live(&folder.path().join("data"), &state);
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    let check = || Looked::at(&["state", "check", "--state", &state.display().to_string()]).well();
    says_and_goes_on(&mut program, &state, "No space left", || {
        assert!(check().starts_with("ok: "));
        std::fs::remove_file(&filler).unwrap();
    });
    program.stopped();
    assert!(check().starts_with("ok: "));
    // A run that begins on a full disk waits for nothing.
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    let args = ["--source", "sim:?rate=2000&partitions=2", "--job", "job", "--state", &state.display().to_string()];
    let full = Program::run(&folder.path().join("data"), &args, &[]);
    full.refused(69, &["No space left", &state.display().to_string(), "see to the disk, then start again"]);
    std::fs::remove_file(&filler).unwrap();
    assert!(check().starts_with("ok: "));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_the_start_and_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&folder.path().join("disk"), "a read-only state") else { return };
    let state = disk.0.join("state");
    let args = ["--source", "sim:", "--job", "job", "--state", &state.display().to_string()];
    disk.again("ro");
    Program::run(folder.path(), &args, &[]).refused(64, &["Read-only", "make it writable or choose another folder"]);
    disk.again("rw");
    let mut program = Program::start(folder.path(), &args, &[]);
    program.until("it counts", PATIENCE, |program| program.counted() > 0);
    program.stopped();
    disk.again("ro");
    Program::run(folder.path(), &args, &[]).refused(64, &["Read-only", "make it writable"]);
    for what in ["show", "check"] {
        Looked::at(&["state", what, "--state", args[5]]).well();
    }
}

/// The state of format 1 that is kept with the tests, in a folder of its own.
fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-1"), dir.path());
    dir
}

/// The run that left it, from there: the log's path is the same wherever that is (on Linux).
fn at_home(home: &Path, more: &[&str]) -> Looked {
    let source = ["--source", "file:/proc/self/cwd/ticks.jsonl", "--sink", "csv:minutes.csv", "--emit", "final"];
    let job = ["--data", "data", "--job", "job", "--as-of", "2026-01-06T00:00:00Z"];
    Looked::by(command().args(more).args(source).args(job).current_dir(home))
}

/// Are these two files the same, byte for byte?
fn same_bytes(home: &Path, got: &str, want: &str) {
    let read = |name: &str| String::from_utf8(std::fs::read(home.join(name)).unwrap()).unwrap();
    assert_eq!(read(got), read(want));
}

/// The same, where numbers without a decimal point, as version 0.1 wrote them, are those with one, and a volume of 0 is none:
/// it did not tell the two apart.
fn same_rows(home: &Path, got: &str, want: &str) {
    let cell = |cell: &str| cell.strip_suffix(".0").unwrap_or(cell).to_owned();
    let line = |line: &str| {
        let mut cells: Vec<_> = line.split(',').map(cell).collect();
        cells.iter_mut().skip(10).take(1).filter(|volume| volume.is_empty()).for_each(|volume| volume.push('0'));
        cells
    };
    let read = |name: &str| std::fs::read_to_string(home.join(name)).unwrap().lines().map(line).collect::<Vec<_>>();
    assert_eq!(read(got), read(want));
}

#[test]
fn a_state_of_format_1_is_gone_on_with() {
    for workers in ["1", "2", "5"] {
        let dir = fixture();
        let home = dir.path();
        let before = at_home(home, &["state", "check"]).well();
        assert!(before.starts_with("ok: 7 manifests up to 7; 3 objects, "), "{before}");
        assert!(before.ends_with("88 counted = 43 in windows held + 45 in windows forgotten\n"), "{before}");
        let shown = at_home(home, &["state", "show"]).well();
        assert!(shown.contains("ticks.jsonl: from 0 to 92 ") && shown.contains("of generation 2"), "{shown}");
        let lines = std::fs::read_to_string(home.join("minutes.csv")).unwrap();
        let before_text = lines.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
        let more = std::fs::read(home.join("more.jsonl")).unwrap();
        let mut log = std::fs::OpenOptions::new().append(true).open(home.join("ticks.jsonl")).unwrap();
        log.write_all(&more).unwrap();
        at_home(home, &["--close", "-w", workers]).well();
        same_rows(home, "minutes.csv", "expected-minutes.csv");
        let text = std::fs::read_to_string(home.join("minutes.csv")).unwrap();
        let volume = |row: &str| text.lines().find(|line| line.starts_with(row)).unwrap().split(',').nth(10).unwrap();
        // No record of these had a weight; the state held the first.
        let held_and_new = ["Ö l,2026-01-05T08:39", "Ö l,2026-01-05T08:40"].map(volume);
        assert_eq!(held_and_new, ["0.0", ""]);
        assert!(text.starts_with(&before_text), "what is committed stays as it was written");
        same_bytes(home, "data/job/dead-letters-20261125T131017Z.jsonl", "expected-dead-letters.jsonl");
        let after = at_home(home, &["state", "check"]).well();
        assert!(after.contains("; 119 counted = ") && after.ends_with(" in windows forgotten\n"), "{after}");

        // What the earlier version read has no index; what came since can be verified.
        let verified = at_home(home, &["verify", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&verified.out).unwrap_or_default();
        assert_eq!(verified.code, Some(0), "{report:#}{}", verified.said);
        assert_eq!(
            (&report["indexed_from"], &report["from"]),
            (&"2026-01-05T08:40:00Z".into(), &report["indexed_from"])
        );
        assert!(report["sinks"][0]["equal"].as_i64() > Some(0), "{report:#}");
        let early = at_home(home, &["verify", "--from", "2026-01-05T08:00:00Z"]);
        assert!(
            early.code == Some(65) && early.out.contains("not verifiable before 2026-01-05T08:40:00Z"),
            "{}",
            early.out
        );

        // And what is expected is what a run from the beginning gives.
        let fresh = tempfile::tempdir().unwrap();
        std::fs::copy(home.join("ticks.jsonl"), fresh.path().join("ticks.jsonl")).unwrap();
        at_home(fresh.path(), &["--state", "none", "--derive", "none", "-w", workers]).well();
        std::fs::copy(home.join("expected-minutes.csv"), fresh.path().join("expected")).unwrap();
        same_rows(fresh.path(), "minutes.csv", "expected");
    }
}

/// Derived columns, coarser windows, the index of digests and the audit trail go on, too.
#[test]
fn a_state_of_version_0_1_is_gone_on_with() {
    let kept = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for workers in ["1", "4"] {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        copy(&kept("state-0.1"), home);
        let log = ["ticks.jsonl", "more.jsonl"].map(|name| std::fs::read(kept("state-1").join(name)).unwrap()).concat();
        std::fs::write(home.join("ticks.jsonl"), log).unwrap();
        let options = ["--windows", "5m"];
        let before = at_home(home, &["state", "check"]).well();
        assert!(before.starts_with("ok: 10 manifests up to 10; "), "{before}");
        at_home(home, &[&options[..], &["--close", "-w", workers]].concat()).well();
        same_bytes(home, "minutes.csv", "expected-minutes.csv");
        same_bytes(home, "data/job/dead-letters-20261130T093846Z.jsonl", "expected-dead-letters.jsonl");
        let verified = at_home(home, &[&["verify", "--json"], &options[..]].concat());
        let report: serde_json::Value = serde_json::from_str(&verified.out).unwrap_or_default();
        assert_eq!(verified.code, Some(0), "{report:#}{}", verified.said);
        assert_eq!(report["from"], "2026-01-05T08:00:00Z", "what version 0.1 read can be verified, too: {report:#}");
    }
}

#[test]
fn a_state_of_a_newer_format_is_refused() {
    let dir = fixture();
    let file = |seq: u64| dir.path().join(format!("data/job/state/manifest/{seq:020}"));
    let head = Manifest::decode(&std::fs::read(file(7)).unwrap()).unwrap();
    let newer = Manifest { format: FORMAT + 1, seq: 8, ..head };
    std::fs::write(file(8), newer.encode()).unwrap();
    let before = files(dir.path());
    for what in [&["state", "check"][..], &["state", "show"], &["run"]] {
        let refused = at_home(dir.path(), what);
        assert_eq!(refused.code, Some(65), "{}", refused.said);
        for part in ["has format 2", "reads up to 1", "use the version that wrote it", "0008"] {
            assert!(refused.said.contains(part), "{part}: {}", refused.said);
        }
    }
    assert_eq!(files(dir.path()), before, "nothing is written");
}

/// Whole by its hash, and not what it should be: nothing hangs, whoever meets it.
#[test]
fn an_object_that_holds_something_else_ends_the_run() {
    for of_letters in [true, false] {
        let dir = fixture();
        let state = dir.path().join("data/job/state");
        let file = state.join(format!("manifest/{:020}", 7));
        let mut head = Manifest::decode(&std::fs::read(&file).unwrap()).unwrap();
        let object = if of_letters { &mut head.unstored[0].1 } else { &mut head.parts[0].objects[0] };
        let bytes = b"something else";
        *object = ObjectRef::of(object.name.clone(), bytes, object.entries);
        std::fs::write(state.join("object").join(&object.name), bytes).unwrap();
        let name = object.name.clone();
        std::fs::write(&file, head.encode()).unwrap();
        let checked = at_home(dir.path(), &["state", "check"]);
        assert!(checked.code == Some(65) && checked.out.contains(&name), "{}{}", checked.out, checked.said);
        let ended = at_home(dir.path(), &["-w", "3"]);
        assert!(ended.code == Some(65) && ended.said.contains(&name), "{:?}: {}", ended.code, ended.said);
    }
}
