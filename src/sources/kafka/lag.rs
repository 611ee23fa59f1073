//! The group's offsets, for tools that show how far a consumer is behind: the next offsets of the newest manifest, at most
//! once a second, on a thread of their own. Nothing reads them back. A broker that refuses them is told of once, and does
//! no harm.

use super::Shared;
use super::context::Consume;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two commits.
const APART: Duration = Duration::from_secs(1);
/// How long the last one is waited for.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

type Offsets = Vec<(PartitionName, NextOffset)>;

/// What is to be committed.
#[derive(Default)]
pub(super) struct Lag {
    latest: Mutex<Latest>,
    changed: Condvar,
}

#[derive(Default)]
struct Latest {
    next: Option<Offsets>,
    stop: bool,
    /// The thread has come to its end.
    ended: bool,
}

impl Lag {
    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are the newest.
    pub(super) fn is(&self, next: Offsets) {
        self.lock().next = Some(next);
        self.changed.notify_all();
    }

    /// The newest are the last. Waits until they are committed, or so long. Says whether the thread has ended.
    pub(super) fn stop(&self, most: Duration) -> bool {
        let mut latest = self.lock();
        latest.stop = true;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(latest, most, |latest| !latest.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Waits for the next ones, and for their time; none when there will be none.
    fn next(&self, last: Option<Instant>) -> Option<Offsets> {
        let mut latest = self.lock();
        loop {
            let soon = last.map_or(Duration::ZERO, |last| APART.saturating_sub(last.elapsed()));
            let early = !latest.stop && !soon.is_zero();
            match latest.next.take_if(|_| !early) {
                Some(next) => return Some(next),
                None if latest.stop => return None,
                None => {}
            }
            let most = if early { soon } else { Duration::MAX };
            latest = self.changed.wait_timeout(latest, most).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread.
pub(super) fn run(shared: &Shared) {
    let mut last = None;
    let mut committed = Offsets::new();
    while let Some(next) = shared.lag.next(last) {
        if next == committed {
            continue;
        }
        last = Some(Instant::now());
        match commit(&shared.consumer, &next) {
            Ok(()) => committed = next,
            Err(error) => shared.consumer.context().not_committed(&error),
        }
    }
    shared.lag.lock().ended = true;
    shared.lag.changed.notify_all();
}

/// What to do about it, or to leave alone.
pub(super) fn harmless(group: &str, error: &KafkaError) -> String {
    let what =
        format!("the offsets of group '{group}' are not committed, which only tools that show a lag would look at");
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
            format!("{what}: grant READ on that group to this user, or leave it; results are the same")
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            format!("{what}: grant READ on the topic to this user, or leave it; results are the same")
        }
        _ => format!("{what} ({error}); they are tried again, and results are the same"),
    }
}

fn commit(consumer: &Consume, next: &Offsets) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (name, next) in next {
        list.add_partition_offset(&name.log, name.number.unwrap_or_default(), Offset::Offset(next.0))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(next: i64) -> Offsets {
        vec![(PartitionName { log: "t".into(), number: Some(0) }, NextOffset(next))]
    }

    #[test]
    fn the_newest_are_taken_a_second_apart_and_the_last_at_once() {
        let lag = Lag::default();
        lag.is(offsets(1));
        lag.is(offsets(2));
        assert_eq!(lag.next(None), Some(offsets(2)));
        let begun = Instant::now();
        lag.is(offsets(3));
        assert_eq!(lag.next(Some(begun)), Some(offsets(3)));
        assert!(begun.elapsed() >= APART, "not before its time");
        lag.is(offsets(4));
        assert!(!lag.stop(Duration::ZERO), "nobody has ended");
        assert_eq!(lag.next(Some(Instant::now())), Some(offsets(4)));
        assert_eq!(lag.next(None), None);
    }
}
