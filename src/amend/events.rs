//! Letters, decoded again by the run's decoder. What comes out must be what the letter says of itself: symbol, value and event time.

use super::place::LetterPlace;
use crate::config::Config;
use crate::dead_letter_line::{DeadLetterCause, DeadLetterLine};
use crate::text::rfc3339;
use crate::verify::OpenLog;
use minutely_dataflows::decode::{
    DecodedEvent, DecodedPart, Decoder, ENVELOPE, EventOutcome, FieldNames, Format, MESSAGE, TIMESTAMP,
};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::{NextOffset, WindowStart};
use std::collections::BTreeMap;

/// A late letter's event.
#[derive(Clone, Debug)]
pub(crate) struct LateEvent {
    pub(crate) place: LetterPlace,
    pub(crate) window: WindowStart,
    pub(crate) event: DecodedEvent<'static>,
}

/// What a late letter is decoded to.
pub(crate) enum DecodedLetter {
    Event(DecodedEvent<'static>),
    /// It is of an element, and its event is made of more than that.
    NeedsRecord,
    /// Why there is no event, in words.
    Not(String),
}

/// The run's decoder, for each partition.
pub(crate) struct LetterDecoders<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    by_partition: BTreeMap<PartitionName, Decoder>,
    /// The text of an element is all that its event is made of.
    elements_alone: bool,
    /// The event time may be the log's own stamp, which a letter lacks: then it has the same as its event time.
    of_stamp: bool,
}

impl<'a> LetterDecoders<'a> {
    pub(crate) fn new(config: &'a Config, log: &'a OpenLog) -> Self {
        let fields = &config.fields;
        let is_json = matches!(fields.format, Format::Json) && fields.debezium.is_none();
        let of_stamp = fields.time.iter().any(|field| field == TIMESTAMP);
        let elements_alone = is_json && fields.each.is_some() && !beside(fields);
        LetterDecoders { config, log, by_partition: BTreeMap::new(), elements_alone, of_stamp }
    }

    /// That of a partition.
    ///
    /// # Errors
    /// The log cannot be read, where its records have a header.
    pub(crate) fn of(&mut self, partition: &PartitionName) -> Result<&Decoder, Halt> {
        if !self.by_partition.contains_key(partition) {
            let mut decoder = self.config.decoder.for_partition(partition);
            if let Some(at) = decoder.header_at()
                && let Some(found) = self.log.found.iter().find(|found| found.name == *partition)
                && let Some(header) = self.log.source.record_at(found, NextOffset(at))?
            {
                decoder.learn(&Record { offset: at, payload: Some(&header), ..Record::default() });
            }
            self.by_partition.insert(partition.clone(), decoder);
        }
        Ok(&self.by_partition[partition])
    }

    /// The event of a late letter.
    ///
    /// # Errors
    /// The log's header cannot be read, or a registry does not answer.
    pub(crate) fn letter(&mut self, place: &LetterPlace, line: &DeadLetterLine<'_>) -> Result<DecodedLetter, Halt> {
        let (key, raw) = (line.key.as_deref(), line.raw.as_deref());
        let (elements_alone, of_stamp) = (self.elements_alone, self.of_stamp);
        let timestamp = line.why.event_time.as_deref().filter(|_| of_stamp).and_then(crate::text::event_time);
        let each = self.config.fields.each.as_deref();
        let alone = each.zip(raw).filter(|_| elements_alone && place.element.is_some());
        let alone = alone.map(|(each, raw)| wrapped(each, raw));
        let record = |payload| Record { offset: place.offset, timestamp, key, payload, ..Record::default() };
        let scales = self.config.decoder.scales();
        let is_it = |event: &DecodedEvent<'_>| is_what_it_says(event, &line.why, scales.value);
        let decoder = self.of(&place.partition)?;
        let mut why = String::new();
        let mut attempt = |record: &Record<'_>, element| -> Result<Option<DecodedEvent<'static>>, Halt> {
            match one_event(decoder, record, element)? {
                Ok(event) if is_it(&event) => return Ok(Some(event)),
                Ok(event) => {
                    let (value, time) = (event.value.with_decimals(scales.value), rfc3339(event.time, 9));
                    why = format!("is read as {} {value} of {time}, which is not what it says of itself", event.symbol);
                }
                Err(reason) => why = format!("does not decode: {reason}"),
            }
            Ok(None)
        };
        if let Some(alone) = &alone
            && let Some(event) = attempt(&record(Some(alone)), Some(0))?
        {
            return Ok(DecodedLetter::Event(event));
        }
        if let Some(event) = attempt(&record(raw), place.element)? {
            return Ok(DecodedLetter::Event(event));
        }
        // The payload of an element is its own text, and more may be needed.
        Ok(if place.element.is_some() { DecodedLetter::NeedsRecord } else { DecodedLetter::Not(why) })
    }

