//! Outbox: the keys that each sink is still to be sent, by window, and the rows of those it is sent now.
//!
//! ```text
//!   batches ── file ──> pending, by epoch ── commit ──> due, by sink ── begin a round ──> sending ──> Chunk
//! ```
//!
//! A key is due when its sums changed, and all keys of a window are due when the committed W passes its end, and again
//! when it becomes final. The outbox holds keys alone; a row is read from the windows' history as of the newest committed cut when
//! there is room for it. So a slow sink skips versions, and memory does not depend on how slow it is. The outbox commits the
//! cuts that it comes to, so it is here that history is compacted ([`Windows::compact_to`]): nothing older is read any more.
//!
//! A round goes through its windows in order, by symbol within each. What becomes due meanwhile in a window that it has
//! not come to yet joins it; all else waits for the next round. Worker 0 merges the workers' rows.

use super::context::{OutboxUpdate, WorkerContext};
use super::job::Job;
use super::key::{KeySet, by_level, level_of};
use super::rows::{RowReader, RowsOf};
use super::strips::{Strips, with_dependents};
use super::windows::{Span, Windows, each_update};
use crate::acc::Accumulate;
use crate::derived::Deriver;
use crate::marks::Marks;
use crate::protocol::{Commit, Round, SinkId};
use crate::row::Row;
use crate::time::{Epoch, State, WindowStart};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

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
    /// Each with the window that it stands under; of a coarser one that is its closing minute.
    pub(crate) rows: Vec<(WindowStart, Row)>,
    /// The worker's last of this round.
    pub(crate) last: bool,
}

/// A window of a round, and the ids whose rows are still to be sent, by symbol, last first.
type WindowInHand = (WindowStart, Vec<u32>);

/// What one sink is still to be sent by this worker.
#[derive(Default)]
struct SinkQueue {
    /// Windows before this were stored by an earlier run.
    stored_before: Option<WindowStart>,
    due: KeySet,
    /// Of the round in progress: the windows still to come, and the one in hand.
    sending: Option<(KeySet, Option<WindowInHand>)>,
    /// What its rows derive from, read so far.
    strips: Strips,
    /// Chunks sent and chunks that worker 0 has consumed, since the start.
    sent: u64,
    consumed: u64,
}

impl SinkQueue {
    /// Due by a new commit. What is in hand and not sent yet is read as of that commit already.
    fn add(&mut self, window: WindowStart, ids: &RoaringBitmap) {
        if Some(window) < self.stored_before {
            return;
        }
        match &self.sending {
            Some((_, Some((in_hand, unsent)))) if *in_hand == window && !unsent.is_empty() => {
                let unsent: RoaringBitmap = unsent.iter().copied().collect();
                let more = ids - unsent;
                self.due.merge(window, &more);
            }
            _ => self.due.merge(window, ids),
        }
    }
}

struct Outbox<A: Accumulate> {
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
    /// One per sink.
    queues: Vec<SinkQueue>,
    /// Keys whose sums changed in epochs that are not committed yet.
    pending: BTreeMap<Epoch, KeySet>,
    commit: Option<Commit>,
    /// Some sink takes changes.
    changes: bool,
    deriver: Deriver,
}

impl<A: Accumulate> Outbox<A> {
    fn new(job: Rc<Job>, context: Rc<WorkerContext>, windows: Rc<Windows<A>>) -> Self {
        let stored_before = |n: usize| job.state.as_ref().and_then(|restored| restored.stored_before[n]);
        let queue = |n: usize| SinkQueue { stored_before: stored_before(n), ..SinkQueue::default() };
        Outbox {
            queues: (0..job.filters.len()).map(queue).collect(),
            changes: job.filters.iter().any(|filter| filter.changes),
            deriver: job.deriver(),
            job,
            context,
            windows,
            pending: BTreeMap::new(),
            commit: None,
        }
    }

    /// Files each update of a batch under its own time.
    fn file(&mut self, span: &Span<A>) {
        let retired_before = self.context.retiring_before.get();
        each_update(span, |key, time| {
            // A retraction is no change that a sink is to be sent.
            if Some(key.window) >= retired_before {
                self.pending.entry(time).or_default().insert(key);
            }
        });
    }

    /// Takes up what Control and worker 0 say.
    fn follow(&mut self, update: OutboxUpdate) {
        if let Some(commit) = update.commit {
            self.commit(commit);
        }
        for (sink, consumed) in update.consumed {
            self.queues[sink.0].consumed = consumed;
        }
        update.rounds.into_iter().for_each(|round| self.begin(round));
    }

