//! The settings that verdicts depend on.

use super::cleaning::CleaningRule;
use crate::time::{SECOND, Windowing};

/// The settings that verdicts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// What an event that is in time must be to count. One for the whole process, which never lets go of it: so a rule is copied.
    /// Default: nothing.
    pub cleaning: Option<&'static CleaningRule>,
}

impl Rule {
    /// With this cleaning, where it leaves anything out.
    #[must_use]
    pub fn with_cleaning(self, cleaning: CleaningRule) -> Self {
        let cleaning = (!cleaning.is_off()).then(|| &*Box::leak(Box::new(cleaning)));
        Rule { cleaning, ..self }
    }
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
            cleaning: None,
        }
    }
}
