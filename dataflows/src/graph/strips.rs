//! Reads what rows derive from: for each series its fold, and its minutes from the arrangement as of one epoch. And says which rows
//! depend on a minute that changed.
//!
//! Nothing derived is kept anywhere: a value is computed as its row is read, as the row itself is. So a correction of one minute
//! touches the rows that depend on it and no other, and memory holds minutes alone.

use super::folds::FoldTable;
use super::key::{KeySet, WindowKey};
use super::series::SeriesTable;
use super::windows::Windows;
use crate::acc::Accumulate;
use crate::derived::{DerivedValues, Deriver, Strip};
use crate::partial::PartialBefore;
use crate::time::{Epoch, WindowStart};
use roaring::RoaringBitmap;

/// What strips are read from.
pub(super) struct StripReader<'a, A: Accumulate> {
    pub(super) deriver: &'a Deriver,
    pub(super) windows: &'a Windows<A>,
    pub(super) series: &'a SeriesTable,
    pub(super) folds: &'a FoldTable,
    /// Minutes that are no part of any value.
    pub(super) partial: PartialBefore,
}

impl<A: Accumulate> StripReader<'_, A> {
    /// The values of these series' rows of one window, in their order.
    pub(super) fn values(&self, as_of: Option<Epoch>, window: WindowStart, ids: &[u32]) -> Vec<DerivedValues> {
        let deriver = self.deriver;
        if deriver.list().is_empty() || self.partial.includes(window) {
            return ids.iter().map(|_| deriver.none()).collect();
        }
        let mut ascending: Vec<(u32, usize)> = ids.iter().copied().zip(0..).collect();
        ascending.sort_unstable();
        let recursive = deriver.list().is_recursive();
        let fold = |id| self.folds.get(self.series.name(WindowKey { window, id })?).cloned();
        let strip = |id: &u32| Strip { fold: recursive.then(|| fold(*id)).flatten(), minutes: Vec::new() };
        let mut strips: Vec<Strip> = ids.iter().map(strip).collect();
        let kept_from = WindowStart(window.0.saturating_sub(deriver.look_back()));
        let from = if recursive { WindowStart::MIN } else { kept_from };
        let mut pass = self.windows.pass(as_of);
        for (start, held) in self.series.windows(from..=window) {
            if self.partial.includes(start) {
                continue;
            }
            for (id, place) in ascending.iter().filter(|(id, _)| held.contains(*id)) {
                let Some(sum) = pass.sum(WindowKey { window: start, id: *id }).filter(|sum| !sum.is_zero()) else {
                    continue;
                };
                let strip = &mut strips[*place];
                if start < kept_from {
                    deriver.step(&mut strip.fold, start, &sum.sums());
                } else {
                    strip.minutes.push((start, sum.sums()));
                }
            }
        }
        strips.iter().map(|strip| deriver.values(strip)).collect()
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
