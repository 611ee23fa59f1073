//! An offset that the log did not hold: what became of it, from what the log and the cluster say now. Facts in, words out.

use super::admin::{Topic, Wait};
use super::{Shared, raw};
use minutely_dataflows::edge::{Halt, HaltKind};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use std::time::Duration;

/// How long each of the three questions may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known. None: nobody said.
struct Facts {
    /// The offset that was asked for.
    wanted: i64,
    /// The first offset that the log holds now, and its end.
    holds: Option<(i64, i64)>,
    topic: Option<Fate>,
}

/// What became of the topic.
enum Fate {
    Same,
    Gone,
    Anew { was: String, is: String },
}

/// Asks, and says why the run cannot go on. `text`: librdkafka's words.
pub(super) fn halt(shared: &Shared, topic: &str, number: i32, wanted: i64, text: &str) -> Halt {
    let wait = Wait { timeout: PATIENCE, meanwhile: &|| true };
    let asker = shared.asker.client();
    let offset = |what| {
        let partition = std::iter::once((topic.to_owned(), number, what));
        let offsets = raw::list_offsets(asker, &wait, partition, false).ok()?;
        offsets.into_values().next()?.ok()
    };
    let now = raw::describe_topics(asker, &wait, &[topic.to_owned()]).ok().and_then(|mut topics| topics.pop());
    let was = shared.topics.get().and_then(|topics| topics.iter().find(|known| known.name == topic));
    let fate = now.and_then(|now| fate(was?, &now));
    let holds = offset(Offset::Beginning).zip(offset(Offset::End));
    let what = explain(&Facts { wanted, holds, topic: fate });
    Halt::new(HaltKind::Data, format!("partition {topic}/{number}: offset {wanted} {what} ({text})"))
}

fn fate(was: &Topic, is: &Topic) -> Option<Fate> {
    match &is.partitions {
        Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Some(Fate::Gone),
        Err(_) => None,
        Ok(_) => {
            let (was, is) = (was.log_id()?, is.log_id()?);
            Some(if was == is { Fate::Same } else { Fate::Anew { was, is } })
        }
    }
}

/// What follows `offset N`.
fn explain(facts: &Facts) -> String {
    const ANEW: &str = "begin a new run with what is there (--job NAME --start earliest)";
    let wanted = facts.wanted;
    let holds = match facts.holds {
        Some((first, end)) if first == end => format!("which is empty and goes on at {end}"),
        Some((first, end)) => format!("which holds {first} to {} now", end - 1),
        None => "and what the log holds could not be asked".to_owned(),
    };
    let how = match &facts.topic {
        Some(Fate::Gone) => {
            return String::from(
                "is wanted next and is not in the log: topic and records were deleted while they were read; if that was \
                 meant, begin a new run without the topic (--job NAME)",
            );
        }
        Some(Fate::Anew { was, is }) => {
            return format!(
                "is wanted next and is not in the log, {holds}: the topic was deleted and made anew while it was read \
                 (its id was {was}, now it is {is}); {ANEW}"
            );
        }
        Some(Fate::Same) => "an unclean election did that, or a broker that lost its files",
        None => "an unclean election did that, or a broker that lost its files, or the topic was deleted and made anew",
    };
    match facts.holds {
        Some((first, _)) if first > wanted => format!(
            "is wanted next and is not in the log, {holds}: retention or a deletion of records took away what had not \
             been read; {ANEW}, and give the topic a longer retention"
        ),
        Some((_, end)) if end < wanted => {
            format!("is wanted next and is not in the log, {holds}: the log was cut off; {how}; {ANEW}")
        }
        Some(_) => format!(
            "is wanted next and was not in the log, {holds}: the log was cut off and has been written anew since, so what \
             was read is not what is there; {how}; {ANEW}"
        ),
        None => format!("is wanted next and is not in the log, {holds}; {ANEW}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wanted: i64, holds: Option<(i64, i64)>, topic: Option<Fate>) -> String {
        explain(&Facts { wanted, holds, topic })
    }

    #[test]
    fn what_is_said_does_not_contradict_what_is_there() {
        let anew = || Some(Fate::Anew { was: "a".into(), is: "b".into() });
        for (text, parts, not) in [
            (
                told(2, Some((5, 10)), Some(Fate::Same)),
                &["is not in the log, which holds 5 to 9 now", "retention", "longer retention"][..],
                "cut off",
            ),
            (told(0, Some((4, 4)), Some(Fate::Same)), &["is empty and goes on at 4: retention"], "cut off"),
            (
                told(11, Some((5, 10)), Some(Fate::Same)),
                &["which holds 5 to 9 now", "the log was cut off; an unclean election"],
                "retention",
            ),
            (
                told(1000, Some((0, 2000)), Some(Fate::Same)),
                &["was not in the log, which holds 0 to 1999 now", "cut off and has been written anew since"],
                "is not in the log",
            ),
            (told(1000, Some((0, 2000)), None), &["or the topic was deleted and made anew"], "retention"),
            (told(11, Some((0, 4)), None), &["cut off; ", "or the topic was deleted and made anew"], "retention"),
            (
                told(11, Some((0, 4)), anew()),
                &["made anew while it was read (its id was a, now it is b)"],
                "unclean election",
            ),
            (told(11, None, Some(Fate::Gone)), &["topic and records were deleted"], "--start earliest"),
            (told(11, None, None), &["could not be asked"], "cut off"),
        ] {
            parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
            assert!(!text.contains(not), "`{not}` is in: {text}");
        }
    }
}
