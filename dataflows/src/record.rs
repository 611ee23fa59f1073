//! What a log holds, who holds it, and what becomes of a record that may not count.

use crate::decimal::Decimal;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// One record as its log gives it (R1). Borrowed: a reader lends it for the length of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// Strictly increasing within a partition; gaps are normal.
    pub offset: i64,
    /// The broker's own stamp, if it is one (LogAppendTime). A producer's stamp guards nothing and is left out (R7).
    pub append_time: Option<EventTime>,
    /// The stamp that the log gives it, the broker's or its producer's; it can be the event time, and guards nothing.
    pub timestamp: Option<EventTime>,
    /// The record's key, if the log has keys.
    pub key: Option<&'a [u8]>,
    /// The record's value; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The record is longer than its source reads into memory: this many bytes, of which the payload is the beginning.
    /// Such a record cannot be decoded.
    pub cut_from: Option<u64>,
}

/// The last record that was read of a partition, as the state keeps it: what tells the log that was read from one that was
/// changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRecord {
    /// Its offset.
    pub offset: i64,
    /// XXH3-64 of its broker's stamp, key and payload.
    pub fingerprint: u64,
    /// Kafka: under which leader it was appended, for people. A record that was replicated again under another leader is the
    /// same record.
    pub leader_epoch: Option<i32>,
    /// Files: the byte that its line begins at.
    pub byte: Option<u64>,
}

impl LastRecord {
    /// Of this record.
    pub fn of(record: &Record<'_>) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        let stamp = record.append_time.map(|stamp| stamp.0.to_le_bytes());
        for part in [stamp.as_ref().map(<[u8; 8]>::as_slice), record.key, record.payload] {
            // None is not the same as empty, and no part runs into the next.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.unwrap_or_default());
        }
        LastRecord { offset: record.offset, fingerprint: hasher.digest(), leader_epoch: None, byte: None }
    }

    /// Is that the record that was read?
    pub fn is(&self, other: &LastRecord) -> bool {
        (self.offset, self.fingerprint) == (other.offset, other.fingerprint)
    }
}

/// Which partition: a topic and a number, or a path relative to the glob's fixed part and 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionName {
    /// Topic, or path.
    pub log: String,
    /// Number within the topic; none for a file.
    pub number: Option<i32>,
}

impl PartitionName {
    /// The partition's identity: XXH3-64 of `topic/number`, or of the path (R9). A collision is refused at admission.
    pub fn identity(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.to_string().as_bytes())
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{}/{number}", self.log),
            None => f.write_str(&self.log),
        }
    }
}

/// Why a record does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Not one whole RFC 8259 text in UTF-8.
    Json,
    /// Not an object, or a pointer leads through something that is not one.
    Shape,
    /// A configured field is there more than once.
    Twice,
    /// The symbol is empty, longer than [`MAX_SYMBOL_BYTES`], has control characters, or is not Unicode text.
    Symbol,
    /// A configured field is of another type.
    Type,
    /// The value's magnitude is above 10^(29 − decimals): 10^11 by default.
    Range,
    /// The value has digits beyond its scale that may not be dropped.
    Precision,
    /// The event time is not within ±2^62 nanoseconds of 1970, never was, or says no offset where there is no zone.
    Time,
    /// The weight is no number, out of range, or of a sign or with digits that are not taken.
    Weight,
    /// A required field is missing or null, or the record has no payload.
    Null,
    /// Its window was final for its own partition when it was read (R5).
    Late,
    /// It is too far ahead of its reference (R7).
    Future,
    /// It is too far behind its reference (R7, `--max-past`).
    Past,
    /// It is longer than its source reads into memory.
    Long,
    /// Its schema is unknown or cannot be used, or its bytes are not of it.
    Schema,
    /// Not one row of CSV in UTF-8, or one of another number of cells than there are columns.
    Csv,
    /// Its event time is outside of the session (R5, `--session`).
    Session,
    /// Its value is beyond the least or the greatest one that counts (R5, `--value-min`, `--value-max`).
    Bounds,
    /// Its value is too far from those that counted before it (R5, `--outlier`).
    Outlier,
}

impl Reason {
    /// As it is written in dead letters and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Json => "json",
            Reason::Shape => "shape",
            Reason::Twice => "twice",
            Reason::Symbol => "symbol",
            Reason::Type => "type",
            Reason::Range => "range",
            Reason::Precision => "precision",
            Reason::Time => "time",
            Reason::Weight => "weight",
            Reason::Null => "null",
            Reason::Late => "late",
            Reason::Future => "future",
            Reason::Past => "past",
            Reason::Long => "long",
            Reason::Schema => "schema",
            Reason::Csv => "csv",
            Reason::Session => "session",
            Reason::Bounds => "bounds",
            Reason::Outlier => "outlier",
        }
    }
}

