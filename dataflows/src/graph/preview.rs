//! Live: rows that changed, as they are before the commit, for whoever watches the run.
//!
//! Keys are gathered and their rows read in rounds, at most so many at once and not oftener than the job says: so the
//! work does not depend on how fast records come. A round is done when all keys that had changed when it began are told;
//! then the capability follows, and worker 0 sees by the frontier how far rows have come. Nothing else waits for that
//! frontier. It holds back no compaction: a row is read from what the trace has by then.

use super::{Job, Local, Span, Trace, everything};
use crate::acc::Accumulate;
use crate::time::{Epoch, Monotonic, State, WindowStart};
use crate::watch::PreviewRows;
use differential_dataflow::trace::{Cursor, Navigable};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

/// Rows that are read at once.
const MOST_ROWS: usize = 2048;
/// Keys that may wait for a round.
const MOST_KEYS: usize = 1 << 20;

/// What a worker is still to tell.
#[derive(Default)]
struct Changed {
    /// Since the round in progress began.
    next: BTreeMap<WindowStart, RoaringBitmap>,
    keys: usize,
    /// The round in progress.
    round: BTreeMap<WindowStart, RoaringBitmap>,
    lost: Option<WindowStart>,
}

impl Changed {
    fn file<A: Accumulate>(&mut self, span: &Span<A>, line: Option<WindowStart>) {
        let Some(batch) = &span.inner else { return };
        let mut cursor = batch.cursor();
        while let Some((window, id)) = cursor.get_key(batch).copied() {
            // A retraction is no row.
            if Some(window) >= line && self.next.entry(window).or_default().insert(id) {
                self.keys += 1;
            }
            cursor.step_key(batch);
        }
        while self.keys > MOST_KEYS {
            let Some((window, ids)) = self.next.pop_first() else { break };
            self.keys -= count(&ids);
            self.lost = self.lost.max(Some(window));
        }
    }

    fn begin(&mut self) {
        self.round = std::mem::take(&mut self.next);
        self.keys = 0;
    }

    /// The next rows of the round, in the order of windows.
    fn rows<A: Accumulate>(&mut self, trace: &Trace<A>, local: &Local) -> PreviewRows {
        let mut rows = Vec::new();
        if self.round.is_empty() {
            return PreviewRows { rows, lost: self.lost.take() };
        }
        let (line, series) = (local.line.get(), local.series.borrow());
        let (mut cursor, storage) = everything(trace);
        while rows.len() < MOST_ROWS {
            let Some((window, mut ids)) = self.round.pop_first() else { break };
            if Some(window) < line {
                self.lost = self.lost.max(Some(window));
                continue;
            }
            let room = MOST_ROWS - rows.len();
            if count(&ids) > room {
                let left: RoaringBitmap = ids.iter().skip(room).collect();
                ids -= &left;
                self.round.insert(window, left);
            }
            for id in ids {
                cursor.seek_key(&storage, &(window, id));
                if cursor.get_key(&storage) != Some(&(window, id)) {
                    continue;
                }
                let mut sum: Option<A> = None;
                cursor.map_times(&storage, |_, diff| match &mut sum {
                    Some(sum) => sum.plus_equals(diff),
                    None => sum = Some(*diff),
                });
                rows.extend(sum.and_then(|sum| sum.row(series.name(id), window, State::Open)));
            }
        }
        PreviewRows { rows, lost: self.lost.take() }
    }
}

fn count(ids: &RoaringBitmap) -> usize {
    usize::try_from(ids.len()).expect("fewer than 2^32 series a worker")
}

/// Builds the operator. Where the job has no live view it does nothing; it is there all the same, because all workers of
/// all processes build the same graph.
pub(crate) fn preview<'scope, A: Accumulate>(
    batches: StreamVec<'scope, Epoch, Span<A>>,
    job: Rc<Job>,
    local: Rc<Local>,
    trace: Trace<A>,
) -> StreamVec<'scope, Epoch, PreviewRows> {
    let scope = batches.scope();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Live", move |cap, info| {
        let activator = scope.activator_for(info.address);
        let mut held: Option<(Capability<Epoch>, _)> = job.live.clone().map(|every| (cap, every));
        let mut changed = Changed::default();
        let mut through = job.first_epoch;
        let mut next = Monotonic(i64::MIN);
        let mut alarm: Option<Monotonic> = None;
        move |(input, frontier), output| {
            let Some((cap, every)) = &mut held else { return input.for_each(|_, spans| spans.clear()) };
            let line = local.line.get();
            input.for_each(|_, spans| spans.drain(..).for_each(|span| changed.file::<A>(&span, line)));
            let Some(sealed) = frontier.frontier().first().copied() else {
                held = None;
                return;
            };
            let now = job.clock.monotonic();
            if now >= next {
                if changed.round.is_empty() {
                    changed.begin();
                    through = sealed;
                }
                let rows = changed.rows(&trace, &local);
                if !rows.rows.is_empty() || rows.lost.is_some() {
                    output.session_with_builder(&cap).give(rows);
                    next = Monotonic(now.0 + every());
                }
                if changed.round.is_empty() && through > *cap.time() {
                    cap.downgrade(&through);
                }
            }
            let more = !changed.round.is_empty() || !changed.next.is_empty() || sealed > *cap.time();
            if more && alarm.is_none_or(|at| at <= now) {
                alarm = Some(next);
                activator.activate_after(Duration::from_nanos(u64::try_from(next.0 - now.0).unwrap_or(0)));
            }
        }
    })
}
