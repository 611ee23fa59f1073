//! Dead letters in several files: `kill -9` at any moment while closed ones are moved away, and what is said of those that are not there.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use common::{rfc3339, seed};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nanoseconds of event time between two lines.
const BETWEEN: u64 = 100_000_000;

/// Is the line of this number a dead letter: broken, or twenty minutes late?
fn is_broken(number: u64) -> bool {
    number % 100 == 49
}

fn is_late(number: u64) -> bool {
    number % 300 == 25
}

fn event_time(number: u64) -> u64 {
    let at = u64::try_from(hostile::BEGAN.0).unwrap() + number * BETWEEN;
    if is_late(number) { at - 1200 * 1_000_000_000 } else { at }
}

/// A log in a file, and a job that reads it.
struct Job {
    dir: tempfile::TempDir,
    /// Lines of the log.
    lines: u64,
}

impl Job {
    fn new() -> Self {
        let job = Job { dir: tempfile::tempdir().unwrap(), lines: 0 };
        std::fs::create_dir(job.path("away")).unwrap();
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn grow(&mut self, lines: u64) {
        let mut text = String::new();
        for number in self.lines..self.lines + lines {
            let (symbol, price, ts) = (number % 5, number % 977, event_time(number) / 1_000_000);
            match is_broken(number) {
                true => text.push_str("{\"symbol\":\n"),
                false => writeln!(text, r#"{{"symbol":"S{symbol}","price":{price},"ts":{ts}}}"#).unwrap(),
            }
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.path("ticks.jsonl"));
        file.unwrap().write_all(text.as_bytes()).unwrap();
        self.lines += lines;
    }

    fn args(&self) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let own = [
            ("--source", format!("file:{}", path("ticks.jsonl"))),
            ("--sink", format!("sqlite:{}", path("minutes.db"))),
            ("--job", "job".into()),
            ("--as-of", "2026-03-01T00:00:00Z".into()),
        ];
        own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn start(&self, more: &[&str]) -> Program {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Program::start(&self.path("data"), &args, &[])
    }

    /// What a command says on stdout; it ends well.
    fn look(&self, words: &[&str], more: &[&str]) -> String {
        let mut command = command();
        command.args(words).args(self.args()).args(more).arg("--data").arg(self.path("data")).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {out}{said}");
        out
    }

    /// The files of dead letters in a folder, the first one first.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("dead-letters-")).collect();
        found.sort();
        found
    }

    /// Moves all but the newest away. How many these were.
    fn move_closed(&self) -> usize {
        let found = Job::files(&self.path("data/job"));
        let Some((_, closed)) = found.split_last() else { return 0 };
        for file in closed {
            std::fs::rename(file, self.path("away").join(file.file_name().unwrap())).unwrap();
        }
        closed.len()
    }
}

/// The lines that dead letters are of, in their order; each file begins where the one before it ends, whichever folder it is in.
fn offsets(files: &[PathBuf]) -> Vec<u64> {
    let mut text = String::new();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files = files.to_vec();
    files.sort_by_key(|path| name(path));
    let first = name(&files[0]);
    for (number, file) in files.iter().enumerate() {
        let segment = format!("{}.segment-{:020}.jsonl", first.strip_suffix(".jsonl").unwrap(), text.len());
        assert_eq!(name(file), if number == 0 { first.clone() } else { segment }, "{files:?}");
        text += &std::fs::read_to_string(file).unwrap();
    }
    let offset = |line: &str| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().unwrap();
    text.lines().map(offset).collect()
}

#[test]
fn killed_at_any_moment_each_letter_is_there_once_though_closed_files_are_moved_away() {
    let mut rng = seed();
    let mut job = Job::new();
    let size = ["1kB", "20kB", "100kB"][rng.usize(..3)];
    let moved = AtomicUsize::new(0);
    for life in 0..15 {
        job.grow(rng.u64(1..150_000));
        let (stop, before) = (AtomicBool::new(false), moved.load(Ordering::Relaxed));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    moved.fetch_add(job.move_closed(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1)); // not to keep a core busy
                }
            });
            let workers = rng.u32(1..4).to_string();
            let options =
                ["--keep-open", "--checkpoint-interval", "10ms", "--dead-letter-file-size", size, "-w", &workers];
            let mut program = job.start(&options);
            // How long it lives is drawn: from its start, or from where it has closed a file.
            let most = if life % 2 == 0 { 500 } else { 50 };
            let began = Instant::now();
            let has_closed = || moved.load(Ordering::Relaxed) > before || began.elapsed() > PATIENCE;
            while most == 50 && !has_closed() && !program.has_ended() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(rng.u64(0..most))); // nothing is expected of it
            drop(program); // kill -9
            stop.store(true, Ordering::Relaxed);
        });
    }
    // A run that was killed ends where it was to end, and the next one reads what has come since.
    for _ in 0..2 {
        job.start(&["--keep-open", "--dead-letter-file-size", size]).ended(PATIENCE).well();
    }
    let there = Job::files(&job.path("data/job"));
    let moved = moved.into_inner();
    eprintln!("{size}: {moved} files were moved away, {} are there", there.len());
    assert!(moved > 0, "{size}: no file was closed");
    let mut found = offsets(&[Job::files(&job.path("away")), there].concat());
    found.sort_unstable();
    let wanted: Vec<u64> = (0..job.lines).filter(|number| is_broken(*number) || is_late(*number)).collect();
    assert!(found == wanted, "{} dead letters, and {} are wanted", found.len(), wanted.len());
}

