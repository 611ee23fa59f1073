//! Retire: when a decision says which windows to forget, one complete retraction for each key in them.
//!
//! Every window to be retired is final, committed and stored by all sinks, so its updates are all in the history and none can
//! follow: the accumulation read here is the complete one. A key is retracted once, because the first window held only rises
//! and a pass starts where the last one ended. What derived values keep of it goes on in the series' fold,
//! and the minute's digest has its row.

use super::context::WorkerContext;
use super::job::Job;
use super::key::KeyUpdate;
use super::windows::Windows;
use crate::acc::Accumulate;
use crate::digest::{MinuteDigest, row_bytes};
use crate::mutants::{self, Mutant};
use crate::time::{Epoch, WindowStart};
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// Builds the operator. Its capability follows `clock`, Read's epoch in progress.
pub(super) fn retire<'scope, A: Accumulate>(
    clock: StreamVec<'scope, Epoch, ()>,
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    windows: Rc<Windows<A>>,
) -> StreamVec<'scope, Epoch, KeyUpdate<A>> {
    let scope = clock.scope();
    clock.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Retire", move |cap, info| {
        context.activators.borrow_mut().push(scope.activator_for(info.address));
        let mut cap = Some(cap);
        let mut first_held = WindowStart::MIN;
        let (deriver, scales) = (job.deriver(), job.decoder.scales());
        move |(input, frontier), output| {
            input.for_each(|_, data| data.clear());
            let Some(held) = cap.as_mut() else { return };
            let Some(epoch) = frontier.frontier().first().copied() else {
                cap = None;
                return;
            };
            held.downgrade(&epoch);
            let retired_before = context.retiring_before.get().unwrap_or(WindowStart::MIN);
            if retired_before <= first_held {
                return;
            }
            let mut pass = windows.pass(None);
            pass.seek(first_held);
            let mut session = output.session_with_builder(&held);
            let (mut records, series, mut folds) = (0, context.series.borrow(), context.folds.borrow_mut());
            let mut digests = context.digests.borrow_mut();
            while let Some((key, sum)) = pass.next_before(retired_before) {
                if let Some(acc) = sum.filter(|acc| !acc.is_zero()) {
                    let whole = key.is_minute() && !context.partial.get().includes(key.window);
                    if let Some(name) = series.name(key).filter(|_| whole) {
                        folds.step(&deriver, name, key.window, || acc.sums());
                        let row = row_bytes(name, key.window, scales, &acc.numbers());
                        digests.entry(key.window).or_default().add(MinuteDigest::of_row(&row));
                    }
                    if key.is_minute() {
                        records += acc.count();
                        if mutants::on(Mutant::RetiredTwice) {
                            records += acc.count();
                        }
                    }
                    session.give(((key, ()), epoch, acc.retraction()));
                }
            }
            drop((session, series, digests));
            folds.sweep(retired_before);
            let mut tally = context.tally.borrow_mut();
            *tally.retired.entry(epoch).or_default() += records;
            tally.retired_before = Some(retired_before);
            tally.retired_records += records;
            context.series.borrow_mut().retire_before(retired_before);
            first_held = retired_before;
        }
    })
}
