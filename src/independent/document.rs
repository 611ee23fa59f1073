//! One JSON text as a tree, by the events of json-event-parser.
//!
//! RFC 8259 lets a string have half of a surrogate pair (`"\ud800"`), and the parser does not. So such halves are replaced, before, by a
//! character that the text has nowhere; a string that has it then is no Unicode text, and a name that has it is no field's.

use json_event_parser::{JsonEvent, LowLevelJsonParser};
use std::borrow::Cow;

/// A value of a [`JsonDocument`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum JsonNode {
    Null,
    /// A number as it is written, or `true` or `false`.
    Literal(String),
    Text(String),
    /// A string that is no Unicode text.
    NoText,
    /// Places of its elements.
    Array(Vec<usize>),
    /// Names and places of its members, in order and as often as they are there; no name where it is no Unicode text.
    Object(Vec<(Option<String>, usize)>),
}

/// See the module. The first node is the whole.
#[derive(Debug)]
pub(super) struct JsonDocument {
    nodes: Vec<JsonNode>,
}

impl JsonDocument {
    /// The place of the whole.
    pub(super) const WHOLE: usize = 0;

    /// Of one whole text, or none where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // The parser passes over a byte order mark, which the grammar does not have.
        if text.starts_with('\u{feff}') {
            return None;
        }
        let (text, half) = without_halves(text);
        let mut parser = LowLevelJsonParser::new().with_max_stack_size(usize::MAX);
        let mut rest = text.as_bytes();
        let mut tree = TreeBuilder { nodes: Vec::new(), open: Vec::new(), name: None, half };
        loop {
            let parsed = parser.parse_next(rest, true);
            rest = &rest[parsed.consumed_bytes..];
            match parsed.event {
                None => {}
                Some(Err(_)) => return None,
                Some(Ok(JsonEvent::Eof)) => return Some(JsonDocument { nodes: tree.nodes }),
                Some(Ok(event)) => tree.add(event),
            }
        }
    }

    /// What stands at this place.
    pub(super) fn at(&self, place: usize) -> &JsonNode {
        &self.nodes[place]
    }
}

/// A tree on its way.
struct TreeBuilder {
    nodes: Vec<JsonNode>,
    /// Places of what is not closed yet.
    open: Vec<usize>,
    /// That of the member which comes next.
    name: Option<String>,
    /// What stands for half of a surrogate pair.
    half: Option<char>,
}

impl TreeBuilder {
    fn add(&mut self, event: JsonEvent<'_>) {
        let node = match event {
            JsonEvent::Null => JsonNode::Null,
            JsonEvent::Boolean(is) => JsonNode::Literal(is.to_string()),
            JsonEvent::Number(text) => JsonNode::Literal(text.into_owned()),
            JsonEvent::String(text) => self.text(text).map_or(JsonNode::NoText, JsonNode::Text),
            JsonEvent::StartArray => JsonNode::Array(Vec::new()),
            JsonEvent::StartObject => JsonNode::Object(Vec::new()),
            JsonEvent::ObjectKey(name) => {
                self.name = self.text(name);
                return;
            }
            JsonEvent::EndArray | JsonEvent::EndObject => {
                self.open.pop();
                return;
            }
            JsonEvent::Eof => return,
        };
        let place = self.nodes.len();
        match self.open.last().map(|at| &mut self.nodes[*at]) {
            Some(JsonNode::Array(elements)) => elements.push(place),
            Some(JsonNode::Object(members)) => members.push((self.name.take(), place)),
            _ => {}
        }
        if matches!(node, JsonNode::Array(_) | JsonNode::Object(_)) {
            self.open.push(place);
        }
        self.nodes.push(node);
    }

    /// A string's text, if it is one.
    fn text(&self, text: Cow<'_, str>) -> Option<String> {
        let broken = self.half.is_some_and(|half| text.contains(half));
        (!broken).then(|| text.into_owned())
    }
}

/// A text whose escaped halves of surrogate pairs are one character, and which; the same text where there are none.
fn without_halves(text: &str) -> (Cow<'_, str>, Option<char>) {
    let halves = halves(text);
    if halves.is_empty() {
        return (Cow::Borrowed(text), None);
    }
    // One of some thousand that are nobody's: neither it nor its escape is in the text.
    let lower = text.to_lowercase();
    let absent = |c: &char| !text.contains(*c) && !lower.contains(&format!("\\u{:04x}", u32::from(*c)));
    let Some(stand_in) = ('\u{e000}'..='\u{f8ff}').find(absent) else { return (Cow::Borrowed(text), None) };
    let mut replaced = text.to_owned();
    for at in halves {
        replaced.replace_range(at + 2..at + 6, &format!("{:04x}", u32::from(stand_in)));
    }
    (Cow::Owned(replaced), Some(stand_in))
}

/// Where an escape `\uXXXX` is half of a pair whose other half is not there.
fn halves(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| is_hex)
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(next) = bytes[at.min(bytes.len())..].iter().position(|byte| *byte == b'\\') {
        at += next;
        match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => {
                found.push(at);
                at += 6;
            }
            (Some(_), _) => at += 6,
            (None, _) => at += 2,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Option<JsonNode> {
        JsonDocument::parse(text).map(|document| document.at(JsonDocument::WHOLE).clone())
    }

    #[test]
    fn what_is_no_text_of_the_grammar_is_none() {
        for wrong in [
            "",
            " ",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "NaN",
            "Infinity",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "1 2",
            "\u{feff}1",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "[1",
            "\"",
            "{\"a\"}",
            "[1]]",
            "\u{a0}1",
            "//1",
            "true false",
        ] {
            assert_eq!(node(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn numbers_and_names_are_as_they_are_written() {
        assert_eq!(node(" -1.50E+007 "), Some(JsonNode::Literal("-1.50E+007".into())));
        assert_eq!(node(r#""\u00e9\n\ud83d\ude00""#), Some(JsonNode::Text("é\n😀".into())));
        let twice = JsonDocument::parse(r#"{"a":1,"\u0061":[2,{}]}"#).unwrap();
        assert_eq!(*twice.at(0), JsonNode::Object(vec![(Some("a".into()), 1), (Some("a".into()), 2)]));
        assert_eq!(*twice.at(2), JsonNode::Array(vec![3, 4]));
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(node(&deep).is_some());
    }

    #[test]
    fn half_of_a_pair_is_a_string_and_no_text() {
        for half in
            [r#""\ud800""#, r#""a\uDFFFb""#, r#""\ude00\ud83d""#, r#""\ud83d\ud83d\ude00""#, r#""\ud800\\udc00""#]
        {
            assert_eq!(node(half), Some(JsonNode::NoText), "{half}");
        }
        assert_eq!(node(r#""\\ud800""#), Some(JsonNode::Text("\\ud800".into())));
        let named = JsonDocument::parse(r#"{"\ud800":1,"\ue000":"\uE001"}"#).unwrap();
        assert_eq!(*named.at(0), JsonNode::Object(vec![(None, 1), (Some("\u{e000}".into()), 2)]));
        assert_eq!(*named.at(2), JsonNode::Text("\u{e001}".into()));
    }
}
