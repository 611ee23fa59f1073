//! Those who call a process that waits for the others of its run. Anybody can: handshakes run side by side, each with a short
//! deadline, and the newest caller takes the place of the oldest that has proven nothing.

use super::handshake::{Credentials, Handshake, Progress};
use super::hello::Hello;
use super::link::Link;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Handshakes at once of callers that have proven nothing. A process of the run proves the key within one round trip; fewer callers
/// than this are accepted in 200 ms: so silent callers, however many, do not keep it out.
const MAX_STRANGERS: usize = 640;
/// Handshakes at once of callers that know the key.
const MAX_KNOWN: usize = 1024;
/// Callers accepted in one turn, of about 10 ms.
const PER_TURN: usize = 32;
/// How often callers that do not belong to the run are reported.
const REPORT_EVERY: Duration = Duration::from_secs(20);

/// Handshakes of callers, and who was sent away.
#[derive(Default)]
pub(super) struct Callers {
    /// In the order in which they came.
    pending: Vec<(Handshake, SocketAddr)>,
    strangers: Strangers,
}

/// A caller that has proven the key, and what it says of itself.
pub(super) type Known = (Box<Link>, Hello, SocketAddr);

/// Callers who do not belong to the run. An attacker can make many: one warning per [`REPORT_EVERY`] counts all of them.
#[derive(Default)]
struct Strangers {
    last_warning: Option<Instant>,
    /// Callers since then.
    since: usize,
}

impl Strangers {
    fn warn(&mut self, from: SocketAddr, why: &dyn std::fmt::Display) {
        self.since += 1;
        if self.last_warning.is_some_and(|last| last.elapsed() < REPORT_EVERY) {
            return;
        }
        let others = if self.since > 1 { format!(" ({} since the last time)", self.since) } else { String::new() };
        tracing::warn!(
            "{from} called and is sent away, since it does not belong to this run: {why}{others}; if it is a process of this run, \
             start it with the same key: --cluster-key-file, or on one machine the same --data"
        );
        (self.last_warning, self.since) = (Some(Instant::now()), 0);
    }
}

impl Callers {
    /// Accepts callers; false: there were none.
    pub(super) fn accept(&mut self, listener: &TcpListener, own: &Hello) -> io::Result<bool> {
        for n in 0..PER_TURN {
            match listener.accept() {
                Ok((socket, from)) => match Handshake::answer(socket, own.clone()) {
                    Ok(handshake) => self.pending.push((handshake, from)),
                    Err(error) => self.strangers.warn(from, &error),
                },
                Err(error) => match error.kind() {
                    // No caller, or one that is gone again.
                    ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted => return Ok(n > 0),
                    // No descriptor is free: the oldest caller gives its own back.
                    _ if !self.pending.is_empty() => {
                        self.send_away_oldest(false);
                        return Ok(false);
                    }
                    _ => return Err(error),
                },
            }
            let known = self.pending.iter().filter(|(handshake, _)| handshake.has_tag()).count();
            if self.pending.len() - known > MAX_STRANGERS {
                self.send_away_oldest(false);
            }
            if known > MAX_KNOWN {
                self.send_away_oldest(true);
            }
        }
        Ok(true)
    }

    /// The oldest of those that have proven the key, or have not; of all if there is none.
    fn send_away_oldest(&mut self, known: bool) {
        let at = self.pending.iter().position(|(handshake, _)| handshake.has_tag() == known).unwrap_or(0);
        let (_, from) = self.pending.remove(at);
        self.strangers.warn(from, &io::Error::from(ErrorKind::TimedOut));
    }

    /// Advances all handshakes. Returns those that are done.
    pub(super) fn advance(&mut self, credentials: &Credentials) -> Vec<Known> {
        let mut done = Vec::new();
        for (handshake, from) in std::mem::take(&mut self.pending) {
            match handshake.advance(credentials) {
                Ok(Progress::Pending(handshake)) => self.pending.push((handshake, from)),
                Ok(Progress::Proven(link, hello)) => done.push((link, hello, from)),
                Err(error) => self.strangers.warn(from, &error),
            }
        }
        done
    }

    /// One that knows the key and does not belong to this start of the run.
    pub(super) fn refuse(&mut self, from: SocketAddr, why: &str) {
        self.strangers.warn(from, &why);
    }
}
