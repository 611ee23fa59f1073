//! What a start has to know of the cluster: which partitions there are, where they begin and end, and that no topic is
//! compacted. Asked until the brokers answer, or the time for it is over.

use super::error::KafkaSourceError;
use super::requests::{PartitionOffsets, RequestError, RequestWait, TopicDescription};
use super::session::KafkaSession;
use super::{SourceOptions, Start, policy, raw};
use crate::kafka::{KafkaContext, lower, reason};
use minutely_dataflows::edge::Discovered;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::time::{Duration, Instant};

/// How long a topic may be unknown at the start before it counts as missing: it may have been made just now.
const MAY_BE_NEW: Duration = Duration::from_secs(3);

/// Asks brokers what a start needs to know, until they answer or the deadline is over.
pub(super) struct Opener<'a> {
    session: &'a KafkaSession,
    options: &'a SourceOptions,
    deadline: Instant,
}

/// Why an attempt did not succeed.
pub(super) enum AttemptError {
    /// Try again before the deadline; the text is for the message when it is over.
    Retry(String),
    /// The same, and no broker has answered.
    Unanswered(String),
    /// Another attempt would not help.
    Fatal(KafkaSourceError),
}

impl From<RequestError> for AttemptError {
    fn from(error: RequestError) -> Self {
        AttemptError::Unanswered(error.to_string())
    }
}

impl<'a> Opener<'a> {
    /// With a deadline that begins now.
    pub(super) fn new(session: &'a KafkaSession, options: &'a SourceOptions) -> Self {
        Opener { session, options, deadline: Instant::now() + options.answer_timeout }
    }

    pub(super) fn session(&self) -> &KafkaSession {
        self.session
    }

