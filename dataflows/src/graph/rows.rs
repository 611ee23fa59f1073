//! Reads the rows of keys from the arrangement, as of one epoch, with what is derived from them.

use super::folds::FoldTable;
use super::key::WindowKey;
use super::series::SeriesTable;
use super::strips::{StripReader, Strips, own_values};
use super::windows::Windows;
use crate::acc::Accumulate;
use crate::decimal::Scales;
use crate::derived::Deriver;
use crate::partial::PartialBefore;
use crate::row::{Row, RowKind};
use crate::time::{Epoch, State, WindowStart};

/// Reads the rows of one chunk.
pub(super) struct RowReader<'a, A: Accumulate> {
    pub(super) windows: &'a Windows<A>,
    /// Rows are as of this epoch.
    pub(super) cut: Epoch,
    pub(super) series: &'a SeriesTable,
    pub(super) scales: Scales,
    pub(super) folds: &'a FoldTable,
    pub(super) deriver: &'a Deriver,
    pub(super) partial: PartialBefore,
    pub(super) strips: &'a mut Strips,
    pub(super) rows: Vec<(WindowStart, Row)>,
}

/// What rows of one level and one window have in common.
pub(super) struct RowsOf {
    pub(super) kind: RowKind,
    pub(super) start: WindowStart,
    pub(super) state: State,
}

impl<A: Accumulate> RowReader<'_, A> {
    pub(super) fn name(&self, window: WindowStart, id: u32) -> &str {
        self.series.name(WindowKey { window, id }).expect("a window is retired once every sink has stored its rows")
    }

    /// Reads the rows of these ids of one window and one level; they are by symbol, last first. Each call has a pass of its own:
    /// another one for the same window may ask for smaller ids, and a pass does not go back.
    pub(super) fn read(&mut self, window: WindowStart, ids: &[u32], of: &RowsOf) {
        let RowsOf { kind, start, state } = *of;
        let mut pass = self.windows.pass(Some(self.cut));
        let in_order: Vec<u32> = ids.iter().rev().copied().collect();
        let mut ascending: Vec<(u32, usize)> = in_order.iter().copied().zip(0..).collect();
        ascending.sort_unstable();
        let mut sums: Vec<Option<A>> = vec![None; ids.len()];
        for (id, place) in ascending {
            sums[place] = pass.sum(WindowKey { window, id });
        }
        let RowReader { windows, series, folds, deriver, partial, cut, .. } = *self;
        let reader = StripReader { deriver, windows, series, folds, partial, as_of: Some(cut) };
        let derived = match kind {
            RowKind::Minute => reader.values(self.strips, window, &in_order, &sums),
            // (Groups have no keys: worker 0 makes their rows.)
            RowKind::Window(_) | RowKind::Group => {
                sums.iter().map(|sum| own_values(deriver, sum.as_ref(), partial.includes(start))).collect()
            }
        };
        for ((id, sum), derived) in in_order.into_iter().zip(sums).zip(derived) {
            // A series whose first record is of a later epoch has no row yet.
            let row = sum.and_then(|sum| sum.row(self.name(window, id), start, state, self.scales));
            self.rows.extend(row.map(|row| (window, Row { kind, derived, ..row })));
        }
    }
}
