//! Marks: what decides the state that the rows of a window have.

use crate::partition::Rule;
use crate::time::{EventTime, State, WindowStart};
use serde::{Deserialize, Serialize};

/// What decides a window's state: W and R13.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// W at the cut.
    pub w: Option<EventTime>,
    /// Windows that begin before this may lack records; none: it is not known yet, and all may.
    pub partial_before: Option<EventTime>,
}

impl Marks {
    /// The state that a row of this window has.
    pub fn state(&self, rule: &Rule, window: WindowStart) -> State {
        match self.partial_before {
            Some(before) if before.0 <= window.0 => rule.windowing.state(window, self.w),
            _ => State::Partial,
        }
    }
}
