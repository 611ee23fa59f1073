//! What keeps the source from reading, and which partitions hold records that cannot be read, from facts: when a broker
//! last answered a look at the topics, what is known of brokers that cannot be reached, which partitions have no leader,
//! and where the last stable offset is behind the end.
//!
//! An open transaction looks exactly like the end of a partition to a reader. So a partition that has not moved between
//! two looks is asked for its end under both isolations: where the end lies past the position, and the last stable offset
//! is the position, a transaction is open there.

use super::raw;
use super::requests::{PartitionOffsets, RequestWait, TopicDescription, TopicPartition};
use crate::kafka::RequestClient;
use minutely_dataflows::edge::Waiting;
use minutely_dataflows::record::PartitionName;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Trouble, after no answer for this long.
const SILENT: Duration = Duration::from_secs(10);
/// The same, where librdkafka says that no broker can be connected to.
const DOWN: Duration = Duration::from_secs(3);
/// How long a request for open transactions may take: the next look at the topics waits for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Partitions that a message names.
const NAMED: usize = 3;

/// What is known of partitions that cannot be read.
pub(super) struct KafkaHealth(Mutex<HealthFacts>);

struct HealthFacts {
    /// When a broker last described the topics.
    answered: Instant,
    /// Why topics could not be described, by topic.
    denied: BTreeMap<String, String>,
    leaderless: BTreeSet<TopicPartition>,
    /// Partitions with an open transaction: its offset, and how many offsets lie behind it.
    open: BTreeMap<TopicPartition, (i64, i64)>,
    /// Positions of readers, now and at the look before. -1: not known yet.
    readers: BTreeMap<TopicPartition, (Arc<AtomicI64>, i64)>,
}

impl Default for KafkaHealth {
    fn default() -> Self {
        KafkaHealth(Mutex::new(HealthFacts {
            answered: Instant::now(),
            denied: BTreeMap::new(),
            leaderless: BTreeSet::new(),
            open: BTreeMap::new(),
            readers: BTreeMap::new(),
        }))
    }
}

fn name((log, number): &TopicPartition) -> PartitionName {
    PartitionName { log: log.clone(), number: Some(*number) }
}

impl KafkaHealth {
    fn lock(&self) -> MutexGuard<'_, HealthFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader, which stores its position in what is returned.
    pub(super) fn join(&self, topic: &str, partition: i32) -> Arc<AtomicI64> {
        let position = Arc::new(AtomicI64::new(-1));
        self.lock().readers.insert((topic.to_owned(), partition), (Arc::clone(&position), -1));
        position
    }

    /// Removes a reader.
    pub(super) fn leave(&self, topic: &str, partition: i32) {
        let key = (topic.to_owned(), partition);
        let mut facts = self.lock();
        facts.readers.remove(&key);
        facts.open.remove(&key);
    }

    /// Notes what a broker said of the topics.
    pub(super) fn record_topics(&self, topics: &[TopicDescription]) {
        let mut facts = self.lock();
        facts.answered = Instant::now();
        facts.denied = topics.iter().filter_map(|topic| Some((topic.name.clone(), denial(topic)?))).collect();
        let leaderless = topics.iter().flat_map(|topic| topic.leaderless.iter().map(|n| (topic.name.clone(), *n)));
        facts.leaderless = leaderless.collect();
    }

    /// Readers that have not moved since the last look, with their positions.
    fn idle_readers(&self) -> Vec<(TopicPartition, i64)> {
        let facts = &mut *self.lock();
        let mut idle = Vec::new();
        for (partition, (position, before)) in &mut facts.readers {
            let now = position.load(Ordering::Relaxed);
            if now >= 0 && now == *before && !facts.leaderless.contains(partition) {
                idle.push((partition.clone(), now));
            }
            *before = now;
        }
        facts.open.retain(|partition, (at, _)| idle.iter().any(|(other, now)| other == partition && now == at));
        idle
    }