    /// Tries until it succeeds, is refused for good (64), or the deadline is over (69).
    pub(super) fn retry<T>(
        &self,
        mut attempt: impl FnMut(&RequestWait<'_>) -> Result<T, AttemptError>,
    ) -> Result<T, KafkaSourceError> {
        let meanwhile = || {
            self.session.serve(Duration::ZERO);
            Instant::now() < self.deadline && self.refused().is_none()
        };
        loop {
            let timeout = self.deadline.saturating_duration_since(Instant::now());
            let why = match attempt(&RequestWait { timeout, meanwhile: &meanwhile }) {
                Ok(done) => {
                    self.session.contexts().for_each(KafkaContext::clear_failures);
                    return Ok(done);
                }
                Err(AttemptError::Fatal(error)) => return Err(error),
                Err(AttemptError::Retry(why)) => (why, false),
                Err(AttemptError::Unanswered(why)) => (why, true),
            };
            if let Some(why) = self.refused() {
                return Err(KafkaSourceError::Refused { brokers: self.brokers(), why });
            }
            if Instant::now() >= self.deadline {
                return Err(self.unreachable(why));
            }
            self.session.serve(Duration::from_millis(100));
        }
    }

    fn brokers(&self) -> String {
        self.session.address.brokers.clone()
    }

    fn refused(&self) -> Option<String> {
        self.session.contexts().find_map(KafkaContext::refused)
    }

    /// `why`: of the last attempt, and whether no broker answered it.
    fn unreachable(&self, (why, unanswered): (String, bool)) -> KafkaSourceError {
        let mut known = self.session.failures();
        if known.is_empty() || !unanswered {
            let last = self.session.contexts().find_map(KafkaContext::last_failure).filter(|_| unanswered);
            known.insert(0, last.map_or(why, |last| lower(&last)));
        }
        KafkaSourceError::NoAnswer {
            brokers: self.brokers(),
            seconds: self.options.answer_timeout.as_secs_f64(),
            known: known.join("; "),
            has_advice: self.session.contexts().any(KafkaContext::has_advice),
        }
    }

    /// The topics of the address; all of them have partitions.
    pub(super) fn topics(&self) -> Result<Vec<TopicDescription>, KafkaSourceError> {
        let began = Instant::now();
        let names = &self.session.address.topics;
        self.retry(|wait| {
            let topics = raw::describe_topics(self.session.requests.client(), wait, names)?;
            let mut missing = Vec::new();
            for TopicDescription { name, partitions, .. } in &topics {
                match partitions {
                    Ok(_) => {}
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                        missing.push(name.as_str());
                    }
                    Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                        return Err(AttemptError::Fatal(KafkaSourceError::TopicDenied { topic: name.clone() }));
                    }
                    Err(error) => return Err(AttemptError::Retry(format!("topic '{name}': {error}"))),
                }
            }
            match missing.first() {
                None if topics.len() == names.len() => Ok(topics),
                None => Err(AttemptError::Retry("not all topics were described".into())),
                Some(_) if began.elapsed() >= MAY_BE_NEW => Err(AttemptError::Fatal(self.no_such_topic(&missing))),
                Some(first) => Err(AttemptError::Retry(format!("topic '{first}' does not exist"))),
            }
        })
    }

    fn no_such_topic(&self, missing: &[&str]) -> KafkaSourceError {
        let metadata = self.session.requests.fetch_metadata(None, Duration::from_secs(2));
        let there = metadata.map_or_else(
            |error| format!("which topics it has could not be asked: {}", reason(&error)),
            |all| topic_list(all.topics().iter().map(|topic| topic.name().to_owned()).collect()),
        );
        KafkaSourceError::NoSuchTopic { topics: missing.join("', '"), brokers: self.brokers(), there }
    }

    /// Compaction removes records from the middle of a log, so results would not be a function of it (R10).
    pub(super) fn refuse_compacted(&self) -> Result<(), KafkaSourceError> {
        let timeout = self.deadline.saturating_duration_since(Instant::now()).min(policy::REQUEST_TIMEOUT);
        let meanwhile = || {
            self.session.serve(Duration::ZERO);
            true
        };
        let wait = RequestWait { timeout, meanwhile: &meanwhile };
        let policies = policy::ask(self.session.requests.client(), &self.session.address.topics, &wait);
        if let Some((topic, policy)) = policy::compacted(&policies) {
            return Err(KafkaSourceError::Compacted { topic: topic.to_owned(), policy: policy.to_owned() });
        }
        self.session.set_concern("cleanup.policy", policy::concern(&policies));
        Ok(())
    }

    /// Every partition with its first offset, and in a bounded run its end.
    pub(super) fn partitions(&self, topics: &[TopicDescription]) -> Result<Vec<Discovered>, KafkaSourceError> {
        let names: Vec<PartitionName> = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().flatten().map(|&number| (topic.name.clone(), number)))
            .map(|(log, number)| PartitionName { log, number: Some(number) })
            .collect();
        let committed = self.session.reads_committed;
        let latest = self.options.start == Start::Latest;
        let wanted = self.options.bounded || latest;
        let ends = wanted.then(|| self.offsets(&names, Offset::End, committed)).transpose()?;
        let earliest = self.offsets(&names, Offset::Beginning, false)?;
        let starts = match self.options.start {
            Start::Latest => ends.clone().expect("asked for, with latest"),
            Start::Earliest => earliest.clone(),
            Start::Time(time) => {
                // Asked before: what is appended between the two requests is read if nothing before it is late enough.
                let now = self.offsets(&names, Offset::End, false)?;
                let ms = time.0.div_euclid(1_000_000) + i64::from(time.0.rem_euclid(1_000_000) > 0);
                let first = self.offsets(&names, Offset::Offset(ms.max(0)), false)?;
                first.into_iter().zip(now).map(|(first, now)| if first >= 0 { first } else { now }).collect()
            }
        };
        let found = names.into_iter().zip(starts).zip(earliest).enumerate().map(|(at, ((name, start), earliest))| {
            let end = ends.as_ref().filter(|_| self.options.bounded).map(|ends| ends[at]);
            let start = start.min(end.unwrap_or(i64::MAX));
            let log_id = topics.iter().find(|topic| topic.name == name.log).and_then(TopicDescription::log_id);
            Discovered { name, start: NextOffset(start), earliest: NextOffset(earliest.min(start)), end, log_id }
        });
        Ok(found.collect())
    }

    /// One offset of each partition, in their order. -1: there is none (only of a time).
    pub(super) fn offsets(
        &self,
        names: &[PartitionName],
        what: Offset,
        committed: bool,
    ) -> Result<Vec<i64>, KafkaSourceError> {
        let numbered = |name: &PartitionName| (name.log.clone(), name.number.unwrap_or_default());
        self.retry(|wait| {
            let partitions = names.iter().map(numbered).map(|(topic, number)| (topic, number, what));
            let offsets: PartitionOffsets =
                raw::list_offsets(self.session.requests.client(), wait, partitions, committed)?;
            names
                .iter()
                .map(|name| match offsets.get(&numbered(name)) {
                    Some(Ok(offset)) => Ok(*offset),
                    Some(Err(error)) => Err(AttemptError::Retry(format!("partition {name}: {error}"))),
                    None => Err(AttemptError::Retry(format!("partition {name}: no answer"))),
                })
                .collect()
        })
    }
}

/// Which topics a cluster shows, ten of them by name.
fn topic_list(mut names: Vec<String>) -> String {
    names.retain(|name| !name.starts_with("__"));
    names.sort_unstable();
    let count = names.len();
    names.truncate(10);
    match count {
        0 => "it shows none to this user".to_owned(),
        1..=10 => format!("it has {}", names.join(", ")),
        _ => format!("it has {} and {} more", names.join(", "), count - 10),
    }
}
