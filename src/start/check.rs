//! The first step: may this run begin, and resume from this state with these options? Reads only; nothing is made or changed.
//! The port of `--http` is bound here, before anything else can fail or take long.

use super::context::RunContext;
use super::dead_letters::DeadLetterFile;
use super::error::StartError;
use super::options::ResumeBasis;
use crate::config::Config;
use crate::console::say;
use crate::fmt::utc;
use crate::{http, sinks, sources, store};
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::edge::{Halt, LogSource};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::sync::Arc;

/// A run that may begin, as far as can be seen without owning the state.
pub(super) struct CheckedRun {
    pub(super) context: RunContext,
    /// The newest manifest when it was looked at; another run may own the state.
    pub(super) prior: Option<Manifest>,
    /// The bound port; none: nothing is to be served. None within: all ports of the default range are taken.
    pub(super) listening: Option<Option<http::BoundSocket>>,
    pub(super) source: Arc<dyn LogSource>,
}

impl RunContext {
    /// # Errors
    /// 64: options, sinks or the source cannot be used so. 65: state or log are damaged. 69: a service does not answer.
    pub(super) fn check(self) -> Result<CheckedRun, Halt> {
        let config = &self.config;
        config.folder_remark.iter().filter(|_| self.leads()).for_each(|remark| say(remark));
        config.registry.as_ref().map_or(Ok(()), |registry| registry.probe())?;
        let prior = config.state.as_ref().map(store::peek).transpose()?.flatten();
        if let Some(prior) = &prior {
            same_semantics(prior, config)?;
            let (look_back, windows) = (config.settings.look_back(), &config.settings.windows);
            prior.sinks_of_run(&self.sink_names, &config.forget_sinks, look_back, windows, window_text)?;
        }
        let listening = self.listen()?;
        if self.leads() {
            let dead_letters = DeadLetterFile::of(&config.folder, prior.as_ref(), self.clock.wall())?;
            self.check_outputs(prior.as_ref(), &dead_letters)?;
        }
        let source = sources::open(&config.source, &self.source_options())?;
        Ok(CheckedRun { context: self, prior, listening, source })
    }

    /// Binds the port of `--http`. A process other than 0 serves no page: it takes a port that it was told to, if that is free.
    fn listen(&self) -> Result<Option<Option<http::BoundSocket>>, Halt> {
        let Some(place) = &self.config.http else { return Ok(None) };
        match (self.leads(), place.listen()) {
            (true, listening) => Ok(Some(listening?)),
            (false, Ok(listening)) if place.is_given() => Ok(Some(listening)),
            (false, Err(taken)) if place.is_given() => {
                say(&format!("no /readyz of this process: {}", Halt::from(taken)));
                Ok(None)
            }
            (false, _) => Ok(None),
        }
    }

    fn check_outputs(&self, prior: Option<&Manifest>, dead_letters: &DeadLetterFile) -> Result<(), Halt> {
        let config = &self.config;
        sinks::distinct(&config.sinks, &config.columns())?;
        sinks::dead_letters::check(&dead_letters.path, &config.folder, dead_letters.keep)?;
        let basis = ResumeBasis { manifest: prior, has_prior: prior.is_some() };
        for uri in &config.sinks {
            sinks::check(uri, &self.sink_options(uri, basis)).or_else(|halt| {
                // What another run does at this moment is no damage.
                let state = prior.zip(config.state.as_ref());
                state.map_or(Ok(()), |(prior, place)| store::head_unchanged(place, prior.seq))?;
                Err(halt)
            })?;
        }
        Ok(())
    }
}

/// A state belongs to what verdicts and sums depend on.
///
/// # Errors
/// Every option whose value differs.
pub(super) fn same_semantics(prior: &Manifest, config: &Config) -> Result<(), StartError> {
    let differences = config.semantics.differences(&prior.semantics);
    if differences.is_empty() {
        return Ok(());
    }
    let place = config.state.as_ref().map(ToString::to_string).unwrap_or_default();
    Err(StartError::OtherOptions { place, differences })
}

/// A window's start, for people.
pub(super) fn window_text(window: WindowStart) -> String {
    utc(Some(EventTime(window.0)))
}
