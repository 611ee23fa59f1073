//! Which minute of which symbol is explained.

use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::time::{EventTime, WindowStart, Windowing};
use std::ops::Range;

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct WantedMinute<'a> {
    pub(super) symbol: &'a str,
    pub(super) window: WindowStart,
    /// The first window that the row looks back at.
    pub(super) back_to: WindowStart,
    pub(super) windowing: Windowing,
    /// The records that count are kept.
    pub(super) records: bool,
}

impl WantedMinute<'_> {
    /// Is this event time within it?
    pub(super) fn holds(&self, time: EventTime) -> bool {
        self.windowing.window_of(time) == self.window
    }

    /// When it has ended, and when it is final.
    pub(super) fn ends(&self) -> [EventTime; 2] {
        [self.windowing.end(self.window), self.windowing.final_at(self.window)]
    }

    /// The buckets of the index that it is in, with what it looks back at.
    pub(super) fn buckets(&self) -> Range<i64> {
        self.back_to.0.div_euclid(BUCKET)..self.window.0.div_euclid(BUCKET) + 1
    }
}
