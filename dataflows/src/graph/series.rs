//! The series of one worker: names to small ids and back, and which ids each window holds.
//!
//! ```text
//!   (window, name) ── hold ──> WindowKey ── name ──> the same name, while its window is held
//!                                           └──────> None, once it is retired: the id may be another series' by then
//! ```
//!
//! Names travel between workers, ids never leave theirs. An id counts the windows it is in and is freed with the last,
//! so memory follows the windows held and not the names ever seen. A freed id is given out again. Keys are gathered in sets
//! and looked up later, when their windows may be retired: so a name is found by the whole key, never by the id alone.

use super::key::{SERIES_BITS, WindowKey, level_of};
use crate::protocol::HeldWindows;
use crate::time::WindowStart;
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Names, ids and windows held.
#[derive(Default)]
pub(crate) struct SeriesTable {
    minutes: Names,
    /// Of the series whose coarser windows are held, by level from 1 on.
    coarser: Vec<Names>,
    windows: BTreeMap<WindowStart, RoaringBitmap>,
    /// Windows before this are retired.
    retired_before: Option<WindowStart>,
    keys: u64,
    load: u64,
}

/// Bytes of a name that make each of its windows count as one more where memory is counted: about what a window takes. So
/// `--max-keys` bounds bytes, too: a name stands in its window's object and row, and has at most 1024 bytes (R2).
const NAME_BYTES: usize = 256;

/// How many windows of an ordinary name one of this name counts as: 1 to 5.
fn load_of(name: &str) -> u64 {
    1 + (name.len() / NAME_BYTES) as u64
}

/// The series of one level: names to ids, without the level's bits, and back.
#[derive(Default)]
struct Names {
    ids: HashTable<u32>,
    names: Vec<NameEntry>,
    free: Vec<u32>,
}

struct NameEntry {
    name: Box<str>,
    /// In how many windows; 0: the id is free.
    windows: u32,
}

impl Names {
    fn id(&mut self, name: &str) -> u32 {
        let hash = xxh3_64(name.as_bytes());
        if let Some(id) = self.ids.find(hash, |id| *self.names[index(*id)].name == *name) {
            return *id;
        }
        let named = NameEntry { name: name.into(), windows: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                self.names[index(id)] = named;
                id
            }
            None => {
                self.names.push(named);
                let id = u32::try_from(self.names.len() - 1).ok().filter(|id| id >> SERIES_BITS == 0);
                id.expect("fewer than 2^28 series a worker")
            }
        };
        let names = &self.names;
        self.ids.insert_unique(hash, id, |id| xxh3_64(names[index(*id)].name.as_bytes()));
        id
    }

    /// A window of this series is retired. How much less that is to hold.
    fn release(&mut self, id: u32) -> u64 {
        let named = &mut self.names[index(id)];
        named.windows -= 1;
        let load = load_of(&named.name);
        if named.windows == 0 {
            let name = std::mem::take(&mut named.name);
            let found = self.ids.find_entry(xxh3_64(name.as_bytes()), |other| *other == id);
            found.expect("a held series has an entry").remove();
            self.free.push(id);
        }
        load
    }
}

impl SeriesTable {
    /// The key of a series that has a record in this window; it is held from now on, until the window is retired.
    pub(crate) fn hold(&mut self, window: WindowStart, name: &str) -> WindowKey {
        self.hold_level(0, window, name)
    }

    /// The key of a window of this level, by its closing minute; held likewise.
    pub(crate) fn hold_level(&mut self, level: usize, window: WindowStart, name: &str) -> WindowKey {
        if self.coarser.len() < level {
            self.coarser.resize_with(level, Names::default);
        }
        let names = if level == 0 { &mut self.minutes } else { &mut self.coarser[level - 1] };
        let place = names.id(name);
        let id = place | (u32::try_from(level).expect("at most 15 levels") << SERIES_BITS);
        if self.windows.entry(window).or_default().insert(id) {
            names.names[index(place)].windows += 1;
            self.keys += 1;
            self.load += load_of(name);
        }
        WindowKey { window, id }
    }

    /// Forgets all windows before this, and frees the ids of series that were in no other.
    pub(crate) fn retire_before(&mut self, first_held: WindowStart) {
        self.retired_before = self.retired_before.max(Some(first_held));
        let held = self.windows.split_off(&first_held);
        for id in std::mem::replace(&mut self.windows, held).into_values().flatten() {
            let level = level_of(id);
            let names = if level == 0 { &mut self.minutes } else { &mut self.coarser[level - 1] };
            self.keys -= 1;
            self.load -= names.release(id & ((1 << SERIES_BITS) - 1));
        }
    }

    /// The series of a key that [`SeriesTable::hold`] gave; `None` once its window is retired.
    pub(crate) fn name(&self, key: WindowKey) -> Option<&str> {
        let level = level_of(key.id);
        let names = if level == 0 { &self.minutes } else { self.coarser.get(level - 1)? };
        let place = index(key.id & ((1 << SERIES_BITS) - 1));
        (Some(key.window) >= self.retired_before).then(|| &*names.names[place].name)
    }

