//! Snapshot: a worker's part of each cut, once the arrangement holds all of it and the objects that keep it are durable.
//!
//! ```text
//!   batches ── file ──> changed keys by epoch          cut ──> PendingObject ── gather, many activations ──> DurableObjects
//!                                                                                                       durable │
//!                                                       CutPart <── passed in the order of cuts <───────────────┘
//! ```
//!
//! An object has the windows whose sums changed since the cut before, each with its whole accumulation as of the cut. It is
//! gathered over many activations, so that readers are not kept waiting: history is kept from the last committed cut on
//! ([`Windows`]), and this one is not committed before its object is durable. A window that is retired between a cut and the
//! end of that is in neither: it is final, committed and stored by every sink, and the part says from which window on it
//! holds any.

mod merges;
mod objects;
mod optional;
mod trail;
mod union;

use super::context::{WorkerContext, wake_for};
use super::job::Job;
use super::key::{WindowKey, level_of};
use super::windows::{Span, Windows, each_update};
use crate::acc::Accumulate;
use crate::checkpoint::{CutRecord, IdObjectBuilder, IndexPart, MergeRule, ObjectBuilder, ObjectContent};
use crate::coarse::{CoarseWindows, stored_name};
use crate::derived::LONGEST_GAP;
use crate::edge::{Clock, Halt, Wake};
use crate::mutants::{self, Mutant};
use crate::protocol::{CutPart, End};
use crate::row::RowKind;
use crate::settings::TrailLimits;
use crate::time::{Epoch, EventTime, WindowStart};
use objects::{CutObjects, DurableObjects};
use optional::OptionalObjects;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use trail::TrailObjects;
use union::KeyUnion;

/// One activation gathers as many windows of series as an epoch has records, divided by this: a millisecond's work.
const GATHERINGS: usize = 64;

/// The object of a cut, while it is gathered.
struct PendingObject {
    end: End,
    /// When it was begun, by the wall clock, where there is a trail.
    at: EventTime,
    traced: Option<i64>,
    /// Keys that are still to be gathered.
    keys: KeyUnion,
    draft: ObjectBuilder,
}

/// A part of a cut that lacks its objects.
struct WaitingPart {
    part: CutPart,
    /// The number that the cut's manifest will have.
    seq: u64,
    /// When it was begun, by the wall clock, where there is a trail.
    at: EventTime,
}

struct Snapshot<A: Accumulate> {
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
    coarser: CoarseWindows,
    /// Bounded: its end says which coarser windows are open. They are looked for in all that is held.
    tells_open: bool,
    worker: usize,
    /// Of windows. Absent without a state.
    objects: Option<DurableObjects>,
    ids: OptionalObjects,
    folds: OptionalObjects,
    index: OptionalObjects,
    /// Absent without a state, or where none is kept.
    trail: Option<TrailObjects>,
    /// The number of the newest cut's manifest.
    seq: u64,
    clock: Rc<dyn Clock>,
    /// How many windows of series one activation gathers.
    at_once: usize,
    /// Keys whose sums changed in epochs that no object has yet.
    changed: BTreeMap<Epoch, BTreeSet<WindowKey>>,
    /// Records up to the last cut.
    arrived: i64,
    retired: i64,
    pending: Option<PendingObject>,
    /// Parts of cuts that lack their objects, oldest first.
    waiting: VecDeque<WaitingPart>,
}

impl<A: Accumulate> Snapshot<A> {
    /// Before the first cut. A store that cannot be written to halts the run.
    fn new(
        job: &Job,
        context: Rc<WorkerContext>,
        windows: Rc<Windows<A>>,
        (worker, peers): (usize, usize),
        wake: &Wake,
    ) -> Self {
        let (mut objects, mut store) = (None, None);
        if let Some(restored) = &job.state {
            let prefix = format!("{:06}-{worker:03}", restored.head.generation);
            match restored.store.port(Arc::clone(wake)) {
                Ok(port) => objects = Some(DurableObjects::new(port, prefix.clone())),
                Err(halt) => context.halt(halt),
            }
            store = Some((Arc::clone(&restored.store), prefix));
        }
        let optional = |kind| {
            let named = store.clone().map(|(store, prefix)| (store, format!("{prefix}-{kind}")));
            OptionalObjects::new(named, Arc::clone(wake))
        };
        let mut index = optional("index");
        let adopted = job.state.iter().flat_map(|restored| restored.index_of(worker, peers)).collect();
        if let Err(halt) = index.adopt(adopted) {
            context.halt(halt);
        }
        let trail = trail_of(job, (worker, peers), wake).unwrap_or_else(|halt| {
            context.halt(halt);
            None
        });
        Snapshot {
            trail,
            seq: job.state.as_ref().map_or(0, |restored| restored.head.seq),
            clock: Rc::clone(&job.clock),
            context,
            windows,
            tells_open: job.settings.bounded && !job.settings.windows.is_empty(),
            coarser: job.settings.windows.clone(),
            worker,
            objects,
            ids: optional("ids"),
            folds: optional("folds"),
            index,
            at_once: (job.settings.epoch_records / GATHERINGS).max(1),
            changed: BTreeMap::new(),
            arrived: 0,
            retired: 0,
            pending: None,
            waiting: VecDeque::new(),
        }
    }

