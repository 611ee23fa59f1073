//! An idempotent producer to one topic. It keeps trying what it is given; the first record that a broker refuses for good ends
//! it.

mod delivery;
mod error;
mod silence;
mod topic;

use super::input::RecordHeader;
use super::stamps::Retention;
use super::target::{OutputRecord, RecordTarget, TargetRequest};
use crate::cli::Stamp;
use crate::console::say;
use crate::kafka::{KafkaAddress, address, login_mistakes, lower, producer_config, property_mistake, reason};
use crate::uri::redacted;
use delivery::{DeliveryContext, Producer};
use error::{ProduceError, Remedy};
use minutely_dataflows::edge::Halt;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _};
use silence::AckSilence;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// The broker gives records their stamps: one that it acknowledges without is refused.
    by_broker: bool,
}

impl TopicWriter {
    /// Connects, and creates the topic if it is not there.
    ///
    /// # Errors
    /// When no broker answers within `timeout`, or the topic cannot be used.
    pub(super) fn open(request: &TargetRequest<'_>, timeout: Duration) -> Result<Self, ProduceError> {
        let uri = request.uri;
        let KafkaAddress { brokers, mut topics } = address(uri).map_err(ProduceError::Mistakes)?;
        let topic = topics.pop().unwrap_or_default();
        let config = producer_config(&brokers, request.properties, true);
        let delivery = DeliveryContext::default();
        let producer: Producer = config
            .create_with_context(delivery.clone())
            .map_err(|error| ProduceError::Request { uri: uri.to_owned(), what: lower(&reason(&error)) })?;
        topic::reach(&producer, &delivery, uri, timeout)?;
        let retention = topic::prepare(&producer, &config, request, &topic, timeout)?.retention;
        Ok(TopicWriter {
            producer,
            delivery,
            topic,
            retention,
            silence: Mutex::default(),
            by_key: request.by_key,
            by_broker: request.stamp == Stamp::Broker,
        })
    }

    /// Hands a record over; waits while the queue is full.
    fn enqueue(&self, record: &OutputRecord<'_>, stop: &AtomicBool) -> Result<(), ProduceError> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic);
        (next.key, next.payload, next.headers) = (record.key, record.payload, headers(record.headers));
        next.timestamp = record.stamp.map(|stamp| stamp.0.div_euclid(1_000_000));
        next.partition = if self.by_key { None } else { Some(record.partition) };
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.look()?;
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

    /// Fails if a record was refused, or has another stamp than was asked for. Reports where none was acknowledged for some
    /// seconds.
    fn look(&self) -> Result<(), ProduceError> {
        let refused = self.delivery.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.report_silence();
        if self.by_broker && self.delivery.keeps_stamps.load(Ordering::Relaxed) {
            let acknowledged = self.delivery.acknowledged.load(Ordering::Relaxed);
            return Err(ProduceError::StampedByProducers { topic: self.topic.clone(), acknowledged });
        }
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

    /// Waits at most `timeout` for the last answers; returns how many records were acknowledged.
    fn flush(&self, timeout: Duration) -> Result<u64, ProduceError> {
        let deadline = Instant::now() + timeout;
        let flushed = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let flushed = self.producer.flush(left.min(Duration::from_secs(1)));
            self.look()?;
            if flushed.is_ok() || left.is_zero() {
                break flushed;
            }
        };
        flushed.map_err(|error| self.failed(&error))?;
        Ok(self.delivery.acknowledged.load(Ordering::Relaxed))
    }
}

impl RecordTarget for TopicWriter {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn retention(&self) -> Retention {
        self.retention.clone()
    }

    fn send(&self, record: &OutputRecord<'_>, stop: &AtomicBool) -> Result<(), Halt> {
        Ok(self.enqueue(record, stop)?)
    }

    fn check(&self) -> Result<(), Halt> {
        Ok(self.look()?)
    }

    fn finish(&self, timeout: Duration) -> Result<u64, Halt> {
        Ok(self.flush(timeout)?)
    }

    fn acknowledged_by_partition(&self) -> BTreeMap<i32, u64> {
        self.delivery.by_partition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// As a record carries them; none where there are none.
fn headers(given: &[RecordHeader<'_>]) -> Option<OwnedHeaders> {
    let all = OwnedHeaders::new_with_capacity(given.len());
    let all = given.iter().fold(all, |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
    Some(all).filter(|_| !given.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::Headers;

    #[test]
    fn headers_are_carried_in_their_order() {
        let all = headers(&[("feed", b"a"), ("feed", b"\xff")]).unwrap();
        let read: Vec<_> = all.iter().map(|header| (header.key, header.value)).collect();
        assert_eq!(read, [("feed", Some(&b"a"[..])), ("feed", Some(b"\xff"))]);
        assert!(headers(&[]).is_none());
    }
}
