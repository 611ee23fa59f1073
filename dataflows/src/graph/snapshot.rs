//! State: a worker's part of each cut, once the arrangement holds all of it and the objects that keep it are durable.
//!
//! An object has the windows whose sums changed since the cut before, each with its whole accumulation as of the cut.
//! Sixteen objects of one level are merged into one of the next; all are, when most of what they hold has been superseded.
//! A merge is begun and waited for like a write, but no cut waits for it.
//!
//! An object is gathered over many activations, so that readers are not kept waiting: the trace still tells what was at
//! the cut, because it is compacted up to the last committed one only. A window that is forgotten between a cut and the
//! end of that is in neither: it is final, committed and stored by every sink, and the part says from which line on it
//! holds windows.

use super::{Job, Key, Local, Span, Trace, everything};
use crate::acc::Accumulate;
use crate::checkpoint::{ObjectBuilder, ObjectRef};
use crate::edge::{Halt, ObjectPort, Task};
use crate::mutants::{self, Mutant};
use crate::protocol::{CutPart, End};
use crate::time::{Epoch, WindowStart};
use differential_dataflow::trace::{Cursor, Navigable};
use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_set};
use std::iter::Peekable;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// Objects of one level that are merged.
const TIER: usize = 16;
/// Entries that may be superseded before all objects are merged, beyond as many as there are windows held.
const SLACK: u64 = 4096;
/// One activation gathers as many windows of series as an epoch has records, divided by this: a millisecond's work.
const GATHERINGS: usize = 64;

/// What was begun at the port.
enum Begun {
    Write,
    /// So many objects from this one on, into one of this level.
    Merge {
        from: usize,
        inputs: usize,
        level: u32,
    },
}

/// A worker's objects.
struct Objects {
    port: Box<dyn ObjectPort>,
    /// Durable, oldest first, each with its level; levels do not rise.
    live: Vec<(ObjectRef, u32)>,
    begun: VecDeque<Begun>,
    /// What is in the name of every object of this worker and generation.
    prefix: String,
    names: u64,
}

impl Objects {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}-{:08}", self.prefix, self.names)
    }

    /// This has become durable; says whether a cut waited for it.
    fn done(&mut self, object: ObjectRef) -> bool {
        match self.begun.pop_front().expect("what is done was begun") {
            Begun::Write => {
                // The first has all that is held: as if merged already, so that not every tier takes it up again.
                let level =
                    if self.live.is_empty() { object.entries.checked_ilog(TIER as u64).unwrap_or(0) } else { 0 };
                self.live.push((object, level));
            }
            Begun::Merge { from, inputs, level } => {
                drop(self.live.splice(from..from + inputs, [(object, level)]));
                return false;
            }
        }
        true
    }

    /// Begins a merge, if it is time for one and none is under way.
    fn tidy(&mut self, keys: u64, line: Option<WindowStart>) {
        if self.begun.iter().any(|begun| matches!(begun, Begun::Merge { .. })) {
            return;
        }
        let entries: u64 = self.live.iter().map(|(object, _)| object.entries).sum();
        let (from, inputs, level) = if self.live.len() > 1 && entries > 2 * keys + SLACK {
            (0, self.live.len(), self.live[0].1)
        } else {
            let full = self.live.chunk_by(|a, b| a.1 == b.1).scan(0, |from, run| {
                let begins = *from;
                *from += run.len();
                Some((begins, run))
            });
            let Some((from, run)) = full.filter(|(_, run)| run.len() >= TIER).last() else { return };
            (from, TIER, run[0].1 + 1)
        };
        let name = self.name();
        let objects = self.live[from..from + inputs].iter().map(|(object, _)| object.clone()).collect();
        self.port.begin(Task::Merge { name, inputs: objects, line });
        self.begun.push_back(Begun::Merge { from, inputs, level });
    }
}

/// The keys of several sets, ascending, each once.
struct Union(Vec<Peekable<btree_set::IntoIter<Key>>>);

impl Iterator for Union {
    type Item = Key;

    fn next(&mut self) -> Option<Key> {
        let least = self.0.iter_mut().filter_map(|set| set.peek().copied()).min()?;
        for set in &mut self.0 {
            set.next_if_eq(&least);
        }
        Some(least)
    }
}

/// The object of a cut, while it is gathered.
struct Making {
    end: End,
    traced: Option<i64>,
    /// What is left.
    keys: Union,
    draft: ObjectBuilder,
}

