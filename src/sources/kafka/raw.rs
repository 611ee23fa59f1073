//! The one place with `unsafe`: what rdkafka's safe API lacks and this source needs. A queue per partition read in
//! batches, with a wake-up and the offset inside an end-of-partition event (the per-message path costs 1.6 times as
//! much), and three admin requests: ListOffsets with isolation, topics with their ids, and topics' configurations with
//! their errors (the safe API has an empty configuration where the broker refuses to tell it).
//!
//! Ownership: everything here holds or borrows the client it came from, so it is gone before that is, as it must be.

#![allow(unsafe_code, reason = "librdkafka's C interface; each use says why it is sound")]

use super::requests::{PartitionOffsets, RequestError, RequestWait, TopicConfigs, TopicDescription};
use crate::kafka::{ConsumerClient, RequestClient};
use minutely_dataflows::{edge::Wake, record::Record, time::EventTime};
use rdkafka::bindings as c;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, CString, c_char, c_void};
use std::time::{Duration, Instant};
use std::{marker::PhantomData, ptr, sync::Arc};

/// Messages taken from librdkafka at once.
pub(super) const BATCH: usize = 1024;

/// One partition's own queue, and the batch that is being handed out of it.
pub(super) struct PartitionQueue {
    queue: *mut c::rd_kafka_queue_t,
    wake: *mut Wake,
    /// `messages[at..filled]` are owned and not handed out yet; the one before `at` is destroyed with the next step.
    messages: Box<[*mut c::rd_kafka_message_t; BATCH]>,
    at: usize,
    filled: usize,
    _consumer: Arc<ConsumerClient>, // last: outlives the queue and its messages
}

impl PartitionQueue {
    /// The queue of this partition, apart from the consumer's own queue from now on. To be called before the partition
    /// is assigned, so that nothing is delivered elsewhere. None: librdkafka refuses the name or number.
    pub(super) fn new(consumer: &Arc<ConsumerClient>, topic: &str, partition: i32, wake: Wake) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: client and name live throughout the call, which copies the name.
        let queue =
            unsafe { c::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition) };
        if queue.is_null() {
            return None;
        }
        let wake = Box::into_raw(Box::new(wake));
        // SAFETY: the queue is ours until `drop`. Forwarding to nothing marks it so that `assign` does not forward it to
        // the consumer's queue. The callback's argument stays valid until `drop` has taken the callback away.
        unsafe {
            c::rd_kafka_queue_forward(queue, ptr::null_mut());
            c::rd_kafka_queue_cb_event_enable(queue, Some(on_nonempty), wake.cast());
        }
        let messages = Box::new([ptr::null_mut(); BATCH]);
        Some(PartitionQueue { queue, wake, messages, at: 0, filled: 0, _consumer: Arc::clone(consumer) })
    }

    /// Takes at most `max` messages and events, what is there now, and says how many. Fewer than asked for: the queue
    /// was empty, so the wake-up will come. What the last call brought must be handed out (or is dropped).
    pub(super) fn fill(&mut self, max: usize) -> usize {
        while self.next().is_some() {}
        // SAFETY: room for BATCH pointers; librdkafka writes as many as it returns and gives each to us to destroy.
        let taken = unsafe {
            c::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr().cast(), max.min(BATCH))
        };
        self.at = 0;
        self.filled = usize::try_from(taken).unwrap_or(0);
        self.filled
    }

    /// The next message of the batch; lent until the next call, which destroys it: librdkafka's allocator likes that soon,
    /// while it is in the cache.
    pub(super) fn next(&mut self) -> Option<QueuedMessage<'_>> {
        if let Some(lent) = self.at.checked_sub(1).map(|lent| &mut self.messages[lent])
            && !lent.is_null()
        {
            // SAFETY: the batch owns it, nothing borrows it (`&mut self`), and it is nulled, so not destroyed twice.
            unsafe { c::rd_kafka_message_destroy(std::mem::replace(lent, ptr::null_mut())) };
        }
        let message = *self.messages[..self.filled].get(self.at)?;
        self.at += 1;
        // SAFETY: what is not handed out yet is alive.
        let more = self.messages[self.at..self.filled].first().is_some_and(|next| unsafe { code(*next) } == 0);
        Some(QueuedMessage { message, more, _lent: PhantomData })
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        while self.next().is_some() {}
        // SAFETY: librdkafka calls back under the queue's lock, which taking the callback away needs too: after that no
        // call is under way, and its argument can go. The queue is ours, and the consumer still lives.
        unsafe {
            c::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            drop(Box::from_raw(self.wake));
            c::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Called by librdkafka, on its threads, when the queue is no longer empty.
unsafe extern "C" fn on_nonempty(_client: *mut c::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: it is the box of a `PartitionQueue` that is alive (see `drop`), and a `Wake` may be called anywhere.
    unsafe { (*wake.cast::<Wake>())() }
}

/// Its error, 0 for a record. A number: a code that a newer broker sends may not be in the enum.
///
/// # Safety
/// The message is alive.
unsafe fn code(message: *mut c::rd_kafka_message_t) -> i32 {
    // SAFETY: as promised by the caller.
    unsafe { (&raw const (*message).err).cast::<i32>().read() }
}

/// A message, or an event of its partition.
pub(super) struct QueuedMessage<'a> {
    message: *mut c::rd_kafka_message_t,
    /// Another record follows it in its batch.
    pub(super) more: bool,
    _lent: PhantomData<&'a mut PartitionQueue>,
}

