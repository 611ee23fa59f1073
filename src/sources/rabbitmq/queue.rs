//! Records on their way from a feed to its reader.

use crate::rabbitmq::{KEY_HEADER, MILLIS_HEADER, OFFSET_HEADER};
use crate::threads::lock;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use minutely_dataflows::edge::{Halt, Wake};
use minutely_dataflows::record::{LastRecord, Record};
use minutely_dataflows::time::EventTime;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

/// Bytes that a record takes beside its key and payload.
const OVERHEAD: usize = 160;

/// A record as it was delivered.
#[derive(Clone, Debug)]
pub(super) struct StreamedRecord {
    /// Its offset, and what tells it from another at the same.
    pub(super) last: LastRecord,
    timestamp: Option<EventTime>,
    key: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    /// In which session of its feed it came, and its number there.
    session: u64,
    pub(super) tag: u64,
}

impl StreamedRecord {
    /// None, where the delivery has no offset: it is not of a stream then.
    ///
    /// Its key is the header `key`, else, of a record that came through an exchange, its routing key. Its stamp is the header
    /// `timestamp_in_ms`, else the property `timestamp`, of whole seconds.
    pub(super) fn of(delivery: Delivery, session: u64) -> Option<Self> {
        let Delivery { delivery_tag, exchange, routing_key, properties, data, .. } = delivery;
        let headers = properties.headers().as_ref();
        let offset = headers.and_then(|headers| number(headers, OFFSET_HEADER))?;
        let key = headers.and_then(|headers| bytes(headers, KEY_HEADER));
        let key = key.or_else(|| (!exchange.as_str().is_empty()).then(|| routing_key.as_str().as_bytes().to_vec()));
        let millis = headers.and_then(|headers| number(headers, MILLIS_HEADER));
        let seconds = || properties.timestamp().as_ref().and_then(|seconds| i64::try_from(*seconds).ok());
        let nanos = match millis {
            Some(millis) => millis.checked_mul(1_000_000),
            None => seconds().and_then(|seconds| seconds.checked_mul(1_000_000_000)),
        };
        let timestamp = nanos.map(EventTime);
        let parts =
            Record { offset, append_time: None, timestamp, key: key.as_deref(), payload: Some(&data), cut_from: None };
        let last = LastRecord::of(&parts);
        Some(StreamedRecord { last, timestamp, key, payload: data, session, tag: delivery_tag })
    }

    pub(super) fn record(&self) -> Record<'_> {
        Record {
            offset: self.last.offset,
            append_time: None, // the server's stamps are of chunks, and AMQP does not tell them
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            payload: Some(&self.payload),
            cut_from: None,
        }
    }

    /// Bytes that it takes in memory.
    pub(super) fn size(&self) -> u64 {
        let size = OVERHEAD + self.payload.len() + self.key.as_ref().map_or(0, Vec::len);
        u64::try_from(size).unwrap_or(u64::MAX)
    }
}

fn number(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::LongInt(number) => Some(i64::from(*number)),
        AMQPValue::LongUInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortInt(number) => Some(i64::from(*number)),
        AMQPValue::Timestamp(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn bytes(headers: &FieldTable, name: &str) -> Option<Vec<u8>> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.as_bytes().to_vec()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice().to_vec()),
        AMQPValue::ShortString(text) => Some(text.as_str().as_bytes().to_vec()),
        _ => None,
    }
}

/// The queue between one feed and its reader.
pub(super) struct FeedQueue {
    state: Mutex<QueueState>,
    /// Something was taken, or the feed is to stop.
    pub(super) changed: Notify,
    wake: Wake,
}

#[derive(Default)]
struct QueueState {
    records: VecDeque<StreamedRecord>,
    /// Of records that the reader has not handed out.
    bytes: u64,
    /// The next offset behind all that was pushed.
    passed: i64,
    /// What ends the run, behind the records.
    halted: Option<Halt>,
    /// Session and number of the last record that was handed out.
    taken: (u64, u64),
    stop: bool,
}

impl FeedQueue {
    pub(super) fn new(start: i64, wake: Wake) -> Self {
        let state = QueueState { passed: start, ..QueueState::default() };
        FeedQueue { state: Mutex::new(state), changed: Notify::new(), wake }
    }

    /// Of the feed. Returns the bytes that wait.
    pub(super) fn push(&self, record: StreamedRecord) -> u64 {
        let mut state = lock(&self.state);
        state.passed = record.last.offset + 1;
        state.bytes += record.size();
        let was_empty = state.records.is_empty();
        state.records.push_back(record);
        let bytes = state.bytes;
        drop(state);
        if was_empty {
            (self.wake)();
        }
        bytes
    }

    /// Of the feed: nothing before this offset is to come.
    pub(super) fn pass(&self, offset: i64) {
        lock(&self.state).passed = offset;
        (self.wake)();
    }

    /// Of the feed: it ends the run.
    pub(super) fn halt(&self, halt: Halt) {
        lock(&self.state).halted.get_or_insert(halt);
        (self.wake)();
    }

    pub(super) fn wake(&self) {
        (self.wake)();
    }

    pub(super) fn passed(&self) -> i64 {
        lock(&self.state).passed
    }

    pub(super) fn bytes(&self) -> u64 {
        lock(&self.state).bytes
    }

    /// The last record of this session that was handed out, by its number; 0 is none.
    pub(super) fn taken(&self, session: u64) -> u64 {
        let (of, tag) = lock(&self.state).taken;
        if of == session { tag } else { 0 }
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.state).stop
    }

    /// Of the reader: exchanges its empty buffer for what is there, and says what was passed with that.
    ///
    /// # Errors
    /// When the feed has ended the run, and there is no record before that.
    pub(super) fn fill(&self, buffer: &mut VecDeque<StreamedRecord>) -> Result<i64, Halt> {
        let mut state = lock(&self.state);
        std::mem::swap(&mut state.records, buffer);
        match &state.halted {
            Some(halt) if buffer.is_empty() => Err(halt.clone()),
            _ => Ok(state.passed),
        }
    }

    /// Of the reader: so many bytes were handed out, up to this record.
    pub(super) fn release(&self, bytes: u64, last: &StreamedRecord) {
        let mut state = lock(&self.state);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.taken = (last.session, last.tag);
        drop(state);
        self.changed.notify_one();
    }

    /// Of the reader: it is gone.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stop = true;
        state.records.clear();
        drop(state);
        self.changed.notify_one();
    }
}
