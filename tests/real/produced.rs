//! `minutely produce`: what it wrote is what the source has, record for record.

use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::rows::{csv, letters};
use std::io::Write;

#[test]
fn a_topic_gives_the_rows_that_the_market_gives() {
    let Some(kafka) = Kafka::of_tests("a market, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let market = "sim:?seed=11&partitions=3&rate=300&symbols=30&history=20m&late=1%&broken=0.5%&duplicate=1%";
    let topic = kafka.topic("market", 3, &[]);
    let to = kafka.uri(&topic);
    let bounded = ["--until-end", "--as-of", "2026-01-06T15:00:00Z"];
    let data = |name: &str| folder.path().join(name);

    let produced = Program::produce(&[&["--from", market, "--to", &to], &bounded[..]].concat()).well();
    let total = produced.done("records");
    assert!(total > 300_000, "{}", produced.said);
    assert_eq!(produced.done("acknowledged"), total);

    let rows = |name: &str, source: &str| {
        let sink = format!("csv:{}", data(name).with_extension("csv").display());
        let args = [&["--source", source, "--sink", &sink, "--emit", "final", "--close"], &bounded[..]].concat();
        let ended = Program::run(&data(name), &args, &[]).well();
        assert_eq!(ended.done("records"), total);
        let mut rows = csv(&data(name).with_extension("csv"));
        // The market's log begins at an offset above 0.
        rows.values_mut().for_each(|cells| cells.state = "any".into());
        (rows, letters(&data(name)).len())
    };
    let (from_topic, from_market) = (rows("topic", &to), rows("market", market));
    assert!(from_topic.0.len() > 600 && from_topic.1 > 1000, "{} {}", from_topic.0.len(), from_topic.1);
    assert!(from_topic == from_market, "the topic gives other rows than the market");
}

#[test]
fn files_are_replayed_line_by_line() {
    let Some(kafka) = Kafka::of_tests("files, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for number in 0..2 {
        let mut file = std::fs::File::create(folder.path().join(format!("{number}.jsonl"))).unwrap();
        let of_file = |at: i64| match at % 7 {
            6 => "no json".to_owned(),
            _ => format!(r#"{{"symbol":"S{number}","price":{at},"ts":{}}}"#, 1_767_600_000_000 + at * 1000),
        };
        lines.push((0..100).map(of_file).collect::<Vec<_>>());
        lines[number].iter().for_each(|line| writeln!(file, "{line}").unwrap());
    }
    // Not there before: it is made, with a partition for each file.
    let topic = format!("replayed-{}", std::process::id());
    let from = format!("file:{}/*.jsonl", folder.path().display());
    let to = kafka.uri(&topic);
    let ended = Program::produce(&["--from", &from, "--to", &to, "--speed", "1000"]).well();
    assert_eq!((ended.done("records"), ended.done("acknowledged")), (200, 200));
    let log = kafka.read_back(&topic);
    let payload = |payload: &Option<Vec<u8>>| String::from_utf8(payload.clone().unwrap()).unwrap();
    let there: Vec<Vec<_>> = log.iter().map(|p| p.records.iter().map(|r| payload(&r.payload)).collect()).collect();
    assert_eq!(there, lines);

    let limited = Program::produce(&["--from", &from, "--to", &to, "--limit", "7", "--partition-by", "key"]).well();
    assert_eq!(limited.done("acknowledged"), 7);
    let more = "file:/nowhere/*.jsonl";
    Program::produce(&["--from", more, "--to", &to]).refused(64, &["/nowhere"]);
    let wide = Program::produce(&["--from", "sim:?partitions=9", "--to", &to, "--limit", "1"]);
    wide.refused(64, &["has 2 partitions and the source 9", "--partition-by key"]);
}
