//! `minutely check`: what it says of records before a run, and its exit codes.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::command;
use std::path::Path;

/// How a check ended.
struct Checked {
    code: Option<i32>,
    /// On stdout.
    printed: String,
    /// On stderr.
    said: String,
}

fn run(data: &Path, args: &[&str]) -> Checked {
    let output = command().args(args).arg("--data").arg(data).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Checked { code: output.status.code(), printed: text(output.stdout), said: text(output.stderr) }
}

/// Checks one file with these options.
fn check(folder: &Path, name: &str, lines: &[&str], options: &[&str]) -> Checked {
    let file = folder.join(name);
    std::fs::write(&file, lines.join("\n")).unwrap();
    let source = format!("file:{}", file.display());
    let args = [&["check", "--source", &source, "--as-of", "2026-02-03T00:00:00Z"], options].concat();
    run(&folder.join("data"), &args)
}

const FIELDS: [&str; 8] = ["--symbol-field", "s", "--value-field", "p", "--time-field", "T", "--weight-field", "q"];

#[test]
fn records_that_count_are_shown_field_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"e":"trade","s":"ETHEUR","p":"2101.55","q":"0.25","T":1769904000123}"#,
        r#"{"e":"bookTicker","s":"ETHEUR"}"#,
    ];
    let ended = check(folder.path(), "a.jsonl", &lines, &[&FIELDS[..], &["--where", "e=trade"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for part in [
        "offset 0: s = ETHEUR (symbol) · p = 2101.55 (value) · T = 2026-02-01T00:00:00.123000000Z (time) · q = 0.25 (weight)",
        "offset 1: skipped by --where",
        "2 records read = 1 counted",
        "1 skipped",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
    assert!(!folder.path().join("data").exists(), "nothing is written");
}

#[test]
fn what_would_not_count_is_said_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"[{"sym":"IBM","p":231.5,"t":1769904000},{"sym":"IBM","p":"231,5","t":1769904001}]"#,
        r#"[{"sym":"IBM","t":1769904002}]"#,
    ];
    let options =
        ["--each", "", "--symbol-field", "sym", "--value-field", "p", "--time-field", "t", "--weight-field", "v"];
    let ended = check(folder.path(), "b.jsonl", &lines, &options);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in [
        "offset 0, element 1: REJECTED (type): p: expected a number, or a string that is exactly one, found \"231,5\"",
        r#"{"sym":"IBM","p":"231,5","t":1769904001}"#,
        "offset 1, element 0: REJECTED (null): p: expected a number",
        "no such field (there are sym, t)",
        "2 records read, 3 events = 1 counted",
        "read as seconds",
        "no record has a weight in v",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
    assert!(ended.said.contains("2 of 3 events would not count"), "{}", ended.said);
}

#[test]
fn what_a_run_refuses_a_check_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let none = run(&folder.path().join("data"), &["check", "--source", "file:/nowhere/*.jsonl"]);
    assert_eq!(none.code, Some(64), "{}", none.said);
    let empty = check(folder.path(), "c.jsonl", &[], &[]);
    assert_eq!(empty.code, Some(65), "{}", empty.said);
    assert!(empty.said.contains("no record was read"), "{}", empty.said);
    let filter = check(folder.path(), "d.jsonl", &["{}"], &["--where", "=x"]);
    assert_eq!(filter.code, Some(64), "{}", filter.said);
    assert!(filter.said.contains("--where"), "{}", filter.said);
}

/// Which change events count, and as what the others are skipped; a decimal whose scale nothing says names the option that does.
#[test]
fn change_events_are_shown_as_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let event = |op: &str| {
        format!(r#"{{"before":null,"after":{{"s":"UBSG","p":"C7g=","t":1770000000123}},"source":{{}},"op":"{op}"}}"#)
    };
    let (inserted, deleted) = (event("c"), event("d"));
    let lines = [&inserted, &deleted, r#"{"status":"BEGIN","id":"7","event_count":null}"#];
    let fields = ["--envelope", "debezium", "--symbol-field", "s", "--value-field", "p", "--time-field", "t"];
    let ended = check(folder.path(), "a.jsonl", &lines, &[&fields[..], &["--decimal-scale", "p=2"]].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.printed, ended.said);
    for part in [
        "offset 0: s = UBSG (symbol) · p = 30 (value) · t = 2026-02-02T02:40:00.123000000Z (time)",
        "offset 1: a deletion, skipped by --envelope debezium",
        "offset 2: the boundary of a transaction, skipped by --envelope debezium",
        "3 records read = 1 counted",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
    let ended = check(folder.path(), "b.jsonl", &lines, &fields);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let part = r#"REJECTED (type): p: expected a number, or a string that is exactly one, found "C7g=" (decimal in base64? --decimal-scale says its scale)"#;
    assert!(ended.printed.contains(part), "{}", ended.printed);
    let row = [r#"{"s":"UBSG","p":1,"t":1}"#];
    let ended = check(folder.path(), "c.jsonl", &row, &fields);
    assert!(ended.printed.contains("without it fields are the record's own"), "{}", ended.printed);
    let ended = check(folder.path(), "c.jsonl", &row, &["--decimal-scale", "p"]);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    for part in ["--decimal-scale p: takes a field", "--decimal-scale: is for --envelope debezium"] {
        assert!(ended.said.contains(part), "{part}: {}", ended.said);
    }
}
/// Which condition skipped a record, what stands in its field, and what is no record at all.
#[test]
fn a_record_that_is_skipped_comes_with_its_condition() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"e":"bookTicker","s":"ETHEUR"}"#,
        r#"{"s":"ETHEUR","p":"2101.55","T":1769904000123}"#,
        r#"{"e":"trade","x":7,"s":"ETHEUR","p":"2101.55","T":1769904000123}"#,
        r#"{"e":"trade","s":"ETHEUR","p":"2101.55","T":1769904000123}"#,
    ];
    let options = [&FIELDS[..], &["--where", "e=trade|agg", "--where", "!x"]].concat();
    let ended = check(folder.path(), "a.jsonl", &lines, &options);
    for part in [
        "offset 0: skipped by --where e=trade|agg: found \"bookTicker\"\n",
        "offset 1: skipped by --where e=trade|agg: found no such field\n",
        "offset 2: skipped by --where !x: found 7\n",
        "offset 3: s = ETHEUR (symbol)",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
    let rows = ["# made by hand", "s,p,T,side", "ETHEUR,2101.55,1769904000123,buy", "", "ETHEUR,1,1769904000123,sell"];
    let options =
        ["--format", "csv", "--skip-lines", "1", "--weight-field", "", "--where", "side=buy"].into_iter().chain(FIELDS);
    let options: Vec<&str> = options.take(14).collect(); // without the weight
    let ended = check(folder.path(), "b.csv", &rows, &options);
    for part in [
        "offset 0: skipped: a line before the first row (--skip-lines)\n",
        "offset 1: skipped: the header\n",
        "offset 2: s = ETHEUR (symbol)",
        "offset 3: skipped: an empty line\n",
        "offset 4: skipped by --where side=buy: found \"sell\"\n",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}{}", ended.printed, ended.said);
    }
}

/// A field that stands beside the array of `--each` is named where an element lacks it.
#[test]
fn a_field_beside_the_array_gets_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let record =
        r#"{"type":"trade","at":1769904000123,"data":[{"s":"ETHEUR","p":"2101.55"},{"s":"ETHEUR","p":"2101.56"}]}"#;
    let fields = ["--each", "/data", "--symbol-field", "s", "--value-field", "p", "--weight-field", ""];
    let of = |more: &[&str]| check(folder.path(), "a.jsonl", &[record], &[&fields[..], more].concat());
    let ended = of(&["--time-field", "@message/at", "--where", "type=trade"]);
    for part in [
        "offset 0, element 1: skipped by --where type=trade: found no such field; the message has one beside the array: @message/type\n",
        "nothing passes --where",
        "; --where type=trade is of each element; of the message it is --where @message/type=trade\n",
    ] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
    let ended = of(&["--time-field", "at"]);
    let hint = "no such field (there are p, s); the message has one beside the array: @message/at";
    assert!(ended.code == Some(65) && ended.printed.contains(hint), "{}", ended.printed);
    let ended = of(&["--time-field", "@message/at", "--where", "@message/type=trade"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.printed, ended.said);
}

/// What `--each` leads to, and what elements are, is said with the array's name.
#[test]
fn what_each_cannot_take_apart_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let of = |record: &str, each: &str| {
        check(folder.path(), "a.jsonl", &[record], &[&FIELDS[..], &["--each", each]].concat()).printed
    };
    let array = "an array, whose elements are events, or one object";
    for (record, each, said, advice) in [
        (
            r#"{"data":7}"#,
            "/data",
            &*format!("REJECTED (shape): /data: expected {array}, found 7\n"),
            "--each says which array that is",
        ),
        (
            "7",
            "",
            &format!("REJECTED (shape): @payload: expected {array}, found 7\n"),
            "--each says which array that is",
        ),
        (
            r#"{"d":[]}"#,
            "/data",
            &format!("REJECTED (null): /data: expected {array}, found no such field (there are d)\n"),
            "--each says which",
        ),
        (
            r#"{"data":[[2101.55,1]]}"#,
            "/data",
            "element 0: REJECTED (shape): /data: expected elements that are objects (of one that is an array, /0 is the first value), \
             found [2101.55,1]\n",
            "--each says which array that is",
        ),
        (
            "[2101.55]",
            "",
            "element 0: REJECTED (shape): @payload: expected elements that are objects (one that is a value alone is @payload), found 2101.55\n",
            "--each says which array that is",
        ),
    ] {
        let printed = of(record, each);
        assert!(printed.contains(said) && printed.contains(advice), "{said}: {printed}");
    }
}

/// RFC 6901: `-` and `*` are names in an object. Where an array is met, it is said how its elements are read.
#[test]
fn a_step_that_is_a_sign_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let of = |record: &str| {
        let options = ["--symbol-field", "/-/*", "--value-field", "/-/p", "--time-field", "T", "--weight-field", ""];
        check(folder.path(), "a.jsonl", &[record], &options)
    };
    let ended = of(r#"{"-":{"*":"X","p":7},"T":1769904000123}"#);
    assert_eq!(ended.code, Some(0), "{}", ended.printed);
    let options = ["--symbol-field", "=X", "--value-field", "/d/*/p", "--time-field", "T", "--weight-field", ""];
    let ended = check(folder.path(), "a.jsonl", &[r#"{"d":[{"p":7}],"T":1769904000123}"#], &options);
    let hint = "* is a field of that name; of an array, --value-field /d/0/p is the first element, and --each '/d' reads all elements";
    assert!(ended.code == Some(65) && ended.printed.contains(hint), "{}", ended.printed);
}
