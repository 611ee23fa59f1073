//! What is asked of the cluster, and how long an answer may take.

use super::context::Context;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::HashMap;
use std::time::Duration;

/// Why a request failed as a whole.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refused {
    /// librdkafka's code.
    pub(super) code: RDKafkaErrorCode,
    /// In words.
    pub(super) text: String,
}

/// How long a request may take, and what to do meanwhile, about every 100 ms: false gives it up.
pub(super) struct Wait<'a> {
    /// At most this long.
    pub(super) timeout: Duration,
    /// Serves the client's events, looks whether to go on.
    pub(super) meanwhile: &'a dyn Fn() -> bool,
}

/// Offset by (topic, partition), or why that partition has no answer.
pub(super) type Offsets = HashMap<(String, i32), Result<i64, RDKafkaErrorCode>>;

/// A topic as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    /// Its name.
    pub(super) name: String,
    /// Its id, which a topic made anew does not share; all zero before Kafka 2.8.
    pub(super) id: String,
    /// Its partitions' numbers, or why there are none.
    pub(super) partitions: Result<Vec<i32>, RDKafkaErrorCode>,
    /// Those of them that no broker leads at present.
    pub(super) leaderless: Vec<i32>,
}

impl Topic {
    /// Its id, where the broker has one.
    pub(super) fn log_id(&self) -> Option<String> {
        Some(self.id.clone()).filter(|id| id.chars().any(|c| c != 'A' && c != '='))
    }
}

/// The `cleanup.policy` of each of these topics. Asked once, so by a client of its own.
///
/// # Errors
/// librdkafka's, for all topics together: the caller can only go on without.
pub(super) fn cleanup_policies(
    config: &ClientConfig,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<(String, String)>, KafkaError> {
    let admin: AdminClient<Context> = config.create_with_context(Context::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    let topics: Vec<ResourceSpecifier<'_>> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(timeout));
    let mut policies = Vec::new();
    for answer in runtime.block_on(admin.describe_configs(&topics, &options))? {
        let resource = answer.map_err(KafkaError::AdminOp)?;
        let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
        if let rdkafka::admin::OwnedResourceSpecifier::Topic(topic) = resource.specifier {
            policies.push((topic, policy));
        }
    }
    Ok(policies)
}
