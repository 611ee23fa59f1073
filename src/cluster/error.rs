//! Why the processes of a run cannot be connected.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::PathBuf;

/// Why this process cannot take part in its run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("the workers cannot start: {0}")]
    NotStarted(String),
    #[error("this process's address {address} cannot be had: {source}; another run may have it (see -h)")]
    AddressTaken { address: String, source: io::Error },
    /// `differs`: the other process's options that differ.
    #[error(
        "the process at {address} was started with {differs}: processes of one run may differ only in -p and --http"
    )]
    OtherOptions { address: String, differs: String },
    /// Generations of the state: what the other found, and what this process published.
    #[error(
        "the process at {address} has found generation {found} of the state, and this process published {own}: another process 0 \
         was started after this one; end one of them"
    )]
    Superseded { address: String, found: u64, own: u64 },
    #[error("process 0 at {0} began the run while this process was not connected to all others: start it again")]
    BeganWithout(String),
    #[error("{}: {source}; see to the disk", path.display())]
    SecretUnreadable { path: PathBuf, source: io::Error },
    #[error("{}: {problem}; remove it, and start all processes of the run again", path.display())]
    NoSecret { path: PathBuf, problem: SecretProblem },
}

/// Why a file is not taken for the secret of a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretProblem {
    #[error("{0}")]
    Denied(#[source] io::Error),
    #[error("is a symbolic link")]
    SymbolicLink,
    #[error("holds the secret of a run, and is not a file that this user alone can read and write")]
    Exposed,
    #[error("is not {0} bytes long")]
    Length(usize),
}

impl From<ClusterError> for Halt {
    fn from(e: ClusterError) -> Self {
        let kind = match e {
            ClusterError::OtherOptions { .. } | ClusterError::NoSecret { .. } => HaltKind::Usage,
            ClusterError::Superseded { .. } => HaltKind::Fenced,
            ClusterError::NotStarted(_)
            | ClusterError::AddressTaken { .. }
            | ClusterError::BeganWithout(_)
            | ClusterError::SecretUnreadable { .. } => HaltKind::Unreachable,
        };
        Halt::new(kind, e.to_string())
    }
}
