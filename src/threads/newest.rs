//! The newest value, for a thread that needs no older one.

use super::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A slot for one value; a newer value replaces one that was not taken yet.
pub(crate) struct Newest<T> {
    slot: Mutex<Slot<T>>,
    changed: Condvar,
}

struct Slot<T> {
    value: Option<T>,
    stop: bool,
    /// The thread has come to its end.
    ended: bool,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Newest { slot: Mutex::new(Slot { value: None, stop: false, ended: false }), changed: Condvar::new() }
    }
}

impl<T> Newest<T> {
    /// Replaces the value.
    pub(crate) fn set(&self, value: T) {
        lock(&self.slot).value = Some(value);
        self.changed.notify_all();
    }

    /// The value that is there is the last. Waits until the thread has ended, at most for `timeout`; says whether it has.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        let mut slot = lock(&self.slot);
        slot.stop = true;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(slot, timeout, |slot| !slot.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// For the thread: waits for the next value, and until `not_before`, unless it is the last; none after the last.
    pub(crate) fn next(&self, not_before: Option<Instant>) -> Option<T> {
        let mut slot = lock(&self.slot);
        loop {
            let remaining = not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            let is_early = !slot.stop && !remaining.is_zero();
            match slot.value.take_if(|_| !is_early) {
                Some(value) => return Some(value),
                None if slot.stop => return None,
                None => {}
            }
            let timeout = if is_early { remaining } else { Duration::MAX };
            slot = self.changed.wait_timeout(slot, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// For the thread: it ends.
    pub(crate) fn end(&self) {
        lock(&self.slot).ended = true;
        self.changed.notify_all();
    }
}
