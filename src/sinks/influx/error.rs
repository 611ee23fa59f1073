//! Why a bucket or database cannot be written.

use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use std::io;

/// Why a bucket or database cannot be written. `name`: the URI without its query.
#[derive(Debug, thiserror::Error)]
pub(in crate::sinks) enum InfluxError {
    /// The HTTP client could not be built; its causes are in the text.
    #[error("{name}: {causes}")]
    NoClient { name: String, causes: String },
    /// The server refuses our writes: what to do about it.
    #[error("{name}: {advice}")]
    Refused { name: String, advice: String },
    /// Another job owns the series: what to do about it.
    #[error("{name}: {advice}")]
    OfAnotherJob { name: String, advice: String },
    #[error("{name}: a row that is {} came to a measurement of final rows ({} at {})", row.state.name(), row.symbol, row.minute.0)]
    NotFinal { name: String, row: Box<Row> },
    #[error("{name}: the check panicked")]
    Panicked { name: String },
    #[error("no runtime for influxdb: {0}")]
    NoRuntime(#[source] io::Error),
}

impl InfluxError {
    fn kind(&self) -> HaltKind {
        match self {
            InfluxError::NoClient { .. } | InfluxError::Refused { .. } | InfluxError::OfAnotherJob { .. } => {
                HaltKind::Usage
            }
            InfluxError::NotFinal { .. } | InfluxError::Panicked { .. } | InfluxError::NoRuntime(_) => {
                HaltKind::Internal
            }
        }
    }
}

impl From<InfluxError> for Halt {
    fn from(e: InfluxError) -> Self {
        Halt::new(e.kind(), e.to_string())
    }
}
