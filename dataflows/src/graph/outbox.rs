//! Outbox: the keys that each sink is still to be sent, by window, and the rows of those it is sent now.
//!
//! A key is due when its sums changed, and all keys of a window are due when the committed W passes its end, and again
//! when it becomes final. The outbox holds keys alone; a row is read from the trace as of the newest committed cut when
//! there is room for it. So a slow sink skips versions, and memory does not depend on how slow it is.
//!
//! A round goes through its windows in order, by symbol within each. What becomes due meanwhile in a window that it has
//! not come to yet joins it; all else waits for the next round. Worker 0 merges the workers' rows.

use super::{Job, Local, Span, Trace, everything};
use crate::acc::Accumulate;
use crate::marks::Marks;
use crate::protocol::{Commit, Round, SinkId};
use crate::row::Row;
use crate::series::Series;
use crate::time::{Epoch, State, WindowStart};
use differential_dataflow::trace::{Cursor, Navigable, TraceReader};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::progress::frontier::AntichainRef;

/// Rows in a chunk, at most.
const CHUNK: usize = 512;
/// Chunks that a worker may be ahead of worker 0, per sink.
const AHEAD: u64 = 4;

/// Rows of one worker for one sink, in (minute, symbol) order over a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) worker: usize,
    pub(crate) sink: SinkId,
    /// The commit that the rows were read as of.
    pub(crate) seq: u64,
    pub(crate) rows: Vec<Row>,
    /// The worker's last of this round.
    pub(crate) last: bool,
}

/// Keys by window.
type Due = BTreeMap<WindowStart, RoaringBitmap>;

fn merge(into: &mut Due, window: WindowStart, ids: &RoaringBitmap) {
    if !ids.is_empty() {
        *into.entry(window).or_default() |= ids;
    }
}

/// One sink's view of this worker.
#[derive(Default)]
struct Port {
    /// Windows before this were stored by a run before this one.
    line: Option<WindowStart>,
    due: Due,
    /// Of the round in progress: what is still to be sent, and ids of the window in hand, by symbol, last first.
    sending: Option<(Due, Option<(WindowStart, Vec<u32>)>)>,
    sent: u64,
    taken: u64,
}

impl Port {
    /// Due by a new commit. What is in hand and not sent yet is read as of that commit already.
    fn add(&mut self, window: WindowStart, ids: &RoaringBitmap) {
        if Some(window) < self.line {
            return;
        }
        match &self.sending {
            Some((_, Some((in_hand, left)))) if *in_hand == window && !left.is_empty() => {
                let left: RoaringBitmap = left.iter().copied().collect();
                let more = ids - left;
                merge(&mut self.due, window, &more);
            }
            _ => merge(&mut self.due, window, ids),
        }
    }
}

struct Outbox<A: Accumulate> {
    job: Rc<Job>,
    local: Rc<Local>,
    trace: Trace<A>,
    ports: Vec<Port>,
    /// Keys whose sums changed in epochs that are not committed yet.
    pending: BTreeMap<Epoch, Due>,
    commit: Option<Commit>,
    /// Does any sink take changes?
    changes: bool,
}

impl<A: Accumulate> Outbox<A> {
    /// Files each update of a batch under its own time.
    fn file(&mut self, batch: &super::Batch<A>) {
        let line = self.local.line.get();
        let mut cursor = batch.cursor();
        while let Some((window, id)) = cursor.get_key(batch).copied() {
            if Some(window) >= line {
                let pending = &mut self.pending;
                cursor.map_times(batch, |time, _| {
                    pending.entry(*time).or_default().entry(window).or_default().insert(id);
                });
            }
            cursor.step_key(batch);
        }
    }

    /// A cut is committed: what is due now.
    fn commit(&mut self, commit: Commit) {
        let rule = &self.job.settings.rule;
        let before = self.commit.map(|c| c.marks);
        let later = self.pending.split_off(&(commit.cut + 1));
        let changed = std::mem::replace(&mut self.pending, later);
        let series = self.local.series.borrow();
        for (port, takes) in self.ports.iter_mut().zip(&self.job.takes) {
            let wanted = |state: State| match state {
                State::Partial => takes.partial,
                State::Final => true,
                State::Open | State::Closed => takes.changes,
            };
            if takes.changes {
                for (window, ids) in changed.values().flatten() {
                    if wanted(commit.marks.state(rule, *window)) {
                        port.add(*window, ids);
                    }
                }
            }
            let from = before.map_or(WindowStart::MIN, |b| rule.windowing.first_not_final(b.w));
            for (window, ids) in series.windows(from..) {
                // A partial window has a life too: it ends when it would be final.
                let life = |marks: &Marks| (marks.state(rule, window), rule.windowing.state(window, marks.w));
                let (state, now) = life(&commit.marks);
                let was = before.as_ref().map(life);
                let moved = was.unwrap_or((State::Open, State::Open)) != (state, now);
                let complete = takes.changes || now == State::Final;
                if moved && complete && wanted(state) {
                    port.add(window, ids);
                }
            }
        }
        drop(series);
        self.commit = Some(commit);
        let mut trace = self.trace.borrow_mut();
        trace.set_logical_compaction(AntichainRef::new(&[commit.cut]));
    }

