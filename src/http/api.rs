//! Answers that are not streams of events: symbols, minutes, health, the page's files, what the API is.

use super::query::Query;
use super::rows::{JsonRow, Ms};
use super::view::View;
use super::{History, Server, Wanted, assets};
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{EventTime, SECOND, WindowStart};
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, MutexGuard};

/// Rows in one answer of JSON, at most and unless said otherwise; rows that are read and sent at once.
const MOST_ROWS: usize = 10_000;
const PAGE_ROWS: usize = 5000;
const PIECE_ROWS: usize = 500;
/// The greatest `limit`: a CSV may be that long, and JSON comes in pages.
const MOST_LIMIT: usize = 1_000_000_000;
/// Symbols in one answer, and in one question.
const MOST_SYMBOLS: usize = 10_000;
const SOME_SYMBOLS: usize = 1000;
const MOST_ASKED: usize = 256;
/// Characters of a search: as many as a symbol has.
const MOST_TEXT: usize = 1024;
/// Nanoseconds in a millisecond; windows begin at whole ones.
const MS: i64 = 1_000_000;
/// The dataflow must have been heard of within that time, in nanoseconds.
const DEAD: i64 = 60 * SECOND;

/// A question that is not answered, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: &str) -> Self {
        Refusal { status, why: why.to_owned() }
    }

    pub(super) fn answer(&self) -> Response<Body> {
        let mut response = json(serde_json::json!({ "error": self.why }).to_string());
        *response.status_mut() = self.status;
        response
    }
}

fn with_type(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(super) fn json(text: String) -> Response<Body> {
    with_type(Body::from(text), "application/json")
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = with_type(Body::from(text), "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
}

/// This file, or that there is none.
pub(super) fn found(file: Option<Response<Body>>) -> Response<Body> {
    file.unwrap_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there is nothing here; see /api/openapi.json").answer())
}

pub(super) async fn asset(Path(name): Path<String>) -> Response<Body> {
    found(assets::file(&name))
}

pub(super) async fn openapi(RawQuery(query): RawQuery) -> Response<Body> {
    match Query::parse(query.as_deref(), &[]) {
        Ok(_) => {
            json(include_str!("openapi.json").replace("\"0.0.0\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\"")))
        }
        Err(refusal) => refusal.answer(),
    }
}

// --- health ----------------------------------------------------------------------------------------------------------

impl Server {
    /// What keeps the dataflow from being called alive.
    fn dead(&self) -> Option<String> {
        let at = self.hub.view().now.as_ref()?.at.0;
        let silent = self.about.clock.monotonic().0 - at.0;
        (silent > DEAD).then(|| format!("the dataflow has said nothing for {} s", silent / SECOND))
    }

    /// What keeps it from being called ready.
    fn not_ready(&self) -> Option<String> {
        if let Some(why) = self.dead() {
            return Some(why);
        }
        let seq = self.hub.view().now.as_ref().map_or(0, |now| now.status.seq);
        if seq == 0 {
            return Some("nothing is committed yet".into());
        }
        if let Some(why) = (self.about.source_now)().trouble {
            return Some(format!("source: {why}"));
        }
        let names = self.about.sinks.iter();
        let trouble = names.zip((self.about.sinks_now)()).find_map(|(name, sink)| Some((name, sink.trouble?)));
        trouble.map(|(name, why)| format!("sink {name}: {why}"))
    }
}

pub(super) async fn healthz(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    health(query, server.dead(), "ok")
}

pub(super) async fn readyz(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    health(query, server.not_ready(), "ready")
}

fn health(query: Option<String>, trouble: Option<String>, good: &str) -> Response<Body> {
    match (Query::parse(query.as_deref(), &[]), trouble) {
        (Err(refusal), _) => refusal.answer(),
        (Ok(_), None) => plain(StatusCode::OK, good.to_owned()),
        (Ok(_), Some(why)) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

// --- symbols ---------------------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct Symbols<'a> {
    symbols: Vec<Symbol<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct Symbol<'a> {
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

pub(super) async fn symbols(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    symbols_of(&server, query.as_deref()).map_or_else(|refusal| refusal.answer(), json)
}

fn symbols_of(server: &Server, query: Option<&str>) -> Result<String, Refusal> {
    let query = Query::parse(query, &["q", "limit"])?;
    let limit = query.number("limit", 1, MOST_SYMBOLS)?.unwrap_or(SOME_SYMBOLS);
    let text = query.text("q", MOST_TEXT)?.unwrap_or_default();
    let (found, total, marks, rule) = {
        let view = server.hub.view();
        let (found, total) = view.symbols(text, limit);
        (found, total, view.marks, *view.rule())
    };
    let symbols = found.iter().map(|of| Symbol {
        symbol: &of.symbol,
        minute: of.minute.into(),
        state: marks.state(&rule, of.minute).name(),
        last: of.newest.last(),
        avg: of.newest.avg,
        count: of.newest.count,
        first_minute: of.first_minute.into(),
        first: of.first,
        change: of.change(),
        volume: of.newest.market.as_ref().map(|market| market.volume.to_string()),
    });
    Ok(serde_json::to_string(&Symbols { symbols: symbols.collect(), total }).expect("memory takes it"))
}

// --- minutes ---------------------------------------------------------------------------------------------------------

/// What follows the rows.
#[derive(Serialize)]
struct End {
    next: Option<String>,
    since: Option<Ms>,
    source: &'static str,
}

/// One question for rows.
struct Asked {
    wanted: Wanted,
    csv: bool,
    limit: Option<usize>,
}

impl Asked {
    fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let query = Query::parse(query, &["symbol*", "from", "to", "format", "cursor", "limit"])?;
        let csv = match query.get("format") {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "`format` is json or csv")),
        };
        let limit = query.number("limit", 1, MOST_LIMIT)?;
        let mut symbols: Vec<String> = query.names("symbol", MOST_ASKED)?.into_iter().map(str::to_owned).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let (from, to) = (query.time("from")?, query.time("to")?);
        let after = query.get("cursor").map(read_cursor).transpose()?;
        let wanted = Wanted {
            from: from.unwrap_or(WindowStart(-EventTime::LIMIT)),
            to: to.unwrap_or(WindowStart(EventTime::LIMIT)),
            symbols: (!symbols.is_empty()).then_some(symbols),
            after,
        };
        Ok(Asked { wanted, csv, limit })
    }
}

