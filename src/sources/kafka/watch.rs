//! Looks every two seconds which partitions the topics have, and now and then whether one became compacted (`policy.rs`). A partition found while running is read from its earliest
//! record, whatever `--start` says: its first records are as new as it is. A topic that is gone, or was made anew under
//! the same name, ends the run: what would be read is not the log that was begun.

use super::admin::{Topic, Wait};
use super::{Shared, health, policy, raw};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind};
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
const PATIENCE: Duration = Duration::from_secs(4);
/// How long it may take to learn anew which brokers there are.
const METADATA: Duration = Duration::from_secs(1);
/// How long topics may go unseen before that is said: a broker that is restarted takes a while.
const UNSEEN: Duration = Duration::from_secs(60);
/// A topic is gone when so many looks in a row were told so: one broker may know less than the cluster for a moment.
const GONE_AFTER: u32 = 3;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
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

impl Known {
    /// Compares a look with what is known: the partitions that are new, or why the run cannot go on.
    pub(super) fn look(&mut self, topics: &[Topic]) -> Result<Vec<PartitionName>, Halt> {
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
                    return Err(Halt::new(
                        HaltKind::Data,
                        format!(
                            "topic '{name}' was deleted and made anew while it was read (its id was {}, now it is {}); \
                             begin a new run to read the new one (--job NAME)",
                            known.id, topic.id
                        ),
                    ));
                }
                Ok(partitions) => {
                    known.gone = 0;
                    let numbers = partitions.iter().filter(|number| !known.partitions.contains(number));
                    new.extend(numbers.map(|&number| PartitionName { log: name.clone(), number: Some(number) }));
                }
                Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    known.gone += 1;
                    if known.gone >= GONE_AFTER {
                        return Err(Halt::new(
                            HaltKind::Data,
                            format!(
                                "topic '{name}' was deleted while it was read; if that was meant, begin a new run \
                                 without it (--job NAME)"
                            ),
                        ));
                    }
                }
                Err(error) => self.why = Some(format!("topic '{name}': {error}")),
            }
        }
        Ok(new)
    }

    /// What is to be said of partitions that cannot be seen, after a look.
    fn concern(&mut self, now: Instant) -> Option<String> {
        let Some(why) = &self.why else {
            self.unseen = None;
            return None;
        };
        let since = *self.unseen.get_or_insert(now);
        (now.duration_since(since) >= UNSEEN)
            .then(|| format!("partitions that are new are not read: the topics cannot be looked at ({why})"))
    }

    /// This partition is told to the run: it is not new any more.
    pub(super) fn told(&mut self, partition: &PartitionName) {
        if let (Some(topic), Some(number)) = (self.topics.get_mut(&partition.log), partition.number) {
            topic.partitions.insert(number);
        }
    }
}

/// The thread: serves the clients' events, and looks.
pub(super) fn run(shared: &Shared, mut known: Known) {
    let (mut looked, mut policies) = (Instant::now(), Instant::now());
    let meanwhile = || {
        shared.serve(Duration::ZERO);
        !shared.stopping()
    };
    let wait = Wait { timeout: PATIENCE, meanwhile: &meanwhile };
    while !shared.stopping() {
        shared.serve(Duration::from_millis(100));
        if looked.elapsed() >= EVERY {
            look(shared, &mut known, &wait);
            shared.concern("new partitions", known.concern(Instant::now()));
            looked = Instant::now();
        }
        if policies.elapsed() >= policy::EVERY {
            policy::look(shared, &wait);
            policies = Instant::now();
        }
    }
}

fn look(shared: &Shared, known: &mut Known, wait: &Wait<'_>) {
    let asker = shared.asker.client();
    let new = match raw::describe_topics(asker, wait, &shared.address.topics) {
        Ok(topics) => {
            shared.asker.context().answered();
            shared.health.looked(&topics);
            match known.look(&topics) {
                Ok(new) => new,
                Err(halt) => return shared.halt(halt),
            }
        }
        Err(refused) => {
            // It is the controller that is asked. Where that one is gone, any broker knows the one that took its place, and
            // librdkafka would ask in five minutes.
            let any = shared.address.topics.first().map(String::as_str);
            if let Err(error) = shared.asker.fetch_metadata(any, METADATA) {
                tracing::debug!("kafka: brokers could not be learnt anew: {error}");
            }
            known.why = Some(refused.text);
            return;
        }
    };
    health::look_for_transactions(shared, wait.meanwhile);
    if new.is_empty() || shared.bounded {
        return; // a bounded run reads what was there when it began
    }
    let numbered = |name: &PartitionName| (name.log.clone(), name.number.unwrap_or_default());
    let partitions = new.iter().map(numbered).map(|(topic, number)| (topic, number, Offset::Beginning));
    let starts = match raw::list_offsets(asker, wait, partitions, false) {
        Ok(starts) => starts,
        Err(refused) => return known.why = Some(refused.text),
    };
    for name in new {
        let log_id = known.topics.get(&name.log).map(|topic| topic.id.clone());
        match starts.get(&numbered(&name)) {
            Some(Ok(start)) if *start >= 0 => {
                tracing::info!("kafka: found partition {name}, read from its first offset {start}");
                known.told(&name);
                let start = NextOffset(*start);
                shared.tell(Discovered { name, start, earliest: start, end: None, log_id });
            }
            Some(Err(error)) => known.why = Some(format!("partition {name}: {error}")), // the next look finds it again
            _ => known.why = Some(format!("partition {name}: no answer where it begins")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, id: &str, partitions: Result<Vec<i32>, RDKafkaErrorCode>) -> Topic {
        Topic { name: name.into(), id: id.into(), partitions, leaderless: Vec::new() }
    }

    fn names(found: &[PartitionName]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_partition_is_new_until_it_was_told() {
        let mut known = Known::default();
        let both = [topic("a", "1", Ok(vec![0, 1])), topic("b", "2", Ok(vec![0]))];
        let new = known.look(&both).expect("fine");
        assert_eq!(names(&new), ["a/0", "a/1", "b/0"]);
        known.told(&new[0]);
        known.told(&new[2]);
        assert_eq!(names(&known.look(&both).expect("fine")), ["a/1"]);
        let more = [topic("a", "1", Ok(vec![0, 1, 2])), topic("b", "2", Err(RDKafkaErrorCode::LeaderNotAvailable))];
        assert_eq!(names(&known.look(&more).expect("fine")), ["a/1", "a/2"]);
    }

    #[test]
    fn what_is_not_seen_for_a_minute_is_said_until_it_is_seen() {
        let (mut known, began) = (Known::default(), Instant::now());
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
        let mut known = Known::default();
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
        let halt = known.look(&gone).expect_err("gone");
        assert!(halt.kind == HaltKind::Data && halt.why.contains("topic 'a' was deleted"), "{halt:?}");
    }

    #[test]
    fn a_topic_made_anew_is_another_log() {
        let mut known = Known::default();
        known.look(&[topic("a", "1", Ok(vec![0]))]).expect("fine");
        let halt = known.look(&[topic("a", "2", Ok(vec![0]))]).expect_err("another");
        assert!(halt.why.contains("made anew"), "{halt:?}");
    }
}
