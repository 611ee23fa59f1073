//! Lines or values.

use super::*;
use crate::sources::file::framing::{self, FramedBy};

/// The records of a text, whole and with a place to begin at.
fn records(text: &[u8], start: i64, sizes: ReadSizes, rng: &mut fastrand::Rng) -> (Vec<Line>, RecordReader) {
    let pieces = Pieces(text.to_vec(), rng.fork());
    let mut reader = reader(pieces, NextOffset(start), text.len(), sizes);
    let got = drain(&mut reader, || rng.usize(1..20)).unwrap();
    (got, reader)
}

fn payloads(text: &str) -> Vec<String> {
    let mut rng = fastrand::Rng::new();
    let sizes = ReadSizes { buffer: rng.usize(1..300), record: 1 << 20 };
    let (got, _) = records(text.as_bytes(), 0, sizes, &mut rng);
    got.into_iter().map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
}

#[test]
fn what_the_records_of_a_file_are_is_told_by_its_beginning() {
    let (a, b) = (r#"{"a":1}"#, r#"{"b":[2,{"c":"]}\"\\"}]}"#);
    for (text, wanted) in [
        // JSON lines: each line, whatever it is.
        (format!("{a}\n{b}\n"), vec![a, b]),
        (format!("{a}\n{a}{b}\n[\n"), vec![a, &format!("{a}{b}"), "["]),
        (format!("\n{a}\n"), vec!["", a]),
        ("1\n\"x\"\nnull".into(), vec!["1", "\"x\"", "null"]),
        (format!("[1,2]\n[{a}]\n"), vec!["[1,2]", &format!("[{a}]")]),
        (format!("[{a}]\n[{b}]\n"), vec![&format!("[{a}]"), &format!("[{b}]")]),
        ("[1,\"x\"]\n".into(), vec!["[1,\"x\"]"]),
        // A first line that is broken, or cut off, changes nothing.
        (format!("{{\"a\":\n{a}\n"), vec!["{\"a\":", a]),
        (format!("{{\n{a}\n}}\n"), vec!["{", a, "}"]),
        (format!("{{\"a\":1,}}\n{a}\n"), vec!["{\"a\":1,}", a]),
        (format!("{{'a':1}}\n{a}\n"), vec!["{'a':1}", a]),
        (format!("{{\"a\":NaN}}\n{a}\n"), vec!["{\"a\":NaN}", a]),
        (format!("{a} x\n{a}\n"), vec![&format!("{a} x"), a]),
        (format!("[\n{{\"a\":\n{a}\n"), vec!["[", "{\"a\":", a]),
        ("{\"a\":1".into(), vec!["{\"a\":1"]),
        // Values.
        (format!("[{a},{b}]"), vec![a, b]),
        (format!("[{a} , {b}]\n \n"), vec![a, b]),
        (format!("[{a},\n{b}]"), vec![a, b]),
        (format!("\n[\n  {a},\n  {b}\n]\n"), vec![a, b]),
        ("[[1,2],[3]]".into(), vec!["[1,2]", "[3]"]),
        ("[\n1,\n\"x\"\n,true]".into(), vec!["1", "\"x\"", "true"]),
        ("[]".into(), vec![]),
        ("[\n]\n".into(), vec![]),
        (format!("{a}{b}{a}"), vec![a, b, a]),
        (format!("{a},{b}\n{a}"), vec![a, b, a]),
        ("{\n \"a\": 1\n}\n{\n \"a\": 2\n}".into(), vec!["{\n \"a\": 1\n}", "{\n \"a\": 2\n}"]),
        (format!("[{a}][{b}]\n"), vec![a, b]),
        (format!("[{a},\n]\n[{b}\n7]"), vec![a, b, "7"]),
        // A broken text among them.
        (format!("[{a},{{\"a\":1]}},{b}]"), vec![a, &format!("{{\"a\":1]}},{b}]")]),
        (format!("[\n  {a},\n  {{\"a\":1]}},\n  {b}\n]"), vec![a, "{\"a\":1]},", b]),
        (format!("[\n  {a},\n  {{\"a\":\"x\n  }},\n  {b}\n]"), vec![a, "{\"a\":\"x\n  },", b]),
        (
            format!("[\n  {a},\n  {{\"a\":\n    {{\"c\":,}}\n  }},\n  {b}\n]"),
            vec![a, "{\"a\":\n    {\"c\":,}\n  },", b],
        ),
        (format!("[\n  {a},\n  {{\"a\":1\n"), vec![a, "{\"a\":1"]),
        (format!("{a}{b}}}{a}"), vec![a, b, &format!("}}{a}")]),
        (format!("{a}{b}}}\n{a}"), vec![a, b, &format!("}}\n{a}")]),
        (format!("[{a},{{\"b\""), vec![a, "{\"b\""]),
    ] {
        assert_eq!(payloads(&text), wanted, "{text}");
    }
}

const SIGNS: [char; 12] = ['a', '"', '\\', '{', '}', '[', ']', ',', ':', '\n', ' ', 'é'];

fn value(rng: &mut fastrand::Rng, depth: u32) -> serde_json::Value {
    match rng.u8(..if depth == 0 { 4 } else { 7 }) {
        0 => rng.i32(..).into(),
        1 => serde_json::Value::Null,
        2 => (0..rng.usize(..9)).map(|_| SIGNS[rng.usize(..SIGNS.len())]).collect::<String>().into(),
        3 => rng.bool().into(),
        4 => (0..rng.usize(..4)).map(|_| value(rng, depth - 1)).collect::<Vec<_>>().into(),
        _ => object(rng, depth),
    }
}

fn object(rng: &mut fastrand::Rng, depth: u32) -> serde_json::Value {
    let fields = (0..rng.usize(1..5)).map(|n| (format!("k{n}\"}}"), value(rng, depth - 1)));
    serde_json::Value::Object(fields.collect())
}

#[test]
fn values_are_those_that_were_written_however_they_are_read() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..2000 {
        let values: Vec<_> = (0..rng.usize(2..20)).map(|_| object(&mut rng, 3)).collect();
        let plain: Vec<String> = values.iter().map(ToString::to_string).collect();
        let pretty: Vec<String> = values.iter().map(|value| serde_json::to_string_pretty(value).unwrap()).collect();
        let (text, texts) = match rng.u8(..5) {
            0 => (serde_json::to_string_pretty(&values).unwrap(), None),
            1 => (format!("[{}]", plain.join(",")), Some(plain)),
            2 => (plain.concat(), Some(plain)),
            3 => (pretty.join("\n"), Some(pretty)),
            _ => (format!("[\n{}\n]\n", pretty.join(",\r\n")), Some(pretty)),
        };
        let sizes = ReadSizes { buffer: rng.usize(1..200), record: 1 << 20 };
        let start = rng.usize(..=values.len());
        let (got, reader) = records(text.as_bytes(), i64::try_from(start).unwrap(), sizes, &mut rng);
        let read: Vec<serde_json::Value> = got.iter().map(|(_, text)| serde_json::from_slice(text).unwrap()).collect();
        assert_eq!(read, values[start..], "seed {seed}: {text}");
        assert!(got.iter().map(|(offset, _)| *offset).eq((0..).skip(start).take(values.len() - start)));
        if let Some(texts) = texts {
            let texts = texts[start..].iter().map(String::as_bytes);
            assert!(got.iter().map(|(_, text)| text.as_slice()).eq(texts), "seed {seed}: {text}");
        }
        if let Some(last) = reader.last() {
            let (from, last) = (usize::try_from(last.byte.unwrap()).unwrap(), got.last().unwrap().1.as_slice());
            assert!(text.as_bytes()[from..].starts_with(last), "seed {seed}");
        }
    }
}

