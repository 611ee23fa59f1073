//! Container files of Avro, as others write them: what a run reads of them.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use apache_avro::types::Record;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use common::program::{Ended, Program};
use common::rows::csv;
use std::collections::BTreeMap;
use std::path::Path;

const SCHEMA: &str = r#"{"type":"record","name":"Trade","namespace":"x","fields":[
    {"name":"sym","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"px","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":3}},
    {"name":"qty","type":["null","long"],"default":null}]}"#;

/// Trade `n`: a second after the one before, of two symbols, at 100.001 and one thousandth more each time.
fn container(numbers: std::ops::Range<i64>, codec: Codec) -> Vec<u8> {
    let schema = Schema::parse_str(SCHEMA).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec);
    for n in numbers {
        let mut record = Record::new(writer.schema()).unwrap();
        record.put("sym", if n % 2 == 0 { "EVEN" } else { "ODD" });
        record.put("at", apache_avro::types::Value::TimestampMicros((1_767_600_000 + n) * 1_000_000));
        let unscaled = (100_001 + n).to_be_bytes();
        record.put("px", apache_avro::types::Value::Decimal(unscaled.as_slice().into()));
        let quantity = if n % 3 == 0 { None } else { Some(n) };
        record.put("qty", quantity);
        writer.append(record).unwrap();
    }
    writer.into_inner().unwrap()
}

/// Symbol, minute, count, sum and volume of the rows that these trades make, from whole numbers alone.
fn expected(numbers: std::ops::Range<i64>) -> Vec<String> {
    let mut minutes = BTreeMap::new();
    for n in numbers {
        let (count, sum, volume) =
            minutes.entry((n / 60, if n % 2 == 0 { "EVEN" } else { "ODD" })).or_insert((0, 0, 0));
        (*count, *sum, *volume) = (*count + 1, *sum + 100_001 + n, *volume + if n % 3 == 0 { 0 } else { n });
    }
    let exact = |thousandths: i64| {
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    // They begin at 2026-01-05T08:00:00Z.
    let row = |((minute, symbol), (count, sum, volume)): ((i64, &str), (i64, i64, i64))| {
        format!("2026-01-05T{:02}:{:02}:00Z {symbol} {count} {} {volume}", 8 + minute / 60, minute % 60, exact(sum))
    };
    minutes.into_iter().map(row).collect()
}

/// A run over these files of a folder, with further options.
fn run(folder: &Path, files: &str, more: &[&str]) -> Ended {
    let (source, sink) =
        (format!("file:{}", folder.join(files).display()), format!("csv:{}", folder.join("out").display()));
    let fields = "--format avro --symbol-field sym --time-field at --value-field px --weight-field qty --emit final";
    let args: Vec<&str> = ["--source", &source, "--sink", &sink].into_iter().chain(fields.split(' ')).collect();
    Program::run(&folder.join("data"), &[&args[..], more].concat(), &[])
}

fn rows(folder: &Path) -> Vec<String> {
    let rows = csv(&folder.join("out"));
    let row = |((minute, symbol), cells): (&(String, String), &common::rows::Cells)| {
        let volume = cells.market.as_ref().and_then(|market| market.volume.as_deref()).unwrap_or("");
        format!("{minute} {symbol} {} {} {volume}", cells.count, cells.sum)
    };
    rows.iter().map(row).collect()
}

#[test]
fn containers_are_read_to_the_last_digit() {
    for (codec, name) in [(Codec::Null, "null"), (Codec::Deflate(DeflateSettings::default()), "deflate")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.avro"), container(0..5000, codec)).unwrap();
        std::fs::write(folder.path().join("b.avro"), container(5000..5100, codec)).unwrap();
        std::fs::write(folder.path().join("empty.avro"), container(0..0, codec)).unwrap();
        let ended = run(folder.path(), "*.avro", &["-w", "2"]).well();
        // The schema of each file is its record 0.
        assert_eq!(
            (ended.done("records"), ended.done("counted"), ended.done("skipped")),
            (5103, 5100, 3),
            "{}",
            ended.said
        );
        assert_eq!(rows(folder.path()), expected(0..5100), "{name}");
    }
}

/// A later run goes on behind the records that were read, by the schema that stands before them.
#[test]
fn a_container_that_has_grown_is_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let whole = container(0..4000, Codec::Null);
    let mut reader = 0;
    // Where a block ends: behind a sign that is the file's last 16 bytes.
    let sync = &whole[whole.len() - 16..];
    for end in memchr_all(&whole, sync) {
        if end < whole.len() / 2 {
            reader = end + 16;
        }
    }
    let path = folder.path().join("a.avro");
    std::fs::write(&path, &whole[..reader]).unwrap();
    let first = run(folder.path(), "a.avro", &["--keep-open"]).well().done("counted");
    assert!((100..3900).contains(&first), "{first}");
    std::fs::write(&path, &whole).unwrap();
    let ended = run(folder.path(), "a.avro", &["--close"]).well();
    assert_eq!(ended.done("counted"), 4000, "{}", ended.said);
    assert_eq!(rows(folder.path()), expected(0..4000));
    // Cut off within a block, it stops where whole blocks end.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("cut.avro"), &whole[..whole.len() - 20]).unwrap();
    let ended = run(other.path(), "cut.avro", &["--state", "none"]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in ["cut.avro", "its Avro data is damaged or cut off"] {
        assert!(ended.said.contains(part), "{part} is not in {}", ended.said);
    }
}

fn memchr_all(text: &[u8], part: &[u8]) -> Vec<usize> {
    text.windows(part.len()).enumerate().filter(|(_, at)| *at == part).map(|(at, _)| at).collect()
}

#[test]
fn what_is_no_container_and_a_container_that_is_not_expected_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.avro"), container(0..3, Codec::Null)).unwrap();
    std::fs::write(folder.path().join("a.jsonl"), "{}\n").unwrap();
    run(folder.path(), "a.jsonl", &[]).refused(64, &["a.jsonl is no container (Avro)", "--format"]);
    run(folder.path(), "a.avro", &["--schema", "/nowhere.avsc"]).refused(64, &["have their schema"]);
    let file = format!("file:{}", folder.path().join("a.avro").display());
    let of = |args: &[&str]| Program::run(&folder.path().join("data"), args, &[]);
    of(&["--source", &file]).refused(64, &["a.avro is a container (Avro)", "--format avro"]);
    for format in ["protobuf", "json-schema"] {
        of(&["--source", &file, "--format", format]).refused(64, &["has no such messages", "topics alone"]);
    }
    of(&["--format", "avro"]).refused(64, &["--format avro: `sim:` has no such messages"]);
    let to = ["--from", &file, "--to", "kafka://127.0.0.1:1/t", "--format"];
    for format in ["avro", "protobuf", "json-schema"] {
        let ended = Program::produce(&[&to[..], &[format]].concat());
        ended.refused(64, &["produce takes json, csv and tsv alone"]);
    }
}
