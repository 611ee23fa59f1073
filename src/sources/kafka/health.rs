//! What keeps the source from reading, and which partitions hold records that cannot be read, from facts: when a broker
//! last answered a look at the topics, what is known of brokers that cannot be reached, which partitions have no leader,
//! and where the last stable offset is behind the end.
//!
//! An open transaction looks exactly like the end of a partition to a reader. So a partition that has not moved between
//! two looks is asked for its end under both isolations: where the end lies past the position, and the last stable offset
//! is the position, a transaction is open there.

use super::admin::{Offsets, Topic, Wait};
use super::{Shared, raw};
use minutely_dataflows::edge::Waiting;
use minutely_dataflows::record::PartitionName;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No answer for so long is trouble.
const SILENT: Duration = Duration::from_secs(10);
/// The same, where librdkafka says that no broker can be connected to.
const DOWN: Duration = Duration::from_secs(3);
/// How long a look for open transactions may take: the next look at the topics waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Partitions that a message names.
const NAMED: usize = 3;

type Place = (String, i32);

/// See the module.
pub(super) struct Health(Mutex<State>);

struct State {
    answered: Instant,
    /// Why topics could not be looked at, by topic.
    refused: BTreeMap<String, String>,
    leaderless: BTreeSet<Place>,
    /// Where a transaction is open, and how many offsets lie behind that.
    open: BTreeMap<Place, (i64, i64)>,
    /// Where readers are, and where they were at the look before.
    readers: BTreeMap<Place, (Arc<AtomicI64>, i64)>,
}

impl Default for Health {
    fn default() -> Self {
        Health(Mutex::new(State {
            answered: Instant::now(),
            refused: BTreeMap::new(),
            leaderless: BTreeSet::new(),
            open: BTreeMap::new(),
            readers: BTreeMap::new(),
        }))
    }
}

fn name((log, number): &Place) -> PartitionName {
    PartitionName { log: log.clone(), number: Some(*number) }
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader begins; where it says its position.
    pub(super) fn join(&self, topic: &str, partition: i32) -> Arc<AtomicI64> {
        let position = Arc::new(AtomicI64::new(-1));
        self.lock().readers.insert((topic.to_owned(), partition), (Arc::clone(&position), -1));
        position
    }

    /// And ends.
    pub(super) fn leave(&self, topic: &str, partition: i32) {
        let place = (topic.to_owned(), partition);
        let mut state = self.lock();
        state.readers.remove(&place);
        state.open.remove(&place);
    }

    /// A broker has described the topics.
    pub(super) fn looked(&self, topics: &[Topic]) {
        let mut state = self.lock();
        state.answered = Instant::now();
        state.refused = topics.iter().filter_map(|topic| Some((topic.name.clone(), refusal(topic)?))).collect();
        let leaderless = topics.iter().flat_map(|topic| topic.leaderless.iter().map(|n| (topic.name.clone(), *n)));
        state.leaderless = leaderless.collect();
    }

    /// Readers that have not moved since the last look, with their positions.
    fn still(&self) -> Vec<(Place, i64)> {
        let state = &mut *self.lock();
        let mut still = Vec::new();
        for (place, (position, before)) in &mut state.readers {
            let now = position.load(Ordering::Relaxed);
            if now >= 0 && now == *before && !state.leaderless.contains(place) {
                still.push((place.clone(), now));
            }
            *before = now;
        }
        state.open.retain(|place, (at, _)| still.iter().any(|(other, now)| other == place && now == at));
        still
    }

    /// See [`minutely_dataflows::edge::LogSource::waiting`].
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let state = self.lock();
        let leaderless = state.leaderless.iter().map(|place| Waiting {
            partition: name(place),
            what: "a leader: all brokers that hold it are down".to_owned(),
            is_trouble: true,
        });
        let open = state.open.iter().map(|(place, (at, behind))| Waiting {
            partition: name(place),
            what: format!(
                "an open transaction at offset {at}: {behind} offsets lie behind it, until its producer ends it or its time \
                 is over"
            ),
            is_trouble: false,
        });
        leaderless.chain(open).collect()
    }

    /// See [`minutely_dataflows::edge::LogSource::trouble`]. `refused`: who we are, lastingly; `down`: no broker can be
    /// connected to; `failures`: what is known of each.
    pub(super) fn trouble(
        &self,
        brokers: &str,
        refused: Option<String>,
        down: bool,
        failures: impl FnOnce() -> Vec<String>,
    ) -> Option<String> {
        let state = self.lock();
        let silent = state.answered.elapsed();
        if let Some(refused) = refused {
            return Some(format!("kafka at {brokers}: {refused}"));
        }
        if silent >= SILENT || (down && silent >= DOWN) {
            let known = failures().join("; ");
            let known = if known.is_empty() { known } else { format!(": {known}") };
            return Some(format!("no answer from kafka at {brokers} for {} s{known}", silent.as_secs()));
        }
        if let Some(why) = state.refused.values().next() {
            return Some(why.clone());
        }
        let named: Vec<String> = state.leaderless.iter().take(NAMED).map(|place| name(place).to_string()).collect();
        let what = match (named.as_slice(), state.leaderless.len()) {
            ([], _) => return None,
            ([one], _) => format!("partition {one} has no leader"),
            (some, count) if count > NAMED => {
                format!("partitions {} and {} more have no leader", some.join(", "), count - NAMED)
            }
            (some, _) => format!("partitions {} have no leader", some.join(", ")),
        };
        Some(format!("{what}: all brokers that hold them are down; start one of them"))
    }
}

