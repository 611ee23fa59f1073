//! What a measurement holds now, by query: Flux from a bucket, InfluxQL from a database. Points of the measurement with other tags are
//! other series: they are passed over.

use super::client::{Client, runtime};
use super::retry::Timeouts;
use super::series::InfluxSeries;
use super::target::{Destination, InfluxTarget};
use crate::sinks::repair_writer::RowKey;
use crate::sinks::stored::{EachStored, GIVEN_UP, ReadBackOptions, StoredCell, StoredRows, minute};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::WindowStart;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Fields of every point with `--metrics market`, in the order of cells.
const MARKET: [&str; 6] = ["open", "high", "low", "close", "volume", "vwap"];
/// Columns of a table of Flux that are no tags and no fields.
const OF_FLUX: [&str; 7] = ["", "result", "table", "_start", "_stop", "_time", "_measurement"];

/// See the module.
pub(in crate::sinks) struct InfluxRows {
    client: Client,
    series: InfluxSeries,
    name: String,
    columns: Vec<String>,
    market: bool,
}

/// A point of the series, by the names of its fields.
pub(super) struct StoredPoint {
    pub(super) minute: WindowStart,
    pub(super) symbol: String,
    pub(super) fields: BTreeMap<String, String>,
}

impl InfluxRows {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// TLS cannot be set up, in words.
    pub(in crate::sinks) fn open(target: InfluxTarget, options: &ReadBackOptions) -> Result<Self, String> {
        InfluxRows::of(&Arc::new(target), options)
    }

    /// The same of one that is shared.
    ///
    /// # Errors
    /// As [`InfluxRows::open`].
    pub(super) fn of(target: &Arc<InfluxTarget>, options: &ReadBackOptions) -> Result<Self, String> {
        let client = Client::new(target, Timeouts::default(), options.clock).map_err(|e| e.to_string())?;
        let market: &[&str] = if options.columns.market { &MARKET } else { &[] };
        let own = ["count", "sum", "avg", "state"].iter().chain(market).map(|name| (*name).to_owned());
        let columns = own.chain(options.columns.of(options.kind).derived).collect();
        let (series, name) = (target.series.of(options.kind), target.name.clone());
        Ok(InfluxRows { client, series, name, columns, market: options.columns.market })
    }

    /// The points of the measurement that have further tags beside those of the series, by minute and symbol: they are others', and a
    /// deletion would take them, too.
    ///
    /// # Errors
    /// They cannot be read, in words.
    pub(super) fn others(&self, minutes: &Range<WindowStart>) -> Result<BTreeSet<RowKey>, String> {
        let points = points(&self.client, (&self.series, Whose::Others), minutes);
        let points = points.map_err(|why| format!("{}: {why}", self.name))?;
        Ok(points.into_iter().map(|point| (point.minute, point.symbol)).collect())
    }
}

/// The points of a series, or those beside it.
///
/// # Errors
/// They cannot be read, in words.
pub(super) fn points(
    client: &Client,
    of: (&InfluxSeries, Whose),
    minutes: &Range<WindowStart>,
) -> Result<Vec<StoredPoint>, String> {
    let runtime = runtime().map_err(|e| e.to_string())?;
    match client.destination() {
        Destination::Bucket { org, bucket } => {
            let query = flux(bucket, of.0, minutes);
            from_tables(&runtime.block_on(client.flux_tables(org, &query))?, of)
        }
        Destination::Database(database) => {
            let query = influxql(of.0, minutes);
            let parameters = [("db", database.clone()), ("epoch", "ns".to_owned()), ("q", query)];
            from_json(&runtime.block_on(client.influxql(&parameters))?, of)
        }
    }
}

fn flux(bucket: &str, series: &InfluxSeries, minutes: &Range<WindowStart>) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\x24"));
    let tag = |(name, value): (&String, &String)| format!(" and r[{}] == {}", text(name), text(value));
    format!(
        "from(bucket: {}) |> range(start: time(v: {}), stop: time(v: {})) |> filter(fn: (r) => r._measurement == {}{}) |> \
         pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")",
        text(bucket),
        minutes.start.0,
        minutes.end.0,
        text(&series.measurement),
        series.tags.iter().map(tag).collect::<String>(),
    )
}

fn influxql(series: &InfluxSeries, minutes: &Range<WindowStart>) -> String {
    let name = series.measurement.replace('\\', r"\\").replace('"', "\\\"");
    format!("SELECT * FROM \"{name}\" WHERE time >= {} AND time < {} GROUP BY *", minutes.start.0, minutes.end.0)
}

