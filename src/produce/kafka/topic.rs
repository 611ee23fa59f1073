//! The topic to write to: it is created if need be, and its partitions and what it does with stamps are looked up.

use super::delivery::{DeliveryContext, Producer};
use super::error::ProduceError;
use crate::cli::Stamp;
use crate::kafka::{lower, reason};
use crate::produce::stamps::{Retention, StampedBy};
use crate::produce::target::TargetRequest;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use std::time::{Duration, Instant};

/// What a topic says of stamps.
pub(super) struct TopicSettings {
    /// How long it keeps a record.
    pub(super) retention: Retention,
    pub(super) stamped_by: StampedBy,
}

/// Finds the topic, or creates it.
pub(super) fn prepare(
    producer: &Producer,
    config: &rdkafka::ClientConfig,
    request: &TargetRequest<'_>,
    topic: &str,
    timeout: Duration,
) -> Result<TopicSettings, ProduceError> {
    let &TargetRequest { uri, partitions, by_key, .. } = request;
    let failed = |what: &str| ProduceError::Request { uri: uri.to_owned(), what: lower(what) };
    let (there, settings) = if uses_tokens(config) {
        // An admin client serves no events, so it would get no token.
        if !exists(producer, topic, timeout).map_err(|error| failed(&reason(&error)))? {
            return Err(ProduceError::NoSuchTopic { uri: uri.to_owned(), topic: topic.to_owned() });
        }
        let unknown = TopicSettings::unknown("it is not asked for with OAUTHBEARER");
        (partitions_of(producer, topic, None, timeout)?, unknown)
    } else {
        let admin = TopicAdmin::new(config, timeout).map_err(|error| failed(&error.to_string()))?;
        let not_created = admin.create(topic, request).map_err(|error| failed(&error.to_string()))?;
        let there = partitions_of(producer, topic, not_created, timeout)?;
        let is_created = not_created.is_none();
        let asked = if is_created && request.keeps && request.stamp != Stamp::Broker {
            TopicSettings { retention: Retention::Whatever, stamped_by: StampedBy::Unknown }
        } else {
            admin.settings(topic)
        };
        (there, asked)
    };
    if !by_key && there < partitions {
        return Err(ProduceError::FewPartitions { uri: uri.to_owned(), there, wanted: partitions });
    }
    if request.stamp == Stamp::Broker && settings.stamped_by == StampedBy::Producer {
        return Err(ProduceError::StampedByProducers { topic: topic.to_owned(), acknowledged: 0 });
    }
    Ok(settings)
}

impl TopicSettings {
    /// They could not be asked: why.
    fn unknown(why: &str) -> Self {
        TopicSettings { retention: Retention::Unknown(why.to_owned()), stamped_by: StampedBy::Unknown }
    }
}

