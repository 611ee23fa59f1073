//! Preview: rows that changed, as they are before the commit, for the live view.
//!
//! Keys are gathered and their rows read in rounds, at most [`MOST_ROWS`] at once and no more often than
//! [`Job::preview_interval`] says: so the work does not depend on how fast records come. A round is done when all keys that had
//! changed when it began are sent; then the capability follows, and worker 0 sees by the frontier how far rows have come.
//! Nothing else waits for that frontier. It holds back no compaction: a row is read from what the history has by then.

use super::context::WorkerContext;
use super::job::Job;
use super::key::{KeySet, WindowKey};
use super::strips::{StripReader, with_dependents};
use super::windows::{Span, Windows, each_key};
use crate::acc::Accumulate;
use crate::decimal::Scales;
use crate::derived::Deriver;
use crate::partial::PartialBefore;
use crate::row::Row;
use crate::time::{Epoch, Monotonic, State, WindowStart};
use crate::watch::PreviewRows;
use roaring::RoaringBitmap;
use std::rc::Rc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

/// Rows that are read in one activation, at most.
const MOST_ROWS: usize = 2048;
/// Keys that may wait for a round; beyond that, those of the oldest windows are left out.
const MOST_KEYS: usize = 1 << 20;

/// Keys whose rows are still to be sent.
#[derive(Default)]
struct ChangedKeys {
    /// Changed since the round in progress began.
    next: KeySet,
    /// How many keys that are.
    keys: usize,
    /// What is left of the round in progress.
    round: KeySet,
    /// The newest window of which rows were left out, since the last that were sent.
    lost: Option<WindowStart>,
    /// Which windows were taken for partial by the round in progress.
    whole: Option<PartialBefore>,
    /// Was it said that all rows are by it?
    announced: bool,
}

impl ChangedKeys {
    fn file<A: Accumulate>(&mut self, span: &Span<A>, retired_before: Option<WindowStart>) {
        each_key(span, |key| {
            // A retraction is no row.
            if Some(key.window) >= retired_before && self.next.insert(key) {
                self.keys += 1;
            }
        });
        while self.keys > MOST_KEYS {
            let Some((window, ids)) = self.next.pop_first() else { break };
            self.keys -= count(&ids);
            self.lost = self.lost.max(Some(window));
        }
    }

    /// Begins a round: of what changed, and of what is derived from it.
    fn begin(&mut self, context: &WorkerContext, RowsOf { deriver, length, .. }: &RowsOf) {
        let series = context.series.borrow();
        let whole = context.partial.get();
        let was = self.whole.replace(whole);
        if was != Some(whole) && !deriver.list().is_empty() {
            // What was shown by another, and is retired, stays as it was shown.
            let retired = context.retiring_before.get().filter(|_| was.is_some());
            self.lost = self.lost.max(retired.map(|before| WindowStart(before.0 - length)));
            series.windows(..).for_each(|(window, ids)| self.next.merge(window, ids));
            self.announced = false;
        }
        self.round = with_dependents(std::mem::take(&mut self.next), &series, deriver);
        self.keys = 0;
    }

    /// A round that made all rows anew is sent: by what they are.
    fn announce(&mut self) -> Option<PartialBefore> {
        if self.announced || !self.round.is_empty() {
            return None;
        }
        self.announced = true;
        self.whole
    }

    /// The next rows of the round, in the order of windows.
    fn rows<A: Accumulate>(&mut self, windows: &Windows<A>, context: &WorkerContext, of: &RowsOf) -> PreviewRows {
        let mut rows = Vec::new();
        if self.round.is_empty() {
            return PreviewRows { rows, lost: self.lost.take(), derived_from: None };
        }
        let series = context.series.borrow();
        // A window whose row looks back at what is retired has its final row, and was stored everywhere.
        let look_back = of.deriver.look_back();
        let whole_from = context.retiring_before.get().map(|before| WindowStart(before.0 + look_back));
        let (folds, partial) = (context.folds.borrow(), self.whole.unwrap_or_default());
        let strips = StripReader { deriver: &of.deriver, windows, series: &series, folds: &folds, partial };
        let mut pass = windows.pass(None);
        while rows.len() < MOST_ROWS {
            let Some((window, mut ids)) = self.round.pop_first() else { break };
            if Some(window) < whole_from {
                self.lost = self.lost.max(Some(window));
                continue;
            }
            let room = MOST_ROWS - rows.len();
            if count(&ids) > room {
                let rest: RoaringBitmap = ids.iter().skip(room).collect();
                ids -= &rest;
                self.round.merge(window, &rest);
            }
            let ids: Vec<u32> = ids.into_iter().collect();
            let derived = strips.values(None, window, &ids);
            for (id, derived) in ids.into_iter().zip(derived) {
                let key = WindowKey { window, id };
                let Some(name) = series.name(key) else { continue };
                let row = pass.sum(key).and_then(|sum| sum.row(name, window, State::Open, of.scales));
                rows.extend(row.map(|row| Row { derived, ..row }));
            }
        }
        PreviewRows { rows, lost: self.lost.take(), derived_from: None }
    }
}

/// What rows are made with.
struct RowsOf {
    scales: Scales,
    deriver: Deriver,
    /// Of a window.
    length: i64,
}

fn count(ids: &RoaringBitmap) -> usize {
    usize::try_from(ids.len()).expect("fewer than 2^32 series a worker")
}

/// Builds the operator. Without a live view it does nothing, but exists: all workers of all processes build the same graph.
pub(super) fn preview<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
) -> StreamVec<'scope, Epoch, PreviewRows> {
    let scope = batches.scope();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Preview", move |cap, info| {
        let activator = scope.activator_for(info.address);
        let mut held: Option<(Capability<Epoch>, _)> = job.preview_interval.clone().map(|interval| (cap, interval));
        let mut changed = ChangedKeys::default();
        let length = job.settings.rule.windowing.length;
        let of = RowsOf { scales: job.decoder.scales(), deriver: job.deriver(), length };
        let mut through = job.first_epoch;
        let mut next = Monotonic(i64::MIN);
        let worker = scope.index();
        let mut alarm: Option<Monotonic> = None;
        move |(input, frontier), output| {
            let Some((cap, interval)) = &mut held else { return input.for_each(|_, spans| spans.clear()) };
            let retired_before = context.retiring_before.get();
            input.for_each(|_, spans| spans.drain(..).for_each(|span| changed.file::<A>(&span, retired_before)));
            let Some(sealed) = frontier.frontier().first().copied() else {
                held = None;
                return;
            };
            let now = job.clock.monotonic();
            if now >= next {
                if changed.round.is_empty() {
                    changed.begin(&context, &of);
                    through = sealed;
                }
                let mut rows = changed.rows(&windows, &context, &of);
                rows.derived_from = changed.announce().map(|whole| (worker, whole));
                if rows != PreviewRows::default() {
                    output.session_with_builder(&cap).give(rows);
                    next = Monotonic(now.0 + interval());
                }
                if changed.round.is_empty() && through > *cap.time() {
                    cap.downgrade(&through);
                }
            }
            let stale = changed.whole != Some(context.partial.get()) && !of.deriver.list().is_empty();
            let more = stale || !changed.round.is_empty() || !changed.next.is_empty() || sealed > *cap.time();
            if more && alarm.is_none_or(|at| at <= now) {
                alarm = Some(next);
                activator.activate_after(Duration::from_nanos(u64::try_from(next.0 - now.0).unwrap_or(0)));
            }
        }
    })
}
