//! What must come out and what came out, in the one shape that every sink can be read back to: floats by their bits.

use super::program::files;
use super::rfc3339;
use crate::hostile::Partition;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::oracle::{self, OracleColumns};
use minutely_dataflows::partition::{Counts, Rule};
use minutely_dataflows::record::{DeadLetter, Evidence, Judged, PartitionName, Reason};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::EventTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// An f64 that equals itself alone, bit for bit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bits(u64);

impl Bits {
    pub(crate) fn of(value: f64) -> Self {
        Bits(value.to_bits())
    }

    pub(crate) fn read(text: &str) -> Self {
        Bits::of(text.parse().unwrap_or_else(|e| panic!("{text}: {e}")))
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({:016x})", f64::from_bits(self.0), self.0)
    }
}

/// A row without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) count: i64,
    pub(crate) sum: String,
    pub(crate) avg: Bits,
    pub(crate) state: String,
    pub(crate) market: Option<Market>,
    /// With [`Cells::market`], the columns of `--derive` as they are by default.
    pub(crate) derived: Vec<Option<Bits>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Market {
    pub(crate) prices: [Bits; 4],
    /// None where no record had a weight.
    pub(crate) volume: Option<String>,
    pub(crate) vwap: Option<Bits>,
}

/// By minute and symbol.
pub(crate) type Rows = BTreeMap<(String, String), Cells>;

fn cells(row: &Row) -> Cells {
    let market = row.market.as_ref().map(|m| Market {
        prices: [m.open, m.high, m.low, m.close].map(Bits::of),
        volume: m.volume.map(|volume| volume.to_string()),
        vwap: m.vwap.map(Bits::of),
    });
    let (sum, state) = (row.sum.to_string(), row.state.name().to_owned());
    let derived = row.derived.iter().map(|value| value.map(Bits::of)).collect();
    Cells { count: row.count, sum, avg: Bits::of(row.avg), state, market, derived }
}

/// What must come out.
pub(crate) struct Wanted {
    pub(crate) rows: Rows,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) counts: Counts,
}

impl Wanted {
    /// By the oracle. `as_of`: the instant of a bounded run, which judges records without a broker's stamp (R7); those
    /// are found here, not taken from the run's own list.
    pub(crate) fn of(log: &[Partition], rule: &Rule, as_of: Option<EventTime>, market: bool) -> Self {
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let mut exceptions = Vec::new();
        for (partition, record) in log.iter().flat_map(|p| p.records.iter().map(move |r| (p, r))) {
            let (Some(as_of), None) = (as_of, record.append_time) else { continue };
            let lent = record.lend();
            let Ok(event) = decoder.decode(&lent) else { continue };
            if event.time > as_of.plus(rule.max_future) {
                let (symbol, value, time) = (event.symbol.into_owned(), event.value, event.time);
                exceptions.push(DeadLetter {
                    partition: partition.name.clone(),
                    offset: record.offset,
                    element: None,
                    reason: Reason::Future,
                    raw: record.payload.clone(),
                    cut_from: None,
                    key: None,
                    finding: None,
                    judged: Some(Judged { symbol, value, time, evidence: Evidence::Clock(as_of) }),
                });
            }
        }
        Self::with(log, rule, &exceptions, market)
    }

    /// By the oracle, with the exceptions that a live run has listed (R10).
    pub(crate) fn with(log: &[Partition], rule: &Rule, exceptions: &[DeadLetter], market: bool) -> Self {
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let logs: Vec<_> = log.iter().map(Partition::log).collect();
        let derived = if market { DerivedList::usual() } else { DerivedList::default() };
        let columns = OracleColumns { market, derived, ..OracleColumns::default() };
        let answer = oracle::answer(&logs, &decoder, rule, exceptions, &columns);
        let key = |row: &Row| (rfc3339(row.minute.0), row.symbol.clone());
        let rows = answer.rows.values().map(|row| (key(row), cells(row))).collect();
        Wanted { rows, letters: answer.dead_letters, counts: answer.counts }
    }

    /// Those in this state.
    pub(crate) fn rows_in(&self, state: &str) -> Rows {
        only(&self.rows, |_, cells| cells.state == state)
    }
}

/// Without the columns that `--metrics avg` leaves out.
pub(crate) fn plain(rows: &Rows) -> Rows {
    rows.iter()
        .map(|(key, cells)| (key.clone(), Cells { market: None, derived: Vec::new(), ..cells.clone() }))
        .collect()
}

/// Those for which it is so.
pub(crate) fn only(rows: &Rows, so: impl Fn(&(String, String), &Cells) -> bool) -> Rows {
    rows.iter().filter(|(key, cells)| so(key, cells)).map(|(key, cells)| (key.clone(), cells.clone())).collect()
}

