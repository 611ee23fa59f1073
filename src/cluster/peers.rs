//! What this process knows of the others of its run, and when one of them counts as lost. Threads of the connections write it; the
//! heartbeats' thread judges.

use crate::clock::SystemClock;
use crate::fmt::{duration, utc};
use minutely_dataflows::time::{EventTime, Monotonic};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after the end of a connection the other process may still say why, or that it was done.
const EXPLAIN_WITHIN: i64 = 300_000_000;

/// What a process says of itself in each heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerLoad {
    /// Bytes that it has sent to the other processes' workers, and received, as they cross the network.
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    /// How long ago the worker that is the slowest made its newest step; none while no worker runs.
    pub(super) step_age_ms: Option<u64>,
}

/// What is known of another process.
#[derive(Clone, Debug, Default)]
struct PeerFacts {
    /// When it was heard last; none while it is not connected.
    heard: Option<(Monotonic, EventTime)>,
    /// A connection ended: when and why.
    broken: Option<(Monotonic, String)>,
    /// Its workers are done and have said so.
    finished: bool,
    /// Why it ended the run.
    farewell: Option<String>,
    load: PeerLoad,
}

/// Why another process is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Loss {
    Ended(String),
    Broken(String),
    Silent,
}

impl PeerFacts {
    /// Is it lost? `timeout` in nanoseconds.
    fn loss(&self, now: Monotonic, timeout: i64) -> Option<Loss> {
        // (It may be heard after the end of its workers' connection, for they are not one connection.)
        if let Some(why) = &self.farewell {
            return Some(Loss::Ended(why.clone()));
        }
        if self.finished {
            return None;
        }
        if let Some((at, why)) = &self.broken {
            return (now.0 - at.0 > EXPLAIN_WITHIN).then(|| Loss::Broken(why.clone()));
        }
        let (heard, _) = self.heard?;
        (now.0 - heard.0 > timeout).then_some(Loss::Silent)
    }
}

/// A process of the run, for people and metrics.
#[derive(Clone, Debug)]
pub(crate) struct PeerReport {
    pub(crate) process: usize,
    pub(crate) address: String,
    /// It is connected, and was heard within the time-out or is this process.
    pub(crate) alive: bool,
    /// When it was heard last, and how many nanoseconds ago; none: not yet, or it is this process.
    pub(crate) heard: Option<(EventTime, i64)>,
    /// Bytes that it has sent to the others' workers, and received, as they cross the network.
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    /// How long ago its slowest worker made its newest step.
    pub(crate) step_age_ms: Option<u64>,
}

/// Bytes between this process and another.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// The processes of a run.
pub(crate) struct Peers {
    clock: SystemClock,
    own: usize,
    addresses: Vec<String>,
    /// By process; this one's is not used.
    facts: Mutex<Vec<PeerFacts>>,
    traffic: Vec<Traffic>,
    /// All are connected.
    up: AtomicBool,
    /// This process's workers are done: what ends now is no loss.
    over: AtomicBool,
    farewell: Mutex<Farewell>,
    told: Condvar,
}

/// Why this process ends the run.
#[derive(Default)]
struct Farewell {
    why: Option<String>,
    /// The others were told.
    told: bool,
}

