//! Bad use on real servers: one paragraph with what to do, the documented exit code, nothing half-written.

use crate::common::influx::Influx;
use crate::common::kafka::{Kafka, SLOWLY};
use crate::common::program::{PATIENCE, Program, files};
use crate::common::rows::{Wanted, only, same, sqlite};
use crate::common::{now, rfc3339};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::SECOND;
use std::time::{Duration, Instant};

/// Runs it with a database and a CSV file beside what else is given: refused, and neither file is there.
fn refused(source: &str, more: &[&str], env: &[(&str, &str)], code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sinks = [format!("sqlite:{}", path("minutes.db").display()), format!("csv:{}", path("minutes.csv").display())];
    let mut args = vec!["--source", source, "--sink", &sinks[0], "--sink", &sinks[1]];
    args.extend(more);
    Program::run(&path("data"), &args, env).refused(code, parts);
    assert_eq!(files(folder.path()), Vec::<std::path::PathBuf>::new(), "nothing is written");
}

#[test]
fn a_broker_that_nobody_runs() {
    let began = Instant::now();
    let parts = ["kafka at 127.0.0.1:1 ", "Connection refused", "check that the brokers run"];
    refused("kafka://127.0.0.1:1/ticks", &[], &[], 69, &parts);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[test]
fn a_topic_that_does_not_exist() {
    let Some(kafka) = Kafka::of_tests("a wrong topic") else { return };
    kafka.topic("right", 1, &[]);
    let parts = ["topic 'wrong' does not exist", "it has ", "correct the name in --source"];
    refused(&kafka.uri("wrong"), &["--until-end"], &[], 64, &parts);
}

#[test]
fn a_compacted_topic() {
    let Some(kafka) = Kafka::of_tests("a compacted topic") else { return };
    let topic = kafka.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    refused(&kafka.uri(&topic), &[], &[], 64, &[&topic, "cleanup.policy=compact", "read a topic with"]);
}

#[test]
fn a_wrong_token_bucket_or_organization() {
    const WHAT: &str = "a wrong token";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(WHAT), Influx::of_tests(WHAT)) else { return };
    let topic = kafka.topic("token", 1, &[]);
    let wrong = [("MINUTELY_INFLUX_TOKEN", "n0t-the-t0ken")];
    let sink = influx.uri();
    refused(&kafka.uri(&topic), &["--sink", &sink], &wrong, 64, &["MINUTELY_INFLUX_TOKEN", &sink]);
    let right = [("INFLUX_TOKEN", influx.token.as_str())];
    let nowhere = format!("{sink}-nowhere");
    refused(&kafka.uri(&topic), &["--sink", &nowhere], &right, 64, &[&nowhere, "bucket"]);
}

#[test]
fn records_that_are_deleted_before_they_are_read() {
    let Some(kafka) = Kafka::of_tests("offsets out of range in mid-run") else { return };
    const TICKS: i64 = 400_000;
    let topic = kafka.topic("deleted", 1, &[]);
    let writer = kafka.writer_with(&topic, &[("compression.codec", "none"), ("batch.num.messages", "300")]);
    let began = now().plus(-7200 * SECOND);
    (0..TICKS).for_each(|n| writer.tick(0, "GONE", n % 1000, began.plus(n * 3600 * SECOND / TICKS)));
    writer.flush();
    let wanted = Wanted::of(&kafka.read_back(&topic), &Rule::default(), Some(now()), false);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (source, db) = (kafka.uri(&topic), path("minutes.db"));
    let sink = format!("sqlite:{}", db.display());
    let mut args = vec!["--source", &source, "--sink", &sink, "--metrics", "avg", "--until-end", "--close"];
    args.extend(SLOWLY);
    let mut run = Program::start(&path("data"), &args, &[]);
    run.until("final rows are there", PATIENCE, |_| sqlite(&db).values().any(|cells| cells.state == "final"));
    kafka.delete_before(&topic, 0, TICKS - 10);
    let ended = run.ended(PATIENCE);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let why: Vec<&str> =
        ended.said.lines().filter(|line| line.contains("is not in the log") || line.contains("holds ")).collect();
    assert_eq!(why.len(), 1, "{}", ended.said);
    for part in [&format!("partition {topic}/0: offset "), "holds 399990 to 399999", "--start earliest"] {
        assert!(why[0].contains(part), "`{part}` is not in: {}", why[0]);
    }
    let finals = only(&sqlite(&db), |_, cells| cells.state == "final");
    same("what was sent", &finals, &only(&wanted.rows, |key, _| finals.contains_key(key)));

    // From then on a start by time begins at what is left, and its minutes say that they may lack records.
    let (as_of, start) = (rfc3339(now().0), rfc3339(began.0));
    let again = path("again.db");
    let sink = format!("sqlite:{}", again.display());
    let args = [
        "--source",
        &source,
        "--sink",
        &sink,
        "--metrics",
        "avg",
        "--until-end",
        "--close",
        "--start",
        &start,
        "--as-of",
        &as_of,
    ];
    Program::run(&path("again"), &args, &[]).well();
    let wanted = Wanted::of(&kafka.read_back(&topic), &Rule::default(), Some(now()), false);
    assert_eq!((wanted.counts.read, wanted.rows_in("partial").len()), (10, wanted.rows.len()));
    same("what is left", &sqlite(&again), &wanted.rows);
}
