//! Kafka: partitions read from explicit offsets, each out of a queue of its own, by the worker that owns it.
//!
//! ```text
//!                    one consumer a process                      a second client, read_uncommitted
//!  brokers ══fetch══> queue of t/0 ──batches──> Reader 0 ─ask─┐
//!          ══fetch══> queue of t/1 ──batches──> Reader 1 ─ask─┼─> kafka-ends ══ListOffsets══> brokers
//!                        └── not empty: wakes the worker      │
//!                                     discover() <────────────┴── kafka-topics ══every 2 s══> brokers
//! ```
//!
//! Promises: records of a partition in offset order, each once, none skipped in silence (`reader.rs`); ends that count
//! open transactions (`ends.rs`); new partitions from their first record (`watch.rs`). Does not promise: that records
//! are there for ever (retention), nor anything about the time of day. Brokers that go away are waited for; what ends
//! the run is a hole in a log, a topic that is gone, or a missing permission.
//!
//! The group coordinator has no say: partitions are assigned with explicit offsets, and the group's offsets, which are
//! committed for lag tools (`group_offsets.rs`), are never read back.

mod ends;
mod error;
mod group_offsets;
mod health;
mod memory;
mod missing_offset;
mod opener;
mod policy;
mod probe;
mod raw;
mod reader;
mod requests;
mod session;
#[cfg(test)]
mod tests;
mod watch;

use super::{SourceOptions, Start};
use crate::kafka::{self, KafkaContext};
use error::KafkaSourceError;
use minutely_dataflows::edge::{Discovered, Halt, LogProbe, LogSource, PartitionReader, Waiting, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use opener::Opener;
use rdkafka::consumer::Consumer;
use reader::KafkaReader;
use session::KafkaSession;
use std::sync::Arc;
use std::thread::JoinHandle;

pub(crate) use kafka::reads_uncommitted;

/// All mistakes of `kafka://host:port[,…]/topic[,…]` and of the librdkafka properties given with `-X`. Nothing is
/// connected, and no property's value is repeated where it could be a secret.
pub(crate) fn validate(uri: &str, properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = kafka::address(uri).err().unwrap_or_default();
    mistakes.extend(kafka::property_mistakes(properties));
    mistakes
}

/// Connects, finds the partitions, and resolves where to begin; a bounded run's ends are recorded first.
///
/// # Errors
/// 64: a mistake in URI or properties, a topic that does not exist, is compacted or may not be read. 69: no answer
/// within the options' time.
pub(crate) fn open(uri: &str, options: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    Ok(Arc::new(connect(uri, options)?))
}

fn connect(uri: &str, options: &SourceOptions) -> Result<KafkaSource, KafkaSourceError> {
    let mistakes = validate(uri, &options.properties);
    if !mistakes.is_empty() {
        return Err(KafkaSourceError::Mistakes(mistakes));
    }
    let address = kafka::address(uri).map_err(KafkaSourceError::Mistakes)?;
    let mut session = KafkaSession::new(address, options)?;
    let opener = Opener::new(&session, options);
    let topics = opener.topics()?;
    opener.refuse_compacted()?;
    let found = opener.partitions(&topics)?;

    let mut known = watch::KnownTopics::default();
    known.look(&topics)?;
    session.topics.get_or_init(|| topics);
    for partition in &found {
        known.announced(&partition.name);
        session.announce(partition.clone());
    }
    session.fit(found.len(), options)?;
    session.contexts().for_each(KafkaContext::log_from_now);
    let session = Arc::new(session);
    let mut source = KafkaSource { session, options: options.clone(), found, threads: Vec::new() };
    source.spawn("kafka-ends", |session| {
        session.end_questions.serve(session.requests.client(), &|| session.is_stopping());
    })?;
    source.spawn("kafka-lag", |session| {
        let concern = |what| session.set_concern("group", what);
        group_offsets::commit_all(&session.group_offsets, &session.consumer, &session.group, &concern);
    })?;
    source.spawn("kafka-topics", move |session| watch::run(session, known))?;
    Ok(source)
}

/// What the content depends on: the topics, wherever the brokers are.
pub(crate) fn identity(uri: &str) -> String {
    let Ok(address) = kafka::address(uri) else { return uri.to_owned() };
    let mut topics = address.topics;
    topics.sort_unstable();
    format!("kafka:{}", topics.join(","))
}

/// The source: what it shares with readers, and its threads.
struct KafkaSource {
    session: Arc<KafkaSession>,
    options: SourceOptions,
    /// The partitions at the start.
    found: Vec<Discovered>,
    threads: Vec<JoinHandle<()>>,
}

impl KafkaSource {
    fn spawn(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&KafkaSession) + Send + 'static,
    ) -> Result<(), KafkaSourceError> {
        let session = Arc::clone(&self.session);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&session));
        let thread = thread.map_err(|source| KafkaSourceError::Thread { name, source })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl LogSource for KafkaSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        self.session.discover()
    }

    fn initial_partitions(&self) -> Vec<Discovered> {
        self.found.clone()
    }

    fn probe(&self, left: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        Ok(Opener::new(&self.session, &self.options).probe(&self.found, left)?)
    }

    fn concerns(&self) -> Vec<String> {
        self.session.concerns()
    }

    fn committed(&self, next: Vec<(PartitionName, NextOffset)>) {
        self.session.group_offsets.set(next);
    }

    fn trouble(&self) -> Option<String> {
        let session = &*self.session;
        let context = session.requests.context();
        session.health.trouble(&session.address.brokers, context.refused(), context.all_down(), || context.failures())
    }

    fn waiting(&self) -> Vec<Waiting> {
        self.session.health.waiting()
    }

    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let reader = KafkaReader::new(&self.session, partition, wake)?;
        Ok(Box::new(reader))
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.session.stop();
        if !self.session.group_offsets.stop(group_offsets::SHUTDOWN_GRACE) {
            // It waits for a broker, longer than a shutdown should take: it is left behind.
            self.threads.retain(|thread| thread.thread().name() != Some("kafka-lag"));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("kafka: a thread of the source panicked");
            }
        }
    }
}
