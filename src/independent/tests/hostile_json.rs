//! Hostile JSON: numbers of all shapes, escapes, halves of surrogate pairs, fields that are there twice, nesting, JSON in strings, bytes that
//! are no UTF-8. Most records have all fields, so that what they say is looked at.

use fastrand::Rng;
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use std::fmt::Write as _;

/// A record that owns its parts.
pub(super) struct MadeRecord {
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) append_time: Option<EventTime>,
    timestamp: Option<EventTime>,
    cut_from: Option<u64>,
}

impl MadeRecord {
    pub(super) fn lend(&self, offset: i64) -> Record<'_> {
        let MadeRecord { key, payload, append_time, timestamp, cut_from } = self;
        Record {
            offset,
            append_time: *append_time,
            timestamp: *timestamp,
            key: key.as_deref(),
            payload: payload.as_deref(),
            cut_from: *cut_from,
        }
    }
}

/// Makes records that one configuration reads.
pub(super) struct RecordMaker {
    /// Names in a record.
    names: Vec<&'static str>,
    /// The array is below these steps; none: the record is one event.
    each: Option<Vec<String>>,
    is_payload: bool,
    is_array: bool,
    format: Option<String>,
    /// Nanoseconds of the unit of numbers.
    unit: i64,
    /// Event times are about here, in nanoseconds, and go on.
    now: i64,
    /// Of a hundred records, so many are as they should be.
    good: u8,
    /// Each record has the broker's stamp, so that one of the year 2116 makes no other late.
    is_guarded: bool,
}

impl RecordMaker {
    pub(super) fn new(rng: &mut Rng, fields: &FieldNames) -> Self {
        let all = fields.symbol.iter().chain([&fields.value]).chain(&fields.time).chain(&fields.weight);
        RecordMaker {
            names: vec!["symbol", "price", "ts", "volume", "id", "e", "date", "time"],
            each: fields.each.as_ref().map(|each| each.split('/').skip(1).map(str::to_owned).collect()),
            is_payload: all.clone().any(|field| field == "@payload"),
            is_array: all
                .clone()
                .any(|field| field.starts_with("/0") || field.starts_with("/1") || field.starts_with("/2")),
            format: fields.times.format.clone(),
            unit: fields.times.unit.nanoseconds(),
            now: 1_767_225_600_000_000_000 + rng.i64(0..1_000_000_000_000),
            good: [100, 98, 80][rng.usize(..3)],
            is_guarded: rng.u8(..8) > 0,
        }
    }

    pub(super) fn record(&mut self, rng: &mut Rng) -> MadeRecord {
        self.now += rng.i64(0..20_000_000_000) - 3_000_000_000;
        let mut text = self.whole(rng).into_bytes();
        if self.is_wrong(rng, 20) {
            change(rng, &mut text);
        }
        let key = match rng.u8(..12) {
            0 => None,
            1 => Some(b"\xff\xfe".to_vec()),
            2 => Some(format!("{{\"symbol\":{},\"e\":1}}", self.symbol(rng)).into_bytes()),
            3 => Some(b"{\"d\":{\"symbol\":\"K\",\"symbol\":1}}".to_vec()),
            4 => Some(b"{\"d\":[1],\"symbol\":\"Z\",".to_vec()),
            5 => Some(b"{\"d\":{\"symbol\":\"K\"},\"symbol\":\"Y\"}".to_vec()),
            _ => Some(b"K".to_vec()),
        };
        let stamp = Some(EventTime(self.now - rng.i64(0..3_000_000_000))).filter(|_| rng.u8(..12) > 0);
        MadeRecord {
            key,
            payload: Some(text).filter(|_| rng.u16(..400) > 0),
            append_time: if self.is_guarded { Some(EventTime(self.now)) } else { stamp.filter(|_| rng.bool()) },
            timestamp: stamp,
            cut_from: (rng.u16(..400) == 0).then_some(1 << 30),
        }
    }