/// Whatever comes, nothing panics, and all that is not blank, a comma or an array's bracket is in a record.
#[test]
fn no_byte_of_a_broken_file_is_lost() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let parts = ["{\"a\":1}", "{", "}", "[", "]", ",", "\n", "  ", "\"", "\\", "{\"a\":\"x", ":", "1", "#", "\0"];
        let begin =
            *rng.choice(&["[\n{\"a\":1}\n", "{\"a\":1}{\"a\":1}", "[{\"a\":1},\n  {\"a\":1}", "{\n}\n", ""]).unwrap();
        let tail: String = (0..rng.usize(..30)).map(|_| *rng.choice(&parts).unwrap()).collect();
        let text = format!("{begin}{tail}");
        let sizes = ReadSizes { buffer: rng.usize(1..50), record: 1 << 20 };
        let (got, _) = records(text.as_bytes(), 0, sizes, &mut rng);
        let (again, _) = records(text.as_bytes(), 0, ReadSizes::default(), &mut rng);
        assert_eq!(got, again, "seed {seed}: {text:?}");
        let heavy =
            |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(|byte| !b" \n,[]".contains(byte)).collect() };
        let in_records: Vec<u8> = got.iter().flat_map(|(_, payload)| heavy(payload)).collect();
        assert_eq!(in_records, heavy(text.as_bytes()), "seed {seed}: {text:?}");
    }
}

