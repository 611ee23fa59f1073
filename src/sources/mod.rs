//! Where records come from. Sources do not know one another; this file alone knows their schemes.

mod file;
mod kafka;
mod rabbitmq;
mod sim;

use crate::clock::SystemClock;
use crate::semantics::Isolation;
use crate::uri::redacted;
use minutely_dataflows::edge::{Halt, HaltKind, LogSource};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use crate::start_at::Start;
pub(crate) use file::ReadOnce;

/// How sources of a run are opened.
#[derive(Clone, Debug)]
pub(crate) struct SourceOptions {
    /// The run's start: `--as-of`, or what the wall clock said. The same for all processes of a run (R7).
    pub(crate) run_start: EventTime,
    /// `--until-end`: records the ends first and reads no further.
    pub(crate) bounded: bool,
    /// `--keep-open`: a record that may be longer in a later run is left to it.
    pub(crate) keep_open: bool,
    /// `--start`.
    pub(crate) start: Start,
    pub(crate) payloads: PayloadKind,
    /// `-X key=value`, secrets already resolved.
    pub(crate) properties: Vec<(String, String)>,
    /// Kafka and RabbitMQ: bytes for what this process has fetched and not yet read.
    pub(crate) fetch_memory: u64,
    /// Processes that share the partitions.
    pub(crate) processes: usize,
    /// Kafka: the group whose offsets lag tools look at, unless `properties` say otherwise.
    pub(crate) group: String,
    /// How long a service may take to answer at the start, before the run ends with 69. 30 s as a rule.
    pub(crate) answer_timeout: Duration,
    pub(crate) clock: SystemClock,
}

/// What payloads are, so that files are taken apart into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// JSON: lines or values of a file, as its first bytes say.
    Json,
    /// Other text: lines, without their `\r`.
    Text,
    /// Messages of Avro: a file is a container that has their schema.
    Avro,
}

/// What a source URI may look like, for messages.
const KNOWN: &str = "sim:?OPTIONS, kafka://host:port[,…]/topic[,…], rabbitmq://host/stream[,…], file:GLOB, file:-";

/// A source URI by its scheme, with what follows it.
enum Scheme<'a> {
    Sim(&'a str),
    File(&'a str),
    Kafka,
    Rabbit,
}

impl<'a> Scheme<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        match scheme {
            "sim" => Some(Scheme::Sim(rest)),
            "file" => Some(Scheme::File(rest)),
            "kafka" => Some(Scheme::Kafka),
            "rabbitmq" | "rabbitmqs" => Some(Scheme::Rabbit),
            _ => None,
        }
    }
}

/// A source of no known kind. `uri`: as it may be shown.
#[derive(Debug, thiserror::Error)]
#[error("source `{uri}` is of no known kind: use one of {KNOWN}")]
struct UnknownSource {
    uri: String,
}

impl UnknownSource {
    fn new(uri: &str) -> Self {
        UnknownSource { uri: redacted(uri) }
    }
}

impl From<UnknownSource> for Halt {
    fn from(e: UnknownSource) -> Self {
        Halt::new(HaltKind::Usage, e.to_string())
    }
}

/// All mistakes of a source URI and its properties, one paragraph each. No effect: nothing is opened or looked for.
pub(crate) fn validate(uri: &str, properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = match Scheme::of(uri) {
        Some(Scheme::Sim(rest)) => sim::validate(rest),
        Some(Scheme::File(rest)) => file::validate(rest),
        Some(Scheme::Kafka) => return kafka::validate(uri, properties),
        Some(Scheme::Rabbit) => rabbitmq::validate(uri),
        None => return vec![UnknownSource::new(uri).to_string()],
    };
    if let Some((key, _)) = properties.first() {
        let uri = redacted(uri);
        mistakes.push(format!("-X {key}=… is a property of Kafka's client, but the source is `{uri}`: leave it out"));
    }
    mistakes
}

/// Opens a source.
///
/// # Errors
/// 64: the URI or the start is wrong, or no file matches. 69: a service does not answer.
pub(crate) fn open(uri: &str, options: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    match Scheme::of(uri) {
        Some(Scheme::Sim(rest)) => sim::open(rest, options),
        Some(Scheme::File(rest)) => file::open(rest, options),
        Some(Scheme::Kafka) => kafka::open(uri, options),
        Some(Scheme::Rabbit) => rabbitmq::open(uri, options),
        None => Err(UnknownSource::new(uri).into()),
    }
}

