//! JSON whose parts stay the text that they were written in: no number is read, and none is rounded.

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// An object: its members in their order, those that are there twice as well.
#[derive(Debug)]
pub(super) struct RawObject(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawObject(members))
            }
        }
        from.deserialize_map(Members)
    }
}

/// An array.
#[derive(Debug)]
pub(super) struct RawArray(pub(super) Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for RawArray {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = RawArray;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<RawArray, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = sequence.next_element()? {
                    elements.push(element);
                }
                Ok(RawArray(elements))
            }
        }
        from.deserialize_seq(Elements)
    }
}

impl RawObject {
    /// The object of this text; none where it is another thing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Puts a value in place of all members of this name, or behind the last member.
    pub(super) fn set(&mut self, name: &str, text: &str) {
        let Ok(value) = RawValue::from_string(text.to_owned()) else { return };
        let first = self.0.iter().position(|(known, _)| known == name);
        self.0.retain(|(known, _)| known != name);
        let at = first.unwrap_or(self.0.len());
        self.0.insert(at, (name.to_owned(), value));
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        let member = |(name, value): &(String, Box<RawValue>)| {
            format!("{}:{}", serde_json::Value::String(name.clone()), value.get())
        };
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}
