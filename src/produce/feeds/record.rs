//! What every feed's trades and quotes become: a flat JSON object with the fields that a run reads by default.

use minutely_dataflows::time::EventTime;
use std::fmt::Write;

/// One trade, quote or bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedRecord {
    pub(super) symbol: String,
    /// The feed's own decimal text.
    pub(super) price: String,
    /// The feed's own decimal text; none where it is not known.
    pub(super) volume: Option<String>,
    /// Its event time, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// None where the feed has none.
    pub(super) trade_id: Option<u64>,
}

impl FeedRecord {
    /// The payload that is written.
    pub(super) fn payload(&self) -> String {
        let symbol = serde_json::Value::from(self.symbol.as_str());
        let mut text = format!(r#"{{"symbol":{symbol},"price":"{}""#, self.price);
        let mut push = |part: std::fmt::Arguments<'_>| text.write_fmt(part).expect("a String takes all text");
        if let Some(volume) = &self.volume {
            push(format_args!(r#","volume":"{volume}""#));
        }
        push(format_args!(r#","ts":{}"#, self.time_ms));
        if let Some(id) = self.trade_id {
            push(format_args!(r#","trade_id":{id}"#));
        }
        text.push('}');
        text
    }

    /// Its event time; none where that is no time that a run could count.
    pub(super) fn time(&self) -> Option<EventTime> {
        self.time_ms.checked_mul(1_000_000).map(EventTime)
    }
}

/// Is this text one number as JSON writes numbers? Others would be dead letters, and could break the payload's quotes.
pub(super) fn is_number(text: &str) -> bool {
    let starts = text.strip_prefix('-').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit());
    starts && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_what_is_known() {
        let whole = FeedRecord {
            symbol: "BTC-USD".into(),
            price: "68000.10".into(),
            volume: Some("0.50".into()),
            time_ms: 1_772_445_600_120,
            trade_id: Some(7),
        };
        let text = r#"{"symbol":"BTC-USD","price":"68000.10","volume":"0.50","ts":1772445600120,"trade_id":7}"#;
        assert_eq!(whole.payload(), text);
        assert_eq!(whole.time(), Some(EventTime(1_772_445_600_120_000_000)));
        let less = FeedRecord { symbol: "a\"b".into(), volume: None, trade_id: None, time_ms: i64::MAX, ..whole };
        assert_eq!(less.payload(), r#"{"symbol":"a\"b","price":"68000.10","ts":9223372036854775807}"#);
        assert_eq!(less.time(), None);
    }

    #[test]
    fn numbers_are_told_from_other_texts() {
        for number in ["0", "-1.50", "0.00000001", "1e-7"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["", "-", " 1", "1 ", "1,5", "01", "NaN", "\"1\"", "null", "1\",\"x\":\"2", "true", "[1]", "0x1"] {
            assert!(!is_number(other), "{other}");
        }
    }
}
