//! `kill -9` at any moment of a live run on real servers, restarted at another number of workers each time, over and
//! over: at the end every sink has what the oracle has, and each dead letter is there once.
//!
//! Ten kills as a rule, fifty with `MINUTELY_TEST_LONG=1`; `./test with env MINUTELY_TEST_KILLS=3000 cargo test --release --test
//! real killed` for more.

use crate::common::bucket::Prefix;
use crate::common::influx::Influx;
use crate::common::kafka::{Kafka, Writer};
use crate::common::program::{Ended, PATIENCE, Program};
use crate::common::rows::{Rows, Wanted, csv, csv_lines, exceptions, letters, only, plain, same, same_letters, sqlite};
use crate::common::{now, seed};
use crate::hostile::Partition;
use crate::live::short;
use fastrand::Rng;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{Evidence, Reason};
use minutely_dataflows::time::{EventTime, SECOND};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Partitions of the log. The last is a day's worst: it is silent for longer than `--idle`, and then brings what lies
/// further back than the lateness.
const PARTITIONS: i32 = 4;
/// A life short enough to be watched, and silence short enough for floors in lives that are short.
const RULE: [&str; 6] = ["--window", "2s", "--lateness", "4s", "--idle", "500ms"];
/// Many cuts, so that a kill falls between any two steps of one.
pub(crate) const OFTEN: [&str; 2] = ["--checkpoint-interval", "100ms"];
/// A symbol whose records are all an hour ahead: it never has a row.
const FUTURE: &str = "FUTURE";

/// How often a run is killed.
fn kills() -> u32 {
    let long = std::env::var_os("MINUTELY_TEST_LONG").is_some();
    let asked = std::env::var("MINUTELY_TEST_KILLS").ok().map(|text| text.parse().expect("MINUTELY_TEST_KILLS=N"));
    asked.unwrap_or(if long { 50 } else { 10 })
}

