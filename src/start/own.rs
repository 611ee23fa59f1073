//! The second step: takes the state's lock (or sees that no other run writes it), reads its newest manifest again, and
//! publishes this run's first manifest. From then on no other run can commit.

use super::check::{CheckedRun, same_semantics, window_text};
use super::context::RunContext;
use super::dead_letters::DeadLetterFile;
use super::options::ResumeBasis;
use crate::console::say;
use crate::http;
use crate::sources::Start;
use crate::store::{self, StoreUri};
use minutely_dataflows::checkpoint::{self, Manifest, PartitionSnapshot, Resumed};
use minutely_dataflows::edge::{Halt, LogSource};
use std::sync::Arc;

/// A run whose state is its own.
pub(super) struct OwnedRun {
    pub(super) context: RunContext,
    pub(super) listening: Option<Option<http::BoundSocket>>,
    pub(super) source: Arc<dyn LogSource>,
    /// None where no state is kept, and in processes other than 0.
    pub(super) state: Option<OwnedState>,
    pub(super) dead_letters: DeadLetterFile,
    /// Of a bounded run that resumes: how many records were read before.
    pub(super) read_before: Option<i64>,
    /// Of the state: what this process has published, or what it found. 0: there is none.
    pub(super) generation: u64,
}

/// A state with this run's first manifest.
pub(super) struct OwnedState {
    pub(super) store: store::OwnedStore,
    pub(super) head: Manifest,
}

impl OwnedState {
    pub(super) fn basis(&self) -> ResumeBasis<'_> {
        ResumeBasis { manifest: Some(&self.head), has_prior: self.store.head.is_some() }
    }
}

impl CheckedRun {
    /// # Errors
    /// As `check`, for the state may have changed since; 78: another run owns it.
    pub(super) fn own(self) -> Result<OwnedRun, Halt> {
        let RunContext { config, clock, .. } = &self.context;
        let (place, take_over) = (self.context.place_to_own(), config.take_over);
        if let (Some(StoreUri::Remote(_)), Some(prior), false) = (place, &self.prior, take_over) {
            let seconds = store::silence(prior).as_secs();
            say(&format!("checking for {seconds} s that no other run writes this state"));
        }
        let opened = place.map(|place| store::open(place, take_over, self.context.store_timeout())).transpose()?;
        let newest = opened.as_ref().and_then(|opened| opened.head.as_ref());
        let dead_letters = DeadLetterFile::of(&config.folder, newest, clock.wall())?;
        let state = match opened {
            Some(store) => Some(OwnedState { head: self.begin(&store, &dead_letters)?, store }),
            None => None,
        };
        let CheckedRun { context, prior, listening, source } = self;
        let found = state.as_ref().map(|state| &state.head).or(prior.as_ref());
        let generation = found.map_or(0, |manifest| manifest.generation);
        let read_before = prior.filter(|_| context.config.settings.bounded).map(|prior| records_read(&prior));
        Ok(OwnedRun { context, listening, source, state, dead_letters, read_before, generation })
    }

    /// Publishes this run's first manifest.
    fn begin(&self, store: &store::OwnedStore, dead_letters: &DeadLetterFile) -> Result<Manifest, Halt> {
        let RunContext { config, clock, sink_names, .. } = &self.context;
        let fresh = || Manifest::fresh(config.recorded.clone());
        let prior = match &store.head {
            Some(head) => {
                same_semantics(head, config)?;
                head.clone()
            }
            None => fresh(),
        };
        let probed = self.source.probe(&checkpoint::probe_targets(&prior))?;
        let Resumed { head: changed, warnings } =
            checkpoint::resume(prior.clone(), &probed, config.accept_changed_log)?;
        if prior.seq > 0 {
            let (read, seq) = (records_read(&prior), prior.seq);
            say(&format!(
                "resuming from manifest {seq} ({read} record{} already read)",
                if read == 1 { "" } else { "s" }
            ));
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if let Some(warning) = ignored_start(&prior, config.start) {
            tracing::warn!("{warning}");
        }
        let run = format!("{}-{}", std::process::id(), clock.wall().0);
        let (look_back, windows) = (config.settings.look_back(), &config.settings.windows);
        let of_run = prior.sinks_of_run(sink_names, &config.forget_sinks, look_back, windows, window_text)?;
        of_run.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        // What is filled is told then.
        let is_told = |name: &str| !config.fills_sinks || !self.context.can_fill(name);
        let told = of_run.gaps.iter().filter(|(name, _)| is_told(name));
        told.for_each(|(_, gap)| tracing::warn!("{gap}"));
        let mut next = store.restarted(fresh, &run);
        next.commits_every = store.commits_every(config.settings.checkpoint_interval);
        (next.partitions, next.overrides, next.sinks) = (changed.partitions, changed.overrides, of_run.sinks);
        next.start.get_or_insert_with(|| config.start.to_string());
        if next.partitions.is_empty() && config.start != Start::Earliest {
            // Where this run begins is where the next one resumes, however early this one ends.
            let snapshot = |found| PartitionSnapshot { found, state: None, floor: None, complete_from: None };
            next.partitions = self.source.initial_partitions().into_iter().map(snapshot).collect();
            next.instant = config.settings.bounded.then_some(self.context.run_start);
        }
        if next.dead_letters.name.is_empty() {
            next.dead_letters.name = dead_letters.recorded_name();
        }
        store.begin(&next)?;
        Ok(next)
    }
}

/// A state resumes where it is, whatever `--start` says: a warning where that is not what the chain began with. A state that
/// does not say what it began with is taken for one of the default.
fn ignored_start(prior: &Manifest, start: Start) -> Option<String> {
    let (start, began) = (start.to_string(), prior.start.as_deref());
    let as_begun = began.map_or(start == Start::Earliest.to_string(), |began| began == start);
    if as_begun || prior.partitions.is_empty() {
        return None;
    }
    let began = began.map(|began| format!(" began with --start {began} and")).unwrap_or_default();
    let next = |partition: &PartitionSnapshot| {
        let next = partition.state.as_ref().map_or(partition.found.start, |state| state.next);
        format!("{} at offset {}", partition.found.name, next.0)
    };
    let mut places: Vec<_> = prior.partitions.iter().take(3).map(next).collect();
    if prior.partitions.len() > places.len() {
        places.push(format!("{} more", prior.partitions.len() - places.len()));
    }
    Some(format!(
        "--start {start} is ignored: the state{began} resumes where reading stopped ({}); to read from {start}, start a new \
         job (--job NAME)",
        places.join(", ")
    ))
}

/// Records of all classes that were read, as of a manifest.
fn records_read(manifest: &Manifest) -> i64 {
    manifest.partitions.iter().filter_map(|p| Some(p.state.as_ref()?.counts.read)).sum()
}
