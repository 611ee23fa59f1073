//! Why a minute cannot be explained, or not all of it is well.

use minutely_dataflows::edge::{Halt, HaltKind};

/// Why a minute cannot be explained, or not all of it is well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("symbol {symbol}: no record, dead letter or sink has it within a day of {minute}{near}")]
    UnknownSymbol { symbol: String, minute: String, near: String },
    #[error(
        "{text}: no event time is known yet, so there is no newest day; give a whole time such as 2026-01-05T08:41:00Z"
    )]
    NoDay { text: String },
    /// The report has said what.
    #[error("{0}")]
    NotWell(String),
    /// State, log or a sink.
    #[error("{0}")]
    Halt(#[from] Halt),
}

impl From<ExplainError> for Halt {
    fn from(e: ExplainError) -> Self {
        let kind = match e {
            ExplainError::UnknownSymbol { .. } | ExplainError::NoDay { .. } => HaltKind::Usage,
            ExplainError::NotWell(_) => HaltKind::Data,
            ExplainError::Halt(halt) => return halt,
        };
        Halt::new(kind, e.to_string())
    }
}