struct State<A: Accumulate> {
    local: Rc<Local>,
    trace: Trace<A>,
    worker: usize,
    objects: Option<Objects>,
    /// How many windows of series one activation gathers.
    at_once: usize,
    /// Keys whose sums changed in epochs that no object has yet.
    changed: BTreeMap<Epoch, BTreeSet<Key>>,
    arrived: i64,
    retired: i64,
    making: Option<Making>,
    /// Parts of cuts, oldest first, each with whether its object is on its way.
    waiting: VecDeque<(CutPart, bool)>,
}

impl<A: Accumulate> State<A> {
    /// Files each update of a batch under its own time.
    fn file(&mut self, span: &Span<A>) {
        let Some(batch) = &span.inner else { return };
        let mut cursor = batch.cursor();
        let lower = span.desc.lower().first().copied().filter(|_| mutants::on(Mutant::FiledUnderCapability));
        while let Some(key) = cursor.get_key(batch).copied() {
            let changed = &mut self.changed;
            cursor.map_times(batch, |time, _| {
                changed.entry(lower.unwrap_or(*time)).or_default().insert(key);
            });
            cursor.step_key(batch);
        }
    }

    /// All of a cut is in the trace: its object is gathered from now on.
    fn cut(&mut self, end: End) {
        let later = self.changed.split_off(&(end.epoch + 1));
        let changed = std::mem::replace(&mut self.changed, later).into_values();
        let keys = Union(changed.map(|keys| keys.into_iter().peekable()).collect());
        let traced = end.audit.then(|| count(&self.trace, end.epoch));
        self.making = Some(Making { end, traced, keys, draft: ObjectBuilder::default() });
    }

    /// Gathers some more of the cut; says whether something is left to do.
    fn gather(&mut self) -> bool {
        let Some(making) = &mut self.making else { return false };
        let (cut, line) = (making.end.epoch, self.local.tally.borrow().forgotten.0);
        let series = self.local.series.borrow();
        let (mut cursor, storage) = everything(&self.trace);
        let mut gathered = 0;
        // The id of a series may be another's once its windows are forgotten.
        for key in making.keys.by_ref().take(self.at_once).inspect(|_| gathered += 1).filter(|key| Some(key.0) >= line)
        {
            cursor.seek_key(&storage, &key);
            let mut sum: Option<A> = None;
            if cursor.get_key(&storage) == Some(&key) {
                cursor.map_times(&storage, |time, diff| {
                    if *time <= cut {
                        match &mut sum {
                            Some(sum) => sum.plus_equals(diff),
                            None => sum = Some(*diff),
                        }
                    }
                });
            }
            if let Some(sum) = sum.filter(|sum| !sum.is_zero()) {
                making.draft.push(key.0, series.name(key.1), &sum);
            }
        }
        drop(series);
        if gathered == self.at_once {
            return true;
        }
        self.made();
        false
    }

    /// All of a cut is gathered: begins its object, if there is one, and files the part.
    fn made(&mut self) {
        let Some(Making { end, traced, mut draft, .. }) = self.making.take() else { return };
        let mut tally = self.local.tally.borrow_mut();
        self.arrived += take_through(&mut tally.arrived, end.epoch);
        self.retired += take_through(&mut tally.retired, end.epoch);
        let (retired_before, forgotten) = tally.forgotten;
        drop(tally);
        draft.forget(retired_before);
        let writes = !draft.is_empty();
        if let (true, Some(objects)) = (writes, &mut self.objects) {
            let name = objects.name();
            objects.port.begin(Task::Write { name, draft });
            objects.begun.push_back(Begun::Write);
        }
        let (keys, load) = (self.local.series.borrow().keys(), self.local.series.borrow().load());
        let (arrived, retired, worker) = (self.arrived, self.retired, self.worker);
        let objects = Vec::new();
        let part = CutPart {
            cut: end.epoch,
            worker,
            arrived,
            retired,
            keys,
            load,
            traced,
            objects,
            retired_before,
            forgotten,
        };
        self.waiting.push_back((part, writes));
    }

    /// Parts whose objects are durable by now. One object after the other: a part has none that is newer than its cut.
    fn ready(&mut self) -> Result<Vec<CutPart>, Halt> {
        let mut ready = Vec::new();
        self.pass(&mut ready);
        let done = self.objects.as_mut().map_or(Ok(Vec::new()), |objects| objects.port.done())?;
        for object in done {
            if self.objects.as_mut().is_some_and(|objects| objects.done(object)) {
                let waits = self.waiting.front_mut().filter(|(_, writes)| *writes);
                match waits {
                    Some((_, writes)) => *writes = false,
                    None => assert!(mutants::on(Mutant::ObjectNotAwaited), "an object is of the oldest cut that waits"),
                }
            }
            self.pass(&mut ready);
        }
        Ok(ready)
    }

