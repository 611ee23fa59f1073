//! Any JSON record, by serde_json: its events, or its reasons with what was expected and what was found.

use super::assemble::{Assembler, rejection};
use super::beside::{ABSENT, with_beside};
use super::connect::SlotTypes;
use super::event::{DecodedPart, EventOutcome};
use super::fields::PAYLOAD;
use super::lookup::{JsonFields, NotJson, elements, names, nested};
use super::path::FieldPath;
use super::scalar::Scalar;
use super::tree::TreeNode;
use crate::acc::MAX_ELEMENTS;
use crate::escape::shortened;
use crate::record::{Element, Reason, Record, Rejection};
use std::borrow::Cow;

/// Decodes any record. Kept out of the plain path's code, which nearly every record takes.
#[cold]
#[inline(never)]
pub(super) fn events<'a>(rule: &'a Assembler, record: &Record<'a>, each: &mut impl FnMut(DecodedPart<'a>)) {
    let fields = JsonFields::new(rule.shape.slots.len());
    row_events(rule, record, Around { fields, types: None }, each);
}

/// What is known of a record that stands in another.
pub(super) struct Around<'a, 't> {
    /// The slots that are filled already.
    pub(super) fields: JsonFields<'a>,
    /// What JSON does not say of the slots.
    pub(super) types: Option<&'t SlotTypes>,
}

/// The same, of a record that stands in another.
pub(super) fn row_events<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    around: Around<'a, '_>,
    each: &mut impl FnMut(DecodedPart<'a>),
) {
    if let Err(rejected) = try_events(rule, record, around, each) {
        each(DecodedPart { element: None, outcome: rejected.map_or(EventOutcome::Skipped, EventOutcome::Rejected) });
    }
}

/// The events of a record; else why the record as a whole is rejected, or that it is skipped.
fn try_events<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    around: Around<'a, '_>,
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Result<(), Option<Rejection>> {
    let Around { fields: outside, types } = around;
    let text = text(record, not_json)?;
    let found = fields(rule, record, text, outside)?;
    let JsonFields { texts, elements: array, shape, .. } = found;
    let mut scalars: Vec<_> = texts.into_iter().map(of_json).collect();
    if let Some(types) = types {
        types.apply(&mut scalars);
    }
    let Some((_, name)) = &rule.shape.element else {
        let shape = shape.map(misshapen);
        each(DecodedPart { element: None, outcome: outcome(rule, record, &scalars, (shape, text)) });
        return Ok(());
    };
    if !rule.passes(record, &scalars, false) {
        return Err(None);
    }
    if let Some(shape) = shape {
        return Err(Some(misshapen(shape)));
    }
    let name = &if name.is_empty() { PAYLOAD.to_owned() } else { name.clone() };
    let has = |path: &FieldPath| has(record, path);
    let wrong = |reason, found: String| rejection(reason, Some(name.clone()), AN_ARRAY, found);
    match array.map(unpacked) {
        None => Err(Some(wrong(Reason::Null, absence(&names(text))))),
        Some(array) if array == "null" => Err(Some(wrong(Reason::Null, array.into_owned()))),
        Some(array @ Cow::Borrowed(raw)) => {
            let elements = elements(raw).ok_or_else(|| wrong(Reason::Shape, shortened(&array)))?;
            check_number(elements.len(), name)?;
            for (index, raw) in (0..).zip(elements) {
                let outcome = with_beside(rule, element(rule, record, (&scalars, types), raw), has);
                each(DecodedPart { element: Some(Element { index, text: Some(raw.as_bytes()) }), outcome });
            }
            Ok(())
        }
        Some(Cow::Owned(inside)) => {
            let elements = elements(&inside).ok_or_else(|| wrong(Reason::Shape, shortened(&inside)))?;
            check_number(elements.len(), name)?;
            for (index, raw) in (0..).zip(elements) {
                let outcome = with_beside(rule, owned(element(rule, record, (&scalars, types), raw)), has);
                each(DecodedPart { element: Some(Element { index, text: None }), outcome });
            }
            Ok(())
        }
    }
}

