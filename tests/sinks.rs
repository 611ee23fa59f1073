//! Files that rows go to, by the program as a whole: whose they are, and what happens to them under a run.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, Program, command, files};
use common::rows::{only, sqlite, sqlite_table};
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
