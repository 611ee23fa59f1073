//! What the log says to a run that resumes: its topic's id, where it begins and ends, and whether the record that was read last
//! is still that record. Asked once, before the run begins, by a client of its own.

use super::error::KafkaSourceError;
use super::opener::{AttemptError, Opener};
use super::raw::PartitionQueue;
use super::reader::last_record;
use crate::kafka::{ConsumerClient, KafkaContext, reason};
use minutely_dataflows::edge::{Discovered, LastRecordCheck, LogProbe};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// One partition's last record, while it is looked up.
struct RecordLookup {
    /// Its place in the list of partitions.
    index: usize,
    offset: i64,
    queue: PartitionQueue,
    /// `None` until it is known.
    answer: Option<LastRecordCheck>,
}

impl Opener<'_> {
    /// See [`minutely_dataflows::edge::LogSource::probe`]. `found`: the partitions there are.
    pub(super) fn probe(
        &self,
        found: &[Discovered],
        left: &[(PartitionName, Option<LastRecord>)],
    ) -> Result<Vec<Option<LogProbe>>, KafkaSourceError> {
        let there = |name: &PartitionName| found.iter().find(|found| found.name == *name);
        let known: Vec<_> = left.iter().filter_map(|(name, last)| Some((there(name)?, last))).collect();
        let names: Vec<PartitionName> = known.iter().map(|(found, _)| found.name.clone()).collect();
        let firsts = self.offsets(&names, Offset::Beginning, false)?;
        let ends = self.offsets(&names, Offset::End, false)?;
        let mut probes: Vec<_> = known
            .iter()
            .zip(firsts.iter().zip(&ends))
            .map(|((found, last), (first, end))| LogProbe {
                log_id: found.log_id.clone(),
                first: Some(NextOffset(*first)),
                end: Some(NextOffset(*end)),
                last: if last.is_some() { LastRecordCheck::Gone } else { LastRecordCheck::Unknown },
            })
            .collect();
        let held = |(index, (_, last)): (usize, &(&Discovered, &Option<LastRecord>))| {
            let offset = last.as_ref()?.offset;
            (firsts[index] <= offset && offset < ends[index]).then_some((index, offset))
        };
        let wanted: Vec<(usize, i64)> = known.iter().enumerate().filter_map(held).collect();
        if !wanted.is_empty() {
            for lookup in self.records(&names, &wanted)? {
                probes[lookup.index].last = lookup.answer.unwrap_or_default();
            }
        }
        let mut probes = probes.into_iter();
        Ok(left.iter().map(|(name, _)| there(name).and_then(|_| probes.next())).collect())
    }

    /// Reads one record of each partition that is wanted, by its index in `names`.
    fn records(&self, names: &[PartitionName], wanted: &[(usize, i64)]) -> Result<Vec<RecordLookup>, KafkaSourceError> {
        let failed = |what: String| KafkaSourceError::Probe { what };
        let refused = |error: KafkaError| failed(reason(&error));
        let mut config = self.session().config.clone();
        config.set("queued.min.messages", "1").set("fetch.message.max.bytes", "1024"); // one batch comes all the same
        let consumer: Arc<ConsumerClient> =
            Arc::new(config.create_with_context(KafkaContext::default()).map_err(refused)?);
        let mut list = TopicPartitionList::new();
        let mut lookups = Vec::new();
        for &(index, offset) in wanted {
            let name = &names[index];
            let partition = name.number.unwrap_or_default();
            let queue = PartitionQueue::new(&consumer, &name.log, partition, Arc::new(|| {}));
            let queue = queue.ok_or_else(|| failed(format!("librdkafka has no queue for {name}")))?;
            list.add_partition_offset(&name.log, partition, Offset::Offset(offset)).map_err(refused)?;
            lookups.push(RecordLookup { index, offset, queue, answer: None });
        }
        consumer.assign(&list).map_err(refused)?;
        self.retry(|wait| {
            // Each is asked, whatever the one before says.
            while lookups.iter_mut().filter(|one| one.answer.is_none()).fold(0, |open, one| open + one.look()) > 0 {
                if wait.timeout.is_zero() || !(wait.meanwhile)() {
                    return Err(AttemptError::Retry("the records that were read last did not come".into()));
                }
                let _reported_by_the_context = consumer.poll(Duration::from_millis(5));
            }
            Ok(())
        })?;
        Ok(lookups)
    }
}

impl RecordLookup {
    /// Takes what came. 1 while the answer is not known, else 0.
    fn look(&mut self) -> usize {
        self.queue.fill(1);
        while let Some(message) = self.queue.next() {
            self.answer = match message.event() {
                None if message.offset() == self.offset => Some(LastRecordCheck::Holds(last_record(&message))),
                None => Some(LastRecordCheck::Gone), // a later one
                Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset) => Some(LastRecordCheck::Gone),
                Some(_) => self.answer, // a broker that will be back
            };
        }
        usize::from(self.answer.is_none())
    }
}
