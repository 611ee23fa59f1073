//! One partition, read on its owner's thread out of its own queue.
//!
//! The position is one past the last record, or what an end-of-partition event says: the fetcher's own position, which
//! is past aborted records and control markers too. Such events come once per end, and are missing when records follow;
//! then a later record says the same. A position that never moves past an open transaction is right: it is not read yet.
//!
//! librdkafka repairs fetching that fails for want of a broker. What ends the run is a hole: an offset that the log
//! does not hold any more, a batch whose checksum is wrong or that cannot be unpacked. librdkafka would skip those.

use super::error::KafkaSourceError;
use super::raw::PartitionQueue;
use super::session::KafkaSession;
use super::{missing_offset, raw};
use minutely_dataflows::edge::{Discovered, EndAnswer, Halt, PartitionReader, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName, Record};
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A partition's reader.
pub(super) struct KafkaReader {
    /// `None` at its recorded end.
    queue: Option<PartitionQueue>,
    name: PartitionName,
    number: i32,
    position: i64,
    /// The last record of the batch that was handed out last.
    last: Option<LastRecord>,
    /// Bounded runs: read up to here.
    end: i64,
    bounded: bool,
    /// For good: what follows in the queue lies behind a hole.
    halted: Option<Halt>,
    /// Its id among the questions for ends.
    question: u64,
    /// Its position, for the source's health.
    reported: Arc<AtomicI64>,
    session: Arc<KafkaSession>, // last: the clients outlive the queue
}

/// What a state keeps of the last record.
pub(super) fn last_record(message: &raw::QueuedMessage<'_>) -> LastRecord {
    let leader_epoch = Some(message.leader_epoch()).filter(|epoch| *epoch >= 0);
    LastRecord { leader_epoch, ..LastRecord::of(&message.record()) }
}

impl KafkaReader {
    /// Assigns the partition, from its start on.
    pub(super) fn new(
        session: &Arc<KafkaSession>,
        partition: &Discovered,
        wake: Wake,
    ) -> Result<Self, KafkaSourceError> {
        let Discovered { name, start, end, .. } = partition;
        let failed = |what: String| KafkaSourceError::Assign { partition: name.clone(), what };
        let number = name.number.ok_or_else(|| failed("has no number".into()))?;
        let question = session.end_questions.join(&name.log, number, Wake::clone(&wake));
        let mut reader = KafkaReader {
            queue: None,
            name: name.clone(),
            number,
            position: start.0,
            last: None,
            end: end.unwrap_or(i64::MAX),
            bounded: end.is_some(),
            halted: None,
            question,
            reported: session.health.join(&name.log, number),
            session: Arc::clone(session),
        };
        if !reader.ended() {
            let queue = PartitionQueue::new(&session.consumer, &name.log, number, wake)
                .ok_or_else(|| failed("librdkafka has no queue for it".into()))?;
            let list = reader.list(Offset::Offset(start.0)).map_err(|error| failed(error.to_string()))?;
            session
                .consumer
                .incremental_assign(&list)
                .map_err(|error| failed(format!("could not be assigned from offset {}: {error}", start.0)))?;
            reader.queue = Some(queue);
        }
        Ok(reader)
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name.log, self.number, offset)?;
        Ok(list)
    }

    /// Gives the partition back: it is not fetched any more.
    fn release(&mut self) {
        if self.queue.take().is_some()
            && let Ok(list) = self.list(Offset::Invalid)
            && let Err(error) = self.session.consumer.incremental_unassign(&list)
        {
            tracing::debug!("kafka: partition {} could not be released: {error}", self.name);
        }
    }

    /// Hands out what the queue holds, at most `max` records.
    fn drain(
        &mut self,
        queue: &mut PartitionQueue,
        max: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, KafkaSourceError> {
        let mut given = 0;
        while given < max && !self.ended() {
            let wanted = (max - given).min(raw::BATCH);
            let taken = queue.fill(wanted);
            while let Some(message) = queue.next() {
                match message.event() {
                    None if message.offset() < self.end => {
                        self.position = message.offset() + 1;
                        given += 1;
                        if !message.more || self.position == self.end {
                            self.last = Some(last_record(&message));
                        }
                        each(message.record());
                    }
                    None => self.position = self.end, // the log continues past the recorded end
                    Some(RDKafkaErrorCode::PartitionEOF) => {
                        self.position = self.position.max(message.offset().min(self.end));
                    }
                    Some(event) => self.judge(event, message.offset(), &message.text())?,
                }
            }
            if taken < wanted {
                break; // empty: the wake-up will come
            }
        }
        Ok(given)
    }

    /// What an event means for the run.
    fn judge(&self, event: RDKafkaErrorCode, offset: i64, text: &str) -> Result<(), KafkaSourceError> {
        use RDKafkaErrorCode as Code;
        let (partition, position, own_text) = (self.name.clone(), self.position, || text.to_owned());
        match event {
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                let wanted = if offset >= 0 { offset } else { position };
                Err(missing_offset::explained(&self.session, partition, wanted, text))
            }
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::NotImplemented => {
                Err(KafkaSourceError::Damaged { partition, offset, position, text: own_text() })
            }
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
                Err(KafkaSourceError::TooLarge { partition, position, text: own_text() })
            }
            Code::TopicAuthorizationFailed => Err(KafkaSourceError::PartitionDenied { partition, text: own_text() }),
            // A topic that is gone is found by the look at topics (`watch.rs`); the rest is a broker that will be back.
            _ => {
                self.session.consumer.context().report(&format!("partition {partition}: {text}"));
                Ok(())
            }
        }
    }
}

impl PartitionReader for KafkaReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if let Some(halt) = &self.halted {
            return Err(halt.clone());
        }
        let Some(mut queue) = self.queue.take() else { return Ok(0) };
        let result = self.drain(&mut queue, max, each).map_err(Halt::from);
        self.queue = Some(queue);
        self.reported.store(self.position, Ordering::Relaxed);
        self.halted = result.as_ref().err().cloned();
        if self.ended() || self.halted.is_some() {
            self.release();
        }
        result
    }

    fn next(&self) -> NextOffset {
        NextOffset(self.position)
    }

    fn ended(&self) -> bool {
        self.bounded && self.position >= self.end
    }

    fn ask_end(&mut self, urgent: bool) {
        self.session.end_questions.ask(self.question, urgent);
    }

    fn answer(&mut self) -> Option<EndAnswer> {
        self.session.end_questions.answer(self.question)
    }

    fn last(&self) -> Option<LastRecord> {
        self.last
    }

    fn idle_wait(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.release();
        self.session.end_questions.leave(self.question);
        self.session.health.leave(&self.name.log, self.number);
    }
}