/// Where a page ends, as text that clients give back: the minute in milliseconds, the symbol in hexadecimal.
fn cursor(row: &Row) -> String {
    let mut text = format!("{}.", row.minute.0.div_euclid(MS));
    row.symbol.bytes().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes it"));
    text
}

fn read_cursor(text: &str) -> Result<(WindowStart, String), Refusal> {
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
    read().ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "`cursor` is what an answer gave as `next`"))
}

/// A page: first what a sink has stored of minutes that are no longer in memory, then memory. May block.
fn page<'a>(
    view: impl Fn() -> MutexGuard<'a, View>,
    history: Option<&dyn History>,
    wanted: &Wanted,
    limit: usize,
) -> Result<Vec<Row>, Refusal> {
    let (mut rows, mut from) = (Vec::new(), wanted.from);
    loop {
        let begins = view().begins();
        let reached = wanted.after.as_ref().map_or(from, |(minute, _)| from.max(*minute));
        if let (Some(history), true) = (history, reached < begins) {
            let older = Wanted { from, to: wanted.to.min(begins), ..wanted.clone() };
            let page = history.page(&older, limit - rows.len());
            rows.extend(page.map_err(|why| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, &why))?);
        }
        if rows.len() == limit {
            return Ok(rows);
        }
        from = from.max(begins);
        let view = view();
        // What memory has given up since is the history's: in neither half, it would be passed over for good.
        if history.is_none() || view.begins() <= begins {
            rows.extend(view.page(&Wanted { from, ..wanted.clone() }, limit - rows.len()));
            return Ok(rows);
        }
    }
}

