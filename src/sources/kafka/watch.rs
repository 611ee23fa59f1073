//! Looks every two seconds which partitions the topics have, and more seldom whether one became compacted (`policy.rs`). A
//! partition found while running is read from its earliest record, whatever `--start` says: its first records are as new as it
//! is. A topic that is gone, or was deleted and created again, ends the run: it is not the log that was begun.

use super::error::KafkaSourceError;
use super::requests::{RequestWait, TopicDescription};
use super::session::KafkaSession;
use super::{policy, raw};
use minutely_dataflows::edge::Discovered;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long one request may take: two looks and what is between them fit into the silence that counts as trouble.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// How long it may take to ask again which brokers there are.
const METADATA: Duration = Duration::from_secs(1);
/// How long topics may be hidden before a concern is shown: a broker that is restarted takes a while.
const UNSEEN: Duration = Duration::from_secs(60);
/// A topic is gone when this many looks in a row say so: one broker may know less than the cluster for a moment.
const GONE_AFTER: u32 = 3;

/// The topics and partitions found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTopics {
    topics: BTreeMap<String, KnownTopic>,
    /// Since when some partition that is new could not be seen.
    unseen: Option<Instant>,
    /// Why, in the last look.
    why: Option<String>,
}

#[derive(Clone, Debug)]
struct KnownTopic {
    id: String,
    partitions: BTreeSet<i32>,
    gone: u32,
}

impl KnownTopics {
    /// Compares a look with what is known: the partitions that are new, or why the run must end.
    pub(super) fn look(&mut self, topics: &[TopicDescription]) -> Result<Vec<PartitionName>, KafkaSourceError> {
        let mut new = Vec::new();
        self.why = None;
        for topic in topics {
            let name = &topic.name;
            let known = self.topics.entry(name.clone()).or_insert_with(|| KnownTopic {
                id: topic.id.clone(),
                partitions: BTreeSet::new(),
                gone: 0,
            });
            match &topic.partitions {
                Ok(_) if topic.id != known.id => {
                    return Err(KafkaSourceError::Recreated {
                        topic: name.clone(),
                        was: known.id.clone(),
                        is: topic.id.clone(),
                    });
                }
                Ok(partitions) => {
                    known.gone = 0;
                    let numbers = partitions.iter().filter(|number| !known.partitions.contains(number));
                    new.extend(numbers.map(|&number| PartitionName { log: name.clone(), number: Some(number) }));
                }
                Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    known.gone += 1;
                    if known.gone >= GONE_AFTER {
                        return Err(KafkaSourceError::Deleted { topic: name.clone() });
                    }
                }
                Err(error) => self.why = Some(format!("topic '{name}': {error}")),
            }
        }
        Ok(new)
    }

    /// For people, after a look: why new partitions cannot be seen. `None` for [`UNSEEN`] after they could be.
    fn concern(&mut self, now: Instant) -> Option<String> {
        let Some(why) = &self.why else {
            self.unseen = None;
            return None;
        };
        let since = *self.unseen.get_or_insert(now);
        (now.duration_since(since) >= UNSEEN)
            .then(|| format!("partitions that are new are not read: the topics cannot be looked at ({why})"))
    }

    /// The run knows this partition: it is not new any more.
    pub(super) fn announced(&mut self, partition: &PartitionName) {
        if let (Some(topic), Some(number)) = (self.topics.get_mut(&partition.log), partition.number) {
            topic.partitions.insert(number);
        }
    }
}

/// The thread: serves the clients' events, and looks.
pub(super) fn run(session: &KafkaSession, mut known: KnownTopics) {
    let (mut looked, mut policies) = (Instant::now(), Instant::now());
    let meanwhile = || {
        session.serve(Duration::ZERO);
        !session.is_stopping()
    };
    let wait = RequestWait { timeout: REQUEST_TIMEOUT, meanwhile: &meanwhile };
    while !session.is_stopping() {
        session.serve(Duration::from_millis(100));
        if looked.elapsed() >= EVERY {
            look(session, &mut known, &wait);
            session.set_concern("new partitions", known.concern(Instant::now()));
            looked = Instant::now();
        }
        if policies.elapsed() >= policy::EVERY {
            look_for_compaction(session, &wait);
            policies = Instant::now();
        }
    }
}

