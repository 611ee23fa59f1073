//! State: a worker's part of each cut, once the arrangement holds all of it.

use super::{Local, Trace, everything};
use crate::acc::Accumulate;
use crate::control::Part;
use crate::time::Epoch;
use differential_dataflow::trace::Cursor;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::Container;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::{Stream, StreamVec};

/// Builds the operator.
pub(crate) fn state<'scope, A: Accumulate, C: Container + Clone + 'static>(
    batches: Stream<'scope, Epoch, C>,
    local: Rc<Local>,
    trace: Trace<A>,
) -> StreamVec<'scope, Epoch, Part> {
    let scope = batches.scope();
    batches.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "State", move |cap, info| {
        local.activators.borrow_mut().push(scope.activator_for(info.address));
        let mut cap = Some(cap);
        let (mut arrived, mut retired) = (0, 0);
        move |(input, frontier), output| {
            input.for_each(|_, _| {});
            let Some(held) = cap.as_mut() else { return };
            loop {
                let mut cuts = local.for_state.borrow_mut();
                let Some(end) = cuts.front().copied().filter(|end| !frontier.less_equal(&end.epoch)) else { break };
                cuts.pop_front();
                let mut tally = local.tally.borrow_mut();
                arrived += take_through(&mut tally.arrived, end.epoch);
                retired += take_through(&mut tally.retired, end.epoch);
                let traced = end.audit.then(|| count(&trace, end.epoch));
                let keys = local.series.borrow().keys();
                let part = Part { cut: end.epoch, arrived, retired, keys, traced };
                // A capability that the frontier has passed is still held: only then is the part's arrival certain.
                let least = end.epoch.max(*held.time());
                output.session_with_builder(&held.delayed(&least)).give(part);
            }
            match frontier.frontier().first() {
                Some(epoch) => held.downgrade(&epoch.max(held.time()).clone()),
                None => cap = None,
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
