//! Hostile logs, for tests of the whole: disorder, lateness around the horizon, future stamps, broken records, exponents,
//! 18-digit fractions, prices as strings, odd and Unicode symbols, partitions that stop early, skewed partitions.

#![allow(dead_code, reason = "each test binary uses its part")]

use fastrand::Rng;
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::derived::{GroupSource, GroupTable, Membership};
use minutely_dataflows::oracle::Log;
use minutely_dataflows::partition::{
    Calendar, CleaningRule, DAY_MINUTES, OutlierRule, Rule, TradingDays, TradingHours,
};
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::{EventTime, NextOffset, SECOND};
use std::sync::Arc;

/// A record that owns its parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) offset: i64,
    pub(crate) append_time: Option<EventTime>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Owned {
    pub(crate) fn lend(&self) -> Record<'_> {
        let Owned { offset, append_time, key, payload } = self;
        Record {
            offset: *offset,
            append_time: *append_time,
            key: key.as_deref(),
            payload: payload.as_deref(),
            ..Record::default()
        }
    }
}

/// A partition of a hostile log.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) name: PartitionName,
    pub(crate) start: NextOffset,
    pub(crate) records: Vec<Owned>,
}

impl Partition {
    pub(crate) fn log(&self) -> Log<'_> {
        let records = self.records.iter().map(Owned::lend).collect();
        Log { name: self.name.clone(), start: self.start, records }
    }
}

/// What kind of log: what a file can hold, or what a broker can.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Lines: no line ends inside, no stamps, no gaps, no tombstones.
    File,
    /// Stamps by the broker, gaps, tombstones, a start above 0 now and then.
    Broker,
}

/// When the log's trade began: a Tuesday.
pub(crate) const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);

pub(crate) const SYMBOLS: [&str; 14] = [
    "AAPL",
    "MSFT",
    "BRK.B",
    "a b,c=d",
    "\"quoted\"",
    "back\\slash",
    "ends\\",
    "Zürich",
    "株式",
    "🦀",
    "=1+1",
    "'x'",
    "<b>",
    "O_O",
];

/// Draws a log. Event time advances by about `pace` ns a record of a partition.
pub(crate) fn log(rng: &mut Rng, kind: Kind, rule: &Rule, partitions: usize, records: usize) -> Vec<Partition> {
    let horizon = rule.windowing.length + rule.windowing.lateness;
    (0..partitions)
        .map(|number| {
            let name = match kind {
                Kind::File => PartitionName { log: format!("part-{number:02}.jsonl"), number: None },
                Kind::Broker => PartitionName { log: "ticks".into(), number: i32::try_from(number).ok() },
            };
            let stops_early = rng.u8(..8) == 0;
            let count = if stops_early { rng.usize(..=records / 10) } else { rng.usize(records / 2..=records) };
            let skew = [0, 0, 0, horizon / 3, horizon * 2, -horizon][rng.usize(..6)];
            let pace = rng.i64(SECOND / 20..SECOND * 4);
            let first = if kind == Kind::Broker && rng.u8(..4) == 0 { rng.i64(1..1000) } else { 0 };
            let (mut now, mut offset) = (BEGAN.0 + skew, first);
            let mut records = Vec::new();
            for _ in 0..count {
                now += rng.i64(0..=2 * pace);
                let stamp = (kind == Kind::Broker).then_some(EventTime(now));
                let time = event_time(rng, now, rule);
                records.push(Owned {
                    offset,
                    append_time: stamp,
                    key: (kind == Kind::Broker).then(|| b"key".to_vec()),
                    payload: if kind == Kind::Broker && rng.u16(..300) == 0 {
                        None
                    } else {
                        Some(payload(rng, time, kind))
                    },
                });
                offset += if kind == Kind::Broker && rng.u8(..20) == 0 { rng.i64(2..50) } else { 1 };
            }
            Partition { name, start: NextOffset(first), records }
        })
        .collect()
}

