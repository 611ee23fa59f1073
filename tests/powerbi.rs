//! The query of docs/powerbi.md, as far as it can be run without Power Query: what it asks, a run answers, and each column reads as
//! the type that the query gives it.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::poll;
use common::program::PATIENCE;
use common::web::{get, json, serving};
use std::collections::BTreeMap;
use std::path::Path;

/// The query, without its comments.
fn query() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/powerbi.md")).unwrap();
    let code = page.split("```powerquery\n").nth(1).unwrap().split("```").next().unwrap();
    code.lines().map(|line| line.split(" //").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// What stands between two texts; they are there once.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let mut parts = text.split(before);
    let found = parts.nth(1).unwrap_or_else(|| panic!("no `{before}`")).split(after).next().unwrap();
    assert!(parts.next().is_none(), "`{before}` is there twice");
    found
}

/// The columns and their types, in order.
fn columns(query: &str) -> Vec<(String, String)> {
    let list = between(query, "Columns = {", "\n    },");
    let pairs = list.split("{\"").skip(1).map(|pair| {
        let (name, rest) = pair.split_once("\", ").unwrap();
        (name.to_owned(), rest.split('}').next().unwrap().to_owned())
    });
    pairs.collect()
}

/// The address that the query asks, with these values for what stands in the record `Query`.
fn path(query: &str, values: &BTreeMap<&str, String>) -> String {
    let relative = between(query, "RelativePath = \"", "\"");
    let record = format!("{}, {}", between(query, "Query = [", "]"), between(query, "Filter = [", "]"));
    let mut depth = 0;
    let fields = record.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    let pairs = fields.map(|field| {
        let (name, value) = field.trim().split_once(" = ").unwrap();
        let value = match value.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').to_owned(),
            None => values.get(value).unwrap_or_else(|| panic!("`{value}` has no value here")).clone(),
        };
        format!("{name}={}", encode(&value))
    });
    format!("/{relative}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Does a text read as that type? In the culture `en-US`, as the query says; an empty one is null, but of what is always there.
fn reads(kind: &str, text: &str) -> bool {
    let number = |text: &str| {
        text.bytes().all(|c| b"0123456789.-+eE".contains(&c)) && text.parse::<f64>().is_ok_and(f64::is_finite)
    };
    match kind {
        "type text" => !text.is_empty(),
        "type datetimezone" => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        "Int64.Type" => text.parse::<i64>().is_ok(),
        "type number" => text.is_empty() || number(text),
        other => panic!("{other}: a type that this test does not know"),
    }
}

#[test]
fn what_the_query_asks_is_answered_and_reads_as_its_types() {
    let query = query();
    assert!(query.contains("Encoding = 65001") && query.contains("\"en-US\""), "UTF-8, and a point in decimals");
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", folder.path().join("m.db").display());
    let args = ["--source", "sim:?symbols=5&history=20m&rate=50", "--lateness", "1m", "--idle", "2s", "--sink", &db];
    let derive = ["--derive", "sma5,bb20,macd,rsi14,stddev"];
    let (_program, at) = serving(folder.path(), &[&args[..], &derive].concat(), &[]);
    let symbol = between(&query, "symbol = \"", "\"");
    let finals = poll("there are final minutes", PATIENCE, || {
        let rows = json(&at, &format!("/api/minutes?symbol={symbol}"))["rows"].as_array().unwrap().clone();
        let minutes = rows.iter().filter(|row| row["state"] == "final").map(|row| row["minute"].as_i64().unwrap());
        Some(minutes.collect::<Vec<_>>()).filter(|minutes| minutes.len() > 9)
    });
    let named = columns(&query);
    let derived: Vec<String> = serde_json::from_value(json(&at, "/api/status")["settings"]["derived"].clone()).unwrap();
    assert!(derived.len() > 5, "{derived:?}");

    // RangeStart and RangeEnd, in the format that the query writes them in.
    assert!(query.contains("[Format = \"yyyy-MM-dd'T'HH:mm:ss'Z'\""));
    let utc = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ask = |from: i64, to: i64| {
        let values = BTreeMap::from([("Utc(RangeStart)", utc(from)), ("Utc(RangeEnd)", utc(to))]);
        get(&at, &path(&query, &values))
    };
    let (first, middle, last) = (finals[0], finals[5], finals[9]);
    let whole = ask(first, last);
    let mut csv = csv::Reader::from_reader(whole.as_bytes());
    let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(header, [names, derived].concat(), "the named columns, and those of --derive, which are numbers");
    let kinds: BTreeMap<&str, &str> = named.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let mut minutes = Vec::new();
    for record in csv.records() {
        let record = record.unwrap();
        for (name, text) in header.iter().zip(&record) {
            let kind = kinds.get(name.as_str()).copied().unwrap_or("type number");
            assert!(reads(kind, text), "{name}: {text:?} is not of {kind}");
        }
        assert_eq!((&record[0], &record[5]), (symbol, "final"), "its rows alone, and what is final stays final");
        minutes.push(record[1].parse::<jiff::Timestamp>().unwrap().as_millisecond());
    }
    assert_eq!(minutes, finals[..9], "from is part of the range, and to is not");

    // Ranges side by side have each row once.
    let body = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!([body(&ask(first, middle)), body(&ask(middle, last))].concat(), body(&whole));
}
