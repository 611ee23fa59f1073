//! `/api/movers`: the rows of one minute that a column is largest and smallest in.

use super::minutes::page_blocking;
use super::query::Query;
use super::reply::{HttpError, json};
use super::rows::Ms;
use super::{RowQuery, Server};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::derived::Metric;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{EventTime, WindowStart};
use serde::Serialize;
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows at either end, at most and unless `top` says otherwise.
const MOST_TOP: usize = 1000;
const DEFAULT_TOP: usize = 10;
/// Characters of a column's name.
const MOST_NAME: usize = 64;
/// Rows that are read at once.
const PIECE_ROWS: usize = 5000;

/// The column that rows are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MoverColumn {
    Avg,
    Volume,
    /// Of this place among the columns of `--derive`.
    Derived(usize),
}

/// A value of that column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum MoverValue {
    Number(f64),
    Exact(ExactNumber),
}

impl MoverColumn {
    /// # Errors
    /// Where rows of this run have no such column.
    fn of(name: &str, market: bool, derived: &[String]) -> Result<Self, HttpError> {
        let place = derived.iter().position(|column| column == name);
        match (name, place) {
            ("avg", _) => Ok(MoverColumn::Avg),
            ("volume", _) if market => Ok(MoverColumn::Volume),
            (_, Some(place)) => Ok(MoverColumn::Derived(place)),
            _ => {
                let known: Vec<_> = ["avg"].into_iter().chain(market.then_some("volume")).collect();
                let known = known.into_iter().chain(derived.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
                let why =
                    format!("`by` takes a column of this run's rows: {known}; --derive adds others, such as chg5");
                Err(HttpError::new(StatusCode::NOT_FOUND, &why))
            }
        }
    }

    fn value(self, row: &Row) -> Option<MoverValue> {
        match self {
            MoverColumn::Avg => Some(MoverValue::Number(row.avg)),
            MoverColumn::Volume => row.market.as_ref()?.volume.map(MoverValue::Exact),
            MoverColumn::Derived(place) => row.derived.get(place).copied().flatten().map(MoverValue::Number),
        }
    }
}

impl MoverValue {
    /// All values of a run's column have one scale.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (MoverValue::Exact(one), MoverValue::Exact(other)) => one.scaled().cmp(&other.scaled()),
            (MoverValue::Number(one), MoverValue::Number(other)) => one.total_cmp(other),
            (MoverValue::Number(_), MoverValue::Exact(_)) => Ordering::Less,
            (MoverValue::Exact(_), MoverValue::Number(_)) => Ordering::Greater,
        }
    }
}

/// What a request asks.
struct MoversRequest {
    by: String,
    column: MoverColumn,
    top: usize,
    minute: Option<WindowStart>,
}

#[derive(Serialize)]
struct MoversJson {
    by: String,
    minute: Option<Ms>,
    state: Option<&'static str>,
    rows: usize,
    with_value: usize,
    largest: Vec<MoverJson>,
    smallest: Vec<MoverJson>,
}

#[derive(Clone, Serialize)]
struct MoverJson {
    symbol: String,
    value: MoverValueJson,
    avg: f64,
    count: i64,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum MoverValueJson {
    Number(f64),
    Text(String),
}

impl MoverJson {
    fn of((row, value): &(Row, MoverValue)) -> Self {
        let value = match value {
            MoverValue::Number(number) => MoverValueJson::Number(*number),
            MoverValue::Exact(exact) => MoverValueJson::Text(exact.to_string()),
        };
        MoverJson { symbol: row.symbol.clone(), value, avg: row.avg, count: row.count }
    }
}

/// The ends of the rows that were seen so far. Where values are equal, the name that comes first comes first.
struct Ends {
    column: MoverColumn,
    top: usize,
    rows: usize,
    with_value: usize,
    largest: Vec<(Row, MoverValue)>,
    smallest: Vec<(Row, MoverValue)>,
}

impl Ends {
    fn new(column: MoverColumn, top: usize) -> Self {
        Ends { column, top, rows: 0, with_value: 0, largest: Vec::new(), smallest: Vec::new() }
    }

