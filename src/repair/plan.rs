//! What is to be repaired, as the command line asks for it.

use crate::cli::{RepairArgs, UsageErrors};
use crate::verify::AskedMinutes;

/// What is to be repaired, and how it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepairPlan {
    pub(super) minutes: AskedMinutes,
    /// Nanoseconds of event time before the first minute that is not final.
    pub(super) since_final: Option<i64>,
    /// Is it to be done?
    pub(super) yes: bool,
    pub(super) json: bool,
}

impl RepairPlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of(args: &RepairArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let minutes = AskedMinutes::of(&args.minutes, &mut errors);
        let since_final = args.since_final.as_ref().and_then(|given| errors.value(given));
        errors.unless_any(Some(RepairPlan { minutes, since_final, yes: args.yes, json: args.json }))
    }

    /// Is all asked for that can be counted again?
    pub(super) fn is_whole(self) -> bool {
        self.minutes == AskedMinutes::default() && self.since_final.is_none()
    }
}
