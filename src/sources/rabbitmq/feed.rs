//! One stream, consumed from its next offset on, and again from there whenever the connection was lost.
//!
//! Where it begins again it begins with the record that came last, and compares: a stream that was made again in the meantime, or
//! restored from elsewhere, is told by that. The server delivers the next record that it has where retention has deleted the
//! one that is wanted, without a word: so each offset that does not follow the one before is looked into. If the stream begins
//! behind what is wanted, records are gone, which ends the run. If it begins before, the offset holds no record: streams
//! keep the offsets of their consumers in the log, too.
//!
//! Acknowledgements follow what the reader has handed out, so no more than `--fetch-memory` allows is on its way. The server
//! counts records, not bytes, and hands over whole chunks: where records are so large that too many bytes came, the feed waits for the
//! reader and begins again with fewer.

use super::error::RabbitSourceError;
use super::link::ServerLink;
use super::look::{self, LookError};
use super::queue::{FeedQueue, StreamedRecord};
use crate::rabbitmq::RequestFailure;
use crate::threads::Backoff;
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicQosOptions};
use lapin::{Channel, Connection, Consumer};
use minutely_dataflows::edge::Discovered;
use minutely_dataflows::record::LastRecord;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that a record may have, for all records on their way to fit into the memory for them.
const LARGE: u64 = 32_768;
/// More records on their way are of no use.
const MOST_PREFETCH: u16 = 4000;
/// Attempts in a row that find a stream shorter than what was read of it, before that ends the run: a replica may lag.
const MOST_SHORT: u32 = 4;
/// For how long they must have found that: a server that has just begun again is slow to say what it has.
const SHORT_FOR: Duration = Duration::from_secs(15);

/// How long a request of a session may take; lapin's may wait for ever when their connection is lost meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks whether the connection is there: a consumer is not always told that it is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a feed reads.
#[derive(Clone, Debug)]
pub(super) struct FeedOptions {
    pub(super) queue: String,
    pub(super) partition: Discovered,
    /// Bytes that may wait for the reader.
    pub(super) memory: u64,
}

/// How many records may be on their way.
pub(super) fn prefetch(memory: u64) -> u16 {
    u16::try_from(memory / LARGE).unwrap_or(u16::MAX).clamp(1, MOST_PREFETCH)
}

/// How a session ended without a failure.
enum SessionEnd {
    /// There is nothing more to do.
    Done,
    /// Too many bytes wait.
    TooMuch(u64),
    /// The server has ended it: the stream was deleted, or its leader has changed.
    Cancelled,
}

/// Why a session failed.
enum SessionError {
    Halt(RabbitSourceError),
    Lost(RequestFailure),
}

impl From<LookError> for SessionError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Failed(failure) => SessionError::Lost(failure),
            not_a_stream @ LookError::NotAStream(_) => SessionError::Halt(not_a_stream.into()),
        }
    }
}

impl From<lapin::Error> for SessionError {
    fn from(error: lapin::Error) -> Self {
        SessionError::Lost(error.into())
    }
}

/// The feed of one stream.
pub(super) struct StreamFeed {
    link: Arc<ServerLink>,
    queue: Arc<FeedQueue>,
    options: FeedOptions,
    prefetch: u16,
    next: i64,
    /// The record that came last.
    last: Option<LastRecord>,
    session: u64,
    /// Attempts in a row that found the stream too short, and since when.
    short: u32,
    short_since: Instant,
}

impl StreamFeed {
    pub(super) fn new(link: Arc<ServerLink>, queue: Arc<FeedQueue>, options: FeedOptions) -> Self {
        let (prefetch, next) = (prefetch(options.memory), options.partition.start.0);
        StreamFeed {
            link,
            queue,
            options,
            prefetch,
            next,
            last: None,
            session: 0,
            short: 0,
            short_since: Instant::now(),
        }
    }

