//! Marks: what decides the state that the rows of a window have.

use crate::partial::PartialBefore;
use crate::partition::Rule;
use crate::time::{EventTime, State, WindowStart};
use serde::{Deserialize, Serialize};

/// What decides a window's state: W and R13.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// W at the cut; none while it is unknown.
    pub w: Option<EventTime>,
    /// Which windows may lack records of before the first offset read (R13).
    pub partial_before: PartialBefore,
}

impl Marks {
    /// The state that a row of this window has.
    pub fn state(&self, rule: &Rule, window: WindowStart) -> State {
        self.state_of(rule, window, window)
    }

    /// The state that a row of all windows from the first to the last of these has.
    pub fn state_of(&self, rule: &Rule, first: WindowStart, last: WindowStart) -> State {
        if self.partial_before.includes(first) { State::Partial } else { rule.windowing.state(last, self.w) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_s_marks_are_written_as_they_always_were() {
        let marks = Marks { w: None, partial_before: PartialBefore::Nothing };
        let json = r#"{"w":null,"partial_before":-9223372036854775808}"#;
        assert_eq!(serde_json::to_string(&marks).unwrap(), json);
        assert_eq!(serde_json::from_str::<Marks>(json).unwrap(), marks);
        assert_eq!(serde_json::from_str::<Marks>("{}").unwrap(), Marks::default());
        assert_eq!(Marks::default().state(&Rule::default(), WindowStart(0)), State::Partial);
    }
}