/// [`page`], where it may block.
async fn page_beside(server: &Arc<Server>, wanted: Wanted, limit: usize) -> Result<Vec<Row>, Refusal> {
    let server = Arc::clone(server);
    let page = move || page(|| server.hub.view(), server.about.history.as_deref(), &wanted, limit);
    let page = tokio::task::spawn_blocking(page).await;
    page.unwrap_or_else(|_| Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the rows cannot be read")))
}

pub(super) async fn minutes(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    let asked = match Asked::of(query.as_deref()) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.answer(),
    };
    rows(server, asked).await.unwrap_or_else(|refusal| refusal.answer())
}

/// JSON is one page of limited length, of which the end says where the next one begins; a CSV is the whole.
async fn rows(server: Arc<Server>, asked: Asked) -> Result<Response<Body>, Refusal> {
    let limit = match asked.csv {
        true => asked.limit.unwrap_or(usize::MAX),
        false => asked.limit.unwrap_or(PAGE_ROWS).min(MOST_ROWS),
    };
    let mut answer = Answer { server, csv: asked.csv, wanted: asked.wanted, left: limit, sent: false };
    // What is wrong is told as long as it can be: with the first piece.
    let (first, more) = answer.piece().await?;
    let body = if more {
        let rest = futures_util::stream::unfold(Some(answer), |answer| async {
            let mut answer = answer?;
            // Half an answer must not look like a whole one.
            let piece = answer.piece().await.map_err(|refusal| io::Error::other(refusal.why));
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

/// Rows on their way to a client. Between two pieces nothing is kept but where the next one begins: a client that does not
/// read costs no more than what is on its way.
struct Answer {
    server: Arc<Server>,
    csv: bool,
    /// What is not sent yet.
    wanted: Wanted,
    /// Rows that may still be sent.
    left: usize,
    /// Something was.
    sent: bool,
}

impl Answer {
    /// The next piece, and whether there are more.
    async fn piece(&mut self) -> Result<(Bytes, bool), Refusal> {
        let limit = self.left.min(PIECE_ROWS);
        let rows = page_beside(&self.server, self.wanted.clone(), limit).await?;
        self.left -= rows.len();
        let more = rows.len() == limit && self.left > 0;
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
        for (n, row) in rows.iter().enumerate() {
            if n > 0 || self.sent {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &JsonRow::from(row)).expect("memory takes it");
        }
        if !more {
            let stored = self.server.about.history.is_some();
            let since = self.server.hub.view().since().filter(|_| !stored);
            let end = End {
                next: rows.last().filter(|_| self.left == 0).map(cursor),
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

    /// What a sink has stored; while it is asked, memory goes on to the minute that comes next of these.
    struct Slow<'a> {
        stored: Vec<Row>,
        view: &'a Mutex<View>,
        meanwhile: Mutex<Vec<i64>>,
    }

    impl History for Slow<'_> {
        fn page(&self, wanted: &Wanted, limit: usize) -> Result<Vec<Row>, String> {
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
            let (mut wanted, mut got) = (Wanted { from, to, symbols: None, after: None }, Vec::new());
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
        assert_eq!(Asked::of(Some(&query)).unwrap().wanted.after.unwrap().1, symbol);
        assert!(Query::parse(Some(&format!("q={encoded}")), &["q"]).unwrap().text("q", MOST_TEXT).is_ok());
    }

    #[test]
    fn questions_are_bounded() {
        let refused = |query: &str| Asked::of(Some(query)).map(drop).unwrap_err();
        for bad in ["limit=0", "limit=1000000001", "format=xml", "symbol=", "from=x", "cursor=x", "x=1"] {
            assert_eq!(refused(bad).status, StatusCode::BAD_REQUEST, "{bad}");
        }
        let many: String = (0..=MOST_ASKED).map(|n| format!("symbol={n}&")).collect();
        assert_eq!(refused(&many).status, StatusCode::BAD_REQUEST);
        let asked = Asked::of(Some("symbol=B&symbol=A&symbol=B&format=csv&limit=1000000")).unwrap();
        assert_eq!(asked.wanted.symbols.as_deref(), Some(&["A".to_owned(), "B".to_owned()][..]));
    }
}
