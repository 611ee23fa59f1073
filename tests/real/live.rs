//! Live runs: windows become final by evidence and on time, and nothing is lost to a pause, a lag or a new partition.

use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::{Rows, Wanted, letters, only, same, same_letters, sqlite};
use crate::common::{now, poll, rfc3339};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND, Windowing};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A life short enough to be watched.
pub(crate) const SHORT: [&str; 6] = ["--window", "2s", "--lateness", "4s", "--idle", "2s"];

/// The same, for the oracle.
pub(crate) fn short() -> Rule {
    let windowing = Windowing { length: 2 * SECOND, lateness: 4 * SECOND };
    Rule { windowing, idle: 2 * SECOND, ..Rule::default() }
}

/// A live run into SQLite.
struct Live {
    run: Program,
    folder: tempfile::TempDir,
    db: PathBuf,
}

impl Live {
    fn start(kafka: &Kafka, topic: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("minutes.db");
        let (source, sink) = (kafka.uri(topic), format!("sqlite:{}", db.display()));
        let mut args = vec!["--source", &source, "--sink", &sink, "--metrics", "avg"];
        args.extend(more);
        let run = Program::start(&folder.path().join("data"), &args, &[]);
        Live { run, folder, db }
    }

    fn rows(&self) -> Rows {
        sqlite(&self.db)
    }

    fn until_rows(&mut self, what: &str, mut so: impl FnMut(&Rows) -> bool) {
        let db = self.db.clone();
        self.run.until(what, PATIENCE, |_| so(&sqlite(&db)));
    }

    /// Stops it; rows and letters are these. `open`: what begins here or later may be in any state.
    fn ends(self, wanted: &Wanted, open: Option<&str>) {
        let ended = self.run.stopped();
        let plain = |rows: &Rows| {
            let mut rows = rows.clone();
            let any = rows.iter_mut().filter(|((minute, _), _)| open.is_some_and(|open| minute.as_str() >= open));
            any.for_each(|(_, cells)| cells.state = "any".into());
            rows
        };
        same("rows", &plain(&sqlite(&self.db)), &plain(&wanted.rows));
        same_letters(&letters(&self.folder.path().join("data")), &wanted.letters);
        let counts =
            [("records", wanted.counts.read), ("counted", wanted.counts.counted), ("late", wanted.counts.late)];
        counts.iter().for_each(|(what, want)| assert_eq!(ended.done(what), *want, "{}", ended.said));
    }
}

fn all_final(wanted: &Wanted) -> impl Fn(&Rows) -> bool {
    let many = wanted.rows.len();
    move |rows| rows.len() == many && rows.values().all(|cells| cells.state == "final")
}

/// The start of the window of so many seconds that holds this time, as a row has it.
fn window(time: EventTime, seconds: i64) -> String {
    let length = seconds * SECOND;
    rfc3339(time.0.div_euclid(length) * length)
}

#[test]
fn beside_an_idle_partition_windows_become_final_on_time_and_the_last_one_closes() {
    const LATER: i64 = 8; // seconds of event time that evidence, commit and a busy machine may take
    let Some(kafka) = Kafka::of_tests("final windows beside an idle partition") else { return };
    let topic = kafka.topic("idle", 2, &[]);
    let mut live = Live::start(&kafka, &topic, &SHORT);
    let writer = kafka.writer(&topic);
    let mut seen: BTreeMap<String, EventTime> = BTreeMap::new(); // when a window was first seen to be final
    let mut look = |rows: &Rows| {
        for ((minute, _), _) in rows.iter().filter(|(_, cells)| cells.state == "final") {
            seen.entry(minute.clone()).or_insert_with(now);
        }
    };
    let (began, mut ticks, mut last) = (Instant::now(), 0, now());
    poll("sixteen seconds of ticks", PATIENCE, || {
        if u128::from(began.elapsed().as_secs()) * 2 >= ticks {
            (last, ticks) = (now(), ticks + 1);
            writer.tick(0, "TICK", i64::try_from(ticks).unwrap(), last);
            writer.flush();
        }
        look(&live.rows());
        (began.elapsed() > Duration::from_secs(16)).then_some(())
    });
    let log = kafka.read_back(&topic);
    let wanted = Wanted::of(&log, &short(), None, false);
    live.until_rows("the last window is final", |rows| {
        look(rows);
        all_final(&wanted)(rows)
    });
    live.ends(&wanted, None);
    assert!(seen.len() >= 8, "{seen:?}");
    for (minute, at) in &seen {
        let start: jiff::Timestamp = minute.parse().unwrap();
        let took = at.0 / SECOND - start.as_second() - 2 - 4;
        assert!((-1..=LATER).contains(&took), "{minute} was final {took} s after end + lateness: {seen:?}");
    }
    let before_the_end = seen.values().filter(|at| **at < last).count();
    assert!(before_the_end > 0, "none became final while ticks came: {seen:?}");
}

