//! Dead letters (R2): one JSON line for each record that does not count, with what it was and why.
//!
//! ```json
//! {"topic":"ticks","partition":3,"offset":41,"reason":"late","raw":"eyJz…","symbol":"AAPL","value":"187.25",
//!  "event_time":"2026-01-01T00:00:59.500000000Z","evidence":{"watermark":"2026-01-01T00:11:00.000000000Z"}}
//! {"topic":"ticks","partition":3,"offset":42,"reason":"null","raw":"eyJz…","key":"QUFQTA==","field":"ts",
//!  "expected":"a number, or a string that is exactly one","found":"no such field"}
//! ```
//!
//! `element` is present where records are taken apart (`--each`): which element, whose text `raw` is. `key` is present where the log has keys, `field` where one field is to blame. `raw_of_bytes` is the length of a payload of
//! which `raw` is only the beginning.
//!
//! The file is made with the first dead letter, so a run without any leaves no file; each cut is durable before it is
//! reported. Nothing is appended to a file of others: the caller names a fresh path, or one of which the state knows how
//! much to keep; what a crash left beyond that is cut off. It holds payloads, so its owner alone may read it.

use super::append::{self, Appender, FileClaim, FileUse};
use super::port::ProgressPort;
use crate::text::rfc3339;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minutely_dataflows::edge::{DeadLetterPort, Halt, SinkProgress, Wake};
use minutely_dataflows::record::{DeadLetter, Evidence};
use minutely_dataflows::time::EventTime;
use serde::Serialize;
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
/// `take_over`: another run may hang and still have the file open.
///
/// # Errors
/// 64 when the file has content already, or cannot be made.
pub(crate) fn open(path: &Path, wake: Wake, keep: Option<u64>, take_over: bool) -> Result<OpenDeadLetters, Halt> {
    check(path, append::folder_of(path), keep)?;
    let health = Health::new(format!("dead letters {}", path.display()));
    let stop = Stop::new();
    let claim = FileClaim { keep, take_over, private: true };
    let mut writer =
        DeadLetterWriter { path: path.to_owned(), file: None, claim, health: health.clone(), stop: stop.clone() };
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
            serde_json::to_writer(&mut lines, &DeadLetterLine::of(letter))
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

/// A dead letter as it is written.
#[derive(Serialize)]
struct DeadLetterLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<u32>,
    reason: &'static str,
    raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_of_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum EvidenceLine {
    Watermark(String),
    Floor(String),
    AppendTime(String),
    Clock(String),
}

impl<'a> DeadLetterLine<'a> {
    fn of(letter: &'a DeadLetter) -> Self {
        let time = |time: EventTime| rfc3339(time, 9);
        let log = Some(letter.partition.log.as_str());
        let (topic, path) = if letter.partition.number.is_some() { (log, None) } else { (None, log) };
        let (judged, finding) = (letter.judged.as_ref(), letter.finding.as_ref());
        DeadLetterLine {
            topic,
            path,
            partition: letter.partition.number,
            offset: letter.offset,
            element: letter.element,
            reason: letter.reason.name(),
            raw: letter.raw.as_ref().map(|raw| STANDARD.encode(raw)),
            raw_of_bytes: letter.cut_from,
            key: letter.key.as_ref().map(|key| STANDARD.encode(key)),
            field: finding.and_then(|finding| finding.field.as_deref()),
            expected: finding.map(|finding| &*finding.expected),
            found: finding.map(|finding| finding.found.as_str()),
            symbol: judged.map(|j| j.symbol.as_str()),
            value: judged.map(|j| j.value.to_string()),
            event_time: judged.map(|j| time(j.time)),
            evidence: judged.map(|j| match j.evidence {
                Evidence::Watermark(t) => EvidenceLine::Watermark(time(t)),
                Evidence::Floor(t) => EvidenceLine::Floor(time(t)),
                Evidence::Appended(t) => EvidenceLine::AppendTime(time(t)),
                Evidence::Clock(t) => EvidenceLine::Clock(time(t)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{no_wake, poll, temp};
    use minutely_dataflows::decimal::Decimal;
    use minutely_dataflows::edge::HaltKind;
    use minutely_dataflows::record::{Finding, Judged, PartitionName, Reason};
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
        let mut opened = open(&path, no_wake(), None, false).unwrap();
        opened.port.offer(1, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(1));
        let known = opened.port.stored().unwrap().unwrap().position;
        assert_eq!(known, Some(std::fs::metadata(&path).unwrap().len()));
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        drop(opened);
        let mut opened = open(&path, no_wake(), known, false).unwrap();
        assert_eq!(Some(std::fs::metadata(&path).unwrap().len()), known);
        opened.port.offer(2, one()).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(2));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn letters_are_json_lines_with_all_that_is_known() {
        let dir = temp();
        let path = dir.path().join("job/dead-letters.jsonl");
        let mut opened = open(&path, no_wake(), None, false).unwrap();
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
        let mut opened = open(&path, no_wake(), None, false).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        opened.port.offer(1, vec![letter(None, Reason::Json, None, None)]).unwrap();
        poll("the halt arrives", || opened.port.stored().is_err_and(|h| h.kind == HaltKind::Usage));
        assert_eq!(open(&path, no_wake(), None, false).map(drop).unwrap_err().kind, HaltKind::Usage);
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
        let mut opened = open(&path, no_wake(), Some(70), false).unwrap();
        opened.port.offer(1, vec![letter(Some(0), Reason::Null, None, None)]).unwrap();
        poll("the cut is stored", || cut(&mut opened) == Some(1));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.is_empty()).count(), 1);
        std::fs::remove_file(&path).unwrap();
        poll("it is missed", || opened.health.trouble().is_some_and(|why| why.contains("was deleted or moved")));
    }
}
