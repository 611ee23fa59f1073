//! Intern: after the exchange, names become this worker's keys, and the ledger counts what arrived. What an earlier run has
//! stored arrives here, too, in the generation's first epoch.

use super::context::WorkerContext;
use super::key::{KeyUpdate, NamedUpdate};
use crate::acc::Accumulate;
use crate::mutants::{self, Mutant};
use crate::time::{Epoch, WindowStart};
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
    (first, restored): (Epoch, Vec<((WindowStart, Box<str>), A)>),
    context: Rc<WorkerContext>,
) -> StreamVec<'scope, Epoch, KeyUpdate<A>>
where
    P: ParallelizationContract<Epoch, Vec<NamedUpdate<A>>>,
{
    updates.unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(by_shard, "Intern", move |cap, _| {
        let mut batches = 0_u64;
        let mut restored = Some((cap.delayed(&first), restored));
        move |input, output| {
            if let Some((cap, restored)) = restored.take() {
                let mut series = context.series.borrow_mut();
                let mut tally = context.tally.borrow_mut();
                let mut session = output.session_with_builder(&cap);
                for ((window, name), acc) in restored {
                    *tally.arrived.entry(first).or_default() += acc.count();
                    session.give(((series.hold(window, &name), ()), first, acc));
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
                }
            });
        }
    })
}