    /// The windows held in a range, with the ids in each.
    pub(crate) fn windows(
        &self,
        range: impl std::ops::RangeBounds<WindowStart>,
    ) -> impl Iterator<Item = (WindowStart, &RoaringBitmap)> {
        self.windows.range(range).map(|(window, ids)| (*window, ids))
    }

    /// The coarser windows that are held.
    pub(crate) fn coarser_windows(&self) -> impl Iterator<Item = HeldWindows> + '_ {
        let levels = self.coarser.len();
        let of = move |(closing, ids): (&WindowStart, &RoaringBitmap)| {
            let bound = |level: usize| u32::try_from(level).expect("at most 15 levels") << SERIES_BITS;
            let last = |level: usize| bound(level) | ((1 << SERIES_BITS) - 1);
            let of_level = |level: usize| ids.range_cardinality(bound(level + 1)..=last(level + 1));
            let counts: Vec<_> = (0..levels).map(|level| (level, of_level(level))).filter(|(_, n)| *n > 0).collect();
            let closing = *closing;
            counts.into_iter().map(move |(level, series)| HeldWindows { level, closing, series })
        };
        self.windows.iter().filter(move |_| levels > 0).flat_map(of)
    }

    /// How many (window, series) are held.
    pub(crate) fn keys(&self) -> u64 {
        self.keys
    }

    /// What they take of the memory that `--max-keys` allows: as many as [`SeriesTable::keys`], and one more for each 256 bytes
    /// that a name is long.
    pub(crate) fn load(&self) -> u64 {
        self.load
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).expect("a usize has at least 32 bits")
}

#[cfg(test)]
mod tests {
    use super::super::key::by_level;
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn levels_have_names_of_their_own() {
        let mut series = SeriesTable::default();
        let at = |minute: i64| WindowStart(minute);
        let (minute, other) = (series.hold(at(0), "A"), series.hold(at(4), "B"));
        let coarse = [1, 3].map(|level| series.hold_level(level, at(4), "A"));
        assert_eq!(coarse.map(|key| (level_of(key.id), key.is_minute())), [(1, false), (3, false)]);
        assert_eq!([minute, other, coarse[0], coarse[1]].map(|key| series.name(key)), ["A", "B", "A", "A"].map(Some));
        let ids = series.windows(at(4)..).next().unwrap().1;
        let apart: Vec<_> = by_level(ids).map(|(level, ids)| (level, ids.iter().collect::<Vec<_>>())).collect();
        assert_eq!(apart, [(0, vec![other.id]), (1, vec![coarse[0].id]), (3, vec![coarse[1].id])]);
        assert_eq!((series.keys(), series.load()), (4, 4));
        series.retire_before(at(1));
        assert_eq!([minute, other, coarse[0]].map(|key| series.name(key)), [None, Some("B"), Some("A")]);
        assert_eq!(series.hold(at(5), "C").id, minute.id, "it was free");
        series.retire_before(WindowStart::MAX);
        assert_eq!((series.keys(), series.coarser[2].free.len()), (0, 1));
    }

    /// Against a plain map from window to names.
    #[test]
    fn ids_are_held_by_windows() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut series = SeriesTable::default();
        let mut model: BTreeMap<i64, HashMap<String, u32>> = BTreeMap::new();
        let mut retired_before = 0;
        for _ in 0..20_000 {
            if rng.u8(..) == 0 {
                retired_before += rng.i64(0..4);
                series.retire_before(WindowStart(retired_before));
                let held = model.split_off(&retired_before);
                for (window, id) in model.iter().flat_map(|(window, ids)| ids.values().map(|id| (*window, *id))) {
                    let key = WindowKey { window: WindowStart(window), id };
                    assert_eq!(series.name(key), None, "whosever the id is now, seed {seed}");
                }
                model = held;
            }
            let number = rng.u32(0..300);
            let (window, name) =
                (retired_before + rng.i64(0..10), format!("S{number:0>width$}", width = number as usize * 3));
            let key = series.hold(WindowStart(window), &name);
            assert_eq!((key.window.0, series.name(key)), (window, Some(&*name)), "seed {seed}");
            let id = key.id;
            if let Some(known) = model.entry(window).or_default().insert(name, id) {
                assert_eq!(known, id, "seed {seed}");
            }
        }
        let held: HashSet<_> = model.values().flatten().collect();
        assert_eq!(series.keys(), u64::try_from(model.values().map(HashMap::len).sum::<usize>()).unwrap());
        let load = model.values().flat_map(HashMap::keys).map(|name| 1 + name.len() as u64 / 256).sum::<u64>();
        assert!(load > series.keys() * 2);
        assert_eq!(series.load(), load, "seed {seed}");
        assert_eq!(series.minutes.ids.len(), held.iter().map(|(name, _)| name).collect::<HashSet<_>>().len());
        for (window, ids) in series.windows(..) {
            assert_eq!(ids.iter().collect::<HashSet<_>>(), model[&window.0].values().copied().collect());
        }
        series.retire_before(WindowStart::MAX);
        assert_eq!((series.keys(), series.load(), series.minutes.ids.len()), (0, 0, 0));
        assert_eq!(series.minutes.free.len(), series.minutes.names.len());
    }
}
