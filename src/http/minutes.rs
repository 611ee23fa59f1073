//! `/api/minutes`: rows as JSON, in pages, or as one CSV.

use super::query::Query;
use super::reply::{HttpError, with_type};
use super::rows::{JsonRow, Ms};
use super::view::View;
use super::{History, RowQuery, Server};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use minutely_dataflows::coarse::CoarseWindows;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{EventTime, WindowStart};
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, MutexGuard};

/// Rows in one answer of JSON, at most and unless `limit` says otherwise.
const MOST_ROWS: usize = 10_000;
const DEFAULT_ROWS: usize = 5000;
/// Rows that are read and sent at once.
const PIECE_ROWS: usize = 500;
/// The greatest `limit`: a CSV may be that long, and JSON comes in pages.
const MOST_LIMIT: usize = 1_000_000_000;
/// Symbols that one request names.
const MOST_NAMED: usize = 256;
/// Nanoseconds in a millisecond; windows begin at whole ones.
const MS: i64 = 1_000_000;

/// What follows the rows.
#[derive(Serialize)]
struct PageEndJson {
    next: Option<String>,
    since: Option<Ms>,
    source: &'static str,
}

/// What a request for rows asks.
struct RowsRequest {
    wanted: RowQuery,
    csv: bool,
    limit: Option<usize>,
}

impl RowsRequest {
    fn of(query: Option<&str>, windows: &CoarseWindows) -> Result<Self, HttpError> {
        let query = Query::parse(query, &["symbol*", "window", "from", "to", "format", "cursor", "limit"])?;
        let kind = kind(query.get("window"), windows)?;
        Self::read(&query, "symbol", kind)
    }

    /// Of groups, which have names of their own.
    fn of_groups(query: Option<&str>) -> Result<Self, HttpError> {
        let query = Query::parse(query, &["group*", "from", "to", "format", "cursor", "limit"])?;
        Self::read(&query, "group", RowKind::Group)
    }

    /// `name`: the parameter that names what rows are of.
    fn read(query: &Query, name: &str, kind: RowKind) -> Result<Self, HttpError> {
        let csv = match query.get("format") {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(HttpError::new(StatusCode::BAD_REQUEST, "`format` is json or csv")),
        };
        let limit = query.number("limit", 1, MOST_LIMIT)?;
        let mut symbols: Vec<String> = query.names(name, MOST_NAMED)?.into_iter().map(str::to_owned).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let (from, to) = (query.time("from")?, query.time("to")?);
        let after = query.get("cursor").map(read_cursor).transpose()?;
        let wanted = RowQuery {
            kind,
            from: from.unwrap_or(WindowStart(-EventTime::LIMIT)),
            to: to.unwrap_or(WindowStart(EventTime::LIMIT)),
            symbols: (!symbols.is_empty()).then_some(symbols),
            after,
        };
        Ok(RowsRequest { wanted, csv, limit })
    }
}

/// What rows of windows that are called so are of; without a name of minutes.
fn kind(name: Option<&str>, windows: &CoarseWindows) -> Result<RowKind, HttpError> {
    let Some(name) = name else { return Ok(RowKind::Minute) };
    let named = name.parse().ok().filter(|level| windows.levels().contains(level)).map(RowKind::Window);
    named.ok_or_else(|| {
        let why = format!("`window` is one of those of --windows ({}), or is left out: of minutes", windows.list());
        HttpError::new(StatusCode::NOT_FOUND, &why)
    })
}

/// Where a page ends, as text that clients give back: the minute in milliseconds, the symbol in hexadecimal.
fn cursor(row: &Row) -> String {
    let mut text = format!("{}.", row.minute.0.div_euclid(MS));
    row.symbol.bytes().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes it"));
    text
}