/// Tables of annotated CSV. `#group` says which columns are tags; an empty cell is a field that the point lacks.
fn from_tables(text: &str, of: OfSeries<'_>) -> Result<Vec<StoredPoint>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut groups, mut header): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut points = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| format!("the answer to a query is not CSV: {e}"))?;
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        match cells.first().map(String::as_str) {
            Some("#group") => (groups, header) = (cells, Vec::new()),
            _ if header.is_empty() => {
                if cells.iter().any(|name| name == "error") {
                    groups = vec!["error".into()];
                }
                header = cells;
            }
            _ if groups == ["error"] => return Err(format!("the server says: {}", cells.join(" "))),
            _ => points.extend(of_table(&groups, &header, &cells, of)?),
        }
    }
    Ok(points)
}

/// The point of one row of a table; none if it is of another series.
fn of_table(
    groups: &[String],
    header: &[String],
    cells: &[String],
    of: OfSeries<'_>,
) -> Result<Option<StoredPoint>, String> {
    let (mut fields, mut tags, mut time) = (BTreeMap::new(), BTreeMap::new(), None);
    for ((name, cell), group) in header.iter().zip(cells).zip(groups) {
        match name.as_str() {
            "_time" => time = minute(cell),
            name if OF_FLUX.contains(&name) || cell.is_empty() => {}
            name if group == "true" => drop(tags.insert(name.to_owned(), cell.clone())),
            name => drop(fields.insert(name.to_owned(), cell.clone())),
        }
    }
    let minute = time.ok_or("the answer to a query has a point without a time")?;
    Ok(of_series(tags, of).map(|symbol| StoredPoint { minute, symbol, fields }))
}

/// Which points are asked for: those with the tags of the series alone, or those with further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Others,
}

type OfSeries<'a> = (&'a InfluxSeries, Whose);

/// The symbol of a point with these tags, if it is one that is asked for.
fn of_series(mut tags: BTreeMap<String, String>, (series, whose): OfSeries<'_>) -> Option<String> {
    let symbol = tags.remove("symbol")?;
    tags.retain(|_, value| !value.is_empty());
    let has_ours = series.tags.iter().all(|(name, value)| tags.get(name) == Some(value));
    let further = tags.len() > series.tags.len();
    (has_ours && further == (whose == Whose::Others)).then_some(symbol)
}

#[derive(Deserialize)]
struct InfluxQlAnswer {
    results: Vec<InfluxQlResult>,
}

#[derive(Deserialize)]
struct InfluxQlResult {
    #[serde(default)]
    series: Vec<InfluxQlSeries>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct InfluxQlSeries {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    columns: Vec<String>,
    values: Vec<Vec<Box<RawValue>>>,
    #[serde(default)]
    partial: bool,
}

/// Series of JSON. Numbers are taken as they are written, for no reader of JSON is to round them.
fn from_json(text: &str, of: OfSeries<'_>) -> Result<Vec<StoredPoint>, String> {
    let answer: InfluxQlAnswer = serde_json::from_str(text).map_err(|e| format!("the answer to a query: {e}"))?;
    let mut points = Vec::new();
    for result in answer.results {
        if let Some(error) = result.error {
            return Err(format!("the server says: {error}"));
        }
        for one in result.series {
            if one.partial {
                return Err("the server hands out a part of the rows alone (its max-row-limit)".into());
            }
            let Some(symbol) = of_series(one.tags, of) else { continue };
            for values in one.values {
                let cells = one.columns.iter().cloned().zip(values.iter().map(|value| value.get()));
                let mut fields: BTreeMap<String, String> = cells
                    .filter(|(_, value)| *value != "null")
                    .map(|(name, value)| (name, serde_json::from_str(value).unwrap_or_else(|_| value.to_owned())))
                    .collect();
                let time = fields.remove("time").and_then(|time| time.parse().ok()).map(WindowStart);
                let minute = time.ok_or("the answer to a query has a point without a time")?;
                points.push(StoredPoint { minute, symbol: symbol.clone(), fields });
            }
        }
    }
    Ok(points)
}

/// A field as it is typed in the database, by its name.
pub(super) fn cell(name: &str, text: Option<&String>) -> StoredCell {
    let Some(text) = text else { return StoredCell::Nothing };
    let parsed = match name {
        "count" | "letter_count" => text.parse().ok().map(StoredCell::Integer),
        "sum" | "state" | "letters" => None,
        _ => text.parse().ok().map(StoredCell::Float),
    };
    parsed.unwrap_or_else(|| StoredCell::Text(text.clone()))
}

/// Can line protocol carry this symbol?
pub(super) fn can_hold(symbol: &str) -> bool {
    !symbol.is_empty() && !symbol.ends_with('\\') && !symbol.contains(['\n', '\r', '\0'])
}

impl StoredRows for InfluxRows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn cells(&self, row: &Row) -> Vec<StoredCell> {
        let float = |number: Option<f64>| number.map_or(StoredCell::Nothing, StoredCell::Float);
        let mut cells = vec![
            StoredCell::Integer(row.count),
            StoredCell::Text(row.sum.to_string()),
            float(Some(row.avg)),
            StoredCell::Text(row.state.name().to_owned()),
        ];
        let width = self.columns.len() - cells.len() - if self.market { MARKET.len() } else { 0 };
        if self.market {
            let market = row.market.as_ref();
            let prices = market.map(|m| [m.open, m.high, m.low, m.close].map(Some)).unwrap_or_default();
            cells.extend(prices.map(float));
            cells.push(float(market.and_then(|m| m.volume).map(|volume| volume.to_f64())));
            cells.push(float(market.and_then(|m| m.vwap)));
        }
        cells.extend((0..width).map(|place| float(row.derived.get(place).copied().flatten())));
        cells
    }

