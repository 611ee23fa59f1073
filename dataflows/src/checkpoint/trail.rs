//! The audit trail as manifests name it, and what it says of one window of a series: which versions were committed, by which cut each,
//! and when the window was closed and final.
//!
//! ```text
//!   manifest ── cuts ──────────── records of the newest cuts ───────────────────────────────┐
//!      └─ part ── trail ─┬─ deltas: the windows that newest cuts changed (as in `objects`) ──┼──> WindowTrail
//!                        └─ objects: versions and records of the cuts before those ─────────┘
//! ```
//!
//! A delta has the windows that a cut changed anyway: it is kept until an object of the trail has its versions, and so no cut writes
//! more than without a trail.

use super::damage::Damage;
use super::manifest::Manifest;
use super::trail_object::{CutRecord, TrailObject, WindowVersion, version_in};
use super::trail_ref::{PartTrail, TrailRef, TrailStart};
use crate::time::{EventTime, WindowStart};
use std::collections::BTreeMap;

impl Manifest {
    /// From when on the audit trail knows the versions of every series; none if there is no trail.
    pub fn trail_start(&self) -> Option<TrailStart> {
        let starts: Option<Vec<TrailStart>> = self.parts.iter().map(|part| Some(part.trail.as_ref()?.start)).collect();
        starts?.into_iter().max()
    }

    /// Objects and deltas of the audit trail.
    pub fn trail(&self) -> impl Iterator<Item = &TrailRef> {
        self.parts.iter().filter_map(|part| part.trail.as_ref()).flat_map(PartTrail::all)
    }
}

/// What the audit trail says of one window of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowTrail {
    /// The window.
    pub window: WindowStart,
    /// The series.
    pub symbol: String,
    /// From when on no version is missing. The first version from then on may be what an older cut committed.
    pub start: TrailStart,
    /// What is known of cuts, by the number of their manifest. Those without an entry published a restart, and no cut.
    pub cuts: BTreeMap<u64, CutRecord>,
    /// What was committed, ascending by `seq`, each different from the one before.
    pub versions: Vec<WindowVersion>,
}

/// A cut at which W had passed something, and the one before it, at which it had not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkPassage {
    /// The first cut at which W was that far.
    pub cut: CutRecord,
    /// The cut before: [`CutRecord::held_by`] says which partition W waited for. None where the trail begins later: W may have been
    /// that far before.
    pub before: Option<CutRecord>,
}

impl WindowTrail {
    /// Of this manifest, before its objects and deltas are read; none if it has no trail.
    pub fn begin(manifest: &Manifest, window: WindowStart, symbol: &str) -> Option<WindowTrail> {
        let cuts = manifest.cuts.iter().map(|cut| (cut.seq, *cut)).collect();
        let (symbol, start) = (symbol.to_owned(), manifest.trail_start()?);
        Some(WindowTrail { window, symbol, start, cuts, versions: Vec::new() })
    }

    /// What an object of the trail knows.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn add_object(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let object = TrailObject::open(bytes)?;
        self.cuts.extend(object.cuts().iter().map(|cut| (cut.seq, *cut)));
        self.versions.extend(object.of(self.window, &self.symbol)?);
        Ok(())
    }

    /// What a delta of this cut knows.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn add_delta(&mut self, bytes: &[u8], seq: u64) -> Result<(), Damage> {
        self.versions.extend(version_in(bytes, seq, (self.window, &self.symbol))?);
        Ok(())
    }

    /// Everything was added. (A run writes all that it resumes with once more: that is no new version.)
    #[must_use]
    pub fn end(mut self) -> WindowTrail {
        self.versions.sort_by_key(|version| version.seq);
        self.versions.dedup_by(|later, earlier| later.equals(earlier));
        self
    }

    /// When W passed this time; none if it had not as of the newest cut. A window closes as W passes its end (R6), and becomes final
    /// as W passes its end and the lateness.
    pub fn passage(&self, time: EventTime) -> Option<WatermarkPassage> {
        let mut before = None;
        for cut in self.cuts.values() {
            if cut.w >= Some(time) {
                return Some(WatermarkPassage { cut: *cut, before });
            }
            before = Some(*cut);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Object, TrailMerge, WatermarkHolder, WorkerObjects};

    fn cut(seq: u64, w: i64) -> CutRecord {
        let held_by = Some(WatermarkHolder { partition: 1, by_floor: seq.is_multiple_of(2) });
        CutRecord { seq, at: EventTime(seq.cast_signed() * 1_000_000), w: Some(EventTime(w)), held_by }
    }

    fn trail(since: u64) -> PartTrail {
        PartTrail { start: TrailStart { seq: since, at: EventTime(7) }, objects: Vec::new(), deltas: Vec::new() }
    }

    #[test]
    fn a_trail_begins_where_that_of_every_worker_has_begun() {
        let part = |trail| WorkerObjects { trail, ..WorkerObjects::default() };
        let manifest = |trails: Vec<Option<PartTrail>>| Manifest {
            parts: trails.into_iter().map(part).collect(),
            ..Manifest::default()
        };
        let start = |trails| manifest(trails).trail_start().map(|start| start.seq);
        assert_eq!(start(vec![Some(trail(3)), Some(trail(5))]), Some(5));
        assert_eq!(start(vec![Some(trail(3)), None]), None);
        assert_eq!(start(vec![]), None);
    }

    #[test]
    fn what_a_restart_writes_again_is_no_version_and_w_passes_a_time_at_one_cut() {
        let manifest = Manifest {
            parts: vec![WorkerObjects { trail: Some(trail(4)), ..WorkerObjects::default() }],
            cuts: vec![cut(9, 130)],
            ..Manifest::default()
        };
        let delta = |count: i64| {
            let acc = (count, crate::wide::Int128::new(i128::from(count) * 5));
            Object::encode(&[(WindowStart(60), "AB", acc), (WindowStart(0), "AB", acc)])
        };
        let merge = TrailMerge { deltas: vec![4, 6], cuts: vec![cut(4, 70), cut(6, 100)] };
        let (object, entries) = merge.merge(&[&delta(2), &delta(3)]).unwrap();
        assert_eq!(entries, 6);
        let mut trail = WindowTrail::begin(&manifest, WindowStart(60), "AB").unwrap();
        trail.add_delta(&delta(3), 8).unwrap();
        trail.add_delta(&delta(7), 9).unwrap();
        trail.add_object(&object).unwrap();
        let trail = trail.end();
        let versions: Vec<_> = trail.versions.iter().map(|version| (version.seq, version.count, version.sum)).collect();
        assert_eq!(versions, [(4, 2, 10), (6, 3, 15), (9, 7, 35)]);
        let passage = |time| trail.passage(EventTime(time)).map(|it| (it.cut.seq, it.before.map(|cut| cut.seq)));
        assert_eq!(
            [passage(60), passage(100), passage(120), passage(131)],
            [Some((4, None)), Some((6, Some(4))), Some((9, Some(6))), None]
        );
        assert_eq!(trail.cuts[&9].held_by, Some(WatermarkHolder { partition: 1, by_floor: false }));
        assert!(WindowTrail::begin(&Manifest::default(), WindowStart(60), "AB").is_none());
    }
}
