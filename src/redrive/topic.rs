//! The run's topic: what its tail replaces already, and corrected records into it, in transactions.
//!
//! A transaction has the job's name, so a redrive that begins ends what one before it has left open (`init_transactions`), before it reads: what
//! is behind an open transaction is not seen. After that nothing of the one before can appear any more, and what the topic shows from the
//! journal's beginning on is all that there is.

use super::correct::CorrectedLetter;
use super::error::RedriveError;
use super::journal::Journal;
use crate::config::Config;
use crate::kafka::{
    ConsumerClient, KafkaAddress, KafkaContext, address, consumer_config, lower, producer_config, token,
};
use minutely_dataflows::record::PartitionName;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The header of a corrected record: the place that it replaces.
pub(super) const REPLACES: &str = "minutely-replaces";
/// Milliseconds after which the broker gives a transaction up.
const TRANSACTION_MS: &str = "60000";
/// Records of one transaction.
const TRANSACTION: usize = 5_000;
/// How long the cluster may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a producer reports.
#[derive(Clone, Debug, Default)]
struct RedriveContext {
    brokers: Arc<KafkaContext>,
    refused: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for RedriveContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        token(config)
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.error(error, reason);
    }
}

impl ProducerContext for RedriveContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| error.clone());
        }
    }
}

/// See the module.
pub(super) struct RunTopic<'a> {
    config: &'a Config,
    address: KafkaAddress,
}

/// One in which no transaction of a redrive before is open.
pub(super) struct OpenTopic<'a> {
    topic: RunTopic<'a>,
    producer: ThreadedProducer<RedriveContext>,
    context: RedriveContext,
}

impl<'a> RunTopic<'a> {
    /// Of this run.
    ///
    /// # Errors
    /// 64: its source is no topic, or it reads uncommitted records.
    pub(super) fn of(config: &'a Config) -> Result<Self, RedriveError> {
        if !config.source.starts_with("kafka://") {
            return Err(RedriveError::NoTopic(crate::uri::redacted(&config.source)));
        }
        if crate::kafka::reads_uncommitted(&config.properties) {
            return Err(RedriveError::Uncommitted);
        }
        let what = |mistakes: Vec<String>| RedriveError::NoTopic(mistakes.join("; "));
        Ok(RunTopic { config, address: address(&config.source).map_err(what)? })
    }

    fn failed(&self, what: &dyn std::fmt::Display) -> RedriveError {
        RedriveError::Topic { topic: self.address.topics.join(","), what: lower(&what.to_string()) }
    }

    /// Ends what a redrive before has left open.
    ///
    /// # Errors
    /// 69: the cluster does not answer, or refuses.
    pub(super) fn open(self) -> Result<OpenTopic<'a>, RedriveError> {
        let mut config = producer_config(&self.address.brokers, &self.config.properties, true);
        config.set("transactional.id", format!("minutely-redrive-{}", self.config.job()));
        // librdkafka wants a message to be given up before its transaction is.
        config.set("message.timeout.ms", TRANSACTION_MS).set("transaction.timeout.ms", TRANSACTION_MS);
        let context = RedriveContext::default();
        let producer: ThreadedProducer<RedriveContext> =
            config.create_with_context(context.clone()).map_err(|e| self.failed(&e))?;
        producer.init_transactions(TIMEOUT).map_err(|e| self.failed(&e))?;
        Ok(OpenTopic { topic: self, producer, context })
    }
}

impl OpenTopic<'_> {
    /// Writes the records of places that were not written before; how many. `next`: where the state is in each partition.
    ///
    /// # Errors
    /// 69: the cluster does not answer, or refuses. What was written then is in the journal, or is found the next time.
    pub(super) fn write(
        &self,
        letters: &[CorrectedLetter],
        next: &BTreeMap<PartitionName, i64>,
        journal: &mut Journal,
    ) -> Result<u64, RedriveError> {
        let OpenTopic { topic, producer, context } = self;
        let (replaced, ends) = topic.tail(next, journal.begun.as_ref())?;
        // All of them: what this call does not want may be wanted by the next.
        journal.add(replaced)?;
        let is_due = |letter: &&CorrectedLetter| !journal.written.contains(&letter.place.to_string());
        let due: Vec<&CorrectedLetter> = letters.iter().filter(is_due).collect();
        if due.is_empty() {
            journal.end()?;
            return Ok(0);
        }
        journal.begin(ends)?;
        for some in due.chunks(TRANSACTION) {
            producer.begin_transaction().map_err(|e| topic.failed(&e))?;
            let sent = some.iter().try_for_each(|letter| self.send(letter));
            let committed = sent.and_then(|()| producer.commit_transaction(TIMEOUT).map_err(|e| topic.failed(&e)));
            if let Err(why) = committed {
                // (Where this fails, too, the next redrive gives it up, or the broker does after its time-out.)
                drop(producer.abort_transaction(TIMEOUT));
                let refused = context.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(refused.map_or(why, |refused| topic.failed(&refused)));
            }
            journal.add(some.iter().map(|letter| letter.place.to_string()))?;
        }
        journal.end()?;
        Ok(due.len() as u64)
    }

    fn send(&self, letter: &CorrectedLetter) -> Result<(), RedriveError> {
        let place = letter.place.to_string();
        let header = Header { key: REPLACES, value: Some(place.as_bytes()) };
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&letter.place.partition.log);
        (next.key, next.payload) = (letter.key.as_deref(), Some(letter.payload.as_bytes()));
        next.partition = letter.place.partition.number;
        next.timestamp = letter.timestamp.map(|stamp| stamp.0.div_euclid(1_000_000));
        next.headers = Some(OwnedHeaders::new().insert(header));
        let deadline = Instant::now() + TIMEOUT * 4;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    next = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(self.topic.failed(&error)),
            }
        }
    }
}

