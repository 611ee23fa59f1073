//! Why a `--sink` cannot be used, whatever its kind.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::PathBuf;

/// Why a `--sink` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    /// Mistakes in the URI, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    #[error("--sink {first} and --sink {second} write to one place; leave one of them out")]
    OnePlace { first: String, second: String },
    /// The job's folder cannot be made.
    #[error("folder {}: {source}; choose another --data", folder.display())]
    NoFolder { folder: PathBuf, source: io::Error },
}

impl From<SinkError> for Halt {
    fn from(e: SinkError) -> Self {
        Halt::new(HaltKind::Usage, e.to_string())
    }
}
