//! The events of a message that a schema tells how to read.

use super::assemble::{Assembler, rejection};
use super::beside::with_beside;
use super::envelope::{NoRow, TOMBSTONE, row_of_message};
use super::event::{DecodedPart, EventOutcome};
use super::fields::PAYLOAD;
use super::json;
use super::path::FieldPath;
use super::scalar::Scalar;
use super::schema::{SchemaDecoder, SchemaMessage, SchemaNode};
use super::shape::Origin;
use crate::escape::shortened;
use crate::halt::Halt;
use crate::record::{Element, Reason, Record, Rejection};
use std::sync::{Mutex, PoisonError};

/// Schemas, and the messages that are read by them.
#[derive(Debug)]
pub(super) struct SchemaFormat {
    schemas: Mutex<SchemaDecoder>,
    /// Messages are change events, whose rows are read.
    rows: bool,
}

impl SchemaFormat {
    /// `rows`: messages are change events, whose rows are read.
    pub(super) fn new(schemas: SchemaDecoder, rows: bool) -> Self {
        SchemaFormat { schemas: Mutex::new(schemas), rows }
    }

    /// The offset of the record that has the schema, where one has.
    pub(super) fn header_at(&self) -> Option<i64> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner).header_at()
    }

    /// Reads the schema, if this record has it.
    pub(super) fn learn(&mut self, record: &Record<'_>) {
        let schemas = self.schemas.get_mut().unwrap_or_else(PoisonError::into_inner);
        if schemas.header_at() == Some(record.offset) {
            schemas.read_header(record.payload.unwrap_or_default());
        }
    }

    /// Decodes the events of a record by its schema.
    ///
    /// # Errors
    /// The registry of schemas does not answer.
    pub(super) fn events<'a>(
        &self,
        rule: &'a Assembler,
        record: &Record<'a>,
        each: &mut impl FnMut(DecodedPart<'a>),
    ) -> Result<(), Halt> {
        // One partition has one decoder, and one thread reads it: nothing waits here.
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        events(rule, (&mut schemas, self.rows), record, each)
    }

    /// What the record is, if its envelope is why it is skipped.
    ///
    /// # Errors
    /// The registry of schemas does not answer.
    pub(super) fn skipped(&self, record: &Record<'_>) -> Result<Option<&'static str>, Halt> {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        match (is_tombstone(record), record.payload.filter(|_| self.rows)) {
            (true, _) if self.rows => Ok(Some(TOMBSTONE)),
            (false, Some(payload)) => {
                Ok(match schemas.message(payload)?.map(|message| row_of_message(&message.root()).err()) {
                    Ok(Some(NoRow::Skipped(what))) => Some(what),
                    _ => None,
                })
            }
            _ => Ok(None),
        }
    }

    /// What is to be known of the values of an event's fields, and of which fields the message has.
    pub(super) fn with_scalars<'a, T>(
        &self,
        rule: &Assembler,
        record: &Record<'a>,
        element: Option<Element<'_>>,
        read: impl FnOnce(&[Scalar<'a>], &dyn Fn(&FieldPath) -> bool) -> T,
    ) -> Option<T> {
        let schemas = &mut self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let message = schemas.message(json::payload(record).ok()?).ok()?.ok()?;
        let key = key(record, schemas).ok()?;
        let mut scalars = vec![Scalar::Absent; rule.shape.slots.len()];
        let event = message.root();
        let row = if self.rows { row_of_message(&event).ok()? } else { event.clone() };
        fill(rule, &mut scalars, Origin::Message, &row);
        fill(rule, &mut scalars, Origin::Envelope, &event);
        if let Some(key) = &key {
            fill(rule, &mut scalars, Origin::Key, &key.root());
        }
        if let (Some(element), Some(path)) = (element, &rule.shape.each) {
            let elements = row.elements(path).ok()?;
            fill(rule, &mut scalars, Origin::Element, elements.get(usize::try_from(element.index).ok()?)?);
        }
        Some(read(&scalars, &|path| has(&row, path)))
    }
}

/// Another partition learns schemas for itself.
impl Clone for SchemaFormat {
    fn clone(&self) -> Self {
        SchemaFormat::new(self.schemas.lock().unwrap_or_else(PoisonError::into_inner).clone(), self.rows)
    }
}

fn events<'a>(
    rule: &'a Assembler,
    (schemas, rows): (&mut SchemaDecoder, bool),
    record: &Record<'a>,
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Result<(), Halt> {
    let mut whole = |outcome| each(DecodedPart { element: None, outcome });
    if schemas.header_at() == Some(record.offset) || rows && is_tombstone(record) {
        whole(EventOutcome::Skipped);
        return Ok(());
    }
    let payload = match json::payload(record) {
        Ok(payload) => payload,
        Err(rejection) => {
            whole(EventOutcome::Rejected(rejection));
            return Ok(());
        }
    };
    let message = match schemas.message(payload)? {
        Ok(message) => message,
        Err(rejection) => {
            whole(EventOutcome::Rejected(rejection));
            return Ok(());
        }
    };
    let event = message.root();
    let row = match if rows { row_of_message(&event) } else { Ok(event.clone()) } {
        Ok(row) => row,
        Err(no_row) => {
            whole(match no_row {
                NoRow::Skipped(_) => EventOutcome::Skipped,
                NoRow::Rejected(rejection) => EventOutcome::Rejected(rejection),
            });
            return Ok(());
        }
    };
    let key = key(record, schemas)?;
    let mut beside = vec![Scalar::Absent; rule.shape.slots.len()];
    fill(rule, &mut beside, Origin::Message, &row);
    fill(rule, &mut beside, Origin::Envelope, &event);
    if let Some(key) = &key {
        fill(rule, &mut beside, Origin::Key, &key.root());
    }
    let record = &with_key(record, key.as_ref());
    if let Err(rejected) = parts(rule, record, &row, &beside, each) {
        each(DecodedPart { element: None, outcome: rejected.map_or(EventOutcome::Skipped, EventOutcome::Rejected) });
    }
    Ok(())
}

/// Has the record no payload?
fn is_tombstone(record: &Record<'_>) -> bool {
    record.payload.is_none() && record.cut_from.is_none()
}

/// The events of a message; else why it is rejected as a whole, or that it is skipped.
fn parts<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    row: &SchemaNode<'_, 'a>,
    beside: &[Scalar<'a>],
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Result<(), Option<Rejection>> {
    let (Some(path), Some((_, name))) = (&rule.shape.each, &rule.shape.element) else {
        each(DecodedPart { element: None, outcome: outcome(rule, record, beside, row) });
        return Ok(());
    };
    if !rule.passes(record, beside, false) {
        return Err(None);
    }
    let elements = row.elements(path).map_err(|found| {
        let reason = if matches!(found, Scalar::Absent | Scalar::Null) { Reason::Null } else { Reason::Shape };
        let name = if name.is_empty() { PAYLOAD } else { name };
        rejection(reason, Some(name.to_owned()), json::AN_ARRAY, shortened(&found.shown()))
    })?;
    json::check_number(elements.len(), name)?;
    for (index, element) in (0..).zip(&elements) {
        let mut scalars = beside.to_vec();
        fill(rule, &mut scalars, Origin::Element, element);
        let outcome = with_beside(rule, outcome(rule, record, &scalars, element), |path| has(row, path));
        each(DecodedPart { element: Some(Element { index, text: None }), outcome });
    }
    Ok(())
}

/// Is there a field at this path of a message, or of its row?
fn has(row: &SchemaNode<'_, '_>, path: &FieldPath) -> bool {
    !matches!(row.scalar(path), Scalar::Absent | Scalar::Null)
}

/// Fills the slots of this origin.
fn fill<'a>(rule: &Assembler, scalars: &mut [Scalar<'a>], origin: Origin, node: &SchemaNode<'_, 'a>) {
    for ((scalar, (_, of)), path) in scalars.iter_mut().zip(&rule.shape.slots).zip(&rule.shape.paths) {
        if *of == origin {
            *scalar = node.scalar(path);
        }
    }
}

fn outcome<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    scalars: &[Scalar<'a>],
    node: &SchemaNode<'_, 'a>,
) -> EventOutcome<'a> {
    if !rule.passes(record, scalars, true) {
        return EventOutcome::Skipped;
    }
    json::with_names(rule.event(record, scalars), || node.names())
}

/// The key, where it is framed as payloads of a registry are.
fn key<'a>(record: &Record<'a>, schemas: &mut SchemaDecoder) -> Result<Option<SchemaMessage<'a>>, Halt> {
    const FRAME: usize = 5;
    let framed = record.key.filter(|key| key.len() >= FRAME && key[0] == 0);
    match framed.filter(|_| schemas.has_registry()) {
        None => Ok(None),
        Some(key) => Ok(schemas.message(key)?.ok()),
    }
}

/// A framed key that is a text stands for that text.
fn with_key<'a>(record: &Record<'a>, key: Option<&SchemaMessage<'a>>) -> Record<'a> {
    let whole = FieldPath(Vec::new());
    match key.map(|key| key.root().scalar(&whole)) {
        Some(Scalar::Text(std::borrow::Cow::Borrowed(text))) => Record { key: Some(text.as_bytes()), ..*record },
        _ => *record,
    }
}