    /// A cut is committed: what is due now.
    fn commit(&mut self, commit: Commit) {
        let (rule, windows) = (&self.job.settings.rule, &self.job.settings.windows);
        let before = self.commit.map(|c| c.marks);
        let later = self.pending.split_off(&(commit.cut + 1));
        let mut changed = KeySet::default();
        for (window, ids) in std::mem::replace(&mut self.pending, later).values().flat_map(KeySet::iter) {
            changed.merge(window, ids);
        }
        let series = self.context.series.borrow();
        let changed = with_dependents(changed, &series, &self.deriver);
        // What rows derive from has changed with it.
        let whole_moved = before.is_none_or(|before| before.partial_before != commit.marks.partial_before);
        let whole_moved = whole_moved && !self.deriver.list().is_empty();
        for (queue, filter) in self.queues.iter_mut().zip(&self.job.filters) {
            let wanted = |state: State| match state {
                State::Partial => filter.partial,
                State::Final => true,
                State::Open | State::Closed => filter.changes,
            };
            if filter.changes {
                for (window, level, ids) in apart(changed.iter()) {
                    if wanted(commit.marks.state_of(rule, windows.start(level, window), window)) {
                        queue.add(window, &ids);
                    }
                }
            }
            let from = before.map_or(WindowStart::MIN, |b| rule.windowing.first_not_final(b.w));
            for (window, level, ids) in apart(series.windows(from..)) {
                let start = windows.start(level, window);
                // A partial window has a life too: it ends when it would be final.
                let life = |marks: &Marks| (marks.state_of(rule, start, window), rule.windowing.state(window, marks.w));
                let (state, now) = life(&commit.marks);
                let was = before.as_ref().map(life);
                let moved = was.unwrap_or((State::Open, State::Open)) != (state, now) || whole_moved;
                let complete = filter.changes || now == State::Final;
                if moved && complete && wanted(state) {
                    queue.add(window, &ids);
                }
            }
        }
        drop(series);
        self.commit = Some(commit);
        self.windows.compact_to(commit.cut);
    }

    fn begin(&mut self, round: Round) {
        let open_from = self.job.settings.rule.windowing.first_not_closed(self.commit.and_then(|c| c.marks.w));
        let queue = &mut self.queues[round.sink.0];
        assert!(queue.sending.is_none(), "rounds of a sink do not overlap");
        let later = if round.with_open { KeySet::default() } else { queue.due.split_off(open_from) };
        queue.sending = Some((std::mem::replace(&mut queue.due, later), None));
    }

    /// One chunk of a sink's round, if one is under way and there is room.
    fn chunk(&mut self, sink: SinkId, worker: usize) -> Option<Chunk> {
        let commit = self.commit?;
        let queue = &mut self.queues[sink.0];
        if queue.sent >= queue.consumed + AHEAD {
            return None;
        }
        let (due, in_hand) = queue.sending.as_mut()?;
        let settings = &self.job.settings;
        let series = self.context.series.borrow();
        let mut rows = RowReader {
            windows: &self.windows,
            cut: commit.cut,
            series: &series,
            scales: self.job.decoder.scales(),
            folds: &self.context.folds.borrow(),
            deriver: &self.deriver,
            partial: commit.marks.partial_before,
            strips: &mut queue.strips,
            rows: Vec::new(),
        };
        while rows.rows.len() < CHUNK {
            if in_hand.as_ref().is_none_or(|(_, ids)| ids.is_empty()) {
                let Some((window, mut ids)) = due.pop_first() else { break };
                // What became due meanwhile is read now: as of the newest commit it is the same row.
                if let Some(more) = queue.due.remove(window) {
                    ids |= more;
                }
                let mut ids: Vec<u32> = ids.iter().collect();
                let order = |id: u32| (level_of(id), rows.name(window, id));
                ids.sort_unstable_by(|a, b| order(*b).cmp(&order(*a)));
                *in_hand = Some((window, ids));
            }
            let (window, ids) = in_hand.as_mut().expect("a window is in hand");
            let take = ids.split_off(ids.len().saturating_sub(CHUNK - rows.rows.len()));
            for of_level in take.chunk_by(|a, b| level_of(*a) == level_of(*b)).rev() {
                let level = level_of(of_level[0]);
                let start = settings.windows.start(level, *window);
                let state = commit.marks.state_of(&settings.rule, start, *window);
                rows.read(*window, of_level, &RowsOf { kind: settings.windows.kind(level), start, state });
            }
        }
        let rows = rows.rows;
        let last = due.is_empty() && in_hand.as_ref().is_none_or(|(_, ids)| ids.is_empty());
        if last {
            queue.sending = None;
            queue.strips = Strips::default();
        }
        queue.sent += 1;
        Some(Chunk { worker, sink, seq: commit.seq, rows, last })
    }
}

/// Ids of windows, those of each level apart.
fn apart<'a>(
    windows: impl Iterator<Item = (WindowStart, &'a RoaringBitmap)>,
) -> impl Iterator<Item = (WindowStart, usize, Cow<'a, RoaringBitmap>)> {
    windows.flat_map(|(window, ids)| by_level(ids).map(move |(level, ids)| (window, level, ids)))
}

