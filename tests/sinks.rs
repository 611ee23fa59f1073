//! Files that rows go to, by the program as a whole: whose they are, and what happens to them under a run.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program, command, files};
use common::rows::{csv, csv_lines, only, sqlite, sqlite_table};
use std::path::PathBuf;

/// A folder with a log of 20 minutes of one device, two fields each.
struct Here {
    dir: tempfile::TempDir,
}

impl Here {
    fn new() -> Self {
        let here = Here { dir: tempfile::tempdir().unwrap() };
        let record = |n: i64| {
            let (temp, hum, ts) = (20 + n % 10, 50 + n % 7, 1_704_067_200_000 + n * 1000);
            format!("{{\"symbol\":\"dev1\",\"temp\":{temp},\"hum\":{hum},\"ts\":{ts}}}\n")
        };
        std::fs::write(here.path("log.jsonl"), (0..1200).map(record).collect::<String>()).unwrap();
        here
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sink(&self, scheme: &str, name: &str) -> String {
        format!("{scheme}:{}", self.path(name).display())
    }

    /// A run over the log.
    fn run(&self, field: &str, sinks: &[&str], more: &[&str]) -> Ended {
        let source = self.sink("file", "log.jsonl");
        let mut args = vec!["--source", &source, "--value-field", field, "--weight-field", "", "--http", "none"];
        args.extend(sinks.iter().flat_map(|sink| ["--sink", sink]));
        args.extend(more);
        Program::run(&self.path("data"), &args, &[])
    }
}

#[test]
fn a_table_is_one_job_s() {
    let here = Here::new();
    let (plain, other) = (here.sink("sqlite", "m.db"), here.sink("sqlite", "m.db?table=humidity"));
    here.run("temp", &[&plain], &[]).well();
    let before = files(here.dir.path());
    for (field, more) in [("hum", &[][..]), ("temp", &["--window", "5m"])] {
        let ended = here.run(field, &[&plain], more);
        ended.refused(64, &["m.db: its table minutes belongs to job file-", "m.db?table=NAME", "--take-sink"]);
    }
    assert_eq!(files(here.dir.path()), before, "a refused run leaves nothing behind");
    let temperature = sqlite(&here.path("m.db"));
    assert_eq!(temperature.values().map(|cells| cells.avg).next(), Some(common::rows::Bits::of(24.5)));

    here.run("hum", &[&other], &[]).well();
    let humidity = sqlite_table(&here.path("m.db"), "humidity");
    assert_eq!((sqlite(&here.path("m.db")), humidity.len()), (temperature, 20));
    here.run("hum", &[&other], &[]).well();
    here.run("hum", &[&plain], &["--take-sink", "--job", "again"]).well();
    assert_eq!(sqlite(&here.path("m.db")), humidity);
    here.run("temp", &[&plain], &[]).refused(64, &["belongs to job again"]);
}

/// One run may write two tables of one file, and neither loses its locks on it.
#[test]
fn two_tables_of_one_run() {
    let here = Here::new();
    let (one, two) = (here.sink("sqlite", "m.db"), here.sink("sqlite", "m.db?table=again"));
    here.run("temp", &[&one, &two], &["--keep-open"]).well();
    here.run("temp", &[&one, &two], &[]).well();
    let rows = sqlite(&here.path("m.db"));
    assert_eq!((sqlite_table(&here.path("m.db"), "again"), rows.len()), (rows.clone(), 20));
    here.run("temp", &[&one, &here.sink("sqlite", "./m.db")], &[]).refused(64, &["write to one place"]);
}

/// What the message of a table that was changed advises.
#[test]
fn a_table_that_was_changed_can_be_mended_or_made_anew() {
    let here = Here::new();
    let (sink, db) = (here.sink("sqlite", "m.db"), here.path("m.db"));
    here.run("temp", &[&sink], &["--keep-open"]).well();
    let change = |sql: &str| rusqlite::Connection::open(&db).unwrap().execute_batch(sql).unwrap();
    change("ALTER TABLE minutes RENAME COLUMN avg TO mean");
    let ended = here.run("temp", &[&sink], &[]);
    assert_eq!(ended.code, Some(70), "{}", ended.said);
    for part in ["no column named avg", "undo that", "minutely state rebuild"] {
        assert!(ended.said.contains(part), "{part}: {}", ended.said);
    }
    change("ALTER TABLE minutes RENAME COLUMN mean TO avg");
    here.run("temp", &[&sink], &[]).well();
    let whole = sqlite(&db);
    assert_eq!(only(&whole, |_, cells| cells.state == "final").len(), 20);

    std::fs::rename(&db, here.path("aside.db")).unwrap();
    here.run("temp", &[&sink], &[]).refused(65, &["m.db", "minutely state rebuild"]);
    let source = here.sink("file", "log.jsonl");
    let data = here.path("data").display().to_string();
    let args = ["--source", &source, "--value-field", "temp", "--weight-field", "", "--data", &data];
    assert!(command().args(["state", "rebuild"]).args(args).output().unwrap().status.success());
    here.run("temp", &[&sink], &[]).well();
    assert_eq!(sqlite(&db), whole);
}

/// The third sink is refused when it is opened, for another process has its file: what the first two made is gone again.
#[test]
fn a_refused_start_leaves_nothing_behind() {
    let here = Here::new();
    let held = std::fs::File::create(here.path("held.csv")).unwrap();
    held.lock().unwrap();
    let [csv, series, db, held] =
        [("csv", "a.csv"), ("csv", "b.csv?rotate=1d"), ("sqlite", "m.db"), ("csv", "held.csv")]
            .map(|(s, n)| here.sink(s, n));
    let ended = here.run("temp", &[&csv, &series, &db, &held], &["--state", "none"]);
    ended.refused(64, &["held.csv: another run is writing to it"]);
    assert_eq!(files(here.dir.path()), ["held.csv", "log.jsonl"].map(PathBuf::from));

    let twice = here.sink("csv", "./a.csv");
    let ended = here.run("temp", &[&csv, &twice], &[]);
    ended.refused(64, &["a.csv and --sink", "write to one place"]);
    assert_eq!(files(here.dir.path()), ["held.csv", "log.jsonl"].map(PathBuf::from));
}

#[test]
fn a_closed_standard_output_is_no_place_for_rows() {
    let here = Here::new();
    let source = here.sink("file", "log.jsonl");
    let run = |redirection: &str| {
        let words = format!("exec \"$0\" \"$@\" {redirection}");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &words, env!("CARGO_BIN_EXE_minutely"), "--source", &source, "--sink", "stdout:json"]);
        shell.args([
            "--value-field",
            "temp",
            "--weight-field",
            "",
            "--http",
            "none",
            "--state",
            "none",
            "--metrics",
            "avg",
        ]);
        shell.args(["--emit", "final", "--data"]).arg(here.path("data")).output().unwrap()
    };
    for closed in [">&-", "1</dev/null"] {
        let done = run(closed);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(64) && said.contains("stdout: standard output"), "{closed}: {said}");
    }
    assert_eq!(files(here.dir.path()), [PathBuf::from("log.jsonl")]);
    assert_eq!(run(">/dev/null").status.code(), Some(0));
    let done = run("");
    let first = "{\"symbol\":\"dev1\",\"minute\":\"2024-01-01T00:00:00Z\",\"count\":60,\"sum\":1470.0,\"avg\":24.5,\"state\":\"final\"}";
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!((text.lines().next(), text.lines().count()), (Some(first), 20));
}

