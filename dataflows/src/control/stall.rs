//! Stalls: how long something makes no progress that a run waits for, and how long a bounded run lets it.

use super::error::StallError;
use crate::settings::Settings;
use crate::time::{Monotonic, SECOND};

/// Since when something has made no progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StallTimer {
    /// How far it was then, in numbers of which any change is progress.
    progress: (u64, u64),
    since: Option<Monotonic>,
}

impl StallTimer {
    /// How long it has made none, in nanoseconds. `idle`: there is nothing for it to do.
    pub(super) fn waited(&mut self, idle: bool, progress: (u64, u64), now: Monotonic) -> i64 {
        if idle || progress != self.progress {
            (self.progress, self.since) = (progress, None);
        }
        now.0 - self.since.get_or_insert(now).0
    }
}

/// How long a run waits for what makes no progress: a bounded one `sink_timeout`, a live one for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct StallLimit(Option<i64>);

impl StallLimit {
    pub(super) fn of(settings: &Settings) -> Self {
        StallLimit(settings.bounded.then_some(settings.sink_timeout))
    }

    /// Is that too long to wait, in nanoseconds? How long it is in seconds, then.
    pub(super) fn exceeded_by(self, waited: i64) -> Option<i64> {
        self.0.is_some_and(|limit| waited > limit).then_some(waited / SECOND)
    }
}

/// Dead letters of committed cuts: too many that wait hold back the next commit, and with it the reading.
#[derive(Debug)]
pub(super) struct DeadLetterBacklog {
    /// What the place for dead letters is called.
    name: String,
    /// Committed cuts whose dead letters are not stored yet.
    waiting: usize,
    timer: StallTimer,
}

impl DeadLetterBacklog {
    pub(super) fn new(name: String) -> Self {
        DeadLetterBacklog { name, waiting: 0, timer: StallTimer::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How far the place is now. `limit`: the run waits for it, no longer than that.
    ///
    /// # Errors
    /// It has made no progress for longer than that.
    pub(super) fn update(
        &mut self,
        waiting: usize,
        stored: Option<u64>,
        limit: Option<StallLimit>,
        now: Monotonic,
    ) -> Result<(), StallError> {
        self.waiting = waiting;
        let waited = self.timer.waited(waiting == 0, (stored.unwrap_or(0), 0), now);
        match limit.and_then(|limit| limit.exceeded_by(waited)) {
            Some(seconds) => Err(StallError::DeadLetters { name: self.name.clone(), seconds }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_progress_and_having_nothing_to_do_begin_a_wait_from_the_start() {
        let mut timer = StallTimer::default();
        let mut waited = |idle, progress, now| timer.waited(idle, progress, Monotonic(now));
        assert_eq!(waited(false, (0, 0), 5), 0);
        assert_eq!(waited(false, (0, 0), 9), 4);
        assert_eq!(waited(false, (0, 1), 10), 0, "a batch is progress");
        assert_eq!(waited(false, (0, 1), 12), 2);
        assert_eq!(waited(true, (0, 1), 20), 0, "it rests");
    }

    #[test]
    fn only_a_bounded_run_has_a_limit_and_the_limit_itself_is_not_too_long() {
        let bounded = Settings { bounded: true, sink_timeout: 3 * SECOND, ..Settings::default() };
        let limit = StallLimit::of(&bounded);
        assert_eq!((limit.exceeded_by(3 * SECOND), limit.exceeded_by(3 * SECOND + 1)), (None, Some(3)));
        assert_eq!(StallLimit::of(&Settings::default()).exceeded_by(i64::MAX), None);
    }
}
