//! What a configuration says to the edges, whichever command opens them.

use super::Config;
use crate::clock::SystemClock;
use crate::sinks;
use crate::sources::{PayloadKind, SourceOptions};
use crate::uri::redacted;
use minutely_dataflows::decode::Format;
use minutely_dataflows::time::EventTime;
use std::time::Duration;

/// How long a source or a sink may take to answer at the start.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);

impl Config {
    /// The job's name.
    pub(crate) fn job(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How its source is opened. `run_start`: `--as-of`, or what the clock said.
    pub(crate) fn source_options(&self, run_start: EventTime, clock: SystemClock) -> SourceOptions {
        SourceOptions {
            run_start,
            bounded: self.settings.bounded,
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
