//! A run that is stopped like a laptop that is closed, is taken over meanwhile, and wakes up: it ends with 78, and neither
//! the state nor any sink is harmed by what it had in hand. (`minute_live` may show some of it: InfluxDB has no conditional
//! write, and that is why final rows have a measurement of their own.)

use crate::common::bucket::Prefix;
use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::letters;
use crate::common::seed;
use crate::killed::{Job, Producer, topic};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A cut in every twentieth of a second: a hundred manifests pass in a few.
const OFTEN: [&str; 2] = ["--checkpoint-interval", "50ms"];
/// More manifests than a state keeps, so that the zombie's next number is one that was collected.
const MANY: u64 = 120;

/// Stops it, but not while it has the database: nobody but itself could release that.
fn stopped(run: &Program, db: &Path) {
    loop {
        run.signal("STOP");
        let mut looking = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        looking.busy_timeout(Duration::from_millis(50)).unwrap();
        if looking.transaction_with_behavior(TransactionBehavior::Immediate).is_ok() {
            return;
        }
        run.signal("CONT");
    }
}

/// The newest manifest's number.
fn head(data: &Path, state: Option<&Prefix>) -> u64 {
    if let Some(prefix) = state {
        return prefix.manifests().last().copied().unwrap_or(0);
    }
    let names = std::fs::read_dir(data.join("killed/state/manifest")).unwrap();
    names.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

/// Each row's version.
fn versions(db: &Path) -> BTreeMap<(String, String), (i64, i64, i64)> {
    let db = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let mut query = db.prepare("SELECT minute, symbol, chain, generation, seq FROM minutes").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?)));
    query.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn taken_over(emit: &'static str, state: Option<&Prefix>) {
    let what = format!("a zombie, --emit {emit}");
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(&what), Influx::of_tests(&what)) else { return };
    let mut rng = seed();
    let topic = topic(&kafka, "CreateTime");
    let job = Job::new(&kafka, &topic, influx, emit);
    let mut job = match state {
        Some(prefix) => job.in_bucket(prefix),
        None => job,
    };
    job.stale = true;
    let producer = Producer::start(kafka.writer(&topic), rng.fork());
    let mut zombie = job.start(rng.usize(1..=8), &OFTEN);
    zombie.until("rows and letters are there", PATIENCE, |_| {
        !letters(&job.data()).is_empty() && job.db().exists() && !versions(&job.db()).is_empty()
    });
    if state.is_some() {
        // There is no lock: that it lives is seen by what it commits.
        job.start(rng.usize(1..=8), &OFTEN).ended(PATIENCE).is_fenced("another run owns it (its manifest was");
    }
    stopped(&zombie, &job.db());
    let began = head(&job.data(), state);
    if state.is_none() {
        let refused = job.start(rng.usize(1..=8), &OFTEN).ended(PATIENCE);
        refused.refused(78, &[&format!("process {} owns it", zombie.id()), "--take-over"]);
    }

    let mut heir = job.start(rng.usize(1..=8), &[&OFTEN[..], &["--take-over"]].concat());
    // (A bucket beside other tests may take a second for each.)
    heir.until("many manifests pass", 5 * PATIENCE, |_| head(&job.data(), state) > began + MANY);
    let before = versions(&job.db());
    let generation = before.values().map(|version| version.1).max().unwrap();
    zombie.signal("CONT");
    let ended = zombie.ended(PATIENCE);
    ended.is_fenced("another run has taken it over");
    for (key, version) in versions(&job.db()) {
        match before.get(&key) {
            Some(was) => assert!(version >= *was, "{key:?}: {was:?}, then {version:?}"),
            None => assert_eq!(version.1, generation, "{key:?} is the zombie's: {version:?}"),
        }
    }
    producer.stopped();
    job.ends(heir, &kafka, &topic);
    // What it leaves is whole: a run that goes on finds nothing that is new.
    let again = job.start(rng.usize(1..=8), &OFTEN);
    job.ends(again, &kafka, &topic);
}

#[test]
fn a_run_that_was_taken_over_ends_and_harms_nothing() {
    taken_over("changes", None);
}

#[test]
fn a_run_that_was_taken_over_writes_no_final_row_twice() {
    taken_over("final", None);
}