    /// One in so many of what may be wrong in this configuration, and else a good one.
    fn is_wrong(&self, rng: &mut Rng, times: u32) -> bool {
        rng.u32(..100 * times) >= u32::from(self.good) * times
            && rng.u32(..times) < times.div_ceil(3)
            && rng.u8(..4) == 0
    }

    fn whole(&self, rng: &mut Rng) -> String {
        let padding = |rng: &mut Rng| {
            [" ", "\t", "\r\n", "", "", "", "", "\u{a0}", "\u{c}"][if rng.u8(..40) == 0 { rng.usize(..9) } else { 4 }]
        };
        let event = match &self.each {
            None => self.event(rng),
            Some(steps) => {
                let mut text = self.array(rng);
                for (depth, step) in steps.iter().enumerate().rev() {
                    if rng.u8(..12) == 0 {
                        text = quoted(&text);
                    }
                    let beside = if depth == 0 { format!(",{}", self.members(rng, false)) } else { String::new() };
                    text = match step.as_str() {
                        "0" if rng.u8(..20) > 0 => format!("[{text},1]"),
                        _ => format!("{{{}:{text}{beside}}}", self.name(rng, step)),
                    };
                }
                text
            }
        };
        let event = if rng.u8(..60) == 0 { quoted(&event) } else { event };
        format!("{}{event}{}", padding(rng), padding(rng))
    }

    fn array(&self, rng: &mut Rng) -> String {
        match rng.u8(..24) {
            0 => "null".into(),
            1 => self.event(rng),
            2 => "[]".into(),
            3 => self.scalar(rng),
            4 => quoted(&format!("[{}]", self.event(rng))),
            5 => quoted(&self.event(rng)),
            6 => quoted(&format!("{{{}", self.event(rng))),
            7 => quoted(&format!("\u{c}[{}]", self.event(rng))),
            _ => {
                let events: Vec<String> = (0..rng.usize(..4)).map(|_| self.event(rng)).collect();
                format!("[{}]", events.join(","))
            }
        }
    }

    fn event(&self, rng: &mut Rng) -> String {
        if self.is_payload && rng.u8(..5) > 0 {
            return self.scalar(rng);
        }
        if self.is_array && rng.u8(..4) > 0 {
            let mut cells = vec![self.symbol(rng), self.price(rng), self.time(rng)];
            rng.shuffle(&mut cells);
            cells[1] = if rng.bool() { format!("{{{}}}", self.members(rng, true)) } else { cells[1].clone() };
            return format!("[{}]", cells.join(", "));
        }
        match rng.u8(..200) {
            0 => self.scalar(rng),
            1 => "[".repeat(rng.usize(1..400)),
            2 => {
                let deep = rng.usize(1..600);
                format!("{{\"deep\":{}1{},{}}}", "[".repeat(deep), "]".repeat(deep), self.members(rng, true))
            }
            _ => format!("{{{}}}", self.members(rng, true)),
        }
    }

    /// Members of an object, in any order, some there twice, and some below `d`.
    fn members(&self, rng: &mut Rng, may_nest: bool) -> String {
        let mut members = Vec::new();
        for name in &self.names {
            if rng.u8(..if matches!(*name, "e" | "date" | "time" | "id") { 3 } else { 40 }) == 0 {
                continue;
            }
            let times = if rng.u16(..400) == 0 { 2 } else { 1 };
            for _ in 0..times {
                let value = self.value(rng, name);
                members.push(format!("{}:{value}", self.name(rng, name)));
            }
        }
        if may_nest && rng.u8(..3) > 0 {
            let inner = match rng.u8(..20) {
                0 => self.scalar(rng),
                1 => quoted(&format!("{{{}}}", self.members(rng, false))),
                2 | 3 => format!("[{},{{{}}},{}]", self.price(rng), self.members(rng, false), self.time(rng)),
                4 => quoted(&format!("{{{}", self.members(rng, false))),
                5 => quoted(&format!("  [{},{{{}}}]\n", self.symbol(rng), self.members(rng, false))),
                _ => format!("{{{}}}", self.members(rng, false)),
            };
            let name = ["d", "d", "d", "a/b~", "e"][rng.usize(..5)];
            for _ in 0..if rng.u8(..60) == 0 { 2 } else { 1 } {
                members.push(format!("{}:{inner}", self.name(rng, name)));
            }
        }
        if rng.u8(..25) == 0 {
            members.push(format!(
                "\"{}\":{}",
                ["", "x", "\\ud800", "Price", "\\u0000"][rng.usize(..5)],
                self.scalar(rng)
            ));
        }
        if rng.u8(..4) == 0 {
            rng.shuffle(&mut members);
        }
        members.join([",", ", ", " ,\n"][if rng.u8(..8) == 0 { rng.usize(..3) } else { 0 }])
    }