fn refusal(topic: &Topic) -> Option<String> {
    match topic.partitions {
        Err(RDKafkaErrorCode::TopicAuthorizationFailed) => Some(format!(
            "topic '{}' may not be looked at any more by this user: grant READ and DESCRIBE on it",
            topic.name
        )),
        _ => None,
    }
}

/// Looks for open transactions, where one would look like the end. What is not answered stays as it was known.
pub(super) fn look_for_transactions(shared: &Shared, meanwhile: &dyn Fn() -> bool) {
    let still = shared.health.still();
    if !shared.committed || shared.bounded || still.is_empty() {
        return;
    }
    let wait = Wait { timeout: PATIENCE, meanwhile };
    let asker = shared.asker.client();
    let ends = |places: &[(Place, i64)], committed| {
        let places = places.iter().map(|((topic, number), _)| (topic.clone(), *number, Offset::End));
        raw::list_offsets(asker, &wait, places, committed).ok()
    };
    let Some(all) = ends(&still, false) else { return };
    let behind: Vec<_> = still.iter().filter(|(place, at)| offset(&all, place) > Some(*at)).cloned().collect();
    // Asked after the ends: what is stable up to the position and no further is held back by a transaction.
    let stable = if behind.is_empty() { Some(Offsets::new()) } else { ends(&behind, true) };
    let Some(stable) = stable else { return };
    let open = &mut shared.health.lock().open;
    for (place, at) in still {
        match (offset(&all, &place), offset(&stable, &place)) {
            (Some(end), Some(stable)) if end > at && stable == at => drop(open.insert(place, (at, end - at))),
            (Some(end), None) if end > at => {} // not answered
            (None, _) => {}
            _ => drop(open.remove(&place)),
        }
    }
}

fn offset(answers: &Offsets, place: &Place) -> Option<i64> {
    answers.get(place)?.as_ref().ok().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: Result<Vec<i32>, RDKafkaErrorCode>, leaderless: &[i32]) -> Topic {
        Topic { name: name.into(), id: "1".into(), partitions, leaderless: leaderless.to_vec() }
    }

    fn since(health: &Health, seconds: u64) {
        health.lock().answered = Instant::now() - Duration::from_secs(seconds);
    }

    #[test]
    fn silence_is_trouble_sooner_where_nobody_can_be_connected_to() {
        let health = Health::default();
        let known = || vec!["b:1: Connection refused".to_owned()];
        let trouble = |down| health.trouble("b:1", None, down, known);
        since(&health, 4);
        assert_eq!(trouble(false), None);
        assert_eq!(trouble(true).unwrap(), "no answer from kafka at b:1 for 4 s: b:1: Connection refused");
        since(&health, 11);
        assert!(trouble(false).unwrap().contains("for 11 s"));
        health.looked(&[]);
        assert_eq!(trouble(true), None, "somebody has answered");
        assert_eq!(health.trouble("b:1", Some("no user".into()), false, known).unwrap(), "kafka at b:1: no user");
    }

    #[test]
    fn what_cannot_be_read_is_named_while_it_is_so() {
        let health = Health::default();
        let trouble = || health.trouble("b:1", None, false, Vec::new);
        health.looked(&[topic("t", Ok(vec![0, 1]), &[1])]);
        assert_eq!(
            trouble().unwrap(),
            "partition t/1 has no leader: all brokers that hold them are down; start one of them"
        );
        let waiting = health.waiting();
        assert_eq!((waiting.len(), waiting[0].is_trouble), (1, true));
        assert_eq!(waiting[0].told(), "partition t/1 waits for a leader: all brokers that hold it are down");
        health.looked(&[topic("t", Ok((0..9).collect()), &[0, 1, 2, 3, 4])]);
        assert!(
            trouble().unwrap().starts_with("partitions t/0, t/1, t/2 and 2 more have no leader"),
            "{:?}",
            trouble()
        );
        health.looked(&[topic("t", Err(RDKafkaErrorCode::TopicAuthorizationFailed), &[])]);
        assert!(trouble().unwrap().contains("grant READ and DESCRIBE"), "{:?}", trouble());
        health.looked(&[topic("t", Ok(vec![0, 1]), &[])]);
        assert_eq!((trouble(), health.waiting()), (None, Vec::new()));
    }

    #[test]
    fn a_reader_that_moves_is_not_asked_about() {
        let health = Health::default();
        let position = health.join("t", 0);
        assert_eq!(health.still(), [], "it has not said where it is");
        position.store(7, Ordering::Relaxed);
        assert_eq!(health.still(), [], "it has moved");
        assert_eq!(health.still(), [(("t".to_owned(), 0), 7)]);
        health.lock().open.insert(("t".to_owned(), 0), (7, 3));
        assert!(health.waiting()[0].told().contains("an open transaction at offset 7: 3 offsets lie behind it"));
        position.store(9, Ordering::Relaxed);
        assert_eq!((health.still(), health.waiting()), (Vec::new(), Vec::new()));
        health.leave("t", 0);
        assert!(health.lock().readers.is_empty());
    }
}
