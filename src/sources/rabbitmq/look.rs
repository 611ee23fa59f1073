//! What a stream holds at a place: its first record, the record at an offset, or its end. AMQP 0.9.1 has no question for that, and the
//! count of messages that a passive declare answers is seconds old. So a look is a consumer that lives for as long as the
//! server needs to deliver what is there:
//!
//! ```text
//!  consume from `last` ─> consume from `next` ─> declare, passive ─> answer: all that is there was delivered before
//! ```
//!
//! The server hands over each chunk of the log as a whole and in order, by the channel's own process. The second consumer asks the
//! process that writes the stream, behind the first one's request to it, and the last question asks the channel: its answer comes
//! behind the deliveries of the last chunk. So the last record delivered is the last of the stream as of the question (checked
//! against 3.10.8, by `tests/real`). Where nothing came, a second question after [`EMPTY_WAIT`] asks again, before the stream
//! counts as empty.

use super::link::ServerLink;
use super::queue::StreamedRecord;
use crate::rabbitmq::{OFFSET_HEADER, RequestFailure};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use std::time::Duration;

/// How long a look may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stream that seems empty is looked at.
const EMPTY_WAIT: Duration = Duration::from_millis(150);
/// More than a chunk has records.
const WHOLE_CHUNK: u16 = 20_000;

/// Why a look has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LookError {
    /// It takes no offset, or what was delivered has none. With the queue's name.
    NotAStream(String),
    Failed(RequestFailure),
}

impl From<RequestFailure> for LookError {
    fn from(failure: RequestFailure) -> Self {
        LookError::Failed(failure)
    }
}

impl From<lapin::Error> for LookError {
    fn from(error: lapin::Error) -> Self {
        LookError::Failed(error.into())
    }
}

/// Where a consumer begins.
pub(super) fn from_offset(offset: i64) -> AMQPValue {
    AMQPValue::LongLongInt(offset)
}

fn from_word(word: &str) -> AMQPValue {
    AMQPValue::LongString(word.into())
}

/// The first record of a stream; none, if it is empty.
pub(super) async fn first(link: &ServerLink, queue: &str) -> Result<Option<StreamedRecord>, LookError> {
    Ok(look(link, queue, from_word("first"), 1).await?.map(|(first, _)| first))
}

/// The first record at or behind an offset; none, if the stream ends before. The server answers with its first record where
/// the stream begins behind the offset.
pub(super) async fn at(link: &ServerLink, queue: &str, offset: i64) -> Result<Option<StreamedRecord>, LookError> {
    Ok(look(link, queue, from_offset(offset), 1).await?.map(|(first, _)| first))
}

/// The first record of the first chunk that was written at or behind this time, in seconds; none, if the stream ends before.
pub(super) async fn since(link: &ServerLink, queue: &str, seconds: u64) -> Result<Option<StreamedRecord>, LookError> {
    Ok(look(link, queue, AMQPValue::Timestamp(seconds), 1).await?.map(|(first, _)| first))
}

/// One past the last record of a stream.
pub(super) async fn end(link: &ServerLink, queue: &str) -> Result<i64, LookError> {
    Ok(look(link, queue, from_word("last"), WHOLE_CHUNK).await?.map_or(0, |(_, last)| last + 1))
}

/// The first record that is delivered from there on, and the last offset.
async fn look(
    link: &ServerLink,
    queue: &str,
    from: AMQPValue,
    prefetch: u16,
) -> Result<Option<(StreamedRecord, i64)>, LookError> {
    let looking = async {
        let connection = link.connection().await?;
        let channel = connection.create_channel().await?;
        let seen = look_on(&channel, queue, from, prefetch).await;
        if seen.is_ok()
            && let Err(error) = channel.close(200, "done".into()).await
        {
            tracing::debug!("rabbitmq: a channel was not closed in order: {error}");
        }
        seen
    };
    let late = || LookError::Failed(RequestFailure::Lost(format!("no answer within {} s", TIMEOUT.as_secs())));
    tokio::time::timeout(TIMEOUT, looking).await.unwrap_or_else(|_| Err(late()))
}

async fn look_on(
    channel: &Channel,
    queue: &str,
    from: AMQPValue,
    prefetch: u16,
) -> Result<Option<(StreamedRecord, i64)>, LookError> {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let mut consumer = consume(channel, queue, from).await?;
    let _barrier = consume(channel, queue, from_word("next")).await?;
    let mut seen = None;
    for attempt in 0..2 {
        if attempt > 0 {
            tokio::time::sleep(EMPTY_WAIT).await;
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        while let Some(Some(delivery)) = consumer.next().now_or_never() {
            let record = record(delivery?, 0).ok_or_else(|| LookError::NotAStream(queue.to_owned()))?;
            let last = record.last.offset;
            seen = Some(seen.map_or((record, last), |(first, _)| (first, last)));
        }
        if seen.is_some() {
            break;
        }
    }
    Ok(seen)
}

/// Begins to consume. Without a bound on what is not acknowledged, the server would refuse.
pub(super) async fn consume(channel: &Channel, queue: &str, from: AMQPValue) -> Result<Consumer, LookError> {
    let mut arguments = FieldTable::default();
    arguments.insert(OFFSET_HEADER.into(), from);
    let begun = channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), arguments).await;
    begun.map_err(|error| match RequestFailure::from(error) {
        // of a queue of another type
        RequestFailure::Refused(why) if why.contains(OFFSET_HEADER) => LookError::NotAStream(queue.to_owned()),
        failure => LookError::Failed(failure),
    })
}

/// A delivery as a record; none, where it is not of a stream.
pub(super) fn record(delivery: Delivery, session: u64) -> Option<StreamedRecord> {
    StreamedRecord::of(delivery, session)
}
