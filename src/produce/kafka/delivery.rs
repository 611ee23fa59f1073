//! What became of records that were sent, as librdkafka reports it.

use crate::kafka::{KafkaContext, token};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _, Timestamp};
use rdkafka::producer::{ProducerContext, ThreadedProducer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A producer that reports to a [`DeliveryContext`].
pub(super) type Producer = ThreadedProducer<DeliveryContext>;

/// How many records were acknowledged, and why the first was refused; shared by its clones.
#[derive(Clone, Debug, Default)]
pub(super) struct DeliveryContext {
    pub(super) acknowledged: Arc<AtomicU64>,
    /// The same, by partition.
    pub(super) by_partition: Arc<Mutex<BTreeMap<i32, u64>>>,
    /// A record was acknowledged with the stamp that this client gave it: the broker gives none.
    pub(super) keeps_stamps: Arc<AtomicBool>,
    /// The first record that is refused for good.
    pub(super) refused: Arc<Mutex<Option<KafkaError>>>,
    /// Why brokers cannot be reached.
    pub(super) brokers: Arc<KafkaContext>,
}

impl ClientContext for DeliveryContext {
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

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                if !matches!(message.timestamp(), Timestamp::LogAppendTime(_)) {
                    self.keeps_stamps.store(true, Ordering::Relaxed);
                }
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                let mut by_partition = self.by_partition.lock().unwrap_or_else(PoisonError::into_inner);
                *by_partition.entry(message.partition()).or_default() += 1;
            }
            Err((error, _)) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.get_or_insert_with(|| error.clone());
            }
        }
    }
}
