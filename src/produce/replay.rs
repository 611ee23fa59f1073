//! A log as an input: the records of a file or of the built-in market, taken apart as a run takes them apart.

use super::input::{InputProgress, InputRecord, InputTurn, RecordInput};
use minutely_dataflows::decode::{DecodedPart, Decoder, EventOutcome};
use minutely_dataflows::edge::{Halt, LogSource, PartitionReader, ReadProgress, UNKNOWN_END, Wake};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::NextOffset;
use std::ops::ControlFlow;
use std::sync::Arc;

/// One partition of the log.
struct ReplayedPartition {
    number: i32,
    reader: Box<dyn PartitionReader>,
    decoder: Decoder,
    start: NextOffset,
    /// Where it ends; none if that is not known.
    end: Option<i64>,
}

/// A log that is replayed from where its source begins.
pub(super) struct LogInput {
    source: Arc<dyn LogSource>,
    partitions: Vec<ReplayedPartition>,
    /// `--key-field` is given: else records keep their keys.
    has_key_field: bool,
}

impl LogInput {
    /// All partitions that the source has now. `decoder`: an event for each record that is to be written, with its time, and its
    /// key as the symbol.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn open(source: Arc<dyn LogSource>, decoder: &Decoder, has_key_field: bool) -> Result<Self, Halt> {
        let no_wake: Wake = Arc::new(|| ());
        let mut partitions = Vec::new();
        for (number, found) in (0..).zip(&source.discover()?) {
            partitions.push(ReplayedPartition {
                number: found.name.number.unwrap_or(number),
                reader: source.open(found, Arc::clone(&no_wake))?,
                decoder: decoder.for_partition(&found.name),
                start: found.start,
                end: found.end.filter(|end| *end != UNKNOWN_END),
            });
        }
        Ok(LogInput { source, partitions, has_key_field })
    }
}

impl RecordInput for LogInput {
    fn partitions(&self) -> i32 {
        self.partitions.iter().map(|partition| partition.number + 1).max().unwrap_or(1)
    }

    fn turn(
        &mut self,
        max: usize,
        each: &mut dyn FnMut(&InputRecord<'_>) -> ControlFlow<()>,
    ) -> Result<InputTurn, Halt> {
        let mut turn = InputTurn::default();
        for partition in &mut self.partitions {
            if partition.turn(max, self.has_key_field, &mut turn, each)?.is_break() {
                break;
            }
        }
        Ok(turn)
    }

    fn ended(&self) -> bool {
        self.partitions.iter().all(|partition| partition.reader.ended())
    }

    fn progress(&self) -> Option<InputProgress> {
        if let Some(bytes) = self.source.progress() {
            return Some(InputProgress::Bytes(bytes));
        }
        let mut sum = ReadProgress { done: 0, total: 0 };
        for ReplayedPartition { reader, start, end, .. } in &self.partitions {
            let records = |upto: i64| u64::try_from(upto.saturating_sub(start.0)).unwrap_or(0);
            sum.total = sum.total.saturating_add(records((*end)?));
            sum.done = sum.done.saturating_add(records(reader.next().0));
        }
        Some(InputProgress::Records(sum))
    }
}

impl ReplayedPartition {
    fn turn(
        &mut self,
        max: usize,
        has_key_field: bool,
        turn: &mut InputTurn,
        each: &mut dyn FnMut(&InputRecord<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Halt> {
        let ReplayedPartition { number, reader, decoder, .. } = self;
        let (mut flow, mut failed) = (ControlFlow::Continue(()), None);
        turn.read += reader.read(max, &mut |record: Record<'_>| {
            if flow.is_break() || failed.is_some() {
                return;
            }
            decoder.learn(&record);
            let decoded = decoder.parts(&record, |part| {
                if flow.is_break() {
                    return;
                }
                match replayed(&part, &record, has_key_field) {
                    Some(next) => flow = each(&InputRecord { partition: *number, ..next }),
                    None => turn.skipped += 1,
                }
            });
            failed = decoded.err();
        })?;
        failed.map_or(Ok(flow), Err)
    }
}

/// What is written of a part of a record; none where it is left out. What cannot be decoded is written as it is.
fn replayed<'r>(part: &'r DecodedPart<'_>, record: &Record<'r>, has_key_field: bool) -> Option<InputRecord<'r>> {
    let text = part.element.and_then(|element| element.text);
    let next = InputRecord {
        key: record.key,
        payload: text.or(record.payload),
        stamp: record.append_time,
        ..InputRecord::default()
    };
    match &part.outcome {
        EventOutcome::Skipped => None,
        EventOutcome::Rejected(_) => Some(next),
        EventOutcome::Event(event) if has_key_field => {
            Some(InputRecord { time: Some(event.time), key: Some(event.symbol.as_bytes()), ..next })
        }
        EventOutcome::Event(event) => Some(InputRecord { time: Some(event.time), ..next }),
    }
}