    /// Files each update of a batch under its own time.
    fn file(&mut self, span: &Span<A>) {
        let lower = span.desc.lower().first().copied().filter(|_| mutants::on(Mutant::FiledUnderCapability));
        let changed = &mut self.changed;
        each_update(span, |key, time| {
            changed.entry(lower.unwrap_or(time)).or_default().insert(key);
        });
    }

    /// All of a cut is in the windows' history: its object is gathered from now on.
    fn cut(&mut self, end: End) {
        let later = self.changed.split_off(&(end.epoch + 1));
        let keys = KeyUnion::of(std::mem::replace(&mut self.changed, later).into_values());
        let traced = end.audit.then(|| self.windows.count(end.epoch));
        self.seq += 1;
        let at = self.trail.as_ref().map_or(EventTime(0), |_| CutRecord::stamp(self.clock.wall()));
        self.pending = Some(PendingObject { end, at, traced, keys, draft: ObjectBuilder::default() });
    }

    /// Gathers some more of the cut; says whether something is left to do.
    fn gather(&mut self) -> Result<bool, Halt> {
        let Some(pending) = &mut self.pending else { return Ok(false) };
        let series = self.context.series.borrow();
        let mut pass = self.windows.pass(Some(pending.end.epoch));
        let mut gathered = 0;
        for key in pending.keys.by_ref().take(self.at_once) {
            gathered += 1;
            // A retraction, or a window that was retired meanwhile.
            let Some(name) = series.name(key) else { continue };
            if let Some(sum) = pass.sum(key).filter(|sum| !sum.is_zero()) {
                let level = match self.coarser.kind(level_of(key.id)) {
                    RowKind::Window(level) => Some(level),
                    RowKind::Minute | RowKind::Group => None,
                };
                pending.draft.push(key.window, &stored_name(name, level), &sum);
            }
        }
        drop(series);
        if gathered == self.at_once {
            return Ok(true);
        }
        self.gathered().map(|()| false)
    }

    /// All of a cut is gathered: begins its object, if there is one, and files the part.
    fn gathered(&mut self) -> Result<(), Halt> {
        let Some(PendingObject { end, at, traced, mut draft, .. }) = self.pending.take() else { return Ok(()) };
        let mut tally = self.context.tally.borrow_mut();
        self.arrived += take_through(&mut tally.arrived, end.epoch);
        self.retired += take_through(&mut tally.retired, end.epoch);
        let (retired_before, forgotten) = (tally.retired_before, tally.retired_records);
        drop(tally);
        draft.retire_before(retired_before);
        let (keys, load) = (self.context.series.borrow().keys(), self.context.load());
        let told = self.tells_open.then(|| self.context.series.borrow().coarser_windows().collect());
        let coarser = told.unwrap_or_default();
        if let Some(objects) = &mut self.objects {
            let contents = if draft.is_empty() { Vec::new() } else { vec![draft.into()] };
            objects.cut(CutObjects { contents, held: keys, rule: MergeRule::Windows(retired_before) });
        }
        self.cut_others(retired_before)?;
        let (arrived, retired, worker) = (self.arrived, self.retired, self.worker);
        let part = CutPart {
            cut: end.epoch,
            worker,
            arrived,
            retired,
            keys,
            coarser,
            load,
            traced,
            objects: Vec::new(),
            ids: Vec::new(),
            folds: Vec::new(),
            index: Vec::new(),
            trail: None,
            retired_before,
            forgotten,
        };
        self.waiting.push_back(WaitingPart { part, seq: self.seq, at });
        Ok(())
    }

    /// Begins the cut's objects of ids, of folds and of the index.
    fn cut_others(&mut self, retired_before: Option<WindowStart>) -> Result<(), Halt> {
        let ids = self.context.cut_ids.borrow_mut().pop_front().expect("Read has ended the cut's epoch");
        let contents = IdObjectBuilder::split(ids.groups).into_iter().map(ObjectContent::Ids).collect();
        self.ids.cut(CutObjects { contents, held: 0, rule: MergeRule::Ids(ids.first_held) })?;
        let mut folds = self.context.folds.borrow_mut();
        let changed = folds.take_changed();
        let contents = if changed.is_empty() { Vec::new() } else { vec![ObjectContent::Folds(changed)] };
        let since = retired_before.map(|window| WindowStart(window.0.saturating_sub(LONGEST_GAP)));
        self.folds.cut(CutObjects { contents, held: folds.len(), rule: MergeRule::Folds(since) })?;
        // As of what is retired, which the part says.
        let digests = std::mem::take(&mut *self.context.digests.borrow_mut());
        let index = IndexPart { entries: ids.entries, digests };
        let contents = if index.is_empty() { Vec::new() } else { vec![ObjectContent::Index(index)] };
        self.index.cut(CutObjects { contents, held: 0, rule: MergeRule::Index })
    }

