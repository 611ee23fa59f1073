//! How far behind its partition's watermark a record is, as a histogram.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// Upper edges of the buckets of [`DelayHistogram`], in milliseconds.
pub const DELAY_EDGES_MS: [i64; 15] = [
    1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 14_400_000,
    43_200_000, 86_400_000,
];

/// How far valid records' event times were behind their partition's watermark when they were read, since the run began.
/// It is no part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayHistogram {
    /// How many were behind by less than each edge and no less than the one before it, and last those beyond all edges.
    pub counts: [u64; DELAY_EDGES_MS.len() + 1],
    /// The sum over those that were behind, in milliseconds.
    pub total_ms: u64,
}

impl DelayHistogram {
    /// Adds those of others.
    pub fn add(&mut self, other: &DelayHistogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
    }

    /// A record with this event time at this watermark.
    #[inline]
    pub(super) fn count(&mut self, time: EventTime, watermark: Option<EventTime>) {
        match watermark {
            Some(mark) if mark > time => self.count_behind(mark.0.saturating_sub(time.0) / 1_000_000),
            _ => self.counts[0] += 1,
        }
    }

    fn count_behind(&mut self, ms: i64) {
        let bucket = DELAY_EDGES_MS.iter().position(|edge| ms < *edge).unwrap_or(DELAY_EDGES_MS.len());
        self.counts[bucket] += 1;
        self.total_ms = self.total_ms.saturating_add(u64::try_from(ms).unwrap_or(0));
    }
}
