//! Dead letters (R2): one JSON line for each record that does not count, with what it was and why.
//!
//! `src/dead_letter_line.rs` has the fields of a line; `minutely letters` prints them readably (`src/letters/`).
//!
//! The first file is made with the first dead letter, so a run without any leaves no file; each cut is durable before it is
//! reported. Nothing is appended to a file of others: the caller names a fresh path, or one of which the state knows how
//! much to keep; what a crash left beyond that is cut off. It holds payloads, so its owner alone may read it.
//!
//! A file that is full is followed by the next one, a segment (`src/dead_letter_files.rs`), once a committed manifest knows all that the full
//! one has: from then on no run opens it again, so that it may be compressed, moved or deleted. The dead letters of a cut are never divided.
//! Segments that the state does not know are there after it was restored from a copy: they are removed.

use super::append::{self, AppendError, Appender, FileClaim, FileUse};
use super::port::ProgressPort;
use crate::dead_letter_files::{DeadLetterFiles, DeadLetterSegment};
use crate::dead_letter_line::DeadLetterLine;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{DeadLetterPort, Halt, SinkProgress, Wake};
use minutely_dataflows::record::DeadLetter;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// The open file of dead letters.
pub(crate) struct OpenDeadLetters {
    /// Where dead letters are offered.
    pub(crate) port: Box<dyn DeadLetterPort + Send>,
    /// What is wrong with the file at present.
    pub(crate) health: Arc<Health>,
}

/// How dead letters are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadLetterOptions {
    /// Bytes of all files that the state knows; none: it knows no file.
    pub(crate) keep: Option<u64>,
    /// Another run may hang and still have a file open.
    pub(crate) take_over: bool,
    /// Bytes from which on a file is full; none: never.
    pub(crate) file_size: Option<u64>,
    /// Of the values.
    pub(crate) decimals: u8,
}

/// Checks that [`open`] would succeed; leaves nothing behind. `data` is a folder that may still be made.
///
/// # Errors
/// 64, with what to do.
pub(crate) fn check(first: &Path, data: &Path, keep: Option<u64>) -> Result<(), Halt> {
    let (segment, keep, _) = resumed(&DeadLetterFiles::new(first), keep)?;
    Ok(append::look(FileUse::DeadLetters, &segment.path, data, keep)?)
}

/// The file that a run begins with or goes on with, how much of it the state knows, and files that it does not know.
fn resumed(
    files: &DeadLetterFiles,
    keep: Option<u64>,
) -> Result<(DeadLetterSegment, Option<u64>, Vec<DeadLetterSegment>), Halt> {
    let Some(keep) = keep else { return Ok((files.begun_at(0), None, Vec::new())) };
    let unlisted = |e| AppendError::unreadable(FileUse::DeadLetters, files.first(), e);
    let (segment, unknown) = files.resume(keep).map_err(unlisted)?;
    let keep = keep - segment.base;
    Ok((segment, Some(keep), unknown))
}

/// Starts the thread; folder and first file are made with the first dead letter.
///
/// # Errors
/// 64 when the file has content already, or cannot be made.
pub(crate) fn open(first: &Path, wake: Wake, options: DeadLetterOptions) -> Result<OpenDeadLetters, Halt> {
    let files = DeadLetterFiles::new(first);
    let (segment, keep, unknown) = resumed(&files, options.keep)?;
    append::look(FileUse::DeadLetters, &segment.path, append::folder_of(first), keep)?;
    let health = Health::new(format!("dead letters {}", first.display()));
    let stop = Stop::new();
    let claim = FileClaim { keep, take_over: options.take_over, private: true };
    for DeadLetterSegment { path, .. } in &unknown {
        append::remove(FileUse::DeadLetters, path, options.take_over)?;
    }
    let is_there = keep.is_some() && segment.path.exists();
    let position = options.keep.unwrap_or(0);
    let mut writer = DeadLetterWriter { files, options, active: None, health: health.clone(), stop: stop.clone() };
    if is_there {
        let file = append::create(FileUse::DeadLetters, &segment.path, claim)?;
        writer.active = Some(writer.active(segment, file, keep.unwrap_or(0)));
    }
    let work = move |cut: Option<OfferedCut>| {
        let Some(OfferedCut { at, known, dead_letters }) = cut else {
            writer.active.iter().for_each(|active| active.file.idle());
            return Ok(None);
        };
        let position = Some(writer.store(known, &dead_letters)?);
        Ok(Some(SinkProgress { at, position }))
    };
    let port = ProgressPort::start("dead-letters", wake, stop, work)?;
    Ok(OpenDeadLetters { port: Box::new(DeadLetterQueue { port, known: position }), health })
}

