//! A line of the file of dead letters, as it is written and as it is read: one list of its fields for both.
//!
//! ```json
//! {"topic":"ticks","partition":3,"offset":41,"reason":"late","raw":"eyJz…","symbol":"AAPL","value":"187.25",
//!  "event_time":"2026-01-01T00:00:59.500000000Z","evidence":{"watermark":"2026-01-01T00:11:00.000000000Z"}}
//! {"topic":"ticks","partition":3,"offset":42,"reason":"null","raw":"eyJz…","key":"QUFQTA==","field":"ts",
//!  "expected":"a number, or a string that is exactly one","found":"no such field"}
//! ```
//!
//! A reader takes whatever a later version adds.

use crate::text::rfc3339;
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::record::{DeadLetter, Evidence};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A dead letter as a line has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadLetterLine<'a> {
    #[serde(flatten)]
    pub(crate) place: DeadLetterPlace<'a>,
    /// The payload, or its beginning, or the element; null for a tombstone.
    #[serde(default, with = "base64_bytes")]
    pub(crate) raw: Option<Cow<'a, [u8]>>,
    /// The length of a payload of which `raw` is the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_of_bytes: Option<u64>,
    /// Where the log has keys.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_bytes")]
    pub(crate) key: Option<Cow<'a, [u8]>>,
    #[serde(flatten)]
    pub(crate) why: DeadLetterCause<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<EvidenceLine>,
}

/// Where it stood, and for which reason it does not count.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadLetterPlace<'a> {
    /// Of a log that has numbered partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<Cow<'a, str>>,
    /// Of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<i32>,
    pub(crate) offset: i64,
    /// Where records are taken apart (`--each`): which element, whose text the payload is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) element: Option<u32>,
    pub(crate) reason: Cow<'a, str>,
}

/// What is wrong with it, or what it was where it could be decoded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadLetterCause<'a> {
    /// Where one field is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_time: Option<Cow<'a, str>>,
}

/// What a late, quarantined or cleaned record was judged by; of one outside of the session its event time says all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EvidenceLine {
    Watermark(String),
    Floor(String),
    AppendTime(String),
    Clock(String),
    Bound(String),
    Filter { median: String, most: String },
}

impl<'a> DeadLetterLine<'a> {
    /// Of this dead letter, whose value has so many decimals.
    pub(crate) fn of(letter: &'a DeadLetter, decimals: u8) -> Self {
        let time = |time| rfc3339(time, 9);
        let log = Some(Cow::Borrowed(letter.partition.log.as_str()));
        let (topic, path) = if letter.partition.number.is_some() { (log, None) } else { (None, log) };
        let (judged, finding) = (letter.judged.as_ref(), letter.finding.as_ref());
        let place = DeadLetterPlace {
            topic,
            path,
            partition: letter.partition.number,
            offset: letter.offset,
            element: letter.element,
            reason: letter.reason.name().into(),
        };
        let why = DeadLetterCause {
            field: finding.and_then(|finding| finding.field.as_deref()).map(Cow::Borrowed),
            expected: finding.map(|finding| (&*finding.expected).into()),
            found: finding.map(|finding| finding.found.as_str().into()),
            symbol: judged.map(|judged| judged.symbol.as_str().into()),
            value: judged.map(|judged| judged.value.with_decimals(decimals).to_string().into()),
            event_time: judged.map(|judged| time(judged.time).into()),
        };
        let number = |value: Decimal| value.with_decimals(decimals).to_string();
        let evidence = judged.and_then(|judged| match judged.evidence {
            Evidence::Watermark(at) => Some(EvidenceLine::Watermark(time(at))),
            Evidence::Floor(at) => Some(EvidenceLine::Floor(time(at))),
            Evidence::Appended(at) => Some(EvidenceLine::AppendTime(time(at))),
            Evidence::Clock(at) => Some(EvidenceLine::Clock(time(at))),
            Evidence::Closed => None,
            Evidence::Bound(bound) => Some(EvidenceLine::Bound(number(bound))),
            Evidence::Median { median, most } => {
                Some(EvidenceLine::Filter { median: number(median), most: number(most) })
            }
        });
        let (raw, key) = (letter.raw.as_deref().map(Cow::Borrowed), letter.key.as_deref().map(Cow::Borrowed));
        DeadLetterLine { place, raw, raw_of_bytes: letter.cut_from, key, why, evidence }
    }
}

