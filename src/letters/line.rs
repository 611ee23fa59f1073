//! A line of a file of dead letters, in words.

use crate::dead_letter_line::{DeadLetterLine, EvidenceLine};
use minutely_dataflows::record::PartitionName;

/// A dead letter that was read.
#[derive(Debug)]
pub(super) struct LetterLine(pub(super) DeadLetterLine<'static>);

impl LetterLine {
    /// The dead letter of this line.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let letter: DeadLetterLine<'static> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match (&letter.place.topic, &letter.place.path) {
            (None, None) => Err("neither `topic` nor `path` is there".into()),
            _ => Ok(LetterLine(letter)),
        }
    }

    /// Topic and number, or the path of a file.
    pub(super) fn partition_name(&self) -> String {
        let place = &self.0.place;
        let log = place.topic.as_ref().or(place.path.as_ref()).map(ToString::to_string).unwrap_or_default();
        PartitionName { log, number: place.partition }.to_string()
    }

    /// Is its partition called so, in full or by its number?
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.partition_name() == name || self.0.place.partition.is_some_and(|number| name.parse() == Ok(number))
    }

    /// Where it stands, within a sentence.
    pub(super) fn place(&self) -> String {
        let element = self.0.place.element.map_or(String::new(), |element| format!(", element {element}"));
        format!("{}, offset {}{element}", self.partition_name(), self.0.place.offset)
    }

    /// The reason, and the field that is to blame.
    pub(super) fn kind(&self) -> String {
        let reason = &self.0.place.reason;
        self.0.why.field.as_ref().map_or_else(|| reason.to_string(), |field| format!("{reason} {field}"))
    }

    /// What is wrong with it, where the file says so.
    pub(super) fn why(&self) -> Option<String> {
        let why = &self.0.why;
        if let (Some(expected), Some(found)) = (&why.expected, &why.found) {
            return Some(format!("expected {expected}, found {found}"));
        }
        let (symbol, value, time) = (why.symbol.as_ref()?, why.value.as_ref()?, why.event_time.as_ref()?);
        let judged = self.judged_by().map(|evidence| format!(", and {evidence}")).unwrap_or_default();
        Some(format!("{symbol} {value} of {time}{judged}"))
    }

    /// What a late, quarantined or cleaned record was judged by, in words.
    pub(super) fn judged_by(&self) -> Option<String> {
        self.0.evidence.as_ref().map(judged_by)
    }
}

/// What a record was judged by, in words.
pub(crate) fn judged_by(evidence: &EvidenceLine) -> String {
    match evidence {
        EvidenceLine::Watermark(time) => format!("its partition's watermark was {time}"),
        EvidenceLine::Floor(time) => format!("its partition's floor was {time}"),
        EvidenceLine::AppendTime(time) => format!("the broker appended it at {time}"),
        EvidenceLine::Clock(time) => format!("the clock was {time}"),
        EvidenceLine::Bound(bound) => format!("the bound is {bound}"),
        EvidenceLine::Filter { median, most } => {
            format!("the median before it was {median}, from which {most} is the greatest distance")
        }
    }
}