/// What one element is, of a record with these values beside the array.
fn element<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    (beside, types): (&[Scalar<'a>], Option<&SlotTypes>),
    raw: &'a str,
) -> EventOutcome<'a> {
    let Some((tree, name)) = &rule.shape.element else { return EventOutcome::Skipped };
    let mut found = JsonFields::new(beside.len());
    if let Err(NotJson(why)) = found.read(tree, raw) {
        return EventOutcome::Rejected(not_json(format!("{} ({why})", shortened(raw))));
    }
    if let Some(path) = found.twice {
        return EventOutcome::Rejected(twice(rule, &path));
    }
    let shape = found.shape.map(|shape| misshapen_element(name, shape));
    let mut scalars: Vec<_> = found.texts.into_iter().map(of_json).collect();
    for (slot, (own, beside)) in scalars.iter_mut().zip(beside).enumerate() {
        if !rule.shape.is_of_element(slot) {
            own.clone_from(beside);
        }
    }
    if let Some(types) = types {
        types.apply(&mut scalars);
    }
    outcome(rule, record, &scalars, (shape, raw))
}

/// What an event with these values is, in a value with this text. `shape`: a pointer leads through something without members.
fn outcome<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    scalars: &[Scalar<'a>],
    (shape, text): (Option<Rejection>, &str),
) -> EventOutcome<'a> {
    if !rule.passes(record, scalars, true) {
        return EventOutcome::Skipped;
    }
    if let Some(shape) = shape {
        return EventOutcome::Rejected(shape);
    }
    with_names(rule.event(record, scalars), || names(text))
}

/// The same; where it lacks a field, with the names that there are.
pub(super) fn with_names<'a>(mut outcome: EventOutcome<'a>, names: impl Fn() -> Vec<String>) -> EventOutcome<'a> {
    if let EventOutcome::Rejected(Rejection { reason: Reason::Null, finding }) = &mut outcome
        && finding.found == ABSENT
    {
        finding.found = absence(&names());
    }
    outcome
}

/// What `each` leads to.
pub(super) const AN_ARRAY: &str = "an array, whose elements are events, or one object";

/// With the names that there are.
pub(super) fn absence(names: &[String]) -> String {
    if names.is_empty() { ABSENT.to_owned() } else { format!("{ABSENT} (there are {})", shortened(&names.join(", "))) }
}

/// What a string holds that is JSON itself; else the value as it is.
fn unpacked(raw: Cow<'_, str>) -> Cow<'_, str> {
    if !raw.starts_with('"') {
        return raw;
    }
    let inside = serde_json::from_str::<String>(&raw).ok();
    match inside.as_deref().and_then(nested) {
        Some(inside) => Cow::Owned(inside.to_owned()),
        None => raw,
    }
}

fn of_json(raw: Option<Cow<'_, str>>) -> Scalar<'_> {
    raw.map_or(Scalar::Absent, Scalar::of_json)
}

pub(super) fn owned(outcome: EventOutcome<'_>) -> EventOutcome<'static> {
    match outcome {
        EventOutcome::Event(event) => EventOutcome::Event(event.into_owned()),
        EventOutcome::Skipped => EventOutcome::Skipped,
        EventOutcome::Rejected(rejection) => EventOutcome::Rejected(rejection),
    }
}

pub(super) fn check_number(elements: usize, name: &str) -> Result<(), Rejection> {
    if u32::try_from(elements).is_ok_and(|elements| elements <= MAX_ELEMENTS) {
        return Ok(());
    }
    let expected = format!("at most {MAX_ELEMENTS} elements");
    Err(rejection(Reason::Long, Some(name.to_owned()), expected, elements.to_string()))
}

/// The text of a record that was read as a whole. `no_text`: what is said of one that is not UTF-8.
pub(super) fn text<'a>(record: &Record<'a>, no_text: fn(String) -> Rejection) -> Result<&'a str, Rejection> {
    let payload = payload(record)?;
    std::str::from_utf8(payload).map_err(|error| {
        let utf16 = matches!(payload, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let what = if utf16 { "UTF-16".to_owned() } else { format!("no UTF-8 from byte {} on", error.valid_up_to()) };
        no_text(format!("{what}: {}", beginning(payload)))
    })
}

/// The bytes of a record that has them all.
pub(super) fn payload<'a>(record: &Record<'a>) -> Result<&'a [u8], Rejection> {
    let Some(payload) = record.payload else {
        return Err(rejection(Reason::Null, None, "a payload", "none (a tombstone)"));
    };
    match record.cut_from {
        None => Ok(payload),
        Some(bytes) => {
            let found = format!("{bytes} bytes, of which these are the first: {}", beginning(payload));
            Err(rejection(Reason::Long, None, "a record that its source can hold in memory", found))
        }
    }
}

fn beginning(payload: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(&payload[..payload.len().min(400)]))
}

