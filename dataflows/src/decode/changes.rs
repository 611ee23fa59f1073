//! Change events of Debezium that are JSON: the events of their rows.
//!
//! ```text
//!   payload ─> schema and payload, or the event alone ─> place of the row ─> row ─> plain, or json with the schema's types
//!                                                             └─> skipped, or rejected
//! ```
//!
//! With its schema inline, an event says of each column what JSON does not: the scale of decimals, the unit of instants. A topic's
//! schema is the same from record to record: what the last one says of the slots is kept with its text.

use super::assemble::Assembler;
use super::connect::{ConnectSchema, SlotTypes};
use super::envelope::{AFTER, ASKED, NoRow, RowPlace, TOMBSTONE, no_row, place};
use super::event::{DecodedPart, EventOutcome};
use super::layout::Layouts;
use super::lookup::{JsonFields, names};
use super::path::FieldPath;
use super::scalar::Scalar;
use super::tree::TreeNode;
use super::{json, plain};
use crate::record::{Element, Record};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// Slots of the tree: payload and schema, then [`ASKED`] of the record, then the same of its payload.
const PAYLOAD: usize = 0;
const SCHEMA: usize = 1;
const OF_RECORD: usize = 2;
const OF_PAYLOAD: usize = OF_RECORD + ASKED.len();

/// Reads change events.
#[derive(Debug)]
pub(super) struct ChangeEvents {
    tree: TreeNode,
    /// Scales of fields whose type no schema says.
    scales: Vec<(String, i16)>,
    known: Mutex<Option<KnownTypes>>,
}

/// What a schema says of the slots.
#[derive(Clone, Debug)]
struct KnownTypes {
    schema: Option<Box<str>>,
    place: RowPlace,
    types: Arc<SlotTypes>,
}

/// Another partition learns schemas for itself.
impl Clone for ChangeEvents {
    fn clone(&self) -> Self {
        ChangeEvents { tree: self.tree.clone(), scales: self.scales.clone(), known: Mutex::new(None) }
    }
}

/// An event that counts.
struct Change<'t> {
    /// The envelope, or the row.
    event: Cow<'t, str>,
    row: Cow<'t, str>,
    types: Arc<SlotTypes>,
}

impl ChangeEvents {
    /// With the scales of fields whose type no schema says.
    pub(super) fn new(scales: &[(String, i16)]) -> Self {
        let mut tree = TreeNode::default();
        let mut fill = |steps: &[&str], slot| {
            let path = FieldPath(steps.iter().map(|step| (*step).into()).collect());
            tree.at(&path).slots.push(slot);
        };
        fill(&["payload"], PAYLOAD);
        fill(&["schema"], SCHEMA);
        for (slot, name) in ASKED.iter().enumerate() {
            fill(&[name], OF_RECORD + slot);
            fill(&["payload", name], OF_PAYLOAD + slot);
        }
        tree.number(0);
        ChangeEvents { tree, scales: scales.to_vec(), known: Mutex::new(None) }
    }