    /// The event of a late letter of an element, from its whole record; else why there is none, in words.
    ///
    /// # Errors
    /// A registry does not answer.
    pub(crate) fn element(
        &mut self,
        (place, says): (&LetterPlace, &DeadLetterCause<'_>),
        record: &Record<'_>,
    ) -> Result<Result<DecodedEvent<'static>, String>, Halt> {
        let decimals = self.config.decoder.scales().value;
        Ok(match self.record(place, record)? {
            Ok(event) if is_what_it_says(&event, says, decimals) => Ok(event),
            Ok(_) => Err("is in its whole record not what it says of itself".into()),
            Err(why) => Err(format!("does not decode: {why}")),
        })
    }

    /// The event of a record of the log.
    ///
    /// # Errors
    /// A registry does not answer.
    pub(crate) fn record(
        &mut self,
        place: &LetterPlace,
        record: &Record<'_>,
    ) -> Result<Result<DecodedEvent<'static>, String>, Halt> {
        one_event(self.of(&place.partition)?, record, place.element)
    }
}

/// Does anything of an event stand outside of its element?
fn beside(fields: &FieldNames) -> bool {
    let all = [&fields.symbol, &fields.time, &fields.id, &fields.filter].into_iter().flatten();
    let mut all = all.chain(fields.weight.iter()).chain([&fields.value]);
    all.any(|field| field.trim_start_matches('!').starts_with(MESSAGE) || field.starts_with(ENVELOPE))
}

/// Is that event what its letter says?
fn is_what_it_says(event: &DecodedEvent<'_>, why: &DeadLetterCause<'_>, decimals: u8) -> bool {
    why.symbol.as_deref() == Some(&*event.symbol)
        && why.value.as_deref() == Some(event.value.with_decimals(decimals).to_string().as_str())
        && why.event_time.as_deref() == Some(rfc3339(event.time, 9).as_str())
}

/// The one event of a record, or of its element; else why there is none, in words.
///
/// # Errors
/// A registry does not answer.
pub(crate) fn one_event(
    decoder: &Decoder,
    record: &Record<'_>,
    element: Option<u32>,
) -> Result<Result<DecodedEvent<'static>, String>, Halt> {
    let mut found = Err("has no such element".to_owned());
    decoder.parts(record, |DecodedPart { element: of, outcome }| {
        if of.map(|of| of.index) != element && !matches!((of, &outcome), (None, EventOutcome::Rejected(_))) {
            return;
        }
        found = match outcome {
            EventOutcome::Event(event) => Ok(event.into_owned()),
            EventOutcome::Skipped => Err("is skipped by --where or --envelope".into()),
            EventOutcome::Rejected(rejection) => Err(format!("{} ({})", rejection.finding, rejection.reason.name())),
        };
    })?;
    Ok(found)
}

/// A record that has this element alone, where `--each` says that they stand.
pub(crate) fn wrapped(each: &str, element: &[u8]) -> Vec<u8> {
    let mut text = [b"[", element, b"]"].concat();
    let tokens: Vec<&str> = match each.strip_prefix('/') {
        Some(pointer) => pointer.split('/').collect(),
        None if each.is_empty() => Vec::new(),
        None => vec![each],
    };
    for token in tokens.into_iter().rev() {
        let name = serde_json::Value::String(token.replace("~1", "/").replace("~0", "~")).to_string();
        text = [b"{", name.as_bytes(), b":", &text, b"}"].concat();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_stands_where_it_stood() {
        for (each, want) in [
            ("", "[7]"),
            ("/data", r#"{"data":[7]}"#),
            ("/a~1b/c\"", r#"{"a/b":{"c\"":[7]}}"#),
            ("data", r#"{"data":[7]}"#),
        ] {
            assert_eq!(String::from_utf8(wrapped(each, b"7")).unwrap(), want);
        }
    }
}
