//! `--groups`: which symbols belong to which groups, from a CSV.
//!
//! ```text
//! symbol,group,weight,from,to
//! AAPL,tech,2.5,,
//! MSFT,tech,1,2026-01-05T00:00:00Z,
//! ```

use crate::cli::UsageErrors;
use crate::cluster::Cluster;
use crate::text::event_time;
use minutely_dataflows::decimal::{Decimal, DecimalError};
use minutely_dataflows::derived::{GroupTable, MAX_MEMBERSHIPS, Membership};
use minutely_dataflows::time::EventTime;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 256 << 20;
/// Bytes of a name, at most: as many as a symbol has (R2).
const LONGEST_NAME: usize = 1024;
const COLUMNS: [&str; 5] = ["symbol", "group", "weight", "from", "to"];

/// A file of groups as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct GroupsFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) table: Arc<GroupTable>,
}

impl GroupsFile {
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let told = |why: String| format!("--groups {}: {why}", path.display());
        let unread = |error: std::io::Error| told(format!("cannot be read: {error}"));
        let mut text = String::new();
        let file = File::open(path).map_err(unread)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(told(format!("has more than {} MiB", MAX_BYTES >> 20)));
        }
        let table = Arc::new(parse(&text).map_err(told)?);
        Ok(GroupsFile { path: path.to_owned(), text, table })
    }
}

/// The file that is given, at process 0: the others have no rows of groups.
pub(super) fn given(path: Option<&Path>, cluster: Option<&Cluster>, errors: &mut UsageErrors) -> Option<GroupsFile> {
    let leads = cluster.is_none_or(|cluster| cluster.process == 0);
    errors.ok(GroupsFile::read(path.filter(|_| leads)?))
}

/// Where each column is; none where there is no such column.
fn header(record: &csv::StringRecord) -> Result<[Option<usize>; 5], String> {
    let mut places = [None; 5];
    for (place, name) in record.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| *column == name);
        let at =
            known.ok_or_else(|| format!("line 1: there is no column `{name}`; there are {}", COLUMNS.join(", ")))?;
        if places[at].replace(place).is_some() {
            return Err(format!("line 1: `{name}` is there twice"));
        }
    }
    match places {
        [Some(_), Some(_), ..] => Ok(places),
        _ => Err("line 1: begins with the names of columns: symbol,group and, if need be, weight, from and to".into()),
    }
}

fn parse(text: &str) -> Result<GroupTable, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut places = None;
    let mut lines = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        // (The reader's own count is of where it stopped before: blank lines and the second half of a line end come after that.)
        let at = record.position().map_or(counted, |at| usize::try_from(at.byte()).unwrap_or(counted));
        let begins = at + text.as_bytes()[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += text.as_bytes()[counted..begins].iter().filter(|byte| **byte == b'\n').count();
        counted = begins;
        let Some((columns, places)) = places else {
            places = Some((record.len(), header(&record)?));
            continue;
        };
        if record.len() != columns {
            return Err(format!("line {line}: has {} cells, and line 1 has {columns}", record.len()));
        }
        if lines.len() == MAX_MEMBERSHIPS {
            return Err(format!("has more than {MAX_MEMBERSHIPS} lines"));
        }
        let cell = |at: usize| places[at].and_then(|place: usize| record.get(place)).unwrap_or_default();
        let named = |at: usize| name(cell(at)).map_err(|why| format!("line {line}: `{}` {why}", COLUMNS[at]));
        lines.push(Membership {
            symbol: named(0)?,
            group: named(1)?,
            weight: weight(cell(2)).map_err(|why| format!("line {line}: `weight` {why}"))?,
            from: time(cell(3)).map_err(|why| format!("line {line}: `from` {why}"))?,
            to: time(cell(4)).map_err(|why| format!("line {line}: `to` {why}"))?,
            line,
        });
    }
    if places.is_none() {
        return Err("is empty; its first line is symbol,group".into());
    }
    GroupTable::new(lines).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty".into()),
        _ if text.len() > LONGEST_NAME => Err(format!("has more than {LONGEST_NAME} bytes")),
        _ if text.chars().any(char::is_control) => Err("has a control character".into()),
        _ => Ok(text.to_owned()),
    }
}

/// 1 where there is none.
fn weight(text: &str) -> Result<Decimal, String> {
    let text = if text.is_empty() { "1" } else { text };
    Decimal::parse(text.as_bytes()).map_err(|error| match error {
        DecimalError::NotANumber => format!("takes a number such as 2.5, not `{text}`"),
        DecimalError::Range => format!("is at most 10^11, and this is {text}"),
        DecimalError::Precision => format!("has at most 18 fractional digits, and this is {text}"),
    })
}

/// None where there is none.
fn time(text: &str) -> Result<Option<EventTime>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = event_time(text).ok_or_else(|| format!("takes a time such as 2026-01-05T08:00:00Z, not `{text}`"));
    time.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_file_says_who_belongs_where_how_much_and_when() {
        let text = "\u{feff}group,symbol,to,weight,from\r\ntech,AAPL,,2.5,\r\n\"a, b\",\"Z\"\"ü\",2026-01-06T00:00:00Z,,2026-01-05T00:00:00+01:00\r\n";
        let table = parse(text).unwrap();
        let mut lines: Vec<_> = table.memberships().cloned().collect();
        lines.sort_by_key(|line| line.line);
        let at = |text: &str| time(text).unwrap();
        let want = [
            Membership {
                symbol: "AAPL".into(),
                group: "tech".into(),
                weight: Decimal(25 * 10_i128.pow(17)),
                from: None,
                to: None,
                line: 2,
            },
            Membership {
                symbol: "Z\"ü".into(),
                group: "a, b".into(),
                weight: Decimal(10_i128.pow(18)),
                from: at("2026-01-04T23:00:00Z"),
                to: at("2026-01-06T00:00:00Z"),
                line: 3,
            },
        ];
        assert_eq!(lines, want);
        assert_eq!(parse("symbol,group\n").unwrap().size(), (0, 0), "no member");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, want) in [
            ("", "is empty"),
            ("AAPL,tech\n", "line 1: there is no column `AAPL`"),
            ("symbol,weight\n", "line 1: begins with the names"),
            ("symbol,group,symbol\n", "line 1: `symbol` is there twice"),
            ("symbol,group\nA\n", "line 2: has 1 cells"),
            ("symbol,group\nA,\n", "line 2: `group` is empty"),
            ("symbol,group\nA,g\n\nB,\"g\nh\"\n", "line 4: `group` has a control character"),
            ("symbol,group,weight\nA,g,1\nB,g,x\n", "line 3: `weight` takes a number such as 2.5, not `x`"),
            ("symbol,group,weight\nA,g,1e12\n", "line 2: `weight` is at most 10^11"),
            ("symbol,group,weight\nA,g,0\n", "line 2: a weight is above 0"),
            ("symbol,group,weight\nA,g,0.0000000000000000001\n", "line 2: `weight` has at most 18"),
            ("symbol,group,from\nA,g,yesterday\n", "line 2: `from` takes a time"),
            ("symbol,group,from,to\nA,g,2026-01-05T00:00:00Z,2026-01-05T00:00:00Z\n", "line 2: `to` is after `from`"),
            ("symbol,group\nA,g\nB,g\nA,g\n", "line 4: `A` is in `g` by line 2"),
        ] {
            assert!(told(text).starts_with(want), "{text:?}: {}", told(text));
        }
    }
}
