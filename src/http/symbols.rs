//! `/api/symbols`: symbols by name, each with its newest row.

use super::Server;
use super::query::Query;
use super::reply::{HttpError, json};
use super::rows::Ms;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use serde::Serialize;
use std::sync::Arc;

/// Symbols in one answer, at most and unless `limit` says otherwise.
pub(super) const MOST_SYMBOLS: usize = 10_000;
pub(super) const DEFAULT_SYMBOLS: usize = 1000;
/// Characters of a search: as many as a symbol has.
pub(super) const MOST_SEARCH: usize = 1024;

#[derive(Serialize)]
struct SymbolsJson<'a> {
    symbols: Vec<SymbolJson<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct SymbolJson<'a> {
    symbol: &'a str,
    minute: Ms,
    state: &'static str,
    last: f64,
    avg: f64,
    count: i64,
    first_minute: Ms,
    first: f64,
    change: Option<f64>,
    volume: Option<String>,
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    symbols_of(&server, query.as_deref()).map_or_else(|error| error.answer(), json)
}

fn symbols_of(server: &Server, query: Option<&str>) -> Result<String, HttpError> {
    let query = Query::parse(query, &["q", "limit"])?;
    let limit = query.number("limit", 1, MOST_SYMBOLS)?.unwrap_or(DEFAULT_SYMBOLS);
    let text = query.text("q", MOST_SEARCH)?.unwrap_or_default();
    let (found, total, marks, rule) = {
        let view = server.hub.view();
        let (found, total) = view.symbols(text, limit);
        (found, total, view.marks, *view.rule())
    };
    let symbols = found.iter().map(|of| SymbolJson {
        symbol: &of.symbol,
        minute: of.minute.into(),
        state: marks.state(&rule, of.minute).name(),
        last: of.newest.last(),
        avg: of.newest.avg,
        count: of.newest.count,
        first_minute: of.first_minute.into(),
        first: of.first,
        change: of.change(),
        volume: of.newest.market.as_ref().and_then(|market| market.volume).map(|volume| volume.to_string()),
    });
    Ok(serde_json::to_string(&SymbolsJson { symbols: symbols.collect(), total }).expect("memory takes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The core takes no symbol that is longer than 1 KiB.
    #[test]
    fn every_symbol_can_be_searched_for() {
        let encoded = "%f4%8f%bf%bf".repeat(256);
        assert!(Query::parse(Some(&format!("q={encoded}")), &["q"]).unwrap().text("q", MOST_SEARCH).is_ok());
    }
}
