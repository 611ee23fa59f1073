//! A line of a file of dead letters, as `docs/semantics.md` has it: read with all that a later version may add.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A dead letter as it was written.
#[derive(Debug, Deserialize)]
pub(super) struct LetterLine {
    pub(super) topic: Option<String>,
    pub(super) path: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) offset: i64,
    pub(super) element: Option<u32>,
    pub(super) reason: String,
    /// The payload, or its beginning; absent for a tombstone.
    #[serde(default, deserialize_with = "bytes")]
    pub(super) raw: Option<Vec<u8>>,
    /// The length of a payload of which `raw` is the beginning.
    pub(super) raw_of_bytes: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) key: Option<Vec<u8>>,
    pub(super) field: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) found: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) value: Option<String>,
    pub(super) event_time: Option<String>,
    pub(super) evidence: Option<EvidenceText>,
}

/// What a late, future or past record was judged by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EvidenceText {
    Watermark(String),
    Floor(String),
    AppendTime(String),
    Clock(String),
}

impl fmt::Display for EvidenceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvidenceText::Watermark(time) => write!(f, "its partition's watermark was {time}"),
            EvidenceText::Floor(time) => write!(f, "its partition's floor was {time}"),
            EvidenceText::AppendTime(time) => write!(f, "the broker appended it at {time}"),
            EvidenceText::Clock(time) => write!(f, "the clock was {time}"),
        }
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
}

impl LetterLine {
    /// The dead letter of this line.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let letter: LetterLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match (&letter.topic, &letter.path) {
            (None, None) => Err("neither `topic` nor `path` is there".into()),
            _ => Ok(letter),
        }
    }

    /// Topic and number, or the path of a file.
    pub(super) fn partition_name(&self) -> String {
        let log = self.topic.as_ref().or(self.path.as_ref()).map(String::as_str).unwrap_or_default();
        self.partition.map_or_else(|| log.to_owned(), |number| format!("{log}/{number}"))
    }

    /// Is its partition called so, in full or by its number?
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.partition_name() == name || self.partition.is_some_and(|number| name.parse() == Ok(number))
    }

    /// Where it stands, within a sentence.
    pub(super) fn place(&self) -> String {
        let element = self.element.map_or(String::new(), |element| format!(", element {element}"));
        format!("{}, offset {}{element}", self.partition_name(), self.offset)
    }

    /// The reason, and the field that is to blame.
    pub(super) fn kind(&self) -> String {
        self.field.as_ref().map_or_else(|| self.reason.clone(), |field| format!("{} {field}", self.reason))
    }

    /// What is wrong with it, where the file says so.
    pub(super) fn why(&self) -> Option<String> {
        if let (Some(expected), Some(found)) = (&self.expected, &self.found) {
            return Some(format!("expected {expected}, found {found}"));
        }
        let (symbol, value, time) = (self.symbol.as_ref()?, self.value.as_ref()?, self.event_time.as_ref()?);
        let judged = self.evidence.as_ref().map(|evidence| format!(", and {evidence}")).unwrap_or_default();
        Some(format!("{symbol} {value} of {time}{judged}"))
    }
}
