//! Where records go: what every kind of target takes. A Kafka topic is one (`kafka/`), RabbitMQ's streams are another (`rabbitmq/`).

use super::input::RecordHeader;
use super::stamps::Retention;
use crate::cli::Stamp;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::EventTime;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The target as an input needs it.
pub(super) struct TargetRequest<'a> {
    /// `kafka://host:port[,…]/topic`, `rabbitmq://host/stream[,…]`.
    pub(super) uri: &'a str,
    /// `-X key=value`.
    pub(super) properties: &'a [(String, String)],
    /// How many the input has.
    pub(super) partitions: i32,
    /// Keys choose partitions, so the target may have fewer than the input.
    pub(super) by_key: bool,
    /// A target that is created keeps every record, however old its stamp is.
    pub(super) keeps: bool,
    /// Whose stamp records get.
    pub(super) stamp: Stamp,
}

/// A record as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputRecord<'a> {
    /// The input's partition; the target's too, unless keys choose it.
    pub(super) partition: i32,
    pub(super) key: Option<&'a [u8]>,
    /// None is a tombstone.
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: &'a [RecordHeader<'a>],
    /// None: the target gives it one.
    pub(super) stamp: Option<EventTime>,
}

/// Takes records, keeps trying what it was given, and reports what was acknowledged. The first record that is refused for good
/// ends it.
pub(super) trait RecordTarget {
    /// Its topic, for messages.
    fn topic(&self) -> &str;

    /// How long it keeps a record, by its stamp.
    fn retention(&self) -> Retention;

    /// Takes a record over; waits while there is no room for it, unless `stop` is set.
    ///
    /// # Errors
    /// When this record, or one before it, was refused for good.
    fn send(&self, record: &OutputRecord<'_>, stop: &AtomicBool) -> Result<(), Halt>;

    /// Says on stderr where records were not acknowledged for some seconds.
    ///
    /// # Errors
    /// When a record was refused for good.
    fn check(&self) -> Result<(), Halt>;

    /// Waits at most `timeout` for the last answers; returns how many records were acknowledged.
    ///
    /// # Errors
    /// When not all that were taken over are acknowledged.
    fn finish(&self, timeout: Duration) -> Result<u64, Halt>;

    /// How many records were acknowledged, by partition of the target.
    fn acknowledged_by_partition(&self) -> BTreeMap<i32, u64>;
}
