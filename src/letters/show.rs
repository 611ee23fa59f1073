//! Dead letters as people and programs read them: a block of lines, JSON lines, or counts.

use super::line::LetterLine;
use crate::dead_letter_line::{DeadLetterCause, DeadLetterLine, DeadLetterPlace};
use crate::fmt::number_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minutely_dataflows::escape::{escaped, escaped_json};
use serde::Serialize;
use std::fmt::Write;

/// Characters of a payload or key that are shown, and bytes of one that is no text.
const MOST_CHARACTERS: usize = 2000;
const MOST_BYTES: usize = 64;

/// A block of lines for a person, with an empty line after it. Foreign text is escaped.
pub(super) fn block(letter: &LetterLine) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| writeln!(out, "{name:9}{text}").expect("a string takes it");
    line("where", &escaped(&letter.place()));
    line("reason", &escaped(&letter.kind()));
    if let Some(why) = letter.why() {
        line("why", &escaped(&why));
    }
    if let Some(key) = &letter.0.key {
        line("key", &foreign(key, None));
    }
    match &letter.0.raw {
        Some(raw) => line("payload", &foreign(raw, letter.0.raw_of_bytes)),
        None => line("payload", "none (a tombstone)"),
    }
    out + "\n"
}

/// Text, escaped; what is not UTF-8 as hexadecimal digits with their ASCII characters. `of_bytes`: it is the beginning of so
/// many.
pub(crate) fn foreign(bytes: &[u8], of_bytes: Option<u64>) -> String {
    let all = of_bytes.unwrap_or(bytes.len() as u64);
    // A beginning may end within a character.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if of_bytes.is_some() && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let Some(text) = text else { return hexadecimal(bytes, all) };
    let (shown, rest) = match text.char_indices().nth(MOST_CHARACTERS) {
        None => (text, ""),
        Some((end, _)) => (&text[..end], "…"),
    };
    let length = if rest.is_empty() && of_bytes.is_none() { String::new() } else { format!("{rest} ({all} bytes)") };
    if bytes.is_empty() { "empty".to_owned() } else { format!("{}{length}", escaped(shown)) }
}

fn hexadecimal(bytes: &[u8], all: u64) -> String {
    let shown = &bytes[..bytes.len().min(MOST_BYTES)];
    let digits: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let ascii: String = shown
        .iter()
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
        .collect();
    let more = if (shown.len() as u64) < all { " …" } else { "" };
    format!("{all} bytes that are not UTF-8: {}{more}  |{ascii}|", digits.join(" "))
}

/// A dead letter with its bytes as text, where they are UTF-8.
#[derive(Serialize)]
struct DecodedLetter<'a> {
    #[serde(flatten)]
    place: &'a DeadLetterPlace<'static>,
    #[serde(flatten)]
    why: &'a DeadLetterCause<'static>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Where the key is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    /// Null for a tombstone; absent where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_of_bytes: Option<u64>,
}

/// One JSON line.
pub(super) fn json(letter: &LetterLine) -> String {
    let DeadLetterLine { place, raw, raw_of_bytes, key, why, .. } = &letter.0;
    let base64 = |bytes: &[u8]| std::str::from_utf8(bytes).is_err().then(|| STANDARD.encode(bytes));
    let (key, payload) = (key.as_deref(), raw.as_deref());
    let payload_base64 = payload.and_then(base64);
    let decoded = DecodedLetter {
        place,
        why,
        judged_by: letter.judged_by(),
        key: key.and_then(|key| std::str::from_utf8(key).ok()),
        key_base64: key.and_then(base64),
        payload: payload_base64.is_none().then(|| payload.and_then(|payload| std::str::from_utf8(payload).ok())),
        payload_base64,
        payload_of_bytes: *raw_of_bytes,
    };
    let text = serde_json::to_string(&decoded).expect("memory takes it, and keys are text");
    format!("{}\n", escaped_json(&text))
}

/// Dead letters by reason and field, with the first of each.
#[derive(Default)]
pub(super) struct Summary(Vec<Kind>);

struct Kind {
    kind: String,
    count: u64,
    first: String,
}

/// Kinds that are told apart, at most: a file of others may have any number of fields.
const MOST_KINDS: usize = 1000;

impl Summary {
    /// Counts one more.
    pub(super) fn add(&mut self, letter: &LetterLine) {
        let kind = letter.kind();
        if let Some(known) = self.0.iter_mut().find(|known| known.kind == kind) {
            known.count += 1;
            return;
        }
        if self.0.len() >= MOST_KINDS {
            let others = self.0.last_mut().expect("there is one");
            (others.kind, others.count) = ("others".into(), others.count + 1);
            return;
        }
        self.0.push(Kind { kind, count: 1, first: block(letter) });
    }