impl<'a> QueuedMessage<'a> {
    /// What kind of event, if it is no record.
    pub(super) fn event(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: lent and alive.
        let code = unsafe { code(self.message) };
        (code != 0).then(|| RDKafkaRespErr::try_from(code).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from))
    }

    /// The record's offset; of an end-of-partition event, the position of the fetcher.
    pub(super) fn offset(&self) -> i64 {
        // SAFETY: lent and alive.
        unsafe { (*self.message).offset }
    }

    /// What librdkafka says about the event.
    pub(super) fn text(&self) -> String {
        // SAFETY: lent and alive; the text belongs to the message or is static, and is copied here.
        unsafe { text_of(c::rd_kafka_message_errstr(self.message)) }
    }

    /// The record, borrowed.
    pub(super) fn record(&self) -> Record<'a> {
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: lent and alive for 'a; a pointer that is not null has as many bytes as its length says.
        unsafe {
            let stamp_ms = c::rd_kafka_message_timestamp(self.message, &mut kind);
            let appended = kind == c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
            let known = kind != c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let stamp = EventTime(stamp_ms.saturating_mul(1_000_000));
            Record {
                offset: (*self.message).offset,
                append_time: appended.then_some(stamp),
                timestamp: known.then_some(stamp),
                key: bytes((*self.message).key, (*self.message).key_len),
                payload: bytes((*self.message).payload, (*self.message).len),
                cut_from: None,
            }
        }
    }

    /// Under which leader it was appended; -1: the broker did not say.
    pub(super) fn leader_epoch(&self) -> i32 {
        // SAFETY: lent and alive.
        unsafe { c::rd_kafka_message_leader_epoch(self.message) }
    }
}

/// # Safety
/// `start` is null, or has `len` bytes that live for 'a.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as promised.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text_of(text: *const c_char) -> String {
    // SAFETY: as promised by the caller.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// An answered request; destroyed with what it holds.
struct AdminEvent(*mut c::rd_kafka_event_t);

impl Drop for AdminEvent {
    fn drop(&mut self) {
        // SAFETY: it is ours, once.
        unsafe { c::rd_kafka_event_destroy(self.0) }
    }
}

/// Sends one admin request and waits for its answer.
fn request(
    client: &RequestClient,
    wait: &RequestWait<'_>,
    api: c::rd_kafka_admin_op_t,
    committed: bool,
    send: impl FnOnce(*mut c::rd_kafka_t, *mut c::rd_kafka_AdminOptions_t, *mut c::rd_kafka_queue_t),
) -> Result<AdminEvent, RequestError> {
    let rk = client.native_ptr();
    let timeout = i32::try_from(wait.timeout.as_millis()).unwrap_or(i32::MAX).clamp(1, 3_600_000);
    let deadline = Instant::now() + wait.timeout + Duration::from_secs(1); // librdkafka's own time-out comes first
    // SAFETY: options and queue are made, used and destroyed here, while the client is borrowed; `send` copies what it
    // is given. A request given up has its answer destroyed with the queue. Events are ours.
    let event = unsafe {
        let options = c::rd_kafka_AdminOptions_new(rk, api);
        c::rd_kafka_AdminOptions_set_request_timeout(options, timeout, ptr::null_mut(), 0);
        if committed {
            let level = c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
            c::rd_kafka_error_destroy(c::rd_kafka_AdminOptions_set_isolation_level(options, level));
        }
        let queue = c::rd_kafka_queue_new(rk);
        send(rk, options, queue);
        let mut event: *mut c::rd_kafka_event_t = ptr::null_mut();
        while event.is_null() && (wait.meanwhile)() && Instant::now() < deadline {
            event = c::rd_kafka_queue_poll(queue, 100);
        }
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_AdminOptions_destroy(options);
        event
    };
    if event.is_null() {
        return Err(RequestError { code: RDKafkaErrorCode::OperationTimedOut, text: "no answer in time".into() });
    }
    let event = AdminEvent(event);
    // SAFETY: the event lives, its text is copied.
    let (code, text) =
        unsafe { (c::rd_kafka_event_error(event.0).into(), text_of(c::rd_kafka_event_error_string(event.0))) };
    if code == RDKafkaErrorCode::NoError { Ok(event) } else { Err(RequestError { code, text }) }
}

/// `count` pointers of an answer as a slice.
///
/// # Safety
/// `get` returns null, or a start with as many entries as it writes, which outlive 'a.
unsafe fn items<'a, T>(get: impl FnOnce(*mut usize) -> *mut *const T) -> &'a [*const T] {
    let mut count = 0;
    let start = get(&mut count);
    // SAFETY: as promised by the caller.
    if start.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(start, count) } }
}

