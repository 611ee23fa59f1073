//! What a verification of this kind goes by, and what it does not read.

use super::event::EventReader;
use super::fields::ConfiguredFields;
use super::instant::WrittenTimes;
use super::number::NumberScale;
use minutely_dataflows::decode::{FieldNames, Format};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::PartitionName;

/// The options of a run, as far as verdicts and numbers depend on them.
#[derive(Clone, Debug)]
pub(crate) struct IndependentRules {
    fields: FieldNames,
    times: WrittenTimes,
    pub(super) rule: Rule,
}

impl IndependentRules {
    /// Of these options, which are right.
    ///
    /// # Errors
    /// All of them that are not read here.
    pub(crate) fn of(fields: &FieldNames, rule: &Rule) -> Result<Self, Vec<String>> {
        let mut unread = Vec::new();
        let format = match fields.format {
            Format::Json => None,
            Format::Csv(_) => Some("csv and tsv"),
            Format::JsonSchema => Some("json-schema"),
            Format::Avro => Some("avro"),
            Format::Protobuf => Some("protobuf"),
        };
        unread.extend(format.map(|format| format!("--format {format}")));
        if fields.debezium.is_some() {
            unread.push("--envelope debezium".to_owned());
        }
        if rule.cleaning.is_some_and(|cleaning| cleaning.session.is_some()) {
            unread.push("--session".to_owned());
        }
        let times = WrittenTimes::of(&fields.times);
        if times.is_none() {
            unread.push(format!("--time-zone {}", fields.times.zone.as_deref().unwrap_or_default()));
        }
        match times {
            Some(times) if unread.is_empty() => Ok(IndependentRules { fields: fields.clone(), times, rule: *rule }),
            _ => Err(unread),
        }
    }

    /// What reads the records of this partition.
    pub(super) fn reader(&self, partition: &PartitionName) -> EventReader {
        EventReader {
            fields: ConfiguredFields::of(&self.fields, partition),
            times: self.times.clone(),
            numbers: NumberScale::new(&self.fields.numbers),
        }
    }
}
