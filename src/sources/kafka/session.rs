//! What readers and threads of the source share: two clients, and what they have found out.

use super::SourceOptions;
use super::ends::EndQuestions;
use super::error::KafkaSourceError;
use super::group_offsets::GroupOffsets;
use super::health::KafkaHealth;
use super::memory;
use super::requests::TopicDescription;
use crate::kafka::{ConsumerClient, KafkaAddress, KafkaContext, consumer_config, reads_uncommitted, reason};
use minutely_dataflows::edge::{Discovered, Halt};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What readers and threads share.
pub(super) struct KafkaSession {
    pub(super) address: KafkaAddress,
    pub(super) bounded: bool,
    /// The group whose offsets are committed.
    pub(super) group: String,
    pub(super) end_questions: EndQuestions,
    discoveries: Mutex<Discoveries>,
    /// What an operator should know for as long as it is here, by what it is about.
    concerns: Mutex<BTreeMap<&'static str, String>>,
    stop: AtomicBool,
    pub(super) health: KafkaHealth,
    /// As they were when the run began.
    pub(super) topics: OnceLock<Vec<TopicDescription>>,
    /// `isolation.level` is `read_committed`: nothing is read past an open transaction.
    pub(super) reads_committed: bool,
    /// The group's offsets, for tools that show a lag.
    pub(super) group_offsets: GroupOffsets,
    /// The consumer's configuration.
    pub(super) config: ClientConfig,
    /// Sends all requests but fetches: on the consumer's connections they would wait behind fetches that wait for records.
    pub(super) requests: ConsumerClient,
    pub(super) consumer: Arc<ConsumerClient>,
}

/// What the next call of `discover` returns.
#[derive(Default)]
struct Discoveries {
    found: Vec<Discovered>,
    /// The first reason to end the run.
    halt: Option<Halt>,
}

impl KafkaSession {
    /// Makes both clients. Nothing is connected yet.
    pub(super) fn new(address: KafkaAddress, options: &SourceOptions) -> Result<Self, KafkaSourceError> {
        let mut config = consumer_config(Some(&address), &options.properties);
        if !options.properties.iter().any(|(name, _)| name == "group.id") {
            config.set("group.id", &options.group);
        }
        memory::divide(&mut config, &options.properties, options.fetch_memory, 1);
        let group = config.get("group.id").unwrap_or_default().to_owned();
        let consumer = Arc::new(client(&config)?);
        let mut without_group = config.clone();
        without_group.remove("group.id");
        let requests = client(&without_group)?;
        Ok(KafkaSession {
            address,
            bounded: options.bounded,
            group,
            end_questions: EndQuestions::default(),
            discoveries: Mutex::default(),
            concerns: Mutex::default(),
            stop: AtomicBool::new(false),
            health: KafkaHealth::default(),
            topics: OnceLock::new(),
            reads_committed: !reads_uncommitted(&options.properties),
            group_offsets: GroupOffsets::default(),
            config,
            requests,
            consumer,
        })
    }

    /// Makes another consumer if this one would hold too much of this many partitions. None may be assigned yet.
    pub(super) fn fit(&mut self, partitions: usize, options: &SourceOptions) -> Result<(), KafkaSourceError> {
        if let Some(warning) = memory::warning(&options.properties) {
            tracing::warn!("kafka: {warning}");
        }
        let mut config = self.config.clone();
        let ours = partitions.div_ceil(options.processes.max(1));
        memory::divide(&mut config, &options.properties, options.fetch_memory, ours);
        if memory::BOUNDS.iter().any(|name| config.get(name) != self.config.get(name)) {
            (self.consumer, self.config) = (Arc::new(client(&config)?), config);
        }
        Ok(())
    }

    /// What both clients report beside their answers.
    pub(super) fn contexts(&self) -> impl Iterator<Item = &KafkaContext> {
        [&self.requests, &*self.consumer].into_iter().map(|client| &**client.context())
    }

    /// What is known of brokers that cannot be reached, each once.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut known: Vec<String> = self.contexts().flat_map(KafkaContext::failures).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// Is the source being dropped? Its threads end then.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the threads, as soon as they look.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.end_questions.stop();
    }

    /// Serves log lines and errors of both clients, for this long at least.
    pub(super) fn serve(&self, time: Duration) {
        for (client, time) in [(&self.requests, Duration::from_millis(1)), (&*self.consumer, time)] {
            match client.poll(time) {
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    self.halt(KafkaSourceError::GaveUp { code }.into());
                }
                Some(Ok(_)) => self.halt(KafkaSourceError::StrayRecord.into()),
                Some(Err(_)) | None => {} // reported by the context
            }
        }
    }

    fn discoveries(&self) -> MutexGuard<'_, Discoveries> {
        self.discoveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `discover` returns this partition.
    pub(super) fn announce(&self, found: Discovered) {
        self.discoveries().found.push(found);
    }

    /// See [`minutely_dataflows::edge::LogSource::discover`].
    pub(super) fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        let mut discoveries = self.discoveries();
        match &discoveries.halt {
            Some(halt) => Err(halt.clone()),
            None => Ok(std::mem::take(&mut discoveries.found)),
        }
    }

    fn lock_concerns(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.concerns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`minutely_dataflows::edge::LogSource::concerns`].
    pub(super) fn concerns(&self) -> Vec<String> {
        self.lock_concerns().values().cloned().collect()
    }

    /// What an operator should know about this from now on; `None` where there is nothing any more. Logged when it changes.
    pub(super) fn set_concern(&self, about: &'static str, what: Option<String>) {
        let mut concerns = self.lock_concerns();
        if concerns.get(about) == what.as_ref() {
            return;
        }
        match what {
            Some(what) => {
                tracing::warn!("kafka: {what}");
                concerns.insert(about, what);
            }
            None => drop(concerns.remove(about)),
        }
    }

    /// The next call of `discover` ends the run, with the first of these.
    pub(super) fn halt(&self, halt: Halt) {
        self.discoveries().halt.get_or_insert(halt);
    }
}

fn client(config: &ClientConfig) -> Result<ConsumerClient, KafkaSourceError> {
    let made = config.create_with_context(KafkaContext::default());
    made.map_err(|error| KafkaSourceError::Client { why: reason(&error) })
}
