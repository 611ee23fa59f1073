//! Records of a log by their places, one at a time: what is kept of one is for the caller to say.

use crate::verify::OpenLog;
use minutely_dataflows::edge::{Discovered, Halt, HaltKind};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::NextOffset;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records between two places that are read over; for more the partition is opened again.
const READ_OVER: i64 = 20_000;
/// How long a partition may hand out nothing.
const SILENCE: Duration = Duration::from_secs(20);

/// Hands each record of these offsets to `each` that the log still has, in their order.
///
/// # Errors
/// The log cannot be read; what `each` says.
pub(crate) fn records_at(
    log: &OpenLog,
    partition: &PartitionName,
    offsets: &BTreeSet<i64>,
    each: &mut dyn FnMut(&Record<'_>) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let Some(found) = log.found.iter().find(|found| found.name == *partition) else { return Ok(()) };
    let mut wanted: Vec<i64> = offsets.iter().rev().copied().filter(|at| *at >= found.earliest.0).collect();
    while let Some(&first) = wanted.last() {
        let from = Discovered { start: NextOffset(first), ..found.clone() };
        let mut reader = log.source.open(&from, Arc::new(|| ()))?;
        let mut silent_since = Instant::now();
        while let Some(&next) = wanted.last() {
            if next - reader.next().0 > READ_OVER {
                break;
            }
            let mut halted = Ok(());
            let read = reader.read(1024, &mut |record| {
                while wanted.last().is_some_and(|at| *at < record.offset) {
                    // It is not there any more.
                    wanted.pop();
                }
                if wanted.last() == Some(&record.offset) && halted.is_ok() {
                    wanted.pop();
                    halted = each(&record);
                }
            })?;
            halted?;
            if read > 0 {
                silent_since = Instant::now();
            } else if reader.ended() {
                return Ok(());
            } else if silent_since.elapsed() > SILENCE {
                let (seconds, offset) = (SILENCE.as_secs(), reader.next().0);
                let why = format!("partition {partition}: handed out no record for {seconds} s at offset {offset}");
                return Err(Halt::new(HaltKind::Unreachable, why));
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    Ok(())
}

/// Does the log have offsets before this one alone, so that what stood there cannot be known any more?
pub(crate) fn is_gone(log: &OpenLog, partition: &PartitionName, offset: i64) -> bool {
    log.found.iter().find(|found| found.name == *partition).is_none_or(|found| offset < found.earliest.0)
}
