//! An idempotent producer to one topic. What it is given it keeps trying; the first record that a broker refuses for
//! good ends it.

use super::stamps::Retention;
use crate::console::say;
use crate::sources::kafka::{
    Address, Context, address, login_mistakes, lower, producer_config, property_mistake, reason, token,
};
use crate::uri::redacted;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
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
        Ok(Address { topics, .. }) if topics.len() > 1 => vec![format!("--to {}: takes one topic", redacted(uri))],
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
    refused: Arc<Mutex<Option<KafkaError>>>,
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
                refused.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// See the module.
pub(super) struct Writer {
    producer: Out,
    outcome: Outcome,
    topic: String,
    retention: Retention,
    quiet: Mutex<Quiet>,
    /// By the murmur2 hash of the key, as Java's clients do; records without a key go anywhere.
    by_key: bool,
}

impl Writer {
    /// Connects, and makes the topic with this many partitions if it is not there; `keeps`: so that it deletes nothing.
    pub(super) fn open(
        uri: &str,
        properties: &[(String, String)],
        partitions: i32,
        by_key: bool,
        keeps: bool,
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
        let (there, retention) = if uses_tokens(&config) {
            // A client that asks for administration alone serves no events, so it would get no token.
            if !exists(&producer, &topic, patience).map_err(|e| unreachable(&reason(&e)))? {
                let why = format!(
                    "{uri}: topic '{topic}' does not exist, and none is made with OAUTHBEARER: create it first"
                );
                return Err(Halt::new(HaltKind::Usage, why));
            }
            let unknown = Retention::Unknown("it is not asked for with OAUTHBEARER".into());
            (known(&producer, &topic, None, patience)?, unknown)
        } else {
            let admin = Admin::new(&config, patience).map_err(|e| unreachable(&e))?;
            let made = admin.make(&topic, partitions, keeps).map_err(|e| unreachable(&e))?;
            let there = known(&producer, &topic, made, patience)?;
            (there, if made.is_none() && keeps { Retention::Whatever } else { admin.retention(&topic) })
        };
        if !by_key && there < partitions {
            let why = format!(
                "{uri}: the topic has {there} partitions and the source {partitions}: add some, choose another topic, or \
                 let keys choose (--partition-by key)"
            );
            return Err(Halt::new(HaltKind::Usage, why));
        }
        Ok(Writer { producer, outcome, topic, retention, quiet: Mutex::default(), by_key })
    }

    /// What it writes to.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// How long the topic keeps a record, by its stamp.
    pub(super) fn retention(&self) -> Retention {
        self.retention.clone()
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
                    self.say_silence();
                    if stop.load(Ordering::Acquire) {
                        return Ok(());
                    }
                    next = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(self.refused(&error)),
            }
        }
    }

    fn refused(&self, error: &KafkaError) -> Halt {
        let done = self.outcome.acknowledged.load(Ordering::Relaxed);
        let what = lower(&error.to_string());
        match error.rdkafka_error_code().and_then(refusal) {
            Some((kind, way_out)) => {
                let why = format!("topic '{}': {what}: {way_out}; {done} records were acknowledged before", self.topic);
                Halt::new(kind, why)
            }
            None => {
                let last = self.outcome.brokers.last_trouble().map(|last| format!(" ({last})")).unwrap_or_default();
                let why = format!(
                    "topic '{}': {what}{last}; {done} records were acknowledged before; -X message.timeout.ms says how long a \
                     record may take",
                    self.topic
                );
                Halt::new(HaltKind::Unreachable, why)
            }
        }
    }

    /// Has every record been taken so far? Says so where nothing was, for some seconds.
    pub(super) fn well(&self) -> Result<(), Halt> {
        let refused = self.outcome.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.say_silence();
        refused.map_or(Ok(()), |error| Err(self.refused(&error)))
    }

    fn say_silence(&self) {
        let waiting = self.producer.in_flight_count();
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let acknowledged = self.outcome.acknowledged.load(Ordering::Relaxed);
        if let Some(silence) = quiet.look(waiting > 0, acknowledged, Instant::now()) {
            let last = self.outcome.brokers.last_trouble().map(|last| format!(": {last}")).unwrap_or_default();
            say(&format!(
                "topic '{}': no record was acknowledged for {} s, and {waiting} wait{last}",
                self.topic,
                silence.as_secs()
            ));
        }
    }

    /// Waits for the last answers; how many records were acknowledged.
    pub(super) fn end(&self, patience: Duration) -> Result<u64, Halt> {
        let deadline = Instant::now() + patience;
        let flushed = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let flushed = self.producer.flush(left.min(Duration::from_secs(1)));
            self.well()?;
            if flushed.is_ok() || left.is_zero() {
                break flushed;
            }
        };
        flushed.map_err(|error| self.refused(&error))?;
        Ok(self.outcome.acknowledged.load(Ordering::Relaxed))
    }
}

