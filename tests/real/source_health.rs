//! A source that cannot be read is seen: `/readyz`, the metric, the status and the line a second say so, with the reason,
//! and all of them say when it is well again. What a partition waits for is named, too.

use crate::common::kafka::{Kafka, OwnKafka};
use crate::common::program::{PATIENCE, Program};
use crate::common::{now, poll};
use crate::live::SHORT;
use minutely_dataflows::time::SECOND;
use serde_json::Value;

/// A live run that serves.
fn serving(source: &str, folder: &std::path::Path, more: &[&str], env: &[(&str, &str)]) -> Program {
    let sink = format!("sqlite:{}", folder.join("minutes.db").display());
    let args = ["--source", source, "--sink", &sink, "--http", "127.0.0.1:0"];
    Program::start(&folder.join("data"), &[&args[..], &SHORT, more].concat(), env)
}

fn ready(run: &mut Program) {
    run.until("it is ready", PATIENCE, |run| {
        run.get("/readyz").0 == 200 && run.get("/metrics").1.contains("\nminutely_source_healthy_bool 1\n")
    });
}

/// Not ready, with all of this in the reason, wherever it is told.
fn red(run: &mut Program, what: &str, parts: &[&str]) {
    let has = |text: &str| parts.iter().all(|part| text.contains(part));
    run.until(what, PATIENCE, |run| {
        let (status, why) = run.get("/readyz");
        status == 503 && why.starts_with("source: ") && has(&why)
    });
    assert!(run.get("/metrics").1.contains("\nminutely_source_healthy_bool 0\n"));
    run.until("the status tells it", PATIENCE, |run| status(run)["source_trouble"].as_str().is_some_and(has));
    run.until("the line tells it", PATIENCE, |run| run.live().is_some_and(|line| has(&line)));
    assert_eq!(run.get("/healthz").0, 200, "the program itself is alive");
}

fn status(run: &Program) -> Value {
    serde_json::from_str(&run.get("/api/status").1).unwrap()
}

fn ticks(kafka: &Kafka, topic: &str, partitions: i32) {
    let writer = kafka.writer(topic);
    (0..10 * partitions).for_each(|n| {
        writer.tick(n % partitions, "TICK", 100, now().plus(i64::from(n - 10 * partitions) * SECOND / 10))
    });
    writer.flush();
}

#[test]
fn a_broker_that_is_dead_or_frozen_makes_health_red_until_it_is_back() {
    let Some(own) = OwnKafka::start("health of the source") else { return };
    let topic = own.kafka.topic("health", 1, &[]);
    ticks(&own.kafka, &topic, 1);
    let folder = tempfile::tempdir().unwrap();
    let mut run = serving(&own.kafka.uri(&topic), folder.path(), &[], &[]);
    ready(&mut run);

    own.kill();
    let address = own.kafka.address.clone();
    red(
        &mut run,
        "a dead broker",
        &[&format!("no answer from kafka at {address} for "), &address, "Connection refused"],
    );
    own.again();
    ready(&mut run);

    own.signal("STOP");
    red(&mut run, "a frozen broker", &[&format!("no answer from kafka at {address} for ")]);
    own.signal("CONT");
    ready(&mut run);
    let counted = run.counted();
    ticks(&own.kafka, &topic, 1);
    run.until("it reads on", PATIENCE, |run| run.counted() > counted);
    run.stopped();
}

#[test]
fn a_partition_without_a_leader_is_named() {
    let Some(own) = OwnKafka::two("a partition without a leader") else { return };
    let topic = own.kafka.topic("leaderless", 2, &[]);
    ticks(&own.kafka, &topic, 2);
    let folder = tempfile::tempdir().unwrap();
    let mut run = serving(&own.kafka.uri(&topic), folder.path(), &[], &[]);
    ready(&mut run);
    own.one("kill", "2");
    red(
        &mut run,
        "a partition without a leader",
        &[&format!("partition {topic}/"), " has no leader", "start one of them"],
    );
    let status = status(&run);
    let waiting = status["partitions"].as_array().unwrap().iter().filter(|p| p["waits_for"].is_string()).count();
    assert_eq!(waiting, 1, "{}", status["partitions"]);
    own.one("start", "2");
    ready(&mut run);
    run.stopped();
}

#[test]
fn an_open_transaction_is_named_and_is_not_the_end() {
    let Some(kafka) = Kafka::of_tests("words about an open transaction") else { return };
    let topic = kafka.topic("held", 2, &[]);
    ticks(&kafka, &topic, 2);
    let folder = tempfile::tempdir().unwrap();
    let mut run = serving(&kafka.uri(&topic), folder.path(), &[], &[]);
    let caught_up = |run: &Program| {
        let status = status(run);
        let partitions = status["partitions"].as_array().unwrap();
        partitions.len() == 2 && partitions.iter().all(|p| p["caught_up"] == true && p["waits_for"].is_null())
    };
    run.until("both are caught up", PATIENCE, caught_up);

    let open = kafka.transactions(&topic);
    open.begin();
    open.tick(1, "HELD", 100, now());
    open.flush();
    // The other goes on, so that the one with the transaction is what is waited for.
    let plain = kafka.writer(&topic);
    let told = format!("partition {topic}/1 waits for an open transaction at offset 10: ");
    run.until("the line names it", PATIENCE, |run| {
        plain.tick(0, "FREE", 100, now());
        plain.tick(1, "BEHIND", 100, now());
        plain.flush();
        run.live().is_some_and(|line| line.contains(&told))
    });
    run.until("and so does the open minute", PATIENCE, |run| {
        plain.tick(0, "FREE", 100, now());
        plain.flush();
        let status = status(run);
        assert!(!status["concerns"].as_array().unwrap().is_empty(), "{status}");
        status["open_minute"]["why"].as_str().is_some_and(|why| {
            why.starts_with(&format!("waits for {topic}/1, which waits for an open transaction at offset 10: "))
        })
    });
    open.commit();
    run.until("it goes with the transaction", PATIENCE, |run| {
        status(run)["partitions"].as_array().unwrap().iter().all(|p| p["waits_for"].is_null())
    });
    run.stopped();
}

#[test]
fn what_to_grant_is_said_and_does_no_harm() {
    let Some(own) = OwnKafka::guarded("rights") else { return };
    let topic = own.kafka.topic("rights", 1, &[]);
    ticks(&own.kafka, &topic, 1);
    own.grant(&["--operation", "Read", "--operation", "Describe", "--topic", &topic]);
    let uri = format!("kafka://{}/{topic}", own.listener("SASL_PLAINTEXT"));
    let security =
        ["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice"];
    let password = [("MINUTELY_KAFKA_PASSWORD", "alice-secret")];
    let folder = tempfile::tempdir().unwrap();
    let mut run = serving(&uri, folder.path(), &[&security[..], &["--job", "rights"]].concat(), &password);
    ready(&mut run);
    let told = "the offsets of group 'minutely-rights', for tools that show its lag, are not committed, and results are the same: \
                this user may not; grant READ on group 'minutely-rights'";
    run.until("it says what to grant", PATIENCE, |run| run.said().contains(told));
    poll("it counts", PATIENCE, || (run.counted() == 10).then_some(()));
    for _ in 0..3 {
        let counted = run.counted();
        ticks(&own.kafka, &topic, 1);
        run.until("it goes on", PATIENCE, |run| run.counted() > counted);
        assert_eq!(run.get("/readyz").0, 200);
    }
    let said = run.stopped().said;
    assert!(!said.contains("goes on trying") && !said.contains("FindCoordinator"), "{said}");
}
