//! Growing waits between attempts.

use super::{Stop, WriterExit};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Waits that double from a first one up to a cap.
pub(crate) struct Backoff {
    next: Duration,
    cap: Duration,
    /// Where each wait is a random one between half and all of the growing one.
    jitter: Option<Jitter>,
}

struct Jitter {
    random: RandomState,
    attempts: u64,
}

impl Backoff {
    /// From `first`, doubled up to `cap`.
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        Backoff { next: first, cap, jitter: None }
    }

    /// For files, databases and stores that one run writes alone: 0.1 s, doubled up to 5 s.
    pub(crate) fn of_files() -> Self {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// With jitter, so that many writers do not come back to one server all at once.
    pub(crate) fn with_jitter(first: Duration, cap: Duration) -> Self {
        Backoff { jitter: Some(Jitter { random: RandomState::new(), attempts: 0 }), ..Backoff::new(first, cap) }
    }

    /// How long to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = match &mut self.jitter {
            None => self.next,
            Some(jitter) => {
                jitter.attempts += 1;
                let half = self.next / 2;
                let share = u32::try_from(jitter.random.hash_one(jitter.attempts) % 1024).expect("below 1024");
                half + half * share / 1024
            }
        };
        self.next = (self.next * 2).min(self.cap);
        wait
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`].
    pub(crate) fn wait(&mut self, stop: &Stop) -> Result<(), WriterExit> {
        stop.wait(self.next())
    }
}
