//! A place in a payload: `.p`, `.data[0].p`, or a pointer `/data/0/p` (RFC 6901). It leads through strings that are JSON themselves, as
//! fields do.

use super::raw::{RawArray, RawObject};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PayloadPath(Vec<String>);

impl PayloadPath {
    /// The path of this text.
    ///
    /// # Errors
    /// What a path is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no path: give one such as .p, .data[0].p, or a JSON pointer such as /data/0/p");
        if let Some(pointer) = text.strip_prefix('/') {
            let token = |token: &str| token.replace("~1", "/").replace("~0", "~");
            return Ok(PayloadPath(pointer.split('/').map(token).collect()));
        }
        let (mut rest, mut tokens) = (text, Vec::new());
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let (index, after) = after.split_once(']').ok_or_else(wrong)?;
                index.parse::<u32>().map_err(|_| wrong())?;
                tokens.push(index.to_owned());
                rest = after;
            } else {
                let after = rest.strip_prefix('.').ok_or_else(wrong)?;
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(wrong());
                }
                tokens.push(after[..end].to_owned());
                rest = &after[end..];
            }
        }
        if tokens.is_empty() { Err(wrong()) } else { Ok(PayloadPath(tokens)) }
    }

    /// The path of a field of a run: a name, or a pointer. None for one that is not of the payload.
    pub(super) fn of_field(field: &str) -> Option<Self> {
        match field.strip_prefix('/') {
            Some(_) => Self::parse(field).ok(),
            None if field.starts_with('@') || field.is_empty() => None,
            None => Some(PayloadPath(vec![field.to_owned()])),
        }
    }

    /// The text of what stands there.
    pub(super) fn get(&self, payload: &str) -> Option<String> {
        let mut at = payload.to_owned();
        for token in &self.0 {
            let inside = opened(&at);
            at = match RawObject::parse(&inside) {
                Some(object) => {
                    // (Of one that is there twice nothing says which is meant.)
                    let mut named = object.0.iter().filter(|(name, _)| name == token);
                    let (_, value) = named.next().filter(|_| named.next().is_none())?;
                    value.get().to_owned()
                }
                None => {
                    let array: RawArray = serde_json::from_str(&inside).ok()?;
                    array.0.get(token.parse::<usize>().ok()?)?.get().to_owned()
                }
            };
        }
        Some(at)
    }

    /// The payload with this text there; objects that lack are made. None where the way leads through something else.
    pub(super) fn set(&self, payload: &str, text: &str) -> Option<String> {
        set(&self.0, payload, text)
    }
}

/// The JSON inside of a string; any other text as it is.
fn opened(text: &str) -> String {
    let inside =
        || serde_json::from_str::<String>(text).ok().filter(|inside| inside.trim_start().starts_with(['{', '[']));
    if text.starts_with('"') { inside().unwrap_or_else(|| text.to_owned()) } else { text.to_owned() }
}

fn set(tokens: &[String], at: &str, text: &str) -> Option<String> {
    let Some((first, rest)) = tokens.split_first() else { return Some(text.to_owned()) };
    if let Some(mut object) = RawObject::parse(at) {
        let there = object.0.iter().find(|(name, _)| name == first).map(|(_, value)| value.get().to_owned());
        let there = there.filter(|_| !rest.is_empty()).unwrap_or_else(|| "{}".to_owned());
        object.set(first, &set(rest, &there, text)?);
        return Some(object.text());
    }
    let array: RawArray = serde_json::from_str(at).ok()?;
    let place = first.parse::<usize>().ok().filter(|place| *place < array.0.len())?;
    let element = |(at, element): (usize, &str)| match at == place {
        true => set(rest, element, text),
        false => Some(element.to_owned()),
    };
    let all: Option<Vec<String>> = array.0.iter().map(|element| element.get()).enumerate().map(element).collect();
    Some(format!("[{}]", all?.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_they_say_and_keep_every_digit() {
        let payload = r#"{"p":1.10,"data":[{"p":0.1000000000000000055},{"q":"{\"p\":7e0}"}],"a/b":null,"t":1,"t":2}"#;
        let get = |path: &str| PayloadPath::parse(path).unwrap().get(payload);
        for (path, want) in [
            (".p", Some("1.10")),
            ("/p", Some("1.10")),
            (".data[0].p", Some("0.1000000000000000055")),
            ("/data/0/p", Some("0.1000000000000000055")),
            (".data[1].q.p", Some("7e0")),
            ("/a~1b", Some("null")),
            (".data[2]", None),
            (".nothing", None),
            (".p.q", None),
            (".t", None),
        ] {
            assert_eq!(get(path).as_deref(), want, "{path}");
        }
        for bad in ["", "p", ".", "..p", ".p[", ".p[x]", ".p[-1]"] {
            assert!(PayloadPath::parse(bad).is_err(), "{bad}");
        }
        let set = |field: &str, payload: &str| PayloadPath::of_field(field).unwrap().set(payload, "9.90");
        assert_eq!(set("price", r#"{"p":1.10}"#).unwrap(), r#"{"p":1.10,"price":9.90}"#);
        assert_eq!(set("t", r#"{"t":1,"p":1.10,"t":2}"#).unwrap(), r#"{"t":9.90,"p":1.10}"#);
        assert_eq!(set("/d/p", r#"{"d":{"q":1}}"#).unwrap(), r#"{"d":{"q":1,"p":9.90}}"#);
        assert_eq!(set("/d/p", "{}").unwrap(), r#"{"d":{"p":9.90}}"#);
        assert_eq!(set("/d/0/p", r#"{"d":[{},{}]}"#).unwrap(), r#"{"d":[{"p":9.90},{}]}"#);
        assert_eq!(set("/d/p", r#"{"d":7}"#), None);
        assert_eq!(PayloadPath::of_field("@key"), None);
    }
}