    /// A name, as it is or with an escape.
    fn name(&self, rng: &mut Rng, name: &str) -> String {
        match (rng.u8(..40), name.chars().next()) {
            (0, Some(first)) => format!("\"\\u{:04x}{}\"", u32::from(first), &name[first.len_utf8()..]),
            _ => format!("\"{name}\""),
        }
    }

    fn value(&self, rng: &mut Rng, name: &str) -> String {
        if self.is_wrong(rng, 10) {
            return self.scalar(rng);
        }
        match name {
            "symbol" => self.symbol(rng),
            "price" => self.price(rng),
            "ts" | "date" | "time" => self.time(rng),
            "volume" => match rng.u8(..8) {
                0 => ["null", "\"\"", "\"-\"", "-0", "\"-0.0\"", "-1e-40", "1e12", "\"-5e11\"", "1e-19"]
                    [rng.usize(..9)]
                .into(),
                _ => number(rng),
            },
            "id" => ["1", "\"1\"", "1.0", "\"\"", "null", "\"x\"", "true", "{}"][rng.usize(..8)].into(),
            _ => [
                "\"trade\"",
                "1",
                "1.50",
                "1.5",
                "150e-2",
                "100",
                "1E+2",
                "true",
                "\"true\"",
                "null",
                "\"1\"",
                "{}",
                "\"\"",
            ][rng.usize(..13)]
            .into(),
        }
    }

    fn symbol(&self, rng: &mut Rng) -> String {
        match rng.u8(..40) {
            0 => format!("\"{}\"", "é".repeat(rng.usize(505..520))),
            1 => [
                "\"\"",
                "\"\\u0000\"",
                "\"\\u0085\"",
                "\"\\ud83d\\ude00\"",
                "\"\\ud83d\"",
                "\"\\ude00\\ud83d\"",
                "\"\u{7f}\"",
                "\"\u{9f}\"",
            ][rng.usize(..8)]
            .into(),
            2 => ["17", "0", "-1", "1.0", "1e2", "true", "null", "[]", "123456789012345678901234567890"]
                [rng.usize(..9)]
            .into(),
            3 => "\"A\\/\\\"\\\\B\"".into(),
            _ => format!("\"S{}\"", rng.u8(..4)),
        }
    }

    fn price(&self, rng: &mut Rng) -> String {
        number(rng)
    }

