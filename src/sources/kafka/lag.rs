//! The group's offsets, for tools that show how far a consumer is behind: the next offsets of the newest manifest, at most
//! once a second, on a thread of their own. Nothing reads them back. A broker that refuses them does no harm; it is said for
//! as long as it does.

use super::context::Consume;
use super::{Shared, lower};
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
            Ok(()) => {
                committed = next;
                shared.concern("group", None);
            }
            Err(error) => {
                let is_refused = shared.consumer.context().group_refused();
                shared.concern("group", Some(concern(&error, is_refused, &shared.group)));
            }
        }
    }
    shared.lag.lock().ended = true;
    shared.lag.changed.notify_all();
}

/// What is to be said of offsets that are not committed. `is_refused`: the client was told so on the side.
fn concern(error: &KafkaError, is_refused: bool, group: &str) -> String {
    let why = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => refused(group),
        Some(_) if is_refused => refused(group),
        Some(code) => lower(&code.to_string()),
        None => lower(&error.to_string()),
    };
    format!(
        "the offsets of group '{group}', for tools that show its lag, are not committed, and results are the same: {why}"
    )
}

fn refused(group: &str) -> String {
    format!("this user may not; grant READ on group '{group}', or name one that it may use (-X group.id=NAME)")
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
    fn a_group_that_may_not_be_used_is_named_with_what_to_grant() {
        let says = |code, is_refused| concern(&KafkaError::ConsumerCommit(code), is_refused, "minutely-x");
        let grant = "grant READ on group 'minutely-x'";
        assert!(says(RDKafkaErrorCode::GroupAuthorizationFailed, false).contains(grant));
        assert!(says(RDKafkaErrorCode::WaitingForCoordinator, true).contains(grant));
        let other = says(RDKafkaErrorCode::WaitingForCoordinator, false);
        assert!(!other.contains(grant) && other.contains("Waiting for coordinator"), "{other}");
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
