//! A state that meets another log than the one it was made of: it halts and says what to do, or goes on where the log is
//! now if it is told to, and the manifest keeps that. And the group's offsets, which tools look at that show a lag.

use crate::common::kafka::{Kafka, OwnKafka};
use crate::common::program::{Ended, PATIENCE, Program};
use crate::common::rfc3339;
use crate::common::rows::{Rows, Wanted, letters, only, same, same_letters, sqlite};
use crate::hostile::Partition;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND};
use std::path::PathBuf;

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);
const MINUTE: i64 = 60 * SECOND;

/// Runs to the end of a topic, each with the state of the one before. The last windows stay open, so that a log can go on.
struct Job {
    source: String,
    folder: tempfile::TempDir,
}

impl Job {
    fn of(kafka: &Kafka, topic: &str) -> Self {
        Job { source: kafka.uri(topic), folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, more: &[&str]) -> Ended {
        let (as_of, sink) = (rfc3339(BEGAN.plus(86_400 * SECOND).0), format!("sqlite:{}", self.db().display()));
        let mut args =
            vec!["--source", &self.source, "--job", "changed", "--sink", &sink, "--metrics", "avg", "-w", "2"];
        args.extend(["--until-end", "--as-of", &as_of]);
        if !more.contains(&"--keep-open") {
            args.push("--close");
        }
        args.extend(more);
        Program::run(self.folder.path(), &args, &[])
    }

    fn db(&self) -> PathBuf {
        self.folder.path().join("minutes.db")
    }

    fn rows(&self) -> Rows {
        sqlite(&self.db())
    }

    /// The newest manifest, and where it is.
    fn head(&self) -> (PathBuf, Manifest) {
        let entries = std::fs::read_dir(self.folder.path().join("changed/state/manifest")).unwrap();
        let path = entries.map(|entry| entry.unwrap().path()).max().unwrap();
        let manifest = Manifest::decode(&std::fs::read(&path).unwrap()).unwrap();
        (path, manifest)
    }

    /// As if the source had no ids of topics.
    fn forget_the_id(&self) {
        let (path, mut head) = self.head();
        head.partitions.iter_mut().for_each(|taken| taken.found.log_id = None);
        std::fs::write(path, head.encode()).unwrap();
    }

    /// Refused, with this and what to do.
    fn refuses(&self, parts: &[&str]) {
        let before = self.head();
        let todo = ["restore the log", "--job NAME", "--accept-changed-log"];
        self.run(&["--keep-open"]).refused(65, &[parts, &todo].concat());
        assert_eq!(self.head(), before, "nothing is written");
    }

    /// Goes on, and keeps what it went on with.
    fn accepts(&self, more: &[&str], what: &str) -> Ended {
        let seq = self.head().1.seq;
        let ended = self.run(&[more, &["--accept-changed-log"]].concat()).well();
        assert!(
            ended.said.contains("a changed log is accepted: partition ") && ended.said.contains(what),
            "{}",
            ended.said
        );
        let kept = self.head().1.overrides;
        assert!(kept.iter().any(|kept| kept.what.contains(what) && kept.seq == seq + 1), "{kept:?}");
        let again = self.run(more).well();
        assert!(again.said.contains("nothing is new") && !again.said.contains("accepted"), "{}", again.said);
        assert_eq!(self.head().1.overrides, kept, "it is kept");
        ended
    }
}

/// One tick a second of each of two partitions.
fn ticks(kafka: &Kafka, topic: &str, cents: i64, seconds: std::ops::Range<i64>) {
    let writer = kafka.writer(topic);
    for second in seconds {
        (0..2).for_each(|number| writer.tick(number, "TICK", cents + second, BEGAN.plus(second * SECOND)));
    }
    writer.flush();
}

/// What came after what, as one log.
fn joined(was: &[Partition], then: Vec<Partition>) -> Vec<Partition> {
    let mut log = was.to_vec();
    for (partition, more) in log.iter_mut().zip(then) {
        let after = partition.records.last().map_or(0, |record| record.offset + 1);
        let first = more.records.first().map_or(0, |record| record.offset);
        partition.records.extend(more.records.into_iter().map(|mut record| {
            record.offset += after - first;
            record
        }));
    }
    log
}

/// The end of a partition's log.
fn state(head: &Manifest, number: usize) -> &minutely_dataflows::partition::PartitionState {
    head.partitions[number].state.as_ref().unwrap()
}

#[test]
fn records_that_were_deleted_before_they_were_read() {
    let Some(kafka) = Kafka::of_tests("a state behind the retention") else { return };
    let topic = kafka.topic("retention", 2, &[]);
    let job = Job::of(&kafka, &topic);
    ticks(&kafka, &topic, 100, 0..1200);
    job.run(&["--keep-open"]).well();
    let (was, before) = (kafka.read_back(&topic), job.rows());
    let last = state(&job.head().1, 0).last.unwrap();
    assert_eq!((last.offset, last.leader_epoch), (1199, Some(0)), "{last:?}");
    ticks(&kafka, &topic, 100, 1200..3600);

    // What was read already may go.
    kafka.delete_before(&topic, 0, 1200);
    kafka.delete_before(&topic, 1, 700);
    ticks(&kafka, &topic, 100, 3600..3601);
    let goes_on = job.run(&["--keep-open"]).well();
    assert!(
        goes_on.said.contains(&format!("partition {topic}/0: the last record that was read is not")),
        "{}",
        goes_on.said
    );
    let read = joined(&was, kafka.read_back(&topic).into_iter().map(|partition| from(partition, 1200)).collect());
    let wanted = Wanted::of(&read, &Rule::default(), None, false);
    assert_eq!(goes_on.done("counted"), wanted.counts.counted);
    assert!(before.values().any(|cells| cells.state == "final"), "{before:?}");
    let (was, before) = (read, job.rows());

    // What was not may not.
    ticks(&kafka, &topic, 100, 3601..7200);
    kafka.delete_before(&topic, 0, 4000);
    job.refuses(&[&format!(
        "partition {topic}/0: offset 3601 is wanted next, and the log begins at 4000: 399 records"
    )]);
    let ended = job.accepts(&[], "399 records or fewer were deleted");
    let (_, head) = job.head();
    assert_eq!((state(&head, 0).counts.gaps, state(&head, 1).counts.gaps), (399, 0));
    assert!(head.partitions.iter().all(|taken| taken.state.as_ref().unwrap().balances()));
    let mut now = kafka.read_back(&topic);
    now[1] = from(now[1].clone(), 3601);
    let mut wanted = Wanted::of(&joined(&was, now), &Rule::default(), None, false);
    assert_eq!(ended.done("counted"), wanted.counts.counted);
    // Until the first record since counts everywhere, what was not final says so.
    let whole = BEGAN.plus(4000 * SECOND / MINUTE * MINUTE + MINUTE).plus(Rule::default().windowing.lateness);
    let partial = only(&wanted.rows, |key, _| {
        key.0 < rfc3339(whole.0) && before.get(key).is_none_or(|cells| cells.state != "final")
    });
    assert!(partial.len() > 10 && partial.len() < wanted.rows.len() - 50, "{}", partial.len());
    partial.keys().for_each(|key| wanted.rows.get_mut(key).unwrap().state = "partial".into());
    same("rows", &job.rows(), &wanted.rows);
    same_letters(&letters(&job.folder.path().join("changed")), &[]);
}

/// What of it lies at this offset or later.
fn from(mut partition: Partition, offset: i64) -> Partition {
    partition.records.retain(|record| record.offset >= offset);
    partition
}

#[test]
fn a_topic_that_was_made_anew_under_the_same_name() {
    let Some(kafka) = Kafka::of_tests("a state and a topic made anew") else { return };
    let topic = kafka.topic("anew", 2, &[]);
    let job = Job::of(&kafka, &topic);
    ticks(&kafka, &topic, 100, 0..1200);
    job.run(&["--keep-open"]).well();
    let was = kafka.read_back(&topic);
    kafka.make_anew(&topic, 2);
    ticks(&kafka, &topic, 100, 1200..2400);
    job.refuses(&[
        &format!("partition {topic}/0: its topic was deleted and made anew"),
        &format!("{topic}/1: its topic"),
    ]);
    let ended = job.accepts(&[], "made anew");
    let wanted = Wanted::of(&joined(&was, kafka.read_back(&topic)), &Rule::default(), None, false);
    assert_eq!((ended.done("counted"), wanted.counts.counted), (4800, 4800), "{}", ended.said);
    let plain = |rows: &Rows| only(rows, |_, cells| cells.state == "final").len();
    assert!(plain(&job.rows()) > 10 && plain(&job.rows()) < wanted.rows.len(), "some may lack records");
    let sums = |rows: Rows| rows.into_iter().map(|(key, cells)| (key, (cells.count, cells.sum))).collect::<Vec<_>>();
    assert_eq!(sums(job.rows()), sums(wanted.rows));
    assert!(job.head().1.partitions.iter().all(|taken| taken.state.as_ref().unwrap().balances()));
}

#[test]
fn a_log_that_was_cut_off_or_written_anew() {
    let Some(kafka) = Kafka::of_tests("a state and a log cut off") else { return };
    let topic = kafka.topic("cut-off", 2, &[]);
    let job = Job::of(&kafka, &topic);
    ticks(&kafka, &topic, 100, 0..600);
    job.run(&["--keep-open"]).well();

    // The same records again are the same log, where topics have no ids.
    kafka.make_anew(&topic, 2);
    ticks(&kafka, &topic, 100, 0..601);
    job.forget_the_id();
    let ended = job.run(&["--keep-open"]).well();
    assert_eq!(ended.done("counted"), 1202, "{}", ended.said);

    kafka.make_anew(&topic, 2);
    ticks(&kafka, &topic, 100, 0..500);
    job.forget_the_id();
    job.refuses(&[&format!("partition {topic}/0: offset 601 is wanted next, and the log ends at 500"), "cut off"]);

    // As many records, and others.
    ticks(&kafka, &topic, 777, 500..700);
    job.refuses(&[&format!(
        "partition {topic}/1: the log's records before offset 601 are not those that were read: the one at 600 is"
    )]);
    let ended = job.accepts(&[], "are not those that were read");
    assert_eq!(ended.done("counted"), 1202 + 2 * 99, "{}", ended.said);

    kafka.make_anew(&topic, 2);
    ticks(&kafka, &topic, 100, 0..3);
    job.forget_the_id();
    let ended = job.accepts(&[], "cut off");
    assert_eq!(ended.done("counted"), 1202 + 2 * 99, "it waits for what comes: {}", ended.said);
    let (_, head) = job.head();
    assert_eq!((state(&head, 0).next.0, head.overrides.len()), (3, 4), "{:?}", head.overrides);
    assert!(state(&head, 0).balances() && state(&head, 1).balances());
}

#[test]
fn tools_see_that_a_run_has_no_lag() {
    let Some(kafka) = Kafka::of_tests("the group's offsets") else { return };
    let topic = kafka.topic("lag", 2, &[]);
    let job = Job::of(&kafka, &topic);
    ticks(&kafka, &topic, 100, 0..600);
    let transaction = kafka.transactions(&topic);
    transaction.begin(); // what ends it has an offset of its own
    transaction.tick(1, "TICK", 1, BEGAN.plus(600 * SECOND));
    transaction.commit();
    kafka.lag("some-group", &topic); // so that the brokers know of groups at all
    assert_eq!(kafka.lag("minutely-changed", &topic), [600, 602], "nothing is committed yet");
    job.run(&["--keep-open"]).well();
    assert_eq!(kafka.lag("minutely-changed", &topic), [0, 0]);
    ticks(&kafka, &topic, 100, 600..700);
    assert_eq!(kafka.lag("minutely-changed", &topic), [100, 100]);
    job.run(&["-X", "group.id=others"]).well();
    assert_eq!((kafka.lag("minutely-changed", &topic), kafka.lag("others", &topic)), (vec![100, 100], vec![0, 0]));
}

#[test]
fn a_log_that_is_lost_and_written_anew_under_a_run_is_said_to_be_that() {
    let Some(own) = OwnKafka::start("a log lost and written anew") else { return };
    let topic = own.kafka.topic("lost", 1, &[]);
    ticks_to(&own.kafka, &topic, 1000);
    let folder = tempfile::tempdir().unwrap();
    let (source, sink) = (own.kafka.uri(&topic), format!("sqlite:{}", folder.path().join("minutes.db").display()));
    let mut run = Program::start(&folder.path().join("data"), &["--source", &source, "--sink", &sink], &[]);
    run.until("all is read", PATIENCE, |run| run.read() == 1000);
    run.signal("STOP");
    own.kill();
    std::fs::remove_dir_all(own.file(&format!("broker-1/data/{topic}-0"))).unwrap();
    own.again();
    ticks_to(&own.kafka, &topic, 2000);
    run.signal("CONT");
    let ended = run.ended(PATIENCE);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let why = ended.said.lines().find(|line| line.contains("offset 1000 ")).unwrap_or_else(|| panic!("{}", ended.said));
    let anew = "was not in the log, which holds 0 to 1999 now: the log was cut off and has been written again since";
    for part in [anew, "an unclean election did that, or a broker that lost its files; begin a new run"] {
        assert!(why.contains(part), "`{part}` is not in: {why}");
    }
    assert!(!why.contains("retention"), "{why}");
}

/// So many in partition 0.
fn ticks_to(kafka: &Kafka, topic: &str, count: i64) {
    let writer = kafka.writer(topic);
    (0..count).for_each(|n| writer.tick(0, "TICK", n, BEGAN.plus(n * SECOND)));
    writer.flush();
}
