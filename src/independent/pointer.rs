//! What a pointer leads to (R1): through objects, through arrays by index, and through strings that are JSON themselves.

use super::document::{JsonDocument, JsonNode};
use std::rc::Rc;

/// Steps to a field: names, or indexes in digits. None: the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PointerSteps(pub(super) Vec<String>);

impl PointerSteps {
    /// Of a pointer (RFC 6901), which is empty or begins with a slash.
    pub(super) fn of_pointer(text: &str) -> Self {
        let steps = text.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        PointerSteps(steps.collect())
    }

    /// Of a field: a pointer, or one name.
    pub(super) fn of_field(text: &str) -> Self {
        if text.starts_with('/') { PointerSteps::of_pointer(text) } else { PointerSteps(vec![text.to_owned()]) }
    }
}

/// An index as RFC 6901 writes it: without a zero before it.
fn index(step: &str) -> Option<usize> {
    let is_written = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    step.parse().ok().filter(|_| is_written)
}

/// A value, and the text that it is in: the record's, or a string's in it.
#[derive(Clone, Debug)]
pub(super) struct ValueInDocument {
    document: Rc<JsonDocument>,
    place: usize,
}

/// Where a pointer ends.
#[derive(Debug)]
pub(super) enum PointerEnd {
    At(ValueInDocument),
    /// There is no such field.
    Nothing,
    /// It, or something on the way to it, is there more than once.
    Twice,
    /// It would lead through something that has no such members.
    Through,
}

impl ValueInDocument {
    /// The whole of a text.
    pub(super) fn whole(document: JsonDocument) -> Self {
        ValueInDocument { document: Rc::new(document), place: JsonDocument::WHOLE }
    }

    pub(super) fn node(&self) -> &JsonNode {
        self.document.at(self.place)
    }

    fn other(&self, place: usize) -> Self {
        ValueInDocument { document: Rc::clone(&self.document), place }
    }

    /// The object or array in a string that is JSON itself.
    pub(super) fn inside(&self) -> Option<Self> {
        let JsonNode::Text(text) = self.node() else { return None };
        let inside = ValueInDocument::whole(JsonDocument::parse(text)?);
        matches!(inside.node(), JsonNode::Array(_) | JsonNode::Object(_)).then_some(inside)
    }

    /// What it is made of, if its elements are events: those of an array, or an object alone.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        match self.node() {
            JsonNode::Array(elements) => Some(elements.iter().map(|place| self.other(*place)).collect()),
            JsonNode::Object(_) => Some(vec![self.clone()]),
            _ => self.inside()?.elements(),
        }
    }

    /// Follows these steps. `is_by_index`: does another field, in the same text, go on by an index where these steps lead?
    pub(super) fn follow(&self, steps: &PointerSteps, is_by_index: impl Fn(&[String]) -> bool) -> PointerEnd {
        let mut value = self.clone();
        for (depth, step) in steps.0.iter().enumerate() {
            if matches!(value.node(), JsonNode::Text(_)) {
                let Some(inside) = value.inside() else { return PointerEnd::Through };
                value = inside;
            }
            let next = match value.node() {
                JsonNode::Object(members) => {
                    let mut named = members.iter().filter(|(name, _)| name.as_ref() == Some(step));
                    let first = named.next();
                    if named.next().is_some() {
                        return PointerEnd::Twice;
                    }
                    first.map(|(_, place)| *place)
                }
                // A name is nowhere in an array; nor is it misplaced if another field goes through this array by index.
                JsonNode::Array(elements) => match index(step) {
                    Some(index) => elements.get(index).copied(),
                    None if is_by_index(&steps.0[..depth]) => None,
                    None => return PointerEnd::Through,
                },
                _ => return PointerEnd::Through,
            };
            match next {
                Some(place) => value = value.other(place),
                None => return PointerEnd::Nothing,
            }
        }
        PointerEnd::At(value)
    }
}

impl PointerSteps {
    /// Does it begin with these steps, and go on by an index?
    pub(super) fn goes_on_by_index(&self, begin: &[String]) -> bool {
        self.0.starts_with(begin) && self.0.get(begin.len()).is_some_and(|step| index(step).is_some())
    }
}