    /// See [`minutely_dataflows::edge::LogSource::waiting`].
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let facts = self.lock();
        let leaderless = facts.leaderless.iter().map(|partition| Waiting {
            partition: name(partition),
            what: "a leader: all brokers that hold it are down".to_owned(),
            is_trouble: true,
        });
        let open = facts.open.iter().map(|(partition, (at, behind))| Waiting {
            partition: name(partition),
            what: format!(
                "an open transaction at offset {at}: {behind} offsets lie behind it, until its producer ends it or its time \
                 is over"
            ),
            is_trouble: false,
        });
        leaderless.chain(open).collect()
    }

    /// See [`minutely_dataflows::edge::LogSource::trouble`]. `refused`: why this client is refused for good; `down`: no broker can
    /// be connected to; `failures`: what is known of each.
    pub(super) fn trouble(
        &self,
        brokers: &str,
        refused: Option<String>,
        down: bool,
        failures: impl FnOnce() -> Vec<String>,
    ) -> Option<String> {
        let facts = self.lock();
        let silent = facts.answered.elapsed();
        if let Some(refused) = refused {
            return Some(format!("kafka at {brokers}: {refused}"));
        }
        if silent >= SILENT || (down && silent >= DOWN) {
            let known = failures().join("; ");
            let known = if known.is_empty() { known } else { format!(": {known}") };
            return Some(format!("no answer from kafka at {brokers} for {} s{known}", silent.as_secs()));
        }
        if let Some(why) = facts.denied.values().next() {
            return Some(why.clone());
        }
        let named: Vec<String> =
            facts.leaderless.iter().take(NAMED).map(|partition| name(partition).to_string()).collect();
        let what = match (named.as_slice(), facts.leaderless.len()) {
            ([], _) => return None,
            ([one], _) => format!("partition {one} has no leader"),
            (some, count) if count > NAMED => {
                format!("partitions {} and {} more have no leader", some.join(", "), count - NAMED)
            }
            (some, _) => format!("partitions {} have no leader", some.join(", ")),
        };
        Some(format!("{what}: all brokers that hold them are down; start one of them"))
    }

    /// Looks for open transactions, where one would look like the end. What is not answered stays as it was known. `needed`: the
    /// readers do not read past open transactions, and their partitions have no recorded end.
    pub(super) fn look_for_transactions(&self, client: &RequestClient, needed: bool, meanwhile: &dyn Fn() -> bool) {
        let idle = self.idle_readers();
        if !needed || idle.is_empty() {
            return;
        }
        let wait = RequestWait { timeout: REQUEST_TIMEOUT, meanwhile };
        let ends = |readers: &[(TopicPartition, i64)], committed| {
            let partitions = readers.iter().map(|((topic, number), _)| (topic.clone(), *number, Offset::End));
            raw::list_offsets(client, &wait, partitions, committed).ok()
        };
        let Some(all) = ends(&idle, false) else { return };
        let behind: Vec<_> =
            idle.iter().filter(|(partition, at)| offset(&all, partition) > Some(*at)).cloned().collect();
        // Asked after the ends: what is stable up to the position and no further is held back by a transaction.
        let stable = if behind.is_empty() { Some(PartitionOffsets::new()) } else { ends(&behind, true) };
        let Some(stable) = stable else { return };
        let open = &mut self.lock().open;
        for (partition, at) in idle {
            match (offset(&all, &partition), offset(&stable, &partition)) {
                (Some(end), Some(stable)) if end > at && stable == at => drop(open.insert(partition, (at, end - at))),
                (Some(end), None) if end > at => {} // not answered
                (None, _) => {}
                _ => drop(open.remove(&partition)),
            }
        }
    }
}

fn denial(topic: &TopicDescription) -> Option<String> {
    match topic.partitions {
        Err(RDKafkaErrorCode::TopicAuthorizationFailed) => Some(format!(
            "topic '{}' may not be looked at any more by this user: grant READ and DESCRIBE on it",
            topic.name
        )),
        _ => None,
    }
}

fn offset(answers: &PartitionOffsets, partition: &TopicPartition) -> Option<i64> {
    answers.get(partition)?.as_ref().ok().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: Result<Vec<i32>, RDKafkaErrorCode>, leaderless: &[i32]) -> TopicDescription {
        TopicDescription { name: name.into(), id: "1".into(), partitions, leaderless: leaderless.to_vec() }
    }

    fn since(health: &KafkaHealth, seconds: u64) {
        health.lock().answered = Instant::now() - Duration::from_secs(seconds);
    }

    #[test]
    fn silence_is_trouble_sooner_where_no_broker_can_be_connected_to() {
        let health = KafkaHealth::default();
        let known = || vec!["b:1: Connection refused".to_owned()];
        let trouble = |down| health.trouble("b:1", None, down, known);
        since(&health, 4);
        assert_eq!(trouble(false), None);
        assert_eq!(trouble(true).unwrap(), "no answer from kafka at b:1 for 4 s: b:1: Connection refused");
        since(&health, 11);
        assert!(trouble(false).unwrap().contains("for 11 s"));
        health.record_topics(&[]);
        assert_eq!(trouble(true), None, "a broker has answered");
        assert_eq!(health.trouble("b:1", Some("no user".into()), false, known).unwrap(), "kafka at b:1: no user");
    }

    #[test]
    fn what_cannot_be_read_is_named_while_it_is_so() {
        let health = KafkaHealth::default();
        let trouble = || health.trouble("b:1", None, false, Vec::new);
        health.record_topics(&[topic("t", Ok(vec![0, 1]), &[1])]);
        assert_eq!(
            trouble().unwrap(),
            "partition t/1 has no leader: all brokers that hold them are down; start one of them"
        );
        let waiting = health.waiting();
        assert_eq!((waiting.len(), waiting[0].is_trouble), (1, true));
        assert_eq!(waiting[0].describe(), "partition t/1 waits for a leader: all brokers that hold it are down");
        health.record_topics(&[topic("t", Ok((0..9).collect()), &[0, 1, 2, 3, 4])]);
        assert!(
            trouble().unwrap().starts_with("partitions t/0, t/1, t/2 and 2 more have no leader"),
            "{:?}",
            trouble()
        );
        health.record_topics(&[topic("t", Err(RDKafkaErrorCode::TopicAuthorizationFailed), &[])]);
        assert!(trouble().unwrap().contains("grant READ and DESCRIBE"), "{:?}", trouble());
        health.record_topics(&[topic("t", Ok(vec![0, 1]), &[])]);
        assert_eq!((trouble(), health.waiting()), (None, Vec::new()));
    }

    #[test]
    fn a_reader_that_moves_is_not_asked_about() {
        let health = KafkaHealth::default();
        let position = health.join("t", 0);
        assert_eq!(health.idle_readers(), [], "its position is not known");
        position.store(7, Ordering::Relaxed);
        assert_eq!(health.idle_readers(), [], "it has moved");
        assert_eq!(health.idle_readers(), [(("t".to_owned(), 0), 7)]);
        health.lock().open.insert(("t".to_owned(), 0), (7, 3));
        assert!(health.waiting()[0].describe().contains("an open transaction at offset 7: 3 offsets lie behind it"));
        position.store(9, Ordering::Relaxed);
        assert_eq!((health.idle_readers(), health.waiting()), (Vec::new(), Vec::new()));
        health.leave("t", 0);
        assert!(health.lock().readers.is_empty());
    }
}
