//! Dead letters (R2): one JSON line for each record that does not count, with what it was and why.
//!
//! `src/dead_letter_line.rs` has the fields of a line; `minutely letters` prints them readably (`src/letters/`).
//!
//! The file is made with the first dead letter, so a run without any leaves no file; each cut is durable before it is
//! reported. Nothing is appended to a file of others: the caller names a fresh path, or one of which the state knows how
//! much to keep; what a crash left beyond that is cut off. It holds payloads, so its owner alone may read it.

use super::append::{self, Appender, FileClaim, FileUse};
use super::port::ProgressPort;
use crate::dead_letter_line::DeadLetterLine;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{DeadLetterPort, Halt, SinkProgress, Wake};
use minutely_dataflows::record::DeadLetter;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open file of dead letters.
pub(crate) struct OpenDeadLetters {
    /// Where dead letters are offered.
    pub(crate) port: Box<dyn DeadLetterPort + Send>,
    /// What is wrong with the file at present.
    pub(crate) health: Arc<Health>,
}

/// Checks that [`open`] would succeed; leaves nothing behind. `data` is a folder that may still be made.
///
/// # Errors
/// 64, with what to do.
pub(crate) fn check(path: &Path, data: &Path, keep: Option<u64>) -> Result<(), Halt> {
    Ok(append::look(FileUse::DeadLetters, path, data, keep)?)
}

/// Starts the thread; file and folder are made with the first dead letter. `keep`: the bytes of the file that the state knows.
/// `take_over`: another run may hang and still have the file open. `decimals`: of the values.
///
/// # Errors
/// 64 when the file has content already, or cannot be made.
pub(crate) fn open(
    path: &Path,
    wake: Wake,
    keep: Option<u64>,
    take_over: bool,
    decimals: u8,
) -> Result<OpenDeadLetters, Halt> {
    check(path, append::folder_of(path), keep)?;
    let health = Health::new(format!("dead letters {}", path.display()));
    let stop = Stop::new();
    let claim = FileClaim { keep, take_over, private: true };
    let mut writer = DeadLetterWriter {
        path: path.to_owned(),
        file: None,
        claim,
        decimals,
        health: health.clone(),
        stop: stop.clone(),
    };
    if keep.is_some() && path.exists() {
        let file = append::create(FileUse::DeadLetters, path, claim)?;
        writer.file = Some(Appender::new(file, keep.unwrap_or(0), path, health.clone(), stop.clone()));
    }
    let work = move |cut: Option<(u64, Vec<DeadLetter>)>| {
        let Some((at, dead_letters)) = cut else {
            writer.file.iter().for_each(Appender::idle);
            return Ok(None);
        };
        let position = Some(writer.store(&dead_letters)?);
        Ok(Some(SinkProgress { at, position }))
    };
    let port = ProgressPort::start("dead-letters", wake, stop, work)?;
    Ok(OpenDeadLetters { port: Box::new(DeadLetterQueue(port)), health })
}

struct DeadLetterQueue(ProgressPort<(u64, Vec<DeadLetter>)>);

impl DeadLetterPort for DeadLetterQueue {
    fn offer(&mut self, cut: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        self.0.offer((cut, dead_letters)).map_err(|(_, dead_letters)| dead_letters)
    }

    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        self.0.stored()
    }
}

/// Bytes of lines that are gathered before they are written: the lines of a whole cut would take its memory once more.
const PIECE_BYTES: usize = 1 << 20;

struct DeadLetterWriter {
    path: PathBuf,
    file: Option<Appender>,
    claim: FileClaim,
    /// Of the values.
    decimals: u8,
    health: Arc<Health>,
    stop: Stop,
}

impl DeadLetterWriter {
    /// Returns once they are durable, with the length of the file in bytes.
    fn store(&mut self, dead_letters: &[DeadLetter]) -> Result<u64, WriterExit> {
        if dead_letters.is_empty() {
            return Ok(self.file.as_ref().map_or(0, Appender::len));
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = create(&self.path, self.claim, &self.health, &self.stop)?;
                none.insert(Appender::new(file, 0, &self.path, self.health.clone(), self.stop.clone()))
            }
        };
        let mut lines = Vec::new();
        for letter in dead_letters {
            serde_json::to_writer(&mut lines, &DeadLetterLine::of(letter, self.decimals))
                .expect("memory takes it, and no key is other than text");
            lines.push(b'\n');
            if lines.len() >= PIECE_BYTES {
                file.append(&lines)?;
                lines.clear();
            }
        }
        file.append(&lines)?;
        file.sync()?;
        Ok(file.len())
    }
}

/// Makes the file, waiting while the disk is full. The run ends where the path has become unusable since the start.
fn create(path: &Path, claim: FileClaim, health: &Health, stop: &Stop) -> Result<File, WriterExit> {
    let mut backoff = Backoff::of_files();
    loop {
        let folder = std::fs::create_dir_all(append::folder_of(path));
        let why = match (folder, append::create(FileUse::DeadLetters, path, claim)) {
            (_, Ok(file)) => return Ok(file),
            (_, Err(e)) if e.is_transient() => e.to_string(),
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
        let mut opened = open(&path, no_wake(), None, false, 18).unwrap();
        opened.port.offer(1, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(1));
        let known = opened.port.stored().unwrap().unwrap().position;
        assert_eq!(known, Some(std::fs::metadata(&path).unwrap().len()));
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        drop(opened);
        let mut opened = open(&path, no_wake(), known, false, 18).unwrap();
        assert_eq!(Some(std::fs::metadata(&path).unwrap().len()), known);
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn letters_are_json_lines_with_all_that_is_known() {
        let dir = temp();
        let path = dir.path().join("job/dead-letters.jsonl");
        let mut opened = open(&path, no_wake(), None, false, 18).unwrap();
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
        let mut opened = open(&path, no_wake(), None, false, 18).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        opened.port.offer(1, vec![letter(None, Reason::Json, None, None)]).unwrap();
        poll("the halt arrives", || opened.port.stored().is_err_and(|h| h.kind == HaltKind::Usage));
        assert_eq!(open(&path, no_wake(), None, false, 18).map(drop).unwrap_err().kind, HaltKind::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }

    /// The command that the message gives, for dead letters that are not needed any more, works.
    #[test]
    fn a_file_that_was_deleted_is_missed_and_can_be_given_up() {
        let dir = temp();
        let path = dir.path().join("dead.jsonl");
        let halt = check(&path, dir.path(), Some(70)).unwrap_err();
        let command = format!("head -c 70 /dev/zero | tr '\\0' '\\n' >'{}'", path.display());
        assert!(halt.kind == HaltKind::Data && halt.why.contains(&command), "{command}: {halt}");
        assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success());
        let mut opened = open(&path, no_wake(), Some(70), false, 18).unwrap();
        opened.port.offer(1, vec![letter(Some(0), Reason::Null, None, None)]).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(1));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.is_empty()).count(), 1);
        std::fs::remove_file(&path).unwrap();
        poll("it is missed", || opened.health.trouble().is_some_and(|why| why.contains("was deleted or moved")));
    }
}
