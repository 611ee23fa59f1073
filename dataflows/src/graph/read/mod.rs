//! Read: a worker's partitions. Records are decoded, judged and added up here, so that what travels is windows and not
//! ticks.
//!
//! ```text
//!   decisions ──> admit, end an epoch, follow ────────┐
//!   logs ──────> WorkerReader ──> EpochTable ─────────┴──> updates, reports; the clock's frontier is the epoch in progress
//! ```
//!
//! Output under an epoch: one update per window and series, and to worker 0 the partitions' states and dead letters.
//! What a cut has of ids goes to the
//! worker's own Snapshot. An epoch ends when Control says so; until then a full table makes the reader wait. What it read of a partition and
//! what it reports of it are of the same epoch, because one activation does both.

mod error;
mod ids;
mod reader;
mod report;
mod table;

pub(crate) use ids::{CutIds, RestoredIds};
pub(crate) use report::Report;

use super::context::{WorkerContext, wake_for};
use super::job::Job;
use super::key::NamedUpdate;
use crate::acc::Accumulate;
use crate::edge::{Halt, Wake};
use crate::protocol::{Decision, End};
use crate::time::{Epoch, Monotonic};
use reader::WorkerReader;
use std::rc::Rc;
use table::TableEntry;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::Activator;

/// The streams of [`read`].
pub(super) struct ReadOutputs<'scope, A> {
    /// Sums by window and series name.
    pub(super) updates: StreamVec<'scope, Epoch, NamedUpdate<A>>,
    /// For worker 0.
    pub(super) reports: StreamVec<'scope, Epoch, Report>,
    /// No data: its frontier is the epoch in progress, ahead of everything that is done with it.
    pub(super) clock: StreamVec<'scope, Epoch, ()>,
}

type Builder<T> = CapacityContainerBuilder<Vec<T>>;
type Session<'a, T> = OutputBuilderSession<'a, Epoch, Builder<T>>;

/// Builds the operator.
pub(super) fn read<'scope, A: Accumulate>(
    scope: Scope<'scope, Epoch>,
    job: Rc<Job>,
    context: Rc<WorkerContext>,
) -> ReadOutputs<'scope, A> {
    let mut builder = OperatorBuilder::new("Read".to_owned(), scope);
    let (updates_out, updates) = builder.new_output::<Vec<NamedUpdate<A>>>();
    let (reports_out, reports) = builder.new_output::<Vec<Report>>();
    let (_clock_out, clock) = builder.new_output::<Vec<()>>();
    let mut updates_out = OutputBuilder::<_, Builder<_>>::from(updates_out);
    let mut reports_out = OutputBuilder::<_, Builder<_>>::from(reports_out);
    let address = builder.operator_info().address;
    context.reader.borrow_mut().replace(scope.activator_for(Rc::clone(&address)));
    let (index, peers) = (scope.index(), scope.peers());
    let mut operator = ReadOperator {
        reader: WorkerReader::<A>::new(Rc::clone(&job), peers, context.restored_ids.take()),
        activator: scope.activator_for(Rc::clone(&address)),
        wake: wake_for(&scope, &address),
        job,
        context,
        caps: None,
        index,
        peers,
    };
    builder.build(move |caps| {
        operator.caps = Some(caps.into_iter().map(|cap| cap.delayed(&operator.job.first_epoch)).collect());
        move |_| operator.activate(&mut updates_out.activate(), &mut reports_out.activate())
    });
    ReadOutputs { updates, reports, clock }
}

struct ReadOperator<A> {
    job: Rc<Job>,
    context: Rc<WorkerContext>,
    reader: WorkerReader<A>,
    /// Of updates, reports and the clock, for the epoch in progress; absent once the run is over.
    caps: Option<Vec<Capability<Epoch>>>,
    activator: Activator,
    wake: Wake,
    index: usize,
    peers: usize,
}

impl<A: Accumulate> ReadOperator<A> {
    /// Follows decisions, then reads for one activation's budget.
    fn activate(&mut self, updates: &mut Session<'_, NamedUpdate<A>>, reports: &mut Session<'_, Report>) {
        if self.context.halted() {
            return;
        }
        loop {
            if self.caps.is_none() {
                return;
            }
            let Some(decision) = self.context.for_read.borrow_mut().pop_front() else { break };
            if let Err(halt) = self.follow(&decision, updates, reports) {
                return self.context.halt(halt);
            }
        }
        match self.reader.work() {
            Ok(idle_wait) => self.context.idle_wait.set(idle_wait),
            Err(halt) => return self.context.halt(halt),
        }
        self.announce(reports);
        if self.context.idle_wait.get().is_zero() {
            self.activator.activate();
        }
    }

    /// Follows one decision: opens partitions, ends the epoch, goes by the new guide.
    fn follow(
        &mut self,
        decision: &Decision,
        updates: &mut Session<'_, NamedUpdate<A>>,
        reports: &mut Session<'_, Report>,
    ) -> Result<(), Halt> {
        let now = self.job.clock.monotonic();
        self.reader.admit(decision, self.index, self.peers, &self.wake)?;
        if let Some(end) = decision.end {
            self.end_epoch(end, now, updates, reports);
        }
        self.reader.follow(decision.guide, now);
        if decision.stop {
            self.caps = None;
            self.reader.close();
        }
        Ok(())
    }

    /// Sends what the epoch added up to, and begins the next.
    fn end_epoch(
        &mut self,
        End { epoch, cut, .. }: End,
        now: Monotonic,
        updates: &mut Session<'_, NamedUpdate<A>>,
        reports: &mut Session<'_, Report>,
    ) {
        let Some(caps) = &mut self.caps else { return };
        assert_eq!(epoch, *caps[0].time(), "epochs end in order");
        let table = self.reader.end_epoch();
        if cut {
            self.context.cut_ids.borrow_mut().push_back(self.reader.cut_ids());
        }
        self.context.ids_load.set(self.reader.ids_load());
        let mut session = updates.session_with_builder(&caps[0]);
        for TableEntry { window, symbol, sum, .. } in table.sums {
            session.give(((window, symbol), epoch, sum));
        }
        drop(session);
        let mut session = reports.session_with_builder(&caps[1]);
        session.give_iterator(self.reader.states(cut, now).map(|state| Report::Partition(epoch, state)));
        session.give_iterator(table.dead_letters.into_iter().map(|letter| Report::DeadLetter(epoch, letter)));
        session.give(Report::Load(self.index, self.context.load()));
        let delays = self.reader.delays_news().map(|delays| Report::Delays(self.index, delays));
        session.give_iterator(delays.into_iter());
        drop(session);
        caps.iter_mut().for_each(|cap| cap.downgrade(&(epoch + 1)));
    }

    /// Sends the notices that are due.
    fn announce(&mut self, reports: &mut Session<'_, Report>) {
        let Some(caps) = &self.caps else { return };
        let notices = self.reader.new_notices();
        let first = notices.first.then_some(Report::First);
        let full = notices.full.then_some(Report::Full);
        let stop = self.reader.new_stop().then_some(Report::Stop);
        for report in [first, full, stop].into_iter().flatten() {
            reports.session_with_builder(&caps[1]).give(report);
        }
    }
}
