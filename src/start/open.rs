//! The third step: opens what rows and dead letters go to, the chain of manifests, and the page with its API. All that
//! worker 0 alone uses is here; worker threads are not running yet.

use super::context::RunContext;
use super::fill::fill_sinks;
use super::outputs::OpenOutputs;
use super::own::{OwnedRun, OwnedState};
use super::serve::{PreviewInterval, serve, serve_probes};
use crate::console::say;
use crate::sinks;
use crate::uri::redacted;
use minutely_dataflows::edge::{Halt, LogSource, RowFilter};
use std::sync::Arc;

/// A run that has all it needs.
pub(super) struct OpenedRun {
    pub(super) context: RunContext,
    pub(super) source: Arc<dyn LogSource>,
    pub(super) state: Option<OwnedState>,
    /// None in processes other than 0.
    pub(super) outputs: Option<OpenOutputs>,
    /// What each sink takes, in the order of [`RunContext::sink_names`].
    pub(super) takes: Vec<RowFilter>,
    /// None where nothing is served.
    pub(super) preview: Option<PreviewInterval>,
    pub(super) read_before: Option<i64>,
    /// As [`OwnedRun::generation`].
    pub(super) generation: u64,
}

impl OwnedRun {
    /// # Errors
    /// 64, 65 or 69: a sink, the file of dead letters or the server cannot be opened.
    pub(super) fn open(self) -> Result<OpenedRun, Halt> {
        let OwnedRun { mut context, listening, source, mut state, dead_letters, read_before, generation } = self;
        let mut outputs = match context.leads() {
            true => Some(OpenOutputs::open(&context, state.as_ref(), &dead_letters)?),
            false => None,
        };
        if let Some(outputs) = &mut outputs {
            if let (Some(state), true) = (&mut state, context.config.fills_sinks) {
                fill_sinks(&mut context, state, &mut outputs.sinks)?;
            }
            outputs.begin_chain(&context, state.as_ref())?;
        }
        let config = &context.config;
        let takes = config.sinks.iter().flat_map(|uri| sinks::takes(uri, config.emit)).collect();
        if context.leads() {
            let sinks: Vec<_> = config.sinks.iter().map(|uri| redacted(uri)).collect();
            say(&format!("{} -> {}", redacted(&config.source), sinks.join(", ")));
        }
        let preview = match (listening, &mut outputs) {
            (Some(listening), Some(outputs)) => {
                let head = state.as_ref().map(|state| &state.head);
                serve(&context, listening, outputs, &source, head)?
            }
            (Some(Some(listening)), None) => {
                serve_probes(&context, listening, &source)?;
                None
            }
            _ => None,
        };
        Ok(OpenedRun { context, source, state, outputs, takes, preview, read_before, generation })
    }
}