impl Peers {
    /// Nothing is known of the others yet. `addresses`: of all processes; empty for a single one.
    pub(crate) fn new(addresses: &[String], own: usize, clock: SystemClock) -> Self {
        Peers {
            clock,
            own,
            addresses: addresses.to_vec(),
            facts: Mutex::new(vec![PeerFacts::default(); addresses.len()]),
            traffic: addresses.iter().map(|_| Traffic::default()).collect(),
            up: AtomicBool::new(false),
            over: AtomicBool::new(false),
            farewell: Mutex::default(),
            told: Condvar::new(),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Vec<PeerFacts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes to and from this one.
    pub(super) fn traffic(&self, of: usize) -> &Traffic {
        &self.traffic[of]
    }

    /// It was heard.
    pub(super) fn heard(&self, of: usize, load: PeerLoad) {
        let at = (self.clock.monotonic(), self.clock.wall());
        let peer = &mut self.facts()[of];
        (peer.heard, peer.load) = (Some(at), load);
    }

    /// It is not connected any more, before all were.
    pub(super) fn forget(&self, of: usize) {
        self.facts()[of] = PeerFacts::default();
    }

    /// It says why it ends the run.
    pub(super) fn ended(&self, of: usize, why: String) {
        self.facts()[of].farewell.get_or_insert(why);
    }

    /// A connection to it ended, but not as one ends that is done.
    pub(super) fn broke(&self, of: usize, why: String) {
        let at = self.clock.monotonic();
        self.facts()[of].broken.get_or_insert((at, why));
    }

    /// Its workers are done.
    pub(super) fn finished(&self, of: usize) {
        self.facts()[of].finished = true;
    }

    /// This process was not running for a while: others have this long to be heard, however long ago they were.
    pub(super) fn excuse(&self, timeout: Duration, for_another: Duration) {
        let floor = Monotonic(self.clock.monotonic().0 - nanoseconds(timeout.saturating_sub(for_another)));
        for (heard, _) in self.facts().iter_mut().filter_map(|peer| peer.heard.as_mut()) {
            *heard = (*heard).max(floor);
        }
    }

    /// All are connected.
    pub(super) fn set_up(&self) {
        self.up.store(true, Ordering::Release);
    }

    /// This process's workers are done, and all were told so.
    pub(super) fn set_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Which process is lost, and what people read of it.
    pub(super) fn lost(&self, timeout: Duration) -> Option<String> {
        let now = self.clock.monotonic();
        let facts = self.facts();
        let mut losses =
            facts.iter().enumerate().filter_map(|(at, peer)| Some((at, peer, peer.loss(now, nanoseconds(timeout))?)));
        // Who says why says more than a connection that broke.
        let first = losses.next()?;
        let (at, peer, loss) = match first.2 {
            Loss::Ended(_) => first,
            _ => losses.find(|(.., loss)| matches!(loss, Loss::Ended(_))).unwrap_or(first),
        };
        let who = format!("process {at} at {}", self.addresses[at]);
        let heard = utc(peer.heard.map(|(_, wall)| wall));
        let ago = duration(peer.heard.map_or(0, |(heard, _)| now.0 - heard.0));
        Some(match loss {
            Loss::Ended(why) => format!("{who} ended the run: {why}"),
            Loss::Broken(why) => {
                format!("{who} is lost: its connection ended ({why}); it was heard last at {heard}, {ago} before")
            }
            Loss::Silent => format!(
                "{who} is lost: nothing was heard of it since {heard}, for {ago} (--peer-timeout); it was stopped, or the network \
                 to it was"
            ),
        })
    }

    /// Tells the other processes why this one ends the run. Returns once they were told, or after half a second.
    pub(super) fn say_farewell(&self, why: &str) {
        if !self.up.load(Ordering::Acquire) || self.is_over() {
            return;
        }
        let mut farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner);
        farewell.why.get_or_insert_with(|| why.to_owned());
        let wait = self.told.wait_timeout_while(farewell, Duration::from_millis(500), |farewell| !farewell.told);
        drop(wait);
    }

    /// Why this process ends the run, once it does.
    pub(super) fn farewell(&self) -> Option<String> {
        self.farewell.lock().unwrap_or_else(PoisonError::into_inner).why.clone()
    }

    /// The others were told of it.
    pub(super) fn set_told(&self) {
        self.farewell.lock().unwrap_or_else(PoisonError::into_inner).told = true;
        self.told.notify_all();
    }

    /// Bytes of this process in all.
    pub(super) fn own_load(&self, step_age: Option<Duration>) -> PeerLoad {
        let sum = |of: fn(&Traffic) -> &AtomicU64| self.traffic.iter().map(|one| of(one).load(Ordering::Relaxed)).sum();
        PeerLoad {
            sent_bytes: sum(|one| &one.sent),
            received_bytes: sum(|one| &one.received),
            step_age_ms: step_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// This process's own load, as its heartbeats have it.
    pub(super) fn set_own_load(&self, load: PeerLoad) {
        self.facts()[self.own].load = load;
    }

    /// Every process of the run, this one included; empty for a single one. `timeout`: `--peer-timeout`.
    pub(crate) fn report(&self, timeout: Duration) -> Vec<PeerReport> {
        let now = self.clock.monotonic();
        let facts = self.facts();
        let of = |(process, peer): (usize, &PeerFacts)| PeerReport {
            process,
            address: self.addresses[process].clone(),
            alive: process == self.own
                || (peer.heard.is_some() && peer.broken.is_none() && peer.loss(now, nanoseconds(timeout)).is_none()),
            heard: peer.heard.map(|(at, wall)| (wall, (now.0 - at.0).max(0))),
            sent_bytes: peer.load.sent_bytes,
            received_bytes: peer.load.received_bytes,
            step_age_ms: peer.load.step_age_ms,
        };
        facts.iter().enumerate().map(of).collect()
    }

    /// Why the run is not ready: processes that are not connected, or are lost.
    pub(crate) fn missing(&self, timeout: Duration) -> Option<String> {
        let missing: Vec<_> = self.report(timeout).into_iter().filter(|peer| !peer.alive).collect();
        if missing.is_empty() && (self.addresses.is_empty() || self.up.load(Ordering::Acquire)) {
            return None;
        }
        let names: Vec<_> = missing.iter().map(|peer| peer.process.to_string()).collect();
        Some(match names.as_slice() {
            [] => "waits for the processes of the run to begin".to_owned(),
            [one] => format!("waits for process {one} of the run"),
            more => format!("waits for processes {} of the run", more.join(", ")),
        })
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn heard(at: i64) -> PeerFacts {
        PeerFacts { heard: Some((Monotonic(at * SECOND), EventTime(0))), ..PeerFacts::default() }
    }

    #[test]
    fn a_pause_within_the_time_out_loses_nobody() {
        let loss = |peer: &PeerFacts, at: i64| peer.loss(Monotonic(at * SECOND), 30 * SECOND);
        assert_eq!(loss(&heard(10), 30), None);
        assert_eq!(loss(&heard(10), 40), None);
        assert_eq!(loss(&heard(10), 41), Some(Loss::Silent));
        assert_eq!(loss(&PeerFacts::default(), 100), None, "it is not connected yet");
    }

    #[test]
    fn who_ends_has_a_moment_to_say_why() {
        let broken = PeerFacts { broken: Some((Monotonic(0), "reset".into())), ..heard(0) };
        assert_eq!(broken.loss(Monotonic(EXPLAIN_WITHIN), SECOND), None);
        assert_eq!(broken.loss(Monotonic(EXPLAIN_WITHIN + 1), SECOND), Some(Loss::Broken("reset".into())));
        let told = PeerFacts { farewell: Some("damaged".into()), ..broken.clone() };
        assert_eq!(told.loss(Monotonic(1), SECOND), Some(Loss::Ended("damaged".into())));
        let after = PeerFacts { finished: true, ..told };
        assert_eq!(
            after.loss(Monotonic(1), SECOND),
            Some(Loss::Ended("damaged".into())),
            "heard after its workers' end"
        );
        assert_eq!(PeerFacts { finished: true, ..broken }.loss(Monotonic(9 * SECOND), SECOND), None);
    }

    #[test]
    fn who_is_missing_and_since_when_is_said() {
        let peers = Peers::new(&["a:1".into(), "b:2".into(), "c:3".into()], 0, SystemClock::start());
        let timeout = Duration::from_secs(30);
        assert_eq!(peers.missing(timeout).unwrap(), "waits for processes 1, 2 of the run");
        peers.heard(1, PeerLoad::default());
        peers.heard(2, PeerLoad { sent_bytes: 5, ..PeerLoad::default() });
        assert_eq!(peers.missing(timeout).unwrap(), "waits for the processes of the run to begin");
        peers.set_up();
        assert_eq!((peers.missing(timeout), peers.lost(timeout)), (None, None));
        assert_eq!(peers.report(timeout)[2].sent_bytes, 5);
        std::thread::sleep(Duration::from_millis(3));
        let said = peers.lost(Duration::from_millis(1)).unwrap();
        assert!(said.starts_with("process 1 at b:2 is lost: nothing was heard of it since 20"), "{said}");
        peers.excuse(Duration::from_millis(1), Duration::from_secs(5));
        peers.ended(2, "the disk is full".into());
        assert_eq!(peers.lost(timeout).unwrap(), "process 2 at c:3 ended the run: the disk is full");
        assert_eq!(peers.missing(timeout).unwrap(), "waits for process 2 of the run");
    }
}