    fn add(&mut self, rows: Vec<Row>) {
        self.rows += rows.len();
        let column = self.column;
        let valued = rows.into_iter().filter_map(|row| column.value(&row).map(|value| (row, value)));
        let valued: Vec<_> = valued.collect();
        self.with_value += valued.len();
        self.smallest.extend(valued.iter().cloned());
        self.largest.extend(valued);
        let by_name = |one: &(Row, MoverValue), other: &(Row, MoverValue)| one.0.symbol.cmp(&other.0.symbol);
        self.largest.sort_unstable_by(|a, b| b.1.compare(&a.1).then_with(|| by_name(a, b)));
        self.smallest.sort_unstable_by(|a, b| a.1.compare(&b.1).then_with(|| by_name(a, b)));
        self.largest.truncate(self.top);
        self.smallest.truncate(self.top);
    }
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    movers_of(&server, query.as_deref()).await.map_or_else(|error| error.answer(), json)
}

/// The column where none is named: the first that is a change.
fn usual(derived: &[String]) -> &str {
    let is_change = |name: &&String| matches!(name.parse(), Ok(Metric::Change(_)));
    derived.iter().find(is_change).map_or("avg", String::as_str)
}

fn request_of(server: &Server, query: Option<&str>) -> Result<MoversRequest, HttpError> {
    let query = Query::parse(query, &["by", "top", "minute"])?;
    let top = query.number("top", 1, MOST_TOP)?.unwrap_or(DEFAULT_TOP);
    let windowing = server.about.settings.rule.windowing;
    let minute = query.time("minute")?.map(|time| windowing.window_of(EventTime(time.0)));
    let columns = &server.about.columns;
    let by = query.text("by", MOST_NAME)?.unwrap_or_else(|| usual(&columns.derived)).to_owned();
    let column = MoverColumn::of(&by, columns.market, &columns.derived)?;
    Ok(MoversRequest { by, column, top, minute })
}

async fn movers_of(server: &Arc<Server>, query: Option<&str>) -> Result<String, HttpError> {
    let MoversRequest { by, column, top, minute } = request_of(server, query)?;
    let minute = minute.or_else(|| server.hub.view().newest_final());
    let mut ends = Ends::new(column, top);
    if let Some(minute) = minute {
        let to = WindowStart(minute.0.saturating_add(server.about.settings.rule.windowing.length));
        let mut wanted = RowQuery { kind: RowKind::Minute, from: minute, to, symbols: None, after: None };
        loop {
            let rows = page_blocking(server, wanted.clone(), PIECE_ROWS).await?;
            let (many, last) = (rows.len(), rows.last().map(|row| (row.minute, row.symbol.clone())));
            ends.add(rows);
            wanted.after = last;
            if many < PIECE_ROWS {
                break;
            }
        }
    }
    let state = minute.filter(|_| ends.rows > 0).map(|minute| {
        let view = server.hub.view();
        view.marks.state(view.rule(), minute).name()
    });
    let shown = |rows: &[(Row, MoverValue)]| rows.iter().map(MoverJson::of).collect();
    let (largest, smallest) = (shown(&ends.largest), shown(&ends.smallest));
    let Ends { rows, with_value, .. } = ends;
    let answer = MoversJson { by, minute: minute.map(Ms::from), state, rows, with_value, largest, smallest };
    Ok(serde_json::to_string(&answer).expect("memory takes it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::view::tests::row;
    use minutely_dataflows::row::MarketRow;

    fn names(rows: &[(Row, MoverValue)]) -> Vec<&str> {
        rows.iter().map(|(row, _)| row.symbol.as_str()).collect()
    }

    /// In whatever pieces rows come, the ends are those of a sort of the whole.
    #[test]
    fn ends_are_those_of_all_rows_and_of_no_row_without_a_value() {
        let values = [Some(0.5), Some(-0.25), None, Some(0.5), Some(0.0), Some(-0.0), Some(-3.0), None, Some(9.0)];
        let rows: Vec<_> = ["H", "G", "F", "E", "D", "C", "B", "A", "I"]
            .into_iter()
            .zip(values)
            .map(|(symbol, value)| Row { derived: Box::new([None, value]), ..row(symbol, 0, 1) })
            .collect();
        for piece in 1..=rows.len() {
            let mut ends = Ends::new(MoverColumn::Derived(1), 3);
            rows.chunks(piece).for_each(|rows| ends.add(rows.to_vec()));
            assert_eq!((ends.rows, ends.with_value), (9, 7));
            assert_eq!(names(&ends.largest), ["I", "E", "H"], "pieces of {piece}");
            assert_eq!(names(&ends.smallest), ["B", "G", "C"], "pieces of {piece}");
        }
    }

    #[test]
    fn volumes_are_compared_as_decimals() {
        let with = |symbol: &str, volume: Option<i128>| {
            let volume = volume.map(|volume| ExactNumber::new(volume, 18));
            let market = MarketRow { open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume, vwap: None };
            Row { market: Some(market), ..row(symbol, 0, 1) }
        };
        // No float tells the first two apart.
        let large = 10_i128.pow(35);
        let mut ends = Ends::new(MoverColumn::Volume, 9);
        ends.add(vec![with("A", Some(large)), with("B", Some(large + 1)), with("C", None), with("D", Some(-1))]);
        assert_eq!(names(&ends.largest), ["B", "A", "D"]);
        assert_eq!(names(&ends.smallest), ["D", "A", "B"]);
        let shown = serde_json::to_value(MoverJson::of(&ends.largest[0])).unwrap();
        assert_eq!(shown["value"], "100000000000000000.000000000000000001");
    }

    #[test]
    fn a_column_that_rows_do_not_have_is_told_with_those_that_they_have() {
        let derived = ["sma5".to_owned(), "chg5".to_owned()];
        let of = |name, market| MoverColumn::of(name, market, &derived);
        assert_eq!(of("avg", false).unwrap(), MoverColumn::Avg);
        assert_eq!(of("volume", true).unwrap(), MoverColumn::Volume);
        assert_eq!(of("chg5", false).unwrap(), MoverColumn::Derived(1));
        assert_eq!([usual(&derived), usual(&derived[..1]), usual(&[])], ["chg5", "avg", "avg"]);
        for (name, market) in [("volume", false), ("chg6", true), ("", true), ("symbol", true)] {
            let refused = of(name, market).unwrap_err();
            assert_eq!(refused.status, StatusCode::NOT_FOUND);
            assert!(refused.why.contains("avg") && refused.why.contains("sma5, chg5"), "{}", refused.why);
        }
    }
}
