//! What was written and is not confirmed yet, and the connection that it goes by.

use super::error::StreamWriteError;
use super::streams::{PrepareError, prepare};
use crate::console::say;
use crate::produce::target::TargetRequest;
use crate::rabbitmq::{RequestFailure, connect};
use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Records that wait for their confirmation, at most.
const MOST_WAITING: usize = 2000;
/// How long no record may be confirmed before that is an error.
const GIVE_UP: Duration = Duration::from_secs(120);
/// How long one confirmation is waited for before a signal is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two lines that say that nothing is confirmed.
const SILENCE: Duration = Duration::from_secs(5);

/// A record on its way.
pub(super) struct OutgoingRecord {
    stream: String,
    number: i32,
    payload: Vec<u8>,
    properties: BasicProperties,
    /// None: it is to be written, perhaps again.
    confirm: Option<PublisherConfirm>,
}

impl OutgoingRecord {
    pub(super) fn new(stream: String, number: i32, payload: Vec<u8>, properties: BasicProperties) -> Self {
        OutgoingRecord { stream, number, payload, properties, confirm: None }
    }
}

/// Writes records in their order.
pub(super) struct Writer {
    /// For messages.
    uri: String,
    target: AMQPUri,
    session: Option<(Connection, Channel)>,
    /// In the order in which they were taken over; those to be written come last.
    waiting: VecDeque<OutgoingRecord>,
    acknowledged: u64,
    pub(super) by_stream: BTreeMap<i32, u64>,
    /// When a record was last confirmed, or nothing waited.
    progressed: Instant,
    reported: Instant,
    /// Why the connection was lost last.
    last_failure: Option<String>,
}

impl Writer {
    pub(super) fn new(uri: String, target: AMQPUri) -> Self {
        Writer {
            uri,
            target,
            session: None,
            waiting: VecDeque::new(),
            acknowledged: 0,
            by_stream: BTreeMap::new(),
            progressed: Instant::now(),
            reported: Instant::now(),
            last_failure: None,
        }
    }