    /// Line protocol has no tag value such as these: the points are in `unwritable.jsonl`.
    fn can_hold(&self, symbol: &str) -> bool {
        can_hold(symbol)
    }

    /// (One request, which has a time-out of its own.)
    fn read(
        &mut self,
        minutes: Range<WindowStart>,
        each: &mut EachStored<'_>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        if !goes_on() {
            return Err(format!("{}: {GIVEN_UP}", self.name));
        }
        let points = points(&self.client, (&self.series, Whose::Ours), &minutes);
        let points = points.map_err(|why| format!("{}: {why}", self.name))?;
        for StoredPoint { minute, symbol, fields } in points {
            let cells = self.columns.iter().map(|name| cell(name, fields.get(name))).collect();
            each(minute, symbol, cells);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(tags: &[(&str, &str)]) -> InfluxSeries {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        InfluxSeries { tags, ..InfluxSeries::default() }
    }

    #[test]
    fn tables_of_flux_are_points_of_the_series_alone() {
        let text = "#group,false,false,true,true,false,true,true,false,false,false\r\n\
            ,result,table,_start,_stop,_time,_measurement,symbol,avg,count,sum\r\n\
            ,_result,0,2026-01-05T00:00:00Z,2026-01-05T01:00:00Z,2026-01-05T00:10:00Z,minute,\"a b,c\",0.1,3,0.3\r\n\
            \r\n\
            #group,false,false,true,true,false,true,true,true,false,false\r\n\
            ,result,table,_start,_stop,_time,_measurement,symbol,desk,avg,count\r\n\
            ,_result,1,2026-01-05T00:00:00Z,2026-01-05T01:00:00Z,2026-01-05T00:10:00Z,minute,B,x,7,1\r\n";
        let points = from_tables(text, (&series(&[]), Whose::Ours)).unwrap();
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].symbol.as_str(), points[0].minute), ("a b,c", WindowStart(1_767_571_800_000_000_000)));
        assert_eq!(cell("avg", points[0].fields.get("avg")), StoredCell::Float(0.1));
        assert_eq!(cell("vwap", points[0].fields.get("vwap")), StoredCell::Nothing);
        for of in [(&series(&[("desk", "x")]), Whose::Ours), (&series(&[]), Whose::Others)] {
            let others = from_tables(text, of).unwrap();
            assert_eq!((others.len(), others[0].symbol.as_str()), (1, "B"));
        }
        let none = from_tables(text, (&series(&[("desk", "y")]), Whose::Others)).unwrap();
        assert!(none.is_empty(), "a deletion of that desk takes nothing of this one");
        assert!(from_tables("error,reference\r\nfailed to read,897\r\n", (&series(&[]), Whose::Ours)).is_err());
    }

    #[test]
    fn series_of_influxql_keep_every_digit() {
        let text = r#"{"results":[{"statement_id":0,"series":[{"name":"minute","tags":{"symbol":"A"},"columns":
            ["time","avg","count","sum","vwap"],"values":[[1767571800000000000,0.30000000000000004,3,"0.9",null]]},
            {"name":"minute","tags":{"symbol":"B","desk":"x"},"columns":["time","avg"],"values":[[0,1]]}]}]}"#;
        let points = from_json(text, (&series(&[]), Whose::Ours)).unwrap();
        assert_eq!((points.len(), points[0].minute), (1, WindowStart(1_767_571_800_000_000_000)));
        let field = |name: &str| cell(name, points[0].fields.get(name));
        assert_eq!((field("avg"), field("count")), (StoredCell::Float(0.1 + 0.2), StoredCell::Integer(3)));
        assert_eq!((field("sum"), field("vwap")), (StoredCell::Text("0.9".into()), StoredCell::Nothing));
        let of = (&series(&[]), Whose::Ours);
        assert!(from_json(r#"{"results":[{"error":"no such database"}]}"#, of).is_err());
        assert_eq!(from_json(r#"{"results":[{"statement_id":0}]}"#, of).unwrap().len(), 0);
    }
}
