//! What is asked of the cluster, what it answers, and how long an answer may take.

use rdkafka::error::RDKafkaErrorCode;
use std::collections::HashMap;
use std::time::Duration;

/// Why a request failed as a whole.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct RequestError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) text: String,
}

/// How long a request may take, and what to do meanwhile, about every 100 ms.
pub(super) struct RequestWait<'a> {
    pub(super) timeout: Duration,
    /// Serves the client's events; `false` gives the request up.
    pub(super) meanwhile: &'a dyn Fn() -> bool,
}

/// A partition by its topic and its number.
pub(super) type TopicPartition = (String, i32);

/// An offset of each partition, or why that partition has no answer.
pub(super) type PartitionOffsets = HashMap<TopicPartition, Result<i64, RDKafkaErrorCode>>;

/// A topic as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicDescription {
    pub(super) name: String,
    /// Its id, which a topic that is deleted and created again does not keep; all zero before Kafka 2.8.
    pub(super) id: String,
    /// Its partitions' numbers, or why there are none.
    pub(super) partitions: Result<Vec<i32>, RDKafkaErrorCode>,
    /// Those of them that no broker leads at present.
    pub(super) leaderless: Vec<i32>,
}

impl TopicDescription {
    /// Its id, where the broker has one.
    pub(super) fn log_id(&self) -> Option<String> {
        Some(self.id.clone()).filter(|id| id.chars().any(|c| c != 'A' && c != '='))
    }
}

/// A topic's configuration, by property.
pub(super) type TopicConfig = HashMap<String, String>;

/// Configurations by topic, or why a topic's is not known.
pub(super) type TopicConfigs = HashMap<String, Result<TopicConfig, RDKafkaErrorCode>>;