#[test]
fn dead_letters_that_are_not_there_are_told_and_never_taken_for_none() {
    let mut job = Job::new();
    for _ in 0..5 {
        job.grow(12_000);
        job.start(&["--keep-open", "--dead-letter-file-size", "1kB"]).ended(PATIENCE).well();
    }
    let late = (0..job.lines).filter(|number| is_late(*number) && !is_broken(*number)).count() as u64;
    let files = Job::files(&job.path("data/job"));
    assert!(files.len() >= 5, "{files:?}");
    assert_eq!(offsets(&files).len() as u64, late + job.lines / 100);
    let amend = |more: &[&str]| serde_json::from_str::<Value>(&job.look(&["amend", "--json"], more)).unwrap();
    let minute = rfc3339(i64::try_from(event_time(3325) / 60_000_000_000 * 60_000_000_000).unwrap());
    let symbol = format!("S{}", 3325 % 5);
    let explain = || job.look(&["explain", &symbol, &minute], &[]);
    let all = amend(&[]);
    assert_eq!((all["letters"].as_u64(), &all["dead_letters_not_there"]), (Some(late), &Value::Null));
    assert!(explain().contains("offset 3325: late") && !explain().contains("not there"), "{}", explain());
    assert!(!job.look(&["verify"], &[]).contains("not there"));

    // The letter of that minute is in a file that is moved away.
    assert!(job.move_closed() >= 4);
    let away = Job::files(&job.path("away"));
    let newest = Job::files(&job.path("data/job"));
    let base = newest[0].to_string_lossy().split("segment-").nth(1).unwrap()[..20].parse::<u64>().unwrap();
    let told = format!("dead letters before byte {base} of ");
    let rest = amend(&[]);
    assert!(rest["letters"].as_u64().unwrap() < late, "{rest:#}");
    assert!(rest["dead_letters_not_there"].as_str().unwrap().starts_with(&told), "{rest:#}");
    let text = job.look(&["amend"], &[]);
    assert!(text.contains(&told) && text.contains("name their files by --from-dead-letters"), "{text}");
    let all: Vec<String> = away.iter().chain(&newest).map(|path| path.display().to_string()).collect();
    let given: Vec<&str> = all.iter().flat_map(|file| ["--from-dead-letters", file.as_str()]).collect();
    assert_eq!(amend(&given)["letters"].as_u64(), Some(late));
    let text = explain();
    assert!(text.contains(&format!("unknown whether more: {told}")), "{text}");
    let json: Value = serde_json::from_str(&job.look(&["explain", &symbol, &minute, "--json"], &[])).unwrap();
    assert!(json["dead_letters_not_there"].as_str().unwrap().starts_with(&told), "{json:#}");
    for command in ["verify", "repair"] {
        let text = job.look(&[command], &[]);
        assert!(text.contains(&told), "{text}");
        let json: Value = serde_json::from_str(&job.look(&[command, "--json"], &[])).unwrap();
        assert!(json["dead_letters_not_there"].as_str().unwrap().starts_with(&told), "{json:#}");
    }

    // The run goes on without them, and one in a folder of its own is not this run's.
    job.grow(12_000);
    let ended = job.start(&["--close", "--dead-letter-file-size", "none"]).ended(PATIENCE).well();
    let newest = Job::files(&job.path("data/job"));
    assert_eq!(newest.len(), 1, "with `none` the newest grows on: {newest:?}");
    assert!(ended.said.contains(&newest[0].display().to_string()), "{}", ended.said);
    let found = offsets(&[Job::files(&job.path("away")), newest.clone()].concat());
    assert_eq!(found.iter().filter(|offset| is_broken(**offset)).count() as u64, job.lines / 100);

    // The newest is the run's own, and is to be there.
    std::fs::rename(&newest[0], job.path("newest")).unwrap();
    job.grow(10);
    let refused = job.start(&["--close"]).ended(PATIENCE);
    assert_eq!(refused.code, Some(65), "{}", refused.said);
    assert!(refused.said.contains("begin an empty one behind it (install -m 600"), "{}", refused.said);
}
