//! What a repair writes to one place, and how.

use super::stored::ForeignKey;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::WindowStart;

/// A row of one place.
pub(crate) type RowKey = (WindowStart, String);

/// What is to be done in one place with rows of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RepairBatch {
    pub(crate) kind: RowKind,
    /// Rows to write, ascending by (minute, symbol): where one stands already, it is replaced.
    pub(crate) rows: Vec<Row>,
    /// Rows to delete first: those that nothing counts for, and those of `rows` that have values which no write takes away.
    pub(crate) extra: Vec<RowKey>,
    /// Rows to delete that no run has written.
    pub(crate) foreign: Vec<ForeignKey>,
}

impl RepairBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.extra.is_empty() && self.foreign.is_empty()
    }
}

/// Writes what one place lacks.
pub(crate) trait RepairWriter {
    /// Deletes and writes. What cannot be deleted stays, and is found when the place is read again.
    ///
    /// # Errors
    /// 69: it takes nothing.
    fn write(&mut self, batch: &RepairBatch) -> Result<(), Halt>;

    /// Returns once all of it is durable. `is_whole`: the place has all rows that the state knows it to have had. The new position,
    /// for the state, if the place has one that moves.
    ///
    /// # Errors
    /// 69: it takes nothing.
    fn finish(&mut self, is_whole: bool) -> Result<Option<u64>, Halt>;

    /// The state knows the new position: what only then may be done.
    ///
    /// # Errors
    /// 69: it cannot be done.
    fn settle(&mut self) -> Result<(), Halt> {
        Ok(())
    }

    /// What people should know: points that were refused, or could not be deleted.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
