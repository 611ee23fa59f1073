//! The configured fields as a tree of names, and one pass of serde_json through it.

use super::error::{EventPart, FieldError, FieldProblem};
use super::event::{SYMBOL, TIME, VALUE, WEIGHT};
use super::fields::{FieldNames, KEY};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Objects that the fields' pointers may lead through: [`FieldTexts`] has a bit for each.
const MAX_OBJECTS: usize = 64;

/// Configured fields below one object, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldTree {
    /// The pointer that leads here; empty for the record itself.
    path: String,
    children: Vec<(String, TreeEntry)>,
}

#[derive(Clone, Debug)]
enum TreeEntry {
    /// A configured field: which.
    Field(usize),
    /// An object on a pointer's way: its number, for telling whether it came twice, and what is below.
    Object(usize, FieldTree),
}

/// The steps of a field: a name is one, a pointer (RFC 6901) has any number.
pub(super) fn steps(field: &str) -> Result<Vec<String>, FieldProblem> {
    match field.strip_prefix('/') {
        None if field.is_empty() => Err(FieldProblem::NoName),
        None if field.starts_with('@') => Err(FieldProblem::Key),
        None => Ok(vec![field.to_owned()]),
        Some(pointer) => Ok(pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()),
    }
}

impl FieldTree {
    /// Of all configured fields.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn of(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let mut tree = FieldTree::default();
        let mut errors = Vec::new();
        let symbol = (fields.symbol != KEY).then_some(&fields.symbol);
        let named = [
            (EventPart::Symbol, SYMBOL, symbol),
            (EventPart::Value, VALUE, Some(&fields.value)),
            (EventPart::Time, TIME, Some(&fields.time)),
            (EventPart::Weight, WEIGHT, fields.weight.as_ref()),
        ];
        let mut objects = 0;
        for (part, slot, field) in named {
            let Some(field) = field else { continue };
            let added = steps(field).and_then(|steps| tree.add(&steps, slot, &mut objects));
            let error = |problem| FieldError::Field { part, field: field.clone(), problem };
            errors.extend(added.err().map(error));
        }
        if objects > MAX_OBJECTS {
            errors.push(FieldError::TooManyObjects { most: MAX_OBJECTS });
        }
        if errors.is_empty() { Ok(tree) } else { Err(errors) }
    }

    /// Names and slots of the fields, if none of them is a pointer.
    pub(super) fn flat_fields(&self) -> Option<Vec<(Box<[u8]>, usize)>> {
        let flat = self.children.iter().map(|(name, child)| match child {
            TreeEntry::Field(slot) => Some((name.as_bytes().into(), *slot)),
            TreeEntry::Object(..) => None,
        });
        flat.collect()
    }

    /// Adds the field that these steps lead to. `objects` counts those on all pointers' ways.
    pub(super) fn add(&mut self, steps: &[String], slot: usize, objects: &mut usize) -> Result<(), FieldProblem> {
        let [name, below @ ..] = steps else { return Err(FieldProblem::NoStep) };
        let known = self.children.iter().position(|(n, _)| n == name);
        let conflict = || Err(FieldProblem::Conflict(name.clone()));
        match (known.map(|i| &mut self.children[i].1), below) {
            (None, []) => self.children.push((name.clone(), TreeEntry::Field(slot))),
            (None, below) => {
                let path = format!("{}/{}", self.path, escaped_step(name));
                let mut node = FieldTree { path, children: Vec::new() };
                let number = *objects;
                *objects += 1;
                node.add(below, slot, objects)?;
                self.children.push((name.clone(), TreeEntry::Object(number, node)));
            }
            (Some(TreeEntry::Object(_, node)), [_, ..]) => return node.add(below, slot, objects),
            (Some(_), _) => return conflict(),
        }
        Ok(())
    }

    /// Finds the configured fields of one object's text, and checks the whole text.
    pub(super) fn read<'n, 'a>(&'n self, text: &'a str, found: &mut FieldTexts<'n, 'a>) -> Result<(), NotJson> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = if text.trim_ascii_start().starts_with('{') {
            ObjectVisitor { tree: self, found }.deserialize(&mut json)
        } else {
            found.shape.get_or_insert((&self.path, text));
            IgnoredAny::deserialize(&mut json).map(drop)
        };
        read.and_then(|()| json.end()).map_err(|error| NotJson(error.to_string()))
    }
}

/// A step as a pointer writes it.
fn escaped_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The configured fields' values, as they were written.
#[derive(Default)]
pub(super) struct FieldTexts<'n, 'a> {
    pub(super) fields: [Option<&'a str>; 4],
    /// One bit for each object on a pointer's way.
    objects: u64,
    /// What came more than once: a configured field, or the object that this pointer leads to.
    pub(super) twice: Option<(Option<usize>, &'n str)>,
    /// Where no object is, the pointer to it, and what is there.
    pub(super) shape: Option<(&'n str, &'a str)>,
}

impl<'a> FieldTexts<'_, 'a> {
    /// What is there and not null.
    pub(super) fn get(&self, slot: usize) -> Option<&'a str> {
        self.fields[slot].filter(|raw| *raw != "null")
    }

    /// Why nothing is there.
    pub(super) fn absence(&self, slot: usize) -> &'static str {
        if self.fields[slot].is_some() { "null" } else { "no such field" }
    }
}

/// The text is not JSON, and why.
pub(super) struct NotJson(pub(super) String);

/// Visits one object.
struct ObjectVisitor<'n, 'f, 'a> {
    tree: &'n FieldTree,
    found: &'f mut FieldTexts<'n, 'a>,
}

impl<'a> DeserializeSeed<'a> for ObjectVisitor<'_, '_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for ObjectVisitor<'_, '_, 'a> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let found = self.found;
        while let Some(child) = map.next_key_seed(KeySeed(self.tree))? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = map.next_value::<&RawValue>()?.get();
            match child {
                TreeEntry::Field(slot) => {
                    if found.fields[*slot].replace(raw).is_some() {
                        found.twice.get_or_insert((Some(*slot), ""));
                    }
                }
                TreeEntry::Object(number, node) => {
                    if found.objects >> number & 1 == 1 {
                        found.twice.get_or_insert((None, &node.path));
                    }
                    found.objects |= 1 << number;
                    node.read(raw, found).map_err(|NotJson(why)| de::Error::custom(why))?;
                }
            }
        }
        Ok(())
    }
}

/// Is this key configured?
struct KeySeed<'n>(&'n FieldTree);

impl<'a, 'n> DeserializeSeed<'a> for KeySeed<'n> {
    type Value = Option<&'n TreeEntry>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl<'n> Visitor<'_> for KeySeed<'n> {
    type Value = Option<&'n TreeEntry>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|(name, _)| name == key).map(|(_, child)| child))
    }
}