/// Equal, or the test ends with the first differences.
pub(crate) fn same(what: &str, got: &Rows, want: &Rows) {
    let keys: std::collections::BTreeSet<_> = got.keys().chain(want.keys()).collect();
    let differ: Vec<_> = keys.into_iter().filter(|key| got.get(*key) != want.get(*key)).collect();
    let first: Vec<_> = differ
        .iter()
        .take(3)
        .map(|key| format!("{key:?}\n got {:?}\nwant {:?}", got.get(*key), want.get(*key)))
        .collect();
    assert!(
        differ.is_empty(),
        "{what}: {} of {} rows differ ({} came out):\n{}",
        differ.len(),
        want.len(),
        got.len(),
        first.join("\n")
    );
}

// --- read back ----------------------------------------------------------------------------------------------------

/// The rows of a CSV file in their order.
pub(crate) fn csv_lines(path: &Path) -> Vec<((String, String), Cells)> {
    let mut file = csv::Reader::from_path(path).unwrap();
    let header = file.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    let avg = "symbol,minute,count,sum,avg,state";
    let market = format!("{avg},open,high,low,close,volume,vwap");
    let derived = DerivedList::usual().columns().collect::<Vec<_>>().join(",");
    assert!([avg, &*market, &*format!("{market},{derived}")].contains(&&*header), "{header}");
    let line = |record: csv::StringRecord| {
        let market = (record.len() > 6).then(|| Market {
            prices: [6, 7, 8, 9].map(|at| Bits::read(&record[at])),
            volume: Some(&record[10]).filter(|text| !text.is_empty()).map(exact),
            vwap: Some(&record[11]).filter(|text| !text.is_empty()).map(Bits::read),
        });
        let (count, sum, avg) = (record[2].parse().unwrap(), exact(&record[3]), Bits::read(&record[4]));
        let derived = record.iter().skip(12).map(|text| (!text.is_empty()).then(|| Bits::read(text))).collect();
        let cells = Cells { count, sum, avg, state: record[5].to_owned(), market, derived };
        ((record[1].to_owned(), record[0].to_owned()), cells)
    };
    file.records().map(|record| line(record.unwrap())).collect()
}

/// The exact text of a number that has a decimal point whatever it is.
fn exact(text: &str) -> String {
    assert!(text.contains('.'), "{text}");
    text.strip_suffix(".0").unwrap_or(text).to_owned()
}

/// The last row of each key; none after a final one.
pub(crate) fn csv(path: &Path) -> Rows {
    let mut rows = Rows::new();
    for (key, cells) in csv_lines(path) {
        let before = rows.insert(key.clone(), cells.clone());
        let ended = before.filter(|before| before.state == "final");
        assert!(ended.is_none(), "{key:?}: {cells:?} after the final row {ended:?}");
    }
    rows
}

/// The table `minutes`. Empty while it is not there.
pub(crate) fn sqlite(path: &Path) -> Rows {
    sqlite_table(path, "minutes")
}

/// A table. Empty while it is not there.
pub(crate) fn sqlite_table(path: &Path, table: &str) -> Rows {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(db) = rusqlite::Connection::open_with_flags(path, flags) else { return Rows::new() };
    db.busy_timeout(super::program::PATIENCE).unwrap();
    let columns = "symbol, minute, count, sum_exact, avg, state, open, high, low, close, volume_exact, vwap";
    let usual: Vec<String> = DerivedList::usual().columns().collect();
    let has = |column: &String| db.prepare(&format!("SELECT {column} FROM {table}")).is_ok();
    let derived = if usual.iter().all(has) { usual.len() } else { 0 };
    let columns = [columns.to_owned(), usual[..derived].join(", ")].join(if derived > 0 { ", " } else { "" });
    let Ok(mut query) = db.prepare(&format!("SELECT {columns} FROM {table}")) else { return Rows::new() };
    let row = |row: &rusqlite::Row<'_>| {
        let float = |at| row.get::<_, Option<f64>>(at).map(|value| value.map(Bits::of));
        let market = match (float(6)?, float(7)?, float(8)?, float(9)?) {
            (Some(a), Some(b), Some(c), Some(d)) => {
                Some(Market { prices: [a, b, c, d], volume: row.get(10)?, vwap: float(11)? })
            }
            _ => None,
        };
        let avg = float(4)?.expect("never null");
        let derived = (12..12 + derived).map(float).collect::<Result<_, _>>()?;
        let cells = Cells { count: row.get(2)?, sum: row.get(3)?, avg, state: row.get(5)?, market, derived };
        Ok(((row.get(1)?, row.get(0)?), cells))
    };
    query.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The dead letters of the one job below this folder, by partition and offset: of its first file and of all segments behind it, each of
