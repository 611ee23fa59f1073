//! Kafka: partitions read from explicit offsets, each out of a queue of its own, by the worker that owns it.
//!
//! ```text
//!                    one consumer a process                      a second client, read_uncommitted
//!  brokers ══fetch══> queue of t/0 ──batches──> Reader 0 ─ask─┐
//!          ══fetch══> queue of t/1 ──batches──> Reader 1 ─ask─┼─> kafka-ends ══ListOffsets══> brokers
//!                        └── not empty: wakes the worker      │
//!                                        found() <────────────┴── kafka-topics ══every 2 s══> brokers
//! ```
//!
//! Promises: records of a partition in offset order, each once, none skipped in silence (`reader.rs`); ends that count
//! open transactions (`ends.rs`); new partitions from their first record (`watch.rs`). Does not promise: that records
//! are there for ever (retention), nor anything about the time of day. Brokers that go away are waited for; what ends
//! the run is a hole in a log, a topic that is gone, or a missing permission.
//!
//! The group coordinator has no say: partitions are assigned with explicit offsets, and the group's offsets, which are
//! committed for lag tools (`lag.rs`), are never read back.

mod admin;
mod config;
mod context;
mod ends;
mod failure;
mod health;
mod lag;
mod memory;
mod oauth;
mod policy;
mod probe;
mod range;
mod raw;
mod reader;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use config::{
    Address, address, login_mistakes, lower, producer_config, property_mistake, reads_uncommitted, reason,
};
pub(crate) use context::Context;
pub(crate) use oauth::token;