    fn begin(&mut self, round: Round) {
        let open_from = self.job.settings.rule.windowing.first_not_closed(self.commit.and_then(|c| c.marks.w));
        let port = &mut self.ports[round.sink.0];
        assert!(port.sending.is_none(), "rounds of a sink do not overlap");
        let left = if round.with_open { Due::new() } else { port.due.split_off(&open_from) };
        port.sending = Some((std::mem::replace(&mut port.due, left), None));
    }

    /// One chunk of a sink's round, if one is under way and there is room.
    fn chunk(&mut self, number: usize, worker: usize) -> Option<Chunk> {
        let commit = self.commit?;
        let port = &mut self.ports[number];
        if port.sent >= port.taken + AHEAD {
            return None;
        }
        let (due, in_hand) = port.sending.as_mut()?;
        let series = self.local.series.borrow();
        let mut rows = Vec::new();
        while rows.len() < CHUNK {
            if in_hand.as_ref().is_none_or(|(_, ids)| ids.is_empty()) {
                let Some((window, mut ids)) = due.pop_first() else { break };
                // What became due meanwhile is read now: as of the newest commit it is the same row.
                if let Some(more) = port.due.remove(&window) {
                    ids |= more;
                }
                let mut ids: Vec<u32> = ids.iter().collect();
                ids.sort_unstable_by(|a, b| series.name(*b).cmp(series.name(*a)));
                *in_hand = Some((window, ids));
            }
            let (window, ids) = in_hand.as_mut().expect("a window is in hand");
            let take = ids.split_off(ids.len().saturating_sub(CHUNK - rows.len()));
            rows_of(&self.trace, &series, commit, &self.job, *window, take, &mut rows);
        }
        let last = due.is_empty() && in_hand.as_ref().is_none_or(|(_, ids)| ids.is_empty());
        if last {
            port.sending = None;
        }
        port.sent += 1;
        Some(Chunk { worker, sink: SinkId(number), seq: commit.seq, rows, last })
    }
}

/// Rows of these ids (by symbol, last first), as of a commit.
fn rows_of<A: Accumulate>(
    trace: &Trace<A>,
    series: &Series,
    commit: Commit,
    job: &Job,
    window: WindowStart,
    ids: Vec<u32>,
    rows: &mut Vec<Row>,
) {
    let state = commit.marks.state(&job.settings.rule, window);
    let (mut cursor, storage) = everything(trace);
    let mut ascending: Vec<(u32, usize)> = ids.iter().rev().copied().zip(0..).collect();
    ascending.sort_unstable();
    let mut found: Vec<Option<A>> = vec![None; ids.len()];
    for (id, place) in ascending {
        cursor.seek_key(&storage, &(window, id));
        if cursor.get_key(&storage) == Some(&(window, id)) {
            cursor.map_times(&storage, |time, diff| {
                if *time <= commit.cut {
                    match &mut found[place] {
                        Some(acc) => acc.plus_equals(diff),
                        None => found[place] = Some(*diff),
                    }
                }
            });
        }
    }
    // A series whose first record is of a later epoch has no row yet.
    let named = ids.iter().rev().zip(found).filter_map(|(id, acc)| acc?.row(series.name(*id), window, state));
    rows.extend(named);
}

/// Builds the operator.
pub(crate) fn outbox<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    local: Rc<Local>,
    trace: Trace<A>,
) -> StreamVec<'scope, Epoch, Chunk> {
    let scope = batches.scope();
    let worker = scope.index();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Outbox", move |cap, info| {
        local.activators.borrow_mut().push(scope.activator_for(Rc::clone(&info.address)));
        let activator = scope.activator_for(info.address);
        let mut cap = Some(cap);
        let mut outbox = Outbox {
            ports: (0..job.takes.len())
                .map(|n| Port { line: job.state.as_ref().and_then(|kept| kept.lines[n]), ..Port::default() })
                .collect(),
            changes: job.takes.iter().any(|takes| takes.changes),
            job,
            local,
            trace,
            pending: BTreeMap::new(),
            commit: None,
        };
        move |(input, frontier), output| {
            input.for_each(|_, spans| {
                let changes = outbox.changes;
                for batch in spans.drain(..).filter_map(|span| span.inner).filter(|_| changes) {
                    outbox.file(&batch);
                }
            });
            let Some(held) = cap.as_mut() else { return };
            loop {
                let Some(news) = outbox.local.for_outbox.borrow_mut().pop_front() else { break };
                if let Some(commit) = news.commit {
                    outbox.commit(commit);
                }
                for (sink, taken) in news.taken {
                    outbox.ports[sink.0].taken = taken;
                }
                news.rounds.into_iter().for_each(|round| outbox.begin(round));
            }
            let mut session = output.session_with_builder(&held);
            let mut more = false;
            for number in 0..outbox.ports.len() {
                if let Some(chunk) = outbox.chunk(number, worker) {
                    more |= !chunk.last;
                    session.give(chunk);
                }
            }
            drop(session);
            if more {
                activator.activate();
            }
            match frontier.frontier().first() {
                Some(epoch) => {
                    outbox.trace.borrow_mut().set_physical_compaction(AntichainRef::new(&[*epoch]));
                    held.downgrade(&epoch.max(held.time()).clone());
                }
                None => cap = None,
            }
        }
    })
}
