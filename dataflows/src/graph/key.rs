//! What one worker calls the window of a series, and sets of such keys.

use crate::time::{Epoch, WindowStart};
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// ((window, series name), epoch, diff): between workers.
pub(crate) type NamedUpdate<A> = ((WindowStart, Box<str>), Epoch, A);
/// ((key, ()), epoch, diff): within one worker, in the shape that an arrangement of keys takes.
pub(crate) type KeyUpdate<A> = ((WindowKey, ()), Epoch, A);

/// A window of a series. Ordered by window first, so that what is retired is a prefix. It means nothing to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WindowKey {
    pub(crate) window: WindowStart,
    /// Of the series and the level of its windows ([`level_of`]). Freed with its last window, and given out again: names are found
    /// by the whole key ([`super::series::SeriesTable::name`]).
    pub(crate) id: u32,
}

impl WindowKey {
    /// Is it of a window of the run, and no coarser one?
    pub(crate) fn is_minute(self) -> bool {
        level_of(self.id) == 0
    }
}

/// Bits of an id below its level.
pub(super) const SERIES_BITS: u32 = 28;
const FIRST_COARSE: u32 = 1 << SERIES_BITS;

/// Of which windows an id is: 0 for those of the run, from 1 on for coarser ones, whose key has their closing minute.
pub(super) fn level_of(id: u32) -> usize {
    (id >> SERIES_BITS) as usize
}

/// The ids of one window by level, ascending.
pub(super) fn by_level(ids: &RoaringBitmap) -> impl Iterator<Item = (usize, Cow<'_, RoaringBitmap>)> {
    let last = ids.max().map_or(0, |id| id >> SERIES_BITS);
    let of = move |level: u32| {
        if last == 0 {
            return Cow::Borrowed(ids);
        }
        let mut of_level = ids.clone();
        let first = level << SERIES_BITS;
        of_level.remove_range(..first);
        if level < last {
            of_level.remove_range(first + FIRST_COARSE..);
        }
        Cow::Owned(of_level)
    };
    (0..=last).map(move |level| (level as usize, of(level))).filter(|(_, ids)| !ids.is_empty())
}

/// Keys by window: a few bytes each or less, however long the names are.
#[derive(Default)]
pub(crate) struct KeySet(BTreeMap<WindowStart, RoaringBitmap>);

impl KeySet {
    /// Adds a key; says whether it is new here.
    pub(crate) fn insert(&mut self, key: WindowKey) -> bool {
        self.0.entry(key.window).or_default().insert(key.id)
    }

    /// Adds ids of one window.
    pub(crate) fn merge(&mut self, window: WindowStart, ids: &RoaringBitmap) {
        if !ids.is_empty() {
            *self.0.entry(window).or_default() |= ids;
        }
    }

    /// The first window.
    pub(crate) fn first(&self) -> Option<WindowStart> {
        self.0.first_key_value().map(|(window, _)| *window)
    }

    /// The ids of one window.
    pub(crate) fn get(&self, window: WindowStart) -> Option<&RoaringBitmap> {
        self.0.get(&window)
    }

    /// The windows of a range, ascending, with the ids in each.
    pub(crate) fn range(
        &self,
        range: impl std::ops::RangeBounds<WindowStart>,
    ) -> impl Iterator<Item = (WindowStart, &RoaringBitmap)> {
        self.0.range(range).map(|(window, ids)| (*window, ids))
    }

    /// Takes the first window out.
    pub(crate) fn pop_first(&mut self) -> Option<(WindowStart, RoaringBitmap)> {
        self.0.pop_first()
    }

    /// Takes one window out.
    pub(crate) fn remove(&mut self, window: WindowStart) -> Option<RoaringBitmap> {
        self.0.remove(&window)
    }

    /// Takes out the keys of coarser windows.
    pub(crate) fn split_coarse(&mut self) -> KeySet {
        let mut coarse = KeySet::default();
        for (window, ids) in &mut self.0 {
            if ids.max().is_some_and(|last| last >= FIRST_COARSE) {
                let mut of_window = ids.clone();
                of_window.remove_range(..FIRST_COARSE);
                ids.remove_range(FIRST_COARSE..);
                coarse.merge(*window, &of_window);
            }
        }
        self.0.retain(|_, ids| !ids.is_empty());
        coarse
    }

    /// Adds the keys of another set.
    pub(crate) fn merge_all(&mut self, other: &KeySet) {
        other.iter().for_each(|(window, ids)| self.merge(window, ids));
    }

    /// Takes out all windows from this one on.
    pub(crate) fn split_off(&mut self, from: WindowStart) -> KeySet {
        KeySet(self.0.split_off(&from))
    }

    /// Is there no key?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All windows, ascending, with the ids in each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WindowStart, &RoaringBitmap)> {
        self.0.iter().map(|(window, ids)| (*window, ids))
    }
}