/// A live run whose file others take away, as a rotation by another program does.
#[test]
fn what_others_do_to_a_file_is_noticed_while_it_is_written() {
    let here = Here::new();
    let sink = here.sink("csv", "live.csv");
    let args = ["--source", "sim:?symbols=20&rate=200&history=5m", "--sink", &sink, "--http", "none"];
    let (path, aside) = (here.path("live.csv"), here.path("live.csv.1"));
    let mut run = Program::start(&here.path("data"), &args, &[]);
    run.until("rows are there", PATIENCE, |_| std::fs::metadata(&path).is_ok_and(|meta| meta.len() > 10_000));
    std::fs::rename(&path, &aside).unwrap();
    run.until("it is noticed", PATIENCE, |run| run.said().contains("live.csv: was deleted or moved while this run"));
    std::fs::rename(&aside, &path).unwrap();
    let held = std::fs::metadata(&path).unwrap().len();
    run.until("it goes on", PATIENCE, |_| std::fs::metadata(&path).unwrap().len() > held);
    std::fs::copy(&path, &aside).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    run.until("it is noticed", PATIENCE, |run| run.said().contains("another program cut it while this run"));
    run.stopped().well();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "nothing is written to what was cut");
    let mut again = Program::start(&here.path("data"), &args, &[]).ended(PATIENCE);
    assert_eq!(again.code, Some(65), "{}", again.said);
    assert!(again.said.contains("live.csv: has 0 bytes and had"), "{}", again.said);
    std::fs::rename(&path, here.path("empty")).unwrap();
    again = Program::start(&here.path("data"), &args, &[]).ended(PATIENCE);
    assert!(again.code == Some(65) && again.said.contains("live.csv: is not there and had"), "{}", again.said);
    std::fs::rename(&aside, &path).unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    let mut run = Program::start(&here.path("data"), &args, &[]);
    run.until("it goes on", PATIENCE, |_| std::fs::metadata(&path).unwrap().len() > before);
    run.stopped().well();
    csv(&path); // whole lines, and no row after a final one
}

