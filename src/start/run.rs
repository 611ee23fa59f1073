//! The last step: starts the workers, waits for them, and says how the run ended.

use super::common::common_options;
use super::context::RunContext;
use super::error::StartError;
use super::groups::WatchedGroups;
use super::open::OpenedRun;
use super::outputs::OpenOutputs;
use super::serve::PreviewInterval;
use super::worker::{StateAccess, WorkerSetup};
use crate::advice;
use crate::cluster::RunIdentity;
use crate::console::error;
use crate::{cluster, http, store};
use minutely_dataflows::acc::Accumulate;
use minutely_dataflows::derived::GroupSource;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::worker::Alarm;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use timely::communication::WorkerGuards;

/// How long page and metrics show an internal error before the process ends: Prometheus asks every few seconds.
const SHOW_ERROR_FOR: Duration = Duration::from_secs(15);

impl OpenedRun {
    /// # Errors
    /// When the run had to end.
    pub(super) fn run<A: Accumulate>(mut self) -> Result<(), Halt> {
        let outputs = Mutex::new(self.outputs.take());
        let (serves, stop, alarm) =
            (self.preview.is_some(), Arc::clone(&self.context.stop), Arc::new(Alarm::default()));
        let mut setup = self.worker_setup(&alarm);
        setup.settings.groups = self.groups()?;
        let OpenedRun {
            context: RunContext { config, sink_names, running, watch, .. }, state, source, generation, ..
        } = self;
        drop(source); // it closes with the last worker
        let data = config.folder.parent().unwrap_or(&config.folder);
        let run = RunIdentity { job: config.job(), generation, options: common_options(&config, &sink_names), data };
        let (steps, own_workers) = (Arc::clone(&watch.steps), config.cluster.workers);
        let workers = cluster::execute(&config.cluster, &run, &watch, move |worker| {
            running.store(true, Ordering::Release);
            let outputs = if worker.index() == 0 { take(&outputs) } else { None };
            let outcome = setup.work::<A>(worker, outputs);
            steps.done(worker.index() % own_workers);
            // Before this worker's connections end: the other processes say why.
            outcome.inspect_err(|halt| cluster::farewell(&advice::of_halt(halt)))
        })?;
        let outcome = wait(workers, &alarm);
        if serves {
            show_internal_error(&outcome, &stop);
        }
        drop(state); // its lock is held until here
        outcome
    }

    /// Watches the file of groups, where there is one.
    fn groups(&self) -> Result<Option<Arc<dyn GroupSource>>, StartError> {
        let file = self.context.config.groups.as_ref();
        let groups = file.map(WatchedGroups::start).transpose().map_err(StartError::NoThread)?;
        Ok(groups.map(|groups| groups as Arc<dyn GroupSource>))
    }

    fn worker_setup(&self, alarm: &Arc<Alarm>) -> WorkerSetup {
        let RunContext { config, clock, run_start, sink_names, waker, stop, .. } = &self.context;
        let bounded = config.settings.bounded;
        let opened_at = bounded.then(|| (*run_start).max(clock.wall()));
        let settings = Settings { instant: bounded.then_some(*run_start), opened_at, ..config.settings.clone() };
        // Rows of another process go to process 0, which alone knows whether anyone looks.
        let everywhere = config.http.is_some() && !self.context.leads();
        let fixed = everywhere.then(|| Arc::new(|| http::EVERY_NS) as PreviewInterval);
        WorkerSetup {
            workers: config.cluster.workers,
            settings,
            preview: self.preview.clone().or(fixed),
            takes: self.takes.clone(),
            sink_names: sink_names.clone(),
            source: Arc::clone(&self.source),
            fields: config.fields.clone(),
            decoder: config.decoder.clone(),
            bad_records: config.bad_records,
            state: self.state_access(),
            read_before: self.read_before,
            clock: *clock,
            waker: Arc::clone(waker),
            stop: Arc::clone(stop),
            alarm: Arc::clone(alarm),
            steps: Arc::clone(&self.context.watch.steps),
        }
    }

    fn state_access(&self) -> Option<StateAccess> {
        let place = self.context.config.state.clone()?;
        Some(match &self.state {
            Some(owned) => StateAccess {
                store: Arc::clone(&owned.store.store),
                place,
                head: Some(Arc::new(owned.head.clone())),
                health: Some(Arc::clone(&owned.store.health)),
            },
            None => {
                let store = store::store(&place, self.context.store_timeout());
                StateAccess { store, place, head: None, health: None }
            }
        })
    }
}

/// The first caller takes them.
fn take(outputs: &Mutex<Option<OpenOutputs>>) -> Option<OpenOutputs> {
    outputs.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Waits for all workers of this process. The first trouble of any is the outcome.
fn wait(workers: WorkerGuards<Result<(), Halt>>, alarm: &Alarm) -> Result<(), Halt> {
    let mut outcome = Ok(());
    for worker in workers.join() {
        let worker = worker.map_err(|why| Halt::from(StartError::WorkerEnded(why)));
        outcome = outcome.and(worker.flatten());
    }
    alarm.raised().map_or(outcome, Err)
}

/// Keeps the process for a while after a broken invariant, so that page and metrics are seen to show it.
fn show_internal_error(outcome: &Result<(), Halt>, stop: &AtomicBool) {
    let Some(halt) = outcome.as_ref().err().filter(|halt| halt.kind == HaltKind::Internal) else { return };
    let why = advice::of_halt(halt);
    error(&format!("has come to a halt: {why}; page and metrics show it for {} s more", SHOW_ERROR_FOR.as_secs()));
    let until = Instant::now() + SHOW_ERROR_FOR;
    while Instant::now() < until && !stop.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(50));
    }
}
