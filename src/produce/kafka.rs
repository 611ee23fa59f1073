//! An idempotent producer to one topic. What it is given it keeps trying; the first record that a broker refuses for
//! good ends it.

use crate::sources::kafka::{
    Address, Context, address, login_mistakes, lower, producer_config, property_mistake, reason, token,
};
use crate::uri::shown;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{DefaultClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// All mistakes of the address and of the properties given with `-X`.
pub(super) fn validate(uri: &str, properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = match address(uri) {
        Ok(Address { topics, .. }) if topics.len() > 1 => vec![format!("--to {}: takes one topic", shown(uri))],
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes,
    };
    mistakes.extend(properties.iter().filter_map(|(name, value)| property_mistake(name, value)));
    mistakes.extend(login_mistakes(properties));
    if mistakes.is_empty() {
        let made = producer_config("", properties, false).create_with_context::<_, Out>(Outcome::default());
        mistakes.extend(made.err().map(|error| format!("-X: {}", reason(&error))));
    }
    mistakes
}

type Out = ThreadedProducer<Outcome>;

/// What became of records.
#[derive(Clone, Debug, Default)]
struct Outcome {
    acknowledged: Arc<AtomicU64>,
    refused: Arc<Mutex<Option<String>>>,
    brokers: Arc<Context>,
}

impl ClientContext for Outcome {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // Connections that fail; nothing else is worth a line.
        if facility == "FAIL" {
            self.brokers.log(level, facility, line);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.error(error, reason);
    }
}

impl ProducerContext for Outcome {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.acknowledged.fetch_add(1, Ordering::Relaxed)),
            Err((error, _)) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.get_or_insert_with(|| lower(&error.to_string()));
            }
        }
    }
}

/// See the module.
pub(super) struct Writer {
    producer: Out,
    outcome: Outcome,
    topic: String,
    /// By the murmur2 hash of the key, as Java's clients do; records without a key go anywhere.
    by_key: bool,
}

impl Writer {
    /// Connects, and makes the topic with this many partitions if it is not there.
    pub(super) fn open(
        uri: &str,
        properties: &[(String, String)],
        partitions: i32,
        by_key: bool,
        patience: Duration,
    ) -> Result<Self, Halt> {
        let usage = |mistakes: Vec<String>| Halt::new(HaltKind::Usage, mistakes.join("; "));
        let Address { brokers, mut topics } = address(uri).map_err(usage)?;
        let topic = topics.pop().unwrap_or_default();
        let config = producer_config(&brokers, properties, true);
        let unreachable =
            |e: &dyn std::fmt::Display| Halt::new(HaltKind::Unreachable, format!("{uri}: {}", lower(&e.to_string())));
        let outcome = Outcome::default();
        let producer: Out = config.create_with_context(outcome.clone()).map_err(|e| unreachable(&reason(&e)))?;
        reach(&producer, &outcome, patience).map_err(|(kind, why)| Halt::new(kind, format!("{uri}: {why}")))?;
        // A client that asks for administration alone serves no events, so it would get no token.
        if config.get("sasl.mechanism").or(config.get("sasl.mechanisms")) != Some("OAUTHBEARER") {
            make(&config, &topic, partitions, patience).map_err(|e| unreachable(&e))?;
        } else if !exists(&producer, &topic, patience).map_err(|e| unreachable(&e))? {
            let why =
                format!("{uri}: topic '{topic}' does not exist, and none is made with OAUTHBEARER: create it first");
            return Err(Halt::new(HaltKind::Usage, why));
        }
        let there = known(&producer, &topic, patience).map_err(|e| unreachable(&e))?;
        if !by_key && there < partitions {
            let why = format!(
                "{uri}: the topic has {there} partitions and the source {partitions}: add some, choose another topic, or \
                 let keys choose (--partition-by key)"
            );
            return Err(Halt::new(HaltKind::Usage, why));
        }
        Ok(Writer { producer, outcome, topic, by_key })
    }

