//! A run, from a valid configuration to its outcome: the one place where the core and its edges meet. Each step takes what
//! the step before it made, so none can be left out or done twice.
//!
//! ```text
//!   RunContext ── check ──> CheckedRun ── own ──> OwnedRun ── open ──> OpenedRun ── run ──> outcome
//!                 reads only;         the state's lock,   sinks, dead      worker
//!                 binds --http        this run's first    letters, page    threads
//!                                     manifest            and API
//! ```
//!
//! A start that [`check`] refuses leaves nothing behind. What it read of the state may have been another run's: `own` reads it
//! again under the lock, and only that counts from then on.

mod check;
mod dead_letters;
mod open;
mod options;
mod own;
mod run;
mod serve;
mod waker;
mod worker;

use crate::clock::SystemClock;
use crate::config::{Config, Metrics};
use crate::signals::stop_on_signal;
use crate::sinks;
use crate::store::Place;
use crate::uri::shown;
use minutely_dataflows::acc::{Avg, Market};
use minutely_dataflows::edge::{Halt, Wake};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use waker::LeaderWaker;

/// How long a source or a sink may take to answer at the start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs until the log ends, a signal stops it, or it cannot go on. `open_files`: the process's limit.
///
/// # Errors
/// When it cannot go on, or could not begin.
pub(crate) fn run(config: Config, clock: SystemClock, open_files: u64) -> Result<(), Halt> {
    let metrics = config.metrics;
    let opened = RunContext::new(config, clock, open_files)?.check()?.own()?.open()?;
    match metrics {
        Metrics::Avg => opened.run::<Avg>(),
        Metrics::Market => opened.run::<Market>(),
    }
}

/// What every step needs.
struct RunContext {
    config: Config,
    clock: SystemClock,
    open_files: u64,
    /// `--as-of`, or what the clock said. The same for all processes of a run with `--as-of` alone (R7).
    run_start: EventTime,
    /// What sinks are called in the state, in the order of [`sinks::takes`].
    sink_names: Vec<String>,
    waker: Arc<LeaderWaker>,
    /// Set once the workers run: until then there is nothing to bring to an end.
    running: Arc<AtomicBool>,
    /// Set by the first signal.
    stop: Arc<AtomicBool>,
}

impl RunContext {
    fn new(config: Config, clock: SystemClock, open_files: u64) -> Result<Self, Halt> {
        let run_start = config.as_of.unwrap_or_else(|| clock.wall());
        let waker = Arc::new(LeaderWaker::default());
        let running = Arc::new(AtomicBool::new(false));
        let words = "stopping: one more commit; a second signal stops at once";
        let stop = stop_on_signal(words, Arc::clone(&running), waker.wake())?;
        let sink_names = sink_names(&config);
        Ok(RunContext { config, clock, open_files, run_start, sink_names, waker, running, stop })
    }

    /// Process 0 has the sinks, the state and the page.
    fn leads(&self) -> bool {
        self.config.cluster.process == 0
    }

    /// The place of the state that this process is to own.
    fn place_to_own(&self) -> Option<&Place> {
        self.config.state.as_ref().filter(|_| self.leads())
    }

    /// The job's name.
    fn job(&self) -> String {
        self.config.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How long trouble with the store is waited out; none for ever.
    fn store_timeout(&self) -> Option<Duration> {
        let settings = &self.config.settings;
        settings.bounded.then(|| Duration::from_nanos(settings.sink_timeout.unsigned_abs()))
    }

    /// Wakes worker 0.
    fn wake(&self) -> Wake {
        self.waker.wake()
    }
}

fn sink_names(config: &Config) -> Vec<String> {
    let numbered = |uri: &String| {
        let name = shown(uri);
        let number = move |n: usize| if n == 0 { name.clone() } else { format!("{name}#{n}") };
        (0..sinks::takes(uri, config.emit).len()).map(number).collect::<Vec<_>>()
    };
    config.sinks.iter().flat_map(numbered).collect()
}
