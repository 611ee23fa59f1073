//! The ids of one partition that an event may repeat (R5): those of events that were counted for windows which are not final by
//! the partition's own H.
//!
//! ```text
//!   id ──> table: (id, window) ── the window is final by H: as if it were not there
//!   H moves on ──> windows that become final: their ids go, by their number at once, out of the table when it is full
//! ```
//!
//! Floors decide nothing here. A floor is no function of the log (R8): an id whose window were dropped when a floor passes it would
//! be a duplicate in one run and count in the next. So a silent partition keeps its ids until it speaks again.
//!
//! One table by id and not a set for each window: with windows of a second and ten minutes of lateness, a record would be looked
//! up in 600 sets. An entry is 24 bytes, and a table has room for 1.2 to 2.5 times as many as are held.

use crate::decode::EventId;
use crate::time::{EventTime, WindowStart, Windowing};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::BTreeMap;

/// Parts of a table, each with a room of its own: so none of them is so large that to rebuild it keeps a reader from its logs.
const PARTS: usize = 64;
/// Ids that take as much memory as a window of a series with `--metrics market`, 40 bytes each steadily and 80 in a cut: `--max-keys`
/// bounds both (R12).
pub const IDS_PER_KEY: u64 = 8;
/// Entries of final windows that are left to themselves, beyond three times as many as are held.
const SLACK: u64 = 1 << 12;

/// Ids that were counted for one window of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdGroup {
    /// The partition's admission number.
    pub partition: usize,
    /// The window.
    pub window: WindowStart,
    /// Each once, in any order.
    pub ids: Vec<EventId>,
}

/// An id as two halves, which align to 8 bytes, and the window that it was counted for.
#[derive(Clone, Copy, Debug)]
struct IdEntry {
    low: u64,
    high: u64,
    window: WindowStart,
}

impl IdEntry {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn new(EventId(id): EventId, window: WindowStart) -> Self {
        IdEntry { low: id as u64, high: (id >> 64) as u64, window }
    }

    fn part(&self) -> usize {
        usize::try_from(self.high).unwrap_or_default() % PARTS
    }
}

/// What is known of the ids of one window.
#[derive(Clone, Debug, Default)]
struct WindowIds {
    held: u64,
    /// Those that no object of the state has yet.
    new: Vec<EventId>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct HeldIds {
    windowing: Windowing,
    /// By part; none before the first id.
    tables: Vec<HashTable<IdEntry>>,
    /// Windows that are not final.
    windows: BTreeMap<WindowStart, WindowIds>,
    /// Ids of those windows.
    held: u64,
    /// Entries in all tables: those of final windows, too, until their table is rebuilt.
    entries: u64,
    /// When the oldest of the windows becomes final.
    next_final: EventTime,
}

impl HeldIds {
    pub(super) fn new(windowing: Windowing) -> Self {
        let (tables, windows, next_final) = (Vec::new(), BTreeMap::new(), EventTime(i64::MAX));
        HeldIds { windowing, tables, windows, held: 0, entries: 0, next_final }
    }

    /// Notes an id that counts for this window, unless one is held that is equal: `false`. `h`: the partition's H before this event.
    pub(super) fn note(&mut self, id: EventId, window: WindowStart, h: Option<EventTime>) -> bool {
        self.expire(h);
        if !self.insert(IdEntry::new(id, window), h) {
            return false;
        }
        let ids = self.window(window);
        ids.held += 1;
        ids.new.push(id);
        true
    }

    /// Takes back what an earlier run had noted.
    pub(super) fn restore(&mut self, groups: &[IdGroup], h: Option<EventTime>) {
        for IdGroup { window, ids, .. } in groups {
            let held = ids.iter().filter(|id| self.insert(IdEntry::new(**id, *window), h)).count();
            self.window(*window).held += held as u64;
        }
    }

    /// Takes the ids that were noted since the last call, without those whose windows are final, and says from which window on
    /// they are not.
    pub(super) fn take_new(&mut self, partition: usize, h: Option<EventTime>) -> (Vec<IdGroup>, WindowStart) {
        self.expire(h);
        let noted = self.windows.iter_mut().filter(|(_, ids)| !ids.new.is_empty());
        let groups =
            noted.map(|(window, ids)| IdGroup { partition, window: *window, ids: std::mem::take(&mut ids.new) });
        (groups.collect(), self.windowing.first_not_final(h))
    }

    /// How many are held.
    pub(super) fn len(&self) -> u64 {
        self.held
    }

    /// How many take memory: those, and entries of final windows that are not swept yet.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    fn window(&mut self, window: WindowStart) -> &mut WindowIds {
        self.next_final = self.next_final.min(self.windowing.final_at(window));
        self.windows.entry(window).or_default()
    }

