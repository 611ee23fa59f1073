//! Which record had an id first, of those that can be repeated: an id is compared with those of windows that are not final (R5).

use minutely_dataflows::decode::EventId;
use minutely_dataflows::time::EventTime;
use std::collections::BTreeMap;

/// Ids that are kept before it is looked which can be forgotten.
const ROOM: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct FirstOffsets {
    /// The offset, and from which H on its window is final.
    ids: BTreeMap<EventId, (i64, EventTime)>,
    /// When there are so many, it is looked again.
    room: usize,
}

impl Default for FirstOffsets {
    fn default() -> Self {
        FirstOffsets { ids: BTreeMap::new(), room: ROOM }
    }
}

impl FirstOffsets {
    /// The record at this offset counts in a window that is final from then on.
    pub(super) fn add(&mut self, id: EventId, offset: i64, final_at: EventTime) {
        self.ids.insert(id, (offset, final_at));
    }

    pub(super) fn get(&self, id: EventId) -> Option<i64> {
        self.ids.get(&id).map(|(offset, _)| *offset)
    }

    /// Forgets those of windows that are final at this H, once there are many.
    pub(super) fn forget_to(&mut self, h: Option<EventTime>) {
        if self.ids.len() >= self.room {
            self.ids.retain(|_, (_, final_at)| h < Some(*final_at));
            self.room = 2 * self.ids.len() + ROOM;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_final_windows_are_forgotten_once_there_are_many() {
        let (mut ids, mut most) = (FirstOffsets::default(), 0);
        for offset in 0..1_000_000_i64 {
            ids.add(EventId(offset.unsigned_abs().into()), offset, EventTime(offset + 1000));
            ids.forget_to(Some(EventTime(offset)));
            most = most.max(ids.ids.len());
        }
        assert!(most < 2 * ROOM, "{most} are held");
        assert_eq!(ids.get(EventId(999_500)), Some(999_500));
        assert_eq!(ids.get(EventId(7)), None);
    }
}
