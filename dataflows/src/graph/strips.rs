//! Reads what rows derive from: for each series its fold, and its minutes from the arrangement as of one epoch. And says which rows
//! depend on a minute that changed.
//!
//! ```text
//!   fold of the series ─> minutes held, ascending ─> the row's own   a strip
//!                         └──────────────────────────────────────┘
//!                          read once, however many of its rows are asked for one after the other
//! ```
//!
//! Nothing derived is kept for longer than rows are read one after the other: a value is computed as its row is read, as the row
//! itself is. So a correction of one minute touches the rows that depend on it and no other, and memory holds minutes alone.

use super::folds::FoldTable;
use super::key::{KeySet, WindowKey};
use super::series::SeriesTable;
use super::windows::Windows;
use crate::acc::Accumulate;
use crate::derived::{DerivedValues, Deriver, Strip};
use crate::partial::PartialBefore;
use crate::time::{Epoch, WindowStart};
use roaring::RoaringBitmap;
use std::collections::HashMap;

/// Strips that are kept between rows, at most: about 600 bytes each, with `sma20`.
const MOST_STRIPS: usize = 1 << 17;

/// Strips of one epoch that later rows go on from.
#[derive(Default)]
pub(super) struct Strips {
    as_of: Option<Epoch>,
    /// By series; through which window each was read.
    read: HashMap<u32, (WindowStart, Strip)>,
}

impl Strips {
    /// Those of an epoch; what was read as of another is worth nothing.
    fn as_of(&mut self, epoch: Option<Epoch>) -> &mut HashMap<u32, (WindowStart, Strip)> {
        if self.as_of != epoch {
            self.read.clear();
            self.as_of = epoch;
        }
        &mut self.read
    }
}

/// What strips are read from.
pub(super) struct StripReader<'a, A: Accumulate> {
    pub(super) deriver: &'a Deriver,
    pub(super) windows: &'a Windows<A>,
    pub(super) series: &'a SeriesTable,
    pub(super) folds: &'a FoldTable,
    /// Minutes that are no part of any value.
    pub(super) partial: PartialBefore,
    /// Everything is read as of this; none: as it is.
    pub(super) as_of: Option<Epoch>,
}

/// One row's series, on the way.
struct Reading {
    id: u32,
    place: usize,
    /// Read so far.
    through: Option<WindowStart>,
    strip: Strip,
}

impl<A: Accumulate> StripReader<'_, A> {
    /// The values of rows of one window, in their order: of these series, with these sums of their own. Windows ascend from call to
    /// call with the same strips.
    pub(super) fn values(
        &self,
        strips: &mut Strips,
        window: WindowStart,
        ids: &[u32],
        own: &[Option<A>],
    ) -> Vec<DerivedValues> {
        let deriver = self.deriver;
        let mut values: Vec<_> = ids.iter().map(|_| deriver.none()).collect();
        if deriver.list().is_empty() || self.partial.includes(window) {
            return values;
        }
        let read = strips.as_of(self.as_of);
        let mut readings: Vec<Reading> =
            ids.iter().zip(0..).map(|(id, place)| self.reading(read.remove(id), window, *id, place)).collect();
        readings.sort_unstable_by_key(|reading| reading.id);
        self.read_before(window, &mut readings);
        for Reading { id, place, mut strip, .. } in readings {
            if let Some(own) = own[place].as_ref().filter(|sum| !sum.is_zero()) {
                values[place] = deriver.values(&mut strip, window, &own.sums());
                if read.len() < MOST_STRIPS {
                    read.insert(id, (window, strip));
                }
            }
        }
        values
    }

    fn reading(&self, read: Option<(WindowStart, Strip)>, window: WindowStart, id: u32, place: usize) -> Reading {
        if let Some((through, strip)) = read {
            return Reading { id, place, through: Some(through), strip };
        }
        let name = self.series.name(WindowKey { window, id }).filter(|_| self.deriver.list().is_recursive());
        let strip = Strip::after(name.and_then(|name| self.folds.get(name)).cloned());
        Reading { id, place, through: None, strip }
    }

    /// Reads on up to this window.
    fn read_before(&self, window: WindowStart, readings: &mut [Reading]) {
        let deriver = self.deriver;
        let recursive = deriver.list().is_recursive();
        let looked_at = WindowStart(window.0.saturating_sub(deriver.look_back()));
        let from = if recursive { WindowStart::MIN } else { looked_at };
        let Some(least) = readings.iter().map(|reading| reading.through.unwrap_or(from)).min() else { return };
        // Mostly there is nothing to read: the window before was in hand just now.
        let mut pass = None;
        for (start, held) in self.series.windows(least.max(from)..window) {
            if self.partial.includes(start) {
                continue;
            }
            let go_on = |reading: &&mut Reading| reading.through < Some(start) && held.contains(reading.id);
            for Reading { id, strip, .. } in readings.iter_mut().filter(go_on) {
                let pass = pass.get_or_insert_with(|| self.windows.pass(self.as_of));
                if let Some(sum) = pass.sum(WindowKey { window: start, id: *id }).filter(|sum| !sum.is_zero()) {
                    deriver.push(strip, start, &sum.sums());
                }
            }
        }
    }
}

