//! A run that is told to stop under load: it commits once more and ends well within ten seconds, sinks or no sinks, and
//! the next one goes on without loss. A second signal stops it at once, and that harms nothing either.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::seed;
use crate::killed::{Job, OFTEN, Producer, topic};
use rusqlite::{Connection, TransactionBehavior};

fn under_load(run: &mut Program) {
    run.until("it counts", PATIENCE, |run| run.counted() > 0);
}

/// SIGTERM, until it says so.
fn stopping(run: &mut Program) {
    run.terminate();
    run.until("it says that it stops", PATIENCE, |run| run.said().contains("stopping: one more commit"));
}

#[test]
fn what_a_run_leaves_that_is_told_to_stop_is_gone_on_with() {
    const WHAT: &str = "SIGTERM under load";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(WHAT), Influx::of_tests(WHAT)) else { return };
    let mut rng = seed();
    let topic = topic(&kafka, "CreateTime");
    let job = Job::new(&kafka, &topic, influx, "changes");
    let producer = Producer::start(kafka.writer(&topic), rng.fork());
    let mut read = 0;
    for _ in 0..2 {
        let mut run = job.start(rng.usize(1..=8), &OFTEN);
        under_load(&mut run);
        let ended = run.stopped();
        assert!(ended.done("records") > read, "{}", ended.said);
        assert_eq!(ended.kept(), ended.done("counted"), "{}", ended.said);
        read = ended.done("records");
    }

    // A sink that stores nothing does not keep it: what it lacks comes again with the next run.
    let mut run = job.start(rng.usize(1..=8), &OFTEN);
    under_load(&mut run);
    let mut db = Connection::open(job.db()).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let held = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let ended = run.stopped();
    assert!(ended.done("records") > read, "{}", ended.said);
    held.rollback().unwrap();

    // A second signal: it waits for nothing any more. (It would wait, for this database.)
    let mut run = job.start(rng.usize(1..=8), &OFTEN);
    under_load(&mut run);
    let held = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    run.until("the database is missed", PATIENCE, |run| run.live().is_some_and(|line| line.contains("minutes.db")));
    stopping(&mut run);
    run.terminate();
    let ended = run.ended(PATIENCE);
    assert_eq!(ended.code, Some(128 + 15), "{}", ended.said);
    assert!(!ended.said.contains("minutely: done"), "{}", ended.said);
    held.rollback().unwrap();

    producer.stopped();
    job.ends(job.start(rng.usize(1..=8), &OFTEN), &kafka, &topic);
}
