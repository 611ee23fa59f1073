//! Where rows go. Each sink works on a thread of its own; sinks do not know one another.

use minutely_dataflows::edge::Halt;
use minutely_dataflows::row::Row;

/// A place for rows, on a thread of its own, where it may block, retry and wait.
pub(crate) trait RowWriter: Send {
    /// Takes rows, ascending by (minute, symbol) within a round. They need not be durable yet. `seq` is the version of
    /// the manifest that committed them.
    ///
    /// # Errors
    /// When no retry is of use.
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), Halt>;

    /// The round is complete: returns once all its rows are durable, or recorded as unwritable.
    ///
    /// # Errors
    /// When no retry is of use.
    fn store(&mut self) -> Result<(), Halt>;
}