    /// Parts whose objects are durable by now.
    fn ready(&mut self) -> Result<Vec<CutPart>, Halt> {
        if let Some(objects) = &mut self.objects {
            objects.poll()?;
        }
        self.ids.poll()?;
        self.folds.poll()?;
        self.index.poll()?;
        if let Some(trail) = &mut self.trail {
            trail.poll()?;
            trail.record(self.context.cut_records.take());
        }
        let mut ready = Vec::new();
        while self.objects.as_ref().is_none_or(DurableObjects::is_ready)
            && [&self.ids, &self.folds, &self.index].into_iter().all(OptionalObjects::is_ready)
        {
            let Some(WaitingPart { part, seq, at }) = self.waiting.pop_front() else { break };
            let objects = self.objects.as_mut().and_then(DurableObjects::take).unwrap_or_default();
            let (ids, folds, index) = (self.ids.take(), self.folds.take(), self.index.take());
            let trail = self.trail.as_mut().map(|trail| trail.cut(seq, at, objects.written));
            ready.push(CutPart { objects: objects.all, ids, folds, index, trail, ..part });
        }
        Ok(ready)
    }

    /// The oldest cut whose part is not sent yet.
    fn oldest_cut(&self) -> Option<Epoch> {
        let gathering = self.pending.as_ref().map(|pending| pending.end.epoch);
        self.waiting.front().map(|waiting| waiting.part.cut).or(gathering)
    }
}

/// The audit trail, where there is a state and it is to be kept.
fn trail_of(job: &Job, (worker, peers): (usize, usize), wake: &Wake) -> Result<Option<TrailObjects>, Halt> {
    let (Some(restored), Some(limits)) = (&job.state, job.settings.trail) else { return Ok(None) };
    let prefix = format!("{:06}-{worker:03}-trail", restored.head.generation);
    let limits = TrailLimits { bytes: limits.bytes / peers.max(1) as u64, ..limits };
    TrailObjects::resume(restored, (worker, peers), limits, prefix, wake).map(Some)
}

/// Builds the operator.
pub(super) fn snapshot<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
) -> StreamVec<'scope, Epoch, CutPart> {
    let scope = batches.scope();
    let (worker, peers) = (scope.index(), scope.peers());
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Snapshot", move |cap, info| {
        context.activators.borrow_mut().push(scope.activator_for(Rc::clone(&info.address)));
        let again = scope.activator_for(Rc::clone(&info.address));
        let wake = wake_for(&scope, &info.address);
        let mut snapshot = Snapshot::new(&job, context, windows, (worker, peers), &wake);
        let mut cap = Some(cap);
        move |(input, frontier), output| {
            input.for_each(|_, spans| {
                let keeps = snapshot.objects.is_some();
                spans.drain(..).filter(|_| keeps).for_each(|span| snapshot.file(&span));
            });
            let Some(held) = cap.as_mut() else { return };
            loop {
                match snapshot.gather() {
                    Ok(false) => {}
                    Ok(true) => {
                        again.activate();
                        break;
                    }
                    Err(halt) => return snapshot.context.halt(halt),
                }
                let mut cuts = snapshot.context.for_snapshot.borrow_mut();
                let Some(end) = cuts.front().copied().filter(|end| !frontier.less_equal(&end.epoch)) else { break };
                cuts.pop_front();
                drop(cuts);
                snapshot.cut(end);
            }
            let ready = match snapshot.ready() {
                Ok(ready) => ready,
                Err(halt) => return snapshot.context.halt(halt),
            };
            for part in ready {
                // A capability that the frontier has passed is still held: only then is the part's arrival certain.
                let least = part.cut.max(*held.time());
                output.session_with_builder(&held.delayed(&least)).give(part);
            }
            match (frontier.frontier().first(), snapshot.oldest_cut()) {
                (_, Some(cut)) if !snapshot.context.stopped.get() => held.downgrade(&cut.max(*held.time())),
                (Some(epoch), _) => held.downgrade(&epoch.max(held.time()).clone()),
                (None, _) => cap = None,
            }
        }
    })
}

/// The sum of what is filed up to an epoch, which leaves the map.
fn take_through(by_epoch: &mut BTreeMap<Epoch, i64>, epoch: Epoch) -> i64 {
    let later = by_epoch.split_off(&(epoch + 1));
    std::mem::replace(by_epoch, later).into_values().sum()
}
