//! `--start`: what a chain began with is durable before the first record is read, and a state goes on where it is whatever
//! `--start` says then, which is said.

use crate::common::kafka::Kafka;
use crate::common::now;
use crate::common::program::{Ended, PATIENCE, Program};
use minutely_dataflows::time::SECOND;
use std::path::Path;

fn ticks(kafka: &Kafka, topic: &str, count: i64) {
    let writer = kafka.writer(topic);
    (0..count).for_each(|n| writer.tick(0, "TICK", n, now().plus(-n * SECOND / 100)));
    writer.flush();
}

/// Runs of one job.
fn start(kafka: &Kafka, topic: &str, folder: &Path, more: &[&str]) -> Program {
    let (source, sink) = (kafka.uri(topic), format!("sqlite:{}", folder.join("minutes.db").display()));
    let args = ["--source", &source, "--sink", &sink, "--job", "starts"];
    Program::start(folder, &[&args[..], more].concat(), &[])
}

fn to_the_end(kafka: &Kafka, topic: &str, folder: &Path, more: &[&str]) -> Ended {
    start(kafka, topic, folder, &[&["--until-end", "--keep-open"], more].concat()).ended(PATIENCE).well()
}

#[test]
fn a_run_that_is_killed_in_its_first_second_has_not_forgotten_where_it_began() {
    let Some(kafka) = Kafka::of_tests("kill -9 after --start latest") else { return };
    let topic = kafka.topic("latest", 1, &[]);
    ticks(&kafka, &topic, 1000);
    let folder = tempfile::tempdir().unwrap();
    let latest = ["--start", "latest", "--checkpoint-interval", "10m"]; // no second manifest comes
    let mut run = start(&kafka, &topic, folder.path(), &latest);
    let first = folder.path().join("starts/state/manifest/00000000000000000001");
    run.until("it has begun", PATIENCE, |_| first.exists());
    run.signal("KILL");
    drop(run);
    ticks(&kafka, &topic, 77);
    let ended = to_the_end(&kafka, &topic, folder.path(), &["--start", "latest"]);
    assert_eq!(ended.done("records"), 77, "{}", ended.said);
    assert!(!ended.said.contains("is ignored"), "{}", ended.said);
}

#[test]
fn a_start_other_than_the_states_is_ignored_with_a_warning() {
    let Some(kafka) = Kafka::of_tests("another --start") else { return };
    let topic = kafka.topic("another", 1, &[]);
    ticks(&kafka, &topic, 300);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(to_the_end(&kafka, &topic, folder.path(), &[]).done("records"), 300);
    ticks(&kafka, &topic, 50);
    let ended = to_the_end(&kafka, &topic, folder.path(), &["--start", "latest"]);
    assert_eq!(ended.done("records"), 350, "it goes on: {}", ended.said);
    let told = format!(
        "--start latest is ignored: the state began with --start earliest and resumes where reading stopped \
         ({topic}/0 at offset 300); to read from latest, start a new job (--job NAME)"
    );
    assert!(ended.said.contains(&told), "`{told}` is not in: {}", ended.said);
    let again = to_the_end(&kafka, &topic, folder.path(), &[]);
    assert!(!again.said.contains("is ignored"), "{}", again.said);
}
