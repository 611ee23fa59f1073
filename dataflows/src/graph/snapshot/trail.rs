//! A worker's part of the audit trail: which objects have the versions of its windows, by cut.
//!
//! ```text
//!   cut ── its delta ──> deltas ── sixteen ──┐
//!   committed ── its record ──> records ─────┴─> object of the trail ── sixteen of one size ──> a larger one ── too old ──> given up
//! ```
//!
//! The delta that a cut has written anyway is named for the trail, too, until an object of the trail is durable that has its versions.
//! So no cut waits for the trail or writes more, a cut's versions are durable with it, and a crash loses none: the next run goes on
//! with deltas and objects as it finds them. What is too old or too much is given up as whole objects; so that these do not grow too old,
//! none is made that spans more than an eighth of what is kept.

use crate::checkpoint::{CutRecord, MAX_TRAIL, MergeRule, ObjectRef, PartTrail, TrailMerge, TrailRef, TrailStart};
use crate::edge::{Halt, ObjectPort, StateStore, Task, Wake};
use crate::graph::job::Restored;
use crate::protocol::TrailReport;
use crate::settings::TrailLimits;
use crate::time::EventTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deltas that become one object, and objects of one size that do.
const TIER: usize = 16;
/// Records of cuts that become one object, where there are fewer deltas.
const RECORDS: usize = 64;
/// The part of what is kept that one object may span.
const SPAN: i64 = 8;

/// An object that is being made.
struct PendingTrail {
    /// How many of the oldest deltas, and of the oldest records, are in it.
    deltas: usize,
    records: usize,
    /// Names of the objects that are in it.
    objects: Vec<String>,
    from: EventTime,
    until: EventTime,
    last: u64,
}

/// See the module.
pub(super) struct TrailObjects {
    limits: TrailLimits,
    port: Box<dyn ObjectPort>,
    /// How the name of every object begins.
    prefix: String,
    names: u64,
    /// From when on nothing is missing; none before the first cut of a new trail.
    start: Option<TrailStart>,
    objects: Vec<TrailRef>,
    deltas: Vec<TrailRef>,
    /// Worker 0: of committed cuts, that are in no object.
    records: Vec<CutRecord>,
    /// Records of cuts up to this number are in objects.
    recorded: u64,
    pending: Option<PendingTrail>,
}