    /// Hands a record over; waits while the queue is full.
    pub(super) fn send(
        &self,
        partition: i32,
        record: &Record<'_>,
        stamp: EventTime,
        stop: &AtomicBool,
    ) -> Result<(), Halt> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).timestamp(stamp.0.div_euclid(1_000_000));
        if !self.by_key {
            next = next.partition(partition);
        }
        if let Some(payload) = record.payload {
            next = next.payload(payload);
        }
        if let Some(key) = record.key {
            next = next.key(key);
        }
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.well()?;
                    if stop.load(Ordering::Acquire) {
                        return Ok(());
                    }
                    next = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(self.refused(&lower(&error.to_string()))),
            }
        }
    }

    fn refused(&self, what: &str) -> Halt {
        let done = self.outcome.acknowledged.load(Ordering::Relaxed);
        let topic = &self.topic;
        Halt::new(HaltKind::Unreachable, format!("topic '{topic}': {what}; {done} records were acknowledged before"))
    }

    /// Has every record been taken so far?
    pub(super) fn well(&self) -> Result<(), Halt> {
        let refused = self.outcome.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        refused.map_or(Ok(()), |what| Err(self.refused(&what)))
    }

    /// Waits for the last answers; how many records were acknowledged.
    pub(super) fn end(&self, patience: Duration) -> Result<u64, Halt> {
        let flushed = self.producer.flush(patience);
        self.well()?;
        flushed.map_err(|error| self.refused(&lower(&error.to_string())))?;
        Ok(self.outcome.acknowledged.load(Ordering::Relaxed))
    }
}

/// Waits until a broker answers: 69 if none does, 64 if the settings are why.
fn reach(producer: &Out, outcome: &Outcome, patience: Duration) -> Result<(), (HaltKind, String)> {
    let deadline = Instant::now() + patience;
    loop {
        let Err(error) = producer.client().fetch_metadata(None, Duration::from_secs(1)) else { return Ok(()) };
        if let Some(why) = outcome.brokers.refused() {
            return Err((HaltKind::Usage, why));
        }
        if Instant::now() >= deadline {
            let last = outcome.brokers.last_trouble().map(|last| format!(" ({last})")).unwrap_or_default();
            let why = format!(
                "no usable answer within {} s: {}{last}; check that the brokers run, and that the address and the \
                 security settings (-X security.protocol=…) are right",
                patience.as_secs_f64(),
                lower(&error.to_string())
            );
            return Err((HaltKind::Unreachable, why));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Makes the topic, unless it is there.
fn make(
    config: &rdkafka::ClientConfig,
    topic: &str,
    partitions: i32,
    patience: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|error| reason(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // As many replicas as the cluster has by default (KIP-464).
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().operation_timeout(Some(patience)).request_timeout(Some(patience));
    for made in runtime.block_on(admin.create_topics([&new], &options))? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Whoever may not make topics may still write to one.
            Err((_, code)) => tracing::debug!("kafka: topic '{topic}' was not made: {code}"),
        }
    }
    Ok(())
}

/// Is the topic there? Asked for all topics: a broker may make one that a producer asks for.
fn exists(producer: &Out, topic: &str, patience: Duration) -> Result<bool, KafkaError> {
    let all = producer.client().fetch_metadata(None, patience)?;
    Ok(all.topics().iter().any(|known| known.name() == topic))
}

/// The topic's partitions, once the cluster knows it.
fn known(producer: &Out, topic: &str, patience: Duration) -> Result<i32, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + patience;
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), patience)?;
        let found = metadata.topics().iter().find(|known| known.name() == topic);
        match found.map(|found| (found.partitions().len(), found.error())) {
            Some((n, None)) if n > 0 => return Ok(i32::try_from(n)?),
            Some((_, Some(error))) if Instant::now() > deadline => {
                return Err(format!("topic '{topic}': {}", RDKafkaErrorCode::from(error)).into());
            }
            _ if Instant::now() > deadline => return Err(format!("topic '{topic}' has no partitions").into()),
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
