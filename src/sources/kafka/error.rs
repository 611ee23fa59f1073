//! Why Kafka's records cannot be read.

use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::record::PartitionName;
use rdkafka::error::RDKafkaErrorCode;
use std::io;

/// Advice for a start without an answer, where no failure says what to set.
const CHECK_BROKERS: &str = "; check that the brokers run, that the address and the security settings (-X security.protocol=…) are \
                             right, and that the addresses they advertise can be reached from here";

/// Why Kafka's records cannot be read; its text is one paragraph with what to do. `text`: librdkafka's own words.
#[derive(Debug, thiserror::Error)]
pub(super) enum KafkaSourceError {
    /// Mistakes in the address or in the properties, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// librdkafka makes no client of these properties.
    #[error("kafka client: {why}")]
    Client { why: String },
    /// The settings are why no broker serves this client.
    #[error("kafka at {brokers}: {why}")]
    Refused { brokers: String, why: String },
    /// No broker answered in this many seconds.
    #[error(
        "kafka at {brokers} gave no usable answer within {seconds} s: {known}{}",
        if *.has_advice { "" } else { CHECK_BROKERS }
    )]
    NoAnswer { brokers: String, seconds: f64, known: String, has_advice: bool },
    /// This user may not read a topic.
    #[error("topic '{topic}' may not be read by this user: {}", rights(.topic))]
    TopicDenied { topic: String },
    /// `topics`: between `', '`. `there`: which topics the cluster has.
    #[error(
        "topic '{topics}' does not exist at {brokers} ({there}): correct the name in --source, or create the topic first"
    )]
    NoSuchTopic { topics: String, brokers: String, there: String },
    /// A topic is compacted, when a run starts.
    #[error(
        "topic '{topic}' has cleanup.policy={policy}: compaction removes records that count, so averages could not be checked \
         against the log; read a topic with cleanup.policy=delete"
    )]
    Compacted { topic: String, policy: String },
    /// A topic is compacted, and was not when the run started.
    #[error(
        "topic '{topic}' has cleanup.policy={policy} now: compaction removes records that count, and what was read since it was \
         changed may lack some already; set cleanup.policy=delete, and read the log from its beginning (--job NAME) if it holds \
         all of it, or read another topic"
    )]
    BecameCompacted { topic: String, policy: String },
    /// A topic has another id than when the run started.
    #[error(
        "topic '{topic}' was deleted and created again while it was read (its id was {was}, now it is {is}); begin a new run to \
         read the new one (--job NAME)"
    )]
    Recreated { topic: String, was: String, is: String },
    /// A topic is gone.
    #[error(
        "topic '{topic}' was deleted while it was read; if that was meant, begin a new run without it (--job NAME)"
    )]
    Deleted { topic: String },
    /// The log does not hold the next offset. `what`: what became of it.
    #[error("partition {partition}: offset {offset} {what} ({text})")]
    MissingOffset { partition: PartitionName, offset: i64, what: String, text: String },
    /// A batch has a wrong checksum, or cannot be unpacked.
    #[error(
        "partition {partition}: the log is damaged or of an unknown format at offset {offset}, near {position}: {text}; repair or \
         replace the replica it was read from, or begin a new run behind it (--job NAME --start TIME)"
    )]
    Damaged { partition: PartitionName, offset: i64, position: i64, text: String },
    /// A batch is larger than the properties allow.
    #[error(
        "partition {partition}: the batch at offset {position} is too large to fetch: {text}; allow more with -X \
         receive.message.max.bytes and -X fetch.max.bytes"
    )]
    TooLarge { partition: PartitionName, position: i64, text: String },
    /// This user may not read a partition any more.
    #[error("partition {partition}: {text}; {}", rights(&.partition.log))]
    PartitionDenied { partition: PartitionName, text: String },
    /// librdkafka ended the consumer.
    #[error("librdkafka gave up: {code}")]
    GaveUp { code: RDKafkaErrorCode },
    /// A record was delivered to the consumer's queue instead of its partition's.
    #[error("a record came past its partition's queue and would be lost; please report this")]
    StrayRecord,
    /// A partition cannot be assigned.
    #[error("partition {partition}: {what}")]
    Assign { partition: PartitionName, what: String },
    /// The records read last cannot be looked up.
    #[error("kafka: the log cannot be probed: {what}")]
    Probe { what: String },
    /// A thread cannot be started.
    #[error("thread {name}: {source}")]
    Thread { name: &'static str, source: io::Error },
}

/// The rights that are needed on a topic, and how to get them.
fn rights(topic: &str) -> String {
    format!("grant READ, DESCRIBE and DESCRIBE_CONFIGS on topic '{topic}' to this user")
}

impl From<KafkaSourceError> for Halt {
    fn from(error: KafkaSourceError) -> Self {
        use KafkaSourceError as Error;
        let kind = match error {
            Error::Mistakes(_)
            | Error::Client { .. }
            | Error::Refused { .. }
            | Error::TopicDenied { .. }
            | Error::NoSuchTopic { .. }
            | Error::Compacted { .. }
            | Error::TooLarge { .. }
            | Error::PartitionDenied { .. } => HaltKind::Usage,
            Error::NoAnswer { .. } => HaltKind::Unreachable,
            Error::BecameCompacted { .. }
            | Error::Recreated { .. }
            | Error::Deleted { .. }
            | Error::MissingOffset { .. }
            | Error::Damaged { .. } => HaltKind::Data,
            Error::GaveUp { .. }
            | Error::StrayRecord
            | Error::Assign { .. }
            | Error::Probe { .. }
            | Error::Thread { .. } => HaltKind::Internal,
        };
        Halt::new(kind, error.to_string())
    }
}
