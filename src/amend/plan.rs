//! What is to be amended, as the command line asks for it.

use crate::cli::{AmendArgs, UsageErrors};
use crate::verify::AskedMinutes;
use std::path::PathBuf;

/// What is to be amended, and how it is told.
#[derive(Clone, Debug)]
pub(crate) struct AmendPlan {
    pub(super) minutes: AskedMinutes,
    /// Empty: the run's own files.
    pub(super) files: Vec<PathBuf>,
    pub(super) yes: bool,
    pub(super) json: bool,
}

impl AmendPlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of(args: &AmendArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let minutes = AskedMinutes::of(&args.minutes, &mut errors);
        let files = args.from_dead_letters.iter().map(PathBuf::from).collect();
        errors.unless_any(Some(AmendPlan { minutes, files, yes: args.yes, json: args.json }))
    }
}
