//! The settings of a run that decide how it goes, as plain values.

use crate::coarse::CoarseWindows;
use crate::derived::{DerivedList, GroupSource};
use crate::partition::Rule;
use crate::time::{EventTime, SECOND, WindowStart};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The settings of a run that Control needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What verdicts depend on.
    pub rule: Rule,
    /// What rows have beside their own minute's numbers. Default: nothing.
    pub derive: DerivedList,
    /// Coarser windows whose rows there are beside. Default: none.
    pub windows: CoarseWindows,
    /// Groups of series whose rows there are beside. Default: none. Looked at by worker 0 alone.
    pub groups: Option<Arc<dyn GroupSource>>,
    /// Read up to the recorded ends and stop.
    pub bounded: bool,
    /// Bounded: what becomes of windows that records beyond the recorded ends could change.
    pub at_end: AtEnd,
    /// The instant that verdicts of a bounded run refer to (R7). Without one they refer to the reader's wall clock.
    pub instant: Option<EventTime>,
    /// What an operator knows: windows that begin at or after this lack nothing of what partitions held before they were
    /// first read (R13).
    pub complete_from: Option<EventTime>,
    /// Bounded: what the log did not hold any more, or was not read of it, had been appended before this (R13).
    pub opened_at: Option<EventTime>,
    /// Nanoseconds between cuts. Default: one second.
    pub checkpoint_interval: i64,
    /// Keys held from which on only the partitions that hold W back are read, and none while a sink lacks rows that are
    /// final; the run ends at twice that (R12). Default: 5 million.
    pub max_keys: u64,
    /// Bounded: how long a sink, or the place for dead letters, may make no progress while the run waits for it, in
    /// nanoseconds. Default: five minutes.
    pub sink_timeout: i64,
    /// Records of an epoch at one worker: at this number it asks for the epoch's end, at twice that it stops reading. Default:
    /// 65536.
    pub epoch_records: usize,
    /// How much of the audit trail is kept; no trail without it. Default: none.
    pub trail: Option<TrailLimits>,
    /// Count the whole trace at every cut. For tests; the end of a bounded run does so anyway.
    pub audit: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            rule: Rule::default(),
            derive: DerivedList::default(),
            windows: CoarseWindows::default(),
            groups: None,
            bounded: false,
            at_end: AtEnd::Close,
            instant: None,
            complete_from: None,
            opened_at: None,
            checkpoint_interval: SECOND,
            max_keys: 5_000_000,
            sink_timeout: 300 * SECOND,
            epoch_records: 64 << 10,
            trail: None,
            audit: false,
        }
    }
}

impl Settings {
    /// How far before a window others begin that its rows are derived from, in nanoseconds; folds reach beyond.
    pub fn look_back(&self) -> i64 {
        self.derive.look_back().saturating_mul(self.rule.windowing.length)
    }

    /// When all windows have ended, where the newest of the run ends at `newest`. Coarser ones wait for what is still to come of them,
    /// unless the log is said to be complete: a run that closes what it has, and may be followed by one that has more, leaves them open.
    pub(crate) fn last_end(&self, newest: EventTime) -> EventTime {
        if self.at_end != AtEnd::Close || self.windows.is_empty() {
            return newest;
        }
        let length = self.rule.windowing.length;
        self.rule.windowing.end(self.windows.last_closing(WindowStart(newest.0 - length)))
    }
}

/// How much of the audit trail is kept: what is older, or more, is given up, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailLimits {
    /// Nanoseconds of wall time.
    pub keep: i64,
    /// Bytes of its objects, over all workers.
    pub bytes: u64,
}

/// What a bounded run does with windows that are not final at the recorded ends of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtEnd {
    /// They become final: the log is complete. What comes later for them is late.
    #[default]
    Close,
    /// They stay as they are: the log goes on, and a later run resumes with them.
    KeepOpen,
    /// [`AtEnd::Close`], until a partition is longer than it was when a run closed its windows: then, and in all later runs of
    /// the chain, [`AtEnd::KeepOpen`].
    CloseUnlessGrown,
}
