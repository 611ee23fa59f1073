//! The group's offsets, for tools that show how far a consumer is behind: the next offsets of the newest manifest, at most
//! once a second. Nothing reads them back. A broker that refuses them is told of once, and does no harm.

use super::Shared;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two commits.
const APART: Duration = Duration::from_secs(1);
/// How long the last one of a run is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is to be committed.
#[derive(Default)]
pub(super) struct Latest(Mutex<Option<Vec<(PartitionName, NextOffset)>>>);

impl Latest {
    /// These are the newest.
    pub(super) fn are(&self, next: Vec<(PartitionName, NextOffset)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    fn take(&self) -> Option<Vec<(PartitionName, NextOffset)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The committing side, on one thread.
#[derive(Default)]
pub(super) struct Lag {
    committed: Vec<(PartitionName, NextOffset)>,
    at: Option<Instant>,
    sent: u64,
}

impl Lag {
    /// Commits what is new, if it is time.
    pub(super) fn look(&mut self, shared: &Shared) {
        if self.at.is_none_or(|at| at.elapsed() >= APART) {
            self.commit(shared);
        }
    }

    /// Commits what is left, and waits for the answer for a while.
    pub(super) fn last(&mut self, shared: &Shared) {
        self.commit(shared);
        let begun = Instant::now();
        while shared.consumer.context().commits_answered() < self.sent && begun.elapsed() < FAREWELL {
            shared.serve(Duration::from_millis(20));
        }
    }

    fn commit(&mut self, shared: &Shared) {
        let Some(next) = shared.latest.take().filter(|next| *next != self.committed && !next.is_empty()) else {
            return;
        };
        let mut list = TopicPartitionList::new();
        let mut added = next.iter().map(|(name, next)| {
            list.add_partition_offset(&name.log, name.number.unwrap_or_default(), Offset::Offset(next.0))
        });
        let outcome = added.find(Result::is_err).unwrap_or(Ok(()));
        let outcome = outcome.and_then(|()| shared.consumer.commit(&list, CommitMode::Async));
        self.at = Some(Instant::now());
        match outcome {
            Ok(()) => (self.committed, self.sent) = (next, self.sent + 1),
            Err(error) => shared.consumer.context().not_committed(&error),
        }
    }
}
