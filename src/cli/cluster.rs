//! Options of workers and processes.

use super::Help;
use super::values::{Given, duration, number, process};
use clap::Args;
use std::path::PathBuf;

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

    /// Processes of the run; on one machine all with the same --data
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        env = "MINUTELY_PROCESSES",
        default_value = "1",
        value_parser = number::<usize>(1, MAX_WORKERS)
    )]
    pub(crate) processes: Given<usize>,

    /// Number of this process, from 0; ordinal: the number at the end of the host's name, as in a StatefulSet
    #[arg(
        short = 'p',
        long,
        value_name = "I",
        env = "MINUTELY_PROCESS",
        default_value = "0",
        value_parser = process(MAX_WORKERS)
    )]
    pub(crate) process: Given<usize>,

    /// File with the host:port of each process, one a line [default: localhost, ports from 2101]; without FILE: print help
    #[arg(short = 'h', long, value_name = "FILE", env = "MINUTELY_HOSTFILE", num_args = 0..=1)]
    pub(crate) hostfile: Option<Option<String>>,

    /// File of the key that all processes of the run have, as `minutely cluster-key` prints it; needed for other addresses than
    /// loopback [default: MINUTELY_CLUSTER_KEY in the environment]
    #[arg(long = "cluster-key-file", value_name = "PATH", env = "MINUTELY_CLUSTER_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// A process of which nothing is heard for longer is lost, and all others end
    #[arg(
        long = "peer-timeout",
        value_name = "DURATION",
        env = "MINUTELY_PEER_TIMEOUT",
        default_value = "30s",
        value_parser = duration(3000)
    )]
    pub(crate) peer_timeout: Given<i64>,
}

/// The options of `minutely cluster-key`.
#[derive(Args, Debug)]
pub(crate) struct ClusterKeyArgs {
    #[command(flatten)]
    help: Help,
}
