//! The keys that changed in several epochs, once each.

use crate::graph::key::WindowKey;
use std::collections::{BTreeSet, btree_set};
use std::iter::Peekable;

/// The keys of several sets, ascending, each once.
pub(super) struct KeyUnion(Vec<Peekable<btree_set::IntoIter<WindowKey>>>);

impl KeyUnion {
    pub(super) fn of(sets: impl Iterator<Item = BTreeSet<WindowKey>>) -> Self {
        KeyUnion(sets.map(|keys| keys.into_iter().peekable()).collect())
    }
}

impl Iterator for KeyUnion {
    type Item = WindowKey;

    fn next(&mut self) -> Option<WindowKey> {
        let least = self.0.iter_mut().filter_map(|set| set.peek().copied()).min()?;
        for set in &mut self.0 {
            set.next_if_eq(&least);
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WindowStart;

    #[test]
    fn keys_of_several_epochs_come_once_and_in_order() {
        let sets = [vec![(0, 7), (60, 1)], vec![], vec![(0, 2), (0, 7), (60, 1), (60, 3)], vec![(0, 9)]];
        let set = |keys: &Vec<(i64, u32)>| {
            keys.iter().map(|(window, id)| WindowKey { window: WindowStart(*window), id: *id }).collect()
        };
        let sets: Vec<BTreeSet<WindowKey>> = sets.iter().map(set).collect();
        let all: Vec<WindowKey> = KeyUnion::of(sets.iter().cloned()).collect();
        let once: BTreeSet<WindowKey> = sets.into_iter().flatten().collect();
        assert_eq!(all, Vec::from_iter(once));
    }
}
