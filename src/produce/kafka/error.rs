//! Why records cannot be written.

use minutely_dataflows::edge::{Halt, HaltKind};
use rdkafka::error::RDKafkaErrorCode;

/// Why records cannot be written; its text is one paragraph with what to do. `what`: librdkafka's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProduceError {
    /// Mistakes in the address, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// The settings are why no broker serves this client.
    #[error("{uri}: {why}")]
    Refused { uri: String, why: String },
    /// No client can be made, or a request failed.
    #[error("{uri}: {what}")]
    Request { uri: String, what: String },
    /// No broker answered in this many seconds. `last`: the last failure, between parentheses.
    #[error(
        "{uri}: no usable answer within {seconds} s: {what}{last}; check that the brokers run, and that the address and the \
         security settings (-X security.protocol=…) are right"
    )]
    NoAnswer { uri: String, seconds: f64, what: String, last: String },
    /// The topic is not there, and this client cannot create it.
    #[error("{uri}: topic '{topic}' does not exist, and none is created with OAUTHBEARER: create it first")]
    NoSuchTopic { uri: String, topic: String },
    /// The topic has fewer partitions than the source.
    #[error(
        "{uri}: the topic has {there} partitions and the source {wanted}: add some, choose another topic, or let keys choose \
         (--partition-by key)"
    )]
    FewPartitions { uri: String, there: i32, wanted: i32 },
    /// The topic cannot be used; asking again does not help.
    #[error("topic '{topic}': {what}: {}", .remedy.text)]
    TopicRefused { topic: String, what: String, remedy: Remedy },
    /// The topic cannot be used at present.
    #[error("topic '{topic}': {what}")]
    TopicUnavailable { topic: String, what: String },
    /// The cluster knows the topic and no partition of it.
    #[error("topic '{topic}' has no partitions")]
    NoPartitions { topic: String },
    /// A record was refused; sending it again does not help.
    #[error("topic '{topic}': {what}: {}; {acknowledged} records were acknowledged before", .remedy.text)]
    RecordRefused { topic: String, what: String, remedy: Remedy, acknowledged: u64 },
    /// The topic's records are stamped by their producers, and its broker was to stamp them. `acknowledged`: records that were
    /// written before that was known.
    #[error(
        "topic '{topic}' has message.timestamp.type=CreateTime, so its broker does not stamp records: for --stamp broker alter it \
         (kafka-configs.sh --alter --topic {topic} --add-config message.timestamp.type=LogAppendTime), or choose another topic; \
         --stamp now stamps them here with the time of writing{}", already(*.acknowledged)
    )]
    StampedByProducers { topic: String, acknowledged: u64 },
    /// A record was not acknowledged in time. `last`: the last failure, between parentheses.
    #[error(
        "topic '{topic}': {what}{last}; {acknowledged} records were acknowledged before; -X message.timeout.ms says how long a \
         record may take"
    )]
    NotAcknowledged { topic: String, what: String, last: String, acknowledged: u64 },
}

/// Records that were written before it was known that none should be.
fn already(acknowledged: u64) -> String {
    if acknowledged == 0 { String::new() } else { format!("; {acknowledged} records were acknowledged before") }
}

/// What to do about a refusal that only settings, rights or other records can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// `Usage` where settings or rights are the cause, `Data` where it is the records.
    pub(super) kind: HaltKind,
    pub(super) text: &'static str,
}

impl ProduceError {
    /// A topic that cannot be used, from librdkafka's code.
    pub(super) fn topic(topic: &str, code: RDKafkaErrorCode) -> Self {
        let (topic, what) = (topic.to_owned(), crate::kafka::lower(&code.to_string()));
        match Remedy::of(code) {
            Some(remedy) => ProduceError::TopicRefused { topic, what, remedy },
            None => ProduceError::TopicUnavailable { topic, what },
        }
    }
}

impl From<ProduceError> for Halt {
    fn from(error: ProduceError) -> Self {
        use ProduceError as Error;
        let kind = match &error {
            Error::Mistakes(_)
            | Error::Refused { .. }
            | Error::NoSuchTopic { .. }
            | Error::FewPartitions { .. }
            | Error::StampedByProducers { .. } => HaltKind::Usage,
            Error::Request { .. }
            | Error::NoAnswer { .. }
            | Error::TopicUnavailable { .. }
            | Error::NoPartitions { .. }
            | Error::NotAcknowledged { .. } => HaltKind::Unreachable,
            Error::TopicRefused { remedy, .. } | Error::RecordRefused { remedy, .. } => remedy.kind,
        };
        Halt::new(kind, error.to_string())
    }
}

impl Remedy {
    /// `None` for what may pass by itself.
    pub(super) fn of(code: RDKafkaErrorCode) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        let (kind, text) = match code {
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
        };
        Some(Remedy { kind, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_others_can_mend_is_no_trouble_of_the_moment() {
        for (code, kind, part) in [
            (RDKafkaErrorCode::TopicAuthorizationFailed, HaltKind::Usage, "kafka-acls.sh"),
            (RDKafkaErrorCode::MessageSizeTooLarge, HaltKind::Data, "max.message.bytes"),
            (RDKafkaErrorCode::InvalidTimestamp, HaltKind::Usage, "--stamp now"),
        ] {
            assert!(Remedy::of(code).is_some_and(|remedy| remedy.kind == kind && remedy.text.contains(part)), "{code}");
        }
        assert_eq!(Remedy::of(RDKafkaErrorCode::MessageTimedOut), None);
        assert_eq!(Remedy::of(RDKafkaErrorCode::NotEnoughReplicas), None);
    }
}