    fn time(&self, rng: &mut Rng) -> String {
        let instant = jiff::Timestamp::from_nanosecond(self.now.into()).expect("it is of our days");
        let berlin = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").expect("it is there");
        let utc = instant.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        if let Some(format) = &self.format {
            let zoned = if format.contains("%Q") { instant.to_zoned_datetime(berlin) } else { utc };
            let text = zoned.strftime(format).to_string();
            return match rng.u8(..12) {
                0 => format!("\"{text}0\""),
                1 => format!("\"{}\"", text.replacen('.', ".1234567890", 1)),
                2 if format == "%s" => text,
                3 => self.scalar(rng),
                _ => format!("\"{text}\""),
            };
        }
        let digits = rng.usize(1..14);
        let fraction = format!("{:09}123456", self.now.rem_euclid(1_000_000_000));
        let fraction = &fraction[..digits];
        match rng.u8(..24) {
            0 => utc.strftime(&format!("\"%Y-%m-%dT%H:%M:%S.{fraction}Z\"")).to_string(),
            1 => utc.strftime(&format!("\"%Y-%m-%d %H:%M:%S,{fraction} +01:30\"")).to_string(),
            2 => utc.strftime("\"%Y%m%dT%H%M%S-0330\"").to_string(),
            3 => utc.strftime("\"%Y-%m-%d\"").to_string(),
            4 => utc.strftime("\"%Y-%m-%d %H:%M:%S\"").to_string(),
            5 => format!(
                "\"/Date({}{})/\"",
                self.now / 1_000_000,
                ["", "+0100", "-01:00", "+1", "+9999"][rng.usize(..5)]
            ),
            6 => self.odd_time(rng),
            7 => format!("\"{}\"", self.now / self.unit),
            8 => format!("{}.{fraction}", self.now / self.unit),
            9 => format!("{}e{}", self.now, -i64::from(self.unit.ilog10())),
            _ => format!("{}", self.now / self.unit),
        }
    }

    fn odd_time(&self, rng: &mut Rng) -> String {
        let texts = [
            "2026-03-29 02:30:00",
            "2026-10-25T02:30",
            "2026-12-31T23:59:60Z",
            "2026-12-31T23:59:61Z",
            "2026-02-29T00:00:00Z",
            "2024-02-29T24:00:00Z",
            "2026-01-05T08:00:00+24:00",
            "2026-01-05T08:00:00+23:59:59",
            "2026-01-05t08:00z",
            "20260105T0800Z",
            "2026-01-05T08:00:00 UTC",
            "2026-01-05T08:00:00  Z",
            "2026-01-05T08",
            "2026-01-05T08Z",
            "2026-1-5",
            "20260105",
            "2026-01-05T080000.5Z",
            "20260105 08:00:00+01",
            "2026-01-05T08:00:00.Z",
            "2026-01-05T08:00.5Z",
            "2026-13-01",
            "2026-00-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2116-02-20T00:00:00Z",
            "1823-11-12T00:00:00Z",
            "2026-01-05T08:00:00-00:00",
            "2026-01-05T08:00:00+1",
            "2026-01-05T08:60:00Z",
            "2026-01-05T08:00:00+0160",
            "2026-01-05T08:00:00+01:0",
            "2026-01-05T08:00:00+010000",
            "2026-01-05T08:00:00+01:00:00:00",
            "2026-01-05T08:0000Z",
            "2026-01-05T0800:00Z",
            "2026-01-05Z",
            "202601-05T08:00:00Z",
            "2026-0105T08:00:00Z",
            "é026-01-05",
            "2026-01-05T08:00:00é",
            "/Date(1)/",
            "/Date(-1+0100)/",
            "/Date()/",
            "/Date(99999999999999999999)/",
            "/Date(1.5)/",
            "/Date(+1)/",
            "/Date(9223372036854)/",
            "4611686018427387904",
            "-4611686018427387904",
            "-1",
            "1e19",
            "1e-400",
            "-1e-400",
            "9e999999999999",
            "0.0000000019",
            "-0.0000000019",
            "",
            " ",
            "now",
        ];
        format!("\"{}\"", texts[rng.usize(..texts.len())])
    }