/// Bytes as base64 (RFC 4648, with padding).
mod base64_bytes {
    use base64::Engine;
    use base64::display::Base64Display;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Cow<'_, [u8]>>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.collect_str(&Base64Display::new(bytes, &STANDARD)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| STANDARD.decode(text).map(Cow::Owned).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::decimal::Decimal;
    use minutely_dataflows::record::{Finding, Judged, PartitionName, Reason};
    use minutely_dataflows::time::EventTime;

    /// Each line of this version, byte for byte: what is written is read, and written as before.
    #[test]
    fn a_line_that_is_read_is_the_one_that_was_written() {
        let judged = |evidence| {
            let (symbol, value) = ("AAPL".to_owned(), Decimal::parse(b"187.25").unwrap());
            Some(Judged { symbol, value, time: EventTime(59_500_000_000), evidence })
        };
        let late = DeadLetter {
            partition: PartitionName { log: "ticks".into(), number: Some(3) },
            offset: 41,
            element: None,
            reason: Reason::Late,
            raw: Some(b"{}".to_vec()),
            cut_from: None,
            key: None,
            finding: None,
            judged: judged(Evidence::Watermark(EventTime(1_767_225_600_000_000_000))),
        };
        let finding = Finding { field: Some("ts".into()), expected: "a number".into(), found: "\"n/a\"".into() };
        let rejected = DeadLetter {
            partition: PartitionName { log: "a \"b\".jsonl".into(), number: None },
            element: Some(7),
            reason: Reason::Time,
            cut_from: Some(900),
            key: Some(vec![0xff, b'A']),
            finding: Some(finding),
            judged: None,
            ..late.clone()
        };
        let tombstone = DeadLetter { reason: Reason::Null, raw: None, judged: None, ..late.clone() };
        let clock = DeadLetter { judged: judged(Evidence::Clock(EventTime(0))), ..late.clone() };
        let appended = DeadLetter { judged: judged(Evidence::Appended(EventTime(0))), ..late.clone() };
        let floor = DeadLetter { judged: judged(Evidence::Floor(EventTime(0))), ..late.clone() };
        let text = |line: &DeadLetterLine<'_>| serde_json::to_string(line).unwrap();
        for letter in [&late, &rejected, &tombstone, &clock, &appended, &floor] {
            let written = text(&DeadLetterLine::of(letter, 18));
            let read: DeadLetterLine<'_> = serde_json::from_str(&written).unwrap();
            assert_eq!(text(&read), written);
        }
        assert_eq!(
            text(&DeadLetterLine::of(&late, 18)),
            r#"{"topic":"ticks","partition":3,"offset":41,"reason":"late","raw":"e30=","symbol":"AAPL","value":"187.25","event_time":"1970-01-01T00:00:59.500000000Z","evidence":{"watermark":"2026-01-01T00:00:00.000000000Z"}}"#
        );
        assert_eq!(
            text(&DeadLetterLine::of(&rejected, 18)),
            r#"{"path":"a \"b\".jsonl","offset":41,"element":7,"reason":"time","raw":"e30=","raw_of_bytes":900,"key":"/0E=","field":"ts","expected":"a number","found":"\"n/a\""}"#
        );
        let tombstone = text(&DeadLetterLine::of(&tombstone, 18));
        assert_eq!(tombstone, r#"{"topic":"ticks","partition":3,"offset":41,"reason":"null","raw":null}"#);
    }
}