    /// Connects, and returns the streams that records go to.
    pub(super) async fn open(
        &mut self,
        names: &[String],
        request: &TargetRequest<'_>,
        timeout: Duration,
    ) -> Result<Vec<String>, StreamWriteError> {
        let deadline = Instant::now() + timeout;
        loop {
            let failure = match self.attempt(names, request).await {
                Ok(streams) => return Ok(streams),
                Err(PrepareError::Fatal(error)) => return Err(error),
                Err(PrepareError::Failed(failure)) => failure,
            };
            let why = match failure {
                RequestFailure::Denied(why) | RequestFailure::Refused(why) => {
                    return Err(StreamWriteError::Refused { uri: self.uri.clone(), why });
                }
                RequestFailure::NotFound => "a stream was deleted meanwhile".to_owned(),
                RequestFailure::Lost(why) => why,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(StreamWriteError::NoAnswer { uri: self.uri.clone(), seconds: timeout.as_secs(), why });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, names: &[String], request: &TargetRequest<'_>) -> Result<Vec<String>, PrepareError> {
        let connection = connect(&self.target).await?;
        let streams = prepare(&connection, names, request).await?;
        self.session = Some(session(connection).await?);
        Ok(streams)
    }

    /// Takes a record over; waits while too many are on their way, unless `stop` is set.
    pub(super) async fn send(&mut self, record: OutgoingRecord, stop: &AtomicBool) -> Result<(), StreamWriteError> {
        if self.waiting.is_empty() {
            self.progressed = Instant::now();
        }
        self.waiting.push_back(record);
        self.write().await?;
        while self.settle(Duration::ZERO).await? {}
        while self.waiting.len() >= MOST_WAITING && !stop.load(Ordering::Acquire) {
            self.settle(LOOK).await?;
            self.write().await?;
            self.report_silence();
        }
        Ok(())
    }

    /// Waits for all confirmations; returns how many records were confirmed.
    pub(super) async fn finish(&mut self, timeout: Duration) -> Result<u64, StreamWriteError> {
        let deadline = Instant::now() + timeout;
        while !self.waiting.is_empty() {
            self.write().await?;
            self.settle(LOOK).await?;
            self.report_silence();
            if Instant::now() >= deadline {
                return Err(self.not_acknowledged(timeout));
            }
        }
        if let Some((connection, _)) = self.session.take()
            && let Err(error) = connection.close(200, "done".into()).await
        {
            tracing::debug!("rabbitmq: the connection was not closed in order: {error}");
        }
        Ok(self.acknowledged)
    }

    fn not_acknowledged(&self, time: Duration) -> StreamWriteError {
        StreamWriteError::NotAcknowledged {
            uri: self.uri.clone(),
            seconds: time.as_secs(),
            why: self.last_failure.clone().unwrap_or_else(|| format!("{} records wait", self.waiting.len())),
            acknowledged: self.acknowledged,
        }
    }

    /// Writes what is to be written, as far as there is a connection.
    async fn write(&mut self) -> Result<(), StreamWriteError> {
        if self.session.is_none() && !self.connect_again().await? {
            return Ok(());
        }
        let Some((_, channel)) = &self.session else { return Ok(()) };
        let mut lost = None;
        let first = self.waiting.partition_point(|record| record.confirm.is_some());
        for record in self.waiting.iter_mut().skip(first) {
            // mandatory: a record that no stream takes comes back
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let (stream, properties) = (record.stream.as_str().into(), record.properties.clone());
            match channel.basic_publish("".into(), stream, options, &record.payload, properties).await {
                Ok(confirm) => record.confirm = Some(confirm),
                Err(error) => {
                    lost = Some(RequestFailure::from(error));
                    break;
                }
            }
        }
        lost.map_or(Ok(()), |failure| self.lose(failure))
    }

    /// One attempt.
    async fn connect_again(&mut self) -> Result<bool, StreamWriteError> {
        if self.progressed.elapsed() >= GIVE_UP {
            return Err(self.not_acknowledged(GIVE_UP));
        }
        let made = async { Ok::<_, RequestFailure>(session(connect(&self.target).await?).await?) };
        match made.await {
            Ok(session) => {
                self.session = Some(session);
                Ok(true)
            }
            Err(failure) => {
                self.lose(failure)?;
                tokio::time::sleep(PAUSE).await;
                Ok(false)
            }
        }
    }

    /// The connection is gone: all that is not confirmed is to be written again, in its order.
    fn lose(&mut self, failure: RequestFailure) -> Result<(), StreamWriteError> {
        self.session = None;
        self.waiting.iter_mut().for_each(|record| record.confirm = None);
        let why = match failure {
            RequestFailure::NotFound => "no such stream".to_owned(),
            RequestFailure::Denied(why) | RequestFailure::Refused(why) => {
                return Err(StreamWriteError::Refused { uri: self.uri.clone(), why });
            }
            RequestFailure::Lost(why) => why,
        };
        self.last_failure = Some(why);
        Ok(())
    }

    /// Waits at most so long for the confirmation of the record that was taken over first; says whether it came.
    async fn settle(&mut self, timeout: Duration) -> Result<bool, StreamWriteError> {
        let Some(record) = self.waiting.front_mut() else { return Ok(false) };
        let Some(confirm) = record.confirm.as_mut() else { return Ok(false) };
        let answer = match confirm.now_or_never() {
            Some(answer) => answer,
            None if timeout.is_zero() => return Ok(false),
            None => match tokio::time::timeout(timeout, confirm).await {
                Ok(answer) => answer,
                Err(_) => return Ok(false),
            },
        };
        let refused = |stream: &str, what: &str| StreamWriteError::RecordRefused {
            stream: stream.to_owned(),
            what: what.to_owned(),
            acknowledged: self.acknowledged,
        };
        match answer {
            Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => {
                let number = record.number;
                self.waiting.pop_front();
                self.acknowledged += 1;
                *self.by_stream.entry(number).or_default() += 1;
                self.progressed = Instant::now();
                Ok(true)
            }
            Ok(Confirmation::Ack(Some(_))) => {
                Err(refused(&record.stream, "it is not there any more, so a record came back"))
            }
            Ok(Confirmation::Nack(_)) => {
                Err(refused(&record.stream, "the server did not store a record, and says no more"))
            }
            Err(error) => {
                self.lose(error.into())?;
                Ok(false)
            }
        }
    }

    /// Says on stderr where nothing was confirmed for some seconds.
    pub(super) fn report_silence(&mut self) {
        let silent = self.progressed.elapsed();
        if !self.waiting.is_empty() && silent >= SILENCE && self.reported.elapsed() >= SILENCE {
            self.reported = Instant::now();
            let why = self.last_failure.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let (uri, waiting) = (&self.uri, self.waiting.len());
            say(&format!("{uri}: no record was acknowledged for {} s, and {waiting} wait{why}", silent.as_secs()));
        }
    }
}

/// A channel that confirms, with its connection.
async fn session(connection: Connection) -> Result<(Connection, Channel), lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}