    /// Feeds until the reader is gone, the recorded end is reached, or the stream cannot be read.
    pub(super) async fn run(mut self) {
        let fresh = || Backoff::with_jitter(Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = fresh();
        while !self.queue.is_stopped() && !self.is_at_end() {
            self.session += 1;
            let before = self.next;
            let ended = self.session().await;
            if self.next > before {
                backoff = fresh();
            }
            match ended {
                Ok(SessionEnd::Done) => return,
                Ok(SessionEnd::TooMuch(bytes)) => {
                    let fewer = u64::from(self.prefetch) * self.options.memory / bytes.max(1) / 2;
                    self.prefetch = u16::try_from(fewer).unwrap_or(u16::MAX).clamp(1, self.prefetch);
                    self.wait_for_room().await;
                    continue;
                }
                Ok(SessionEnd::Cancelled) => {}
                Err(SessionError::Lost(RequestFailure::NotFound)) => {
                    let stream = self.options.queue.clone();
                    return self.queue.halt(RabbitSourceError::Deleted { stream }.into());
                }
                Err(SessionError::Lost(failure)) => self.link.note(&failure),
                Err(SessionError::Halt(error)) => return self.queue.halt(error.into()),
            }
            self.pause(backoff.next()).await;
        }
    }

    async fn pause(&self, time: Duration) {
        let stopped = async {
            while !self.queue.is_stopped() {
                self.queue.changed.notified().await;
            }
        };
        drop(tokio::time::timeout(time, stopped).await);
    }

    async fn wait_for_room(&self) {
        while self.queue.bytes() > self.options.memory / 2 && !self.queue.is_stopped() {
            self.queue.changed.notified().await;
        }
    }

    fn is_at_end(&self) -> bool {
        self.options.partition.end.is_some_and(|end| self.next >= end)
    }

    /// Consumes until something ends it.
    async fn session(&mut self) -> Result<SessionEnd, SessionError> {
        self.refuse_a_shorter_stream().await?;
        let from = self.last.map_or(self.next, |last| last.offset);
        let begin = async {
            let connection = self.link.connection().await.map_err(SessionError::Lost)?;
            let channel = connection.create_channel().await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let consumer = look::consume(&channel, &self.options.queue, look::from_offset(from)).await?;
            Ok::<_, SessionError>((connection, channel, consumer))
        };
        let (connection, channel, mut consumer) = in_time(begin).await?;
        self.link.note_progress();
        let ended = self.consume(&connection, &channel, &mut consumer).await;
        if ended.is_ok() && in_time(async { Ok(channel.close(200, "done".into()).await?) }).await.is_err() {
            tracing::debug!("rabbitmq: a channel was not closed in order");
        }
        ended
    }

    /// The server would wait for the next record of a stream that ends before the wanted one, and deliver that.
    async fn refuse_a_shorter_stream(&mut self) -> Result<(), SessionError> {
        let Some(last) = self.last else { return Ok(()) };
        let end = look::end(&self.link, &self.options.queue).await?;
        if end > last.offset {
            self.short = 0;
            return Ok(());
        }
        if self.short == 0 {
            self.short_since = Instant::now();
        }
        self.short += 1;
        if self.short >= MOST_SHORT && self.short_since.elapsed() >= SHORT_FOR {
            let partition = self.options.partition.name.clone();
            return Err(SessionError::Halt(RabbitSourceError::CutOff { partition, offset: last.offset }));
        }
        let why = format!("stream '{}' ends at {end}, and offset {} was read before", self.options.queue, last.offset);
        Err(SessionError::Lost(RequestFailure::Lost(why)))
    }

    async fn consume(
        &mut self,
        connection: &Arc<Connection>,
        channel: &Channel,
        consumer: &mut Consumer,
    ) -> Result<SessionEnd, SessionError> {
        let mut to_compare = self.last;
        let (mut received, mut acknowledged) = (0, 0);
        let queue = Arc::clone(&self.queue);
        loop {
            tokio::select! {
                delivery = consumer.next() => {
                    let Some(delivery) = delivery else { return Ok(SessionEnd::Cancelled) };
                    let queue = || LookError::NotAStream(self.options.queue.clone());
                    let record = look::record(delivery?, self.session).ok_or_else(queue)?;
                    received = record.tag;
                    let is_known = match to_compare.take() {
                        Some(last) => self.is_last_one(&last, &record)?,
                        None => false,
                    };
                    if !is_known && let Some(ended) = self.take(record).await? {
                        return Ok(ended);
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if !channel.status().connected() || !self.link.is_current(connection) {
                        return Err(SessionError::Lost(RequestFailure::Lost("the connection was lost".to_owned())));
                    }
                }
                () = queue.changed.notified() => {
                    if queue.is_stopped() {
                        return Ok(SessionEnd::Done);
                    }
                }
            }
            // What the reader has, or all, where it has nothing to wait for: the record that was only compared is room, too.
            let taken = if queue.bytes() == 0 { received } else { queue.taken(self.session) };
            if taken > acknowledged {
                acknowledged = taken;
                in_time(async { Ok(channel.basic_ack(taken, BasicAckOptions { multiple: true }).await?) }).await?;
            }
        }
    }

    /// Is this the record that came last, before the connection was lost?
    fn is_last_one(&self, last: &LastRecord, record: &StreamedRecord) -> Result<bool, SessionError> {
        if record.last.offset > last.offset {
            return Ok(false); // retention took it; what it took behind it is looked into
        }
        if record.last.is(last) {
            return Ok(true);
        }
        let partition = self.options.partition.name.clone();
        Err(SessionError::Halt(RabbitSourceError::AnotherStream { partition, offset: record.last.offset }))
    }

    /// Takes the next record over.
    async fn take(&mut self, record: StreamedRecord) -> Result<Option<SessionEnd>, SessionError> {
        let offset = record.last.offset;
        if offset < self.next {
            let partition = self.options.partition.name.clone();
            return Err(SessionError::Halt(RabbitSourceError::CutOff { partition, offset: self.next - 1 }));
        }
        if offset > self.next {
            self.look_into_gap().await?;
        }
        if let Some(end) = self.options.partition.end.filter(|end| offset >= *end) {
            self.next = end;
            self.queue.pass(end);
            return Ok(Some(SessionEnd::Done));
        }
        self.next = offset + 1;
        self.last = Some(record.last);
        let bytes = self.queue.push(record);
        Ok(match bytes {
            _ if self.is_at_end() => Some(SessionEnd::Done),
            bytes if bytes > self.options.memory && self.prefetch > 1 => Some(SessionEnd::TooMuch(bytes)),
            _ => None,
        })
    }

    /// Refuses to go on where the stream does not hold the next offset any more.
    async fn look_into_gap(&self) -> Result<(), SessionError> {
        let first = look::first(&self.link, &self.options.queue).await?;
        match first.map(|record| record.last.offset) {
            Some(first) if first > self.next => Err(SessionError::Halt(RabbitSourceError::Expired {
                partition: self.options.partition.name.clone(),
                wanted: self.next,
                first,
            })),
            _ => Ok(()),
        }
    }
}

/// What a request answers, or that it took too long.
async fn in_time<T>(request: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
    let late = || SessionError::Lost(RequestFailure::Lost(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())));
    tokio::time::timeout(REQUEST_TIMEOUT, request).await.unwrap_or_else(|_| Err(late()))
}
