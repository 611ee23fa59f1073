//! The configured fields, and what stands in them.

use super::condition::FieldCondition;
use super::document::JsonNode;
use super::found::FieldText;
use super::pointer::{PointerEnd, PointerSteps, ValueInDocument};
use minutely_dataflows::decode::{CONSTANT, FieldNames, KEY, LOG_NAMES, MESSAGE, PAYLOAD, TIMESTAMP};
use minutely_dataflows::record::{PartitionName, Record};

/// Which text a field is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldHome {
    /// The record; with `--each` beside the array.
    Record,
    /// An element of the array.
    Element,
    /// The record's key, where that is JSON.
    Key,
}

/// Where something is to be found.
#[derive(Clone, Debug)]
pub(super) enum FieldPlace {
    In(FieldHome, PointerSteps),
    WholeKey,
    Stamp,
    /// The same in all records of a partition; none where its name has no such part.
    Fixed(Option<String>),
}

/// All of them, in one partition.
#[derive(Clone, Debug)]
pub(super) struct ConfiguredFields {
    /// With `--each`: the way to the array.
    pub(super) array: Option<PointerSteps>,
    pub(super) symbol: Vec<FieldPlace>,
    pub(super) value: FieldPlace,
    pub(super) time: Vec<FieldPlace>,
    pub(super) weight: Option<FieldPlace>,
    pub(super) id: Vec<FieldPlace>,
    pub(super) conditions: Vec<(FieldPlace, FieldCondition)>,
}

impl ConfiguredFields {
    /// Of fields that are right, in the partition of this name.
    pub(super) fn of(fields: &FieldNames, partition: &PartitionName) -> Self {
        let home = if fields.each.is_some() { FieldHome::Element } else { FieldHome::Record };
        let plain = |field: &String| plain(field, home);
        let named = |field: &String| named(field, partition).unwrap_or_else(|| plain(field));
        let constant = |field: &str| field.strip_prefix(CONSTANT).map(|text| FieldPlace::Fixed(Some(text.to_owned())));
        let time = |field: &String| if field == TIMESTAMP { FieldPlace::Stamp } else { plain(field) };
        let condition = |text: &String| {
            let (field, condition) = FieldCondition::parse(text);
            (named(&field), condition)
        };
        ConfiguredFields {
            array: fields.each.as_deref().map(PointerSteps::of_pointer),
            symbol: fields.symbol.iter().map(|field| constant(field).unwrap_or_else(|| named(field))).collect(),
            value: constant(&fields.value).unwrap_or_else(|| plain(&fields.value)),
            time: fields.time.iter().map(time).collect(),
            weight: fields.weight.as_ref().map(plain),
            id: fields.id.iter().map(named).collect(),
            conditions: fields.filter.iter().map(condition).collect(),
        }
    }

    /// The ways to all fields in such a text.
    pub(super) fn ways(&self, home: FieldHome) -> Vec<&PointerSteps> {
        let parts = self.symbol.iter().chain([&self.value]).chain(&self.time).chain(&self.weight).chain(&self.id);
        let all = parts.chain(self.conditions.iter().map(|(place, _)| place));
        let ways = all.filter_map(|place| match place {
            FieldPlace::In(of, way) if *of == home => Some(way),
            _ => None,
        });
        ways.chain(self.array.iter().filter(|_| home == FieldHome::Record)).collect()
    }
}

/// A field of a text.
fn plain(field: &str, home: FieldHome) -> FieldPlace {
    let below = |word: &str| field.strip_prefix(word).filter(|rest| rest.starts_with('/'));
    if field == PAYLOAD {
        FieldPlace::In(home, PointerSteps(Vec::new()))
    } else if let Some(pointer) = below(KEY) {
        FieldPlace::In(FieldHome::Key, PointerSteps::of_pointer(pointer))
    } else if let Some(pointer) = below(MESSAGE) {
        FieldPlace::In(FieldHome::Record, PointerSteps::of_pointer(pointer))
    } else {
        FieldPlace::In(home, PointerSteps::of_field(field))
    }
}

/// The key, or the name of the log; none for any other field.
fn named(field: &str, partition: &PartitionName) -> Option<FieldPlace> {
    if field == KEY {
        return Some(FieldPlace::WholeKey);
    }
    let is = |word: &str| field.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let [topic, file] = LOG_NAMES.map(is);
    let part = topic.or(file)?.strip_prefix('/');
    // A partition without a number is a file.
    let whole = match (topic, file, partition.number) {
        (Some(_), _, Some(_)) => Some(partition.log.as_str()),
        (_, Some(_), None) => {
            let name = partition.log.rsplit('/').next().unwrap_or_default();
            name.split('.').find(|part| !part.is_empty())
        }
        _ => None,
    };
    let text = match part {
        None => whole,
        Some(part) => {
            let parts = whole.into_iter().flat_map(|whole| whole.split(['-', '_', '.', ' ']));
            part.parse().ok().and_then(|part| parts.filter(|part| !part.is_empty()).nth(part))
        }
    };
    Some(FieldPlace::Fixed(text.map(str::to_owned)))
}

/// The texts that fields of one event are in.
pub(super) struct EventTexts<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) message: &'a ValueInDocument,
    pub(super) element: Option<&'a ValueInDocument>,
    pub(super) key: Option<&'a ValueInDocument>,
    pub(super) fields: &'a ConfiguredFields,
}

impl EventTexts<'_> {
    /// Where a way in such a text ends.
    pub(super) fn end(&self, home: FieldHome, way: &PointerSteps) -> PointerEnd {
        let text = match home {
            FieldHome::Record => Some(self.message),
            FieldHome::Element => self.element,
            FieldHome::Key => self.key,
        };
        let is_by_index = |begin: &[String]| self.fields.ways(home).iter().any(|way| way.goes_on_by_index(begin));
        text.map_or(PointerEnd::Nothing, |text| text.follow(way, is_by_index))
    }

    /// What stands there.
    pub(super) fn text(&self, place: &FieldPlace) -> FieldText {
        match place {
            FieldPlace::In(home, way) => match self.end(*home, way) {
                PointerEnd::At(value) => match value.node() {
                    JsonNode::Null => FieldText::Null,
                    JsonNode::Literal(text) => FieldText::Literal(text.clone()),
                    JsonNode::Text(text) => FieldText::Text(text.clone()),
                    JsonNode::NoText => FieldText::NoText,
                    JsonNode::Array(_) | JsonNode::Object(_) => FieldText::Nested,
                },
                PointerEnd::Nothing | PointerEnd::Twice | PointerEnd::Through => FieldText::Absent,
            },
            FieldPlace::WholeKey => match self.record.key.map(std::str::from_utf8) {
                None => FieldText::Absent,
                Some(Ok(key)) => FieldText::Text(key.to_owned()),
                Some(Err(_)) => FieldText::NoText,
            },
            FieldPlace::Stamp => self.record.timestamp.map_or(FieldText::Absent, |stamp| FieldText::Stamp(stamp.0)),
            FieldPlace::Fixed(text) => text.clone().map_or(FieldText::Absent, FieldText::Text),
        }
    }
}