    /// The most frequent first, and how many there are.
    pub(super) fn text(mut self) -> String {
        self.0.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
        let all: u64 = self.0.iter().map(|kind| kind.count).sum();
        let mut out = format!("{}\n", number_of(all, "dead letter"));
        for Kind { kind, count, first } in &self.0 {
            writeln!(out, "\n{} ×{count}, first:", escaped(kind)).expect("a string takes it");
            first.trim_end().lines().for_each(|line| writeln!(out, "  {line}").expect("a string takes it"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(line: &str) -> LetterLine {
        LetterLine::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_letter_is_a_block_of_lines_that_harm_no_terminal() {
        let raw = STANDARD.encode("{\"s\":\"A\u{1b}[31m\"}\n");
        let shown = block(&letter(&format!(
            r#"{{"topic":"t","partition":3,"offset":41,"element":2,"reason":"null","raw":"{raw}","key":"QUFQTA==","field":"/ts",
                "expected":"a number","found":"no such field","later":[1]}}"#
        )));
        assert_eq!(
            shown,
            "where    t/3, offset 41, element 2\nreason   null /ts\nwhy      expected a number, found no such field\nkey      \
             AAPL\npayload  {\"s\":\"A\\u{1b}[31m\"}\\n\n\n"
        );
        let shown = block(&letter(
            r#"{"path":"a.jsonl","offset":1,"reason":"late","raw":"","symbol":"A","value":"1.5",
            "event_time":"2026-01-01T00:00:59.500000000Z","evidence":{"watermark":"2026-01-01T00:11:00.000000000Z"}}"#,
        ));
        let why = "why      A 1.5 of 2026-01-01T00:00:59.500000000Z, and its partition's watermark was 2026-01-01T00:11:00.000000000Z\n";
        assert!(shown.starts_with("where    a.jsonl, offset 1\nreason   late\n") && shown.contains(why), "{shown}");
        assert!(shown.ends_with("payload  empty\n\n"), "{shown}");
        let shown = block(&letter(r#"{"topic":"t","partition":0,"offset":1,"reason":"null","raw":null}"#));
        assert!(shown.ends_with("payload  none (a tombstone)\n\n"), "{shown}");
    }

    #[test]
    fn payloads_are_shown_as_what_they_are() {
        assert_eq!(foreign(&[0, 0, 0, 7, 0xff, b'A'], None), "6 bytes that are not UTF-8: 00 00 00 07 ff 41  |.....A|");
        assert!(foreign(&[0xff; 100], None).contains(" ff …  |"), "{}", foreign(&[0xff; 100], None));
        assert_eq!(foreign("aé".as_bytes(), Some(900)), "aé (900 bytes)");
        assert_eq!(foreign(&"aé".as_bytes()[..2], Some(900)), "a (900 bytes)", "a beginning ends within a character");
        let long = "é".repeat(MOST_CHARACTERS + 1);
        assert_eq!(foreign(long.as_bytes(), None), format!("{}… (4002 bytes)", "é".repeat(MOST_CHARACTERS)));
    }

    #[test]
    fn json_has_bytes_as_text_where_they_are() {
        let of = |line: &str| serde_json::from_str::<serde_json::Value>(&json(&letter(line))).unwrap();
        let value =
            of(r#"{"topic":"t","partition":0,"offset":1,"reason":"json","raw":"eA==","key":"QQ==","found":"x"}"#);
        assert_eq!(
            value,
            serde_json::json!({"topic": "t", "partition": 0, "offset": 1, "reason": "json", "found": "x", "key": "A", "payload": "x"})
        );
        let value = of(r#"{"topic":"t","partition":0,"offset":1,"reason":"json","raw":"/w==","key":"/w=="}"#);
        assert_eq!((&value["payload_base64"], &value["key_base64"]), (&"/w==".into(), &"/w==".into()));
        assert!(value.get("payload").is_none() && value.get("key").is_none(), "{value}");
        let value = of(r#"{"topic":"t","partition":0,"offset":1,"reason":"null","raw":null}"#);
        assert!(value["payload"].is_null() && value.as_object().unwrap().contains_key("payload"), "{value}");
        let line = json(&letter(r#"{"path":"a\u202e","offset":1,"reason":"json","raw":"eA=="}"#));
        assert!(line.contains("a\\u202e") && line.ends_with("}\n") && line.lines().count() == 1, "{line}");
    }

    #[test]
    fn a_summary_has_the_first_of_each_kind() {
        let mut summary = Summary::default();
        for (offset, reason) in [(7, "json"), (8, "null"), (9, "null")] {
            let field = if reason == "null" { r#","field":"ts","expected":"a","found":"b""# } else { "" };
            summary
                .add(&letter(&format!(r#"{{"path":"a","offset":{offset},"reason":"{reason}","raw":"eA=="{field}}}"#)));
        }
        let text = summary.text();
        let want = "3 dead letters\n\nnull ts ×2, first:\n  where    a, offset 8\n  reason   null ts\n  why      expected a, found b\n  \
                    payload  x\n\njson ×1, first:\n  where    a, offset 7\n";
        assert!(text.starts_with(want), "{text}");
        let mut summary = Summary::default();
        for field in 0..MOST_KINDS + 5 {
            summary.add(&letter(&format!(r#"{{"path":"a","offset":1,"reason":"null","field":"{field}"}}"#)));
        }
        assert!(summary.text().starts_with(&format!("{} dead letters\n\nothers ×6, first:\n", MOST_KINDS + 5)));
    }
}