/// Finds the fields of a record that is one JSON text.
pub(super) fn read<'a>(found: &mut JsonFields<'a>, tree: &TreeNode, text: &'a str) -> Result<(), Rejection> {
    found.read(tree, text).map_err(|NotJson(why)| {
        let begins = beginning(text.as_bytes());
        not_json(match text {
            "" => "nothing (an empty record)".into(),
            text if text.starts_with('\u{feff}') => format!("a byte order mark before it: {begins}"),
            _ => format!("{begins} ({why})"),
        })
    })
}

/// The configured fields of a record that is one JSON text, and of its key. `found`: those that are known.
fn fields<'a>(
    rule: &Assembler,
    record: &Record<'a>,
    text: &'a str,
    mut found: JsonFields<'a>,
) -> Result<JsonFields<'a>, Rejection> {
    let shape = &rule.shape;
    // What is known has its own objects on the way: they are not seen twice.
    found.forget_ways();
    read(&mut found, &shape.message, text)?;
    if let Some(of_key) = key_fields(rule, record) {
        for (own, of_key) in found.texts.iter_mut().zip(of_key.texts) {
            *own = own.take().or(of_key);
        }
        found.twice = found.twice.take().or(of_key.twice);
    }
    match &found.twice {
        Some(path) => Err(twice(rule, path)),
        None => Ok(found),
    }
}

/// The configured fields of a record's key, where there are some and the key is JSON.
pub(super) fn key_fields<'a>(rule: &Assembler, record: &Record<'a>) -> Option<JsonFields<'a>> {
    let shape = &rule.shape;
    let key = std::str::from_utf8(record.key.filter(|_| !shape.key.is_empty())?).ok()?;
    let mut found = JsonFields::new(shape.slots.len());
    found.read(&shape.key, key).ok()?;
    Some(found)
}

/// What this pointer leads to came more than once. It is called by the name of its field, where it is one.
pub(super) fn twice(rule: &Assembler, path: &str) -> Rejection {
    let name = path.strip_prefix('/').filter(|name| !name.contains('/'));
    let field = rule.shape.slots.iter().map(|(field, _)| field.as_str());
    let field = field.into_iter().find(|field| Some(*field) == name).unwrap_or(path);
    rejection(Reason::Twice, Some(field.to_owned()), "it once", "it more than once")
}

pub(super) fn misshapen((path, found): (String, String)) -> Rejection {
    let expected = if found.starts_with('[') { NO_ARRAY } else { "an object" };
    rejection(Reason::Shape, Some(path).filter(|path| !path.is_empty()), expected, shortened(&found))
}

/// Where no object may be the place of its members.
const NO_ARRAY: &str = "an object (of an array, /0 is the first element, and --each reads all)";

/// An element of the array of this name, or something in it. The element itself is called by its array.
fn misshapen_element(name: &str, (path, found): (String, String)) -> Rejection {
    if !path.is_empty() {
        return misshapen((path, found));
    }
    let expected = if found.starts_with('[') {
        "elements that are objects (of one that is an array, /0 is the first value)"
    } else {
        "elements that are objects (one that is a value alone is @payload)"
    };
    let name = if name.is_empty() { PAYLOAD } else { name };
    rejection(Reason::Shape, Some(name.to_owned()), expected, shortened(&found))
}

/// The values of an event's fields, of a record that is JSON.
pub(super) fn scalars<'a>(
    rule: &Assembler,
    record: &Record<'a>,
    element: Option<Element<'a>>,
) -> Option<Vec<Scalar<'a>>> {
    let (tree, text) = match element {
        None => {
            let empty = JsonFields::new(rule.shape.slots.len());
            let found = fields(rule, record, text(record, not_json).ok()?, empty).ok()?;
            return Some(found.texts.into_iter().map(of_json).collect());
        }
        Some(element) => (&rule.shape.element.as_ref()?.0, std::str::from_utf8(element.text?).ok()?),
    };
    // Conditions on the record hold, for it was taken apart: what is not of the element is not looked at.
    let mut found = JsonFields::new(rule.shape.slots.len());
    found.read(tree, text).ok()?;
    Some(found.texts.into_iter().map(of_json).collect())
}

/// Is there a field at this path of a record, which is not null?
pub(super) fn has(record: &Record<'_>, path: &FieldPath) -> bool {
    let Ok(text) = text(record, not_json) else { return false };
    let mut tree = TreeNode::default();
    tree.at(path).slots.push(0);
    tree.number(0);
    let mut found = JsonFields::new(1);
    found.read(&tree, text).is_ok() && found.texts[0].as_deref().is_some_and(|raw| raw != "null")
}

pub(super) fn not_json(found: String) -> Rejection {
    rejection(Reason::Json, None, "one whole JSON text in UTF-8", found)
}
