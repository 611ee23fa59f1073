//! The main job: two million ticks in eight partitions, into InfluxDB; the same when both servers fail in mid-run.

use crate::common::influx::{Influx, OwnInflux};
use crate::common::kafka::{Kafka, OwnKafka, SLOWLY};
use crate::common::program::{Ended, PATIENCE, Program};
use crate::common::rows::{Wanted, letters, same, same_letters};
use crate::common::{now, seed};
use fastrand::Rng;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::SECOND;
use std::time::Duration;

const TICKS: i64 = 2_000_000;
const PARTITIONS: i32 = 8;
const SYMBOLS: usize = 100;

/// Eight hours of trade that ended an hour ago, in disorder of up to 20 s.
fn produce(rng: &mut Rng, kafka: &Kafka) -> String {
    let topic = kafka.topic("ticks", PARTITIONS, &[]);
    let writer = kafka.writer_with(&topic, &[("batch.num.messages", "1000"), ("linger.ms", "20")]);
    let symbols: Vec<String> = (0..SYMBOLS).map(|n| format!("SYM-{n:03}")).collect();
    let (began, step) = (now().0 - 9 * 3600 * SECOND, 8 * 3600 * SECOND / TICKS);
    for n in 0..TICKS {
        let time = began + n * step - rng.i64(0..20_000) * SECOND / 1000;
        let symbol = rng.usize(0..SYMBOLS);
        let partition = i32::try_from(symbol).unwrap() % PARTITIONS;
        writer.tick(partition, &symbols[symbol], rng.i64(1..100_000), minutely_dataflows::time::EventTime(time));
    }
    writer.flush();
    topic
}

/// A run that is under way, and where its data is.
fn start(kafka: &Kafka, topic: &str, influx: &Influx, more: &[&str]) -> (Program, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (source, sink) = (kafka.uri(topic), influx.uri());
    let mut args = vec!["--source", &source, "--sink", &sink, "-w", "4", "--until-end", "--close", "--metrics", "avg"];
    args.extend(more);
    (Program::start(folder.path(), &args, &[("MINUTELY_INFLUX_TOKEN", &influx.token)]), folder)
}

fn check(ended: &Ended, folder: &tempfile::TempDir, influx: &Influx, wanted: &Wanted) {
    assert_eq!(ended.done("records"), TICKS, "{}", ended.said);
    same("minute", &influx.rows("minute"), &wanted.rows);
    same("minute_live", &influx.rows("minute_live"), &wanted.rows);
    same_letters(&letters(folder.path()), &wanted.letters);
}

#[test]
fn two_million_ticks_and_both_servers_fail() {
    const WHAT: &str = "two million ticks from Kafka into InfluxDB";
    let (Some(broker), Some(database)) = (OwnKafka::start(WHAT), OwnInflux::start(WHAT)) else { return };
    let topic = produce(&mut seed(), &broker.kafka);
    let wanted = Wanted::of(&broker.kafka.read_back(&topic), &Rule::default(), Some(now()), false);
    assert_eq!((wanted.counts.read, wanted.rows.len()), (TICKS, wanted.rows_in("final").len()));
    assert!(wanted.rows.len() > 470 * SYMBOLS, "{} rows", wanted.rows.len());

    let (run, folder) = start(&broker.kafka, &topic, &database.influx, &[]);
    check(&run.ended(PATIENCE).well(), &folder, &database.influx, &wanted);

    let another = database.bucket();
    let (mut run, folder) = start(&broker.kafka, &topic, &another, &SLOWLY);
    let minute = Duration::from_secs(60);
    run.until("some is read", minute, |run| run.counted() > TICKS / 20);
    broker.kill();
    let read = run.counted();
    assert!(read < TICKS / 2, "{read} read before the broker was killed: not in mid-run");
    broker.again();
    run.until("it goes on", minute, |run| run.counted() > read + TICKS / 20);
    database.stop();
    let read = run.counted();
    assert!(read < TICKS * 3 / 4, "{read} read before InfluxDB was stopped: not in mid-run");
    run.until("it says so", minute, |run| run.live().is_some_and(|line| line.contains("Connection refused")));
    database.again();
    check(&run.ended(PATIENCE).well(), &folder, &another, &wanted);
}
