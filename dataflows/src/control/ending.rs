//! The end of a run: why it is near, and when it has come.
//!
//! ```text
//!   Running ── a cut of all of the log is committed ──> FinalCommit ── all is stored ────────────────> Stopped
//!      └─────────── asked to stop (also from there) ──> Stopping ── all is stored, or five seconds ──────┘
//! ```

use crate::protocol::Commit;
use crate::time::{Epoch, Monotonic, SECOND};

/// How long a run that is to stop waits for its sinks, in nanoseconds.
const STOP_TIMEOUT: i64 = 5 * SECOND;

/// Where a run is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    /// Records are read, or may come.
    Running,
    /// Bounded: a cut of all of the log is committed.
    FinalCommit,
    /// It was asked to stop.
    Stopping {
        /// When it was.
        since: Monotonic,
        /// The first epoch in which nothing is read any more.
        unread_from: Epoch,
        /// As [`RunState::FinalCommit`].
        final_commit: bool,
    },
    /// Readers know that it is over.
    Stopped,
}

/// What a run that is about to end may still wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outstanding {
    /// Bounded, and the log has no partition.
    pub(super) no_partitions: bool,
    /// Sinks and the place for dead letters have stored all that is committed.
    pub(super) all_stored: bool,
    /// No window is held that is still to become final.
    pub(super) all_retired: bool,
    /// The newest commit.
    pub(super) committed: Option<Commit>,
}

impl RunState {
    /// The run is to stop. `unread_from`: the first epoch in which nothing is read any more.
    pub(super) fn ask_to_stop(&mut self, now: Monotonic, unread_from: Epoch) {
        let final_commit = match self {
            RunState::Running => false,
            RunState::FinalCommit => true,
            RunState::Stopping { .. } | RunState::Stopped => return,
        };
        *self = RunState::Stopping { since: now, unread_from, final_commit };
    }

    /// A cut of all of the log is committed.
    pub(super) fn commit_final_cut(&mut self) {
        match self {
            RunState::Running => *self = RunState::FinalCommit,
            RunState::Stopping { final_commit, .. } => *final_commit = true,
            RunState::FinalCommit | RunState::Stopped => {}
        }
    }

    /// Is it to stop, whatever the log holds?
    pub(super) fn is_stopping(self) -> bool {
        matches!(self, RunState::Stopping { .. })
    }

    /// Are records read, as far as nothing else holds that up?
    pub(super) fn reads(self) -> bool {
        matches!(self, RunState::Running | RunState::FinalCommit)
    }

    /// Is a round that begins now the last of its sink?
    pub(super) fn is_last_round(self) -> bool {
        self != RunState::Running
    }

    /// Is all committed that will ever be?
    pub(super) fn is_committed(self, committed: Option<Commit>) -> bool {
        match self {
            RunState::Running => false,
            RunState::FinalCommit | RunState::Stopped => true,
            RunState::Stopping { unread_from, .. } => committed.is_some_and(|commit| commit.cut >= unread_from),
        }
    }

    /// Ends the run, if it is over. Says whether it has.
    pub(super) fn stop(&mut self, outstanding: Outstanding, now: Monotonic) -> bool {
        let Outstanding { no_partitions, all_stored, all_retired, committed } = outstanding;
        let complete = all_stored && all_retired;
        let over = match *self {
            RunState::Running => false,
            RunState::FinalCommit => complete,
            RunState::Stopping { since, final_commit, .. } => {
                let drained = self.is_committed(committed) && all_stored;
                (final_commit && complete) || drained || now.0 - since.0 > STOP_TIMEOUT
            }
            RunState::Stopped => return false,
        };
        if over || no_partitions {
            *self = RunState::Stopped;
        }
        *self == RunState::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Marks;

    const NOTHING: Outstanding =
        Outstanding { no_partitions: false, all_stored: true, all_retired: true, committed: None };

    fn committed(cut: Epoch) -> Outstanding {
        Outstanding { committed: Some(Commit { cut, seq: 1, marks: Marks::default(), record: None }), ..NOTHING }
    }

    #[test]
    fn a_bounded_run_ends_once_all_of_its_log_is_committed_stored_and_forgotten() {
        let mut state = RunState::Running;
        assert!(!state.stop(NOTHING, Monotonic(0)));
        state.commit_final_cut();
        assert!(!state.stop(Outstanding { all_stored: false, ..NOTHING }, Monotonic(0)));
        assert!(!state.stop(Outstanding { all_retired: false, ..NOTHING }, Monotonic(0)));
        assert!(state.stop(NOTHING, Monotonic(0)));
        assert!(!state.stop(NOTHING, Monotonic(0)), "it is over once");
        let mut empty = RunState::Running;
        assert!(empty.stop(Outstanding { no_partitions: true, ..NOTHING }, Monotonic(0)));
    }

    #[test]
    fn a_run_that_is_to_stop_waits_for_what_was_read_and_not_for_ever() {
        let mut state = RunState::Running;
        state.ask_to_stop(Monotonic(0), 8);
        state.ask_to_stop(Monotonic(SECOND), 9);
        assert!(!state.stop(committed(7), Monotonic(SECOND)), "what was read last is not committed");
        let mut late = state;
        assert!(state.stop(committed(8), Monotonic(SECOND)));
        assert!(!late.stop(Outstanding { all_stored: false, ..committed(8) }, Monotonic(STOP_TIMEOUT)));
        assert!(late.stop(Outstanding { all_stored: false, ..committed(8) }, Monotonic(STOP_TIMEOUT + 1)));
    }

    #[test]
    fn what_was_committed_of_all_of_the_log_counts_also_once_it_is_to_stop() {
        for order in [[true, false], [false, true]] {
            let mut state = RunState::Running;
            for final_first in order {
                if final_first { state.commit_final_cut() } else { state.ask_to_stop(Monotonic(0), 8) }
            }
            assert!(state.is_stopping() && state.stop(committed(3), Monotonic(0)), "{state:?}");
        }
    }
}
