//! One worker's run, from its first step to its last. Worker 0 has a leader beside its dataflows.

use crate::acc::Accumulate;
use crate::edge::Halt;
use crate::graph::{self, Job, WorkerContext};
use crate::leader::{DataflowHandles, Inbox, Leader, LeaderOutputs, receive};
use crate::status::Status;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use timely::worker::Worker;

/// Tells the workers of this process that the run cannot continue.
#[derive(Debug, Default)]
pub struct Alarm(Mutex<Option<Halt>>);

impl Alarm {
    /// The first trouble, if there is any.
    pub fn raised(&self) -> Option<Halt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is trouble here.
    pub fn raise(&self, halt: &Halt) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| halt.clone());
    }
}

/// Runs one worker until the run is over. `outputs` are worker 0's. How the run was at its end, at worker 0.
///
/// # Errors
/// When the run cannot continue, here or at another worker of this process.
pub fn drive<A: Accumulate>(
    worker: &mut Worker,
    job: Job,
    outputs: Option<LeaderOutputs>,
    alarm: &Alarm,
) -> Result<Option<Status>, Halt> {
    let mut restored = Vec::new();
    let context = Rc::new(WorkerContext::default());
    if let Some(state) = &job.state {
        restored = state
            .load::<A>(worker.index(), worker.peers(), &job.settings.windows)
            .inspect_err(|halt| alarm.raise(halt))?;
        let ids = state.load_ids(worker.index(), worker.peers(), job.settings.rule.windowing);
        context.restored_ids.replace(ids.inspect_err(|halt| alarm.raise(halt))?);
        let folds = state.load_folds(worker.index(), worker.peers()).inspect_err(|halt| alarm.raise(halt))?;
        context.folds.borrow_mut().restore(folds);
        context.partial.set(state.head.marks.partial_before);
        context.resume(state.head.parts.iter().map(|part| part.retired_before).min().flatten());
    }
    let job = Rc::new(job);
    let inbox = Rc::new(RefCell::new(Inbox::default()));
    let (leads, filled) = (outputs.is_some(), Rc::clone(&inbox));
    let sealed = graph::build::<A>(worker, &job, &context, restored, |graph| receive(graph, filled, leads));
    let input = graph::decisions(worker, &context);
    let mut leader = match outputs {
        Some(outputs) => match Leader::new(&job, outputs, DataflowHandles { input, inbox, sealed }, worker.peers()) {
            Ok(leader) => Some(leader),
            Err(halt) => return Err(give_up(worker, alarm, halt)),
        },
        None => {
            input.close();
            None
        }
    };
    while !worker.installed_dataflows().is_empty() {
        let until = match &mut leader {
            Some(leader) => leader.tick(&job, job.clock.monotonic()),
            None => Ok(None),
        };
        if let Some(halt) = until.as_ref().err().cloned().or_else(|| context.trouble.borrow().clone()) {
            alarm.raise(&halt);
        }
        if let Some(halt) = alarm.raised() {
            return Err(give_up(worker, alarm, halt));
        }
        context.wake_reader();
        worker.step();
        // What arrived at worker 0 is looked at before it parks.
        if !leader.as_ref().is_some_and(Leader::has_news) {
            let most = if context.stopped.get() { Duration::from_millis(10) } else { context.idle_wait.get() };
            (job.park)(worker, until.ok().flatten().map_or(most, |until| most.min(until)));
        }
    }
    Ok(leader.map(|leader| leader.status()))
}

/// Tells the others, and leaves no dataflow that timely would step for ever.
fn give_up(worker: &mut Worker, alarm: &Alarm, halt: Halt) -> Halt {
    alarm.raise(&halt);
    worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
    halt
}