impl RunTopic<'_> {
    /// The places that committed records replace from there on, and where each partition ends. From the beginning of an unfinished redrive,
    /// else from where the state is.
    fn tail(
        &self,
        next: &BTreeMap<PartitionName, i64>,
        begun: Option<&BTreeMap<String, i64>>,
    ) -> Result<(BTreeSet<String>, BTreeMap<String, i64>), RedriveError> {
        let consumer = self.consumer("read_committed")?;
        let (mut replaced, mut ends) = (BTreeSet::new(), BTreeMap::new());
        for (name, next) in next {
            let Some(number) = name.number else { continue };
            let (first, end) = self.settled(&consumer, (&name.log, number))?;
            let begun = begun.and_then(|begun| begun.get(&name.to_string()));
            let from = begun.map_or(*next, |begun| *begun.min(next)).max(first);
            self.read_partition(&consumer, (&name.log, number), from..end, &mut replaced)?;
            ends.insert(name.to_string(), end);
        }
        Ok((replaced, ends))
    }

    fn consumer(&self, isolation: &str) -> Result<ConsumerClient, RedriveError> {
        let mut config = consumer_config(Some(&self.address), &self.config.properties);
        config.set("enable.partition.eof", "true").set("isolation.level", isolation);
        config.create_with_context(KafkaContext::default()).map_err(|e| self.failed(&e))
    }

    /// Waits until no transaction is open in what a partition has now: records behind its first would not be seen. The first offset, and its end
    /// as it was before.
    fn settled(&self, committed: &ConsumerClient, (log, number): (&str, i32)) -> Result<(i64, i64), RedriveError> {
        let (_, end) =
            self.consumer("read_uncommitted")?.fetch_watermarks(log, number, TIMEOUT).map_err(|e| self.failed(&e))?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (first, stable) = committed.fetch_watermarks(log, number, TIMEOUT).map_err(|e| self.failed(&e))?;
            if stable >= end {
                return Ok((first, end));
            }
            if Instant::now() > deadline {
                let why = "a transaction of another producer is open, and what is behind it cannot be read; try again when it has ended";
                return Err(self.failed(&why));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Reads a part of one partition: one at a time, for an end is reported without its topic, and again whenever it moves. It may move all the
    /// time, for others write, too.
    fn read_partition(
        &self,
        consumer: &ConsumerClient,
        (log, number): (&str, i32),
        offsets: Range<i64>,
        replaced: &mut BTreeSet<String>,
    ) -> Result<(), RedriveError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(log, number, Offset::Offset(offsets.start)).map_err(|e| self.failed(&e))?;
        consumer.assign(&one).map_err(|e| self.failed(&e))?;
        let mut deadline = Instant::now() + TIMEOUT;
        loop {
            match consumer.poll(Duration::from_millis(200)) {
                None if Instant::now() < deadline => {}
                None => return Err(self.failed(&"its end could not be read in time")),
                Some(Ok(message)) if message.partition() == number && message.topic() == log => {
                    deadline = Instant::now() + TIMEOUT;
                    let headers = message.headers().map(|headers| headers.iter().collect::<Vec<_>>());
                    let places = headers.into_iter().flatten().filter(|header| header.key == REPLACES);
                    replaced
                        .extend(places.filter_map(|place| Some(String::from_utf8_lossy(place.value?).into_owned())));
                    if message.offset() + 1 >= offsets.end {
                        break;
                    }
                }
                Some(Ok(_)) => {}
                // (What ends a transaction is at an offset, too, and is no message.)
                Some(Err(KafkaError::PartitionEOF(at))) if at == number => break,
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {}
                Some(Err(error)) => return Err(self.failed(&error)),
            }
        }
        consumer.unassign().map_err(|e| self.failed(&e))
    }
}