    fn pass(&mut self, ready: &mut Vec<CutPart>) {
        let passes = |writes: bool| !writes || mutants::on(Mutant::ObjectNotAwaited);
        while self.waiting.front().is_some_and(|(_, writes)| passes(*writes)) {
            let Some((mut part, _)) = self.waiting.pop_front() else { return };
            if let Some(objects) = &mut self.objects {
                part.objects = objects.live.iter().map(|(object, _)| object.clone()).collect();
                objects.tidy(part.keys, part.retired_before);
            }
            ready.push(part);
        }
    }
}

/// Builds the operator.
pub(crate) fn snapshot<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    local: Rc<Local>,
    trace: Trace<A>,
) -> StreamVec<'scope, Epoch, CutPart> {
    let scope = batches.scope();
    let worker = scope.index();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "State", move |cap, info| {
        local.activators.borrow_mut().push(scope.activator_for(Rc::clone(&info.address)));
        let again = scope.activator_for(Rc::clone(&info.address));
        let wake = super::waking(&scope, &info.address);
        let port = job.state.as_ref().map(|kept| (kept.store.port(wake), kept.head.generation));
        let objects = port.and_then(|(port, generation)| match port {
            Ok(port) => {
                let prefix = format!("{generation:06}-{worker:03}");
                Some(Objects { port, live: Vec::new(), begun: VecDeque::new(), prefix, names: 0 })
            }
            Err(halt) => {
                local.halt(halt);
                None
            }
        });
        let (changed, waiting) = (BTreeMap::new(), VecDeque::new());
        let at_once = (job.settings.epoch_records / GATHERINGS).max(1);
        let mut state =
            State { local, trace, worker, objects, at_once, changed, arrived: 0, retired: 0, making: None, waiting };
        let mut cap = Some(cap);
        move |(input, frontier), output| {
            input.for_each(|_, spans| {
                let keeps = state.objects.is_some();
                spans.drain(..).filter(|_| keeps).for_each(|span| state.file(&span));
            });
            let Some(held) = cap.as_mut() else { return };
            loop {
                if state.gather() {
                    again.activate();
                    break;
                }
                let mut cuts = state.local.for_state.borrow_mut();
                let Some(end) = cuts.front().copied().filter(|end| !frontier.less_equal(&end.epoch)) else { break };
                cuts.pop_front();
                drop(cuts);
                state.cut(end);
            }
            let ready = match state.ready() {
                Ok(ready) => ready,
                Err(halt) => return state.local.halt(halt),
            };
            for part in ready {
                // A capability that the frontier has passed is still held: only then is the part's arrival certain.
                let least = part.cut.max(*held.time());
                output.session_with_builder(&held.delayed(&least)).give(part);
            }
            let making = state.making.as_ref().map(|making| making.end.epoch);
            let waiting = state.waiting.front().map(|(part, _)| part.cut).or(making);
            match (frontier.frontier().first(), waiting) {
                (_, Some(cut)) if !state.local.stopped.get() => held.downgrade(&cut.max(*held.time())),
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

/// The records that the trace itself counts, as of an epoch.
fn count<A: Accumulate>(trace: &Trace<A>, epoch: Epoch) -> i64 {
    let (mut cursor, storage) = everything(trace);
    let mut records = 0;
    while cursor.get_key(&storage).is_some() {
        cursor.map_times(&storage, |time, diff| {
            if *time <= epoch {
                records += diff.count();
            }
        });
        cursor.step_key(&storage);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_epochs_come_once_and_in_order() {
        let sets = [vec![(0, 7), (60, 1)], vec![], vec![(0, 2), (0, 7), (60, 1), (60, 3)], vec![(0, 9)]];
        let set = |keys: &Vec<(i64, u32)>| keys.iter().map(|(window, id)| (WindowStart(*window), *id)).collect();
        let sets: Vec<BTreeSet<Key>> = sets.iter().map(set).collect();
        let all: Vec<Key> = Union(sets.iter().map(|set| set.clone().into_iter().peekable()).collect()).collect();
        let once: BTreeSet<Key> = sets.into_iter().flatten().collect();
        assert_eq!(all, Vec::from_iter(once));
    }
}
