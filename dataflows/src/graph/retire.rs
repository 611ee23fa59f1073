//! Retire: when the line moves, one complete retraction for each key before it.
//!
//! Every window before the line is final and committed, so its updates are all in the trace and none can follow: the
//! accumulation read here is the complete one. A key is retracted once, because the line only rises and the cursor
//! starts where the last pass ended.

use super::{Local, Trace, Update, everything};
use crate::acc::Accumulate;
use crate::mutants::{self, Mutant};
use crate::time::{Epoch, WindowStart};
use differential_dataflow::trace::Cursor;
use std::cell::RefCell;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// Builds the operator. `trace` is there once the arrangement is.
pub(crate) fn retire<'scope, A: Accumulate>(
    clock: StreamVec<'scope, Epoch, ()>,
    local: Rc<Local>,
    trace: Rc<RefCell<Option<Trace<A>>>>,
) -> StreamVec<'scope, Epoch, Update<A>> {
    let scope = clock.scope();
    clock.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Retire", move |cap, info| {
        local.activators.borrow_mut().push(scope.activator_for(info.address));
        let mut cap = Some(cap);
        let mut done = WindowStart::MIN;
        move |(input, frontier), output| {
            input.for_each(|_, data| data.clear());
            let Some(held) = cap.as_mut() else { return };
            let Some(epoch) = frontier.frontier().first().copied() else {
                cap = None;
                return;
            };
            held.downgrade(&epoch);
            let line = local.line.get().unwrap_or(WindowStart::MIN);
            if line <= done {
                return;
            }
            let trace = trace.borrow();
            let (mut cursor, storage) = everything(trace.as_ref().expect("the arrangement was built"));
            cursor.seek_key(&storage, &(done, 0));
            let mut session = output.session_with_builder(&held);
            let mut records = 0;
            while let Some(key) = cursor.get_key(&storage).copied().filter(|(window, _)| *window < line) {
                let mut acc: Option<A> = None;
                cursor.map_times(&storage, |_, diff| match &mut acc {
                    Some(acc) => acc.plus_equals(diff),
                    None => acc = Some(*diff),
                });
                if let Some(acc) = acc.filter(|acc| !acc.is_zero()) {
                    records += acc.count();
                    if mutants::on(Mutant::RetiredTwice) {
                        records += acc.count();
                    }
                    session.give(((key, ()), epoch, acc.retraction()));
                }
                cursor.step_key(&storage);
            }
            drop(session);
            let mut tally = local.tally.borrow_mut();
            *tally.retired.entry(epoch).or_default() += records;
            tally.forgotten = (Some(line), tally.forgotten.1 + records);
            local.series.borrow_mut().forget(line);
            done = line;
        }
    })
}
