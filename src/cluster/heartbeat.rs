//! Heartbeats: what processes say to one another beside the workers' messages, on connections of their own, and by a thread of its
//! own: so a process whose workers are busy is heard, and one that is stopped or cut off is not.
//!
//! The thread also judges who is lost, tells the others, and ends the process by a panic with [`PeerLost`], which `main` knows.

use super::link::Link;
use super::peers::{PeerLoad, Peers};
use super::steps::WorkerSteps;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::io;
use std::panic::panic_any;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Between two heartbeats.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// How long the thread waits for anything to read.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A turn that took longer: this process was stopped, and hears the others late.
const PAUSE: Duration = Duration::from_secs(3);
/// How long the others have to be heard after that.
const AFTER_PAUSE: Duration = Duration::from_secs(5);

/// What is said on a connection for heartbeats.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Beat(PeerLoad),
    /// To process 0: all are connected here, by these starts of each process.
    Ready {
        starts: Vec<u64>,
    },
    /// Of process 0: all are connected everywhere, and work begins. `generation`: of the state that it has published.
    Begin {
        generation: u64,
        starts: Vec<u64>,
    },
    /// The sender ends the run, or this connection: why.
    Farewell {
        why: String,
    },
}

/// Ends this process: another is lost. The panic's payload; what people read.
pub(crate) struct PeerLost(pub(crate) String);

/// The heartbeats of a run.
pub(super) struct Heartbeats {
    /// By process; none for this one, and for one that is gone.
    pub(super) links: Vec<Option<Box<Link>>>,
    pub(super) peers: Arc<Peers>,
    pub(super) steps: Arc<WorkerSteps>,
    /// `--peer-timeout`.
    pub(super) timeout: Duration,
}

impl Heartbeats {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has none.
    pub(super) fn start(self) -> io::Result<()> {
        Builder::new().name("heartbeats".into()).spawn(|| self.run()).map(drop)
    }

    fn run(mut self) {
        let (mut last_beat, mut last_turn, mut is_stuck) = (None::<Instant>, Instant::now(), false);
        while !self.peers.is_over() {
            self.wait();
            if last_turn.elapsed() > PAUSE {
                self.peers.excuse(self.timeout, AFTER_PAUSE);
            }
            last_turn = Instant::now();
            self.receive();
            if last_beat.is_none_or(|last| last.elapsed() >= INTERVAL) {
                last_beat = Some(Instant::now());
                self.beat(&mut is_stuck);
            }
            if let Some(why) = self.peers.farewell() {
                self.tell(&why);
                self.peers.set_told();
                return;
            }
            let lost = if self.peers.is_over() { None } else { self.peers.lost(self.timeout) };
            if let Some(lost) = lost {
                self.tell(&lost);
                panic_any(PeerLost(lost));
            }
        }
    }

    /// Until something can be read; not for long.
    fn wait(&self) {
        let sockets = self.links.iter().flatten();
        let mut polled: Vec<_> = sockets.map(|link| PollFd::new(&link.socket, PollFlags::IN)).collect();
        if poll(&mut polled, Some(&WAIT)).is_err() || polled.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn receive(&mut self) {
        for (of, place) in self.links.iter_mut().enumerate() {
            let Some(link) = place else { continue };
            let ended = loop {
                match link.receive::<Message>() {
                    Ok(Some(Message::Beat(load))) => self.peers.heard(of, load),
                    Ok(Some(Message::Farewell { why })) => self.peers.ended(of, why),
                    Ok(Some(Message::Ready { .. } | Message::Begin { .. })) => {}
                    Ok(None) => break None,
                    Err(e) => break Some(e),
                }
            };
            if let Some(e) = ended {
                let hung_up = e.kind() == io::ErrorKind::UnexpectedEof;
                self.peers.broke(of, if hung_up { "it hung up".to_owned() } else { e.to_string() });
                *place = None;
            }
        }
    }

    /// Says that this process is alive, and to people if a worker hangs.
    fn beat(&mut self, is_stuck: &mut bool) {
        let slowest = self.steps.slowest();
        match slowest.filter(|(_, age)| *age > self.timeout) {
            Some((worker, age)) if !*is_stuck => {
                *is_stuck = true;
                tracing::warn!(
                    "worker {worker} of this process has made no step for {} s: it waits for a disk or a service, or computes; the \
                     other processes wait for it",
                    age.as_secs()
                );
            }
            Some(_) => {}
            None if std::mem::take(is_stuck) => tracing::warn!("all workers of this process make steps again"),
            None => {}
        }
        let load = self.peers.own_load(slowest.map(|(_, age)| age));
        self.peers.set_own_load(load);
        self.send(&Message::Beat(load));
    }

    fn tell(&mut self, why: &str) {
        self.send(&Message::Farewell { why: why.to_owned() });
    }

    /// To all; nothing to one that does not read, so that no more than one message waits for it.
    fn send(&mut self, message: &Message) {
        for link in self.links.iter_mut().flatten() {
            // Whoever is gone is noticed as its connection is read.
            let _gone = if link.has_unsent() { link.flush() } else { link.send(message) };
        }
    }
}
