//! A partition whose records are all gone: nothing that is read tells from when on minutes are whole. It is said, and an operator
//! who knows says it; what a later run finds in newer minutes is whole by itself.

use crate::common::kafka::{Kafka, Writer};
use crate::common::program::{Ended, PATIENCE, Program};
use crate::common::rows::{Rows, Wanted, only, same, sqlite};
use crate::common::{now, rfc3339};
use crate::live::{SHORT, short};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND};

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);

/// Ten old records of partition 1, which go; then one tick a second of partition 0.
fn log(kafka: &Kafka, topic: &str, began: EventTime, seconds: i64) -> Writer {
    let writer = kafka.writer(topic);
    (0..10).for_each(|second| writer.tick(1, "OLD", 100, began.plus((second - 86_400) * SECOND)));
    (0..seconds).for_each(|second| writer.tick(0, "TICK", 100 + second, began.plus(second * SECOND)));
    writer.flush();
    kafka.delete_before(topic, 1, 10);
    writer
}

/// So many rows of this state, and of no other.
fn all(what: &str, rows: &Rows, state: &str, count: usize) {
    let found = rows.values().filter(|cells| cells.state == state).count();
    assert_eq!((found, rows.len()), (count, count), "{what}: {rows:?}");
}

#[test]
fn a_bounded_run_says_why_all_is_partial_and_takes_the_operators_word() {
    let Some(kafka) = Kafka::of_tests("a partition whose records are all gone") else { return };
    let topic = kafka.topic("expired", 2, &[("message.timestamp.after.max.ms", "31536000000")]);
    let writer = log(&kafka, &topic, BEGAN, 1800);
    let folder = tempfile::tempdir().unwrap();
    let source = kafka.uri(&topic);
    let db = |job: &str| folder.path().join(format!("{job}.db"));
    let run = |job: &str, more: &[&str]| -> Ended {
        let sink = format!("sqlite:{}", db(job).display());
        let args = ["--source", &source, "--job", job, "--sink", &sink, "--metrics", "avg", "--until-end"];
        Program::run(folder.path(), &[&args[..], more].concat(), &[]).well()
    };
    let said = format!("`partial`: partition {topic}/1 begins at offset 10 and has no valid record");
    let ended = run("silent", &["--keep-open"]);
    assert!(ended.said.contains(&said) && ended.said.contains("--complete-from TIME"), "{}", ended.said);
    all("nothing tells", &sqlite(&db("silent")), "partial", 30);

    let ended = run("told", &["--close", "--complete-from", &rfc3339(BEGAN.plus(600 * SECOND).0)]);
    assert!(ended.said.contains("minutes before 2026-01-05T08:10:00Z are `partial`"), "{}", ended.said);
    let mut wanted = Wanted::of(&kafka.read_back(&topic), &Rule::default(), None, false);
    for (number, cells) in wanted.rows.values_mut().enumerate() {
        cells.state = if number < 10 { "partial" } else { "final" }.to_owned();
    }
    same("from the tenth minute on", &sqlite(&db("told")), &wanted.rows);

    // It decides what rows say: another word needs another state.
    let args = ["--source", &source, "--sink", "stdout:", "--until-end"];
    let other = ["--complete-from", "2026-01-05T08:00:00Z"];
    for (job, more) in [("silent", &other[..]), ("told", &[]), ("told", &other)] {
        let refused = Program::run(folder.path(), &[&args[..], &["--job", job], more].concat(), &[]);
        refused.refused(64, &["--complete-from ", "--job NAME"]);
    }

    // Of minutes after the first run nothing can have been deleted before it.
    let later = now().plus(86_400 * SECOND);
    (0..1800).for_each(|second| writer.tick(0, "TICK", 100 + second, later.plus(second * SECOND)));
    writer.flush();
    run("silent", &["--close", "--as-of", &rfc3339(later.plus(3600 * SECOND).0)]);
    let rows = sqlite(&db("silent"));
    let after = only(&rows, |(minute, _), _| *minute >= rfc3339(later.0 - 60 * SECOND));
    assert!(after.len() >= 30 && after.values().all(|cells| cells.state == "final"), "{after:?}");
    all("what was before stays", &only(&rows, |key, _| !after.contains_key(key)), "partial", 30);
}

#[test]
fn a_live_runs_backfill_is_whole_where_the_operator_says_so() {
    let Some(kafka) = Kafka::of_tests("a live run and a partition whose records are all gone") else { return };
    let topic = kafka.topic("expired-live", 2, &[]);
    let began = now().plus(-600 * SECOND);
    log(&kafka, &topic, began, 600);
    let folder = tempfile::tempdir().unwrap();
    let (source, rule) = (kafka.uri(&topic), short());
    let wanted = Wanted::of(&kafka.read_back(&topic), &rule, None, false).rows.len();
    let start = |job: &str, more: &[&str]| {
        let sink = format!("sqlite:{}", folder.path().join(job).join("m.db").display());
        let args = ["--source", &source, "--job", job, "--sink", &sink, "--metrics", "avg"];
        Program::start(folder.path(), &[&args[..], &SHORT, more].concat(), &[])
    };
    let states = |job: &str, state: &str| {
        let rows = sqlite(&folder.path().join(job).join("m.db"));
        rows.values().filter(|cells| cells.state == state).count()
    };
    let mut silent = start("silent", &[]);
    let said = format!("`partial`: partition {topic}/1 begins at offset 10");
    silent.until("the line says it", PATIENCE, |run| run.live().is_some_and(|line| line.contains(&said)));
    drop(silent);
    let mut told = start("told", &["--complete-from", &rfc3339(began.0 - 60 * SECOND)]);
    told.until("all is final", PATIENCE, |_| states("told", "final") == wanted);
    assert_eq!(states("told", "partial"), 0);
}