/// which begins where the one before it ends.
pub(crate) fn letters(data: &Path) -> Vec<Value> {
    let mut found: Vec<_> =
        files(data).into_iter().filter(|path| path.to_string_lossy().contains("dead-letters-")).collect();
    found.sort();
    let mut text = String::new();
    for (number, file) in found.iter().enumerate() {
        if number > 0 {
            let first = found[0].to_string_lossy();
            let want = format!("{}.segment-{:020}.jsonl", first.strip_suffix(".jsonl").unwrap(), text.len());
            assert_eq!(file.to_string_lossy(), want, "{found:?}");
        }
        text += &std::fs::read_to_string(data.join(file)).unwrap();
    }
    let mut letters: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    letters.sort_by_key(|letter| (place(letter), letter["element"].as_u64()));
    letters
}

/// The letters whose verdicts the log alone does not give, as the oracle wants them: it takes their evidence, and finds all
/// else by itself.
pub(crate) fn exceptions(letters: &[Value]) -> Vec<DeadLetter> {
    let time = |value: &Value| {
        let stamp: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
        EventTime(i64::try_from(stamp.as_nanosecond()).unwrap())
    };
    let exception = |letter: &Value| {
        let (reason, evidence) = match (letter["evidence"].get("floor"), letter["evidence"].get("clock")) {
            (Some(floor), _) => (Reason::Late, Evidence::Floor(time(floor))),
            (_, Some(clock)) => (Reason::Future, Evidence::Clock(time(clock))),
            _ => return None,
        };
        let (log, number, offset) = place(letter);
        let number = letter["partition"].as_i64().map(|_| i32::try_from(number).unwrap());
        let judged = Judged { symbol: String::new(), value: Decimal(0), time: time(&letter["event_time"]), evidence };
        let partition = PartitionName { log, number };
        let (cut_from, key, finding) = (None, None, None);
        let element = letter["element"].as_u64().map(|element| u32::try_from(element).unwrap());
        Some(DeadLetter { partition, offset, element, reason, raw: None, cut_from, key, judged: Some(judged), finding })
    };
    letters.iter().filter_map(exception).collect()
}

fn place(letter: &Value) -> (String, i64, i64) {
    let log = letter["topic"].as_str().or(letter["path"].as_str()).unwrap().to_owned();
    (log, letter["partition"].as_i64().unwrap_or_default(), letter["offset"].as_i64().unwrap())
}

/// Equal, or the test ends with the first difference.
pub(crate) fn same_letters(got: &[Value], want: &[DeadLetter]) {
    let mut want: Vec<Value> = want.iter().map(letter).collect();
    want.sort_by_key(|letter| (place(letter), letter["element"].as_u64()));
    let first = got.iter().zip(&want).find(|(got, want)| got != want);
    assert!(first.is_none(), "letters differ:\n got {}\nwant {}", first.unwrap().0, first.unwrap().1);
    assert_eq!(got.len(), want.len(), "letters; the first one more: {:?}", got.get(want.len()).or(want.get(got.len())));
}

/// As the file has it.
fn letter(letter: &DeadLetter) -> Value {
    let nine = |time: EventTime| format!("{:.9}", jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap());
    let raw = letter.raw.as_ref().map(|raw| STANDARD.encode(raw));
    let mut json = json!({"offset": letter.offset, "reason": letter.reason.name(), "raw": raw});
    match letter.partition.number {
        Some(number) => (json["topic"], json["partition"]) = (json!(letter.partition.log), json!(number)),
        None => json["path"] = json!(letter.partition.log),
    }
    if let Some(element) = letter.element {
        json["element"] = json!(element);
    }
    if let Some(key) = &letter.key {
        json["key"] = json!(STANDARD.encode(key));
    }
    if let Some(finding) = &letter.finding {
        json["expected"] = json!(finding.expected);
        json["found"] = json!(finding.found);
        if let Some(field) = &finding.field {
            json["field"] = json!(field);
        }
    }
    if let Some(judged) = &letter.judged {
        json["symbol"] = json!(judged.symbol);
        json["value"] = json!(judged.value.with_decimals(18).to_string());
        json["event_time"] = json!(nine(judged.time));
        json["evidence"] = match judged.evidence {
            Evidence::Watermark(t) => json!({"watermark": nine(t)}),
            Evidence::Floor(t) => json!({"floor": nine(t)}),
            Evidence::Appended(t) => json!({"append_time": nine(t)}),
            Evidence::Clock(t) => json!({"clock": nine(t)}),
            Evidence::Closed | Evidence::Bound(_) | Evidence::Median { .. } => unreachable!("nothing is cleaned"),
        };
    }
    json
}
