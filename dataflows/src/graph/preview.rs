//! Preview: rows that changed, as they are before the commit, for the live view.
//!
//! Keys are gathered and their rows read in rounds, at most [`MOST_ROWS`] at once and no more often than
//! [`Job::preview_interval`] says: so the work does not depend on how fast records come. A round is done when all keys that had
//! changed when it began are sent; then the capability follows, and worker 0 sees by the frontier how far rows have come.
//! Nothing else waits for that frontier. It holds back no compaction: a row is read from what the history has by then.

use super::context::WorkerContext;
use super::job::Job;
use super::key::{KeySet, WindowKey, by_level};
use super::strips::{StripReader, Strips, own_values, with_dependents};
use super::windows::{Span, Windows, each_key};
use crate::acc::Accumulate;
use crate::coarse::CoarseWindows;
use crate::decimal::Scales;
use crate::derived::Deriver;
use crate::partial::PartialBefore;
use crate::row::{Row, RowKind};
use crate::time::{Epoch, Monotonic, State, WindowStart};
use crate::watch::{DerivedFrom, PreviewRows};
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

    /// Has a round that made all rows anew come to its end just now?
    fn announce(&mut self) -> bool {
        let news = !self.announced && self.round.is_empty();
        self.announced |= news;
        news
    }

    /// The next rows of the round, in the order of windows.
    fn rows<A: Accumulate>(&mut self, windows: &Windows<A>, context: &WorkerContext, of: &RowsOf) -> PreviewRows {
        let mut rows = Vec::new();
        if self.round.is_empty() {
            return PreviewRows { rows, lost: self.lost.take(), derived_from: None };
        }
        let series = context.series.borrow();
        // A window whose row looks back at what is retired has its final row, and was stored everywhere.
        let whole_from = of.whole_from(context.retiring_before.get());
        let (folds, partial) = (context.folds.borrow(), self.whole.unwrap_or_default());
        let reader =
            StripReader { deriver: &of.deriver, windows, series: &series, folds: &folds, partial, as_of: None };
        let mut strips = Strips::default();
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
            for (level, ids) in by_level(&ids) {
                let (kind, start) = (of.windows.kind(level), of.windows.start(level, window));
                let ids: Vec<u32> = ids.iter().collect();
                let sums: Vec<Option<A>> = ids.iter().map(|id| pass.sum(WindowKey { window, id: *id })).collect();
                let derived = match kind {
                    RowKind::Minute => reader.values(&mut strips, window, &ids, &sums),
                    RowKind::Window(_) | RowKind::Group => {
                        sums.iter().map(|sum| own_values(&of.deriver, sum.as_ref(), partial.includes(start))).collect()
                    }
                };
                for ((id, sum), derived) in ids.into_iter().zip(sums).zip(derived) {
                    let Some(name) = series.name(WindowKey { window, id }) else { continue };
                    let row = sum.and_then(|sum| sum.row(name, start, State::Open, of.scales));
                    rows.extend(row.map(|row| Row { kind, derived, ..row }));
                }
            }
        }
        PreviewRows { rows, lost: self.lost.take(), derived_from: None }
    }
}

/// What rows are made with.
struct RowsOf {
    scales: Scales,
    deriver: Deriver,
    windows: CoarseWindows,
    /// Of a window.
    length: i64,
    /// What an earlier run had retired, and from when on it kept all that rows look back at.
    resumed: [Option<WindowStart>; 2],
}

impl RowsOf {
    fn new(job: &Job) -> Self {
        let (deriver, state) = (job.deriver(), job.state.as_ref());
        let whole_from = state.and_then(|state| state.head.whole_from(deriver.look_back()));
        let resumed = [state.and_then(|state| state.head.retired_before()), whole_from];
        let (scales, windows) = (job.decoder.scales(), job.settings.windows.clone());
        RowsOf { scales, deriver, windows, length: job.settings.rule.windowing.length, resumed }
    }

    /// Windows from this on have all that their rows look back at, or as much as was kept of it.
    fn whole_from(&self, retiring_before: Option<WindowStart>) -> Option<WindowStart> {
        let [retired, whole_from] = self.resumed;
        let since = retiring_before.filter(|before| Some(*before) > retired);
        since.map(|before| WindowStart(before.0 + self.deriver.look_back())).max(whole_from)
    }
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
        let of = RowsOf::new(&job);
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
                let derives = !of.deriver.list().is_empty();
                let news = derives && changed.announce();
                if !rows.rows.is_empty() || rows.lost.is_some() || news {
                    let partial = changed.whole.filter(|_| derives);
                    let complete = changed.announced;
                    rows.derived_from = partial.map(|partial| DerivedFrom { worker, partial, complete });
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

#[cfg(test)]
mod tests {
    use super::super::job::testing::job;
    use super::*;
    use crate::time::SECOND;

    /// A state of a version that kept nothing to look back at shows its open windows at once.
    #[test]
    fn rows_are_shown_from_where_all_is_held_that_they_look_back_at() {
        let at = |minute: i64| Some(WindowStart(minute * 60 * SECOND));
        let mut job = job(0, Vec::new());
        job.settings.derive = "sma5".parse().unwrap();
        let fresh = RowsOf::new(&job);
        assert_eq!([None, at(10)].map(|before| fresh.whole_from(before)), [None, at(14)]);
        let kept_none = RowsOf { resumed: [at(30), at(30)], ..RowsOf::new(&job) };
        assert_eq!([at(30), at(31)].map(|before| kept_none.whole_from(before)), [at(30), at(35)]);
        let kept = RowsOf { resumed: [at(26), at(30)], ..RowsOf::new(&job) };
        assert_eq!([at(26), at(27)].map(|before| kept.whole_from(before)), [at(30), at(31)]);
    }
}
