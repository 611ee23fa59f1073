//! `minutely health`.

use super::{CommonArgs, Help};
use clap::Args;

/// The options of `minutely health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// Where the run serves, as its --http says [default: 127.0.0.1:8080]
    #[arg(value_name = "HOST:PORT", env = "MINUTELY_HTTP")]
    pub(crate) address: Option<String>,

    #[command(flatten)]
    help: Help,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}