/// The dead letters of a committed cut, and up to where the state knows those before them.
struct OfferedCut {
    at: u64,
    known: u64,
    dead_letters: Vec<DeadLetter>,
}

struct DeadLetterQueue {
    port: ProgressPort<OfferedCut>,
    /// The position in the newest manifest that is committed.
    known: u64,
}

impl DeadLetterPort for DeadLetterQueue {
    fn offer(&mut self, at: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        self.port.offer(OfferedCut { at, known: self.known, dead_letters }).map_err(|cut| cut.dead_letters)
    }

    fn committed(&mut self, position: Option<u64>) {
        self.known = self.known.max(position.unwrap_or(0));
    }

    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        self.port.stored()
    }
}

/// Bytes of lines that are gathered before they are written: the lines of a whole cut would take its memory once more.
const PIECE_BYTES: usize = 1 << 20;

/// The file that is written to.
struct ActiveSegment {
    /// How many bytes stand in all files before it.
    base: u64,
    file: Appender,
}

impl ActiveSegment {
    /// Bytes of all dead letters.
    fn position(&self) -> u64 {
        self.base + self.file.len()
    }
}

struct DeadLetterWriter {
    files: DeadLetterFiles,
    options: DeadLetterOptions,
    /// None: there is no file yet.
    active: Option<ActiveSegment>,
    health: Arc<Health>,
    stop: Stop,
}

impl DeadLetterWriter {
    fn active(&self, segment: DeadLetterSegment, file: File, len: u64) -> ActiveSegment {
        let DeadLetterSegment { path, base } = segment;
        ActiveSegment { base, file: Appender::new(file, len, &path, self.health.clone(), self.stop.clone()) }
    }

    /// Returns once they are durable, with how many bytes all dead letters have. `known`: how many of these a committed manifest knows.
    fn store(&mut self, known: u64, dead_letters: &[DeadLetter]) -> Result<u64, WriterExit> {
        if dead_letters.is_empty() {
            return Ok(self.active.as_ref().map_or(0, ActiveSegment::position));
        }
        let decimals = self.options.decimals;
        let active = self.ready(known)?;
        let mut lines = Vec::new();
        for letter in dead_letters {
            serde_json::to_writer(&mut lines, &DeadLetterLine::of(letter, decimals))
                .expect("memory takes it, and no key is other than text");
            lines.push(b'\n');
            if lines.len() >= PIECE_BYTES {
                active.file.append(&lines)?;
                lines.clear();
            }
        }
        active.file.append(&lines)?;
        active.file.sync()?;
        Ok(active.position())
    }

    /// The file for the next cut.
    fn ready(&mut self, known: u64) -> Result<&mut ActiveSegment, WriterExit> {
        let DeadLetterOptions { keep, take_over, file_size, .. } = self.options;
        let is_full = |active: &ActiveSegment| file_size.is_some_and(|size| active.file.len() >= size);
        let next = match &mut self.active {
            None => {
                let first = self.files.begun_at(0);
                let file =
                    create(&first.path, FileClaim { keep, take_over, private: true }, (&self.health, &self.stop))?;
                Some((first, file))
            }
            Some(active) if is_full(active) && active.position() <= known => {
                // A run that was taken over finds here that its file is no longer its own.
                active.file.sync()?;
                let next = self.files.begun_at(active.position());
                // What another run left there, which has begun it and hangs or is gone, no manifest knows. While it lives it is waited for.
                let claim = FileClaim { keep: Some(0), take_over: false, private: true };
                let file = create(&next.path, claim, (&self.health, &self.stop))?;
                Some((next, file))
            }
            Some(_) => None,
        };
        if let Some((segment, file)) = next {
            self.active = Some(self.active(segment, file, 0));
        }
        Ok(self.active.as_mut().expect("it was just made, if it was not there"))
    }
}

