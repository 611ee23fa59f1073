//! `/api/groups`: groups of `--groups` by name, each with its newest row.

use super::Server;
use super::query::Query;
use super::reply::{HttpError, json};
use super::rows::Ms;
use super::symbols::{DEFAULT_SYMBOLS, MOST_SEARCH, MOST_SYMBOLS};
use super::view::SymbolSummary;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use minutely_dataflows::derived::GROUP_COLUMNS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct GroupsJson<'a> {
    groups: Vec<GroupJson<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    group: &'a str,
    minute: Ms,
    avg: f64,
    count: i64,
    first_minute: Ms,
    first: f64,
    change: Option<f64>,
    #[serde(flatten)]
    columns: BTreeMap<&'static str, Option<f64>>,
}

impl<'a> GroupJson<'a> {
    fn of(of: &'a SymbolSummary) -> Self {
        GroupJson {
            group: &of.symbol,
            minute: of.minute.into(),
            avg: of.newest.avg,
            count: of.newest.count,
            first_minute: of.first_minute.into(),
            first: of.first,
            change: of.change(),
            columns: GROUP_COLUMNS.into_iter().zip(of.newest.derived.iter().copied()).collect(),
        }
    }
}

impl Server {
    /// # Errors
    /// 404: the run has no groups.
    pub(super) fn has_groups(&self) -> Result<(), HttpError> {
        let why = "this run has no groups; --groups FILE names some";
        let none = || HttpError::new(StatusCode::NOT_FOUND, why);
        self.about.columns.groups.then_some(()).ok_or_else(none)
    }
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    groups_of(&server, query.as_deref()).map_or_else(|error| error.answer(), json)
}

fn groups_of(server: &Server, query: Option<&str>) -> Result<String, HttpError> {
    let query = Query::parse(query, &["q", "limit"])?;
    let limit = query.number("limit", 1, MOST_SYMBOLS)?.unwrap_or(DEFAULT_SYMBOLS);
    let text = query.text("q", MOST_SEARCH)?.unwrap_or_default();
    server.has_groups()?;
    let (found, total) = server.hub.groups().map(|view| view.symbols(text, limit)).unwrap_or_default();
    let groups = found.iter().map(GroupJson::of).collect();
    Ok(serde_json::to_string(&GroupsJson { groups, total }).expect("memory takes it"))
}