/// The values of a coarser window's row: it looks at its own sum alone, and at nothing where it may lack records.
pub(super) fn own_values<A: Accumulate>(deriver: &Deriver, sum: Option<&A>, is_partial: bool) -> DerivedValues {
    sum.filter(|_| !is_partial).map_or_else(|| deriver.none(), |sum| deriver.own(&sum.sums()))
}

/// The keys of changed rows, and of those held whose derived values depend on one of them.
pub(super) fn with_dependents(mut changed: KeySet, series: &SeriesTable, deriver: &Deriver) -> KeySet {
    let (look_back, recursive) = (deriver.look_back(), deriver.list().is_recursive());
    let Some(first) = changed.first().filter(|_| look_back > 0 || recursive) else { return changed };
    // A coarser window looks back at nothing.
    let coarse = changed.split_coarse();
    let mut all = KeySet::default();
    let mut before = RoaringBitmap::new();
    for (window, held) in series.windows(first..) {
        if recursive {
            if let Some(ids) = changed.get(window) {
                before |= ids;
            }
        } else {
            before.clear();
            let reach = WindowStart(window.0.saturating_sub(look_back));
            changed.range(reach..=window).for_each(|(_, ids)| before |= ids);
        }
        all.merge(window, &(&before & held));
    }
    all.merge_all(&coarse);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Scales;
    use crate::time::{SECOND, Windowing};

    fn keys(set: &KeySet) -> Vec<(i64, Vec<u32>)> {
        set.iter().map(|(window, ids)| (window.0 / (60 * SECOND), ids.iter().collect())).collect()
    }

    #[test]
    fn strips_of_another_epoch_are_not_gone_on_from() {
        let mut strips = Strips::default();
        strips.as_of(Some(7)).insert(3, (WindowStart(0), Strip::default()));
        assert_eq!(strips.as_of(Some(7)).len(), 1);
        assert!(strips.as_of(Some(8)).is_empty());
        assert!(strips.as_of(Some(7)).is_empty(), "nor those of one before it");
    }

    #[test]
    fn rows_depend_on_the_minutes_of_their_own_series_that_they_look_back_at() {
        let at = |minute: i64| WindowStart(minute * 60 * SECOND);
        let mut series = SeriesTable::default();
        for minute in 0..6 {
            for name in ["A", "B", "C"] {
                if (minute, name) != (3, "A") {
                    series.hold(at(minute), name);
                }
            }
        }
        let dependents = |list: &str| {
            let deriver = Deriver::new(list.parse().unwrap(), Scales::default(), &Windowing::default());
            let mut changed = KeySet::default();
            changed.insert(WindowKey { window: at(1), id: 0 });
            changed.insert(WindowKey { window: at(2), id: 2 });
            keys(&with_dependents(changed, &series, &deriver))
        };
        assert_eq!(dependents("stddev"), [(1, vec![0]), (2, vec![2])]);
        assert_eq!(dependents("sma3"), [(1, vec![0]), (2, vec![0, 2]), (3, vec![2]), (4, vec![2])]);
        let all = [(1, vec![0]), (2, vec![0, 2]), (3, vec![2]), (4, vec![0, 2]), (5, vec![0, 2])];
        assert_eq!(dependents("ema5"), all);
    }
}
