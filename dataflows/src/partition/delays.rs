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
        // Nearly all are behind by less than the first edge, or not at all: no branch depends on which.
        let behind = watermark.map_or(0, |mark| mark.0.saturating_sub(time.0).max(0));
        let ms = behind / 1_000_000;
        if ms >= DELAY_EDGES_MS[0] {
            return self.count_beyond(ms);
        }
        self.counts[0] += 1;
        self.total_ms = self.total_ms.saturating_add(ms.cast_unsigned());
    }

    /// One that is behind by this and no less than the first edge.
    fn count_beyond(&mut self, ms: i64) {
        let bucket = DELAY_EDGES_MS.iter().position(|edge| ms < *edge).unwrap_or(DELAY_EDGES_MS.len());
        self.counts[bucket] += 1;
        self.total_ms = self.total_ms.saturating_add(u64::try_from(ms).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_counted_below_the_first_edge_that_is_greater() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..100_000 {
            let (time, behind) = (rng.i64(-(1 << 62)..1 << 61), rng.i64(-(1 << 61)..1 << 61) >> rng.u32(0..61));
            let mark = Some(EventTime(time.saturating_add(behind))).filter(|_| rng.u8(..) > 9);
            let mut got = DelayHistogram::default();
            got.count(EventTime(time), mark);
            let ms = mark.map_or(0, |_| behind.max(0) / 1_000_000);
            let mut want = DelayHistogram { total_ms: ms.cast_unsigned(), ..DelayHistogram::default() };
            want.counts[DELAY_EDGES_MS.iter().filter(|edge| **edge <= ms).count()] = 1;
            assert_eq!(got, want, "{time} {mark:?} seed {seed}");
        }
    }
}
