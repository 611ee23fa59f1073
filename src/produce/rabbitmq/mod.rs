//! RabbitMQ streams as a target: partition n of the input is stream n. The server confirms each record once it is stored; what it
//! has not confirmed when a connection is lost, or for a time, is written again, in order. AMQP cannot say which of these the server had
//! stored without saying so, so such a record may be there twice.

mod error;
mod streams;
mod writer;

use super::stamps::Retention;
use super::target::{OutputRecord, RecordTarget, TargetRequest};
use crate::cli::Stamp;
use crate::rabbitmq::{KEY_HEADER, MILLIS_HEADER, address, runtime};
use crate::uri::redacted;
use error::StreamWriteError;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, FieldTable, LongString};
use minutely_dataflows::edge::Halt;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use writer::{OutgoingRecord, Writer};

/// Is this an address of streams?
pub(super) fn is_address(uri: &str) -> bool {
    uri.starts_with("rabbitmq:") || uri.starts_with("rabbitmqs:")
}

/// All mistakes of the address and of the options with it.
pub(super) fn validate(uri: &str, properties: &[(String, String)], stamp: Option<Stamp>) -> Vec<String> {
    let mut mistakes = address(uri).err().unwrap_or_default();
    let shown = redacted(uri);
    if let Some((key, _)) = properties.first() {
        mistakes.push(format!("-X {key}=… is a property of Kafka's client, but the target is `{shown}`: leave it out"));
    }
    if stamp == Some(Stamp::Broker) {
        mistakes.push(format!("--stamp broker: `{shown}` gives records no stamps; --stamp now stamps them here"));
    }
    mistakes
}

/// Writes to streams.
pub(super) struct StreamWriter {
    name: String,
    streams: Vec<String>,
    /// By the hash of the key; records without a key go to the stream of their partition.
    by_key: bool,
    writer: Mutex<Writer>,
    runtime: Runtime,
}

impl StreamWriter {
    /// Connects, and creates the streams that are not there.
    ///
    /// # Errors
    /// When the server does not answer within `timeout`, or a stream cannot be used.
    pub(super) fn open(request: &TargetRequest<'_>, timeout: Duration) -> Result<Self, StreamWriteError> {
        let found = address(request.uri).map_err(StreamWriteError::Mistakes)?;
        let target = found.target().map_err(|mistake| StreamWriteError::Mistakes(vec![mistake]))?;
        let runtime = runtime().map_err(|source| StreamWriteError::Thread { source })?;
        let mut writer = Writer::new(redacted(request.uri), target);
        let streams = runtime.block_on(writer.open(&found.streams, request, timeout))?;
        let name = found.streams.join(",");
        Ok(StreamWriter { name, streams, by_key: request.by_key, writer: Mutex::new(writer), runtime })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream_of(&self, record: &OutputRecord<'_>) -> usize {
        let count = self.streams.len().max(1);
        let own = usize::try_from(record.partition).unwrap_or(0);
        match record.key.filter(|_| self.by_key) {
            Some(key) => {
                let hash = xxhash_rust::xxh3::xxh3_64(key) % u64::try_from(count).unwrap_or(u64::MAX);
                usize::try_from(hash).unwrap_or(0)
            }
            None => own % count,
        }
    }
}

impl RecordTarget for StreamWriter {
    fn topic(&self) -> &str {
        &self.name
    }

    fn retention(&self) -> Retention {
        Retention::Whatever // a stream's retention is by the time of writing
    }

    fn send(&self, record: &OutputRecord<'_>, stop: &AtomicBool) -> Result<(), Halt> {
        let at = self.stream_of(record);
        let stream = self.streams.get(at).cloned().unwrap_or_default();
        let payload = record.payload.unwrap_or_default().to_vec();
        let number = i32::try_from(at).unwrap_or(i32::MAX);
        let outgoing = OutgoingRecord::new(stream, number, payload, properties(record));
        Ok(self.runtime.block_on(self.writer().send(outgoing, stop))?)
    }

    fn check(&self) -> Result<(), Halt> {
        let mut writer = self.writer();
        self.runtime.block_on(writer.advance())?;
        writer.report_silence();
        Ok(())
    }

    fn finish(&self, timeout: Duration) -> Result<u64, Halt> {
        Ok(self.runtime.block_on(self.writer().finish(timeout))?)
    }

    fn acknowledged_by_partition(&self) -> BTreeMap<i32, u64> {
        self.writer().by_stream.clone()
    }
}

/// Key and stamp as the source reads them again, and the record's own headers.
fn properties(record: &OutputRecord<'_>) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in record.headers {
        if let Ok(name) = lapin::types::ShortString::try_new(*name) {
            table.insert(name, bytes(value));
        }
    }
    if let Some(key) = record.key {
        table.insert(KEY_HEADER.into(), bytes(key));
    }
    let mut properties = BasicProperties::default();
    if let Some(stamp) = record.stamp {
        table.insert(MILLIS_HEADER.into(), AMQPValue::LongLongInt(stamp.0.div_euclid(1_000_000)));
        if let Ok(seconds) = u64::try_from(stamp.0.div_euclid(1_000_000_000)) {
            properties = properties.with_timestamp(seconds);
        }
    }
    if table.inner().is_empty() { properties } else { properties.with_headers(table) }
}

/// Text where it is text, so that other clients show it as such.
fn bytes(value: &[u8]) -> AMQPValue {
    match std::str::from_utf8(value) {
        Ok(text) => AMQPValue::LongString(LongString::from(text)),
        Err(_) => AMQPValue::ByteArray(ByteArray::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::time::EventTime;

    #[test]
    fn key_and_stamp_are_headers() {
        let headers: [(&str, &[u8]); 1] = [("feed", b"\xff")];
        let stamp = Some(EventTime(1_700_000_000_123_456_789));
        let record = OutputRecord { partition: 0, key: Some(b"AAPL"), payload: None, headers: &headers, stamp };
        let made = properties(&record);
        let table = made.headers().as_ref().unwrap().inner();
        assert_eq!(table.get(KEY_HEADER), Some(&AMQPValue::LongString("AAPL".into())));
        assert_eq!(table.get(MILLIS_HEADER), Some(&AMQPValue::LongLongInt(1_700_000_000_123)));
        assert_eq!(table.get("feed"), Some(&AMQPValue::ByteArray(ByteArray::from(&b"\xff"[..]))));
        assert_eq!(made.timestamp(), &Some(1_700_000_000));
    }

    #[test]
    fn what_only_kafka_has_is_refused() {
        let properties = [("linger.ms".to_owned(), "5".to_owned())];
        let mistakes = validate("rabbitmq://h/t", &properties, Some(Stamp::Broker));
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(mistakes[0].contains("-X linger.ms") && mistakes[1].contains("--stamp now"), "{mistakes:?}");
        assert!(is_address("rabbitmqs://h/t") && !is_address("kafka://h:1/t"));
    }
}