/// How long nothing was acknowledged, said every so often.
#[derive(Debug, Default)]
struct Quiet {
    /// What was acknowledged when that was last more than before, and when.
    moved: Option<(u64, Instant)>,
    said: Option<Instant>,
}

impl Quiet {
    /// At most once in this time.
    const EVERY: Duration = Duration::from_secs(5);

    /// How long records have waited with none acknowledged, if that is to be said now.
    fn look(&mut self, waits: bool, acknowledged: u64, now: Instant) -> Option<Duration> {
        let (before, since) = *self.moved.get_or_insert((acknowledged, now));
        if !waits || acknowledged != before {
            (self.moved, self.said) = (Some((acknowledged, now)), None);
            return None;
        }
        if now - self.said.unwrap_or(since) < Quiet::EVERY {
            return None;
        }
        self.said = Some(now);
        Some(now - since)
    }
}

/// What only somebody else can mend: 64 where that is settings or rights, 65 where it is the records.
fn refusal(code: RDKafkaErrorCode) -> Option<(HaltKind, &'static str)> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::TopicAuthorizationFailed => (
            HaltKind::Usage,
            "give this user the right to write to it (kafka-acls.sh --add --allow-principal User:NAME --operation Write --topic \
             TOPIC; also Create and Describe, if it is to be made)",
        ),
        Code::ClusterAuthorizationFailed => (
            HaltKind::Usage,
            "give this user the right to write each record once (kafka-acls.sh --add --allow-principal User:NAME --operation \
             IdempotentWrite --cluster)",
        ),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => (
            HaltKind::Usage,
            "it is not there, or not any more: make it, or give this user the right to (Create on the topic)",
        ),
        Code::InvalidTopic | Code::InvalidConfig | Code::InvalidReplicationFactor | Code::PolicyViolation => (
            HaltKind::Usage,
            "the cluster's rules do not allow it: choose another topic, or make it by the cluster's own tools",
        ),
        Code::InvalidTimestamp => (
            HaltKind::Usage,
            "the topic takes no stamps that far from the broker's clock (message.timestamp.before.max.ms, \
             message.timestamp.after.max.ms): raise that, or write with --stamp now",
        ),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => (
            HaltKind::Data,
            "a record is larger than allowed: raise -X message.max.bytes here and max.message.bytes of the topic, or leave the \
             record out",
        ),
        Code::InvalidRecord => {
            (HaltKind::Data, "the topic does not take such a record (a compacted one takes none without a key)")
        }
        _ => return None,
    })
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

/// What is asked of the cluster before anything is written.
struct Admin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    patience: Duration,
}

fn uses_tokens(config: &rdkafka::ClientConfig) -> bool {
    config.get("sasl.mechanism").or(config.get("sasl.mechanisms")) == Some("OAUTHBEARER")
}

/// Is the topic there? Asked for all topics: a broker may make one that a producer asks for.
fn exists(producer: &Out, topic: &str, patience: Duration) -> Result<bool, KafkaError> {
    let all = producer.client().fetch_metadata(None, patience)?;
    Ok(all.topics().iter().any(|known| known.name() == topic))
}

