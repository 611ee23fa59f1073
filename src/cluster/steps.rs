//! When each worker of this process last made a step: tells a process that is slow or hangs from one that is gone.

use crate::clock::SystemClock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A worker that has not begun, or is done.
const NONE: i64 = i64::MAX;

/// The newest step of each worker of this process.
pub(crate) struct WorkerSteps {
    clock: SystemClock,
    /// Nanoseconds since the process began, by worker.
    newest: Vec<AtomicI64>,
}

impl WorkerSteps {
    /// No worker has begun.
    pub(crate) fn new(clock: SystemClock, workers: usize) -> Self {
        WorkerSteps { clock, newest: (0..workers).map(|_| AtomicI64::new(NONE)).collect() }
    }

    /// A worker made a step; `worker` counts from 0 in this process.
    pub(crate) fn step(&self, worker: usize) {
        self.set(worker, self.clock.monotonic().0);
    }

    /// A worker is done.
    pub(crate) fn done(&self, worker: usize) {
        self.set(worker, NONE);
    }

    fn set(&self, worker: usize, to: i64) {
        if let Some(newest) = self.newest.get(worker) {
            newest.store(to, Ordering::Relaxed);
        }
    }

    /// The worker whose newest step is the oldest, and how old that is; none while no worker runs.
    pub(super) fn slowest(&self) -> Option<(usize, Duration)> {
        let now = self.clock.monotonic().0;
        let of = |newest: &AtomicI64| newest.load(Ordering::Relaxed);
        let (worker, oldest) = self.newest.iter().map(of).enumerate().min_by_key(|(_, newest)| *newest)?;
        let age = now.saturating_sub(oldest).max(0);
        (oldest != NONE).then(|| (worker, Duration::from_nanos(age.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_is_one_that_runs() {
        let steps = WorkerSteps::new(SystemClock::start(), 3);
        assert_eq!(steps.slowest(), None);
        steps.step(1);
        std::thread::sleep(Duration::from_millis(2));
        steps.step(2);
        let (worker, age) = steps.slowest().unwrap();
        assert!(worker == 1 && age >= Duration::from_millis(2), "{worker} {age:?}");
        steps.done(1);
        assert_eq!(steps.slowest().map(|(worker, _)| worker), Some(2));
        steps.step(7);
    }
}