use super::{SourceOptions, Start};
use admin::{Offsets, Refused, Topic, Wait};
use context::Consume;
use minutely_dataflows::edge::{Discovered, Halt, HaltKind, LogProbe, LogSource, PartitionReader, Waiting, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a topic may be unknown at the start before it counts as missing: it may have been made just now.
const MAY_BE_NEW: Duration = Duration::from_secs(3);

/// All mistakes of `kafka://host:port[,…]/topic[,…]` and of the librdkafka properties given with `-X`. Nothing is
/// connected, and no property's value is repeated where it could be a secret.
pub(crate) fn validate(uri: &str, properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = config::address(uri).err().unwrap_or_default();
    mistakes.extend(config::property_mistakes(properties));
    mistakes
}

/// Connects, finds the partitions, and resolves where to begin; a bounded run's ends are recorded first.
///
/// # Errors
/// 64: a mistake in URI or properties, a topic that does not exist, is compacted or may not be read. 69: no answer
/// within the options' patience.
pub(crate) fn open(uri: &str, options: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    let mistakes = validate(uri, &options.properties);
    if !mistakes.is_empty() {
        return Err(Halt::new(HaltKind::Usage, mistakes.join("; ")));
    }
    let address = config::address(uri).map_err(|mistakes| Halt::new(HaltKind::Usage, mistakes.join("; ")))?;
    let mut shared = Shared::new(address, options)?;
    let opening = Opening { shared: &shared, options, deadline: Instant::now() + options.patience };
    let topics = opening.topics()?;
    opening.refuse_compacted()?;
    let found = opening.partitions(&topics)?;

    let mut known = watch::Known::default();
    known.look(&topics)?;
    shared.topics.get_or_init(|| topics);
    for partition in &found {
        known.told(&partition.name);
        shared.tell(partition.clone());
    }
    shared.fit(found.len(), options)?;
    shared.clients().for_each(Context::begin);
    let shared = Arc::new(shared);
    let mut source = Kafka { shared: Arc::clone(&shared), options: options.clone(), found, threads: Vec::new() };
    source.spawn("kafka-ends", ends::run)?;
    source.spawn("kafka-lag", lag::run)?;
    source.spawn("kafka-topics", move |shared| watch::run(shared, known))?;
    Ok(Arc::new(source))
}

/// What the content depends on: the topics, wherever the brokers are.
pub(crate) fn identity(uri: &str) -> String {
    let Ok(address) = config::address(uri) else { return uri.to_owned() };
    let mut topics = address.topics;
    topics.sort_unstable();
    format!("kafka:{}", topics.join(","))
}

/// What is needed of a topic.
fn rights(topic: &str) -> String {
    format!("grant READ, DESCRIBE and DESCRIBE_CONFIGS on topic '{topic}' to this user")
}

fn client(config: &ClientConfig) -> Result<Consume, Halt> {
    let made = config.create_with_context(Context::default());
    made.map_err(|error| Halt::new(HaltKind::Usage, format!("kafka client: {}", config::reason(&error))))
}

/// What readers and threads share.
struct Shared {
    address: Address,
    bounded: bool,
    /// The group whose offsets are committed.
    group: String,
    questions: ends::Questions,
    news: Mutex<News>,
    /// What an operator should know for as long as it is here, by what it is about.
    concerns: Mutex<BTreeMap<&'static str, String>>,
    stop: AtomicBool,
    health: health::Health,
    /// As they were when the run began.
    topics: OnceLock<Vec<Topic>>,
    /// Transactions that are open are not read past.
    committed: bool,
    /// For lag tools.
    lag: lag::Lag,
    /// The consumer's configuration.
    config: ClientConfig,
    /// For all questions: fetches that wait for records would be in front of them on the consumer's connections.
    asker: Consume,
    consumer: Arc<Consume>,
}

/// What `found` has to tell.
#[derive(Default)]
struct News {
    found: Vec<Discovered>,
    halt: Option<Halt>,
}

impl Shared {
    fn new(address: Address, options: &SourceOptions) -> Result<Self, Halt> {
        let mut config = config::config(Some(&address), &options.properties);
        if !options.properties.iter().any(|(name, _)| name == "group.id") {
            config.set("group.id", &options.group);
        }
        memory::divide(&mut config, &options.properties, options.fetch_memory, 1);
        let group = config.get("group.id").unwrap_or_default().to_owned();
        let consumer = Arc::new(client(&config)?);
        let mut asking = config.clone();
        asking.remove("group.id"); // a client that only asks
        let asker = client(&asking)?;
        Ok(Shared {
            address,
            bounded: options.bounded,
            group,
            questions: ends::Questions::default(),
            news: Mutex::default(),
            concerns: Mutex::default(),
            stop: AtomicBool::new(false),
            health: health::Health::default(),
            topics: OnceLock::new(),
            committed: !reads_uncommitted(&options.properties),
            lag: lag::Lag::default(),
            config,
            asker,
            consumer,
        })
    }

    /// Another consumer, if this one would hold too much of so many partitions; none is assigned yet.
    fn fit(&mut self, partitions: usize, options: &SourceOptions) -> Result<(), Halt> {
        if let Some(word) = memory::word(&options.properties) {
            tracing::warn!("kafka: {word}");
        }
        let mut config = self.config.clone();
        let ours = partitions.div_ceil(options.processes.max(1));
        memory::divide(&mut config, &options.properties, options.fetch_memory, ours);
        if memory::BOUNDS.iter().any(|name| config.get(name) != self.config.get(name)) {
            (self.consumer, self.config) = (Arc::new(client(&config)?), config);
        }
        Ok(())
    }

    /// What both clients tell on the side.
    fn clients(&self) -> impl Iterator<Item = &Context> {
        [&self.asker, &*self.consumer].into_iter().map(|client| &**client.context())
    }

    /// What is known of brokers that cannot be reached, each once.
    fn failures(&self) -> Vec<String> {
        let mut known: Vec<String> = self.clients().flat_map(Context::failures).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Serves log lines and errors of both clients, for this long at least.
    fn serve(&self, time: Duration) {
        for (client, time) in [(&self.asker, Duration::from_millis(1)), (&*self.consumer, time)] {
            match client.poll(time) {
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    self.halt(Halt::new(HaltKind::Internal, format!("librdkafka gave up: {code}")));
                }
                Some(Ok(_)) => self.halt(Halt::new(
                    HaltKind::Internal,
                    "a record came past its partition's queue and would be lost; please report this",
                )),
                Some(Err(_)) | None => {} // told by the context
            }
        }
    }

    fn tell(&self, found: Discovered) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).found.push(found);
    }

    /// What an operator should know of this from now on; none: nothing any more. Logged when it changes.
    fn concern(&self, about: &'static str, what: Option<String>) {
        let mut concerns = self.concerns.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn halt(&self, halt: Halt) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).halt.get_or_insert(halt);
    }
}

/// The source: what it shares, and its threads.
struct Kafka {
    shared: Arc<Shared>,
    options: SourceOptions,
    /// What there was at the start.
    found: Vec<Discovered>,
    threads: Vec<JoinHandle<()>>,
}

impl Kafka {
    fn spawn(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
        let thread = thread.map_err(|error| Halt::new(HaltKind::Internal, format!("thread {name}: {error}")))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl LogSource for Kafka {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        let mut news = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner);
        match &news.halt {
            Some(halt) => Err(halt.clone()),
            None => Ok(std::mem::take(&mut news.found)),
        }
    }

    fn initial_partitions(&self) -> Vec<Discovered> {
        self.found.clone()
    }

    fn probe(&self, left: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        let (shared, options) = (&*self.shared, &self.options);
        Opening { shared, options, deadline: Instant::now() + options.patience }.probe(&self.found, left)
    }

