//! How long a thread tries to reach the store, and what is wrong with the store at present.

use super::uri::StoreUri;
use crate::threads::{Backoff, Health, Stop, lock};
use object_store::Error;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is wrong at present, by the thread that met it.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth(Mutex<BTreeMap<String, Arc<Health>>>);

impl StoreHealth {
    /// What is wrong at present, if something is. It is being tried again.
    pub(crate) fn complaint(&self) -> Option<String> {
        lock(&self.0).values().find_map(|health| health.complaint())
    }

    /// For this thread.
    fn of(&self, thread: String, place: &StoreUri) -> Arc<Health> {
        Arc::clone(lock(&self.0).entry(thread).or_insert_with(|| Health::new(format!("state {place}"))))
    }
}

/// How long a thread tries.
pub(super) struct RetryPolicy {
    stop: Stop,
    /// None: until it is stopped.
    limit: Option<Duration>,
    /// None: nothing is tried twice, so there is no trouble that lasts.
    health: Option<Arc<Health>>,
    backoff: fn() -> Backoff,
}

impl RetryPolicy {
    /// For a thread that tries for `limit`, or until `stop`.
    pub(super) fn new(
        stop: Stop,
        limit: Option<Duration>,
        health: &StoreHealth,
        thread: String,
        place: &StoreUri,
    ) -> Self {
        RetryPolicy { stop, limit, health: Some(health.of(thread, place)), backoff: Backoff::of_files }
    }

    /// One attempt: before the run begins nothing is tried twice.
    pub(super) fn once() -> Self {
        RetryPolicy { stop: Stop::new(), limit: Some(Duration::ZERO), health: None, backoff: Backoff::of_files }
    }

    /// For a store that fails often and answers at once: tries without an end.
    #[cfg(test)]
    pub(super) fn hasty() -> Self {
        let backoff = || Backoff::new(Duration::from_micros(20), Duration::from_micros(200));
        RetryPolicy { limit: None, backoff, ..RetryPolicy::once() }
    }

    /// Tries until it succeeds, the time is over, or the thread is to stop.
    ///
    /// # Errors
    /// What was wrong the last time.
    pub(super) fn until_done<T>(&self, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut backoff = (self.backoff)();
        let begun = Instant::now();
        loop {
            let error = match attempt() {
                Ok(done) => {
                    self.health.iter().for_each(|health| health.clear_trouble());
                    return Ok(done);
                }
                Err(error) => error,
            };
            let remaining = self.limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            if remaining == Some(Duration::ZERO) {
                return Err(error);
            }
            self.health.iter().for_each(|health| health.set_trouble(error.to_string()));
            let wait = backoff.next();
            if self.stop.wait(remaining.map_or(wait, |remaining| remaining.min(wait))).is_err() {
                return Err(error);
            }
        }
    }
}
