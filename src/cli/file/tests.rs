//! Files of options: what they say to which command, and what is wrong with them.

use super::*;
use crate::cli::command;

fn said(text: &str, path: &[&str]) -> FileOptions {
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    read(&OptionFile { name: "m.toml", text }, &command(), &path)
}

/// The values of each option, in the order of their keys.
fn values(text: &str, path: &[&str]) -> Vec<(String, String)> {
    let said = said(text, path);
    assert_eq!(said.mistakes, Vec::<String>::new());
    let mut all: Vec<_> = said.values.into_iter().map(|one| (one.key, one.values.join(" | "))).collect();
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn values_are_texts_numbers_and_lists() {
    let text = "
        window = '1m'
        w = 8
        max-keys = 5_000_000
        as-of = 2026-01-05T08:00:00Z
        until-end = true
        weight-field = ''
        sink = ['csv:a b.csv', { uri = 'sqlite:b.db', table = 't' }]
        http-host = 'one.example'
    ";
    let want = [
        ("as-of", "2026-01-05T08:00:00Z"),
        ("http-host", "one.example"),
        ("max-keys", "5000000"),
        ("sink", "csv:a b.csv | sqlite:b.db?table=t"),
        ("until-end", "true"),
        ("weight-field", ""),
        ("window", "1m"),
        ("workers", "8"),
    ];
    assert_eq!(values(text, &[]), pairs(&want));
    assert_eq!(values(text, &["run"]), values(text, &["config", "show"]));
}

#[test]
fn tables_hold_the_source_sinks_and_properties() {
    let text = "
        [source]
        uri = 'kafka://b:9092/ticks'
        symbol-field = '@key'
        start = 'latest'
        [[sink]]
        uri = 'influxdb://h:8086/o/b?batch=7'
        tag.site = 'a & b'
        token_file = '/run/t'
        [[sink]]
        uri = 'csv:a.csv'
        rotate = '1d'
        [kafka]
        client.id = 'x'
        'security.protocol' = 'SSL'
        fetch.wait.max.ms = 5
    ";
    let want = [
        ("kafka-properties", "client.id=x"),
        ("kafka-properties", "fetch.wait.max.ms=5"),
        ("kafka-properties", "security.protocol=SSL"),
        ("sink", "influxdb://h:8086/o/b?batch=7&tag.site=a+%26+b&token_file=%2Frun%2Ft | csv:a.csv?rotate=1d"),
        ("source", "kafka://b:9092/ticks"),
        ("start", "latest"),
        ("symbol-field", "@key"),
    ];
    assert_eq!(values(text, &["state", "show"]), pairs(&want));
}

#[test]
fn a_command_takes_its_own_options_and_those_of_its_table_win() {
    let text = "
        window = '1m'
        time-unit = 's'
        start = 'latest'
        kafka.client.id = 'general'
        kafka.debug = 'all'
        [produce]
        time-unit = 'ns'
        to = 'kafka://b:1/t'
        kafka.client.id = 'producer'
        [state]
        json = true
        [health]
        http = '127.0.0.1:1'
    ";
    let of_run = [
        ("kafka-properties", "client.id=general"),
        ("kafka-properties", "debug=all"),
        ("start", "latest"),
        ("time-unit", "s"),
        ("window", "1m"),
    ];
    assert_eq!(values(text, &[]), pairs(&of_run));
    let of_produce = [
        ("kafka-properties", "client.id=producer"),
        ("kafka-properties", "debug=all"),
        ("start", "latest"),
        ("time-unit", "ns"),
        ("to", "kafka://b:1/t"),
    ];
    assert_eq!(values(text, &["produce"]), pairs(&of_produce));
    assert!(values(text, &["state", "show"]).contains(&("json".into(), "true".into())));
    assert!(!values(text, &["state", "check"]).iter().any(|(key, _)| key == "json"));
    assert_eq!(values(text, &["health"]), pairs(&[("http", "127.0.0.1:1")]));
}

#[test]
fn all_mistakes_are_said_with_line_and_column() {
    let text = "wndow = '1m'
until-end = 'yes'
lateness = [1]
max_keys = 5
  sink = [['csv:a']]
workers = 2
w = 3
config = 'other.toml'
emit = true
job = \"a\\u0000b\"
xyzzy = 1
[source]
uri = 'sim:'
sink = 'csv:a'
[kafka]
client.id = ['a']
[produce]
window = '1m'
[[sinks]]
uri = 'csv:a'
";
    let mistakes = said(text, &[]).mistakes;
    let want = [
        "m.toml line 1 column 1: no option is called 'wndow'; did you mean 'window'?",
        "m.toml line 2 column 13: 'until-end' takes true or false, not a string",
        "m.toml line 3 column 12: 'lateness' takes text or a number (TIME), not an array",
        "m.toml line 4 column 1: no option is called 'max_keys'; did you mean 'max-keys'?",
        "m.toml line 5 column 11: 'sink' takes an array of texts, not of arrays",
        "m.toml line 6 column 1: 'workers' is given twice: here and in m.toml line 7",
        "m.toml line 8 column 1: 'config' cannot be in a file: a file names no other file",
        "m.toml line 9 column 8: 'emit' takes one of changes, final, not a boolean",
        "m.toml line 10 column 7: 'job' holds a NUL character",
        "m.toml line 11 column 1: no option is called 'xyzzy'; a key is the name of an option without `--`",
        "m.toml line 14 column 1: 'sink' is not of the source: it stands outside of [source]",
        "m.toml line 16 column 13: 'client.id' takes a text or a number, not an array",
        "m.toml line 18 column 1: no option of `minutely produce` is called 'window'; a key is the name of an option without `--`",
        "m.toml line 19 column 3: no option is called 'sinks'; did you mean 'sink'?",
    ];
    assert_eq!(mistakes, want);
    let two = said("[[source]]\nuri = 'sim:'\n[[sink]]\nrotate = '1d'\n", &[]).mistakes;
    assert!(two[0].contains("a run has one source") && two[1].contains("takes tables with `uri`"), "{two:?}");
}

#[test]
fn what_is_no_toml_is_said_alone() {
    let mistakes = said("window = = 1\njob = \"a\nwndow = 1\n", &[]).mistakes;
    assert!(mistakes.len() > 1 && mistakes[0].starts_with("m.toml line 1 column 10: "), "{mistakes:?}");
    assert!(!mistakes.iter().any(|why| why.contains("wndow") || why.contains('\n')), "{mistakes:?}");
    assert_eq!(said("", &[]).mistakes, Vec::<String>::new());
}

#[test]
fn a_file_that_holds_a_secret_is_known() {
    assert!(said("kafka.'sasl.password' = 'hunter2'", &[]).has_secret);
    assert!(!said("kafka.'sasl.password' = 'env:PASS'", &[]).has_secret);
    assert!(!said("kafka.'sasl.username' = 'alice'", &[]).has_secret);
}

#[test]
fn the_file_of_the_documentation_is_taken_by_all_commands() {
    let page = include_str!("../../../docs/cli.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let run = values(example, &[]);
    for (key, value) in [
        ("max-keys", "5000000"),
        ("source", "kafka://b1:9092,b2:9092/ticks"),
        ("symbol-field", "/data/s"),
        ("kafka-properties", "sasl.password=file:/run/secrets/kafka"),
    ] {
        assert!(run.contains(&(key.to_owned(), value.to_owned())), "{key}: {run:?}");
    }
    let produce = values(example, &["produce"]);
    assert!(produce.contains(&("rate".into(), "1000".into())) && produce.contains(&("time-unit".into(), "us".into())));
    assert_eq!(values(example, &["health"]), pairs(&[("http", "127.0.0.1:9000")]));
}