fn look(session: &KafkaSession, known: &mut KnownTopics, wait: &RequestWait<'_>) {
    let client = session.requests.client();
    let new = match raw::describe_topics(client, wait, &session.address.topics) {
        Ok(topics) => {
            session.requests.context().clear_failures();
            session.health.record_topics(&topics);
            match known.look(&topics) {
                Ok(new) => new,
                Err(error) => return session.halt(error.into()),
            }
        }
        Err(error) => {
            // The controller is asked. Where it is gone, any broker knows its successor, and librdkafka would ask one only after
            // five minutes.
            let any = session.address.topics.first().map(String::as_str);
            if let Err(error) = session.requests.fetch_metadata(any, METADATA) {
                tracing::debug!("kafka: the list of brokers could not be renewed: {error}");
            }
            known.why = Some(error.text);
            return;
        }
    };
    let needed = session.reads_committed && !session.bounded;
    session.health.look_for_transactions(client, needed, wait.meanwhile);
    if new.is_empty() || session.bounded {
        return; // a bounded run reads what was there when it began
    }
    let numbered = |name: &PartitionName| (name.log.clone(), name.number.unwrap_or_default());
    let partitions = new.iter().map(numbered).map(|(topic, number)| (topic, number, Offset::Beginning));
    let starts = match raw::list_offsets(client, wait, partitions, false) {
        Ok(starts) => starts,
        Err(error) => return known.why = Some(error.text),
    };
    for name in new {
        let log_id = known.topics.get(&name.log).map(|topic| topic.id.clone());
        match starts.get(&numbered(&name)) {
            Some(Ok(start)) if *start >= 0 => {
                tracing::info!("kafka: found partition {name}, read from its first offset {start}");
                known.announced(&name);
                let start = NextOffset(*start);
                session.announce(Discovered { name, start, earliest: start, end: None, log_id });
            }
            Some(Err(error)) => known.why = Some(format!("partition {name}: {error}")), // the next look finds it again
            _ => known.why = Some(format!("partition {name}: no answer where it begins")),
        }
    }
}

/// Looks again whether a topic is compacted.
fn look_for_compaction(session: &KafkaSession, wait: &RequestWait<'_>) {
    let policies = policy::ask(session.requests.client(), &session.address.topics, wait);
    if session.is_stopping() {
        return; // given up, which says nothing
    }
    if let Some((topic, policy)) = policy::compacted(&policies) {
        let error = KafkaSourceError::BecameCompacted { topic: topic.to_owned(), policy: policy.to_owned() };
        session.halt(error.into());
    }
    session.set_concern("cleanup.policy", policy::concern(&policies));
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::edge::{Halt, HaltKind};

    fn topic(name: &str, id: &str, partitions: Result<Vec<i32>, RDKafkaErrorCode>) -> TopicDescription {
        TopicDescription { name: name.into(), id: id.into(), partitions, leaderless: Vec::new() }
    }

    fn names(found: &[PartitionName]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_partition_is_new_until_it_was_told() {
        let mut known = KnownTopics::default();
        let both = [topic("a", "1", Ok(vec![0, 1])), topic("b", "2", Ok(vec![0]))];
        let new = known.look(&both).expect("fine");
        assert_eq!(names(&new), ["a/0", "a/1", "b/0"]);
        known.announced(&new[0]);
        known.announced(&new[2]);
        assert_eq!(names(&known.look(&both).expect("fine")), ["a/1"]);
        let more = [topic("a", "1", Ok(vec![0, 1, 2])), topic("b", "2", Err(RDKafkaErrorCode::LeaderNotAvailable))];
        assert_eq!(names(&known.look(&more).expect("fine")), ["a/1", "a/2"]);
    }

    #[test]
    fn what_is_not_seen_for_a_minute_is_said_until_it_is_seen() {
        let (mut known, began) = (KnownTopics::default(), Instant::now());
        let here = [topic("a", "1", Ok(vec![0]))];
        let hidden = [topic("a", "", Err(RDKafkaErrorCode::TopicAuthorizationFailed))];
        known.look(&here).expect("fine");
        known.look(&hidden).expect("fine");
        assert_eq!(known.concern(began), None);
        let said = known.concern(began + UNSEEN).expect("a minute");
        assert!(said.contains("are not read") && said.contains("topic 'a': "), "{said}");
        known.look(&here).expect("fine");
        assert_eq!(known.concern(began + UNSEEN), None);
        known.look(&hidden).expect("fine");
        assert_eq!(known.concern(began + UNSEEN), None, "counted from now on");
    }

    #[test]
    fn a_topic_is_gone_when_looks_in_a_row_say_so() {
        let mut known = KnownTopics::default();
        let here = [topic("a", "1", Ok(vec![0]))];
        let gone = [topic("a", "", Err(RDKafkaErrorCode::UnknownTopicOrPartition))];
        known.look(&here).expect("fine");
        for _ in 0..3 {
            known.look(&gone).expect("perhaps one broker only");
            known.look(&gone).expect("perhaps one broker only");
            known.look(&here).expect("it was one broker only");
        }
        known.look(&gone).expect("perhaps one broker only");
        known.look(&gone).expect("perhaps one broker only");
        let halt = Halt::from(known.look(&gone).expect_err("gone"));
        assert!(halt.kind == HaltKind::Data && halt.why.contains("topic 'a' was deleted"), "{halt:?}");
    }

    #[test]
    fn a_topic_made_anew_is_another_log() {
        let mut known = KnownTopics::default();
        known.look(&[topic("a", "1", Ok(vec![0]))]).expect("fine");
        let halt = Halt::from(known.look(&[topic("a", "2", Ok(vec![0]))]).expect_err("another"));
        assert!(halt.why.contains("created again"), "{halt:?}");
    }
}
