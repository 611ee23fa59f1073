//! Intern: after the exchange, names become this worker's keys, and the ledger counts what arrived. What an earlier run has
//! stored arrives here, too, in the generation's first epoch.
//!
//! The update of a minute is one of each coarser window that the minute is in as well, under that window's closing minute: so a late
//! record corrects them all by the same diff. Coarser windows that were stored come back as they are.

use super::context::WorkerContext;
use super::job::{Job, RestoredWindow};
use super::key::{KeyUpdate, NamedUpdate};
use crate::acc::Accumulate;
use crate::coarse::LastSpans;
use crate::mutants::{self, Mutant};
use crate::time::Epoch;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::ParallelizationContract;
use timely::dataflow::operators::generic::Operator;

/// Builds the operator.
///
/// # Panics
/// When an update comes for a window that is retired: a broken invariant, which must not become a wrong number.
pub(crate) fn intern<'scope, A: Accumulate, P>(
    updates: StreamVec<'scope, Epoch, NamedUpdate<A>>,
    by_shard: P,
    (job, restored): (&Job, Vec<RestoredWindow<A>>),
    context: Rc<WorkerContext>,
) -> StreamVec<'scope, Epoch, KeyUpdate<A>>
where
    P: ParallelizationContract<Epoch, Vec<NamedUpdate<A>>>,
{
    let first = job.first_epoch;
    let mut spans = (!job.settings.windows.is_empty()).then(|| LastSpans::new(&job.settings.windows));
    updates.unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(by_shard, "Intern", move |cap, _| {
        let mut batches = 0_u64;
        let mut restored = Some((cap.delayed(&first), restored));
        move |input, output| {
            if let Some((cap, restored)) = restored.take() {
                let mut series = context.series.borrow_mut();
                let mut tally = context.tally.borrow_mut();
                let mut session = output.session_with_builder(&cap);
                for RestoredWindow { level, window, symbol, acc } in restored {
                    if level == 0 {
                        *tally.arrived.entry(first).or_default() += acc.count();
                        if let Some(spans) = spans.as_mut().filter(|_| mutants::on(Mutant::CoarseCountedTwice)) {
                            for (level, span) in (1..).zip(spans.each(window)) {
                                session.give(((series.hold_level(level, span.closing, &symbol), ()), first, acc));
                            }
                        }
                    } else if mutants::on(Mutant::CoarseNotRestored) {
                        continue;
                    }
                    session.give(((series.hold_level(level, window, &symbol), ()), first, acc));
                }
            }
            input.for_each(|cap, data| {
                batches += 1;
                if mutants::on(Mutant::LostBatch) && batches.is_multiple_of(3) {
                    return data.clear();
                }
                let mut series = context.series.borrow_mut();
                let mut tally = context.tally.borrow_mut();
                let cap = cap.retain_least(0).expect("every update travels under an epoch");
                let mut session = output.session_with_builder(&cap);
                for ((window, name), epoch, acc) in data.drain(..) {
                    let retired = context.retiring_before.get();
                    assert!(Some(window) >= retired, "an update for {window:?}, and all before {retired:?} is retired");
                    *tally.arrived.entry(epoch).or_default() += acc.count();
                    session.give(((series.hold(window, &name), ()), epoch, acc));
                    for (level, span) in (1..).zip(spans.iter_mut().flat_map(|spans| spans.each(window))) {
                        session.give(((series.hold_level(level, span.closing, &name), ()), epoch, acc));
                    }
                }
            });
        }
    })
}
