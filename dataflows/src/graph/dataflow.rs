//! Builds the two dataflows of one worker: records to rows, and decisions.

use super::context::WorkerContext;
use super::job::{Job, RestoredWindow};
use super::key::{NamedUpdate, WindowKey};
use super::windows::{Spine, Windows};
use super::{intern, outbox, preview, read, retire, snapshot};
use crate::acc::Accumulate;
use crate::protocol::{CutPart, Decision};
use crate::shards;
use crate::time::Epoch;
use crate::watch::PreviewRows;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::ord_neu::OrdKeyBatcher;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concat, Input, Probe};
use timely::dataflow::{InputHandle, StreamVec};
use timely::worker::Worker;

/// What leaves a worker's main dataflow, for worker 0.
pub(crate) struct Graph<'scope> {
    pub(crate) reports: StreamVec<'scope, Epoch, read::Report>,
    pub(crate) parts: StreamVec<'scope, Epoch, CutPart>,
    pub(crate) chunks: StreamVec<'scope, Epoch, outbox::Chunk>,
    pub(crate) previews: StreamVec<'scope, Epoch, PreviewRows>,
}

/// Builds the main dataflow of one worker. `inbox` ends it, on worker 0's side. The handle's frontier: the windows hold all
/// epochs before it.
pub(crate) fn build<A: Accumulate>(
    worker: &mut Worker,
    job: &Rc<Job>,
    context: &Rc<WorkerContext>,
    restored: Vec<RestoredWindow<A>>,
    inbox: impl FnOnce(Graph<'_>),
) -> Handle<Epoch> {
    worker.dataflow_named::<Epoch, _, _>("Minutes", |scope| {
        let sealed = Handle::new();
        let read::ReadOutputs { updates, reports, clock } = read::read::<A>(scope, Rc::clone(job), Rc::clone(context));
        let peers = scope.peers();
        let by_shard = Exchange::new(move |((_, name), _, _): &NamedUpdate<A>| shards::worker_of(name, peers));
        let interned = intern::intern(updates, by_shard, (job, restored), Rc::clone(context));
        let windows = Rc::new(Windows::<A>::unattached());
        let retractions = retire::retire(clock, Rc::clone(job), Rc::clone(context), Rc::clone(&windows));
        let batcher = OrdKeyBatcher::<WindowKey, Epoch, A>::new;
        let arranged = arrange_core::<_, _, _, Spine<A>>(interned.concat(retractions), Pipeline, "Windows", batcher);
        windows.attach(arranged.trace);
        let batches = arranged.stream.probe_with(&sealed);
        let parts = snapshot::snapshot(batches.clone(), Rc::clone(job), Rc::clone(context), Rc::clone(&windows));
        let previews = preview::preview(batches.clone(), Rc::clone(job), Rc::clone(context), Rc::clone(&windows));
        let chunks = outbox::outbox(batches, Rc::clone(job), Rc::clone(context), windows);
        inbox(Graph { reports, parts, chunks, previews });
        sealed
    })
}

/// Builds the dataflow of decisions; worker 0's input feeds it.
pub(crate) fn decisions(
    worker: &mut Worker,
    context: &Rc<WorkerContext>,
) -> InputHandle<u64, CapacityContainerBuilder<Vec<Decision>>> {
    let mut input = InputHandle::new();
    let context = Rc::clone(context);
    let index = worker.index();
    worker.dataflow_named::<u64, _, _>("Control", |scope| {
        scope.input_from(&mut input).broadcast().sink(Pipeline, "Follow", move |(input, _)| {
            input.for_each(|_, decisions| decisions.drain(..).for_each(|decision| context.follow(decision, index)));
        });
    });
    input
}
