//! Is a topic compacted? Compaction removes records from the middle of a log, so results would not be a function of it
//! (R10). Looked at before anything is read, and again while the run lives, for the policy can be changed under it.
//!
//! An answer that is missing or refused is *unknown*, and a concern is shown for as long as it is: a topic counts as whole only
//! where the brokers say so.

use super::raw;
use super::requests::{RequestError, RequestWait, TopicConfig, TopicConfigs};
use crate::kafka::RequestClient;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(15);
/// How long one request may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Topics that one concern names.
const NAMED: usize = 5;

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CleanupPolicy {
    /// It keeps each record until retention takes it, from the front.
    Whole,
    /// It is compacted: its `cleanup.policy`.
    Compacted(String),
    /// The brokers do not say.
    Unknown(UnknownReason),
}

/// Why a policy is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UnknownReason {
    /// This user may not see it.
    Denied,
    /// Another reason, in words.
    Other(String),
}

/// What the brokers say of each topic.
fn policies(topics: &[String], configs: &Result<TopicConfigs, RequestError>) -> Vec<(String, CleanupPolicy)> {
    let of = |topic: &String| match configs {
        Err(error) => CleanupPolicy::Unknown(UnknownReason::Other(error.text.clone())),
        Ok(configs) => policy(configs.get(topic)),
    };
    topics.iter().map(|topic| (topic.clone(), of(topic))).collect()
}

/// What an answer says.
fn policy(answer: Option<&Result<TopicConfig, RDKafkaErrorCode>>) -> CleanupPolicy {
    match answer.map(|config| config.as_ref().map(|config| config.get("cleanup.policy"))) {
        None => CleanupPolicy::Unknown(UnknownReason::Other("no answer".into())),
        Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) => CleanupPolicy::Unknown(UnknownReason::Denied),
        Some(Err(error)) => CleanupPolicy::Unknown(UnknownReason::Other(error.to_string())),
        Some(Ok(None)) => CleanupPolicy::Unknown(UnknownReason::Other("the brokers do not tell it".into())),
        Some(Ok(Some(policy))) if policy.split(',').any(|one| one.trim().eq_ignore_ascii_case("compact")) => {
            CleanupPolicy::Compacted(policy.clone())
        }
        Some(Ok(Some(_))) => CleanupPolicy::Whole,
    }
}

/// Asks the brokers.
pub(super) fn ask(client: &RequestClient, topics: &[String], wait: &RequestWait<'_>) -> Vec<(String, CleanupPolicy)> {
    policies(topics, &raw::describe_configs(client, wait, topics))
}

/// The first compacted topic, and its policy.
pub(super) fn compacted(policies: &[(String, CleanupPolicy)]) -> Option<(&str, &str)> {
    policies.iter().find_map(|(topic, policy)| match policy {
        CleanupPolicy::Compacted(policy) => Some((topic.as_str(), policy.as_str())),
        _ => None,
    })
}

/// For people, which topics may be compacted; `None` if the policy of each is known.
pub(super) fn concern(policies: &[(String, CleanupPolicy)]) -> Option<String> {
    let mut unknown: BTreeMap<&UnknownReason, Vec<&str>> = BTreeMap::new();
    for (topic, policy) in policies {
        if let CleanupPolicy::Unknown(why) = policy {
            unknown.entry(why).or_default().push(topic);
        }
    }
    let groups = unknown.into_iter().map(|(why, topics)| {
        let more = topics.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = topics.iter().take(NAMED).copied().collect::<Vec<_>>().join("', '");
        let (noun, it) = if topics.len() == 1 { ("topic", "it") } else { ("topics", "them") };
        let why = match why {
            UnknownReason::Denied => {
                format!("this user may not see cleanup.policy; grant READ, DESCRIBE and DESCRIBE_CONFIGS on {it}")
            }
            UnknownReason::Other(why) => format!("cleanup.policy is not known ({why})"),
        };
        format!("{noun} '{named}'{more} may be compacted, which removes records that count: {why}")
    });
    let groups: Vec<_> = groups.collect();
    (!groups.is_empty()).then(|| groups.join("; "))
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
            assert_eq!(policy == CleanupPolicy::Whole, whole, "{answer:?}");
            assert_eq!(matches!(policy, CleanupPolicy::Compacted(_)), compacted, "{answer:?}");
        }
        let failed = Err(RequestError { code: RDKafkaErrorCode::OperationTimedOut, text: "no answer in time".into() });
        let unknown = CleanupPolicy::Unknown(UnknownReason::Other("no answer in time".into()));
        assert_eq!(
            policies(&["a".into(), "b".into()], &failed),
            [("a".into(), unknown.clone()), ("b".into(), unknown)]
        );
    }

    #[test]
    fn what_is_not_known_is_said_with_what_to_grant() {
        let unknown = |topic: &str, why: UnknownReason| (topic.to_owned(), CleanupPolicy::Unknown(why));
        assert_eq!(concern(&[("a".to_owned(), CleanupPolicy::Whole)]), None);
        let one = concern(&[("a".to_owned(), CleanupPolicy::Whole), unknown("b", UnknownReason::Denied)]).unwrap();
        let grant = "may not see cleanup.policy; grant READ, DESCRIBE and DESCRIBE_CONFIGS on it";
        assert!(one.starts_with("topic 'b' may be compacted") && one.ends_with(grant), "{one}");
        let many: Vec<_> = (0..7).map(|n| unknown(&format!("t{n}"), UnknownReason::Denied)).collect();
        let many = concern(&many).unwrap();
        assert!(many.starts_with("topics 't0', 't1', 't2', 't3', 't4' and 2 more may be compacted"), "{many}");
        let two =
            concern(&[unknown("a", UnknownReason::Other("timed out".into())), unknown("b", UnknownReason::Denied)])
                .unwrap();
        assert!(two.contains("topic 'a' may be") && two.contains("(timed out)") && two.contains("topic 'b'"), "{two}");
    }
}
