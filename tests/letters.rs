//! `minutely letters` on what runs wrote, and on what others wrote; `--on-bad`.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, Program, command, without_time};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A run over these lines of a file, into a CSV file.
fn over(home: &Path, lines: &[&str], more: &[&str]) -> Ended {
    std::fs::write(home.join("quotes.jsonl"), lines.join("\n") + "\n").unwrap();
    let source = format!("file:{}", home.join("quotes.jsonl").display());
    let sink = format!("csv:{}", home.join("m.csv").display());
    Program::run(&home.join("data"), &[&["--source", &source, "--sink", &sink, "--job", "j"][..], more].concat(), &[])
}

/// The file of dead letters that a run has left.
fn file_of(home: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(home.join("data/j")).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("dead-letters-")).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().next()
}

/// What `minutely letters` says on stdout and stderr.
fn letters(words: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut program = command();
    program.arg("letters").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    let said: Vec<&str> = said.lines().map(without_time).collect();
    (status.code(), String::from_utf8(stdout).unwrap(), said.join("\n"))
}

const GOOD: &str = r#"{"symbol":"ÖMV","price":40.5,"ts":1767225720000}"#;
const NO_PRICE: &str = r#"{"symbol":"ÖMV","ts":1767225720000}"#;
const NO_TIME: &str = r#"{"symbol":"ÖMV","price":1}"#;
/// Twenty minutes before the good one.
const LATE: &str = r#"{"symbol":"ÖMV","price":7.25,"ts":1767224520000}"#;

