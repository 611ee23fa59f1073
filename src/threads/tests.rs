//! The thread with its queue, its stop, its waits and what it says of itself.

use super::*;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

type Outcome = Result<Option<u64>, WriterExit>;

/// A worker whose tasks are functions that say what comes of them.
type Puppet = Worker<Box<dyn FnOnce() -> Outcome + Send>, u64>;

fn options(stop: &Stop, wake: impl Fn() + Send + Sync + 'static) -> WorkerOptions<'static> {
    let wake = Arc::new(wake);
    WorkerOptions { name: "puppet", queue: 2, idle_every: None, drains: false, wake, stop: stop.clone() }
}

fn puppet(options: WorkerOptions<'_>) -> Puppet {
    Worker::start(options, |task: Option<Box<dyn FnOnce() -> Outcome + Send>>| task.map_or(Ok(None), |task| task()))
        .unwrap()
}

/// Returns once it is so; panics after a minute.
fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A task that ends once the other end says what comes of it.
fn held() -> (Sender<Outcome>, Box<dyn FnOnce() -> Outcome + Send>) {
    let (release, held): (_, Receiver<Outcome>) = channel();
    (release, Box::new(move || held.recv().unwrap_or(Err(WriterExit::Stopped))))
}

#[test]
fn a_full_queue_gives_back_and_results_come_in_order() {
    let worker = puppet(options(&Stop::new(), || {}));
    let mut releases = Vec::new();
    poll("the queue is full", || {
        let (release, task) = held();
        let taken = worker.offer(task).is_ok();
        if taken {
            releases.push(release);
        }
        !taken && releases.len() > 2
    });
    assert_eq!(releases.len(), 3, "the queue, and the one that is worked on");
    for (n, release) in (7..).zip(releases) {
        release.send(Ok(Some(n))).unwrap();
    }
    let mut results = Vec::new();
    poll("all are done", || {
        results.extend(worker.take_results().unwrap());
        results.len() == 3
    });
    assert_eq!(results, [7, 8, 9]);
}

#[test]
fn a_thread_that_panics_says_so_as_one_that_fails_does() {
    for panics in [false, true] {
        let (ring, rung) = channel();
        let worker = puppet(options(&Stop::new(), move || ring.send(()).unwrap_or_default()));
        assert!(worker.offer(Box::new(|| Ok(Some(7)))).is_ok());
        rung.recv().unwrap();
        assert_eq!(worker.take_results(), Ok(vec![7]));
        let failure = Halt::new(HaltKind::Unreachable, "no disk");
        let (said, kind) = match panics {
            false => ("no disk", failure.kind),
            true => ("the thread of puppet panicked", HaltKind::Internal),
        };
        let fail = move || if panics { panic!("on purpose") } else { Err(WriterExit::Halt(failure)) };
        assert!(worker.offer(Box::new(fail)).is_ok());
        rung.recv().unwrap(); // it wakes its owner, however it ends
        poll("it has ended", || worker.has_ended());
        for _ in 0..2 {
            let halt = worker.take_results().unwrap_err();
            assert!(halt.kind == kind && halt.why.contains(said), "{halt}");
        }
        assert!(worker.offer(Box::new(|| Ok(None))).is_err(), "it takes nothing more");
    }
}

#[test]
fn a_drop_ends_a_wait_and_what_waits_in_the_queue_is_thrown_away_or_drained() {
    for drains in [false, true] {
        let stop = Stop::new();
        let worker = puppet(WorkerOptions { drains, ..options(&stop, || {}) });
        let (begin, begun) = channel();
        let (say, said) = channel();
        let waits = move || {
            begin.send(()).unwrap();
            drop(stop.wait(Duration::from_secs(3600)));
            Ok(None)
        };
        assert!(worker.offer(Box::new(waits)).is_ok());
        begun.recv().unwrap();
        let second = move || {
            say.send(()).unwrap();
            Ok(None)
        };
        assert!(worker.offer(Box::new(second)).is_ok());
        drop(worker);
        assert_eq!(said.recv().is_ok(), drains);
    }
}

#[test]
fn a_thread_that_hangs_is_left_behind() {
    let worker = puppet(WorkerOptions { drains: true, ..options(&Stop::new(), || {}) });
    let (release, task) = held();
    assert!(worker.offer(task).is_ok());
    poll("it is worked on", || worker.waiting() == 0);
    drop(worker);
    release.send(Ok(None)).unwrap(); // the thread still listens
}

#[test]
fn an_idle_thread_is_asked_at_its_start_and_again() {
    let (say, said) = channel();
    let work = move |task: Option<u8>| {
        say.send(task).unwrap();
        Ok(None::<()>)
    };
    let idle_every = Some(Duration::from_millis(1));
    let worker = Worker::start(WorkerOptions { idle_every, ..options(&Stop::new(), || {}) }, work).unwrap();
    assert_eq!((said.recv(), said.recv()), (Ok(None), Ok(None)));
    worker.offer(3).unwrap();
    while said.recv().unwrap() != Some(3) {}
}

#[test]
fn waits_double_up_to_their_cap_and_jitter_shortens_them_by_half_at_most() {
    let ms = Duration::from_millis;
    let mut backoff = Backoff::of_files();
    let waits: Vec<_> = (0..8).map(|_| backoff.next()).collect();
    assert_eq!(waits, [ms(100), ms(200), ms(400), ms(800), ms(1600), ms(3200), ms(5000), ms(5000)]);
    let mut backoff = Backoff::with_jitter(ms(250), ms(30_000));
    let mut most = ms(250);
    for _ in 0..20 {
        let wait = backoff.next();
        assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        most = (most * 2).min(ms(30_000));
    }
}

#[test]
fn a_stop_ends_waits_that_have_begun_and_those_to_come() {
    let stop = Stop::new();
    let theirs = stop.clone();
    let thread = std::thread::spawn(move || theirs.wait(Duration::from_secs(3600)));
    let theirs = stop.clone();
    let future = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(theirs.until_set());
    });
    assert!(!stop.is_set() && stop.wait(Duration::ZERO).is_ok());
    stop.set();
    assert_eq!(thread.join().unwrap(), Err(WriterExit::Stopped));
    future.join().unwrap();
    assert_eq!(Backoff::of_files().wait(&stop), Err(WriterExit::Stopped));
}

