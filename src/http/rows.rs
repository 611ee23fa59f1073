//! Rows in memory and as JSON.

use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::derived::DerivedValues;
use minutely_dataflows::row::{MarketRow, Row, RowKind};
use minutely_dataflows::time::{EventTime, State, WindowStart};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nanoseconds, in JSON milliseconds: an integer where they are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ms(pub(super) i64);

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000_000 == 0 {
            return serializer.serialize_i64(self.0 / 1_000_000);
        }
        #[expect(clippy::cast_precision_loss, reason = "an f64 has a quarter of a microsecond in this century")]
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl From<EventTime> for Ms {
    fn from(time: EventTime) -> Self {
        Ms(time.0)
    }
}

impl From<WindowStart> for Ms {
    fn from(window: WindowStart) -> Self {
        Ms(window.0)
    }
}

/// A row's values, without its state, which follows from the marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowValues {
    pub(super) count: i64,
    pub(super) sum: ExactNumber,
    pub(super) avg: f64,
    pub(super) market: Option<MarketRow>,
    pub(super) derived: DerivedValues,
}

/// A row's values with its key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LiveRow {
    pub(super) symbol: Arc<str>,
    pub(super) minute: WindowStart,
    pub(super) held: RowValues,
}

impl RowValues {
    pub(super) fn of(row: Row) -> Self {
        RowValues { count: row.count, sum: row.sum, avg: row.avg, market: row.market, derived: row.derived }
    }

    /// The price it ends with: the average where there is no other.
    pub(super) fn last(&self) -> f64 {
        self.market.as_ref().map_or(self.avg, |market| market.close)
    }

    pub(super) fn row(&self, symbol: &str, minute: WindowStart, kind: RowKind, state: State) -> Row {
        let (RowValues { count, sum, avg, market, derived }, symbol) = (self.clone(), symbol.to_owned());
        Row { kind, symbol, minute, count, sum, avg, state, market, derived }
    }
}

/// An exact decimal as a JSON number.
fn number(decimal: ExactNumber) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(decimal.to_string()).expect("a decimal's text is a JSON number")
}

/// As the stream sends it: `[symbol, minute, count, avg]`, or `[symbol, minute, count, avg, open, high, low, close, volume, vwap]`;
/// and then, if there are any, an array of the columns of `--derive`.
impl Serialize for LiveRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LiveRow { symbol, minute, held: RowValues { count, avg, market, derived, .. } } = self;
        let mut values = serializer.serialize_seq(None)?;
        values.serialize_element(&**symbol)?;
        values.serialize_element(&Ms::from(*minute))?;
        values.serialize_element(count)?;
        values.serialize_element(avg)?;
        if let Some(m) = market {
            [m.open, m.high, m.low, m.close].iter().try_for_each(|price| values.serialize_element(price))?;
            values.serialize_element(&m.volume.map(number))?;
            values.serialize_element(&m.vwap)?;
        }
        if !derived.is_empty() {
            values.serialize_element(derived)?;
        }
        values.end()
    }
}

/// As `/api/minutes` has it.
#[derive(Serialize)]
pub(super) struct JsonRow<'a> {
    /// None of a row of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    minute: Ms,
    /// Of rows of coarser windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    state: &'static str,
    count: i64,
    sum: String,
    avg: f64,
    #[serde(flatten)]
    market: Option<MarketJson>,
    #[serde(flatten)]
    derived: BTreeMap<&'a str, Option<f64>>,
}

#[derive(Serialize)]
struct MarketJson {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: Option<String>,
    vwap: Option<f64>,
}

impl<'a> JsonRow<'a> {
    /// `derived`: the names of the columns of `--derive`, or of groups.
    pub(super) fn of(row: &'a Row, derived: &'a [String]) -> Self {
        let market = row.market.as_ref().map(|m| MarketJson {
            open: m.open,
            high: m.high,
            low: m.low,
            close: m.close,
            volume: m.volume.map(|volume| volume.to_string()),
            vwap: m.vwap,
        });
        let is_group = row.kind == RowKind::Group;
        let name = row.symbol.as_str();
        JsonRow {
            symbol: (!is_group).then_some(name),
            group: is_group.then_some(name),
            minute: row.minute.into(),
            window: match row.kind {
                RowKind::Minute | RowKind::Group => None,
                RowKind::Window(level) => Some(level.to_string()),
            },
            state: State::name(row.state),
            count: row.count,
            sum: row.sum.to_string(),
            avg: row.avg,
            market,
            derived: derived.iter().map(String::as_str).zip(row.derived.iter().copied()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_milliseconds_where_they_can_be() {
        let json = |ns| serde_json::to_string(&Ms(ns)).unwrap();
        assert_eq!(json(1_767_600_000_000_000_000), "1767600000000");
        assert_eq!(json(1_500_000), "1.5");
        assert_eq!(json(-1_000_000), "-1");
    }

    #[test]
    fn rows_are_what_the_contract_says() {
        let decimal = |scaled| ExactNumber::new(scaled, 18);
        let derived = ["sma5", "rsi14"].map(str::to_owned);
        let mut held =
            RowValues { count: 2, sum: decimal(3 * 10_i128.pow(18)), avg: 1.5, market: None, derived: Box::default() };
        let minute = WindowStart(60_000_000_000);
        let symbol = "<b>\"x\u{2028}";
        let live = LiveRow { symbol: symbol.into(), minute, held: held.clone() };
        assert_eq!(serde_json::to_string(&live).unwrap(), "[\"<b>\\\"x\u{2028}\",60000,2,1.5]");
        let row = held.row(symbol, minute, RowKind::Minute, State::Partial);
        assert_eq!(
            serde_json::to_value(JsonRow::of(&row, &derived)).unwrap(),
            serde_json::json!({"symbol": symbol, "minute": 60000, "state": "partial", "count": 2, "sum": "3", "avg": 1.5})
        );
        held.market =
            Some(MarketRow { open: 1.0, high: 2.0, low: 1.0, close: 2.0, volume: Some(decimal(5)), vwap: None });
        let live = LiveRow { symbol: "A".into(), minute, held: held.clone() };
        assert_eq!(
            serde_json::to_string(&live).unwrap(),
            "[\"A\",60000,2,1.5,1.0,2.0,1.0,2.0,0.000000000000000005,null]"
        );
        let row = held.row("A", minute, RowKind::Minute, State::Partial);
        let json = serde_json::to_value(JsonRow::of(&row, &derived)).unwrap();
        assert_eq!(json["volume"], "0.000000000000000005");
        assert!(json["vwap"].is_null() && json["close"] == 2.0);
        held.market.as_mut().unwrap().volume = None;
        let json = serde_json::to_value(JsonRow::of(&held.row("A", minute, RowKind::Minute, State::Partial), &derived));
        assert!(json.unwrap()["volume"].is_null());
        held.derived = [Some(1.25), None].into();
        let json = serde_json::to_value(JsonRow::of(&held.row("A", minute, RowKind::Minute, State::Partial), &derived));
        assert!(json.as_ref().unwrap()["sma5"] == 1.25 && json.unwrap()["rsi14"].is_null());
        let live = LiveRow { symbol: "A".into(), minute, held };
        assert_eq!(serde_json::to_string(&live).unwrap(), "[\"A\",60000,2,1.5,1.0,2.0,1.0,2.0,null,null,[1.25,null]]");
    }
}
