//! `minutely verify`, `minutely repair`, `minutely digest` and `minutely explain`.

use super::RunArgs;
use super::values::{AskedTime, Given, asked_time, duration, instant, number};
use clap::Args;
use minutely_dataflows::time::EventTime;
use std::path::PathBuf;

/// Which minutes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Minutes")]
pub(crate) struct MinuteArgs {
    /// The first minute, as event time [default: the oldest that can be verified]
    #[arg(long, value_name = "TIME", env = "MINUTELY_FROM", value_parser = instant())]
    pub(crate) from: Option<Given<EventTime>>,

    /// The end, which is not included [default: the first minute that is not final]
    #[arg(long, value_name = "TIME", env = "MINUTELY_TO", value_parser = instant())]
    pub(crate) to: Option<Given<EventTime>>,
}

/// The options of `minutely verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) minutes: MinuteArgs,

    /// Verify this many minutes alone, drawn at random
    #[arg(long, value_name = "N", env = "MINUTELY_SAMPLE", value_parser = number::<u32>(1, 100_000), help_heading = "Minutes")]
    pub(crate) sample: Option<Given<u32>>,

    /// Verify the newest final minutes alone: those of this much event time
    #[arg(
        long,
        value_name = "TIME",
        env = "MINUTELY_SINCE_FINAL",
        num_args = 0..=1,
        default_missing_value = "24h",
        conflicts_with = "from",
        value_parser = duration(1),
        help_heading = "Minutes"
    )]
    pub(crate) since_final: Option<Given<i64>>,

    /// Decode, judge and compute by other code than a run: another JSON parser, and integers of any size; slower
    #[arg(long, env = "MINUTELY_INDEPENDENT", help_heading = "Report")]
    pub(crate) independent: bool,

    /// Print the report as JSON
    #[arg(long, env = "MINUTELY_JSON", help_heading = "Report")]
    pub(crate) json: bool,

    /// Write what was found to FILE as metrics too, for the textfile collector of node_exporter: a name that ends in .prom
    #[arg(long, value_name = "FILE", env = "MINUTELY_TEXTFILE", help_heading = "Report")]
    pub(crate) textfile: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}

/// The options of `minutely repair`.
#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) minutes: MinuteArgs,

    /// Repair the newest final minutes alone: those of this much event time
    #[arg(
        long,
        value_name = "TIME",
        env = "MINUTELY_SINCE_FINAL",
        num_args = 0..=1,
        default_missing_value = "24h",
        conflicts_with = "from",
        value_parser = duration(1),
        help_heading = "Minutes"
    )]
    pub(crate) since_final: Option<Given<i64>>,

    /// Write and delete; without it what would be done is printed, and nothing is changed
    #[arg(long, env = "MINUTELY_YES", help_heading = "Repair")]
    pub(crate) yes: bool,

    /// Print the report as JSON
    #[arg(long, env = "MINUTELY_JSON", help_heading = "Report")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}

/// The options of `minutely digest`.
#[derive(Args, Debug)]
pub(crate) struct DigestArgs {
    #[command(flatten)]
    pub(crate) minutes: MinuteArgs,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}

/// The options of `minutely explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The symbol, as rows have it
    #[arg(value_name = "SYMBOL", env = "MINUTELY_OF_SYMBOL")]
    pub(crate) of_symbol: Option<String>,

    /// Any time within the minute, such as 2026-01-05T08:41:00Z; or 08:41, of the newest day (UTC)
    #[arg(value_name = "MINUTE", env = "MINUTELY_MINUTE", value_parser = asked_time())]
    pub(crate) minute: Option<Given<AskedTime>>,

    /// Print the records that count, too: place, event time, value, weight, and payload as text
    #[arg(long, env = "MINUTELY_RECORDS", help_heading = "Report")]
    pub(crate) records: bool,

    /// Print the report as JSON
    #[arg(long, env = "MINUTELY_JSON", help_heading = "Report")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) run: Box<RunArgs>,
}
