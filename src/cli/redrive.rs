//! `minutely redrive`.

use super::RunArgs;
use clap::Args;

/// The options of `minutely redrive`.
#[derive(Args, Debug)]
pub(crate) struct RedriveArgs {
    /// File of dead letters whose rejected ones are decoded again
    #[arg(value_name = "FILE", env = "MINUTELY_LETTERS")]
    pub(crate) letters: Option<String>,

    /// A field of the run, and where these payloads have it: `price=.p`, `price=.data[0].p` or `price=/data/0/p`; repeatable
    #[arg(long = "map", value_name = "FIELD=PATH", env = "MINUTELY_MAP", help_heading = "Letters")]
    pub(crate) maps: Vec<String>,

    /// Write corrected records to the run's topic, with a header that names the place of what they replace
    #[arg(long, env = "MINUTELY_TO_TOPIC", help_heading = "Letters")]
    pub(crate) to_topic: bool,

    /// Add corrected records of final minutes to amended rows, as `minutely amend` does
    #[arg(long, env = "MINUTELY_AMEND", help_heading = "Letters")]
    pub(crate) amend: bool,

    /// Write; without it is only shown what would be
    #[arg(long, env = "MINUTELY_YES", help_heading = "Letters")]
    pub(crate) yes: bool,

    /// Print the report as JSON
    #[arg(long, env = "MINUTELY_JSON", help_heading = "Report")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,

    /// The run's options without those of decoding that stand on the command line.
    #[arg(skip)]
    pub(crate) own: Option<Box<RunArgs>>,
}