    /// Anything in any place.
    fn scalar(&self, rng: &mut Rng) -> String {
        match rng.u8(..12) {
            0 => number(rng),
            1 => format!("\"{}\"", number(rng).trim_matches('"')),
            2 => self.time(rng),
            3 => self.symbol(rng),
            4 => quoted(&number(rng)),
            5 => [
                "NaN",
                "Infinity",
                "-Infinity",
                "nul",
                "True",
                "01",
                "1.",
                ".5",
                "+1",
                "-",
                "1e",
                "0x10",
                "'a'",
                "1_000",
                "1,5",
            ][rng.usize(..15)]
            .into(),
            6 => ["null", "true", "false", "{}", "[]", "[[]]", "{\"price\":1}", "\"{}\"", "\"[1,2]\"", "\"{\""]
                [rng.usize(..10)]
            .into(),
            7 => [
                "\"\\ud800\"",
                "\"\\x\"",
                "\"\\u12\"",
                "\"\t\"",
                "\"\u{2028}\"",
                "\"\\b\\f\\n\\r\\t\\/\"",
                "\"\\u0031\"",
                "\"\\ud800\\u0031\"",
            ][rng.usize(..8)]
            .into(),
            8 => "[".repeat(rng.usize(1..300)),
            9 => format!("[{}]", ["1,", "", "1 2", "\"a\""][rng.usize(..4)]),
            10 => "1".repeat(rng.usize(1..5000)),
            _ => "\"1,234.5\"".into(),
        }
    }
}

/// A number of any shape; one in four is a text.
fn number(rng: &mut Rng) -> String {
    let mut text = String::new();
    let sign = if rng.u8(..6) == 0 { "-" } else { "" };
    match rng.u8(..32) {
        0..8 | 20.. => write!(text, "{sign}{}.{:02}", rng.u32(..100_000), rng.u8(..100)),
        8..10 => write!(text, "{sign}{}", f64::from(rng.u32(..1_000_000)) / 7.0),
        10 => write!(text, "{sign}{}e{}", rng.u64(..1_000_000_000), rng.i32(-60..40)),
        11 => write!(text, "{sign}{}.{}E+{:03}", rng.u8(..10), rng.u64(..), rng.u8(..13)),
        12 => write!(text, "{sign}0.{}{}", "0".repeat(rng.usize(..45)), rng.u64(..)),
        13 => write!(text, "{sign}{}{}", rng.u64(1..1000), "0".repeat(rng.usize(..40))),
        14 => write!(text, "{sign}{}.{}", rng.u32(..1000), "0123456789".repeat(rng.usize(1..300))),
        // Just beside and at the ends of ranges and of what is rounded.
        15 => write!(text, "{sign}{}", ENDS[rng.usize(..ENDS.len())]),
        16 => {
            write!(text, "{sign}{}.{}{}", rng.u32(..100_000), "5".repeat(rng.usize(1..40)), "0".repeat(rng.usize(..20)))
        }
        17 => write!(text, "{sign}1e{}{}", ["-", "", "+"][rng.usize(..3)], "9".repeat(rng.usize(1..30))),
        18 => {
            write!(text, "{sign}0{}", ["", ".0", ".000", "e5", "e-99999999999999999999", "E+0"][rng.usize(..6)])
        }
        _ => write!(text, "{sign}{}.{}5", rng.u32(..1_000), "0".repeat(rng.usize(..30))),
    }
    .expect("a string takes it");
    if rng.u8(..4) == 0 { format!("\"{text}\"") } else { text }
}

const ENDS: [&str; 14] = [
    "100000000000",
    "100000000000.0000000000000000001",
    "100000000000.0000000000000000005",
    "100000000000.00000000000000000051",
    "99999999999.9999999999999999995",
    "1e29",
    "1e30",
    "1e31",
    "0.000000000000099999",
    "0.0000000000000999995",
    "0.00000000000010000005",
    "1e-19",
    "5e-19",
    "100000e-19",
];

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is one")
}

/// Some bytes are others.
fn change(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            1 => bytes.insert(at, b"{}[]\",:\\ \t\n0-.eE\x00\xff\xc3"[rng.usize(..19)]),
            2 => bytes.truncate(at),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => {
                let part = bytes[at..(at + rng.usize(..20)).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
        }
    }
}
