//! `minutely amend`.

use super::{MinuteArgs, RunArgs};
use clap::Args;

/// The options of `minutely amend`.
#[derive(Args, Debug)]
pub(crate) struct AmendArgs {
    #[command(flatten)]
    pub(crate) minutes: MinuteArgs,

    /// Files of dead letters to take late ones from, such as copies or ones that were moved away; repeatable [default: the run's own]
    #[arg(long, value_name = "FILE", env = "MINUTELY_FROM_DEAD_LETTERS", help_heading = "Letters")]
    pub(crate) from_dead_letters: Vec<String>,

    /// Write the amended rows; without it they are only shown
    #[arg(long, env = "MINUTELY_YES", help_heading = "Letters")]
    pub(crate) yes: bool,

    /// Print the report as JSON
    #[arg(long, env = "MINUTELY_JSON", help_heading = "Report")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}
