//! Records of a log by their places, for letters of which no file at hand has the payload.

use crate::verify::OpenLog;
use minutely_dataflows::edge::{Discovered, Halt, HaltKind};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::{EventTime, NextOffset};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records between two places that are read over; for more the partition is opened again.
const READ_OVER: i64 = 20_000;
/// How long a partition may hand out nothing.
const SILENCE: Duration = Duration::from_secs(20);

/// A record that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    pub(crate) offset: i64,
    pub(crate) append_time: Option<EventTime>,
    pub(crate) timestamp: Option<EventTime>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) cut_from: Option<u64>,
}

impl OwnedRecord {
    fn of(record: &Record<'_>) -> Self {
        OwnedRecord {
            offset: record.offset,
            append_time: record.append_time,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            cut_from: record.cut_from,
        }
    }

    /// Lent.
    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            append_time: self.append_time,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            cut_from: self.cut_from,
        }
    }
}

/// Those of these that the log still has.
///
/// # Errors
/// It cannot be read.
pub(crate) fn records_at(
    log: &OpenLog,
    partition: &PartitionName,
    offsets: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, OwnedRecord>, Halt> {
    let mut all = BTreeMap::new();
    let Some(found) = log.found.iter().find(|found| found.name == *partition) else { return Ok(all) };
    let mut wanted: Vec<i64> = offsets.iter().rev().copied().filter(|at| *at >= found.earliest.0).collect();
    while let Some(&first) = wanted.last() {
        let from = Discovered { start: NextOffset(first), ..found.clone() };
        let mut reader = log.source.open(&from, Arc::new(|| ()))?;
        let mut silent_since = Instant::now();
        while let Some(&next) = wanted.last() {
            if next - reader.next().0 > READ_OVER {
                break;
            }
            let read = reader.read(1024, &mut |record| {
                while wanted.last().is_some_and(|at| *at < record.offset) {
                    // It is not there any more.
                    wanted.pop();
                }
                if wanted.last() == Some(&record.offset) {
                    wanted.pop();
                    all.insert(record.offset, OwnedRecord::of(&record));
                }
            })?;
            if read > 0 {
                silent_since = Instant::now();
            } else if reader.ended() {
                return Ok(all);
            } else if silent_since.elapsed() > SILENCE {
                let (seconds, offset) = (SILENCE.as_secs(), reader.next().0);
                let why = format!("partition {partition}: handed out no record for {seconds} s at offset {offset}");
                return Err(Halt::new(HaltKind::Unreachable, why));
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    Ok(all)
}