#[test]
fn what_a_run_wrote_is_shown_with_field_payload_and_place() {
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[GOOD, NO_PRICE, LATE, NO_TIME, "\u{1b}[31mno json", NO_PRICE], &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected"), ended.done("late")), (1, 4, 1));
    let file = file_of(home.path()).unwrap();
    let file = file.to_str().unwrap();
    let (code, shown, said) = letters(&[file], b"");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let blocks: Vec<&str> = shown.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 5, "{shown}");
    assert_eq!(
        blocks[0],
        format!(
            "where    quotes.jsonl, offset 1\nreason   null price\nwhy      expected a number, or a string that is exactly one, found no such \
             field (there are symbol, ts)\npayload  {NO_PRICE}"
        )
    );
    let late = "where    quotes.jsonl, offset 2\nreason   late\nwhy      ÖMV 7.25 of 2025-12-31T23:42:00.000000000Z, and its partition's \
                watermark was 2026-01-01T00:02:00.000000000Z\n";
    assert!(blocks[1].starts_with(late), "{}", blocks[1]);
    assert!(blocks[3].ends_with("payload  \\u{1b}[31mno json"), "{}", blocks[3]);

    let of = |words: &[&str]| {
        let (code, shown, said) = letters(&[&[file, "--json"], words].concat(), b"");
        assert_eq!((code, said.as_str()), (Some(0), ""));
        shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let offsets = |letters: Vec<Value>| letters.iter().map(|one| one["offset"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(offsets(of(&[])), [1, 2, 3, 4, 5]);
    assert_eq!(offsets(of(&["--reason", "null,late", "--limit", "3"])), [1, 2, 3]);
    assert_eq!(offsets(of(&["--reason", "json", "--reason", "late"])), [2, 4]);
    assert_eq!(offsets(of(&["--partition", "quotes.jsonl", "--reason", "late"])), [2]);
    assert!(of(&["--partition", "3"]).is_empty());
    assert_eq!(of(&["--limit", "1"])[0]["payload"], NO_PRICE);

    let (_, summary, _) = letters(&["-", "--summary"], &std::fs::read(file).unwrap());
    assert!(
        summary.starts_with("5 dead letters\n\nnull price ×2, first:\n  where    quotes.jsonl, offset 1\n"),
        "{summary}"
    );
    for kind in ["json ×1, first:\n", "late ×1, first:\n", "null ts ×1, first:\n"] {
        assert!(summary.contains(kind), "{kind}: {summary}");
    }
}

/// What is good is shown, each bad line is named, and the exit code says so.
#[test]
fn lines_that_are_no_dead_letters_are_named() {
    let good = r#"{"topic":"t","partition":3,"offset":9,"reason":"json","raw":"eA=="}"#;
    let input = format!("{good}\n\n{{\"offset\":1,\"reason\":\"json\"}}\nplain\n{good}\n{}", &good[..40]);
    let (code, shown, said) = letters(&["-", "--json"], input.as_bytes());
    assert_eq!((code, shown.lines().count()), (Some(65), 2), "{shown}{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "minutely: standard input, line 3: no dead letter: neither `topic` nor `path` is there");
    assert!(lines[1].starts_with("minutely: standard input, line 4: no dead letter: expected value"), "{said}");
    assert_eq!(
        lines[2],
        "minutely: standard input, line 6: no dead letter: it does not end: a run may be writing it, or was killed"
    );
    assert_eq!(lines[3], "minutely: error: 3 of 5 lines are no dead letters: was another file meant?");
    assert_eq!(lines.len(), 4, "{said}");
    let (code, _, said) = letters(&["-"], "x\n".repeat(1000).as_bytes());
    assert_eq!((code, said.lines().count()), (Some(65), 11), "not each of a thousand");
}

/// A reader that has seen enough is no error, however long the file is.
#[test]
fn a_closed_pipe_ends_it_well() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("many.jsonl");
    let line = format!("{}\n", r#"{"topic":"t","partition":3,"offset":9,"reason":"json","raw":"eA=="}"#);
    std::fs::write(&file, line.repeat(200_000)).unwrap();
    let mut child = command().arg("letters").arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut beginning = [0; 100];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut beginning).unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

/// They are counted by their reasons, and nothing is kept of them.
#[test]
fn bad_records_that_are_dropped_leave_no_letters() {
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[GOOD, NO_PRICE, NO_TIME], &["--on-bad", "drop"]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (1, 2));
    assert!(ended.said.contains("rejected: null price ×1, first partition quotes.jsonl, offset 1"), "{}", ended.said);
    assert!(ended.said.contains("2 records that cannot be decoded were dropped (--on-bad drop)"), "{}", ended.said);
    assert!(!ended.said.contains("dead letters"), "{}", ended.said);
    assert_eq!(file_of(home.path()), None);
    // What is late is exact and missed its window: that is kept.
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[GOOD, NO_PRICE, LATE], &["--on-bad", "drop"]).well();
    assert_eq!((ended.done("late"), ended.done("rejected")), (1, 1));
    assert!(ended.said.contains("minutely: 1 dead letter: "), "{}", ended.said);
    let (_, shown, _) = letters(&[file_of(home.path()).unwrap().to_str().unwrap(), "--json"], b"");
    assert!(shown.lines().count() == 1 && shown.contains(r#""reason":"late""#), "{shown}");
}

#[test]
fn a_bad_record_that_ends_the_run_is_named_with_its_field() {
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[GOOD, NO_PRICE], &["--on-bad", "fatal"]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let why = "partition quotes.jsonl, offset 1: the record cannot be decoded (null; price: expected a number, or a string that is \
               exactly one, found no such field (there are symbol, ts)); correct it, or run with --on-bad dead-letter to set such records aside";
    assert!(ended.said.contains(why), "{}", ended.said);
}

/// A name with a dot is most often meant as a pointer.
#[test]
fn a_field_inside_another_gets_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let nested = r#"{"data":{"p":"40.5"},"symbol":"ÖMV","ts":1767225720000}"#;
    let ended = over(home.path(), &[nested, nested], &["--value-field", "data.p"]).well();
    let loud = "minutely: warning: NOTHING COUNTS: all 2 records that were read were rejected: null data.p ×2, first partition quotes.jsonl, \
                offset 0: data.p: expected a number, or a string that is exactly one, found no such field (there are data, \
                symbol, ts); a field inside another is \
                written as a pointer: --value-field /data/p\n";
    assert!(ended.said.contains(loud), "{}", ended.said);
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[nested, nested], &["--value-field", "/data/p"]).well();
    assert_eq!(ended.done("counted"), 2);
}

/// Nothing is wrong with a log of which nothing is asked for: it is said, and no dead letter is made.
#[test]
fn a_log_that_is_skipped_as_a_whole_is_told_and_no_error() {
    let home = tempfile::tempdir().unwrap();
    let quote = r#"{"e":"quote","bid":"40.4","ask":"40.6"}"#;
    let ended = over(home.path(), &[quote; 3], &["--where", "e=trade"]).well();
    assert!(
        ended.said.contains("minutely: warning: nothing matches --where: all 3 records that were read are skipped\n"),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("+ 0 quarantined + 3 skipped;"), "{}", ended.said);
    assert!(!ended.said.contains("NOTHING COUNTS") && file_of(home.path()).is_none(), "{}", ended.said);
    // One that is asked for and cannot be read is trouble, however many others are skipped.
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[quote, r#"{"e":"trade"}"#, quote], &["--where", "e=trade"]).well();
    assert!(
        ended.said.contains("NOTHING COUNTS: the only record that --where keeps (2 skipped) was rejected"),
        "{}",
        ended.said
    );
}

/// An element of a record is a dead letter of its own.
#[test]
fn a_bad_element_is_named() {
    let record = r#"{"data":[{"symbol":"ÖMV","price":40.5,"ts":1767225720000},{"symbol":"ÖMV","ts":1767225720000}]}"#;
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[record], &["--each", "/data"]).well();
    assert!(ended.said.contains("done: 1 record read, 2 events = 1 counted + 0 late + 1 rejected"), "{}", ended.said);
    let (_, shown, _) = letters(&[file_of(home.path()).unwrap().to_str().unwrap()], b"");
    assert!(shown.starts_with("where    quotes.jsonl, offset 0, element 1\nreason   null "), "{shown}");
    assert!(shown.contains("\npayload  {\"symbol\":\"ÖMV\",\"ts\":1767225720000}\n"), "{shown}");
    let home = tempfile::tempdir().unwrap();
    let ended = over(home.path(), &[record], &["--each", "/data", "--on-bad", "fatal"]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    assert!(ended.said.contains("offset 0, element 1: the record cannot be decoded (null; "), "{}", ended.said);
}