impl TrailObjects {
    /// Goes on with what the head names. `limits`: of this worker. `prefix`: no other object of the chain has a name that begins with it.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn resume(
        restored: &Restored,
        (worker, peers): (usize, usize),
        limits: TrailLimits,
        prefix: String,
        wake: &Wake,
    ) -> Result<Self, Halt> {
        let head = &restored.head;
        let start = head.trail_start();
        let (mut objects, mut deltas) = (Vec::new(), Vec::new());
        let mine = head.parts.iter().enumerate().filter(|(part, _)| start.is_some() && part % peers == worker);
        for trail in mine.filter_map(|(_, part)| part.trail.as_ref()) {
            objects.extend(trail.objects.iter().cloned());
            deltas.extend(trail.deltas.iter().cloned());
        }
        objects.sort_by_key(|of| of.until);
        deltas.sort_by_key(|of| of.last);
        let records = if worker == 0 && start.is_some() { head.cuts.clone() } else { Vec::new() };
        let store: &dyn StateStore = &*restored.store;
        let port = store.port(Arc::clone(wake))?;
        Ok(TrailObjects { limits, port, prefix, names: 0, start, objects, deltas, records, recorded: 0, pending: None })
    }

    /// A cut was committed.
    pub(super) fn record(&mut self, records: impl IntoIterator<Item = CutRecord>) {
        self.records.extend(records);
    }

    /// What the next cut is to name: the one of manifest `seq`, gathered `at` this wall time. `written`: its delta, if it has one.
    pub(super) fn cut(&mut self, seq: u64, at: EventTime, written: Vec<ObjectRef>) -> TrailReport {
        let start = *self.start.get_or_insert(TrailStart { seq, at });
        let of_cut = |object| TrailRef { object, from: at, until: at, last: seq };
        self.deltas.extend(written.into_iter().map(of_cut));
        if self.pending.is_none() {
            self.give_up(at);
            self.begin();
        }
        let start = self.start.unwrap_or(start);
        let trail = PartTrail { start, objects: self.objects.clone(), deltas: self.deltas.clone() };
        TrailReport { seq, at, recorded: self.recorded, trail }
    }

    /// Looks at what has become durable since the last call.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub(super) fn poll(&mut self) -> Result<(), Halt> {
        for object in self.port.done()? {
            let done = self.pending.take().expect("what is done was begun");
            let at = self.objects.iter().position(|of| done.objects.contains(&of.object.name));
            self.objects.retain(|of| !done.objects.contains(&of.object.name));
            let PendingTrail { from, until, last, .. } = done;
            self.objects.insert(at.unwrap_or(self.objects.len()), TrailRef { object, from, until, last });
            self.deltas.drain(..done.deltas);
            let recorded = self.records.drain(..done.records).map(|record| record.seq).max();
            self.recorded = self.recorded.max(recorded.unwrap_or(0));
        }
        Ok(())
    }

    /// Names no more what is too old, or too much.
    fn give_up(&mut self, now: EventTime) {
        let oldest = EventTime(now.0.saturating_sub(self.limits.keep));
        let mut bytes: u64 = self.objects.iter().map(|of| of.object.bytes).sum();
        let mut given_up: Option<(u64, EventTime)> = None;
        self.objects.retain(|of| {
            let stays = of.until >= oldest && bytes <= self.limits.bytes;
            if !stays {
                bytes -= of.object.bytes;
                given_up = given_up.max(Some((of.last, of.until)));
            }
            stays
        });
        self.deltas.retain(|of| {
            let stays = of.until >= oldest;
            if !stays {
                given_up = given_up.max(Some((of.last, of.until)));
            }
            stays
        });
        if let Some((last, at)) = given_up {
            self.start = self.start.max(Some(TrailStart { seq: last + 1, at }));
        }
    }

    /// Begins to make an object, if it is time for one.
    fn begin(&mut self) {
        let Some((merge, inputs, pending)) = self.plan_deltas().or_else(|| self.plan_objects()) else { return };
        self.names += 1;
        let name = format!("{}-{:08}", self.prefix, self.names);
        self.port.begin(Task::Merge { name, inputs, rule: MergeRule::Trail(merge) });
        self.pending = Some(pending);
    }

    /// Deltas and records become an object.
    fn plan_deltas(&self) -> Option<(TrailMerge, Vec<ObjectRef>, PendingTrail)> {
        if self.deltas.len() < TIER && self.records.len() < RECORDS {
            return None;
        }
        let mut room = MAX_TRAIL;
        let fits = |(n, of): &(usize, &TrailRef)| {
            let fits = of.object.entries <= room || *n == 0;
            room = room.saturating_sub(of.object.entries);
            fits
        };
        let deltas: Vec<&TrailRef> = self.deltas.iter().enumerate().take_while(fits).map(|(_, of)| of).collect();
        let times = deltas.iter().flat_map(|of| [of.from, of.until]).chain(self.records.iter().map(|record| record.at));
        let numbers = deltas.iter().map(|of| of.last).chain(self.records.iter().map(|record| record.seq));
        let pending = PendingTrail {
            deltas: deltas.len(),
            records: self.records.len(),
            objects: Vec::new(),
            from: times.clone().min()?,
            until: times.max()?,
            last: numbers.max()?,
        };
        let merge = TrailMerge { deltas: deltas.iter().map(|of| of.last).collect(), cuts: self.records.clone() };
        Some((merge, deltas.iter().map(|of| of.object.clone()).collect(), pending))
    }

    /// Several objects of one size become one: sixteen, or as many as are not too large or too far apart in time.
    fn plan_objects(&self) -> Option<(TrailMerge, Vec<ObjectRef>, PendingTrail)> {
        let mut by_size: BTreeMap<u32, Vec<&TrailRef>> = BTreeMap::new();
        for of in &self.objects {
            by_size.entry(of.object.entries.checked_ilog(TIER as u64).unwrap_or(0)).or_default().push(of);
        }
        let full = by_size.into_values().filter(|objects| objects.len() >= TIER);
        let inputs = full.filter_map(|objects| self.longest_run(&objects)).next()?;
        let pending = PendingTrail {
            deltas: 0,
            records: 0,
            objects: inputs.iter().map(|of| of.object.name.clone()).collect(),
            from: inputs.iter().map(|of| of.from).min()?,
            until: inputs.iter().map(|of| of.until).max()?,
            last: inputs.iter().map(|of| of.last).max()?,
        };
        Some((TrailMerge::default(), inputs.into_iter().map(|of| of.object.clone()).collect(), pending))
    }

    /// The first of these, at most sixteen and at least two, that one object may have together.
    fn longest_run(&self, objects: &[&TrailRef]) -> Option<Vec<TrailRef>> {
        let span = self.limits.keep / SPAN;
        let fits = |run: &[&TrailRef]| {
            let entries: u64 = run.iter().map(|of| of.object.entries).sum();
            let from = run.iter().map(|of| of.from.0).min().unwrap_or(0);
            let until = run.iter().map(|of| of.until.0).max().unwrap_or(0);
            entries <= MAX_TRAIL && until.saturating_sub(from) <= span
        };
        let run_from = |first: usize| {
            let most = TIER.min(objects.len() - first);
            (2..=most).rev().map(|length| &objects[first..first + length]).find(|run| fits(run))
        };
        let run = (0..objects.len()).find_map(run_from)?;
        Some(run.iter().map(|of| (*of).clone()).collect())
    }
}

#[cfg(test)]
mod tests;
