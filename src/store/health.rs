//! How the store is, for the live line; and how long a thread waits for it.

use super::place::Place;
use object_store::Error;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong at present, by the thread that met it.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<BTreeMap<String, String>>);

impl Health {
    /// What is wrong at present, if something is. It is being tried again.
    pub(crate) fn complaint(&self) -> Option<String> {
        lock(&self.0).first_key_value().map(|(_, why)| why.clone())
    }

    /// Says it; logged when it is news.
    fn hurts(&self, thread: &str, why: String) {
        let before = lock(&self.0).insert(thread.to_owned(), why.clone());
        if before.as_ref() != Some(&why) {
            tracing::warn!("{why}; trying again");
        }
    }

    fn heals(&self, thread: &str) {
        if lock(&self.0).remove(thread).is_some() {
            tracing::info!("the state is written again");
        }
    }
}

/// Ends a thread's waiting.
#[derive(Debug, Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *lock(&self.set) = true;
        self.changed.notify_all();
    }

    /// Sleeps so long, or less; false: it is of no use any more.
    fn pause(&self, time: Duration) -> bool {
        let set = self.changed.wait_timeout_while(lock(&self.set), time, |set| !*set);
        !*set.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How long a thread tries.
pub(super) struct Patience {
    stop: Arc<Stop>,
    /// None: until it is stopped.
    limit: Option<Duration>,
    health: Arc<Health>,
    thread: String,
}

impl Patience {
    pub(super) fn new(stop: Arc<Stop>, limit: Option<Duration>, health: Arc<Health>, thread: String) -> Self {
        Patience { stop, limit, health, thread }
    }

    /// Before the run begins nothing is tried twice.
    pub(super) fn none() -> Self {
        Self::new(Arc::default(), Some(Duration::ZERO), Arc::default(), String::new())
    }

    /// Tries until it succeeds, or patience ends.
    ///
    /// # Errors
    /// What was wrong the last time.
    pub(super) fn until_done<T>(
        &self,
        place: &Place,
        mut attempt: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (mut pause, most) = PAUSES;
        let begun = Instant::now();
        loop {
            let error = match attempt() {
                Ok(done) => {
                    self.health.heals(&self.thread);
                    return Ok(done);
                }
                Err(error) => error,
            };
            let left = self.limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            if left == Some(Duration::ZERO) {
                return Err(error);
            }
            self.health.hurts(&self.thread, format!("state {place}: {error}"));
            if !self.stop.pause(left.map_or(pause, |left| left.min(pause))) {
                return Err(error);
            }
            pause = (pause * 2).min(most);
        }
    }
}
