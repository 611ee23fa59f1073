//! The group's offsets, for tools that show how far a consumer is behind: the next offsets of the newest manifest, at most
//! once a second, on a thread of their own. Nothing reads them back. A broker that refuses them does no harm; a concern is
//! shown for as long as it does.

use crate::kafka::{ConsumerClient, lower};
use crate::threads::Newest;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// Between two commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a shutdown waits for the last commit.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

type NextOffsets = Vec<(PartitionName, NextOffset)>;

/// The offsets to commit next, handed to the thread that commits them.
pub(super) type GroupOffsets = Newest<NextOffsets>;

/// The thread. `concern` is called with why commits fail, and with `None` once they succeed.
pub(super) fn commit_all(
    offsets: &GroupOffsets,
    consumer: &ConsumerClient,
    group: &str,
    concern: &dyn Fn(Option<String>),
) {
    let mut not_before = None;
    let mut committed = NextOffsets::new();
    while let Some(next) = offsets.next(not_before) {
        if next == committed {
            continue;
        }
        not_before = Some(Instant::now() + COMMIT_INTERVAL);
        match commit(consumer, &next) {
            Ok(()) => {
                committed = next;
                concern(None);
            }
            Err(error) => {
                let is_refused = consumer.context().group_refused();
                concern(Some(not_committed(&error, is_refused, group)));
            }
        }
    }
    offsets.end();
}

/// Why offsets are not committed, for people. `is_refused`: the client has heard that the group is forbidden.
fn not_committed(error: &KafkaError, is_refused: bool, group: &str) -> String {
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

fn commit(consumer: &ConsumerClient, next: &NextOffsets) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (name, next) in next {
        list.add_partition_offset(&name.log, name.number.unwrap_or_default(), Offset::Offset(next.0))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_may_not_be_used_is_named_with_what_to_grant() {
        let says = |code, is_refused| not_committed(&KafkaError::ConsumerCommit(code), is_refused, "minutely-x");
        let grant = "grant READ on group 'minutely-x'";
        assert!(says(RDKafkaErrorCode::GroupAuthorizationFailed, false).contains(grant));
        assert!(says(RDKafkaErrorCode::WaitingForCoordinator, true).contains(grant));
        let other = says(RDKafkaErrorCode::WaitingForCoordinator, false);
        assert!(!other.contains(grant) && other.contains("Waiting for coordinator"), "{other}");
    }
}