/// Writes ticks on a thread of its own until it is told to stop.
pub(crate) struct Producer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Producer {
    pub(crate) fn start(writer: Writer, mut rng: Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (base, began) = (now(), Instant::now());
            while !told.load(Ordering::Relaxed) {
                let elapsed = began.elapsed();
                let time = base.plus(i64::try_from(elapsed.as_nanos()).unwrap());
                let (awake, lag) = (elapsed.as_secs() % 6 < 2, 8 * SECOND);
                for _ in 0..rng.usize(1..25) {
                    tick(&writer, &mut rng, time, awake, lag);
                }
                std::thread::sleep(Duration::from_millis(rng.u64(1..30))); // a rate, not a wait
            }
            writer.flush();
        });
        Producer { stop, thread }
    }

    /// The log is as long as it will be.
    pub(crate) fn stopped(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// A topic for a producer. `stamps`: whose they are.
pub(crate) fn topic(kafka: &Kafka, stamps: &str) -> String {
    kafka.topic("killed", PARTITIONS, &[("message.timestamp.type", stamps)])
}

/// One record: a plain tick as a rule.
fn tick(writer: &Writer, rng: &mut Rng, now: EventTime, awake: bool, lag: i64) {
    let number = rng.i32(0..PARTITIONS);
    if number == PARTITIONS - 1 && !awake {
        return;
    }
    let behind = if number == PARTITIONS - 1 { lag } else { 0 } + rng.i64(0..SECOND);
    let (symbol, cents) = (format!("S{:02}", rng.u8(0..12)), rng.i64(1..10_000_000));
    match rng.u8(..100) {
        0 => writer.send(number, None, Some(b"{\"symbol\":\"S00\""), now.0 / 1_000_000),
        1 => writer.send(number, None, None, now.0 / 1_000_000),
        2 => writer.tick(number, FUTURE, cents, now.plus(3600 * SECOND)),
        3..6 => writer.tick(number, &symbol, cents, now.plus(-behind - rng.i64(0..30) * SECOND)),
        _ => writer.tick(number, &symbol, cents, now.plus(-behind)),
    }
}

/// How long a life is: dead before it has read its options, while it connects, before its first commit, or later.
fn life(rng: &mut Rng) -> Duration {
    Duration::from_millis(match rng.u8(..10) {
        0 => rng.u64(0..20),
        1..4 => rng.u64(20..400),
        4..8 => rng.u64(400..2000),
        _ => rng.u64(2000..5000),
    })
}

/// A job with all of its sinks.
pub(crate) struct Job {
    source: String,
    influx: Influx,
    folder: tempfile::TempDir,
    emit: &'static str,
    /// Where its state is, if it is in a bucket.
    state: Option<Prefix>,
    /// A run was taken over, so `minute_live`, which is a view, may have rows that it had in hand.
    pub(crate) stale: bool,
}

impl Job {
    pub(crate) fn new(kafka: &Kafka, topic: &str, influx: Influx, emit: &'static str) -> Self {
        Job { source: kafka.uri(topic), influx, folder: tempfile::tempdir().unwrap(), emit, state: None, stale: false }
    }

    /// The same with its state in a bucket.
    pub(crate) fn in_bucket(self, prefix: &Prefix) -> Self {
        Job { state: Some(prefix.clone()), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path("minutes.db")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn start(&self, workers: usize, more: &[&str]) -> Program {
        let (db, text) = (self.db(), self.path("minutes.csv"));
        let sinks = [self.influx.uri(), format!("sqlite:{}", db.display()), format!("csv:{}", text.display())];
        let workers = workers.to_string();
        let mut args = vec!["--source", &self.source, "--job", "killed", "--emit", self.emit, "-w", &workers];
        args.extend(sinks.iter().flat_map(|sink| ["--sink", sink]));
        args.extend(RULE);
        args.extend(more);
        let mut env = vec![("INFLUX_TOKEN", &*self.influx.token)];
        let state = self.state.as_ref().map(Prefix::uri);
        args.extend(state.iter().flat_map(|uri| ["--state", uri]));
        env.extend(self.state.iter().flat_map(Prefix::env));
        Program::start(&self.data(), &args, &env)
    }

    /// Waits until the whole log is read and final everywhere, stops the run, and compares. The log has its end.
    pub(crate) fn ends(&self, mut run: Program, kafka: &Kafka, topic: &str) {
        let log = kafka.read_back(topic);
        let records: i64 = log.iter().map(|partition| i64::try_from(partition.records.len()).unwrap()).sum();
        run.until("all is read", PATIENCE, |run| run.read() == records);
        run.until("all is final", PATIENCE, |run| {
            let rows = sqlite(&self.db());
            let counted = rows.values().map(|cells| cells.count).sum::<i64>();
            counted == run.counted() && rows.values().all(|cells| cells.state == "final")
        });
        let ended = run.stopped();
        let rule = Rule { idle: SECOND / 2, ..short() };
        let wanted = accounted(&log, &rule, &self.data(), &ended);
        same("sqlite", &sqlite(&self.db()), &wanted.rows);
        same("minute", &self.influx.rows("minute"), &plain(&wanted.rows));
        if self.emit == "changes" {
            let (live, wanted) = (self.influx.rows("minute_live"), plain(&wanted.rows));
            let old = only(&live, |key, cells| {
                self.stale && cells.state != "final" && cells.count <= wanted.get(key).map_or(0, |wanted| wanted.count)
            });
            let newest = |rows: &Rows| only(rows, |key, _| !old.contains_key(key));
            same("minute_live", &newest(&live), &newest(&wanted));
        } else {
            assert_eq!(csv_lines(&self.path("minutes.csv")).len(), wanted.rows.len(), "one row a point");
        }
        same("csv", &csv(&self.path("minutes.csv")), &wanted.rows);
    }
}

/// What must come out, of a run that ended well. The dead letters of its folder are right, and so are its numbers.
pub(crate) fn accounted(log: &[Partition], rule: &Rule, data: &Path, ended: &Ended) -> Wanted {
    let found = letters(data);
    let listed = exceptions(&found);
    for judged in listed.iter().map(|letter| letter.judged.as_ref().unwrap()) {
        let final_at = rule.windowing.final_at(rule.windowing.window_of(judged.time));
        match judged.evidence {
            Evidence::Floor(floor) => assert!(final_at <= floor, "{judged:?}"),
            Evidence::Clock(clock) => assert!(judged.time > clock.plus(rule.max_future), "{judged:?}"),
            _ => panic!("the log gives it: {judged:?}"),
        }
    }
    let wanted = Wanted::with(log, rule, &listed, true);
    let counts = ["records", "counted", "late", "rejected", "quarantined"].map(|what| ended.done(what));
    let want = &wanted.counts;
    let by_floor = listed.iter().filter(|letter| letter.reason == Reason::Late).count();
    eprintln!("{} rows, {want:?}, {} exceptions, {by_floor} by floor", wanted.rows.len(), listed.len());
    same_letters(&found, &wanted.letters);
    assert_eq!(counts, [want.read, want.counted, want.late, want.rejected, want.quarantined], "{}", ended.said);
    assert_eq!(ended.kept(), want.counted, "what counts is held or forgotten: {}", ended.said);
    assert!(wanted.rows.keys().all(|(_, symbol)| symbol != FUTURE), "what lies an hour ahead counts for nothing");
    wanted
}

/// `state`: where the state is, if it is in a bucket; a run that was killed has no lock there, and is taken over.
pub(crate) fn killed_over_and_over(emit: &'static str, state: Option<&Prefix>) {
    let what = format!("kill -9, --emit {emit}");
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(&what), Influx::of_tests(&what)) else { return };
    let mut rng = seed();
    let stamps = ["CreateTime", "LogAppendTime"][rng.usize(..2)];
    let topic = topic(&kafka, stamps);
    let job = Job::new(&kafka, &topic, influx, emit);
    let job = Job { state: state.cloned(), ..job };
    let file_size = ["1kB", "4kB", "100kB", "none"][rng.usize(..4)];
    let options = [&OFTEN[..], &["--dead-letter-file-size", file_size], state.map_or(&[], |_| &["--take-over"][..])];
    let options = options.concat();
    let producer = Producer::start(kafka.writer(&topic), rng.fork());
    let (kills, mut committed) = (kills(), 0);
    for _ in 0..kills {
        let program = job.start(rng.usize(1..=8), &options);
        std::thread::sleep(life(&mut rng)); // how long it lives is drawn, and nothing is expected of it
        committed += u32::from(program.said().contains("resuming from manifest"));
        drop(program); // kill -9
    }
    producer.stopped();
    eprintln!("{stamps}: {kills} kills; {committed} lives went on with what the one before had committed");
    job.ends(job.start(rng.usize(1..=8), &options), &kafka, &topic);
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_counted_twice() {
    killed_over_and_over("changes", None);
}

#[test]
fn killed_at_any_moment_each_final_row_is_written_once() {
    killed_over_and_over("final", None);
}
