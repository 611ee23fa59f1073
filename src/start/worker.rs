//! One worker thread of a run: what it is given, and what worker 0 reports at the end.

use super::error::StartError;
use super::outputs::OpenOutputs;
use super::serve::PreviewInterval;
use super::waker::LeaderWaker;
use crate::clock::SystemClock;
use crate::cluster::WorkerSteps;
use crate::console::{Console, ConsoleOptions, say};
use crate::dead_letter_files::DeadLetterFiles;
use crate::sinks::OpenSink;
use crate::store::{self, StoreUri};
use crate::threads::Health;
use minutely_dataflows::acc::Accumulate;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::edge::{DeadLetterPort, Halt, LogSource, ManifestPort, RowFilter, SinkPort, StateStore};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::first_epoch;
use minutely_dataflows::watch::Watcher;
use minutely_dataflows::worker::{Alarm, drive};
use minutely_dataflows::{BadRecordPolicy, Job, Restored, park};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timely::worker::Worker;

/// What all workers of this process have in common.
pub(super) struct WorkerSetup {
    /// Of this process.
    pub(super) workers: usize,
    pub(super) settings: Settings,
    /// None where nothing is served.
    pub(super) preview: Option<PreviewInterval>,
    pub(super) takes: Vec<RowFilter>,
    pub(super) sink_names: Vec<String>,
    pub(super) source: Arc<dyn LogSource>,
    pub(super) fields: FieldNames,
    pub(super) decoder: Decoder,
    pub(super) bad_records: BadRecordPolicy,
    /// None where no state is kept.
    pub(super) state: Option<StateAccess>,
    /// Of a bounded run that resumes: how many records were read before.
    pub(super) read_before: Option<i64>,
    pub(super) clock: SystemClock,
    pub(super) waker: Arc<LeaderWaker>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) alarm: Arc<Alarm>,
    /// Told of each step of a worker of this process.
    pub(super) steps: Arc<WorkerSteps>,
}

/// How this process comes to the state.
pub(super) struct StateAccess {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) place: StoreUri,
    /// Process 0 has published it; the others read it once all are connected, for nothing is committed before that.
    pub(super) head: Option<Arc<Manifest>>,
    /// Process 0's.
    pub(super) health: Option<Arc<store::StoreHealth>>,
}

impl WorkerSetup {
    /// One worker's life. `outputs`: worker 0's.
    ///
    /// # Errors
    /// When the run must end, or has stored nothing of what it was for.
    pub(super) fn work<A: Accumulate>(&self, worker: &mut Worker, outputs: Option<OpenOutputs>) -> Result<(), Halt> {
        let healths: Vec<_> =
            outputs.iter().flat_map(|o| o.sinks.iter().map(|sink| Arc::clone(&sink.health))).collect();
        let restored = self.restored().inspect_err(|halt| self.alarm.raise(halt))?;
        let job = self.job(restored, healths.clone(), worker.index() % self.workers);
        let Some(outputs) = outputs else { return drive::<A>(worker, job, None, &self.alarm).map(drop) };
        self.waker.set_current_thread();
        let console = self.console(&outputs, &healths);
        let watching = Rc::clone(&console);
        let lead = self.leader_outputs(outputs, console);
        let Some(status) = drive::<A>(worker, job, Some(lead), &self.alarm)? else { return Ok(()) };
        watching.borrow().end(&status);
        if self.read_before == Some(status.ledger.counts.read) {
            say("the log has no new records since the last run");
        }
        if self.settings.bounded && !self.stop.load(Ordering::Acquire) {
            return Ok(something_is_stored(&healths)?);
        }
        Ok(())
    }

    fn restored(&self) -> Result<Option<Restored>, Halt> {
        let Some(StateAccess { store, place, head, .. }) = &self.state else { return Ok(None) };
        let head = match head {
            Some(head) => Arc::clone(head),
            None => Arc::new(store::follow(place)?),
        };
        let lines = self.sink_names.iter().map(|name| head.sink(name).and_then(|sink| sink.stored_before)).collect();
        Ok(Some(Restored { store: Arc::clone(store), head, stored_before: lines }))
    }

    /// `readers`: the run ends when one of them is closed, such as a pipe. `worker`: of those of this process.
    fn job(&self, restored: Option<Restored>, readers: Vec<Arc<Health>>, worker: usize) -> Job {
        let (stop, steps) = (Arc::clone(&self.stop), Arc::clone(&self.steps));
        let park_after_step = move |of: &mut Worker, most: Duration| {
            steps.step(worker);
            park(of, most);
        };
        Job {
            settings: self.settings.clone(),
            decoder: self.decoder.clone(),
            source: Arc::clone(&self.source),
            clock: Rc::new(self.clock),
            first_epoch: first_epoch(restored.as_ref().map_or(0, |restored| restored.head.generation)),
            bad_records: self.bad_records,
            filters: self.takes.clone(),
            state: restored,
            stop: Rc::new(move || stop.load(Ordering::Acquire) || readers.iter().any(|health| health.closed())),
            park: Rc::new(park_after_step),
            preview_interval: self.preview.clone().map(|interval| Rc::new(move || interval()) as Rc<dyn Fn() -> i64>),
        }
    }

    /// What the terminal shows.
    fn console(&self, outputs: &OpenOutputs, sinks: &[Arc<Health>]) -> Rc<RefCell<Console>> {
        let writers: Vec<_> = sinks.iter().chain([&outputs.dead_letters.health]).map(Arc::clone).collect();
        let (healths, state) = (writers.clone(), self.state.as_ref().and_then(|state| state.health.clone()));
        let complaints = move || {
            let state = state.iter().filter_map(|health| health.complaint());
            writers.iter().filter_map(|health| health.complaint()).chain(state).collect()
        };
        Rc::new(RefCell::new(Console::new(ConsoleOptions {
            clock: self.clock,
            source: Arc::clone(&self.source),
            complaints: Box::new(complaints),
            unwritable: Box::new(move || healths.iter().map(|health| health.unwritable()).sum()),
            dead_letters: DeadLetterFiles::new(&outputs.dead_letters_path),
            drops_bad: self.bad_records == BadRecordPolicy::Drop,
            windowing: self.settings.rule.windowing,
            fields: self.fields.clone(),
            bounded: self.settings.bounded,
            final_only: self.takes.iter().all(|filter| !filter.changes),
        })))
    }

    fn leader_outputs(&self, outputs: OpenOutputs, console: Rc<RefCell<Console>>) -> LeaderOutputs {
        let handle = |(name, sink): (&String, OpenSink)| SinkHandle {
            name: name.clone(),
            filter: sink.takes,
            port: sink.port as Box<dyn SinkPort>,
            chain: sink.chain,
        };
        LeaderOutputs {
            sinks: self.sink_names.iter().zip(outputs.sinks).map(handle).collect(),
            dead_letters: outputs.dead_letters.port as Box<dyn DeadLetterPort>,
            dead_letters_name: outputs.dead_letters_path.to_string_lossy().into_owned(),
            manifests: outputs.manifests.map(|port| port as Box<dyn ManifestPort>),
            watch: Box::new(move |status| console.borrow_mut().show(status)),
            watcher: outputs.watcher.map(|watcher| watcher as Box<dyn Watcher>),
        }
    }
}

/// A bounded run of which a database has taken nothing has not done what it was for.
fn something_is_stored(sinks: &[Arc<Health>]) -> Result<(), StartError> {
    let refused = sinks.iter().find_map(|health| Some((health.name(), health.refused_all()?)));
    refused.map_or(Ok(()), |(name, points)| Err(StartError::NothingStored { sink: name.to_owned(), points }))
}
