//! `/api/stream`: server-sent events.
//!
//! Every event has an id, `RUN-NUMBER`; a reader that comes back with the last it had gets those after it, if they are still in
//! the ring. Events that a reader is behind are sent in one piece.

use super::hub::{EventBody, rows_text};
use super::query::Query;
use super::reply::HttpError;
use super::{Server, status};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// A comment is sent after this long without an event.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes that are sent in one piece, roughly.
const PIECE: usize = 64 << 10;
/// Symbols that are named one by one; characters of a list of symbols.
const MOST_SYMBOLS: usize = 1024;
const MOST_TEXT: usize = 4096;

/// One reader of the stream; counted in `hub.streams` while it exists.
struct StreamReader {
    server: Arc<Server>,
    symbols: Option<HashSet<String>>,
    newest: watch::Receiver<u64>,
    /// The last event that it has.
    at: u64,
    /// Sent before anything else.
    first: Option<String>,
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.server.hub.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn answer(
    State(server): State<Arc<Server>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let symbols = match wanted(query.as_deref()) {
        Ok(symbols) => symbols,
        Err(error) => return error.answer(),
    };
    // Half of the places are for those who ask something else.
    let most = server.connections.most() / 2;
    if server.hub.streams.fetch_add(1, Ordering::Relaxed) >= most {
        server.hub.streams.fetch_sub(1, Ordering::Relaxed);
        let why = format!("the limit of {most} readers is reached; try again later");
        return HttpError::new(StatusCode::SERVICE_UNAVAILABLE, &why).answer();
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let reader = StreamReader::new(server, symbols, last);
    let events = futures_util::stream::unfold(reader, |mut reader| async {
        let piece = reader.next().await;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), reader))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The symbols of a stream; `None` for all. Empty places in a list are no names.
fn wanted(query: Option<&str>) -> Result<Option<HashSet<String>>, HttpError> {
    let query = Query::parse(query, &["symbols", "symbol*"])?;
    let listed = query.text("symbols", MOST_TEXT)?.into_iter().flat_map(|all| all.split(','));
    let named = query.names("symbol", MOST_SYMBOLS)?;
    let symbols: HashSet<String> = listed.filter(|symbol| !symbol.is_empty()).chain(named).map(str::to_owned).collect();
    Ok((!symbols.is_empty()).then_some(symbols))
}

/// The number in the id of an event of this run.
fn number(id: &str, run: &str) -> Option<u64> {
    let (of, number) = id.rsplit_once('-')?;
    number.parse().ok().filter(|_| of == run)
}

fn event(out: &mut String, run: &str, number: u64, name: &str, data: &str) {
    write!(out, "id: {run}-{number}\nevent: {name}\ndata: {data}\n\n").expect("a string takes it");
}

impl StreamReader {
    fn new(server: Arc<Server>, symbols: Option<HashSet<String>>, last: Option<&str>) -> Self {
        let hub = Arc::clone(&server.hub);
        let newest = hub.subscribe();
        let now = hub.ring().last;
        let kept = last.and_then(|id| number(id, &hub.run)).filter(|at| hub.ring().after(*at).is_some());
        let at = kept.unwrap_or(now);
        let status = status::text(&hub.view(), &server.about, hub.started());
        let mut first = String::new();
        event(&mut first, &hub.run, at, "hello", &format!("{{\"id\":\"{}\",\"status\":{status}}}", hub.run));
        if last.is_some() && kept.is_none() {
            hub.resets.fetch_add(1, Ordering::Relaxed);
            event(&mut first, &hub.run, at, "reset", "{}");
        }
        StreamReader { server, symbols, newest, at, first: Some(first) }
    }

    /// What is sent next; waits until there is an event.
    async fn next(&mut self) -> String {
        if let Some(first) = self.first.take() {
            return first;
        }
        loop {
            self.newest.borrow_and_update();
            let piece = self.piece();
            if !piece.is_empty() {
                return piece;
            }
            match tokio::time::timeout(KEEP_ALIVE, self.newest.changed()).await {
                Ok(Ok(())) => {}
                // The hub lives as long as the process.
                Ok(Err(_)) | Err(_) => return ":\n\n".to_owned(),
            }
        }
    }

    /// Events that it has not had, as many as go into one piece.
    fn piece(&mut self) -> String {
        let hub = &self.server.hub;
        let mut out = String::new();
        while out.len() < PIECE {
            let some: Option<Vec<_>> = hub.ring().after(self.at).map(|events| events.take(16).collect());
            let Some(some) = some else {
                self.at = hub.ring().last;
                hub.resets.fetch_add(1, Ordering::Relaxed);
                event(&mut out, &hub.run, self.at, "reset", "{}");
                break;
            };
            if some.is_empty() {
                break;
            }
            for (number, happened) in some {
                self.at = number;
                let text = match (&happened.body, &self.symbols) {
                    (EventBody::Rows(rows), Some(symbols)) => {
                        let mut wanted = rows.iter().filter(|row| symbols.contains(&*row.symbol)).peekable();
                        if wanted.peek().is_none() {
                            continue;
                        }
                        rows_text(wanted).into()
                    }
                    _ => happened.text(),
                };
                event(&mut out, &hub.run, number, happened.name(), &text);
                if out.len() >= PIECE {
                    break;
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the document says it.
    #[test]
    fn symbols_are_listed_or_named_one_by_one() {
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let parameters = &document["paths"]["/api/stream"]["get"]["parameters"];
        assert_eq!(parameters[0]["schema"]["maxLength"], MOST_TEXT);
        assert_eq!(parameters[1]["schema"]["maxItems"], MOST_SYMBOLS);
        let of = |query: &str| wanted(Some(query)).map_err(drop);
        let set = |names: &[&str]| Ok(Some(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(of("symbols=A,,B&symbol=C,D&symbol=A"), set(&["A", "B", "C,D"]));
        assert_eq!((of(""), of("symbols=,")), (Ok(None), Ok(None)));
        let many = |n: usize| (0..n).map(|n| format!("symbol={n}&")).collect::<String>();
        assert_eq!(of(&many(MOST_SYMBOLS)).map(|all| all.map(|all| all.len())), Ok(Some(MOST_SYMBOLS)));
        let letters =
            |n: u32| (0..n).filter_map(|n| char::from_u32(0x4e00 + n)).map(|c| format!("{c},")).collect::<String>();
        assert!(of(&format!("symbols={}", letters(2048))).is_ok(), "as many as there is room for");
        for bad in ["symbol=", &many(MOST_SYMBOLS + 1), &format!("symbols={}", letters(2049)), "symbols=A&symbols=B"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_of_one_run() {
        assert_eq!(number("18a-7", "18a"), Some(7));
        for other in ["18b-7", "7", "18a-", "18a-x", "", "18a--7"] {
            assert_eq!(number(other, "18a"), None, "{other}");
        }
    }
}