#[test]
fn trouble_is_there_until_it_is_cleared() {
    let health = Health::new("csv:x");
    health.set_unknown();
    assert_eq!(health.complaint().as_deref(), Some("csv:x: has not answered yet"));
    health.set_trouble("no room".to_owned());
    health.set_unknown();
    assert_eq!(health.trouble().as_deref(), Some("no room"), "what is known stays");
    health.clear_trouble();
    assert_eq!(health.trouble(), None);
    health.count_unwritable(2);
    assert_eq!(health.refused_all(), Some(2));
    health.count_written(1);
    assert_eq!(health.refused_all(), None);
}

#[test]
fn the_newest_is_taken_at_its_time_and_the_last_at_once() {
    let apart = Duration::from_millis(100);
    let newest = Newest::default();
    newest.set(1);
    newest.set(2);
    assert_eq!(newest.next(None), Some(2));
    let begun = Instant::now();
    newest.set(3);
    assert_eq!(newest.next(Some(begun + apart)), Some(3));
    assert!(begun.elapsed() >= apart, "not before its time");
    newest.set(4);
    assert!(!newest.stop(Duration::ZERO), "the thread has not ended");
    assert_eq!(newest.next(Some(Instant::now() + Duration::from_secs(3600))), Some(4));
    assert_eq!(newest.next(None), None);
    newest.end();
    assert!(newest.stop(Duration::ZERO));
}
