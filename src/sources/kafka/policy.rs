//! Is a topic compacted? Compaction removes records from the middle of a log, so results would not be a function of it
//! (R10). Looked at before anything is read, and again while the run lives, for the policy can be changed under it.
//!
//! An answer that is missing or refused is *unknown*, and said for as long as it is so: a topic is taken for whole only
//! where the brokers say it.

use super::admin::{Configs, Refused, TopicConfig, Wait};
use super::{Shared, raw};
use minutely_dataflows::edge::{Halt, HaltKind};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(15);
/// How long one request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Topics that one concern names.
const NAMED: usize = 5;

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// It keeps each record until retention takes it, from the front.
    Whole,
    /// It is compacted: its `cleanup.policy`.
    Compacted(String),
    /// Nothing.
    Unknown(Why),
}

/// Why nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// This user may not see it.
    Refused,
    /// Another reason, in words.
    Other(String),
}

/// What the brokers say of each topic.
fn policies(topics: &[String], configs: &Result<Configs, Refused>) -> Vec<(String, Policy)> {
    let of = |topic: &String| match configs {
        Err(refused) => Policy::Unknown(Why::Other(refused.text.clone())),
        Ok(configs) => policy(configs.get(topic)),
    };
    topics.iter().map(|topic| (topic.clone(), of(topic))).collect()
}

/// What an answer says.
fn policy(answer: Option<&Result<TopicConfig, RDKafkaErrorCode>>) -> Policy {
    match answer.map(|config| config.as_ref().map(|config| config.get("cleanup.policy"))) {
        None => Policy::Unknown(Why::Other("no answer".into())),
        Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) => Policy::Unknown(Why::Refused),
        Some(Err(error)) => Policy::Unknown(Why::Other(error.to_string())),
        Some(Ok(None)) => Policy::Unknown(Why::Other("the brokers do not tell it".into())),
        Some(Ok(Some(policy))) if policy.split(',').any(|one| one.trim().eq_ignore_ascii_case("compact")) => {
            Policy::Compacted(policy.clone())
        }
        Some(Ok(Some(_))) => Policy::Whole,
    }
}

/// Asks the brokers.
pub(super) fn ask(shared: &Shared, wait: &Wait<'_>) -> Vec<(String, Policy)> {
    let topics = &shared.address.topics;
    policies(topics, &raw::describe_configs(shared.asker.client(), wait, topics))
}

/// The first compacted topic, and its policy.
pub(super) fn compacted(policies: &[(String, Policy)]) -> Option<(&str, &str)> {
    policies.iter().find_map(|(topic, policy)| match policy {
        Policy::Compacted(policy) => Some((topic.as_str(), policy.as_str())),
        _ => None,
    })
}

/// What is to be said of topics that may be compacted; none if every topic is known.
pub(super) fn concern(policies: &[(String, Policy)]) -> Option<String> {
    let mut unknown: BTreeMap<&Why, Vec<&str>> = BTreeMap::new();
    for (topic, policy) in policies {
        if let Policy::Unknown(why) = policy {
            unknown.entry(why).or_default().push(topic);
        }
    }
    let groups = unknown.into_iter().map(|(why, topics)| {
        let more = topics.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = topics.iter().take(NAMED).copied().collect::<Vec<_>>().join("', '");
        let (noun, it) = if topics.len() == 1 { ("topic", "it") } else { ("topics", "them") };
        let why = match why {
            Why::Refused => {
                format!("this user may not see cleanup.policy; grant READ, DESCRIBE and DESCRIBE_CONFIGS on {it}")
            }
            Why::Other(why) => format!("cleanup.policy is not known ({why})"),
        };
        format!("{noun} '{named}'{more} may be compacted, which removes records that count: {why}")
    });
    let groups: Vec<_> = groups.collect();
    (!groups.is_empty()).then(|| groups.join("; "))
}

/// Looks again.
pub(super) fn look(shared: &Shared, wait: &Wait<'_>) {
    let policies = ask(shared, wait);
    if shared.stopping() {
        return; // given up, which says nothing
    }
    if let Some((topic, policy)) = compacted(&policies) {
        shared.halt(Halt::new(
            HaltKind::Data,
            format!(
                "topic '{topic}' has cleanup.policy={policy} now: compaction removes records that count, and what was read \
                 since it was changed may lack some already; set cleanup.policy=delete, and read the log anew \
                 (--job NAME) if it holds all of it, or read another topic"
            ),
        ));
    }
    shared.concern("cleanup.policy", concern(&policies));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(value: &str) -> Option<Result<TopicConfig, RDKafkaErrorCode>> {
        Some(Ok([("cleanup.policy".to_owned(), value.to_owned())].into()))
    }

    #[test]
    fn a_topic_is_whole_only_where_the_brokers_say_so() {
        for (answer, whole, compacted) in [
            (says("delete"), true, false),
            (says(""), true, false), // Kafka 4.1: neither
            (says("compact"), false, true),
            (says("delete, Compact"), false, true),
            (Some(Ok(TopicConfig::new())), false, false),
            (Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)), false, false),
            (Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)), false, false),
            (None, false, false),
        ] {
            let policy = policy(answer.as_ref());
            assert_eq!(policy == Policy::Whole, whole, "{answer:?}");
            assert_eq!(matches!(policy, Policy::Compacted(_)), compacted, "{answer:?}");
        }
        let failed = Err(Refused { code: RDKafkaErrorCode::OperationTimedOut, text: "no answer in time".into() });
        let unknown = Policy::Unknown(Why::Other("no answer in time".into()));
        assert_eq!(
            policies(&["a".into(), "b".into()], &failed),
            [("a".into(), unknown.clone()), ("b".into(), unknown)]
        );
    }

    #[test]
    fn what_is_not_known_is_said_with_what_to_grant() {
        let unknown = |topic: &str, why: Why| (topic.to_owned(), Policy::Unknown(why));
        assert_eq!(concern(&[("a".to_owned(), Policy::Whole)]), None);
        let one = concern(&[("a".to_owned(), Policy::Whole), unknown("b", Why::Refused)]).unwrap();
        let grant = "may not see cleanup.policy; grant READ, DESCRIBE and DESCRIBE_CONFIGS on it";
        assert!(one.starts_with("topic 'b' may be compacted") && one.ends_with(grant), "{one}");
        let many: Vec<_> = (0..7).map(|n| unknown(&format!("t{n}"), Why::Refused)).collect();
        let many = concern(&many).unwrap();
        assert!(many.starts_with("topics 't0', 't1', 't2', 't3', 't4' and 2 more may be compacted"), "{many}");
        let two = concern(&[unknown("a", Why::Other("timed out".into())), unknown("b", Why::Refused)]).unwrap();
        assert!(two.contains("topic 'a' may be") && two.contains("(timed out)") && two.contains("topic 'b'"), "{two}");
    }
}
