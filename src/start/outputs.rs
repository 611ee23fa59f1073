//! The sinks, the file of dead letters and the chain of manifests of a run: worker 0 alone writes to them.

use super::context::RunContext;
use super::dead_letters::DeadLetterFile;
use super::options::ResumeBasis;
use super::own::OwnedState;
use crate::sinks::dead_letters::{self, DeadLetterOptions, OpenDeadLetters};
use crate::sinks::{self, OpenSink};
use minutely_dataflows::edge::{Halt, ManifestPort};
use minutely_dataflows::watch::Watcher;
use std::path::PathBuf;

/// See the module.
pub(super) struct OpenOutputs {
    pub(super) sinks: Vec<OpenSink>,
    pub(super) dead_letters: OpenDeadLetters,
    /// Of the first file.
    pub(super) dead_letters_path: PathBuf,
    /// None where no state is kept, and before [`OpenOutputs::begin_chain`].
    pub(super) manifests: Option<Box<dyn ManifestPort + Send>>,
    /// None where nothing is served.
    pub(super) watcher: Option<Box<dyn Watcher + Send>>,
}

impl OpenOutputs {
    /// Opens all of them; from then on a sink holds rows, and retries.
    ///
    /// # Errors
    /// 64, 65 or 69: one cannot be used so.
    pub(super) fn open(context: &RunContext, state: Option<&OwnedState>, file: &DeadLetterFile) -> Result<Self, Halt> {
        let options = DeadLetterOptions {
            keep: file.keep,
            take_over: context.config.take_over,
            file_size: context.config.dead_letter_file_size,
            decimals: context.config.decoder.scales().value,
        };
        let dead_letters = dead_letters::open(&file.path, context.wake(), options)?;
        let basis = state.map_or_else(ResumeBasis::default, OwnedState::basis);
        let mut sinks = Vec::new();
        for uri in &context.config.sinks {
            for sink in sinks::open(uri, &context.sink_options(uri, basis))? {
                tracing::debug!(chain = ?sink.chain, "{} is open", sink.name);
                sinks.push(sink);
            }
        }
        let dead_letters_path = file.path.clone();
        Ok(OpenOutputs { sinks, dead_letters, dead_letters_path, manifests: None, watcher: None })
    }

    /// From now on manifests follow the newest of this state.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn begin_chain(&mut self, context: &RunContext, state: Option<&OwnedState>) -> Result<(), Halt> {
        self.manifests = state.map(|state| state.store.manifests(&state.head, context.wake())).transpose()?;
        Ok(())
    }
}
