//! What was written and is not confirmed yet, and the connection that it goes by.
//!
//! A server that has just begun again drops records without a word (seen on 3.10.8): until it knows the stream again it has nowhere to
//! put them, and says that they came back; afterwards it hands them, for some time, to the process that wrote the stream before, which
//! is gone, and confirms nothing. So the first record of a stream on each connection goes alone, and the next ones follow once it is
//! stored: the order is kept, and no more than that record can be there twice. What is not confirmed for [`CONFIRM_TIMEOUT`] is
//! written again by another connection.

use super::error::StreamWriteError;
use super::streams::{PrepareError, prepare};
use crate::console::say;
use crate::produce::target::TargetRequest;
use crate::rabbitmq::{RequestFailure, StreamLookup, connect, look_up};
use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Records that wait for their confirmation, at most.
const MOST_WAITING: usize = 2000;
/// How long no record may be confirmed before that is an error.
const GIVE_UP: Duration = Duration::from_secs(120);
/// How long no record may be confirmed before all are written again, by another connection.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(15);
/// The same, of the first record of a stream on a connection.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take; lapin's may wait for ever when their connection is lost meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
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
    state: RecordState,
}

/// How far a record is.
enum RecordState {
    /// It is to be written, perhaps again.
    Unwritten,
    Written(PublisherConfirm),
    /// The server has confirmed it.
    Stored,
}

impl OutgoingRecord {
    pub(super) fn new(stream: String, number: i32, payload: Vec<u8>, properties: BasicProperties) -> Self {
        OutgoingRecord { stream, number, payload, properties, state: RecordState::Unwritten }
    }

    /// The connection is gone, and with it what was not confirmed by it.
    fn forget_confirm(&mut self) {
        if let RecordState::Written(confirm) = &mut self.state {
            let is_stored = matches!(confirm.now_or_never(), Some(Ok(Confirmation::Ack(None))));
            self.state = if is_stored { RecordState::Stored } else { RecordState::Unwritten };
        }
    }
}

/// A connection that is written by.
struct Session {
    connection: Connection,
    channel: Channel,
    /// Numbers of the streams that have stored a record by this connection.
    proven: BTreeSet<i32>,
    began: Instant,
}

impl Session {
    /// A channel that confirms.
    async fn on(connection: Connection) -> Result<Session, RequestFailure> {
        let made = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let channel = in_time(made).await?;
        Ok(Session { connection, channel, proven: BTreeSet::new(), began: Instant::now() })
    }

    /// mandatory: a record that no stream takes comes back.
    async fn publish(&self, record: &OutgoingRecord) -> Result<PublisherConfirm, RequestFailure> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (stream, properties) = (record.stream.as_str().into(), record.properties.clone());
        in_time(self.channel.basic_publish("".into(), stream, options, &record.payload, properties)).await
    }

    /// The server takes nothing for now: its memory or disk is full.
    fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }
}

/// Writes records in their order.
pub(super) struct Writer {
    /// For messages.
    uri: String,
    target: AMQPUri,
    session: Option<Session>,
    /// In the order in which they were taken over.
    waiting: VecDeque<OutgoingRecord>,
    /// No record before this place is to be written.
    unwritten_from: usize,
    acknowledged: u64,
    pub(super) by_stream: BTreeMap<i32, u64>,
    /// When a record was last confirmed, or nothing waited.
    progressed: Instant,
    reported: Instant,
    /// When the connection was lost last, and why.
    last_failure: Option<(Instant, String)>,
}

