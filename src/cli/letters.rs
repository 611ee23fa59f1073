//! `minutely letters`.

use super::values::{Given, number, reason};
use super::{CommonArgs, Help};
use clap::Args;

/// The options of `minutely letters`.
#[derive(Args, Debug)]
pub(crate) struct LettersArgs {
    /// Files of dead letters, such as minutely-data/JOB/dead-letters-….jsonl; `-` for standard input
    #[arg(value_name = "FILE", env = "MINUTELY_FILES", default_value = "-")]
    pub(crate) files: Vec<String>,

    /// Show only those of this reason, such as null, type or late; repeatable
    #[arg(
        long = "reason",
        value_name = "REASON",
        env = "MINUTELY_REASON",
        value_delimiter = ',',
        value_parser = reason()
    )]
    pub(crate) reasons: Vec<Given<String>>,

    /// Show only those of this partition: TOPIC/N, N of every topic, or the path of a file; repeatable
    #[arg(long = "partition", value_name = "PARTITION", env = "MINUTELY_PARTITION")]
    pub(crate) partitions: Vec<String>,

    /// Stop after this many
    #[arg(
        long,
        value_name = "N",
        env = "MINUTELY_LIMIT",
        value_parser = number::<u64>(1, 1_000_000_000)
    )]
    pub(crate) limit: Option<Given<u64>>,

    /// Print JSON lines: as in the file, but with payload and key as text where they are UTF-8
    #[arg(long, env = "MINUTELY_JSON")]
    pub(crate) json: bool,

    /// Count them by reason and field, with the first of each
    #[arg(long, env = "MINUTELY_SUMMARY")]
    pub(crate) summary: bool,

    #[command(flatten)]
    help: Help,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}
