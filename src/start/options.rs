//! The options of sources and sinks: built whole, from what is known of the state at that step.

use super::context::RunContext;
use crate::config::SinkBasis;
use crate::sinks::SinkOptions;
use crate::sources::SourceOptions;
use minutely_dataflows::checkpoint::Manifest;
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

    pub(super) fn sink_options(&self, uri: &str, ResumeBasis { manifest, has_prior }: ResumeBasis<'_>) -> SinkOptions {
        let (wake, begun, clock) = (self.wake(), Arc::clone(&self.running), self.clock);
        self.config.sink_options(uri, SinkBasis { manifest, has_prior, wake, begun, clock })
    }
}
