//! The state, by the program as a whole: what it shows, what damage does, and what a run goes on from.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::poll;
use common::program::{Ended, PATIENCE, Program, command, files};
use common::rows::{csv, sqlite};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How a command ended that looks at a state.
struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    fn at(args: &[&str]) -> Self {
        let output = command().args(args).stdin(Stdio::null()).output().unwrap();
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
        assert!(self.out.contains(&file.display().to_string()), "{} is not in {}", file.display(), self.out);
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
        Program::start(&self.path("data"), &[&args[..], more].concat(), &[])
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
            // Without the newest manifest the one before it is the head, which is whole: an older copy.
            let newest = what == "gone" && Some(file) == needed.iter().rfind(|f| f.parent() == file.parent());
            if !(newest && file.parent().unwrap().ends_with("manifest")) {
                eprintln!("{}: {what}", file.display());
                let ended = job.run("csv:m.csv", &["--emit", "final"]);
                assert_eq!(ended.code, Some(65), "{}", ended.said);
                let named = ended.said.contains(&file.display().to_string());
                // The one after a manifest may be the first to notice.
                assert!(named || ended.said.contains(&job.state().display().to_string()), "{}", ended.said);
                if job.look("check").code != Some(65) {
                    panic!("{what}: not noticed");
                }
                job.look("check").damaged(file);
            }
            assert_eq!(std::fs::read(job.path("m.csv")).unwrap(), rows, "nothing is written");
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
