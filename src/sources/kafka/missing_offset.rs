//! An offset that the log does not hold: what became of it, from what the log and the cluster say now.

use super::error::KafkaSourceError;
use super::raw;
use super::requests::{RequestWait, TopicDescription};
use super::session::KafkaSession;
use minutely_dataflows::record::PartitionName;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::time::Duration;

/// How long each of the three requests may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known; `None` where it could not be asked.
struct OffsetFacts {
    /// The offset that was asked for.
    wanted: i64,
    /// The first offset that the log holds now, and its end.
    holds: Option<(i64, i64)>,
    topic: Option<TopicFate>,
}

/// What became of the topic.
enum TopicFate {
    Same,
    Gone,
    Recreated { was: String, is: String },
}

/// Asks what became of the offset `wanted`. `text`: librdkafka's words.
pub(super) fn explained(session: &KafkaSession, partition: PartitionName, wanted: i64, text: &str) -> KafkaSourceError {
    let (topic, number) = (partition.log.as_str(), partition.number.unwrap_or_default());
    let wait = RequestWait { timeout: REQUEST_TIMEOUT, meanwhile: &|| true };
    let client = session.requests.client();
    let offset = |what| {
        let asked = std::iter::once((topic.to_owned(), number, what));
        let offsets = raw::list_offsets(client, &wait, asked, false).ok()?;
        offsets.into_values().next()?.ok()
    };
    let now = raw::describe_topics(client, &wait, &[topic.to_owned()]).ok().and_then(|mut topics| topics.pop());
    let was = session.topics.get().and_then(|topics| topics.iter().find(|known| known.name == topic));
    let fate = now.and_then(|now| fate(was?, &now));
    let holds = offset(Offset::Beginning).zip(offset(Offset::End));
    let what = explain(&OffsetFacts { wanted, holds, topic: fate });
    KafkaSourceError::MissingOffset { partition, offset: wanted, what, text: text.to_owned() }
}

fn fate(was: &TopicDescription, is: &TopicDescription) -> Option<TopicFate> {
    match &is.partitions {
        Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Some(TopicFate::Gone),
        Err(_) => None,
        Ok(_) => {
            let (was, is) = (was.log_id()?, is.log_id()?);
            Some(if was == is { TopicFate::Same } else { TopicFate::Recreated { was, is } })
        }
    }
}

/// What follows `offset N`.
fn explain(facts: &OffsetFacts) -> String {
    const NEW_RUN: &str = "begin a new run with what is there (--job NAME --start earliest)";
    let wanted = facts.wanted;
    let holds = match facts.holds {
        Some((first, end)) if first == end => format!("which is empty and continues at {end}"),
        Some((first, end)) => format!("which holds {first} to {} now", end - 1),
        None => "and what the log holds could not be asked".to_owned(),
    };
    let how = match &facts.topic {
        Some(TopicFate::Gone) => {
            return String::from(
                "is wanted next and is not in the log: topic and records were deleted while they were read; if that was \
                 meant, begin a new run without the topic (--job NAME)",
            );
        }
        Some(TopicFate::Recreated { was, is }) => {
            return format!(
                "is wanted next and is not in the log, {holds}: the topic was deleted and created again while it was read \
                 (its id was {was}, now it is {is}); {NEW_RUN}"
            );
        }
        Some(TopicFate::Same) => "an unclean election did that, or a broker that lost its files",
        None => {
            "an unclean election did that, or a broker that lost its files, or the topic was deleted and created again"
        }
    };
    match facts.holds {
        Some((first, _)) if first > wanted => format!(
            "is wanted next and is not in the log, {holds}: retention or a deletion of records took away what had not \
             been read; {NEW_RUN}, and give the topic a longer retention"
        ),
        Some((_, end)) if end < wanted => {
            format!("is wanted next and is not in the log, {holds}: the log was cut off; {how}; {NEW_RUN}")
        }
        Some(_) => format!(
            "is wanted next and was not in the log, {holds}: the log was cut off and has been written again since, so what \
             was read is not what is there; {how}; {NEW_RUN}"
        ),
        None => format!("is wanted next and is not in the log, {holds}; {NEW_RUN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(wanted: i64, holds: Option<(i64, i64)>, topic: Option<TopicFate>) -> String {
        explain(&OffsetFacts { wanted, holds, topic })
    }

    #[test]
    fn what_is_said_does_not_contradict_what_is_there() {
        let recreated = || Some(TopicFate::Recreated { was: "a".into(), is: "b".into() });
        for (text, parts, not) in [
            (
                message(2, Some((5, 10)), Some(TopicFate::Same)),
                &["is not in the log, which holds 5 to 9 now", "retention", "longer retention"][..],
                "cut off",
            ),
            (message(0, Some((4, 4)), Some(TopicFate::Same)), &["is empty and continues at 4: retention"], "cut off"),
            (
                message(11, Some((5, 10)), Some(TopicFate::Same)),
                &["which holds 5 to 9 now", "the log was cut off; an unclean election"],
                "retention",
            ),
            (
                message(1000, Some((0, 2000)), Some(TopicFate::Same)),
                &["was not in the log, which holds 0 to 1999 now", "cut off and has been written again since"],
                "is not in the log",
            ),
            (message(1000, Some((0, 2000)), None), &["or the topic was deleted and created again"], "retention"),
            (
                message(11, Some((0, 4)), None),
                &["cut off; ", "or the topic was deleted and created again"],
                "retention",
            ),
            (
                message(11, Some((0, 4)), recreated()),
                &["created again while it was read (its id was a, now it is b)"],
                "unclean election",
            ),
            (message(11, None, Some(TopicFate::Gone)), &["topic and records were deleted"], "--start earliest"),
            (message(11, None, None), &["could not be asked"], "cut off"),
        ] {
            parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
            assert!(!text.contains(not), "`{not}` is in: {text}");
        }
    }
}