/// ListOffsets for all of these partitions: `End` is their end (under `committed`, the last stable offset),
/// `Beginning` their start, `Offset(ms)` the first record stamped then or later, -1 if there is none.
pub(super) fn list_offsets(
    client: &RequestClient,
    wait: &RequestWait<'_>,
    partitions: impl Iterator<Item = (String, i32, Offset)>,
    committed: bool,
) -> Result<PartitionOffsets, RequestError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, what) in partitions {
        list.add_partition_offset(&topic, partition, what)
            .map_err(|error| RequestError { code: RDKafkaErrorCode::InvalidArgument, text: error.to_string() })?;
    }
    let api = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    // SAFETY: the list lives throughout the call, which copies it.
    let event = request(client, wait, api, committed, |rk, options, queue| unsafe {
        c::rd_kafka_ListOffsets(rk, list.ptr(), options, queue);
    })?;
    // SAFETY: everything read belongs to the event and is copied before it is dropped.
    unsafe {
        let infos = items(|n| c::rd_kafka_ListOffsets_result_infos(c::rd_kafka_event_ListOffsets_result(event.0), n));
        let answers = infos.iter().map(|&info| {
            let answer = &*c::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
            let code = RDKafkaErrorCode::from(answer.err);
            let offset = if code == RDKafkaErrorCode::NoError { Ok(answer.offset) } else { Err(code) };
            ((text_of(answer.topic), answer.partition), offset)
        });
        Ok(answers.collect())
    }
}

/// Describes these topics.
pub(super) fn describe_topics(
    client: &RequestClient,
    wait: &RequestWait<'_>,
    names: &[String],
) -> Result<Vec<TopicDescription>, RequestError> {
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let api = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: the names live throughout the calls, which copy them; the collection is destroyed once.
    let event = request(client, wait, api, false, |rk, options, queue| unsafe {
        let topics = c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        c::rd_kafka_DescribeTopics(rk, topics, options, queue);
        c::rd_kafka_TopicCollection_destroy(topics);
    })?;
    // SAFETY: everything read belongs to the event and is copied before it is dropped.
    unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(event.0);
        let number = |&one: &_| c::rd_kafka_TopicPartitionInfo_partition(one);
        let described = items(|count| c::rd_kafka_DescribeTopics_result_topics(result, count)).iter().map(|&topic| {
            let code = RDKafkaErrorCode::from(c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(topic)));
            let all = items(|count| c::rd_kafka_TopicDescription_partitions(topic, count)).iter();
            let leaderless = all.clone().filter(|&&one| c::rd_kafka_TopicPartitionInfo_leader(one).is_null());
            TopicDescription {
                name: text_of(c::rd_kafka_TopicDescription_name(topic)),
                id: text_of(c::rd_kafka_Uuid_base64str(c::rd_kafka_TopicDescription_topic_id(topic))),
                leaderless: leaderless.map(number).collect(),
                partitions: if code == RDKafkaErrorCode::NoError { Ok(all.map(number).collect()) } else { Err(code) },
            }
        });
        Ok(described.collect())
    }
}

/// What these topics are set to.
pub(super) fn describe_configs(
    client: &RequestClient,
    wait: &RequestWait<'_>,
    names: &[String],
) -> Result<TopicConfigs, RequestError> {
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
    let (api, topic) = (
        c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
        c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
    );
    // SAFETY: the names live throughout the calls, which copy them and the resources; those are destroyed once.
    let event = request(client, wait, api, false, |rk, options, queue| unsafe {
        let mut topics: Vec<_> =
            names.iter().map(|name| c::rd_kafka_ConfigResource_new(topic, name.as_ptr())).collect();
        c::rd_kafka_DescribeConfigs(rk, topics.as_mut_ptr(), topics.len(), options, queue);
        c::rd_kafka_ConfigResource_destroy_array(topics.as_mut_ptr(), topics.len());
    })?;
    // SAFETY: everything read belongs to the event and is copied before it is dropped.
    unsafe {
        let result = c::rd_kafka_event_DescribeConfigs_result(event.0);
        let topics = items(|count| c::rd_kafka_DescribeConfigs_result_resources(result, count));
        let described = topics.iter().map(|&topic| {
            let code = RDKafkaErrorCode::from(c::rd_kafka_ConfigResource_error(topic));
            let entries = items(|count| c::rd_kafka_ConfigResource_configs(topic, count)).iter();
            let entries =
                entries.map(|&entry| (c::rd_kafka_ConfigEntry_name(entry), c::rd_kafka_ConfigEntry_value(entry)));
            let known = entries.filter(|(_, value)| !value.is_null());
            let config = known.map(|(name, value)| (text_of(name), text_of(value))).collect();
            let name = text_of(c::rd_kafka_ConfigResource_name(topic));
            (name, if code == RDKafkaErrorCode::NoError { Ok(config) } else { Err(code) })
        });
        Ok(described.collect())
    }
}
