//! What the program says of itself and of bad use, word for word: a change of wording shows in a diff.
//!
//! `MINUTELY_TEST_REWRITE=1 cargo test --release --test messages` writes the expected files.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A run that should be refused is ended after this.
const DEADLINE: Duration = Duration::from_secs(120);

/// Asked for, and answered on stdout.
const HELP: &[&str] = &[
    "--version",
    "-V",
    "-h",
    "--help",
    "run --help",
    "help",
    "state --help",
    "state show --help",
    "state check --help",
    "state rebuild --help",
    "produce --help",
    "produce -h",
    "letters --help",
    "verify --help",
    "repair --help",
    "digest --help",
    "explain --help",
    "amend --help",
    "redrive --help",
    "health --help",
    "config --help",
    "completions --help",
    "man --help",
];

/// Bad use: refused before anything is opened.
const BAD_USE: &[&str] = &[
    "--wat",
    "frob",
    "state",
    "state frob",
    "state show --json --wat",
    "--json",
    "--source redis://b/t",
    "--source kafka://b:9092",
    "--source kafka://b:9092/t --start tomorrow",
    "--source file:/nowhere/*.jsonl",
    "--source sim:?speed=fast",
    "--sink csv:a.csv --sink csv:a.csv",
    "--sink ftp://x",
    "--sink csv:/nowhere/x.csv",
    "--sink influxdb://host:8086/org",
    "--sink influxdb1:nowhere",
    "--state ftp://bucket/x",
    "--http nowhere",
    "--http 0.0.0.0:8080",
    "--window soon",
    "--window 0s --lateness=-1s",
    "--window 90s --emit always --metrics mean --on-bad ignore",
    "--symbol-field price",
    "--symbol-field @key --source file:/dev/null",
    "--format avro",
    "--time-unit minutes",
    "--max-keys many --fetch-memory huge",
    "-w 0",
    "-n 2 -p 2",
    "-X a",
    "--as-of 2026-01-05T08:00:00Z",
    "--close --keep-open",
    "--checkpoint-interval 0s --sink-timeout never --idle 1",
    "--audit never --audit-size 9kB --dead-letter-file-size 0B",
    "letters --wat",
    "letters nowhere.jsonl",
    "letters /",
    "letters a.jsonl --reason null,wat --limit few --json --summary",
    "health nonsense",
    "health none",
    "health --wat",
    "produce",
    "produce --wat",
    "produce --to sqlite:x.db",
    "produce --to kafka://b:9092/t --rate fast --speed slow --limit few",
    "produce --to kafka://b:9092/t --partition-by row --stamp never",
    "--config nowhere.toml",
    "--log-level loud --log-format xml",
    "config",
    "config shew",
    "completions tcsh",
    "man frob",
    "explain AAPL",
    "explain AAPL 25:00",
];

/// What `minutely WORDS` says, and its exit code. It starts in an empty folder, which must stay empty.
fn said(words: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_minutely"));
    let ours = |name: &str| name.starts_with("MINUTELY_") || name.starts_with("INFLUX") || name == "RUST_LOG";
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
        program.env_remove(name);
    }
    let program = program
        .args(words.split(' '))
        .current_dir(folder.path())
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut program = program.unwrap();
    let began = Instant::now();
    while program.try_wait().unwrap().is_none() {
        if began.elapsed() > DEADLINE {
            program.kill().unwrap();
            panic!("`minutely {words}` runs, and should be refused");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = program.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let mut shown = format!("$ minutely {words}\n");
    shown += &text(done.stdout);
    for line in text(done.stderr).lines() {
        let (time, message) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "no time in front: {line}");
        writeln!(shown, "{message}").unwrap();
    }
    write!(shown, "exit code {}\n\n", done.status.code().unwrap()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "`minutely {words}` leaves something behind");
    shown
}

/// All of it equals the file, or becomes it.
fn expect(file: &str, cases: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(file);
    let got: String = cases.iter().map(|words| said(words)).collect();
    if std::env::var_os("MINUTELY_TEST_REWRITE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &got).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let differ: Vec<String> = got
        .split("$ minutely ")
        .zip(want.split("$ minutely "))
        .filter(|(got, want)| got != want)
        .map(|(got, want)| format!("is:     {got}should: {want}"))
        .collect();
    let rewrite = "if this is what is meant, MINUTELY_TEST_REWRITE=1 writes it down";
    assert!(differ.is_empty(), "{}: {rewrite}\n{}", path.display(), differ.join("\n"));
    assert_eq!(got, want, "{}: {rewrite}", path.display());
}

#[test]
fn help_reads_as_it_is_written_down() {
    expect("help.txt", HELP);
}

#[test]
fn bad_use_is_answered_as_it_is_written_down() {
    for words in BAD_USE {
        let answer = said(words);
        assert!(answer.ends_with("exit code 64\n\n"), "{answer}");
        let meta = |line: &&str| line.is_empty() || line.starts_with('$') || line.starts_with("exit code");
        let why = answer.lines().filter(|line| !meta(line));
        assert!(why.clone().count() > 0 && why.clone().all(|line| line.starts_with("minutely: error: ")), "{answer}");
        assert!(!why.clone().any(|line| line.ends_with('.')), "{answer}");
    }
    expect("bad_use.txt", BAD_USE);
}