/// Makes the file, waiting while the disk is full, and while a run that is no longer the state's owner has a segment of this name.
/// The run ends where the path has become unusable since the start.
fn create(path: &Path, claim: FileClaim, (health, stop): (&Health, &Stop)) -> Result<File, WriterExit> {
    let mut backoff = Backoff::of_files();
    loop {
        let folder = std::fs::create_dir_all(append::folder_of(path));
        let why = match (folder, append::create(FileUse::DeadLetters, path, claim)) {
            (_, Ok(file)) => return Ok(file),
            (_, Err(e)) if e.is_transient() || (e.is_locked() && claim.keep.is_some()) => e.to_string(),
            (Err(e), _) if e.kind() == ErrorKind::StorageFull => e.to_string(),
            (_, Err(e)) => return Err(Halt::from(e).into()),
        };
        health.set_trouble(why);
        backoff.wait(stop)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{no_wake, poll, temp};
    use minutely_dataflows::decimal::Decimal;
    use minutely_dataflows::edge::HaltKind;
    use minutely_dataflows::record::{Evidence, Finding, Judged, PartitionName, Reason};
    use minutely_dataflows::time::EventTime;
    use serde_json::{Value, json};

    fn letter(number: Option<i32>, reason: Reason, raw: Option<&[u8]>, evidence: Option<Evidence>) -> DeadLetter {
        DeadLetter {
            partition: PartitionName { log: "ticks \"1\"".to_owned(), number },
            offset: 41,
            element: None,
            reason,
            raw: raw.map(<[u8]>::to_vec),
            cut_from: None,
            key: None,
            finding: None,
            judged: evidence.map(|evidence| Judged {
                symbol: "AAPL".to_owned(),
                value: Decimal::parse(b"187.250000000000000001").unwrap(),
                time: EventTime(59_500_000_001),
                evidence,
            }),
        }
    }

    fn cut(opened: &mut OpenDeadLetters) -> Option<u64> {
        opened.port.stored().unwrap().map(|stored| stored.at)
    }

    #[test]
    fn letters_that_the_state_does_not_know_are_cut_off() {
        let dir = temp();
        let path = dir.path().join("dead.jsonl");
        let one = || vec![letter(Some(0), Reason::Null, None, None)];
        let mut opened = open(&path, no_wake(), options(None)).unwrap();
        opened.port.offer(1, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(1));
        let known = opened.port.stored().unwrap().unwrap().position;
        assert_eq!(known, Some(std::fs::metadata(&path).unwrap().len()));
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        drop(opened);
        let mut opened = open(&path, no_wake(), options(known)).unwrap();
        assert_eq!(Some(std::fs::metadata(&path).unwrap().len()), known);
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn letters_are_json_lines_with_all_that_is_known() {
        let dir = temp();
        let path = dir.path().join("job/dead-letters.jsonl");
        let mut opened = open(&path, no_wake(), options(None)).unwrap();
        opened.port.offer(1, vec![]).unwrap();
        poll("an empty cut is stored", || cut(&mut opened) == Some(1));
        assert!(!path.exists(), "no dead letters, no file");

        let at = EventTime(1_767_225_600_000_000_000);
        let dead_letters = vec![
            letter(Some(3), Reason::Late, Some(b"{}"), Some(Evidence::Watermark(at))),
            letter(None, Reason::Late, Some(b"{}"), Some(Evidence::Floor(at))),
            letter(None, Reason::Future, Some(b"{}"), Some(Evidence::Appended(at))),
            letter(None, Reason::Future, Some(b"{}"), Some(Evidence::Clock(at))),
            letter(Some(0), Reason::Null, None, None),
            letter(Some(0), Reason::Json, Some(&[0xff, 0x00, b'\n']), None),
            DeadLetter {
                cut_from: Some(100_000_000),
                key: Some(vec![0xff, b'A']),
                finding: Some(Finding { field: Some("ts".into()), expected: "a number".into(), found: "null".into() }),
                ..letter(Some(0), Reason::Null, Some(b"{}"), None)
            },
        ];
        opened.port.offer(2, dead_letters).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        opened.port.offer(5, vec![letter(None, Reason::Json, Some(b""), None)]).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(5));

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let judged = |mut line: Value, evidence: &str| {
            for (key, value) in [
                ("offset", json!(41)),
                ("raw", json!("e30=")),
                ("symbol", json!("AAPL")),
                ("value", json!("187.250000000000000001")),
                ("event_time", json!("1970-01-01T00:00:59.500000001Z")),
                ("evidence", json!({ evidence: "2026-01-01T00:00:00.000000000Z" })),
            ] {
                line[key] = value;
            }
            line
        };
        let plain = "ticks \"1\"";
        let want = vec![
            judged(json!({"topic": plain, "partition": 3, "reason": "late"}), "watermark"),
            judged(json!({"path": plain, "reason": "late"}), "floor"),
            judged(json!({"path": plain, "reason": "future"}), "append_time"),
            judged(json!({"path": plain, "reason": "future"}), "clock"),
            json!({"topic": plain, "partition": 0, "offset": 41, "reason": "null", "raw": null}),
            json!({"topic": plain, "partition": 0, "offset": 41, "reason": "json", "raw": "/wAK"}),
            json!({"topic": plain, "partition": 0, "offset": 41, "reason": "null", "raw": "e30=", "raw_of_bytes": 100_000_000,
                "key": "/0E=", "field": "ts", "expected": "a number", "found": "null"}),
            json!({"path": plain, "offset": 41, "reason": "json", "raw": ""}),
        ];
        assert_eq!(lines, want);
    }

    #[test]
    fn a_file_with_content_is_refused_at_the_start_and_at_the_first_letter() {
        let dir = temp();
        let path = dir.path().join("dead");
        let mut opened = open(&path, no_wake(), options(None)).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        opened.port.offer(1, vec![letter(None, Reason::Json, None, None)]).unwrap();
        poll("the halt arrives", || opened.port.stored().is_err_and(|h| h.kind == HaltKind::Usage));
        assert_eq!(open(&path, no_wake(), options(None)).map(drop).unwrap_err().kind, HaltKind::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }

    /// The command that the message gives, for dead letters that are not needed any more, works.
    #[test]
    fn a_file_that_was_deleted_is_missed_and_can_be_given_up() {
        let dir = temp();
        let path = dir.path().join("dead.jsonl");
        for there in [0, 60] {
            if there > 0 {
                std::fs::remove_file(files_of(&path).begun_at(70).path).unwrap();
                std::fs::write(&path, "x".repeat(there)).unwrap();
            }
            let halt = check(&path, dir.path(), Some(70)).unwrap_err();
            let next = files_of(&path).begun_at(70).path;
            let command = format!("install -m 600 /dev/null '{}'", next.display());
            assert!(halt.kind == HaltKind::Data && halt.why.contains(&command), "{command}: {halt}");
            assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success());
            let mut opened = open(&path, no_wake(), options(Some(70))).unwrap();
            opened.port.offer(1, vec![letter(Some(0), Reason::Null, None, None)]).unwrap();
            poll("the cut is stored", || cut(&mut opened) == Some(1));
            let len = std::fs::metadata(&next).unwrap().len();
            assert_eq!(opened.port.stored().unwrap().unwrap().position, Some(70 + len));
            assert_eq!(std::fs::metadata(&path).map_or(0, |meta| meta.len()), there as u64, "it stays as it is");
            let moved = dir.path().join("moved");
            std::fs::rename(&next, &moved).unwrap();
            poll("it is missed", || opened.health.trouble().is_some_and(|why| why.contains("was deleted or moved")));
            std::fs::rename(&moved, &next).unwrap();
        }
    }

    fn files_of(path: &Path) -> DeadLetterFiles {
        DeadLetterFiles::new(path)
    }

    fn options(keep: Option<u64>) -> DeadLetterOptions {
        DeadLetterOptions { keep, take_over: false, file_size: None, decimals: 18 }
    }

    /// A letter whose offset is its number.
    fn numbered(offset: u64) -> DeadLetter {
        DeadLetter { offset: i64::try_from(offset).unwrap(), ..letter(Some(0), Reason::Null, None, None) }
    }

    /// Bytes of the line of a letter with a number of one digit.
    fn line_bytes() -> u64 {
        let line = serde_json::to_vec(&DeadLetterLine::of(&numbered(1), 18)).unwrap();
        u64::try_from(line.len()).unwrap() + 1
    }

    /// What stands in each file, by its base: the numbers of letters. Each begins where the one before it ends.
    fn found(path: &Path) -> Vec<(u64, Vec<u64>)> {
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().unwrap();
        let of = |segment: DeadLetterSegment| {
            let text = std::fs::read_to_string(segment.path).unwrap();
            (segment.base, text.lines().map(number).collect())
        };
        files_of(path).segments().unwrap().into_iter().map(of).collect()
    }

    /// Stores cuts of one letter each; the state knows each before the next is offered. How many bytes that makes.
    fn store(opened: &mut OpenDeadLetters, numbers: std::ops::Range<u64>) -> u64 {
        for number in numbers {
            opened.port.offer(number, vec![numbered(number)]).unwrap();
            poll("the cut is stored", || cut(opened) == Some(number));
            let position = opened.port.stored().unwrap().unwrap().position;
            opened.port.committed(position);
        }
        opened.port.stored().unwrap().unwrap().position.unwrap()
    }

    fn rotating(keep: Option<u64>) -> DeadLetterOptions {
        DeadLetterOptions { file_size: Some(2 * line_bytes()), ..options(keep) }
    }

    #[test]
    fn a_full_file_is_followed_by_the_next_and_a_cut_is_never_divided() {
        let dir = temp();
        let (path, one) = (dir.path().join("job/dead.jsonl"), line_bytes());
        let mut opened = open(&path, no_wake(), rotating(None)).unwrap();
        assert_eq!(store(&mut opened, 1..6), 5 * one);
        assert_eq!(found(&path), [(0, vec![1, 2]), (2 * one, vec![3, 4]), (4 * one, vec![5])]);
        opened.port.offer(6, vec![]).unwrap();
        poll("an empty cut is stored", || cut(&mut opened) == Some(6));
        // What is larger than a file is in one.
        opened.port.offer(7, (6..10).map(numbered).collect()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(7));
        assert_eq!(found(&path)[2], (4 * one, vec![5, 6, 7, 8, 9]));
        let position = opened.port.stored().unwrap().unwrap().position;
        assert_eq!(position, Some(9 * one));
        // An empty cut begins none.
        opened.port.committed(position);
        opened.port.offer(8, vec![]).unwrap();
        poll("an empty cut is stored", || cut(&mut opened) == Some(8));
        assert_eq!(found(&path).len(), 3);
        assert_eq!(opened.port.stored().unwrap().unwrap().position, Some(9 * one));
    }

    /// Else a file that was moved away could have letters that come again.
    #[test]
    fn no_file_is_closed_before_a_manifest_knows_all_of_it() {
        let dir = temp();
        let (path, one) = (dir.path().join("dead.jsonl"), line_bytes());
        let mut opened = open(&path, no_wake(), rotating(None)).unwrap();
        for number in 1..6 {
            opened.port.offer(number, vec![numbered(number)]).unwrap();
            poll("the cut is stored", || cut(&mut opened) == Some(number));
            opened.port.committed(Some((number - 1) * one));
        }
        assert_eq!(found(&path), [(0, vec![1, 2, 3, 4, 5])]);
        opened.port.committed(Some(5 * one));
        opened.port.committed(None);
        store(&mut opened, 6..7);
        assert_eq!(found(&path), [(0, vec![1, 2, 3, 4, 5]), (5 * one, vec![6])]);
    }

    /// Killed after any cut, and restarted with what any manifest until then may know: each letter is there once, in order, and files
    /// that no run needs any more need not be there.
    #[test]
    fn a_run_that_was_killed_anywhere_goes_on_with_what_the_state_knows() {
        let one = line_bytes();
        for (killed, moves) in (0..8).flat_map(|killed| [(killed, false), (killed, true)]) {
            // A committed manifest knows the cut before the last one, or the last one; a restored one knows any.
            let first_known = if moves { killed - killed.min(1) } else { 0 };
            for known in first_known..=killed {
                let dir = temp();
                let path = dir.path().join("dead.jsonl");
                let mut opened = open(&path, no_wake(), rotating(None)).unwrap();
                if killed > 0 {
                    store(&mut opened, 1..killed + 1);
                }
                drop(opened);
                let segments = files_of(&path).segments().unwrap();
                let mut before = Vec::new();
                if moves && let Some((_, closed)) = segments.split_last() {
                    for segment in closed {
                        before.extend(std::fs::read(&segment.path).unwrap());
                        std::fs::remove_file(&segment.path).unwrap();
                    }
                }
                let keep = Some(known * one);
                check(&path, dir.path(), keep).unwrap();
                let mut opened = open(&path, no_wake(), rotating(keep)).unwrap();
                let there: u64 = found(&path).iter().map(|(_, numbers)| numbers.len() as u64).sum();
                assert_eq!(there + before.len() as u64 / one, known, "killed after {killed}");
                store(&mut opened, known + 1..9);
                let all = found(&path);
                let moved = before.len() as u64 / one;
                let numbers: Vec<u64> = all.iter().flat_map(|(_, numbers)| numbers.clone()).collect();
                assert_eq!(numbers, (moved + 1..9).collect::<Vec<_>>(), "killed after {killed}, known {known}");
                let mut base = before.len() as u64;
                for (of, numbers) in all {
                    assert_eq!(of, base, "killed after {killed}, known {known}");
                    base += numbers.len() as u64 * one;
                }
                let read = files_of(&path).committed(8 * one).unwrap();
                assert_eq!(read.missing.is_some(), moved > 0);
            }
        }
    }

    #[test]
    fn files_of_others_are_left_and_those_behind_the_state_are_removed() {
        let dir = temp();
        let (path, one) = (dir.path().join("dead.jsonl"), line_bytes());
        let mut opened = open(&path, no_wake(), rotating(None)).unwrap();
        store(&mut opened, 1..6);
        drop(opened);
        let others =
            ["dead-2.jsonl", "dead.segment-00000000000000000999.jsonl.gz", "dead-2.segment-00000000000000000999.jsonl"];
        others.iter().for_each(|name| std::fs::write(dir.path().join(name), "theirs").unwrap());
        // Another run has the newest open: it is not removed unless that run is taken over.
        let busy = std::fs::File::open(files_of(&path).begun_at(4 * one).path).unwrap();
        busy.lock().unwrap();
        let halt = open(&path, no_wake(), rotating(Some(one))).map(drop).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("is behind what the state knows"), "{halt}");
        let opened = open(&path, no_wake(), DeadLetterOptions { take_over: true, ..rotating(Some(one)) }).unwrap();
        assert_eq!(found(&path), [(0, vec![1])]);
        drop(opened);
        for name in others {
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"theirs", "{name}");
        }
    }

    /// A run hangs and is taken over in each moment of a rotation: what it does when it wakes changes nothing.
    #[test]
    fn a_run_that_was_taken_over_writes_nothing_more() {
        let one = line_bytes();
        for stored in 1..6 {
            let dir = temp();
            let path = dir.path().join("dead.jsonl");
            let mut old = open(&path, no_wake(), rotating(None)).unwrap();
            let keep = store(&mut old, 1..stored + 1);
            let taking = DeadLetterOptions { take_over: true, ..rotating(Some(keep)) };
            let mut new = open(&path, no_wake(), taking).unwrap();
            old.port.offer(stored + 1, vec![numbered(99)]).unwrap();
            poll("it misses its file", || old.health.trouble().is_some());
            store(&mut new, stored + 1..9);
            drop(old);
            let numbers: Vec<u64> = found(&path).into_iter().flat_map(|(_, numbers)| numbers).collect();
            assert_eq!(numbers, (1..9).collect::<Vec<_>>(), "taken over after {stored}");
            assert_eq!(new.port.stored().unwrap().unwrap().position, Some(8 * one));
        }
    }

    /// The other run began the next file, and its manifest was refused: it ends, and leaves the file.
    #[test]
    fn a_segment_that_another_run_began_is_waited_for_and_begun_again() {
        let dir = temp();
        let (path, one) = (dir.path().join("dead.jsonl"), line_bytes());
        let mut opened = open(&path, no_wake(), rotating(None)).unwrap();
        store(&mut opened, 1..3);
        let next = files_of(&path).begun_at(2 * one).path;
        std::fs::write(&next, "of a run that hangs").unwrap();
        let busy = std::fs::File::open(&next).unwrap();
        busy.lock().unwrap();
        opened.port.offer(3, vec![numbered(3)]).unwrap();
        poll("it waits", || opened.health.trouble().is_some_and(|why| why.contains("another run is writing to it")));
        drop(busy);
        poll("the cut is stored", || cut(&mut opened) == Some(3));
        assert_eq!(found(&path), [(0, vec![1, 2]), (2 * one, vec![3])]);
    }
}
