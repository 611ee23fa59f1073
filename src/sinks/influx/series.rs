//! A series of points: a measurement, and static tags that every point carries. In a bucket it belongs to one job
//! (`mark.rs`). `?measurement=NAME&tag.NAME=VALUE`.

use crate::sinks::options::Emit;
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::SECOND;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The measurement of final rows where the URI names none.
pub(super) const MEASUREMENT: &str = "minute";
/// Added to it: the measurement of newest rows.
pub(super) const LIVE: &str = "_live";
/// The measurement of marks, which no sink may have.
pub(super) const MARKS: &str = "minutely_jobs";
/// A measurement or a tag of more characters is a mistake.
const MOST_CHARACTERS: usize = 200;
/// A point of an open window is written again after this many nanoseconds at the earliest.
const LIVE_EVERY: i64 = 5 * SECOND;

/// Names that a tag cannot have: the tag that every point has, its fields and its time, because InfluxQL asks for both by name.
const TAKEN: [&str; 13] =
    ["symbol", "time", "count", "sum", "avg", "state", "open", "high", "low", "close", "volume", "vwap", "measurement"];

/// A measurement and its static tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InfluxSeries {
    pub(super) measurement: String,
    pub(super) tags: BTreeMap<String, String>,
}

/// Why line protocol cannot carry a name or a value.
fn unfit(text: &str) -> Option<String> {
    match text {
        "" => Some("is empty".to_owned()),
        text if text.ends_with('\\') => Some("ends in a backslash".to_owned()),
        text if text.contains(char::is_control) => Some("has control characters".to_owned()),
        text if text.chars().count() > MOST_CHARACTERS => Some(format!("has more than {MOST_CHARACTERS} characters")),
        _ => None,
    }
}