    fn concerns(&self) -> Vec<String> {
        self.shared.concerns.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn committed(&self, next: Vec<(PartitionName, NextOffset)>) {
        self.shared.lag.is(next);
    }

    fn trouble(&self) -> Option<String> {
        let shared = &*self.shared;
        let context = shared.asker.context();
        shared.health.trouble(&shared.address.brokers, context.refused(), context.all_down(), || context.failures())
    }

    fn waiting(&self) -> Vec<Waiting> {
        self.shared.health.waiting()
    }

    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let reader = reader::Reader::new(&self.shared, &partition.name, partition.start, partition.end, wake)?;
        Ok(Box::new(reader))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.questions.stop();
        if !self.shared.lag.stop(lag::FAREWELL) {
            // It waits for a broker, which may take longer than anybody wants to: it is left behind.
            self.threads.retain(|thread| thread.thread().name() != Some("kafka-lag"));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("kafka: a thread of the source panicked");
            }
        }
    }
}

/// Which topics there are, ten of them by name.
fn others(mut names: Vec<String>) -> String {
    names.retain(|name| !name.starts_with("__"));
    names.sort_unstable();
    let count = names.len();
    names.truncate(10);
    match count {
        0 => "it shows none to this user".to_owned(),
        1..=10 => format!("it has {}", names.join(", ")),
        _ => format!("it has {} and {} more", names.join(", "), count - 10),
    }
}

/// The way from an address to partitions, within the options' patience.
struct Opening<'a> {
    shared: &'a Shared,
    options: &'a SourceOptions,
    deadline: Instant,
}

/// Why an attempt did not succeed.
enum Trouble {
    /// Try again while there is time; in words for when there is none left.
    Later(String),
    /// The same, and no broker has said anything.
    Unanswered(String),
    /// Trying again is no use.
    Now(Halt),
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Trouble::Unanswered(refused.to_string())
    }
}

