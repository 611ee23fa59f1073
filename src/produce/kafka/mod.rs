//! An idempotent producer to one topic. It keeps trying what it is given; the first record that a broker refuses for good ends
//! it.

mod delivery;
mod error;
mod silence;
mod topic;

use super::stamps::Retention;
use crate::console::say;
use crate::kafka::{KafkaAddress, address, login_mistakes, lower, producer_config, property_mistake, reason};
use crate::uri::redacted;
use delivery::{DeliveryContext, Producer};
pub(super) use error::ProduceError;
use error::Remedy;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};
use silence::AckSilence;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) use topic::TopicRequest;

/// All mistakes of the address and of the properties given with `-X`.
pub(super) fn validate(uri: &str, properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = match address(uri) {
        Ok(KafkaAddress { topics, .. }) if topics.len() > 1 => vec![format!("--to {}: takes one topic", redacted(uri))],
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes,
    };
    mistakes.extend(properties.iter().filter_map(|(name, value)| property_mistake(name, value)));
    mistakes.extend(login_mistakes(properties));
    if mistakes.is_empty() {
        let made =
            producer_config("", properties, false).create_with_context::<_, Producer>(DeliveryContext::default());
        mistakes.extend(made.err().map(|error| format!("-X: {}", reason(&error))));
    }
    mistakes
}

/// An idempotent producer to one topic.
pub(super) struct TopicWriter {
    producer: Producer,
    delivery: DeliveryContext,
    topic: String,
    retention: Retention,
    silence: Mutex<AckSilence>,
    /// By the murmur2 hash of the key, as Java's clients do; records without a key go anywhere.
    by_key: bool,
}

impl TopicWriter {
    /// Connects, and creates the topic if it is not there.
    ///
    /// # Errors
    /// When no broker answers within `timeout`, or the topic cannot be used.
    pub(super) fn open(request: &TopicRequest<'_>, timeout: Duration) -> Result<Self, ProduceError> {
        let uri = request.uri;
        let KafkaAddress { brokers, mut topics } = address(uri).map_err(ProduceError::Mistakes)?;
        let topic = topics.pop().unwrap_or_default();
        let config = producer_config(&brokers, request.properties, true);
        let delivery = DeliveryContext::default();
        let producer: Producer = config
            .create_with_context(delivery.clone())
            .map_err(|error| ProduceError::Request { uri: uri.to_owned(), what: lower(&reason(&error)) })?;
        topic::reach(&producer, &delivery, uri, timeout)?;
        let retention = topic::prepare(&producer, &config, request, &topic, timeout)?;
        Ok(TopicWriter { producer, delivery, topic, retention, silence: Mutex::default(), by_key: request.by_key })
    }

    /// The topic's name.
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
    ) -> Result<(), ProduceError> {
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
                    self.check()?;
                    self.report_silence();
                    if stop.load(Ordering::Acquire) {
                        return Ok(());
                    }
                    next = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(self.failed(&error)),
            }
        }
    }

    fn failed(&self, error: &KafkaError) -> ProduceError {
        let acknowledged = self.delivery.acknowledged.load(Ordering::Relaxed);
        let (topic, what) = (self.topic.clone(), lower(&error.to_string()));
        match error.rdkafka_error_code().and_then(Remedy::of) {
            Some(remedy) => ProduceError::RecordRefused { topic, what, remedy, acknowledged },
            None => {
                let last = self.delivery.brokers.last_failure().map(|last| format!(" ({last})")).unwrap_or_default();
                ProduceError::NotAcknowledged { topic, what, last, acknowledged }
            }
        }
    }

    /// Fails if a record was refused. Reports where none was acknowledged for some seconds.
    pub(super) fn check(&self) -> Result<(), ProduceError> {
        let refused = self.delivery.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.report_silence();
        refused.map_or(Ok(()), |error| Err(self.failed(&error)))
    }

    fn report_silence(&self) {
        let waiting = self.producer.in_flight_count();
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let acknowledged = self.delivery.acknowledged.load(Ordering::Relaxed);
        if let Some(time) = silence.look(waiting > 0, acknowledged, Instant::now()) {
            let last = self.delivery.brokers.last_failure().map(|last| format!(": {last}")).unwrap_or_default();
            say(&format!(
                "topic '{}': no record was acknowledged for {} s, and {waiting} wait{last}",
                self.topic,
                time.as_secs()
            ));
        }
    }

    /// How many records were acknowledged, by partition of the topic.
    pub(super) fn acknowledged_by_partition(&self) -> BTreeMap<i32, u64> {
        self.delivery.by_partition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits at most `timeout` for the last answers; returns how many records were acknowledged.
    pub(super) fn end(&self, timeout: Duration) -> Result<u64, ProduceError> {
        let deadline = Instant::now() + timeout;
        let flushed = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let flushed = self.producer.flush(left.min(Duration::from_secs(1)));
            self.check()?;
            if flushed.is_ok() || left.is_zero() {
                break flushed;
            }
        };
        flushed.map_err(|error| self.failed(&error))?;
        Ok(self.delivery.acknowledged.load(Ordering::Relaxed))
    }
}