impl Admin {
    fn new(config: &rdkafka::ClientConfig, patience: Duration) -> Result<Self, Box<dyn std::error::Error>> {
        let client = config.create().map_err(|error| reason(&error))?;
        Ok(Admin { client, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, patience })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(self.patience)).request_timeout(Some(self.patience))
    }

    /// Makes the topic; none if it was made, else why not: it is there, or this user may not.
    fn make(
        &self,
        topic: &str,
        partitions: i32,
        keeps: bool,
    ) -> Result<Option<RDKafkaErrorCode>, Box<dyn std::error::Error>> {
        // As many replicas as the cluster has by default (KIP-464).
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        if keeps {
            new = new.set("retention.ms", "-1");
        }
        let made = self.runtime.block_on(self.client.create_topics([&new], &self.options()))?;
        Ok(made.into_iter().find_map(|made| made.err().map(|(_, code)| code)))
    }

    /// What the topic says of its retention.
    fn retention(&self, topic: &str) -> Retention {
        let (topic, options) = (ResourceSpecifier::Topic(topic), self.options());
        let asked = self.client.describe_configs([&topic], &options);
        let answer = match self.runtime.block_on(asked).map(|answers| answers.into_iter().next()) {
            Err(error) => return Retention::Unknown(lower(&error.to_string())),
            Ok(None) => return Retention::Unknown("no answer".into()),
            Ok(Some(Err(code))) => return Retention::Unknown(lower(&code.to_string())),
            Ok(Some(Ok(answer))) => answer,
        };
        let value = |name: &str| answer.get(name).and_then(|entry| entry.value.as_deref());
        Retention::of(value("retention.ms"), value("message.timestamp.type"))
    }
}

/// The topic's partitions, once the cluster knows it. `made`: why it was not made.
fn known(producer: &Out, topic: &str, made: Option<RDKafkaErrorCode>, patience: Duration) -> Result<i32, Halt> {
    let deadline = Instant::now() + patience;
    let refused = |code| match refusal(code) {
        Some((kind, way_out)) => Halt::new(kind, format!("topic '{topic}': {}: {way_out}", lower(&code.to_string()))),
        None => Halt::new(HaltKind::Unreachable, format!("topic '{topic}': {}", lower(&code.to_string()))),
    };
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), patience).map_err(|error| {
            Halt::new(HaltKind::Unreachable, format!("topic '{topic}': {}", lower(&error.to_string())))
        })?;
        let found = metadata.topics().iter().find(|known| known.name() == topic);
        let late = Instant::now() > deadline;
        match (found.map(|found| (found.partitions().len(), found.error())), made) {
            (Some((n, None)), _) if n > 0 => return Ok(i32::try_from(n).unwrap_or(i32::MAX)),
            (Some((_, Some(error))), made) => {
                let code = RDKafkaErrorCode::from(error);
                let unknown = code == RDKafkaErrorCode::UnknownTopicOrPartition;
                match made.filter(|made| unknown && *made != RDKafkaErrorCode::TopicAlreadyExists) {
                    // It is not there, and will not be.
                    Some(made) => return Err(refused(made)),
                    None if code == RDKafkaErrorCode::TopicAuthorizationFailed || late => return Err(refused(code)),
                    None => {}
                }
            }
            _ if late => {
                return Err(Halt::new(HaltKind::Unreachable, format!("topic '{topic}' has no partitions")));
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_said_every_few_seconds() {
        let (mut quiet, began) = (Quiet::default(), Instant::now());
        let mut at = |seconds, waits, acknowledged| {
            quiet.look(waits, acknowledged, began + Duration::from_secs(seconds)).map(|silence| silence.as_secs())
        };
        let said: Vec<_> = (0..13).map(|second| at(second, true, 7)).collect();
        assert_eq!(said.iter().flatten().copied().collect::<Vec<_>>(), [5, 10]);
        assert_eq!((at(13, true, 8), at(17, true, 8), at(18, true, 8)), (None, None, Some(5)), "one moved");
        assert_eq!((at(90, false, 8), at(94, true, 8), at(95, true, 8)), (None, None, Some(5)), "none waited");
    }

    #[test]
    fn what_only_others_can_mend_is_no_trouble_of_the_moment() {
        for (code, kind, part) in [
            (RDKafkaErrorCode::TopicAuthorizationFailed, HaltKind::Usage, "kafka-acls.sh"),
            (RDKafkaErrorCode::MessageSizeTooLarge, HaltKind::Data, "max.message.bytes"),
            (RDKafkaErrorCode::InvalidTimestamp, HaltKind::Usage, "--stamp now"),
        ] {
            assert!(refusal(code).is_some_and(|(k, what)| k == kind && what.contains(part)), "{code}");
        }
        assert_eq!(refusal(RDKafkaErrorCode::MessageTimedOut), None);
        assert_eq!(refusal(RDKafkaErrorCode::NotEnoughReplicas), None);
    }
}