#[test]
fn a_value_that_is_too_long_is_never_in_memory() {
    let mut rng = fastrand::Rng::new();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let broken = format!("{{\"a\":1]{}", "x\n  y".repeat(2000));
    let text = format!("[\n  {{\"a\":1}},\n  {long},\n  {broken},\n  {{\"a\":2}},\n  {long}\n]");
    let sizes = ReadSizes { buffer: rng.usize(1..40), record: 100 };
    let mut reader = reader(Pieces(text.clone().into_bytes(), rng.fork()), NextOffset(0), text.len(), sizes);
    let mut got = Vec::new();
    while !reader.ended() {
        let read = reader.read(3, &mut |record| got.push((record.payload.unwrap().len() as u64, record.cut_from)));
        read.unwrap();
        assert!(reader.room() <= 101, "{}", reader.room());
    }
    let cut: Vec<_> = got.iter().map(|(length, cut)| cut.unwrap_or(*length)).collect();
    assert_eq!(cut, [7, long.len() as u64, broken.len() as u64 + 1, 7, long.len() as u64]);
    assert_eq!(got.iter().filter(|(_, cut)| cut.is_some()).count(), 3);
}

#[test]
fn the_framing_of_a_long_beginning_is_decided_in_bounded_memory() {
    let element = r#"{"symbol":"A","price":1.5},"#;
    let line = format!("[{}", element.repeat(2 * framing::DECISION_BYTES / element.len()));
    assert_eq!(framing::decide(line.as_bytes(), false), Some(FramedBy::Values));
    let numbers = format!("[{}", "1,".repeat(framing::DECISION_BYTES));
    assert_eq!(framing::decide(numbers.as_bytes(), false), Some(FramedBy::Lines));
    let blank = " ".repeat(framing::DECISION_BYTES);
    assert_eq!(framing::decide(blank.as_bytes(), false), Some(FramedBy::Lines));
    let object = format!("{{\n\"a\":[{}", "1,".repeat(framing::DECISION_BYTES));
    assert_eq!(framing::decide(object.as_bytes(), false), Some(FramedBy::Values));
    // A pipe's first record does not wait for its second.
    assert_eq!(framing::decide(b"{\"a\":1}\n", false), Some(FramedBy::Lines));
    assert_eq!((framing::decide(b"{\"a\":1}", false), framing::decide(b"[{\"a\":1}]\n", false)), (None, None));
}

#[test]
fn an_array_without_its_end_is_told() {
    let folder = Folder::new(&[("cut.json", "[\n{\"a\":1},\n{\"a\":2},\n"), ("whole.json", "[\n{\"a\":1}\n]")]);
    let source = folder.open("*.json").unwrap();
    for found in source.discover().unwrap() {
        drain(&mut *source.open(&found, wake()).unwrap(), || 9).unwrap();
    }
    let concerns = source.concerns();
    assert!(concerns.len() == 1 && concerns[0].contains("cut.json: its array has no end"), "{concerns:?}");
}