/// Killed at any moment, the files of a series are together what one file is.
#[test]
fn a_series_of_files_has_every_row_once() {
    let here = Here::new();
    let (one, series) = (here.sink("csv", "one.csv"), here.sink("csv", "many.csv?rotate=1KB"));
    let source = here.sink("file", "log.jsonl");
    let args = ["--source", &source, "--value-field", "temp", "--weight-field", "", "--http", "none"];
    let args =
        [&args[..], &["--sink", &one, "--sink", &series, "--checkpoint-interval", "10ms", "--emit", "final"]].concat();
    let mut rng = common::seed();
    loop {
        let run = Program::start(&here.path("data"), &args, &[]);
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(rng.u64(10..400));
        while std::time::Instant::now() < deadline && run.live().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        run.signal("KILL");
        let ended = run.ended(PATIENCE);
        if ended.code == Some(0) || rng.u8(..8) == 0 {
            break;
        }
    }
    Program::run(&here.path("data"), &args, &[]).well();
    let all: Vec<_> =
        files(here.dir.path()).into_iter().filter(|path| path.to_string_lossy().starts_with("many-")).collect();
    let rows: Vec<_> = all.iter().flat_map(|path| csv_lines(&here.dir.path().join(path))).collect();
    assert_eq!(rows, csv_lines(&here.path("one.csv")));
}

/// Payloads are for their owner; rows are as the system makes files.
#[test]
fn what_holds_payloads_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let here = Here::new();
    let mut log = std::fs::read_to_string(here.path("log.jsonl")).unwrap();
    log.push_str("bad\n");
    std::fs::write(here.path("log.jsonl"), log).unwrap();
    here.run("temp", &[&here.sink("csv", "m.csv")], &["--keep-open"]).well();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = here.path("data");
    let letters = files(&data).into_iter().find(|path| path.to_string_lossy().contains("dead-letters-")).unwrap();
    let letters = data.join(letters);
    assert_eq!((mode(&letters), mode(&letters.with_file_name("state"))), (0o600, 0o700));
    assert_eq!(mode(&here.path("m.csv")) | 0o22, 0o666);
}
