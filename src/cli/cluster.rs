//! Options of workers and processes.

use super::values::{Given, number};
use clap::Args;

/// All workers of a run, at most (their shards are 256).
pub(crate) const MAX_WORKERS: usize = 256;

/// Workers and processes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Worker threads of this process
    #[arg(
        short = 'w',
        long,
        value_name = "N",
        env = "MINUTELY_WORKERS",
        default_value = "1",
        value_parser = number::<usize>(1, MAX_WORKERS)
    )]
    pub(crate) workers: Given<usize>,

    /// Processes of the run, all with the same --data
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        env = "MINUTELY_PROCESSES",
        default_value = "1",
        value_parser = number::<usize>(1, MAX_WORKERS)
    )]
    pub(crate) processes: Given<usize>,

    /// Number of this process, from 0
    #[arg(
        short = 'p',
        long,
        value_name = "I",
        env = "MINUTELY_PROCESS",
        default_value = "0",
        value_parser = number::<usize>(0, MAX_WORKERS)
    )]
    pub(crate) process: Given<usize>,

    /// File with the host:port of each process, one a line [default: localhost, ports from 2101]; without FILE: print help
    #[arg(short = 'h', long, value_name = "FILE", env = "MINUTELY_HOSTFILE", num_args = 0..=1)]
    pub(crate) hostfile: Option<Option<String>>,
}
