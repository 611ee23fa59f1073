//! What a configuration says to the edges, whichever command opens them.

use super::Config;
use crate::clock::SystemClock;
use crate::semantics::{Entries, without_defaults};
use crate::sinks::{self, Owner, PriorState, SinkOptions};
use crate::sources::{PayloadKind, SourceOptions};
use crate::uri::redacted;
use minutely_dataflows::checkpoint::{self, Manifest};
use minutely_dataflows::decode::Format;
use minutely_dataflows::edge::Wake;
use minutely_dataflows::settings::AtEnd;
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long a source or a sink may take to answer at the start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a sink is opened with beside the configuration.
pub(crate) struct SinkBasis<'a> {
    /// The newest manifest; none where no state is kept, or before a chain's first.
    pub(crate) manifest: Option<&'a Manifest>,
    /// Runs before this one belong to its chain.
    pub(crate) has_prior: bool,
    pub(crate) wake: Wake,
    /// Set once a sink that is dropped is to leave what it made.
    pub(crate) begun: Arc<AtomicBool>,
    pub(crate) clock: SystemClock,
}

impl Config {
    /// How a sink is opened.
    pub(crate) fn sink_options(&self, uri: &str, basis: SinkBasis<'_>) -> SinkOptions {
        let SinkBasis { manifest, has_prior, wake, begun, clock } = basis;
        let recorded = manifest.and_then(|manifest| manifest.sink(&redacted(uri)));
        let prior = manifest.filter(|_| has_prior).zip(self.state.as_ref());
        SinkOptions {
            emit: self.emit,
            columns: self.columns(),
            windowing: self.settings.rule.windowing,
            start_timeout: START_TIMEOUT,
            wake,
            data: self.folder.clone(),
            chain: recorded.and_then(|sink| sink.chain),
            position: recorded.and_then(|sink| sink.position),
            generation: manifest.map_or(0, |manifest| manifest.generation),
            take_over: self.take_over,
            prior_state: prior.map(|(manifest, place)| PriorState { place: place.to_string(), seq: manifest.seq }),
            owner: self.owner(manifest),
            owner_as_typed: self.owner_as_typed(),
            take_sink: self.take_sink,
            begun,
            clock,
        }
    }

    /// Whose rows they are. A state that an earlier version wrote keeps its text, and its sinks know the hash of that.
    fn owner(&self, manifest: Option<&Manifest>) -> Owner {
        let recorded = manifest.map_or_else(|| self.recorded.clone(), |head| without_defaults(&head.semantics));
        owner(self.job(), &recorded)
    }

    /// The same job as an earlier version would have recorded it, where that differs.
    fn owner_as_typed(&self) -> Option<Owner> {
        self.as_typed.as_ref().map(|(job, entries)| owner(job.clone(), entries))
    }

    /// What its sinks may know this job as: as it is recorded now first.
    pub(crate) fn owners(&self, head: &Manifest) -> Vec<Owner> {
        [self.owner(Some(head))].into_iter().chain(self.owner_as_typed()).collect()
    }

    /// The job's name.
    pub(crate) fn job(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How its source is opened. `run_start`: `--as-of`, or what the clock said.
    pub(crate) fn source_options(&self, run_start: EventTime, clock: SystemClock) -> SourceOptions {
        SourceOptions {
            run_start,
            bounded: self.settings.bounded,
            keep_open: self.settings.at_end == AtEnd::KeepOpen,
            start: self.start,
            payloads: match self.fields.format {
                Format::Json => PayloadKind::Json,
                Format::Avro => PayloadKind::Avro,
                Format::Csv(_) | Format::JsonSchema | Format::Protobuf => PayloadKind::Text,
            },
            properties: self.properties.clone(),
            fetch_memory: self.fetch_memory,
            processes: self.cluster.addresses.len().max(1),
            group: format!("minutely-{}", self.job()),
            answer_timeout: START_TIMEOUT,
            clock,
        }
    }

    /// What sinks are called in the state, in the order of [`sinks::takes`].
    pub(crate) fn sink_names(&self) -> Vec<String> {
        self.sinks.iter().flat_map(|uri| self.names_of(uri)).collect()
    }

    /// What one of them is called: `influxdb:` may be two sinks.
    pub(crate) fn names_of(&self, uri: &str) -> Vec<String> {
        let name = redacted(uri);
        let number = |n: usize| if n == 0 { name.clone() } else { format!("{name}#{n}") };
        (0..sinks::takes(uri, self.emit).len()).map(number).collect()
    }
}

fn owner(job: String, recorded: &Entries) -> Owner {
    Owner { job, semantics: checkpoint::hash(format!("{recorded:?}").as_bytes()) }
}
