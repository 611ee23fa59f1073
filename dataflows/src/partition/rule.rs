//! The settings that verdicts depend on.

use crate::time::{SECOND, Windowing};
use serde::{Deserialize, Serialize};

/// The settings that verdicts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Windows and lateness.
    pub windowing: Windowing,
    /// How far ahead of its reference a record may be, in nanoseconds (R7). Default: one minute.
    pub max_future: i64,
    /// How far behind its reference a record may be, in nanoseconds (R7); `None`: without a limit. Default: `None`.
    pub max_past: Option<i64>,
    /// How far past W a partition is read on, in nanoseconds of event time (R12). Default: 60 minutes.
    pub max_ahead: i64,
    /// How long a partition must have been silent before its floor may rise, in nanoseconds (R8). Default: 10 seconds.
    pub idle: i64,
}

impl Default for Rule {
    fn default() -> Self {
        let minute = 60 * SECOND;
        Rule {
            windowing: Windowing::default(),
            max_future: minute,
            max_past: None,
            max_ahead: 60 * minute,
            idle: minute / 6,
        }
    }
}
