//! What is to be verified, as the command line asks for it.

use crate::cli::{DigestArgs, MinuteArgs, UsageErrors, VerifyArgs};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::path::PathBuf;

/// Minutes that are asked for; what is absent was not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AskedMinutes {
    pub(crate) from: Option<EventTime>,
    pub(crate) to: Option<EventTime>,
}

/// What is to be verified, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifyPlan {
    pub(super) minutes: AskedMinutes,
    pub(super) sample: Option<u32>,
    /// Nanoseconds of event time before the first minute that is not final.
    pub(super) since_final: Option<i64>,
    /// Judged and computed by `crate::independent`.
    pub(super) independent: bool,
    pub(super) json: bool,
    /// Where metrics go.
    pub(super) textfile: Option<PathBuf>,
}

impl AskedMinutes {
    /// From one time to another, which is not included.
    pub(crate) fn between(from: Option<EventTime>, to: Option<EventTime>) -> Self {
        AskedMinutes { from, to }
    }

    /// What these arguments mean; all that is wrong is collected.
    pub(crate) fn of(args: &MinuteArgs, errors: &mut UsageErrors) -> Self {
        let mut time = |given: &Option<_>| given.as_ref().and_then(|given| errors.value(given));
        let (from, to) = (time(&args.from), time(&args.to));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            errors.push("--from is not before --to: there is no minute between them");
        }
        AskedMinutes { from, to }
    }

    /// Is this window asked for?
    pub(crate) fn include(&self, window: WindowStart) -> bool {
        self.from.is_none_or(|from| from.0 <= window.0) && self.to.is_none_or(|to| window.0 < to.0)
    }

    /// Of `minutely digest`.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of_digest(args: &DigestArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let minutes = AskedMinutes::of(&args.minutes, &mut errors);
        errors.unless_any(Some(minutes))
    }
}

impl VerifyPlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of(args: &VerifyArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let minutes = AskedMinutes::of(&args.minutes, &mut errors);
        let sample = args.sample.as_ref().and_then(|given| errors.value(given));
        let since_final = args.since_final.as_ref().and_then(|given| errors.value(given));
        errors.unless_any(Some(VerifyPlan {
            minutes,
            sample,
            since_final,
            independent: args.independent,
            json: args.json,
            textfile: args.textfile.clone(),
        }))
    }

    /// Is all asked for that can be counted again?
    pub(super) fn is_whole(&self) -> bool {
        self.minutes == AskedMinutes::default() && self.sample.is_none() && self.since_final.is_none()
    }
}
