//! Queries: every parameter is known, well-formed, and there once unless it may be repeated.

use super::api::Refusal;
use axum::http::StatusCode;
use jiff::Timestamp;
use minutely_dataflows::time::{EventTime, WindowStart};

/// Parameters of one query; a name that ends in `*` may be repeated.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

fn bad(why: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, &why)
}

impl Query {
    /// # Errors
    /// For a parameter that is not `known`, is there twice, or is not text.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let query = query.unwrap_or_default();
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if [&name, &value].iter().any(|text| text.contains('\u{fffd}')) {
                return Err(bad("a parameter is not UTF-8".into()));
            }
            let again = parameters.iter().any(|(other, _)| *other == name);
            match known.iter().find(|known| known.trim_end_matches('*') == name) {
                None => return Err(bad(format!("there is no parameter `{}`", shown(&name)))),
                Some(once) if again && !once.ends_with('*') => {
                    return Err(bad(format!("`{name}` is there twice")));
                }
                Some(_) => parameters.push((name.into_owned(), value.into_owned())),
            }
        }
        Ok(Query(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Text of so many characters at most.
    pub(super) fn text(&self, name: &str, most: usize) -> Result<Option<&str>, Refusal> {
        let text = self.get(name);
        if text.is_some_and(|text| text.chars().count() > most) {
            return Err(bad(format!("`{name}` takes at most {most} characters")));
        }
        Ok(text)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && (least..=most).contains(n));
        number.map(Some).ok_or_else(|| bad(format!("`{name}` takes a number from {least} to {most}")))
    }

    /// A time: RFC 3339, or milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<WindowStart>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ns = match text.parse::<i64>() {
            Ok(ms) if !text.starts_with('+') => ms.checked_mul(1_000_000),
            _ => text.parse::<Timestamp>().ok().and_then(|stamp| i64::try_from(stamp.as_nanosecond()).ok()),
        };
        let ns = ns.filter(|ns| ns.abs() <= EventTime::LIMIT);
        let why = || bad(format!("`{name}` takes a time such as 2026-01-05T08:00:00Z, or milliseconds since 1970"));
        ns.map(|ns| Some(WindowStart(ns))).ok_or_else(why)
    }
}

/// The beginning of what somebody sent.
fn shown(text: &str) -> String {
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
        assert_eq!(query.all("symbol").collect::<Vec<_>>(), ["A,B", "<b>"]);
        assert_eq!(query.time("from").unwrap(), Some(WindowStart(1_000_000_000)));
        assert_eq!(query.number("limit", 1, 10).unwrap(), Some(10));
        assert!(query.number("limit", 1, 9).is_err());
        for bad in ["limit=1&limit=1", "other=1", "symbol=%ff"] {
            assert!(Query::parse(Some(bad), &known).is_err(), "{bad}");
        }
        for bad in [
            "from=",
            "from=+5",
            "from=tomorrow",
            "from=9223372036854775807",
            "from=9999-01-01T00:00:00Z",
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
}