/// The longest symbol, in bytes of UTF-8 (R2). Names are held in memory as long as their windows, and stand in every row.
pub const MAX_SYMBOL_BYTES: usize = 1024;

/// What is wrong with a record that cannot be decoded, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Which configured field: its name or pointer, or `@key`; a pointer's beginning where it leads through something that
    /// is not an object. `None`: the record as a whole.
    pub field: Option<String>,
    /// What should be there.
    pub expected: Cow<'static, str>,
    /// What is there, shortened and escaped.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// Why a record cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason.
    pub reason: Reason,
    /// What is wrong, and where.
    pub finding: Finding,
}

/// Which element of a record's array an event is (`--each`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// From 0.
    pub index: u32,
    /// Its own text, where the format is text.
    pub text: Option<&'a [u8]>,
}

/// Why an event does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be decoded.
    Rejected(Rejection),
    /// It is late, quarantined or cleaned.
    Judged(Reason, Judged),
}

/// A record, or an element of one, that does not count, with its reason (R2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it stands.
    pub partition: PartitionName,
    /// At which offset.
    pub offset: i64,
    /// Which element of the record's array, from 0; `None`: the record as a whole.
    pub element: Option<u32>,
    /// Why it does not count.
    pub reason: Reason,
    /// Its payload as it was, or the element's text; none for a tombstone.
    pub raw: Option<Vec<u8>>,
    /// `raw` is only the beginning of a payload of this many bytes (reason `long`).
    pub cut_from: Option<u64>,
    /// Its key, if the log has keys.
    pub key: Option<Vec<u8>>,
    /// For those that are late, quarantined or cleaned: what it said, and what it was judged by.
    pub judged: Option<Judged>,
    /// For all others: what is wrong. None in a state of an older version.
    pub finding: Option<Finding>,
}

impl DeadLetter {
    /// Of this record of this partition, or of an element of it.
    pub fn of(record: &Record<'_>, element: Option<Element<'_>>, partition: &PartitionName, cause: Cause) -> Self {
        let (reason, judged, finding) = match cause {
            Cause::Judged(reason, judged) => (reason, Some(judged), None),
            Cause::Rejected(Rejection { reason, finding }) => (reason, None, Some(finding)),
        };
        let raw = element.and_then(|element| element.text).or(record.payload);
        DeadLetter {
            partition: partition.clone(),
            offset: record.offset,
            element: element.map(|element| element.index),
            reason,
            raw: raw.map(<[u8]>::to_vec),
            cut_from: record.cut_from,
            key: record.key.map(<[u8]>::to_vec),
            judged,
            finding,
        }
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let finding = self.finding.as_ref();
        self.raw.as_ref().map_or(0, Vec::len)
            + self.key.as_ref().map_or(0, Vec::len)
            + self.judged.as_ref().map_or(0, |judged| judged.symbol.len())
            + finding.map_or(0, |finding| finding.found.len() + finding.expected.len())
            + self.partition.log.len()
            + size_of::<DeadLetter>()
    }

    /// Is this a verdict that the log alone does not give (R10)?
    pub fn is_exception(&self) -> bool {
        matches!(self.judged, Some(Judged { evidence: Evidence::Floor(_) | Evidence::Clock(_), .. }))
    }
}

/// A decodable record that does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Judged {
    /// Its series.
    pub symbol: String,
    /// Its exact value.
    pub value: Decimal,
    /// Its event time.
    pub time: EventTime,
    /// What it was judged by.
    pub evidence: Evidence,
}

/// What a late, quarantined or cleaned record was judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Evidence {
    /// Late: the largest event time among the valid records before it in its partition. The log gives it.
    Watermark(EventTime),
    /// Late only because of this floor (R8): an exception.
    Floor(EventTime),
    /// Future or past: the broker's append time. The log gives it.
    Appended(EventTime),
    /// Future or past: the reader's clock, or the run's instant: an exception.
    Clock(EventTime),
    /// Session: its event time, and the calendar.
    Closed,
    /// Bounds: the value that it is beyond.
    Bound(Decimal),
    /// Outlier: the log gives it.
    Median {
        /// Of the values of its series that counted last before it in its partition.
        median: Decimal,
        /// How far from it a value might be.
        most: Decimal,
    },
}