/// Builds the operator.
pub(super) fn outbox<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
) -> StreamVec<'scope, Epoch, Chunk> {
    let scope = batches.scope();
    let worker = scope.index();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Outbox", move |cap, info| {
        context.activators.borrow_mut().push(scope.activator_for(Rc::clone(&info.address)));
        let activator = scope.activator_for(info.address);
        let mut cap = Some(cap);
        let mut outbox = Outbox::new(job, context, windows);
        move |(input, frontier), output| {
            input.for_each(|_, spans| {
                let changes = outbox.changes;
                spans.drain(..).filter(|_| changes).for_each(|span| outbox.file(&span));
            });
            let Some(held) = cap.as_mut() else { return };
            loop {
                let Some(update) = outbox.context.for_outbox.borrow_mut().pop_front() else { break };
                outbox.follow(update);
            }
            let mut session = output.session_with_builder(&held);
            let mut more = false;
            for sink in (0..outbox.queues.len()).map(SinkId) {
                if let Some(chunk) = outbox.chunk(sink, worker) {
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
                    outbox.windows.merge_before(*epoch);
                    held.downgrade(&epoch.max(held.time()).clone());
                }
                None => cap = None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::job::testing::job;
    use super::super::key::KeyUpdate;
    use super::super::key::WindowKey;
    use super::super::windows::Spine;
    use super::*;
    use crate::acc::{Avg, LogPosition};
    use crate::decimal::Decimal;
    use crate::decode::DecodedEvent;
    use crate::edge::RowFilter;
    use crate::partial::PartialBefore;
    use crate::time::{EventTime, SECOND};
    use differential_dataflow::operators::arrange::arrangement::arrange_core;
    use differential_dataflow::trace::implementations::ord_neu::OrdKeyBatcher;
    use timely::dataflow::InputHandle;
    use timely::dataflow::operators::probe::Handle;
    use timely::dataflow::operators::{Input, Probe};

    /// Rows of one window that is larger than a chunk, and whose ids are not in the order of symbols. A chunk that lacks the
    /// row of a series whose first record came after the cut is filled with the next ones.
    #[test]
    fn a_series_without_a_row_yet_costs_no_other_series_its_row() {
        const SERIES: usize = 3 * CHUNK;
        let (window, cut) = (WindowStart(0), 7);
        let rows = timely::execute_directly(move |worker| {
            let windows = Rc::new(Windows::<Avg>::unattached());
            let sealed = Handle::new();
            let mut input = InputHandle::<Epoch, CapacityContainerBuilder<Vec<KeyUpdate<Avg>>>>::new();
            worker.dataflow::<Epoch, _, _>(|scope| {
                let updates = scope.input_from(&mut input);
                let batcher = OrdKeyBatcher::<WindowKey, Epoch, Avg>::new;
                let arranged = arrange_core::<_, _, _, Spine<Avg>>(updates, Pipeline, "Windows", batcher);
                windows.attach(arranged.trace);
                arranged.stream.probe_with(&sealed);
            });
            let context = Rc::new(WorkerContext::default());
            let value = Decimal::parse(b"1").unwrap();
            let event = DecodedEvent {
                symbol: "S".into(),
                value,
                time: EventTime(0),
                weight: None,
                weight_beyond: false,
                id: None,
                rounded: false,
            };
            let acc = Avg::of(&event, LogPosition { identity: 1, offset: 1 });
            input.advance_to(cut);
            for number in (0..SERIES).rev() {
                let key = context.series.borrow_mut().hold(window, &format!("S{number:04}"));
                let late = number % 100 == 3;
                input.send(((key, ()), if late { cut + 1 } else { cut }, acc));
            }
            input.advance_to(cut + 2);
            worker.step_while(|| sealed.less_than(&(cut + 2)));
            let changes = RowFilter { changes: true, partial: true, open_every: 0 };
            let mut outbox = Outbox::new(Rc::new(job(cut, vec![changes])), context, windows);
            let marks = Marks { w: Some(EventTime(60 * SECOND)), partial_before: PartialBefore::Nothing };
            outbox.commit(Commit { cut, seq: 1, marks, record: None });
            outbox.begin(Round { sink: SinkId(0), round: 1, with_open: true });
            let mut rows = Vec::new();
            while let Some(chunk) = outbox.chunk(SinkId(0), 0) {
                outbox.queues[0].consumed += 1;
                rows.extend(chunk.rows.into_iter().map(|(_, row)| row.symbol));
            }
            rows
        });
        let want: Vec<_> = (0..SERIES).filter(|n| n % 100 != 3).map(|n| format!("S{n:04}")).collect();
        assert_eq!(rows, want);
    }
}