/// Does the source have an end by its nature, so that it implies `--until-end`? `sim:` with `records=` does not.
pub(crate) fn is_bounded(uri: &str) -> bool {
    matches!(Scheme::of(uri), Some(Scheme::File(_)))
}

/// Does it hold now all that it will ever hold, as far as is known? A topic and a stream may grow.
pub(crate) fn is_complete(uri: &str) -> bool {
    !matches!(Scheme::of(uri), Some(Scheme::Kafka | Scheme::Rabbit))
}

/// Can it be read once only, so that no state can be kept of it?
pub(crate) fn read_once(uri: &str) -> Option<ReadOnce> {
    match Scheme::of(uri) {
        Some(Scheme::File(rest)) => file::read_once(rest),
        _ => None,
    }
}

/// Do its records have keys, so that `@key` can be the symbol?
pub(crate) fn has_keys(uri: &str) -> bool {
    match Scheme::of(uri) {
        Some(Scheme::Sim(_) | Scheme::Kafka | Scheme::Rabbit) => true,
        Some(Scheme::File(_)) | None => false,
    }
}

/// Are its records lines of files, of which the first may be a header?
pub(crate) fn has_lines(uri: &str) -> bool {
    matches!(Scheme::of(uri), Some(Scheme::File(_)))
}

/// Is each of its records what somebody sent, of any bytes and in a frame if need be?
pub(crate) fn has_messages(uri: &str) -> bool {
    matches!(Scheme::of(uri), Some(Scheme::Kafka | Scheme::Rabbit))
}

/// What the source's content depends on, for the job's name and fingerprint: the same however the URI is written, and
/// without what may change from run to run.
pub(crate) fn identity(uri: &str) -> String {
    match Scheme::of(uri) {
        Some(Scheme::Sim(rest)) => sim::identity(rest),
        Some(Scheme::File(rest)) => file::identity(rest),
        Some(Scheme::Kafka) => kafka::identity(uri),
        Some(Scheme::Rabbit) => rabbitmq::identity(uri),
        None => uri.to_owned(),
    }
}

/// Whether records of open and aborted transactions count; a source without transactions has none.
pub(crate) fn isolation(uri: &str, properties: &[(String, String)]) -> Isolation {
    match Scheme::of(uri) {
        Some(Scheme::Kafka) if kafka::reads_uncommitted(properties) => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// Of a bounded run.
    pub(super) fn options() -> SourceOptions {
        SourceOptions {
            run_start: EventTime(0),
            bounded: true,
            keep_open: false,
            start: Start::Earliest,
            payloads: PayloadKind::Json,
            properties: Vec::new(),
            fetch_memory: 256_000_000,
            processes: 1,
            group: "minutely-test".into(),
            answer_timeout: Duration::from_secs(1),
            clock: SystemClock::start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::options;
    use super::*;

    #[test]
    fn an_unknown_scheme_is_named_with_the_known_ones() {
        for uri in ["", "sim", "simulator:", "http://x", "ticks.jsonl", "SIM:"] {
            let mistakes = validate(uri, &[]);
            assert_eq!(mistakes.len(), 1, "{uri}");
            assert!(mistakes[0].contains(&format!("`{uri}`")) && mistakes[0].contains("sim:"), "{mistakes:?}");
            let halt = open(uri, &options()).err().expect("no such source");
            assert_eq!((halt.kind, &halt.why), (HaltKind::Usage, &mistakes[0]));
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let properties = [("linger.ms".to_owned(), "5".to_owned())];
        let mistakes = validate("sim:?rate=x&symbols=y", &properties);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert!(mistakes[2].contains("-X linger.ms"), "{mistakes:?}");
        assert_eq!(validate("sim:", &[]), Vec::<String>::new());
        assert_eq!(validate("file:a/*.jsonl", &[]), Vec::<String>::new());
        assert_eq!(open("sim:?rate=x", &options()).err().expect("not a rate").kind, HaltKind::Usage);
    }

    #[test]
    fn files_end_and_have_no_keys() {
        assert!(is_bounded("file:a.jsonl") && !is_bounded("sim:?records=5"));
        assert!(has_keys("sim:") && !has_keys("file:a.jsonl"));
        assert_eq!(identity("sim:?records=5"), identity("sim:?history=1h"));
    }
}
