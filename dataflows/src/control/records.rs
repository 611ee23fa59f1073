//! Records of cuts, for the audit trail: made as a cut is checked, and kept in manifests until an object of worker 0's trail has them.

use super::cuts::Cut;
use crate::checkpoint::{CutRecord, Manifest, PartitionSnapshot, WatermarkHolder};
use crate::partition::UNKNOWN;

/// Records that no object of the trail has, oldest first.
#[derive(Debug)]
pub(super) struct CutRecords(Vec<CutRecord>);

impl CutRecords {
    /// As `head`, the manifest that the run resumes from, says.
    pub(super) fn new(head: Option<&Manifest>) -> Self {
        CutRecords(head.map_or_else(Vec::new, |head| head.cuts.clone()))
    }

    /// The cut of this manifest is to be committed: all that the manifest is to say, its own record last. None without a trail.
    ///
    /// # Panics
    /// When worker 0 has counted its cuts otherwise.
    pub(super) fn add(&mut self, cut: &Cut, seq: u64) -> Vec<CutRecord> {
        let leads = cut.parts.iter().find(|part| part.worker == 0);
        match leads.and_then(|part| part.trail.as_ref()) {
            Some(report) => {
                assert_eq!(report.seq, seq, "each cut has a manifest, in order");
                self.0.retain(|record| record.seq > report.recorded);
                let (w, held_by) = (cut.snapshot.marks.w, holder(&cut.snapshot.partitions));
                self.0.push(CutRecord { seq, at: report.at, w, held_by: held_by.filter(|_| w.is_some()) });
            }
            None => self.0.clear(),
        }
        self.0.clone()
    }
}

/// The partition with the least watermark; of several the first.
fn holder(partitions: &[PartitionSnapshot]) -> Option<WatermarkHolder> {
    let watermark = |snapshot: &PartitionSnapshot| match &snapshot.state {
        Some(state) => state.watermark().unwrap_or(UNKNOWN),
        None => snapshot.floor.unwrap_or(UNKNOWN),
    };
    let (partition, snapshot) = partitions.iter().enumerate().min_by_key(|(_, snapshot)| watermark(snapshot))?;
    let by_floor = snapshot.state.as_ref().is_none_or(|state| state.floor > state.h);
    Some(WatermarkHolder { partition, by_floor })
}

#[cfg(test)]
mod tests {
    use super::super::cuts::Snapshot;
    use super::super::cuts::tests::part;
    use super::*;
    use crate::checkpoint::{PartTrail, TrailStart};
    use crate::edge::Discovered;
    use crate::marks::Marks;
    use crate::partition::{Partition, PartitionState, Rule};
    use crate::protocol::{CutPart, TrailReport};
    use crate::record::PartitionName;
    use crate::time::{EventTime, Monotonic, NextOffset};

    fn snapshot(h: Option<i64>, floor: Option<i64>) -> PartitionSnapshot {
        let partition = Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0));
        let name = PartitionName { log: "t".into(), number: Some(0) };
        let found = Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: None, log_id: None };
        let (h, floor) = (h.map(EventTime), floor.map(EventTime));
        let state = Some(PartitionState { h, floor, ..partition.report(None, Monotonic(0)) });
        PartitionSnapshot { found, state, floor: None, complete_from: None }
    }

    fn cut(w: i64, recorded: Option<u64>, seq: u64) -> Cut {
        let partitions =
            vec![snapshot(Some(w + 5), None), snapshot(Some(w - 3), Some(w)), snapshot(Some(w + 1), Some(w))];
        let marks = Marks { w: Some(EventTime(w)), ..Marks::default() };
        let start = TrailStart { seq: 1, at: EventTime(0) };
        let trail = PartTrail { start, objects: Vec::new(), deltas: Vec::new() };
        let report = |recorded| TrailReport { seq, at: EventTime(9), recorded, trail: trail.clone() };
        let parts = vec![part(7, 1, 0), CutPart { trail: recorded.map(report), ..part(7, 0, 0) }];
        Cut { epoch: 7, snapshot: Snapshot { marks, partitions, ..Snapshot::default() }, parts }
    }

    #[test]
    fn a_record_says_what_w_waited_for_and_stays_until_an_object_has_it() {
        let mut records = CutRecords::new(None);
        let held_by = Some(WatermarkHolder { partition: 1, by_floor: true });
        let record = |seq, w| CutRecord { seq, at: EventTime(9), w: Some(EventTime(w)), held_by };
        assert_eq!(records.add(&cut(60, Some(0), 1), 1), [record(1, 60)]);
        assert_eq!(records.add(&cut(70, Some(0), 2), 2), [record(1, 60), record(2, 70)]);
        assert_eq!(records.add(&cut(80, Some(1), 3), 3), [record(2, 70), record(3, 80)]);
        let head = Manifest { cuts: vec![record(2, 70), record(3, 80)], ..Manifest::default() };
        let mut records = CutRecords::new(Some(&head));
        assert_eq!(records.add(&cut(90, Some(2), 5), 5), [record(3, 80), record(5, 90)]);
        assert_eq!(records.add(&cut(90, None, 6), 6), [], "a run without a trail");
        assert_eq!(holder(&[]), None);
    }
}