#[test]
fn two_partitions_that_lag_one_another_lose_nothing() {
    let Some(kafka) = Kafka::of_tests("partitions that lag one another") else { return };
    for _ in 0..3 {
        let topic = kafka.topic("lag", 2, &[]);
        let mut live = Live::start(&kafka, &topic, &SHORT);
        let writer = kafka.writer(&topic);
        let (mut next, mut slowest) = (Instant::now(), Duration::ZERO);
        for n in 0..14 {
            writer.tick(0, "AHEAD", n + 1, now());
            writer.tick(1, "BEHIND", n + 1, now().plus(-7 * SECOND)); // more than window and lateness
            writer.flush();
            slowest = slowest.max(next.elapsed());
            next += Duration::from_secs(1);
            std::thread::sleep(next.saturating_duration_since(Instant::now())); // a tick a second is what is tested
        }
        if slowest > Duration::from_millis(700) {
            eprintln!("this machine is too busy for a tick a second ({slowest:?} behind): once more");
            continue;
        }
        let wanted = Wanted::of(&kafka.read_back(&topic), &short(), None, false);
        assert_eq!((wanted.counts.counted, wanted.letters.len()), (28, 0), "by the log alone nothing is late");
        live.until_rows("all is final", all_final(&wanted));
        live.ends(&wanted, None);
        return;
    }
    panic!("this machine is too busy for a tick a second");
}

#[test]
fn a_pause_in_a_replay_of_old_data_makes_nothing_late() {
    let Some(kafka) = Kafka::of_tests("a pause in a replay") else { return };
    let topic = kafka.topic("pause", 2, &[]);
    let mut live = Live::start(&kafka, &topic, &["-w", "2"]); // all defaults
    let writer = kafka.writer(&topic);
    let began = EventTime(1_700_000_000 * SECOND);
    let replay = |seconds: std::ops::Range<i64>| {
        for second in seconds {
            let partition = i32::try_from(second % 2).unwrap();
            writer.tick(
                partition,
                ["EVEN", "ODD"][usize::try_from(partition).unwrap()],
                second,
                began.plus(second * SECOND),
            );
        }
        writer.flush();
    };
    replay(0..1800);
    // Until W has passed all that there is: by evidence, and no further than a pause of today takes.
    let newest = rfc3339(began.plus(1801 * SECOND).0);
    live.run.until("W passes the newest record", PATIENCE, |run| run.w() > newest);
    let w = live.run.w();
    assert!(w < rfc3339(began.plus(2000 * SECOND).0), "W {w}");
    replay(1800..3600);
    // What lies an hour on makes all before it final.
    (0..2).for_each(|partition| writer.tick(partition, "LAST", 1, began.plus(7200 * SECOND)));
    writer.flush();
    let wanted = Wanted::of(&kafka.read_back(&topic), &Rule::default(), None, false);
    assert_eq!((wanted.counts.counted, wanted.letters.len()), (3602, 0));
    let last = window(began.plus(7200 * SECOND), 60);
    live.until_rows("all is final", |rows| {
        let ended = only(rows, |(minute, _), cells| *minute < last && cells.state == "final");
        ended.len() + 1 == wanted.rows.len() && rows.len() == wanted.rows.len()
    });
    live.ends(&wanted, Some(&last));
}

#[test]
fn a_partition_added_while_running_counts_from_its_first_record() {
    let Some(kafka) = Kafka::of_tests("a partition added while running") else { return };
    let topic = kafka.topic("grown", 2, &[]);
    // Event time is the test's alone: --idle is longer than the test.
    let mut live = Live::start(
        &kafka,
        &topic,
        &["--window", "2s", "--lateness", "4s", "--idle", "5m", "-w", "3", "--start", "latest"],
    );
    live.run.until("it begins", PATIENCE, |run| run.live().is_some());
    let began = now().plus(-900 * SECOND);
    let at = |second: i64| began.plus(second * SECOND);
    let writer = kafka.writer(&topic);
    let ticks = |writer: &crate::common::kafka::Writer, partition, symbol: &str, seconds: std::ops::Range<i64>| {
        seconds.for_each(|second| writer.tick(partition, symbol, second, at(second)));
        writer.flush();
    };
    ticks(&writer, 0, "ZERO", 0..31);
    ticks(&writer, 1, "ONE", 0..31);
    live.until_rows("both are read", |rows| {
        let latest = window(at(30), 2);
        rows.contains_key(&(latest.clone(), "ZERO".into())) && rows.contains_key(&(latest, "ONE".into()))
    });
    kafka.grow(&topic, 3);
    let fresh = kafka.writer(&topic); // knows of the new one at once
    ticks(&fresh, 2, "TWO", 28..36); // none is late: W is at second 30
    live.until_rows("the new one is read", |rows| {
        let two = only(rows, |(_, symbol), _| symbol == "TWO");
        two.values().map(|cells| cells.count).sum::<i64>() == 8
    });
    // W waits for all three.
    ticks(&fresh, 0, "ZERO", 100..101);
    ticks(&fresh, 1, "ONE", 100..101);
    live.until_rows("they go on", |rows| rows.contains_key(&(window(at(100), 2), "ONE".into())));
    let beyond = only(&live.rows(), |(minute, _), cells| *minute > window(at(35), 2) && cells.state != "open");
    same("W waits for the new partition", &beyond, &Rows::new());
    ticks(&fresh, 2, "TWO", 100..101);
    let last = window(at(100), 2);
    live.until_rows("all but the last window is final", |rows| {
        only(rows, |(minute, _), _| *minute < last).values().all(|cells| cells.state == "final")
    });
    let wanted = Wanted::of(&kafka.read_back(&topic), &short(), None, false);
    assert_eq!(wanted.counts.counted, 31 + 31 + 8 + 3);
    live.ends(&wanted, Some(&last));
}
