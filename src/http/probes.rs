//! `/healthz` and `/readyz`: is the dataflow alive, and does the run make progress.
//!
//! Both are open without a token, so no text of a record is in them.

use super::Server;
use super::query::Query;
use super::reply::plain;
use super::status;
use crate::advice;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use minutely_dataflows::time::SECOND;
use std::sync::Arc;

/// Nanoseconds without a status from the dataflow after which it does not count as alive.
const SILENCE: i64 = 60 * SECOND;

impl Server {
    /// Why the dataflow does not count as alive; `None` while it does.
    fn not_alive(&self) -> Option<String> {
        let at = self.hub.view().now.as_ref()?.at.0;
        let silent = self.about.clock.monotonic().0 - at;
        (silent > SILENCE).then(|| format!("no sign of life from the dataflow for {} s", silent / SECOND))
    }

    /// That nothing counts, and whether that is trouble: a log that `--where` skips as a whole is none.
    fn nothing_counts(&self) -> Option<(String, bool)> {
        let view = self.hub.view();
        let status = &view.now.as_ref()?.status;
        let (nothing, counts) = status::nothing_counts(status)?;
        Some((
            advice::nothing_counted(nothing, &counts, &status::rejected(status), &self.about.fields),
            nothing.is_trouble(),
        ))
    }

    /// `ok` or `ready`, and what an operator should know.
    fn good(&self, word: &str) -> String {
        self.nothing_counts().map_or_else(|| word.to_owned(), |(why, _)| format!("{word}; {why}"))
    }

    /// Why the run does not count as ready; `None` while it does.
    fn not_ready(&self) -> Option<String> {
        if let Some(why) = self.not_alive() {
            return Some(why);
        }
        if let Some(why) = (self.about.processes_now)().missing {
            return Some(why);
        }
        if !self.about.leads {
            return None;
        }
        let seq = self.hub.view().now.as_ref().map_or(0, |now| now.status.seq);
        if seq == 0 {
            return Some("nothing is committed yet".into());
        }
        if let Some(why) = (self.about.source_now)().trouble {
            return Some(format!("source: {why}"));
        }
        if let Some((why, true)) = self.nothing_counts() {
            return Some(why);
        }
        let names = self.about.sinks.iter();
        let trouble = names.zip((self.about.sinks_now)()).find_map(|(name, sink)| Some((name, sink.trouble?)));
        trouble.map(|(name, why)| format!("sink {name}: {why}"))
    }
}

pub(super) async fn healthz(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    health(query, server.not_alive(), server.good("ok"))
}

pub(super) async fn readyz(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    health(query, server.not_ready(), server.good("ready"))
}

fn health(query: Option<String>, trouble: Option<String>, good: String) -> Response<Body> {
    match (Query::parse(query.as_deref(), &[]), trouble) {
        (Err(error), _) => error.answer(),
        (Ok(_), None) => plain(StatusCode::OK, good),
        (Ok(_), Some(why)) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
