//! Which stamp a record gets, and whether the topic would keep a record with such a stamp. A broker deletes what is older
//! than the topic's retention *by its stamp*, within minutes and after it has acknowledged it: a replay of an old file is
//! deleted before a consumer reads it.

use crate::cli::Stamp;
use minutely_dataflows::time::EventTime;

/// How long a topic keeps a record, by its stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    /// For ever, or by stamps of its own (`message.timestamp.type=LogAppendTime`).
    Whatever,
    /// For this many milliseconds.
    Ms(i64),
    /// It could not be asked: why.
    Unknown(String),
}

impl Retention {
    /// From the topic's `retention.ms` and `message.timestamp.type`. An answer without one of them says nothing.
    pub(super) fn of(retention_ms: Option<&str>, stamped_by: Option<&str>) -> Self {
        match (retention_ms.and_then(|ms| ms.parse::<i64>().ok()), stamped_by) {
            (_, Some("LogAppendTime")) | (Some(..0), _) => Retention::Whatever,
            (Some(ms), Some(_)) => Retention::Ms(ms),
            _ => Retention::Unknown("the answer has no retention.ms or no message.timestamp.type".into()),
        }
    }
}

/// Who stamps the records of a topic, as its `message.timestamp.type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StampedBy {
    /// Its broker (`LogAppendTime`).
    Broker,
    /// Its producers (`CreateTime`).
    Producer,
    /// It could not be asked: the first acknowledgement tells.
    Unknown,
}

impl StampedBy {
    /// From the topic's `message.timestamp.type`, where the answer has it.
    pub(super) fn of(stamped_by: Option<&str>) -> Self {
        match stamped_by {
            Some("LogAppendTime") => StampedBy::Broker,
            Some("CreateTime") => StampedBy::Producer,
            _ => StampedBy::Unknown,
        }
    }
}

/// Looks at every stamp; says a thing once.
#[derive(Debug)]
pub(super) struct Guard {
    topic: String,
    stamp: Stamp,
    retention: Retention,
    /// A warning was given, or a record refused.
    has_warned: bool,
}

/// What is to be said of a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing.
    Fine,
    /// A warning.
    Warning(String),
    /// The record is not to be written.
    Refusal(String),
}

/// Where the retention is unknown, a record is warned of if its stamp is older than this: a day, in nanoseconds.
const OLD: i64 = 86_400_000_000_000;

impl Guard {
    pub(super) fn new(topic: String, stamp: Stamp, retention: Retention) -> Self {
        Guard { topic, stamp, retention, has_warned: false }
    }

    /// Of a record with this stamp that is written now.
    pub(super) fn judge(&mut self, stamp: EventTime, now: EventTime) -> Said {
        let age = now.0.saturating_sub(stamp.0);
        if matches!(self.stamp, Stamp::Now | Stamp::Broker) || (self.has_warned && self.stamp == Stamp::Event) {
            return Said::Fine;
        }
        let topic = &self.topic;
        let why = match &self.retention {
            Retention::Ms(ms) if age > ms.saturating_mul(1_000_000) => format!(
                "topic '{topic}' keeps records for {} (retention.ms={ms}) by their stamps, and one of {} comes now: the broker \
                 will delete it and all before it, within minutes and after it has acknowledged them",
                crate::fmt::duration(ms.saturating_mul(1_000_000)),
                crate::fmt::utc(Some(stamp))
            ),
            Retention::Unknown(why) if age > OLD && !self.has_warned => {
                self.has_warned = true;
                return Said::Warning(format!(
                    "how long topic '{topic}' keeps records could not be asked ({why}), and one with a stamp of {} comes now: if \
                     its retention.ms is less than that is old, the broker deletes it after it has acknowledged it; --stamp now \
                     stamps records with the time of writing",
                    crate::fmt::utc(Some(stamp))
                ));
            }
            _ => return Said::Fine,
        };
        self.has_warned = true;
        match self.stamp {
            Stamp::Event => Said::Warning(why),
            _ => Said::Refusal(format!(
                "{why}: set retention.ms=-1 (kafka-configs.sh --alter --topic {topic} --add-config retention.ms=-1), write with \
                 --stamp now, or with --stamp event to write them all the same"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::time::SECOND;

    #[test]
    fn a_stamp_that_would_be_deleted_is_not_written() {
        let now = EventTime(1_767_225_600 * SECOND);
        let old = EventTime(now.0 - 8 * 86_400 * SECOND);
        let week = Retention::of(Some("604800000"), Some("CreateTime"));
        let guard = |stamp, retention: &Retention| Guard::new("ticks".into(), stamp, retention.clone());
        let refusal = guard(Stamp::Safe, &week).judge(old, now);
        for part in ["7 d", "retention.ms=604800000", "2025-12-24", "retention.ms=-1", "--stamp now"] {
            assert!(matches!(&refusal, Said::Refusal(why) if why.contains(part)), "{part}: {refusal:?}");
        }
        assert_eq!(guard(Stamp::Safe, &week).judge(now, now), Said::Fine);
        assert_eq!(guard(Stamp::Now, &week).judge(old, now), Said::Fine);
        assert_eq!(guard(Stamp::Broker, &week).judge(old, now), Said::Fine, "it gets another stamp");
        let types = [Some("LogAppendTime"), Some("CreateTime"), Some("Other"), None];
        let stamped_by = [StampedBy::Broker, StampedBy::Producer, StampedBy::Unknown, StampedBy::Unknown];
        assert_eq!(types.map(StampedBy::of), stamped_by);
        let mut warned = guard(Stamp::Event, &week);
        assert!(matches!(warned.judge(old, now), Said::Warning(_)));
        assert_eq!(warned.judge(old, now), Said::Fine, "once");
        for kept in [Retention::of(Some("-1"), Some("CreateTime")), Retention::of(Some("1"), Some("LogAppendTime"))] {
            assert_eq!(guard(Stamp::Safe, &kept).judge(old, now), Said::Fine);
        }
        // It is unknown: no default stands in for the answer.
        for silent in
            [Retention::of(None, Some("CreateTime")), Retention::of(Some("1000"), None), Retention::of(None, None)]
        {
            assert!(matches!(silent, Retention::Unknown(_)));
            let mut unknown = guard(Stamp::Safe, &silent);
            assert!(matches!(unknown.judge(old, now), Said::Warning(_)), "{silent:?}");
            assert_eq!(unknown.judge(old, now), Said::Fine, "once");
            assert_eq!(guard(Stamp::Safe, &silent).judge(now, now), Said::Fine);
        }
    }
}
