//! Queries: every parameter is known, well-formed, and there once unless it may be repeated.

use super::reply::HttpError;
use axum::http::StatusCode;
use jiff::Timestamp;
use minutely_dataflows::time::{EventTime, WindowStart};

/// Parameters of one query; a name that ends in `*` may be repeated.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

fn bad(why: String) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, &why)
}

impl Query {
    /// # Errors
    /// For a parameter that is not `known`, is given twice, or is not UTF-8.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, HttpError> {
        let query = query.unwrap_or_default();
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(bad("a parameter is not UTF-8".into()));
            };
            let again = parameters.iter().any(|(other, _)| *other == name);
            match known.iter().find(|known| known.trim_end_matches('*') == name) {
                None => return Err(bad(format!("there is no parameter `{}`", shortened(&name)))),
                Some(once) if again && !once.ends_with('*') => {
                    return Err(bad(format!("`{name}` is given twice")));
                }
                Some(_) => parameters.push((name, value)),
            }
        }
        Ok(Query(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Text of at most `most` characters.
    pub(super) fn text(&self, name: &str, most: usize) -> Result<Option<&str>, HttpError> {
        let text = self.get(name);
        if text.is_some_and(|text| text.chars().count() > most) {
            return Err(bad(format!("`{name}` takes at most {most} characters")));
        }
        Ok(text)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>, HttpError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && (least..=most).contains(n));
        number.map(Some).ok_or_else(|| bad(format!("`{name}` takes a number from {least} to {most}")))
    }

    /// The values of a parameter that may be repeated: names, at most `most`.
    pub(super) fn names<'a>(&'a self, name: &'a str, most: usize) -> Result<Vec<&'a str>, HttpError> {
        let names: Vec<_> = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        if names.len() > most || names.contains(&"") {
            return Err(bad(format!("`{name}` takes a name, at most {most} times")));
        }
        Ok(names)
    }

    /// A time: RFC 3339, or milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<WindowStart>, HttpError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ns = match text.parse::<i64>() {
            Ok(ms) if !text.starts_with('+') => ms.checked_mul(1_000_000),
            _ => rfc3339(text),
        };
        let ns = ns.filter(|ns| (-EventTime::LIMIT..=EventTime::LIMIT).contains(ns));
        let why = || bad(format!("`{name}` takes a time such as 2026-01-05T08:00:00Z, or milliseconds since 1970"));
        ns.map(|ns| Some(WindowStart(ns))).ok_or_else(why)
    }
}

/// One name or value, as forms encode it; `None` where it is not UTF-8. Judged by its bytes, for U+FFFD is a character like others,
/// and a symbol may hold it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        let hex = |at: usize| rest.as_slice().get(at).and_then(|c| char::from(*c).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).ok()?);
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Nanoseconds since 1970, where this is a time of RFC 3339 as the API's document has it: jiff alone would also take times
/// without seconds, zones in brackets and more.
fn rfc3339(text: &str) -> Option<i64> {
    let signs: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let rest = signs.strip_prefix("0000-00-00T00:00:00")?;
    let (fraction, zone) = rest.split_at(rest.find(|c| c != '.' && c != '0')?);
    let digits = fraction
        .strip_prefix('.')
        .map_or(fraction.is_empty(), |part| (1..=9).contains(&part.len()) && part.bytes().all(|c| c == b'0'));
    let offset = matches!(zone, "+00:00" | "-00:00") && &text[text.len() - 5..text.len() - 3] < "24";
    let good = digits && (zone == "Z" || offset) && &text[17..19] != "60";
    let stamp: Timestamp = text.parse().ok().filter(|_| good)?;
    i64::try_from(stamp.as_nanosecond()).ok()
}

/// The beginning of a name as it was sent, without control characters.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_or_well_formed_is_refused() {
        let known = ["symbol*", "from", "limit"];
        let query =
            Query::parse(Some("symbol=A%2CB&symbol=%3Cb%3E&from=1970-01-01T00:00:01Z&limit=10"), &known).unwrap();
        assert_eq!(query.names("symbol", 2).unwrap(), ["A,B", "<b>"]);
        assert!(query.names("symbol", 1).is_err());
        assert_eq!(query.time("from").unwrap(), Some(WindowStart(1_000_000_000)));
        assert_eq!(query.number("limit", 1, 10).unwrap(), Some(10));
        assert!(query.number("limit", 1, 9).is_err());
        for bad in ["limit=1&limit=1", "other=1", "symbol=%ff", "symbol=%ed%a0%80", "%ff=1"] {
            assert!(Query::parse(Some(bad), &known).is_err(), "{bad}");
        }
        for bad in [
            "from=",
            "from=+5",
            "from=tomorrow",
            "from=9223372036854775807",
            "from=9999-01-01T00:00:00Z",
            "from=2026-02-29T00:00:00Z",
            "from=2026-01-01T00:00Z",
            "from=2026-01-01 00:00:00Z",
            "from=2026-01-01T00:00:60Z",
            "from=2026-01-01T00:00:00",
            "from=2026-01-01T00:00:00.Z",
            "from=2026-01-01T00:00:00%2B24:00",
            "from=2026-01-01T00:00:00Z[UTC]",
            "limit=",
            "limit=-1",
            "limit=%2B1",
            "limit=1.5",
            "limit=99999999999999999999",
        ] {
            let query = Query::parse(Some(bad), &known).unwrap();
            assert!(query.time("from").is_err() || query.number("limit", 0, 5).is_err(), "{bad}");
        }
        let query = Query::parse(Some("from=-60000"), &known).unwrap();
        assert_eq!(query.time("from").unwrap(), Some(WindowStart(-60_000_000_000)));
        assert_eq!(Query::parse(None, &known).unwrap().time("from").unwrap(), None);
    }

    #[test]
    fn any_text_comes_through_as_it_is() {
        let query = |text: &str| Query::parse(Some(text), &["symbol*"]).map(|query| query.0);
        let one = |value: &str| Ok(vec![("symbol".to_owned(), value.to_owned())]);
        for (text, want) in [
            ("symbol=%EF%BF%BD", "\u{fffd}"),
            ("&&symbol=a+b%20c%2Bd", "a b c+d"),
            ("symbol=50%&", "50%"),
            ("symbol=%zz%4", "%zz%4"),
            ("symbol=a=b", "a=b"),
            ("symbol=%f0%9f%a6%80%00", "\u{1f980}\0"),
            ("symbol", ""),
        ] {
            assert_eq!(query(text).map_err(drop), one(want), "{text}");
        }
    }

    /// Those of the API's document; that its pattern takes them, and no others, is a test of `tests/page/units.mjs`.
    #[test]
    fn times_are_taken_as_the_document_has_them() {
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let examples = document["components"]["schemas"]["Time"]["examples"].as_array().unwrap();
        assert!(examples.len() > 5);
        for example in examples {
            let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("from", &text).finish();
            assert!(Query::parse(Some(&query), &["from"]).unwrap().time("from").unwrap().is_some(), "{text}");
        }
        // The first and the last of 64 bits of nanoseconds, and beyond.
        for text in ["1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z", "9999-12-31T00:00:00Z"] {
            let query = Query::parse(Some(&format!("from={text}")), &["from"]).unwrap();
            assert!(query.time("from").is_err(), "{text}");
        }
    }
}
