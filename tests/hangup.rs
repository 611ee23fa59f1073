//! A terminal that closes ends a run as SIGTERM does: with one more commit. One that is open shows how far a bounded run has come.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::poll;
use common::program::{PATIENCE, Program, command};
use common::terminal::{shown_on_terminal, terminal};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

const ARGS: [&str; 6] = ["--source", "sim:?symbols=5&rate=200&history=1m", "--sink", "stdout:", "--http", "none"];

#[test]
fn a_hangup_ends_a_run_with_a_commit_and_a_second_one_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &ARGS, &[]);
    program.until("it counts", PATIENCE, |program| program.counted() > 0);
    program.signal("HUP");
    program.signal("HUP");
    let ended = program.ended(Duration::from_secs(10)).well();
    assert!(ended.said.contains("one more commit"), "{}", ended.said);
    assert_eq!(ended.done("counted"), ended.kept(), "{}", ended.said);
}

/// As `timeout` sends it: to the process, and to its group.
#[test]
fn a_signal_that_comes_twice_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &ARGS, &[]);
    program.until("it counts", PATIENCE, |program| program.counted() > 0);
    // (By one shell, so that they come at once; of two kinds, for two of one kind may come as one.)
    let both = format!("kill -TERM {0} && kill -INT {0}", program.id());
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    let ended = program.ended(Duration::from_secs(10)).well();
    assert_eq!(ended.done("counted"), ended.kept(), "{}", ended.said);
}

#[test]
fn a_run_that_was_told_to_ignore_hangups_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::without_hangup(folder.path(), &ARGS);
    program.until("it counts", PATIENCE, |program| program.counted() > 0);
    program.signal("HUP");
    let seen = program.counted();
    program.until("it goes on", PATIENCE, |program| program.counted() > seen + 400);
    assert!(!program.said().contains("stopping"), "{}", program.said());
    program.stopped();
}

#[test]
fn a_bounded_run_shows_how_far_it_has_come_on_a_terminal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    let tick = |n: i64| format!("{{\"symbol\":\"A\",\"price\":1,\"ts\":{}}}\n", 1_772_000_000_000 + n * 10);
    std::fs::write(&log, (0..100_000).map(tick).collect::<String>()).unwrap();
    let length = std::fs::metadata(&log).unwrap().len();
    let source = format!("file:{}", log.display());
    let mut run = command();
    run.args(["--source", &source, "--sink", "stdout:", "--state", "none", "--http", "none", "--data"]);
    run.arg(folder.path());
    let said = shown_on_terminal(run);
    let of = format!(" of {:.2} MiB", length as f64 / f64::from(1 << 20));
    for part in [" %  ", of.as_str(), " left", "minutely: done: 100000 records read = 100000 counted"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let last = said.rfind(" left").unwrap();
    assert!(said.find("minutely: done").unwrap() > last, "the bar is gone then: {said}");

    let mut quiet = command();
    quiet.args(["--source", &source, "--sink", "stdout:", "--state", "none", "--http", "none", "--quiet", "--data"]);
    quiet.arg(folder.path());
    assert_eq!(shown_on_terminal(quiet), "");

    let args = ["--source", &source, "--sink", "stdout:", "--state", "none"];
    let ended = Program::start(&folder.path().join("data"), &args, &[]).ended(PATIENCE).well();
    assert!(!ended.said.contains(['\r', '\u{1b}']) && !ended.said.contains(" left"), "{}", ended.said);
}

/// With everything that it says going to a terminal which is gone.
#[test]
fn a_terminal_that_closes_ends_a_run_with_0() {
    if Command::new("setsid").arg("--version").output().is_err() {
        return; // no util-linux here: the signal itself is tested above
    }
    let folder = tempfile::tempdir().unwrap();
    let (master, slave) = terminal();
    let plain = command();
    let mut child = Command::new("setsid")
        .arg("--ctty")
        .arg(plain.get_program())
        .args(&ARGS[..2])
        .args(["--http", "none", "--data"])
        .arg(folder.path())
        .env("RUST_LOG", "debug") // so that threads speak to it
        .stdin(slave.try_clone().unwrap())
        .stdout(Stdio::null())
        .stderr(slave)
        .spawn()
        .unwrap();
    let (mut terminal, mut said) = (master, String::new());
    let mut some = [0; 64 << 10];
    while !said.contains(" counted = ") {
        let n = terminal.read(&mut some).unwrap();
        said += &String::from_utf8_lossy(&some[..n]);
    }
    drop(terminal);
    let status = poll("it ends", Duration::from_secs(20), || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    let again = Program::start(folder.path(), &[&ARGS[..2], &["--until-end"]].concat(), &[]).ended(PATIENCE).well();
    assert!(again.said.contains("resuming from manifest"), "{}", again.said);
}
