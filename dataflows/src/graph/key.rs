//! What one worker calls the window of a series, and sets of such keys.

use crate::time::{Epoch, WindowStart};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

/// ((window, series name), epoch, diff): between workers.
pub(crate) type NamedUpdate<A> = ((WindowStart, Box<str>), Epoch, A);
/// ((key, ()), epoch, diff): within one worker, in the shape that an arrangement of keys takes.
pub(crate) type KeyUpdate<A> = ((WindowKey, ()), Epoch, A);

/// A window of a series. Ordered by window first, so that what is retired is a prefix. It means nothing to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WindowKey {
    pub(crate) window: WindowStart,
    /// Of the series. Freed with the series' last window, and given out again: names are found by the whole key
    /// ([`super::series::SeriesTable::name`]).
    pub(crate) id: u32,
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
