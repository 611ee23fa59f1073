//! Why control ends a run.

use crate::halt::{Halt, HaltKind, HaltRemedy};
use crate::partition::PartitionState;
use crate::record::PartitionName;
use crate::time::{Epoch, EventTime, SECOND};

/// Why the partitions or sinks of a run do not fit the state that it resumes from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// A partition of the state was not found again.
    #[error(
        "partition {partition} was read by the run before ({read} records) and is not there any more: W cannot pass a \
         partition that is gone"
    )]
    PartitionGone {
        /// Which one.
        partition: PartitionName,
        /// Records that were read of it.
        read: i64,
    },
    /// A partition of the state was found, and is another log.
    #[error(
        "partition {partition}: its topic was deleted and made anew since the last run (its id was {was}, now it is {is})"
    )]
    LogReplaced {
        /// Which one.
        partition: PartitionName,
        /// Its log's id in the state.
        was: String,
        /// Its log's id now.
        is: String,
    },
    /// A sink that the state does not know would get nothing at all.
    #[error(
        "sink {sink}: nothing is new in the log since the last run, which did not write there, and what it wrote is forgotten"
    )]
    SinkCameTooLate {
        /// What it is called.
        sink: String,
    },
}

impl From<AdmissionError> for Halt {
    fn from(e: AdmissionError) -> Self {
        let (kind, remedy) = match e {
            AdmissionError::PartitionGone { .. } => (HaltKind::Data, HaltRemedy::RestorePartition),
            AdmissionError::LogReplaced { .. } => (HaltKind::Data, HaltRemedy::ReadNewLog),
            AdmissionError::SinkCameTooLate { .. } => (HaltKind::Usage, HaltRemedy::StartAfresh),
        };
        Halt::new(kind, e.to_string()).with(remedy)
    }
}

/// An equation of R11 does not hold at a cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger does not balance: {0}; nothing of this cut was sent anywhere; please report it")]
pub struct LedgerError(#[source] pub Imbalance);

/// Which equation of R11 does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// Offsets and records of a partition.
    #[error("partition {partition}: next - start = read + gaps fails in {state:?}")]
    Partition {
        /// Which one.
        partition: PartitionName,
        /// As its reader reported it.
        state: Box<PartitionState>,
    },
    /// Records counted when read, and those in windows.
    #[error("epoch {epoch}: {counted} records counted at the sources, {held} held and {retired} retired")]
    Windows {
        /// The cut.
        epoch: Epoch,
        /// Records that count, by the partitions.
        counted: i64,
        /// Records in windows that are held.
        held: i64,
        /// Records in windows that are forgotten.
        retired: i64,
    },
    /// Records in windows by the running tally, and by the trace itself.
    #[error("epoch {epoch}: {held} records are held by the tally and {traced} in the trace")]
    Trace {
        /// The cut.
        epoch: Epoch,
        /// By the tally.
        held: i64,
        /// By the trace.
        traced: i64,
    },
}

impl From<LedgerError> for Halt {
    fn from(e: LedgerError) -> Self {
        Halt::new(HaltKind::Internal, e.to_string())
    }
}

/// More is in memory than was allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{keys} windows of series are open{}, twice as many as are allowed ({})", counts_as(*keys, *load), place_of(*watermark))]
pub struct MemoryError {
    /// Open windows times series.
    pub keys: u64,
    /// What they count as: more than `keys` where names are long or ids are held.
    pub load: u64,
    /// W.
    pub watermark: Option<EventTime>,
}

fn counts_as(keys: u64, load: u64) -> String {
    if load > keys { format!(" (they count as {load}, for names are long or ids are held)") } else { String::new() }
}

fn place_of(watermark: Option<EventTime>) -> String {
    watermark.map_or("W is unknown yet".into(), |w| format!("W is at second {} since 1970", w.0 / SECOND))
}

impl From<MemoryError> for Halt {
    fn from(e: MemoryError) -> Self {
        Halt::new(HaltKind::Internal, e.to_string()).with(HaltRemedy::AllowMoreWindows)
    }
}

/// A bounded run waited too long for something that stores nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StallError {
    /// For a sink.
    #[error("sink {name}: nothing was stored for {seconds} s; the rows that it lacks come again with the next run")]
    Sink {
        /// What it is called.
        name: String,
        /// How long, in whole seconds.
        seconds: i64,
    },
    /// For the place for dead letters.
    #[error(
        "dead letters {name}: nothing was stored for {seconds} s; the dead letters that it lacks come again with the next run"
    )]
    DeadLetters {
        /// What the place is called.
        name: String,
        /// How long, in whole seconds.
        seconds: i64,
    },
}

impl From<StallError> for Halt {
    fn from(e: StallError) -> Self {
        Halt::new(HaltKind::Unreachable, e.to_string()).with(HaltRemedy::WaitLonger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_stores_nothing_is_unreachable_and_the_run_may_wait_longer() {
        let halt = Halt::from(StallError::Sink { name: "a".into(), seconds: 3 });
        assert_eq!((halt.kind, halt.remedy), (HaltKind::Unreachable, Some(HaltRemedy::WaitLonger)));
        assert!(halt.why.contains("sink a: nothing was stored for 3 s"), "{}", halt.why);
    }

    #[test]
    fn a_ledger_that_does_not_balance_says_what_fails() {
        let imbalance = Imbalance::Windows { epoch: 7, counted: 9, held: 2, retired: 6 };
        let halt = Halt::from(LedgerError(imbalance));
        assert_eq!(halt.kind, HaltKind::Internal);
        assert!(halt.why.contains("epoch 7: 9 records counted at the sources, 2 held and 6 retired"), "{}", halt.why);
    }
}
