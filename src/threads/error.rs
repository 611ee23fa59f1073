//! Why a thread could not start or ended.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;

/// Why a thread could not start or ended, by its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThreadError {
    #[error("no thread for {name}: {source}")]
    NotStarted { name: String, source: io::Error },
    #[error("the thread of {name} panicked; its message is above")]
    Panicked { name: String },
}

impl From<ThreadError> for Halt {
    fn from(e: ThreadError) -> Self {
        Halt::new(HaltKind::Internal, e.to_string())
    }
}