/// Gives records ids that repeat: of a few, so that they do so at other times, in other windows and in other partitions. Some records
/// are the same as one before them, to the byte; some have no id.
pub(crate) fn with_ids<'a>(rng: &mut Rng, payloads: impl Iterator<Item = &'a mut Vec<u8>>) {
    let few = [3, 30, 300, 3000][rng.usize(..4)];
    let mut before: Vec<Vec<u8>> = Vec::new();
    for payload in payloads {
        let id = match rng.u8(..10) {
            0 => String::new(),
            1 => r#""id":null,"#.into(),
            2..6 => format!(r#""id":"new {}","#, rng.u64(..)),
            _ => format!(r#""id":{},"#, rng.u32(..few)),
        };
        if payload.starts_with(br#"{"symbol""#) {
            payload.splice(1..1, id.into_bytes());
            before.push(payload.clone());
        }
        if rng.u8(..8) == 0 {
            before.drain(..before.len().saturating_sub(100));
            *payload = rng.choice(&before).unwrap_or(payload).clone();
        }
    }
}

/// What cleans a log: any of the rules, each by itself or with others, so that some of its events count and some do not.
pub(crate) fn cleaning(rng: &mut Rng) -> CleaningRule {
    let minute = BEGAN.0.div_euclid(60 * SECOND).rem_euclid(i64::from(DAY_MINUTES));
    let minute = u16::try_from(minute).unwrap();
    let session = rng.bool().then(|| {
        let from = minute + [0, 0, 1, 30][rng.usize(..4)];
        let to = from + [1, 20, 90][rng.usize(..3)];
        let hours = vec![TradingHours { from: 0, to: minute / 2 }, TradingHours { from, to: to.min(DAY_MINUTES) }];
        let days = TradingDays { weekly: std::array::from_fn(|_| hours.clone()), ..TradingDays::default() };
        Calendar::given("UTC", days).unwrap()
    });
    let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
    let rule = OutlierRule { values: rng.usize(3..12), hundredths: [50, 150, 500][rng.usize(..3)] };
    CleaningRule {
        least: [None, Some(number("-1")), Some(number("0.5"))][rng.usize(..3)],
        greatest: [None, None, Some(number("1500"))][rng.usize(..3)],
        outlier: (rng.u8(..4) > 0).then_some(rule),
        session,
    }
}

fn event_time(rng: &mut Rng, now: i64, rule: &Rule) -> i64 {
    let horizon = rule.windowing.length + rule.windowing.lateness;
    let time = match rng.u16(..1000) {
        0..800 => now - rng.i64(0..2 * SECOND),
        800..930 => now - rng.i64(0..rule.windowing.lateness.max(1)),
        // Around the horizon, to the nanosecond where the unit allows.
        930..970 => now - horizon + rng.i64(-3 * SECOND..3 * SECOND),
        970..985 => now - horizon - rng.i64(0..2 * horizon),
        985..995 => now + rule.max_future + rng.i64(-SECOND..SECOND),
        _ => now + rng.i64(1..3) * horizon,
    };
    if rng.u8(..10) == 0 { time.div_euclid(rule.windowing.length) * rule.windowing.length } else { time }
}

fn payload(rng: &mut Rng, time: i64, kind: Kind) -> Vec<u8> {
    if rng.u8(..50) == 0 {
        return broken(rng, time, kind);
    }
    let rare = rng.usize(1..=SYMBOLS.len());
    let symbol = serde_json::to_string(SYMBOLS[rng.usize(..rare)]).unwrap();
    let (sign, whole) = (if rng.u8(..20) == 0 { "-" } else { "" }, rng.u64(..2000));
    let price = match rng.u8(..10) {
        // Some have more digits than their scale, and are ties or beside one.
        0 => {
            let digits = rng.u64(..1_000_000_000_000_000_000);
            let beyond = ["", "", "5", "49", "500000000000000000001", "000"][usize::try_from(digits % 6).unwrap()];
            format!("{sign}{whole}.{digits:018}{beyond}")
        }
        1 => format!("{sign}{whole}.{}e{}", rng.u16(..999), rng.i8(-14..7)),
        2 => format!("\"{sign}{whole}.{:02}\"", rng.u8(..100)),
        3 => format!("{sign}99999999999.{:09}", rng.u32(..1_000_000_000)),
        _ => format!("{sign}{whole}.{:02}", rng.u8(..100)),
    };
    // Milliseconds with as many places as nanoseconds have.
    let ts = match rng.u8(..4) {
        0 if time % 1_000_000 != 0 => format!("{}.{:06}", time / 1_000_000, time % 1_000_000),
        1 => format!("\"{}\"", time / 1_000_000),
        2 => format!("{}e3", time / 1_000_000_000),
        _ => (time / 1_000_000).to_string(),
    };
    let weight = match rng.u8(..6) {
        0 => String::new(),
        1 => r#","volume":null"#.into(),
        2 => format!(r#","volume":"{}.{}""#, rng.u32(..), rng.u32(..)),
        _ => match rng.u32(..10_000) {
            n if n % 9 == 0 => format!(r#","volume":-{n}"#),
            n if n % 11 == 0 => r#","volume":"-""#.into(),
            n if n % 13 == 0 => r#","volume":0"#.into(),
            n => format!(r#","volume":{n}"#),
        },
    };
    let more = if rng.u8(..10) == 0 { r#","extra":{"price":[1,"\u00e9\\n"]}"# } else { "" };
    format!(r#"{{"symbol":{symbol},"price":{price},"ts":{ts}{weight}{more}}}"#).into_bytes()
}

fn broken(rng: &mut Rng, time: i64, kind: Kind) -> Vec<u8> {
    let ts = time / 1_000_000;
    let mut text = match rng.u8(..16) {
        0 => String::new(),
        1 => "{".into(),
        2 => format!(r#"{{"symbol":"AAPL","price":1,"ts":{ts}"#),
        3 => format!(r#"{{"symbol":"AAPL","price":NaN,"ts":{ts}}}"#),
        4 => format!(r#"{{"symbol":"AAPL","price":1,"price":2,"ts":{ts}}}"#),
        5 => format!(r#"{{"symbol":"","price":1,"ts":{ts}}}"#),
        6 => format!(r#"{{"symbol":"a\u0000","price":1,"ts":{ts}}}"#),
        7 => format!(r#"{{"symbol":"AAPL","price":1e999999999999,"ts":{ts}}}"#),
        8 => format!(r#"{{"symbol":"AAPL","price":0.0000000000000000001,"ts":{ts}}}"#),
        9 => format!(r#"{{"symbol":"AAPL","price":100000000000.1,"ts":{ts}}}"#),
        10 => format!(r#"{{"symbol":"AAPL","price":"1 ","ts":{ts}}}"#),
        11 => r#"{"symbol":"AAPL","price":1,"ts":"2026-01-01"}"#.into(),
        12 => format!(r#"{{"symbol":"AAPL","price":null,"ts":{ts}}}"#),
        13 => format!(r#"{{"symbol":"AAPL","price":1,"ts":{ts},"volume":1e12}}"#),
        14 => "[1,2,3]".into(),
        _ => format!(r#"{{"symbol":"AAPL","price":1,"ts":{ts}}} trailing"#),
    }
    .into_bytes();
    if rng.u8(..8) == 0 && !text.is_empty() {
        let at = rng.usize(..text.len());
        text[at] = if kind == Kind::File { 0xff } else { rng.u8(..) };
    }
    text
}

/// A table of groups over the symbols of these logs and others, with memberships that begin and end.
pub(crate) fn groups(
    rng: &mut fastrand::Rng,
    rule: &Rule,
    symbols: &[&str],
    turns: std::ops::Range<i64>,
) -> Arc<dyn GroupSource> {
    let mut lines = Vec::new();
    for group in ["tech", "AAPL", "Z\u{1f980}"] {
        for symbol in symbols.iter().copied().chain(["absent"]) {
            if rng.u8(..3) == 0 {
                continue;
            }
            let weight = ["1", "0.000000000000000001", "99999999999.999999999999999999", "2.5", "3"][rng.usize(..5)];
            let weight = Decimal::parse(weight.as_bytes()).unwrap();
            let turn = EventTime(BEGAN.0 + rng.i64(turns.clone()) * rule.windowing.length + rng.i64(0..3));
            let spans = match rng.u8(..4) {
                0 => vec![(None, None)],
                1 => vec![(None, Some(turn))],
                2 => vec![(Some(turn), Some(turn.plus(20 * rule.windowing.length)))],
                _ => vec![(Some(turn), None), (None, Some(turn))],
            };
            for (from, to) in spans {
                let (symbol, group, line) = (symbol.to_owned(), group.to_owned(), lines.len() + 1);
                lines.push(Membership { symbol, group, weight, from, to, line });
            }
        }
    }
    Arc::new(Arc::new(GroupTable::new(lines).unwrap()))
}
