//! Runs that a timer starts: each reads a topic to where it ends then, and leaves open what later records can change. And a
//! device whose clock stands still, alone in its partition.

use crate::common::kafka::Kafka;
use crate::common::now;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::{letters, sqlite};
use crate::live::SHORT;
use minutely_dataflows::time::{EventTime, SECOND};

#[test]
fn a_topic_that_is_read_each_night_loses_nothing_in_order() {
    const A_NIGHT: i64 = 100; // records, one a second, in turn to two partitions
    let Some(kafka) = Kafka::of_tests("a topic that is read each night") else { return };
    let topic = kafka.topic("nightly", 2, &[]);
    let writer = kafka.writer(&topic);
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sink) = (kafka.uri(&topic), format!("sqlite:{}", db.display()));
    let began = EventTime(1_767_600_000 * SECOND);
    let args = ["--source", &source, "--sink", &sink, "--job", "nightly", "--until-end", "--weight-field="];
    for night in 0..4 {
        for second in night * A_NIGHT..(night + 1) * A_NIGHT {
            writer.tick(i32::try_from(second % 2).unwrap(), "A", 100, began.plus(second * SECOND));
        }
        writer.flush();
        let ended =
            Program::run(folder.path(), &[&args[..], &["-w", ["1", "3"][usize::from(night % 2 == 1)]]].concat(), &[]);
        let ended = ended.well();
        assert_eq!((ended.done("counted"), ended.done("late")), ((night + 1) * A_NIGHT, 0), "{}", ended.said);
        assert!(!ended.said.contains("grown since"), "nothing was closed: {}", ended.said);
        assert!(
            ended.said.contains("left open: ") && ended.said.contains("--close makes them final"),
            "{}",
            ended.said
        );
    }
    // Ten minutes later the first minutes would be final; now none is, until that is asked for.
    assert!(sqlite(&db).values().all(|cells| cells.state != "final"));
    Program::run(folder.path(), &[&args[..], &["--close"]].concat(), &[]).well();
    let rows = sqlite(&db);
    assert!(rows.values().all(|cells| cells.state == "final"), "{rows:?}");
    assert_eq!(rows.values().map(|cells| cells.count).sum::<i64>(), 4 * A_NIGHT);
}

#[test]
fn a_clock_that_stands_still_holds_nobody_back_with_max_past() {
    let Some(kafka) = Kafka::of_tests("a device whose clock stands still") else { return };
    let topic = kafka.topic("stuck", 2, &[]);
    let writer = kafka.writer(&topic);
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sink) = (kafka.uri(&topic), format!("sqlite:{}", db.display()));
    let args = [&["--source", &source, "--sink", &sink, "--job", "stuck", "--max-past", "1h"], &SHORT[..]].concat();
    let mut run = Program::start(folder.path(), &args, &[]);
    let mut sent = 0;
    run.until("windows of the good device are final", PATIENCE, |_| {
        for _ in 0..5 {
            writer.tick(0, "GOOD", 100, now());
            writer.tick(1, "STUCK", 100, EventTime(7 * SECOND));
            sent += 1;
        }
        writer.flush();
        let rows = sqlite(&db);
        assert!(rows.keys().all(|(_, symbol)| symbol == "GOOD"), "{rows:?}");
        rows.values().filter(|cells| cells.state == "final").count() >= 3
    });
    let read = |run: &Program| run.live().is_some_and(|line| line.contains(&format!("{sent} quarantined")));
    run.until("all of the other's are set aside", PATIENCE, read);
    run.stopped();
    let reasons: Vec<_> =
        letters(folder.path()).iter().map(|letter| letter["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, vec!["past"; sent]);
}