/// With a backslash before each of these.
fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl InfluxSeries {
    /// The measurement `minute`, without static tags.
    pub(super) fn default() -> Self {
        InfluxSeries { measurement: MEASUREMENT.to_owned(), tags: BTreeMap::new() }
    }

    /// Takes an option of the URI. None: it is another option.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn option(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
        if key == "measurement" {
            return Some(self.name(value));
        }
        key.strip_prefix("tag.").map(|name| self.tag(name, value))
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        let reserved = (name.starts_with('_') || name.starts_with('#') || name.starts_with(MARKS))
            .then(|| format!("begins with `_`, `#` or {MARKS}, which mean something else"));
        if let Some(why) = unfit(name).or(reserved) {
            return Err(format!("the measurement `{name}` {why}; name another"));
        }
        if self.measurement != MEASUREMENT {
            return Err("names more than one measurement".to_owned());
        }
        self.measurement = name.to_owned();
        Ok(())
    }

    fn tag(&mut self, name: &str, value: &str) -> Result<(), String> {
        if TAKEN.contains(&name) || name.starts_with('_') || DerivedList::is_column(name) {
            return Err(format!("a static tag cannot be called `{name}`, for each point has that; name another"));
        }
        if let Some(why) = unfit(name) {
            return Err(format!("the name of tag `{name}` {why}; name another"));
        }
        if let Some(why) = unfit(value) {
            return Err(format!("the value of tag `{name}` {why}; give another"));
        }
        match self.tags.insert(name.to_owned(), value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!("tag `{name}` is given twice")),
        }
    }

    /// The one for newest rows beside this.
    pub(super) fn with(&self, suffix: &str) -> Self {
        InfluxSeries { measurement: format!("{}{suffix}", self.measurement), tags: self.tags.clone() }
    }

    /// The one for rows of this kind: `window_5m` and `group_minute` beside `minute`, `NAME_5m` and `NAME_group` beside another.
    pub(super) fn of(&self, kind: RowKind) -> Self {
        let (name, is_usual) = (self.measurement.as_str(), self.measurement == MEASUREMENT);
        let measurement = match kind {
            RowKind::Minute => name.to_owned(),
            RowKind::Window(level) => format!("{}_{}", if is_usual { "window" } else { name }, level.identifier()),
            RowKind::Group if is_usual => "group_minute".to_owned(),
            RowKind::Group => format!("{name}_group"),
        };
        InfluxSeries { measurement, tags: self.tags.clone() }
    }

    /// The static tags as one text, the same for the same tags in any order: `a=1,b=2`, or `none`. Characters that would make
    /// it ambiguous, or break a query, are escaped as in a URL.
    pub(super) fn tags_text(&self) -> String {
        let plain = |text: &str| -> String {
            let escape = |c: char| matches!(c, '%' | ',' | '=' | '\\' | ' ' | '"' | '\'' | '$');
            text.chars().map(|c| if escape(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
        };
        let pairs: Vec<_> = self.tags.iter().map(|(name, value)| format!("{}={}", plain(name), plain(value))).collect();
        if pairs.is_empty() { "none".to_owned() } else { pairs.join(",") }
    }

    /// For messages: the measurement, and its tags if it has some.
    pub(super) fn shown(&self) -> String {
        if self.tags.is_empty() {
            return format!("measurement `{}`", self.measurement);
        }
        format!("measurement `{}` with {}", self.measurement, self.tags_text())
    }

    /// What stands before a symbol and after it in a line: tags come by name, as InfluxDB likes them best.
    pub(super) fn around_symbol(&self) -> (String, String) {
        let (mut before, mut after) = (escaped(&self.measurement, &[',', ' ']), String::new());
        for (name, value) in &self.tags {
            let part = if name.as_str() < "symbol" { &mut before } else { &mut after };
            let special = [',', '=', ' '];
            write!(part, ",{}={}", escaped(name, &special), escaped(value, &special))
                .expect("a string takes what is written to it");
        }
        before.push_str(",symbol=");
        (before, after)
    }
}

/// The suffix of each measurement's name, and which rows it takes.
pub(super) fn measurements(emit: Emit) -> Vec<(&'static str, RowFilter)> {
    let minute = ("", RowFilter { changes: false, partial: false, open_every: 0 });
    let live = (LIVE, RowFilter { changes: true, partial: true, open_every: LIVE_EVERY });
    match emit {
        Emit::Changes => vec![minute, live],
        Emit::Final => vec![minute],
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of these options.
    pub(crate) fn series(options: &[(&str, &str)]) -> Result<InfluxSeries, String> {
        let mut series = InfluxSeries::default();
        for (key, value) in options {
            series.option(key, value).expect("one of these")?;
        }
        Ok(series)
    }

    #[test]
    fn tags_come_by_name_escaped_and_as_one_text() {
        let one = series(&[("tag.venue", "New York, NY"), ("tag.a=b", "50%"), ("measurement", "my minute")]).unwrap();
        let (before, after) = one.with(LIVE).around_symbol();
        assert_eq!(before, r"my\ minute_live,a\=b=50%,symbol=");
        assert_eq!(after, r",venue=New\ York\,\ NY");
        assert_eq!(one.tags_text(), "a%3Db=50%25,venue=New%20York%2C%20NY");
        let other = series(&[("tag.a=b", "50%"), ("tag.venue", "New York, NY"), ("measurement", "my minute")]);
        assert_eq!(other.unwrap(), one);
        assert_eq!(InfluxSeries::default().tags_text(), "none");
    }

    #[test]
    fn what_no_point_can_have_is_refused_with_what_to_do() {
        for (key, value, want) in [
            ("measurement", "", "is empty"),
            ("measurement", "_x", "name another"),
            ("measurement", "minutely_jobs", "name another"),
            ("measurement", "a\nb", "control characters"),
            ("tag.symbol", "x", "each point has that"),
            ("tag.time", "x", "each point has that"),
            ("tag.avg", "x", "each point has that"),
            ("tag.sma20", "x", "each point has that"),
            ("tag.bb20_upper", "x", "each point has that"),
            ("tag.", "x", "is empty"),
            ("tag.venue", "", "is empty"),
            ("tag.venue", "x\\", "backslash"),
            ("tag.venue", &"x".repeat(201), "200 characters"),
        ] {
            let why = series(&[(key, value)]).unwrap_err();
            assert!(why.contains(want), "{key}={value}: {why}");
        }
        assert!(series(&[("tag.a", "1"), ("tag.a", "1")]).unwrap_err().contains("twice"));
        assert!(series(&[("measurement", "a"), ("measurement", "b")]).unwrap_err().contains("more than one"));
        assert_eq!(InfluxSeries::default().option("token", "x"), None);
    }
}
