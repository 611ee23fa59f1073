//! One partition, read on its owner's thread out of its own queue.
//!
//! The position is one past the last record, or what an end-of-partition event says: the fetcher's own position, which
//! is past aborted records and control markers too. Such events come once per end, and are missing when records follow;
//! then a later record says the same. A position that never moves past an open transaction is right: it is not read yet.
//!
//! Fetching that fails for want of a broker is librdkafka's to mend. What ends the run is a hole: an offset that the log
//! does not hold any more, a batch whose checksum is wrong or that cannot be unpacked. librdkafka would skip those.

use super::raw::PartitionQueue;
use super::{Shared, range, raw, rights};
use minutely_dataflows::edge::{EndAnswer, Halt, HaltKind, PartitionReader, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName, Record};
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A partition's reader.
pub(super) struct Reader {
    queue: Option<PartitionQueue>, // none: at its recorded end
    topic: String,
    number: i32,
    position: i64,
    /// The last record of the batch that was handed out last.
    last: Option<LastRecord>,
    /// Bounded runs: read up to here.
    end: i64,
    bounded: bool,
    halted: Option<Halt>, // for good: what follows in the queue lies behind a hole
    question: u64,
    /// Where it says its position.
    said: Arc<AtomicI64>,
    shared: Arc<Shared>, // last: the clients outlive the queue
}

/// What the state keeps of the last record.
pub(super) fn remembered(message: &raw::Message<'_>) -> LastRecord {
    let leader_epoch = Some(message.leader_epoch()).filter(|epoch| *epoch >= 0);
    LastRecord { leader_epoch, ..LastRecord::of(&message.record()) }
}

impl Reader {
    /// Assigns the partition, from `start` on.
    pub(super) fn new(
        shared: &Arc<Shared>,
        name: &PartitionName,
        start: NextOffset,
        end: Option<i64>,
        wake: Wake,
    ) -> Result<Self, Halt> {
        let internal = |what: String| Halt::new(HaltKind::Internal, format!("partition {name}: {what}"));
        let number = name.number.ok_or_else(|| internal("has no number".into()))?;
        let question = shared.questions.join(&name.log, number, Wake::clone(&wake));
        let mut reader = Reader {
            queue: None,
            topic: name.log.clone(),
            number,
            position: start.0,
            last: None,
            end: end.unwrap_or(i64::MAX),
            bounded: end.is_some(),
            halted: None,
            question,
            said: shared.health.join(&name.log, number),
            shared: Arc::clone(shared),
        };
        if !reader.ended() {
            let queue = PartitionQueue::new(&shared.consumer, &name.log, number, wake)
                .ok_or_else(|| internal("librdkafka has no queue for it".into()))?;
            let list = reader.list(Offset::Offset(start.0)).map_err(|error| internal(error.to_string()))?;
            shared
                .consumer
                .incremental_assign(&list)
                .map_err(|error| internal(format!("could not be assigned from offset {}: {error}", start.0)))?;
            reader.queue = Some(queue);
        }
        Ok(reader)
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, self.number, offset)?;
        Ok(list)
    }

    /// Reads no more.
    fn release(&mut self) {
        if self.queue.take().is_some()
            && let Ok(list) = self.list(Offset::Invalid)
            && let Err(error) = self.shared.consumer.incremental_unassign(&list)
        {
            tracing::debug!("kafka: partition {}/{} could not be released: {error}", self.topic, self.number);
        }
    }

    /// Hands out what the queue holds, at most `max` records.
    fn drain(
        &mut self,
        queue: &mut PartitionQueue,
        max: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, Halt> {
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
                            self.last = Some(remembered(&message));
                        }
                        each(message.record());
                    }
                    None => self.position = self.end, // the log goes on past the recorded end
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
    fn judge(&self, event: RDKafkaErrorCode, offset: i64, text: &str) -> Result<(), Halt> {
        use RDKafkaErrorCode as Code;
        let place = format!("partition {}/{}", self.topic, self.number);
        match event {
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                let wanted = if offset >= 0 { offset } else { self.position };
                Err(range::halt(&self.shared, &self.topic, self.number, wanted, text))
            }
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::NotImplemented => Err(Halt::new(
                HaltKind::Data,
                format!(
                    "{place}: the log is damaged or of an unknown format at offset {offset}, near {}: {text}; repair \
                     or replace the replica it was read from, or begin a new run behind it (--job NAME --start TIME)",
                    self.position
                ),
            )),
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => Err(Halt::new(
                HaltKind::Usage,
                format!(
                    "{place}: the batch at offset {} is too large to fetch: {text}; allow more with \
                     -X receive.message.max.bytes and -X fetch.max.bytes",
                    self.position
                ),
            )),
            Code::TopicAuthorizationFailed => {
                Err(Halt::new(HaltKind::Usage, format!("{place}: {text}; {}", rights(&self.topic))))
            }
            // A topic that is gone is found by those who look at topics; the rest is a broker that will be back.
            _ => {
                self.shared.consumer.context().trouble(&format!("{place}: {text}"));
                Ok(())
            }
        }
    }
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if let Some(halt) = &self.halted {
            return Err(halt.clone());
        }
        let Some(mut queue) = self.queue.take() else { return Ok(0) };
        let result = self.drain(&mut queue, max, each);
        self.queue = Some(queue);
        self.said.store(self.position, Ordering::Relaxed);
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
        self.shared.questions.ask(self.question, urgent);
    }

    fn answer(&mut self) -> Option<EndAnswer> {
        self.shared.questions.answer(self.question)
    }

    fn last(&self) -> Option<LastRecord> {
        self.last
    }

    fn idle_wait(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.release();
        self.shared.questions.leave(self.question);
        self.shared.health.leave(&self.topic, self.number);
    }
}
