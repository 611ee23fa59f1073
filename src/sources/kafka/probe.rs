//! What the log says to a run that goes on with it: its topic's id, where it begins and ends, and whether the record that
//! was read last is still that record. Asked once, before the run begins, by a client of its own.

use super::context::{Consume, Context};
use super::raw::PartitionQueue;
use super::reader::remembered;
use super::{Opening, Trouble, config};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind, LastRecordCheck, LogProbe};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// One partition's record that is wanted, and what came of it.
struct Place {
    number: usize,
    offset: i64,
    queue: PartitionQueue,
    memory: Option<LastRecordCheck>,
}

impl Opening<'_> {
    /// See [`minutely_dataflows::edge::LogSource::probe`]. `found`: what there is.
    pub(super) fn probe(
        &self,
        found: &[Discovered],
        left: &[(PartitionName, Option<LastRecord>)],
    ) -> Result<Vec<Option<LogProbe>>, Halt> {
        let there = |name: &PartitionName| found.iter().find(|found| found.name == *name);
        let known: Vec<_> = left.iter().filter_map(|(name, last)| Some((there(name)?, last))).collect();
        let names: Vec<PartitionName> = known.iter().map(|(found, _)| found.name.clone()).collect();
        let firsts = self.offsets(&names, Offset::Beginning, false)?;
        let ends = self.offsets(&names, Offset::End, false)?;
        let mut recalled: Vec<_> = known
            .iter()
            .zip(firsts.iter().zip(&ends))
            .map(|((found, last), (first, end))| LogProbe {
                log_id: found.log_id.clone(),
                first: Some(NextOffset(*first)),
                end: Some(NextOffset(*end)),
                last: if last.is_some() { LastRecordCheck::Gone } else { LastRecordCheck::Unknown },
            })
            .collect();
        let held = |(number, (_, last)): (usize, &(&Discovered, &Option<LastRecord>))| {
            let offset = last.as_ref()?.offset;
            (firsts[number] <= offset && offset < ends[number]).then_some((number, offset))
        };
        let wanted: Vec<(usize, i64)> = known.iter().enumerate().filter_map(held).collect();
        if !wanted.is_empty() {
            for place in self.records(&names, &wanted)? {
                recalled[place.number].last = place.memory.unwrap_or_default();
            }
        }
        let mut recalled = recalled.into_iter();
        Ok(left.iter().map(|(name, _)| there(name).and_then(|_| recalled.next())).collect())
    }

    /// Reads one record of each place.
    fn records(&self, names: &[PartitionName], wanted: &[(usize, i64)]) -> Result<Vec<Place>, Halt> {
        let internal =
            |what: String| Halt::new(HaltKind::Internal, format!("kafka: the log cannot be recalled: {what}"));
        let refused = |error: KafkaError| internal(config::reason(&error));
        let mut config = self.shared.config.clone();
        config.set("queued.min.messages", "1").set("fetch.message.max.bytes", "1024"); // one batch comes all the same
        let consumer: Arc<Consume> = Arc::new(config.create_with_context(Context::default()).map_err(refused)?);
        let mut list = TopicPartitionList::new();
        let mut places = Vec::new();
        for &(number, offset) in wanted {
            let name = &names[number];
            let partition = name.number.unwrap_or_default();
            let queue = PartitionQueue::new(&consumer, &name.log, partition, Arc::new(|| {}));
            let queue = queue.ok_or_else(|| internal(format!("librdkafka has no queue for {name}")))?;
            list.add_partition_offset(&name.log, partition, Offset::Offset(offset)).map_err(refused)?;
            places.push(Place { number, offset, queue, memory: None });
        }
        consumer.assign(&list).map_err(refused)?;
        self.patiently(|wait| {
            while places.iter_mut().filter(|place| place.memory.is_none()).fold(0, |open, place| open + place.look())
                > 0
            {
                if wait.timeout.is_zero() || !(wait.meanwhile)() {
                    return Err(Trouble::Later("the records that were read last did not come".into()));
                }
                let _told_by_the_context = consumer.poll(Duration::from_millis(5));
            }
            Ok(())
        })?;
        Ok(places)
    }
}

impl Place {
    /// RowFilter what came. 1 while it is not known.
    fn look(&mut self) -> usize {
        self.queue.fill(1);
        while let Some(message) = self.queue.next() {
            self.memory = match message.event() {
                None if message.offset() == self.offset => Some(LastRecordCheck::Holds(remembered(&message))),
                None => Some(LastRecordCheck::Gone), // a later one
                Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset) => Some(LastRecordCheck::Gone),
                Some(_) => self.memory, // a broker that will be back
            };
        }
        usize::from(self.memory.is_none())
    }
}