fn read_cursor(text: &str) -> Result<(WindowStart, String), HttpError> {
    let read = || {
        let (minute, symbol) = text.split_once('.')?;
        let digits = minute.strip_prefix('-').unwrap_or(minute);
        let good = (1..=13).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
        let ms: i64 = minute.parse().ok().filter(|_| good)?;
        let hex = |c: u8| char::from(c).to_digit(16).filter(|_| !c.is_ascii_uppercase());
        let byte = |pair: &[u8]| u8::try_from(hex(pair[0])? * 16 + hex(*pair.get(1)?)?).ok();
        let symbol = symbol.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
        // No window is beyond ±2^62 ns: nothing is left out.
        let minute = WindowStart(ms.saturating_mul(MS).clamp(-EventTime::LIMIT, EventTime::LIMIT));
        Some((minute, String::from_utf8(symbol).ok().filter(|symbol| !symbol.is_empty())?))
    };
    read().ok_or_else(|| HttpError::new(StatusCode::BAD_REQUEST, "`cursor` is what an answer gave as `next`"))
}

/// A page: first what a sink has stored of minutes that are no longer in memory, then memory. May block.
fn page<'a>(
    view: impl Fn() -> MutexGuard<'a, View>,
    history: Option<&dyn History>,
    wanted: &RowQuery,
    limit: usize,
) -> Result<Vec<Row>, HttpError> {
    let (mut rows, mut from) = (Vec::new(), wanted.from);
    loop {
        let begins = view().begins();
        let reached = wanted.after.as_ref().map_or(from, |(minute, _)| from.max(*minute));
        if let (Some(history), true) = (history, reached < begins) {
            let older = RowQuery { from, to: wanted.to.min(begins), ..wanted.clone() };
            let page = history.page(&older, limit - rows.len());
            rows.extend(page.map_err(|why| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, &why))?);
        }
        if rows.len() == limit {
            return Ok(rows);
        }
        from = from.max(begins);
        let view = view();
        // Rows that left memory since are in the history: rows in neither half would never be sent.
        if history.is_none() || view.begins() <= begins {
            rows.extend(view.page(&RowQuery { from, ..wanted.clone() }, limit - rows.len()));
            return Ok(rows);
        }
    }
}

/// [`page`], on a thread that may block.
pub(super) async fn page_blocking(server: &Arc<Server>, wanted: RowQuery, limit: usize) -> Result<Vec<Row>, HttpError> {
    let server = Arc::clone(server);
    let page = move || page(|| server.hub.view_of(wanted.kind), server.about.history.as_deref(), &wanted, limit);
    let page = tokio::task::spawn_blocking(page).await;
    page.unwrap_or_else(|_| Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "the rows cannot be read")))
}

pub(super) async fn answer_groups(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    let asked = match RowsRequest::of_groups(query.as_deref()).and_then(|asked| server.has_groups().map(|()| asked)) {
        Ok(asked) => asked,
        Err(error) => return error.answer(),
    };
    rows(server, asked).await.unwrap_or_else(|error| error.answer())
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    let asked = match RowsRequest::of(query.as_deref(), &server.about.settings.windows) {
        Ok(asked) => asked,
        Err(error) => return error.answer(),
    };
    rows(server, asked).await.unwrap_or_else(|error| error.answer())
}