/// Waits until a broker answers.
pub(super) fn reach(
    producer: &Producer,
    delivery: &DeliveryContext,
    uri: &str,
    timeout: Duration,
) -> Result<(), ProduceError> {
    let (deadline, uri) = (Instant::now() + timeout, uri.to_owned());
    loop {
        let Err(error) = producer.client().fetch_metadata(None, Duration::from_secs(1)) else { return Ok(()) };
        if let Some(why) = delivery.brokers.refused() {
            return Err(ProduceError::Refused { uri, why });
        }
        if Instant::now() >= deadline {
            let last = delivery.brokers.last_failure().map(|last| format!(" ({last})")).unwrap_or_default();
            let what = lower(&error.to_string());
            return Err(ProduceError::NoAnswer { uri, seconds: timeout.as_secs_f64(), what, last });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A client that creates a topic and reads its settings, before anything is written.
struct TopicAdmin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    timeout: Duration,
}

fn uses_tokens(config: &rdkafka::ClientConfig) -> bool {
    config.get("sasl.mechanism").or(config.get("sasl.mechanisms")) == Some("OAUTHBEARER")
}

/// Is the topic there? Asked for all topics: a broker may make one that a producer asks for.
fn exists(producer: &Producer, topic: &str, timeout: Duration) -> Result<bool, KafkaError> {
    let all = producer.client().fetch_metadata(None, timeout)?;
    Ok(all.topics().iter().any(|known| known.name() == topic))
}

impl TopicAdmin {
    fn new(config: &rdkafka::ClientConfig, timeout: Duration) -> Result<Self, Box<dyn std::error::Error>> {
        let client = config.create().map_err(|error| reason(&error))?;
        Ok(TopicAdmin { client, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, timeout })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(self.timeout)).request_timeout(Some(self.timeout))
    }

    /// Creates the topic; `None` if it was created, else why not: it is there, or this user may not.
    fn create(
        &self,
        topic: &str,
        request: &TargetRequest<'_>,
    ) -> Result<Option<RDKafkaErrorCode>, Box<dyn std::error::Error>> {
        // As many replicas as the cluster has by default (KIP-464).
        let mut new = NewTopic::new(topic, request.partitions, TopicReplication::Fixed(-1));
        if request.keeps {
            new = new.set("retention.ms", "-1");
        }
        if request.stamp == Stamp::Broker {
            new = new.set("message.timestamp.type", "LogAppendTime");
        }
        let made = self.runtime.block_on(self.client.create_topics([&new], &self.options()))?;
        Ok(made.into_iter().find_map(|made| made.err().map(|(_, code)| code)))
    }

    /// What the topic says of stamps.
    fn settings(&self, topic: &str) -> TopicSettings {
        let (topic, options) = (ResourceSpecifier::Topic(topic), self.options());
        let asked = self.client.describe_configs([&topic], &options);
        let answer = match self.runtime.block_on(asked).map(|answers| answers.into_iter().next()) {
            Err(error) => return TopicSettings::unknown(&lower(&error.to_string())),
            Ok(None) => return TopicSettings::unknown("no answer"),
            Ok(Some(Err(code))) => return TopicSettings::unknown(&lower(&code.to_string())),
            Ok(Some(Ok(answer))) => answer,
        };
        let value = |name: &str| answer.get(name).and_then(|entry| entry.value.as_deref());
        let stamped_by = value("message.timestamp.type");
        TopicSettings {
            retention: Retention::of(value("retention.ms"), stamped_by),
            stamped_by: StampedBy::of(stamped_by),
        }
    }
}

/// The topic's partitions, once the cluster knows it. `not_created`: why it was not created.
fn partitions_of(
    producer: &Producer,
    topic: &str,
    not_created: Option<RDKafkaErrorCode>,
    timeout: Duration,
) -> Result<i32, ProduceError> {
    let deadline = Instant::now() + timeout;
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), timeout).map_err(|error| {
            ProduceError::TopicUnavailable { topic: topic.to_owned(), what: lower(&error.to_string()) }
        })?;
        let found = metadata.topics().iter().find(|known| known.name() == topic);
        let late = Instant::now() > deadline;
        match (found.map(|found| (found.partitions().len(), found.error())), not_created) {
            (Some((n, None)), _) if n > 0 => return Ok(i32::try_from(n).unwrap_or(i32::MAX)),
            (Some((_, Some(error))), not_created) => {
                let code = RDKafkaErrorCode::from(error);
                let unknown = code == RDKafkaErrorCode::UnknownTopicOrPartition;
                match not_created.filter(|why| unknown && *why != RDKafkaErrorCode::TopicAlreadyExists) {
                    // It is not there, and will not be.
                    Some(why) => return Err(ProduceError::topic(topic, why)),
                    None if code == RDKafkaErrorCode::TopicAuthorizationFailed || late => {
                        return Err(ProduceError::topic(topic, code));
                    }
                    None => {}
                }
            }
            _ if late => {
                return Err(ProduceError::NoPartitions { topic: topic.to_owned() });
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
