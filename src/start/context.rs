//! What every step of a start needs.

use super::waker::LeaderWaker;
use crate::clock::SystemClock;
use crate::cluster::{Peers, Watch, WorkerSteps};
use crate::config::Config;
use crate::signals::stop_on_signal;
use crate::store::StoreUri;
use minutely_dataflows::edge::{Halt, Wake};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A configured run, and what wakes and stops it.
pub(super) struct RunContext {
    pub(super) config: Config,
    pub(super) clock: SystemClock,
    pub(super) open_files: u64,
    /// `--as-of`, or what the clock said. The processes of a run agree on it by `--as-of` alone (R7).
    pub(super) run_start: EventTime,
    /// What sinks are called in the state, in the order of `sinks::takes`.
    pub(super) sink_names: Vec<String>,
    pub(super) waker: Arc<LeaderWaker>,
    /// Set once the workers run: until then there is nothing to bring to an end.
    pub(super) running: Arc<AtomicBool>,
    /// Set by the first signal.
    pub(super) stop: Arc<AtomicBool>,
    /// The other processes, and the workers of this one.
    pub(super) watch: Watch,
}

impl RunContext {
    pub(super) fn new(config: Config, clock: SystemClock, open_files: u64) -> Result<Self, Halt> {
        let run_start = config.as_of.unwrap_or_else(|| clock.wall());
        let waker = Arc::new(LeaderWaker::default());
        let running = Arc::new(AtomicBool::new(false));
        let words = "stopping: one more commit; a second signal stops at once";
        let stop = stop_on_signal(words, Arc::clone(&running), waker.wake())?;
        let sink_names = config.sink_names();
        let of = &config.cluster;
        let peers = Arc::new(Peers::new(&of.addresses, of.process, clock));
        let watch = Watch { clock, peers, steps: Arc::new(WorkerSteps::new(clock, of.workers)) };
        Ok(RunContext { config, clock, open_files, run_start, sink_names, waker, running, stop, watch })
    }

    /// Process 0 has the sinks, the state and the page.
    pub(super) fn leads(&self) -> bool {
        self.config.cluster.process == 0
    }

    /// The place of the state that this process is to own.
    pub(super) fn place_to_own(&self) -> Option<&StoreUri> {
        self.config.state.as_ref().filter(|_| self.leads())
    }

    /// The job's name.
    pub(super) fn job(&self) -> String {
        self.config.job()
    }

    /// How long trouble with the store is waited out; none for ever.
    pub(super) fn store_timeout(&self) -> Option<Duration> {
        let settings = &self.config.settings;
        settings.bounded.then(|| Duration::from_nanos(settings.sink_timeout.unsigned_abs()))
    }

    /// Wakes worker 0.
    pub(super) fn wake(&self) -> Wake {
        self.waker.wake()
    }
}
