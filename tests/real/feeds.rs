//! Live feeds: what a server that stands for them sends is what the topic has, and what a run counts.

use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::csv;
use crate::scripted::{Script, ScriptedServer, Step};

/// A trade a second of two symbols in turn; the price of each is its number.
fn trade(kind: &str, id: u64) -> Step {
    let (product, second) = (["LTC-EUR", "XLM-EUR"][usize::try_from(id % 2).unwrap()], id % 60);
    Step::Text(format!(
        r#"{{"type":"{kind}","trade_id":{},"side":"buy","size":"0.5","price":"{id}","product_id":"{product}","sequence":{id},"time":"2026-03-02T10:{:02}:{second:02}.25Z"}}"#,
        id / 2,
        id / 60
    ))
}

#[test]
fn trades_of_a_feed_are_counted_by_a_run() {
    let Some(kafka) = Kafka::of_tests("a live feed, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let topic = kafka.topic("feed", 3, &[]);
    let to = kafka.uri(&topic);
    let first = [Step::Take].into_iter().chain((0..150).map(|id| trade("match", id))).collect();
    let garbage = Step::Text("<html>".to_owned());
    let again = [Step::Take, trade("last_match", 148), trade("last_match", 149), garbage]
        .into_iter()
        .chain((160..200).map(|id| trade("match", id)))
        .chain([Step::Hold])
        .collect();
    let server = ScriptedServer::start(vec![("/", Script::Socket(first)), ("/", Script::Socket(again))]);
    let args = ["--from", "coinbase:LTC-EUR,XLM-EUR", "--to", &to, "--partition-by", "key"];
    let mut program = Program::producing(&args, &[("MINUTELY_TEST_FEED_URL", &server.url)]);
    let log = || kafka.read_back(&topic).into_iter().flat_map(|partition| partition.records).collect::<Vec<_>>();
    program.until("all trades are there", PATIENCE, |_| log().len() == 190);
    program.signal("INT");
    let ended = program.ended(PATIENCE).well();
    assert_eq!((ended.done("records"), ended.done("acknowledged")), (190, 190));
    let counts = "coinbase: 190 records of 193 frames, 2 repeats left out, 1 frame not understood, 10 trades known to be missing, 1 new";
    let away = "trades of that time, if there were any, are missing";
    for part in [counts, away, "coinbase: a frame is not understood", "5 trades are missing (trade ids 75 to 79)"] {
        assert!(ended.said.contains(part), "`{part}`: {}", ended.said);
    }
    for record in log() {
        let payload = String::from_utf8(record.payload.unwrap()).unwrap();
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        assert!(payload.starts_with(&format!(r#"{{"symbol":"{key}","price":""#)), "{payload}");
    }

    let rows = folder.path().join("minutes.csv");
    let sink = format!("csv:{}", rows.display());
    let run = ["--source", &to, "--until-end", "--sink", &sink, "--emit", "final", "--close"];
    let ended = Program::run(&folder.path().join("data"), &run, &[]).well();
    assert_eq!(ended.done("records"), 190);
    let rows = csv(&rows);
    let count = |symbol: &str, minute: &str| rows[&(format!("2026-03-02T10:{minute}:00Z"), symbol.to_owned())].count;
    assert_eq!((count("LTC-EUR", "00"), count("XLM-EUR", "01"), count("LTC-EUR", "02")), (30, 30, 25));
    assert_eq!(rows.values().map(|cells| cells.count).sum::<i64>(), 190);
}

#[test]
fn a_limit_and_a_refusal_end_a_feed() {
    let Some(kafka) = Kafka::of_tests("a live feed that ends") else { return };
    let topic = kafka.topic("feed-ends", 1, &[]);
    let to = kafka.uri(&topic);
    let produce = |server: &ScriptedServer, more: &[&str]| {
        let args = [&["--from", "coinbase:LTC-EUR", "--to", &to], more].concat();
        Program::producing(&args, &[("MINUTELY_TEST_FEED_URL", &server.url)]).ended(PATIENCE)
    };
    let steps = [Step::Take].into_iter().chain((0..50).map(|id| trade("match", id * 2))).chain([Step::Hold]).collect();
    let ended = produce(&ScriptedServer::start(vec![("/", Script::Socket(steps))]), &["--limit", "7"]).well();
    assert_eq!(ended.done("acknowledged"), 7);
    let error = r#"{"type":"error","message":"Failed to subscribe","reason":"LTC-EUR is not a valid product"}"#;
    let server =
        ScriptedServer::start(vec![("/", Script::Socket(vec![Step::Take, Step::Text(error.into()), Step::Hold]))]);
    let ended = produce(&server, &[]);
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(
        ended.said.contains("Failed to subscribe: LTC-EUR is not a valid product; 0 records were acknowledged before")
    );
}