    /// Puts an entry in, unless its id is there for a window that is not final: `false`.
    fn insert(&mut self, entry: IdEntry, h: Option<EventTime>) -> bool {
        if self.tables.is_empty() {
            self.tables.resize_with(PARTS, HashTable::new);
        }
        let windowing = self.windowing;
        let is_final = |window: WindowStart| h.is_some_and(|h| windowing.final_at(window) <= h);
        let table = &mut self.tables[entry.part()];
        if table.len() == table.capacity() {
            self.entries -= rebuild(table, |entry| !is_final(entry.window));
        }
        let is_equal = |other: &IdEntry| (other.low, other.high) == (entry.low, entry.high);
        match table.entry(entry.low, is_equal, |other| other.low) {
            Entry::Vacant(place) => {
                place.insert(entry);
                self.entries += 1;
            }
            Entry::Occupied(mut there) if is_final(there.get().window) => there.get_mut().window = entry.window,
            Entry::Occupied(_) => return false,
        }
        self.held += 1;
        true
    }

    /// Lets go of windows that are final by `h`.
    fn expire(&mut self, h: Option<EventTime>) {
        let Some(h) = h.filter(|h| self.next_final <= *h) else { return };
        let windowing = self.windowing;
        let kept = self.windows.split_off(&windowing.first_not_final(Some(h)));
        let gone = std::mem::replace(&mut self.windows, kept);
        self.held -= gone.into_values().map(|ids| ids.held).sum::<u64>();
        let oldest = self.windows.first_key_value();
        self.next_final = oldest.map_or(EventTime(i64::MAX), |(window, _)| windowing.final_at(*window));
        if self.entries > 4 * self.held + SLACK {
            let is_held = |entry: &IdEntry| windowing.final_at(entry.window) > h;
            self.entries -= self.tables.iter_mut().map(|table| rebuild(table, is_held)).sum::<u64>();
        }
    }
}

/// Makes a table anew of the entries that are held, with room for a quarter as many again: to rebuild it costs each of those a
/// constant. Not in place: what is removed leaves its place taken, so the table would double. Returns how many went.
fn rebuild(table: &mut HashTable<IdEntry>, is_held: impl Fn(&IdEntry) -> bool) -> u64 {
    let held = table.iter().filter(|entry| is_held(entry)).count();
    let mut rebuilt = HashTable::with_capacity((held + held / 4).max(3));
    for entry in table.iter().filter(|entry| is_held(entry)) {
        rebuilt.insert_unique(entry.low, *entry, |other: &IdEntry| other.low);
    }
    let gone = table.len() - held;
    *table = rebuilt;
    gone as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Against a plain map from id to the window that it was counted for last.
    #[test]
    fn an_id_is_held_as_long_as_its_window_is_not_final() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let windowing = Windowing { length: 10, lateness: rng.i64(0..60) };
        let (mut ids, mut model) = (HeldIds::new(windowing), HashMap::new());
        let (mut h, mut states): (Option<EventTime>, _) = (None, Vec::<IdGroup>::new());
        for turn in 0..200_000 {
            let base = h.map_or(1_000, |h| h.0);
            let jump = if rng.u16(..2000) == 0 { 500 } else { 2 };
            let time = EventTime(base + rng.i64(-100..jump));
            let window = windowing.window_of(time);
            let is_late = h.is_some_and(|h| windowing.final_at(window) <= h);
            if !is_late {
                let id = EventId(u128::from(rng.u32(..3_000)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
                let held = model.get(&id).is_some_and(|window| h.is_none_or(|h| windowing.final_at(*window) > h));
                assert_eq!(ids.note(id, window, h), !held, "seed {seed}, turn {turn}");
                if !held {
                    model.insert(id, window);
                }
            }
            h = h.max(Some(time));
            if rng.u16(..1000) == 0 {
                let (groups, first_held) = ids.take_new(7, h);
                states.extend(groups);
                states.retain(|group| group.window >= first_held);
                model.retain(|_, window| *window >= first_held);
                let stored: usize = states.iter().map(|group| group.ids.len()).sum();
                assert_eq!((ids.len(), stored), (model.len() as u64, model.len()), "seed {seed}, turn {turn}");
                let entries: usize = ids.tables.iter().map(HashTable::len).sum();
                assert_eq!(ids.entries(), entries as u64);
                assert!(ids.entries() <= 4 * ids.len() + SLACK);
                if rng.bool() {
                    ids = HeldIds::new(windowing);
                    ids.restore(&states, h);
                }
            }
        }
        assert!(ids.tables.iter().map(HashTable::capacity).sum::<usize>() < 64 * 200, "it does not grow for ever");
    }

    #[test]
    fn an_entry_has_24_bytes() {
        assert_eq!(size_of::<IdEntry>(), 24);
    }
}
