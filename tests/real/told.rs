//! A run that is told to stop under load: it commits once more and ends well within ten seconds, sinks or no sinks, and
//! the next one goes on without loss. A second signal stops it at once, and that harms nothing either.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::seed;
use crate::killed::{Job, OFTEN, Producer, topic};
use rusqlite::{Connection, TransactionBehavior};
use std::io::copy;
use std::net::{TcpListener, TcpStream};

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
    std::thread::sleep(std::time::Duration::from_millis(300)); // one that comes within 200 ms is the first
    run.terminate();
    let ended = run.ended(PATIENCE);
    assert_eq!(ended.code, Some(128 + 15), "{}", ended.said);
    assert!(!ended.said.contains("minutely: done"), "{}", ended.said);
    held.rollback().unwrap();

    producer.stopped();
    job.ends(job.start(rng.usize(1..=8), &OFTEN), &kafka, &topic);
}

/// A way to a broker that leads nowhere until it is opened.
struct Gate(TcpListener);

impl Gate {
    fn shut() -> Gate {
        Gate(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Waits until somebody calls.
    fn called(&self) -> TcpStream {
        self.0.accept().unwrap().0
    }

    /// Lets in who has called, and all who will.
    fn open(self, first: TcpStream, broker: &str) {
        let broker = broker.to_owned();
        std::thread::spawn(move || {
            let later = self.0.incoming().map_while(Result::ok);
            for here in std::iter::once(first).chain(later) {
                let there = TcpStream::connect(&broker).unwrap();
                for (from, to) in [(&here, &there), (&there, &here)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || copy(&mut from, &mut to));
                }
            }
        });
    }
}

/// It looks at the state before it has the lock, to refuse what cannot be; what it goes on from is what is there then.
#[test]
fn a_run_that_began_while_another_ended_goes_on_from_what_that_left() {
    const WHAT: &str = "a run that waits for another's end";
    let Some(kafka) = Kafka::of_tests(WHAT) else { return };
    let mut rng = seed();
    let topic = topic(&kafka, "CreateTime");
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let producer = Producer::start(kafka.writer(&topic), rng.fork());
    let start = |source: &str| {
        let args = ["--source", source, "--job", "heir", "--sink", &sink, "--window", "2s", "--lateness", "4s"];
        Program::start(folder.path(), &[&args[..], &OFTEN].concat(), &[])
    };
    let mut run = start(&kafka.uri(&topic));
    under_load(&mut run);

    let gate = Gate::shut();
    let mut heir = start(&format!("kafka://{}/{topic}", gate.address()));
    let call = gate.called();
    let counted = run.counted();
    run.until("it has stored more", PATIENCE, |run| run.counted() > counted + 1000);
    let ended = run.stopped();
    gate.open(call, &kafka.address);
    heir.until("it counts", PATIENCE, |heir| heir.counted() > ended.done("counted"));
    let resumes = format!("({} records already read)", ended.done("records"));
    assert!(heir.said().contains(&resumes), "{resumes}: {}", heir.said());
    heir.stopped();
    producer.stopped();
}