impl Opening<'_> {
    /// Tries until it succeeds, is refused for good (64), or the time is over (69).
    fn patiently<T>(&self, mut attempt: impl FnMut(&Wait<'_>) -> Result<T, Trouble>) -> Result<T, Halt> {
        let meanwhile = || {
            self.shared.serve(Duration::ZERO);
            Instant::now() < self.deadline && self.refused().is_none()
        };
        loop {
            let timeout = self.deadline.saturating_duration_since(Instant::now());
            let why = match attempt(&Wait { timeout, meanwhile: &meanwhile }) {
                Ok(done) => {
                    self.shared.clients().for_each(Context::answered);
                    return Ok(done);
                }
                Err(Trouble::Now(halt)) => return Err(halt),
                Err(Trouble::Later(why)) => (why, false),
                Err(Trouble::Unanswered(why)) => (why, true),
            };
            if let Some(why) = self.refused() {
                return Err(Halt::new(HaltKind::Usage, format!("kafka at {}: {why}", self.shared.address.brokers)));
            }
            if Instant::now() >= self.deadline {
                return Err(self.unreachable(why));
            }
            self.shared.serve(Duration::from_millis(100));
        }
    }

    fn refused(&self) -> Option<String> {
        self.shared.clients().find_map(Context::refused)
    }

    /// `why`: of the last attempt, and whether that was for want of any answer.
    fn unreachable(&self, (why, unanswered): (String, bool)) -> Halt {
        let mut known = self.shared.failures();
        if known.is_empty() || !unanswered {
            let last = self.shared.clients().find_map(Context::last_trouble).filter(|_| unanswered);
            known.insert(0, last.map_or(why, |last| config::lower(&last)));
        }
        let brokers = &self.shared.address.brokers;
        let patience = self.options.patience.as_secs_f64();
        let known = known.join("; ");
        let advice = match self.shared.clients().any(Context::advises) {
            true => "",
            false => {
                "; check that the brokers run, that the address and the security settings (-X security.protocol=…) are \
                 right, and that the addresses they advertise can be reached from here"
            }
        };
        let why = format!("kafka at {brokers} gave no usable answer within {patience} s: {known}{advice}");
        Halt::new(HaltKind::Unreachable, why)
    }

    /// The topics of the address; all of them have partitions.
    fn topics(&self) -> Result<Vec<Topic>, Halt> {
        let began = Instant::now();
        let names = &self.shared.address.topics;
        self.patiently(|wait| {
            let topics = raw::describe_topics(self.shared.asker.client(), wait, names)?;
            let mut missing = Vec::new();
            for Topic { name, partitions, .. } in &topics {
                match partitions {
                    Ok(_) => {}
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                        missing.push(name.as_str());
                    }
                    Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                        return Err(Trouble::Now(Halt::new(
                            HaltKind::Usage,
                            format!("topic '{name}' may not be read by this user: {}", rights(name)),
                        )));
                    }
                    Err(error) => return Err(Trouble::Later(format!("topic '{name}': {error}"))),
                }
            }
            match missing.first() {
                None if topics.len() == names.len() => Ok(topics),
                None => Err(Trouble::Later("not all topics were described".into())),
                Some(_) if began.elapsed() >= MAY_BE_NEW => Err(Trouble::Now(self.no_such_topic(&missing))),
                Some(first) => Err(Trouble::Later(format!("topic '{first}' does not exist"))),
            }
        })
    }

    fn no_such_topic(&self, missing: &[&str]) -> Halt {
        let brokers = &self.shared.address.brokers;
        let metadata = self.shared.asker.fetch_metadata(None, Duration::from_secs(2));
        let there = metadata.map_or_else(
            |error| format!("which topics it has could not be asked: {}", config::reason(&error)),
            |all| others(all.topics().iter().map(|topic| topic.name().to_owned()).collect()),
        );
        Halt::new(
            HaltKind::Usage,
            format!(
                "topic '{}' does not exist at {brokers} ({there}): correct the name in --source, or create the topic first",
                missing.join("', '")
            ),
        )
    }

    /// Compaction removes records from the middle of a log, so results would not be a function of it (R10).
    fn refuse_compacted(&self) -> Result<(), Halt> {
        let timeout = self.deadline.saturating_duration_since(Instant::now()).min(policy::PATIENCE);
        let meanwhile = || {
            self.shared.serve(Duration::ZERO);
            true
        };
        let policies = policy::ask(self.shared, &Wait { timeout, meanwhile: &meanwhile });
        if let Some((topic, policy)) = policy::compacted(&policies) {
            return Err(Halt::new(
                HaltKind::Usage,
                format!(
                    "topic '{topic}' has cleanup.policy={policy}: compaction removes records that count, so averages \
                     could not be checked against the log; read a topic with cleanup.policy=delete"
                ),
            ));
        }
        self.shared.concern("cleanup.policy", policy::concern(&policies));
        Ok(())
    }

    /// Every partition with its first offset, and in a bounded run its end.
    fn partitions(&self, topics: &[Topic]) -> Result<Vec<Discovered>, Halt> {
        let names: Vec<PartitionName> = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().flatten().map(|&number| (topic.name.clone(), number)))
            .map(|(log, number)| PartitionName { log, number: Some(number) })
            .collect();
        let committed = self.shared.committed;
        let latest = self.options.start == Start::Latest;
        let wanted = self.options.bounded || latest;
        let ends = wanted.then(|| self.offsets(&names, Offset::End, committed)).transpose()?;
        let earliest = self.offsets(&names, Offset::Beginning, false)?;
        let starts = match self.options.start {
            Start::Latest => ends.clone().expect("asked for, with latest"),
            Start::Earliest => earliest.clone(),
            Start::Time(time) => {
                // Asked before: what is appended between the two requests is read if nothing before it is late enough.
                let now = self.offsets(&names, Offset::End, false)?;
                let ms = time.0.div_euclid(1_000_000) + i64::from(time.0.rem_euclid(1_000_000) > 0);
                let first = self.offsets(&names, Offset::Offset(ms.max(0)), false)?;
                first.into_iter().zip(now).map(|(first, now)| if first >= 0 { first } else { now }).collect()
            }
        };
        let found = names.into_iter().zip(starts).zip(earliest).enumerate().map(|(at, ((name, start), earliest))| {
            let end = ends.as_ref().filter(|_| self.options.bounded).map(|ends| ends[at]);
            let start = start.min(end.unwrap_or(i64::MAX));
            let log_id = topics.iter().find(|topic| topic.name == name.log).and_then(Topic::log_id);
            Discovered { name, start: NextOffset(start), earliest: NextOffset(earliest.min(start)), end, log_id }
        });
        Ok(found.collect())
    }

    /// One offset of each partition, in their order. -1: there is none (only of a time).
    fn offsets(&self, names: &[PartitionName], what: Offset, committed: bool) -> Result<Vec<i64>, Halt> {
        let numbered = |name: &PartitionName| (name.log.clone(), name.number.unwrap_or_default());
        self.patiently(|wait| {
            let partitions = names.iter().map(numbered).map(|(topic, number)| (topic, number, what));
            let offsets: Offsets = raw::list_offsets(self.shared.asker.client(), wait, partitions, committed)?;
            names
                .iter()
                .map(|name| match offsets.get(&numbered(name)) {
                    Some(Ok(offset)) => Ok(*offset),
                    Some(Err(error)) => Err(Trouble::Later(format!("partition {name}: {error}"))),
                    None => Err(Trouble::Later(format!("partition {name}: no answer"))),
                })
                .collect()
        })
    }
}
