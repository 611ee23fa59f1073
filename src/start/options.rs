//! The options of sources and sinks: built whole, from what is known of the state at that step.

use super::context::RunContext;
use crate::config::START_TIMEOUT;
use crate::semantics::{Entries, without_defaults};
use crate::sinks::{Owner, PriorState, SinkOptions};
use crate::sources::SourceOptions;
use crate::uri::redacted;
use minutely_dataflows::checkpoint::{self, Manifest};
use std::sync::Arc;

/// What sinks resume from.
#[derive(Clone, Copy, Default)]
pub(super) struct ResumeBasis<'a> {
    /// The newest manifest; none where no state is kept, or before a chain's first.
    pub(super) manifest: Option<&'a Manifest>,
    /// Runs before this one belong to its chain.
    pub(super) has_prior: bool,
}

impl RunContext {
    pub(super) fn source_options(&self) -> SourceOptions {
        self.config.source_options(self.run_start, self.clock)
    }

    pub(super) fn sink_options(&self, uri: &str, basis: ResumeBasis<'_>) -> SinkOptions {
        let config = &self.config;
        let recorded = basis.manifest.and_then(|manifest| manifest.sink(&redacted(uri)));
        let prior = basis.manifest.filter(|_| basis.has_prior).zip(config.state.as_ref());
        SinkOptions {
            emit: config.emit,
            columns: config.columns(),
            windowing: config.settings.rule.windowing,
            start_timeout: START_TIMEOUT,
            wake: self.wake(),
            data: config.folder.clone(),
            chain: recorded.and_then(|sink| sink.chain),
            position: recorded.and_then(|sink| sink.position),
            generation: basis.manifest.map_or(0, |manifest| manifest.generation),
            take_over: config.take_over,
            prior_state: prior.map(|(manifest, place)| PriorState { place: place.to_string(), seq: manifest.seq }),
            owner: self.owner(basis.manifest),
            owner_as_typed: self.config.as_typed.as_ref().map(|(job, entries)| owner(job.clone(), entries)),
            take_sink: config.take_sink,
            begun: Arc::clone(&self.running),
            clock: self.clock,
        }
    }

    /// Whose rows they are. A state that an earlier version wrote keeps its text, and its sinks know the hash of that.
    fn owner(&self, manifest: Option<&Manifest>) -> Owner {
        let recorded = manifest.map_or_else(|| self.config.recorded.clone(), |head| without_defaults(&head.semantics));
        owner(self.job(), &recorded)
    }
}

fn owner(job: String, recorded: &Entries) -> Owner {
    Owner { job, semantics: checkpoint::hash(format!("{recorded:?}").as_bytes()) }
}
