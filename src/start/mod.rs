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
//! A start that [`mod@check`] refuses leaves nothing behind. What it read of the state may have been another run's: `own` reads it
//! again under the lock, and only that counts from then on.

mod check;
mod common;
mod context;
mod dead_letters;
mod error;
mod explain;
mod fill;
mod groups;
mod open;
mod options;
mod outputs;
mod own;
mod run;
mod samples;
mod serve;
mod waker;
mod worker;

pub(crate) use samples::check;

use crate::clock::SystemClock;
use crate::config::{Config, Metrics};
use context::RunContext;
use minutely_dataflows::acc::{Avg, Market};
use minutely_dataflows::edge::Halt;

/// Runs until the log ends, a signal stops it, or it must end. `open_files`: the process's limit.
///
/// # Errors
/// When it had to end, or could not begin.
pub(crate) fn run(config: Config, clock: SystemClock, open_files: u64) -> Result<(), Halt> {
    let metrics = config.metrics;
    let opened = RunContext::new(config, clock, open_files)?.check()?.own()?.open()?;
    match metrics {
        Metrics::Avg => opened.run::<Avg>(),
        Metrics::Market => opened.run::<Market>(),
    }
}