    /// Decodes the events of a record's row.
    pub(super) fn events<'a>(&self, rule: &'a Assembler, record: &Record<'a>, each: &mut impl FnMut(DecodedPart<'a>)) {
        let decoded = self.change(rule, record).and_then(|change| match change {
            Change { event: Cow::Borrowed(event), row: Cow::Borrowed(row), types } => {
                row_events(rule, record, (event, row, &types), each)
            }
            // JSON in a string: what is in it does not outlive this.
            Change { event, row, types } => {
                let mut owned = |DecodedPart { element, outcome }: DecodedPart<'_>| {
                    let element = element.map(|element| Element { index: element.index, text: None });
                    each(DecodedPart { element, outcome: json::owned(outcome) });
                };
                row_events(rule, record, (&event, &row, &types), &mut owned)
            }
        });
        match decoded {
            Ok(()) => {}
            Err(NoRow::Skipped(_)) => each(DecodedPart { element: None, outcome: EventOutcome::Skipped }),
            Err(NoRow::Rejected(rejection)) => {
                each(DecodedPart { element: None, outcome: EventOutcome::Rejected(rejection) });
            }
        }
    }

    /// What the record is, if its envelope is why it is skipped.
    pub(super) fn skipped(&self, rule: &Assembler, record: &Record<'_>) -> Option<&'static str> {
        match self.change(rule, record) {
            Err(NoRow::Skipped(what)) => Some(what),
            _ => None,
        }
    }

    /// The change that a record is, if it counts.
    fn change<'t>(&self, rule: &Assembler, record: &Record<'t>) -> Result<Change<'t>, NoRow> {
        if record.payload.is_none() && record.cut_from.is_none() {
            return Err(NoRow::Skipped(TOMBSTONE));
        }
        let text = json::text(record, json::not_json)?;
        let mut found = JsonFields::new(OF_PAYLOAD + ASKED.len());
        json::read(&mut found, &self.tree, text)?;
        if let Some(path) = &found.twice {
            return Err(json::twice(rule, path).into());
        }
        let mut texts = found.texts;
        let payload = texts[PAYLOAD].take();
        let of_record = |name: &str| ASKED.iter().position(|asked| *asked == name).map(|at| OF_RECORD + at);
        let has_op = ["op", "__op"].into_iter().filter_map(of_record).any(|slot| texts[slot].is_some());
        let (first, event) = match payload {
            Some(payload) if !has_op => (OF_PAYLOAD, unquoted(payload)),
            _ => (OF_RECORD, Cow::Borrowed(text)),
        };
        if event == "null" {
            return Err(NoRow::Skipped(TOMBSTONE));
        }
        if let Some((path, found)) = found.shape
            && (first == OF_PAYLOAD || path.is_empty())
        {
            return Err(json::misshapen((path, found)).into());
        }
        let slot = |name: &str| ASKED.iter().position(|asked| *asked == name).map(|at| first + at);
        let field = |name: &'static str| {
            let text = slot(name).and_then(|slot| texts[slot].as_deref());
            text.map_or(Scalar::Absent, |text| Scalar::of_json(text.into()))
        };
        let place = place(field, || names(&event))?;
        let row = match place {
            RowPlace::Whole => event.clone(),
            RowPlace::After => {
                let after = field(AFTER);
                if matches!(after, Scalar::Absent | Scalar::Null) {
                    return Err(no_row(&after).into());
                }
                slot(AFTER).and_then(|slot| texts[slot].take()).map(unquoted).unwrap_or_default()
            }
        };
        let types = self.types(rule, texts[SCHEMA].as_deref(), place);
        Ok(Change { event, row, types })
    }

    /// What is known of the slots' types by this schema.
    fn types(&self, rule: &Assembler, schema: Option<&str>, place: RowPlace) -> Arc<SlotTypes> {
        // One partition has one decoder, and one thread reads it: nothing waits here.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.as_ref().filter(|known| known.place == place && known.schema.as_deref() == schema);
        if let Some(known) = same {
            return Arc::clone(&known.types);
        }
        let event = schema.and_then(ConnectSchema::parse);
        let row = event.as_ref().and_then(|event| match place {
            RowPlace::Whole => Some(event),
            RowPlace::After => event.at([AFTER].into_iter()),
        });
        let types = Arc::new(SlotTypes::of(&rule.shape, event.as_ref(), row, &self.scales));
        *known = Some(KnownTypes { schema: schema.map(Into::into), place, types: Arc::clone(&types) });
        types
    }
}

/// The events of a row, with the fields of its envelope.
fn row_events<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    (event, row, types): (&'a str, &'a str, &SlotTypes),
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Result<(), NoRow> {
    let shape = &rule.shape;
    let record = Record { payload: Some(row.as_bytes()), ..*record };
    let may_be_plain = shape.slots.len() <= plain::MAX_SLOTS && shape.key.is_empty() && shape.envelope.is_empty();
    if may_be_plain && types.are_plain() && plain::events(rule, &Layouts::default(), &record, each).is_some() {
        return Ok(());
    }
    let mut fields = JsonFields::new(shape.slots.len());
    if !shape.envelope.is_empty() {
        json::read(&mut fields, &shape.envelope, event)?;
    }
    if let Some(path) = &fields.twice {
        return Err(json::twice(rule, path).into());
    }
    json::row_events(rule, &record, json::Around { fields, types: Some(types) }, each);
    Ok(())
}

/// What is in a string, of a string.
fn unquoted(raw: Cow<'_, str>) -> Cow<'_, str> {
    if !raw.starts_with('"') {
        return raw;
    }
    match Scalar::of_json(raw) {
        Scalar::Text(text) | Scalar::Other(text) => text,
        _ => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests;
