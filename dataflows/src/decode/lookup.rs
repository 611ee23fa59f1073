//! The configured fields of any JSON text, by serde_json, as they were written.

use super::tree::TreeNode;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The configured fields of one value, as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct JsonFields<'a> {
    /// By slot.
    pub(super) texts: Vec<Option<Cow<'a, str>>>,
    /// The array whose elements are events, or what stands in its place.
    pub(super) elements: Option<Cow<'a, str>>,
    /// A bit for each object and array on a pointer's way.
    seen: u64,
    /// What came more than once, as a pointer.
    pub(super) twice: Option<String>,
    /// Where a pointer leads through something without members: the pointer to it, and what is there.
    pub(super) shape: Option<(String, String)>,
}

/// The text is not JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotJson(pub(super) String);

impl<'a> JsonFields<'a> {
    /// With room for so many slots.
    pub(super) fn new(slots: usize) -> Self {
        JsonFields { texts: vec![None; slots], ..JsonFields::default() }
    }

    /// Another tree may be read next: its objects are others, and where a pointer did not lead on is no concern of it.
    pub(super) fn forget_ways(&mut self) {
        (self.seen, self.shape) = (0, None);
    }

    /// Finds the fields of a whole text.
    ///
    /// # Errors
    /// When it is not one JSON text.
    pub(super) fn read(&mut self, tree: &TreeNode, text: &'a str) -> Result<(), NotJson> {
        let raw = serde_json::from_str::<&RawValue>(text).map_err(|error| NotJson(error.to_string()))?;
        self.value(tree, raw.get())
    }

    /// Finds the fields of a value that is valid.
    fn value(&mut self, node: &TreeNode, raw: &'a str) -> Result<(), NotJson> {
        for slot in &node.slots {
            if self.texts[*slot].replace(Cow::Borrowed(raw)).is_some() {
                self.twice.get_or_insert_with(|| node.path.clone());
            }
        }
        if node.elements && self.elements.replace(Cow::Borrowed(raw)).is_some() {
            self.twice.get_or_insert_with(|| node.path.clone());
        }
        if node.children.is_empty() {
            return Ok(());
        }
        if self.seen & node.bit != 0 {
            self.twice.get_or_insert_with(|| node.path.clone());
        }
        self.seen |= node.bit;
        let mut json = serde_json::Deserializer::from_str(raw);
        let read = match raw.as_bytes().first() {
            Some(b'{') => json.deserialize_map(Members { node, found: self }),
            Some(b'[') if node.has_indexes() => json.deserialize_seq(Members { node, found: self }),
            Some(b'"') => return self.text(node, raw),
            _ => {
                self.misshapen(node, raw);
                Ok(())
            }
        };
        read.map_err(|error| NotJson(error.to_string()))
    }

    /// JSON inside a string: what is in it is read as if it stood there. Any other string has no members.
    fn text(&mut self, node: &TreeNode, raw: &str) -> Result<(), NotJson> {
        let inside = serde_json::from_str::<String>(raw).ok();
        let inside = inside.filter(|inside| inside.trim_ascii_start().starts_with(['{', '[']));
        let mut found = JsonFields { seen: self.seen & !node.bit, ..JsonFields::new(self.texts.len()) };
        let inner = TreeNode { slots: Vec::new(), elements: false, ..node.clone() };
        let read = inside.as_deref().map(|inside| found.read(&inner, inside));
        if read != Some(Ok(())) {
            self.misshapen(node, raw);
            return Ok(());
        }
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        for (own, text) in self.texts.iter_mut().zip(found.texts) {
            if let Some(text) = text
                && own.replace(owned(text)).is_some()
            {
                self.twice.get_or_insert_with(|| node.path.clone());
            }
        }
        self.elements = self.elements.take().or(found.elements.map(owned));
        self.seen |= found.seen;
        self.twice = self.twice.take().or(found.twice);
        self.shape = self.shape.take().or(found.shape);
        Ok(())
    }

    fn misshapen(&mut self, node: &TreeNode, raw: &str) {
        self.shape.get_or_insert_with(|| (node.path.clone(), raw.to_owned()));
    }
}

/// Visits the members of an object, or the elements of an array.
struct Members<'n, 'f, 'a> {
    node: &'n TreeNode,
    found: &'f mut JsonFields<'a>,
}

impl<'a> Visitor<'a> for Members<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(MemberName(name)) = map.next_key()? {
            match self.node.children.iter().find(|child| child.name.as_bytes() == &*name) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(child) => {
                    let raw = map.next_value::<&RawValue>()?.get();
                    self.found.value(&child.node, raw).map_err(|NotJson(why)| M::Error::custom(why))?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let mut index = 0;
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            if let Some(child) = self.node.children.iter().find(|child| child.index == Some(index)) {
                self.found.value(&child.node, raw.get()).map_err(|NotJson(why)| S::Error::custom(why))?;
            }
            index += 1;
        }
        Ok(())
    }
}

/// A member's name in UTF-8, or what is no field's: half of a surrogate pair is in the grammar (RFC 8259, section 8.2), and no text.
struct MemberName<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for MemberName<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = MemberName<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Self::Value, E> {
        Ok(MemberName(Cow::Borrowed(name)))
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(MemberName(Cow::Owned(name.to_owned())))
    }
}

/// The elements of an array's text; an object is the only one of itself. None if it is neither. The text is valid.
pub(super) fn elements(raw: &str) -> Option<Vec<&str>> {
    match raw.as_bytes().first() {
        Some(b'{') => Some(vec![raw]),
        Some(b'[') => Some(serde_json::from_str::<Vec<&RawValue>>(raw).ok()?.into_iter().map(RawValue::get).collect()),
        _ => None,
    }
}

/// The object or array that a text is as a whole, without white space around it.
pub(super) fn nested(text: &str) -> Option<&str> {
    let raw = serde_json::from_str::<&RawValue>(text).ok()?.get();
    raw.starts_with(['{', '[']).then_some(raw)
}

/// The names of an object's members, the first few; none for anything else.
pub(super) fn names(text: &str) -> Vec<String> {
    const FEW: usize = 12;
    type Object = serde_json::Map<String, serde_json::Value>;
    let names = serde_json::from_str::<Object>(text).map(|object| object.keys().take(FEW).cloned().collect());
    names.unwrap_or_default()
}