impl Writer {
    pub(super) fn new(uri: String, target: AMQPUri) -> Self {
        Writer {
            uri,
            target,
            session: None,
            waiting: VecDeque::new(),
            unwritten_from: 0,
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
            let left = deadline.saturating_duration_since(Instant::now());
            let why = match tokio::time::timeout(left, self.attempt(names, request)).await {
                Ok(Ok(streams)) => return Ok(streams),
                Ok(Err(PrepareError::Fatal(error))) => return Err(error),
                Ok(Err(PrepareError::Failed(RequestFailure::Denied(why) | RequestFailure::Refused(why)))) => {
                    return Err(StreamWriteError::Refused { uri: self.uri.clone(), why });
                }
                Ok(Err(PrepareError::Failed(RequestFailure::Untrusted(why)))) => {
                    return Err(StreamWriteError::Untrusted { uri: self.uri.clone(), why });
                }
                Ok(Err(PrepareError::Failed(RequestFailure::NotFound))) => "a stream was deleted meanwhile".to_owned(),
                Ok(Err(PrepareError::Failed(RequestFailure::Lost(why)))) => why,
                Err(_) => "it is silent".to_owned(),
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
        self.session = Some(Session::on(connection).await?);
        Ok(streams)
    }

    /// Takes a record over; waits while too many are on their way, unless `stop` is set.
    pub(super) async fn send(&mut self, record: OutgoingRecord, stop: &AtomicBool) -> Result<(), StreamWriteError> {
        if self.waiting.is_empty() {
            self.progressed = Instant::now();
        }
        self.waiting.push_back(record);
        self.advance().await?;
        while self.waiting.len() >= MOST_WAITING && !stop.load(Ordering::Acquire) {
            self.settle(LOOK).await?;
            self.write().await?;
            self.report_silence();
        }
        Ok(())
    }

    /// Writes what is to be written, and takes the confirmations that have come.
    pub(super) async fn advance(&mut self) -> Result<(), StreamWriteError> {
        self.write().await?;
        while self.settle(Duration::ZERO).await? {}
        Ok(())
    }

    /// Waits for all confirmations, at most so long for each; returns how many records were confirmed.
    pub(super) async fn finish(&mut self, timeout: Duration) -> Result<u64, StreamWriteError> {
        let began = Instant::now();
        while !self.waiting.is_empty() {
            self.write().await?;
            self.settle(LOOK).await?;
            self.report_silence();
            if began.max(self.progressed).elapsed() >= timeout {
                return Err(self.not_acknowledged(timeout));
            }
        }
        if let Some(session) = self.session.take()
            && let Err(error) = in_time(session.connection.close(200, "done".into())).await
        {
            tracing::debug!("rabbitmq: the connection was not closed in order: {error:?}");
        }
        Ok(self.acknowledged)
    }

    fn not_acknowledged(&self, time: Duration) -> StreamWriteError {
        let why = self.last_failure.as_ref().map(|(_, why)| why.clone());
        StreamWriteError::NotAcknowledged {
            uri: self.uri.clone(),
            seconds: time.as_secs(),
            why: why.unwrap_or_else(|| format!("{} records wait", self.waiting.len())),
            acknowledged: self.acknowledged,
        }
    }

    /// Writes what is to be written, as far as there is a connection.
    async fn write(&mut self) -> Result<(), StreamWriteError> {
        while let Some(at) = self.next_unwritten() {
            if self.session.is_none() && !self.connect_again().await? {
                return Ok(());
            }
            let (Some(session), Some(record)) = (&self.session, self.waiting.get_mut(at)) else { return Ok(()) };
            if session.is_blocked() {
                self.last_failure = Some((Instant::now(), "the server takes no records for now".to_owned()));
                tokio::time::sleep(LOOK).await;
                return Ok(());
            }
            if !session.proven.contains(&record.number) {
                if !self.prove(at).await? {
                    return Ok(());
                }
                continue;
            }
            match session.publish(record).await {
                Ok(confirm) => record.state = RecordState::Written(confirm),
                Err(failure) => return self.lose(failure),
            }
        }
        Ok(())
    }

    /// The place of the first record that is to be written.
    fn next_unwritten(&mut self) -> Option<usize> {
        let is_unwritten = |record: &OutgoingRecord| matches!(record.state, RecordState::Unwritten);
        while self.waiting.get(self.unwritten_from).is_some_and(|record| !is_unwritten(record)) {
            self.unwritten_from += 1;
        }
        (self.unwritten_from < self.waiting.len()).then_some(self.unwritten_from)
    }

    /// Writes the first record of a stream on this connection, alone, and waits until it is stored; says whether it is.
    async fn prove(&mut self, at: usize) -> Result<bool, StreamWriteError> {
        // lapin does not say which one comes back of records that the server confirms together
        for before in 0..at {
            if !self.confirmed(before, FIRST_TIMEOUT).await? {
                return self.lose_unconfirmed(FIRST_TIMEOUT);
            }
        }
        let (Some(session), Some(record)) = (&self.session, self.waiting.get_mut(at)) else { return Ok(false) };
        let number = record.number;
        match session.publish(record).await {
            Ok(confirm) => record.state = RecordState::Written(confirm),
            Err(failure) => return self.lose(failure).map(|()| false),
        }
        if !self.confirmed(at, FIRST_TIMEOUT).await? {
            return self.lose_unconfirmed(FIRST_TIMEOUT);
        }
        if let Some(session) = &mut self.session {
            session.proven.insert(number);
        }
        Ok(true)
    }

    /// Leaves a connection by which nothing is confirmed, unless that is known to be lost.
    fn lose_unconfirmed(&mut self, time: Duration) -> Result<bool, StreamWriteError> {
        if self.session.is_some() {
            self.lose(RequestFailure::Lost(format!("nothing was confirmed within {} s", time.as_secs())))?;
        }
        Ok(false)
    }

    /// One attempt.
    async fn connect_again(&mut self) -> Result<bool, StreamWriteError> {
        if self.progressed.elapsed() >= GIVE_UP {
            return Err(self.not_acknowledged(GIVE_UP));
        }
        if let Some((when, _)) = &self.last_failure {
            tokio::time::sleep(PAUSE.saturating_sub(when.elapsed())).await;
        }
        let made = async { Session::on(connect(&self.target).await?).await };
        match made.await {
            Ok(session) => {
                self.session = Some(session);
                Ok(true)
            }
            Err(failure) => self.lose(failure).map(|()| false),
        }
    }

    /// The connection is gone: all that is not confirmed is to be written again, in its order.
    fn lose(&mut self, failure: RequestFailure) -> Result<(), StreamWriteError> {
        self.session = None;
        self.waiting.iter_mut().for_each(OutgoingRecord::forget_confirm);
        self.unwritten_from = 0;
        let why = match failure {
            RequestFailure::NotFound => "no such stream".to_owned(),
            RequestFailure::Denied(why) | RequestFailure::Refused(why) => {
                return Err(StreamWriteError::Refused { uri: self.uri.clone(), why });
            }
            RequestFailure::Untrusted(why) => {
                return Err(StreamWriteError::Untrusted { uri: self.uri.clone(), why });
            }
            RequestFailure::Lost(why) => why,
        };
        self.last_failure = Some((Instant::now(), why));
        Ok(())
    }

    /// Waits at most so long for the confirmation of the record that was taken over first; says whether it came.
    async fn settle(&mut self, timeout: Duration) -> Result<bool, StreamWriteError> {
        if self.waiting.is_empty() {
            return Ok(false);
        }
        if !self.confirmed(0, timeout).await? {
            let silent = self.session.as_ref().map(|session| session.began.elapsed().min(self.progressed.elapsed()));
            let is_blocked = self.session.as_ref().is_some_and(Session::is_blocked);
            if silent.is_some_and(|silent| silent >= CONFIRM_TIMEOUT) && !is_blocked && self.next_unwritten() != Some(0)
            {
                self.lose_unconfirmed(CONFIRM_TIMEOUT)?;
            }
            return Ok(false);
        }
        let Some(record) = self.waiting.pop_front() else { return Ok(false) };
        self.unwritten_from = self.unwritten_from.saturating_sub(1);
        self.acknowledged += 1;
        *self.by_stream.entry(record.number).or_default() += 1;
        self.progressed = Instant::now();
        Ok(true)
    }

    /// Waits at most so long until a record is stored; says whether it is.
    async fn confirmed(&mut self, at: usize, timeout: Duration) -> Result<bool, StreamWriteError> {
        let Some(record) = self.waiting.get_mut(at) else { return Ok(false) };
        let confirm = match &mut record.state {
            RecordState::Unwritten => return Ok(false),
            RecordState::Stored => return Ok(true),
            RecordState::Written(confirm) => confirm,
        };
        let answer = match confirm.now_or_never() {
            Some(answer) => answer,
            None if timeout.is_zero() => return Ok(false),
            None => match tokio::time::timeout(timeout, confirm).await {
                Ok(answer) => answer,
                Err(_) => return Ok(false),
            },
        };
        match answer {
            Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => {
                record.state = RecordState::Stored;
                Ok(true)
            }
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(_)) => {
                record.state = RecordState::Unwritten;
                let stream = record.stream.clone();
                self.look_for(stream).await.map(|()| false)
            }
            Err(error) => self.lose(error.into()).map(|()| false),
        }
    }

    /// A record was not stored: its stream is not there any more, or not yet again.
    async fn look_for(&mut self, stream: String) -> Result<(), StreamWriteError> {
        let Some(session) = &self.session else { return Ok(()) };
        let found = tokio::time::timeout(REQUEST_TIMEOUT, look_up(&session.connection, &stream)).await;
        if let Ok(Ok(StreamLookup::Missing)) = found {
            let what = "it is not there any more, so a record came back".to_owned();
            return Err(StreamWriteError::RecordRefused { stream, what, acknowledged: self.acknowledged });
        }
        self.lose(RequestFailure::Lost(format!("stream '{stream}' takes no records yet")))
    }

    /// Says on stderr where nothing was confirmed for some seconds.
    pub(super) fn report_silence(&mut self) {
        let silent = self.progressed.elapsed();
        if !self.waiting.is_empty() && silent >= SILENCE && self.reported.elapsed() >= SILENCE {
            self.reported = Instant::now();
            let why = self.last_failure.as_ref().map(|(_, why)| format!(": {why}")).unwrap_or_default();
            let (uri, waiting) = (&self.uri, self.waiting.len());
            say(&format!("{uri}: no record was acknowledged for {} s, and {waiting} wait{why}", silent.as_secs()));
        }
    }
}

/// What a request answers, or that it took too long.
async fn in_time<T>(request: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, RequestFailure> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RequestFailure::Lost(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))),
    }
}