/// JSON is one page of limited length, of which the end says where the next one begins; a CSV is the whole.
async fn rows(server: Arc<Server>, asked: RowsRequest) -> Result<Response<Body>, HttpError> {
    let limit = match asked.csv {
        true => asked.limit.unwrap_or(usize::MAX),
        false => asked.limit.unwrap_or(DEFAULT_ROWS).min(MOST_ROWS),
    };
    let mut answer = RowStream { server, csv: asked.csv, wanted: asked.wanted, remaining: limit, sent: false };
    // An error can be answered only before the first piece is sent.
    let (first, more) = answer.piece().await?;
    let body = if more {
        let rest = futures_util::stream::unfold(Some(answer), |answer| async {
            let mut answer = answer?;
            // Half an answer must not look like a whole one.
            let piece = answer.piece().await.map_err(|error| io::Error::other(error.why));
            let more = piece.as_ref().is_ok_and(|(_, more)| *more);
            Some((piece.map(|(text, _)| text), more.then_some(answer)))
        });
        let first = futures_util::stream::iter([Ok::<_, io::Error>(first)]);
        Body::from_stream(futures_util::StreamExt::chain(first, rest))
    } else {
        Body::from(first)
    };
    if !asked.csv {
        return Ok(with_type(body, "application/json"));
    }
    let mut response = with_type(body, "text/csv; charset=utf-8");
    let name = HeaderValue::from_static("inline; filename=\"minutes.csv\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Rows that are sent to a client, piece by piece. Between two pieces only the start of the next one is kept, so a client that
/// does not read costs no memory for rows.
struct RowStream {
    server: Arc<Server>,
    csv: bool,
    /// The rows that are not sent yet.
    wanted: RowQuery,
    /// The limit, less the rows that were sent.
    remaining: usize,
    /// A piece was sent.
    sent: bool,
}

impl RowStream {
    /// The next piece, and whether there are more.
    async fn piece(&mut self) -> Result<(Bytes, bool), HttpError> {
        let limit = self.remaining.min(PIECE_ROWS);
        let rows = page_blocking(&self.server, self.wanted.clone(), limit).await?;
        self.remaining -= rows.len();
        let more = rows.len() == limit && self.remaining > 0;
        let text = if self.csv { self.csv_text(&rows) } else { self.json_text(&rows, more) };
        self.sent = true;
        if let Some(last) = rows.last() {
            self.wanted.after = Some((last.minute, last.symbol.clone()));
        }
        Ok((text.into(), more))
    }

    fn csv_text(&self, rows: &[Row]) -> Vec<u8> {
        let about = &self.server.about;
        let mut text = if self.sent { Vec::new() } else { (about.csv)(about, None) };
        text.extend((about.csv)(about, Some(rows)));
        text
    }

    fn json_text(&self, rows: &[Row], more: bool) -> Vec<u8> {
        let mut text = if self.sent { Vec::new() } else { b"{\"rows\":[".to_vec() };
        let derived = &self.server.about.columns.of(self.wanted.kind).derived;
        for (n, row) in rows.iter().enumerate() {
            if n > 0 || self.sent {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &JsonRow::of(row, derived)).expect("memory takes it");
        }
        if !more {
            let stored = self.server.about.history.is_some();
            let since = self.server.hub.view_of(self.wanted.kind).since().filter(|_| !stored);
            let end = PageEndJson {
                next: rows.last().filter(|_| self.remaining == 0).map(cursor),
                since: since.map(Ms::from),
                source: if stored { "sqlite+memory" } else { "memory" },
            };
            let end = serde_json::to_string(&end).expect("memory takes it");
            text.extend_from_slice(b"],");
            text.extend_from_slice(end.trim_start_matches('{').as_bytes());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::view::tests::row;
    use minutely_dataflows::partition::Rule;
    use std::sync::Mutex;

    /// What a sink has stored; while it is asked, memory advances to the next of these minutes.
    struct Slow<'a> {
        stored: Vec<Row>,
        view: &'a Mutex<View>,
        meanwhile: Mutex<Vec<i64>>,
    }

    impl History for Slow<'_> {
        fn page(&self, wanted: &RowQuery, limit: usize) -> Result<Vec<Row>, String> {
            if let Some(minute) = self.meanwhile.lock().unwrap().pop() {
                self.view.lock().unwrap().take(row("A", minute, 1));
            }
            let of = |row: &&Row| {
                let after = wanted.after.as_ref().is_none_or(|after| (row.minute, &row.symbol) > (after.0, &after.1));
                after && (wanted.from..wanted.to).contains(&row.minute)
            };
            Ok(self.stored.iter().filter(of).take(limit).cloned().collect())
        }
    }

    #[test]
    fn a_minute_that_leaves_memory_while_the_history_is_read_is_not_passed_over() {
        for limit in [1, 2, 3, 9] {
            let view = Mutex::new(View::bounded(Rule::default(), None, 3));
            (0..6).for_each(|minute| drop(view.lock().unwrap().take(row("A", minute, 1))));
            let stored = (0..20).map(|minute| row("A", minute, 1)).collect();
            let history = Slow { stored, view: &view, meanwhile: Mutex::new(vec![8, 7, 6]) };
            let (from, to) = (WindowStart(-EventTime::LIMIT), WindowStart(EventTime::LIMIT));
            let kind = RowKind::Minute;
            let (mut wanted, mut got) = (RowQuery { kind, from, to, symbols: None, after: None }, Vec::new());
            loop {
                let page = page(|| view.lock().unwrap(), Some(&history), &wanted, limit).unwrap();
                let Some(last) = page.last() else { break };
                wanted.after = Some((last.minute, last.symbol.clone()));
                got.extend(page.iter().map(|row| row.minute.0 / (60_000 * MS)));
            }
            assert_eq!(got, (0..9).collect::<Vec<_>>(), "pages of {limit}");
        }
    }

    #[test]
    fn cursors_come_back_whole() {
        for symbol in ["A", "a,b", "é\u{1f980}", " ", "\u{fffd}"] {
            let row = Row { minute: WindowStart(-60 * MS), ..row(symbol, 0, 1) };
            assert_eq!(read_cursor(&cursor(&row)).unwrap(), (WindowStart(-60 * MS), symbol.to_owned()));
        }
        assert_eq!(read_cursor("9300000000000.00").unwrap().0, WindowStart(EventTime::LIMIT));
        for bad in
            ["", "!", "1", "1.", ".41", "+1.41", "1.4", "1.4G", "1.4A", "12345678901234.41", "1.é", "--1.41", "1.ff"]
        {
            assert!(read_cursor(bad).is_err(), "{bad}");
        }
    }

    /// The core takes no symbol that is longer than 1 KiB.
    #[test]
    fn every_symbol_can_be_asked_for_with_every_cursor() {
        let symbol = "\u{10ffff}".repeat(256);
        let encoded: String = symbol.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let next = cursor(&Row { minute: WindowStart(-EventTime::LIMIT), ..row(&symbol, 0, 1) });
        let query = format!("symbol={encoded}&limit=10000&from=-4611686018427&to=4611686018427&cursor={next}");
        assert!("/api/minutes?".len() + query.len() < crate::http::guard::MOST_URI / 2, "{}", query.len());
        assert_eq!(RowsRequest::of(Some(&query), &CoarseWindows::default()).unwrap().wanted.after.unwrap().1, symbol);
    }

    #[test]
    fn questions_are_bounded() {
        let refused = |query: &str| RowsRequest::of(Some(query), &CoarseWindows::default()).map(drop).unwrap_err();
        for bad in ["limit=0", "limit=1000000001", "format=xml", "symbol=", "from=x", "cursor=x", "x=1"] {
            assert_eq!(refused(bad).status, StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(refused("window=5m").status, StatusCode::NOT_FOUND);
        let list = "5m,1d".parse().unwrap();
        let windows = CoarseWindows::new(&list, None, &minutely_dataflows::time::Windowing::default()).unwrap();
        let asked = |query| RowsRequest::of(Some(query), &windows).map(|asked| asked.wanted.kind.to_owned());
        assert_eq!(asked("window=300s").unwrap(), RowKind::Window(windows.levels()[0]));
        assert!(asked("window=1m").unwrap_err().why.contains("(5m,1d)"));
        let many: String = (0..=MOST_NAMED).map(|n| format!("symbol={n}&")).collect();
        assert_eq!(refused(&many).status, StatusCode::BAD_REQUEST);
        let asked =
            RowsRequest::of(Some("symbol=B&symbol=A&symbol=B&format=csv&limit=1000000"), &CoarseWindows::default())
                .unwrap();
        assert_eq!(asked.wanted.symbols.as_deref(), Some(&["A".to_owned(), "B".to_owned()][..]));
    }
}
