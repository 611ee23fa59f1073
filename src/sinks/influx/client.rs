//! HTTP by reqwest alone: the client libraries for InfluxDB have no time-outs, take no address with a path, leave backslashes
//! in fields unescaped, and compress only with more dependencies.

use super::error::InfluxError;
use super::retry::{self, Timeouts};
use super::target::{Destination, InfluxTarget};
use crate::clock::SystemClock;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are read at most. A 400 quotes every bad line.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long a query for rows may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(120);

/// What came back from a request.
#[derive(Debug)]
pub(super) enum HttpReply {
    /// An answer.
    Status {
        status: u16,
        retry_after: Option<Duration>,
        /// The server's words, up to [`ANSWER_BYTES`].
        text: String,
        /// The text says that it failed, or is a page for people, whatever the status.
        fails: bool,
    },
    /// No answer: no connection, cut off, or too slow.
    Lost {
        why: String,
        /// It had the whole time, and did not answer.
        slow: bool,
    },
}

/// A connection to one bucket or database.
pub(super) struct Client {
    http: reqwest::Client,
    write: reqwest::Url,
    target: Arc<InfluxTarget>,
    clock: SystemClock,
    /// Which proxy the environment puts between, in words; else empty.
    via: String,
}

/// An error with its causes, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("a string takes what is written to it");
        cause = error.source();
    }
    text
}

/// The proxy that the environment names for this address, as reqwest reads it; never a password.
fn via(target: &InfluxTarget) -> String {
    let uri = target.base.as_str().parse::<hyper::Uri>().ok();
    let proxy = uri.and_then(|uri| Some(Matcher::from_system().intercept(&uri)?.uri().to_string()));
    proxy.map_or_else(String::new, |proxy| {
        let variable = if target.base.scheme() == "https" { "https_proxy" } else { "http_proxy" };
        let host = target.base.host_str().unwrap_or_default();
        format!(" (by the proxy {proxy}, from {variable} or all_proxy; no_proxy={host} goes without)")
    })
}

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// 64 when TLS cannot be set up.
    pub(super) fn new(target: &Arc<InfluxTarget>, timeouts: Timeouts, clock: SystemClock) -> Result<Self, InfluxError> {
        let request = target.timeout.unwrap_or(timeouts.request);
        let http = reqwest::Client::builder()
            .timeout(request)
            .connect_timeout(request)
            .redirect(reqwest::redirect::Policy::none()) // a POST would become a GET
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| InfluxError::NoClient { name: target.name.clone(), causes: causes(e) })?;
        Ok(Client { http, write: target.write_url(), target: Arc::clone(target), clock, via: via(target) })
    }

    /// Which proxy is between, in words; else empty.
    pub(super) fn via(&self) -> &str {
        &self.via
    }

    /// Where it writes.
    pub(super) fn destination(&self) -> &Destination {
        &self.target.destination
    }

    /// Sends compressed lines, and waits for an answer at most for `wait`.
    pub(super) async fn write(&self, gzip: Vec<u8>, wait: Duration) -> HttpReply {
        let request = self.http.post(self.write.clone()).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        self.send(request.header(CONTENT_ENCODING, "gzip").body(gzip).timeout(wait)).await
    }

    /// Asks in Flux.
    pub(super) async fn flux(&self, org: &str, query: String) -> HttpReply {
        let mut url = self.target.url("/api/v2/query");
        url.query_pairs_mut().append_pair("org", org);
        let request =
            self.http.post(url).header(CONTENT_TYPE, "application/vnd.flux").header(ACCEPT, "application/csv");
        self.send(request.body(query)).await
    }

    /// The whole answer to a query in Flux, as CSV that says which columns are tags.
    ///
    /// # Errors
    /// There is none, in words.
    pub(super) async fn flux_tables(&self, org: &str, query: &str) -> Result<String, String> {
        let mut url = self.target.url("/api/v2/query");
        url.query_pairs_mut().append_pair("org", org);
        let body = serde_json::json!({ "query": query, "dialect": { "header": true, "annotations": ["group"] } });
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/csv");
        self.whole(request.body(body.to_string())).await
    }

    /// The whole answer to a query in InfluxQL, as JSON.
    ///
    /// # Errors
    /// There is none, in words.
    pub(super) async fn influxql(&self, query: &[(&str, String)]) -> Result<String, String> {
        let mut url = self.target.url("/query");
        url.query_pairs_mut().extend_pairs(query);
        self.whole(self.http.get(url).header(ACCEPT, "application/json")).await
    }

    /// Deletes points: by the v2 API.
    pub(super) async fn delete(&self, names: [(&str, &str); 2], body: &serde_json::Value) -> HttpReply {
        let mut url = self.target.url("/api/v2/delete");
        url.query_pairs_mut().extend_pairs(names);
        self.send(self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    }

    /// Carries out a statement of InfluxQL that changes something.
    pub(super) async fn influxql_change(&self, query: &[(&str, String)]) -> HttpReply {
        let mut url = self.target.url("/query");
        url.query_pairs_mut().extend_pairs(query);
        self.send(self.http.post(url)).await
    }

    /// The text of an answer, however long it is.
    async fn whole(&self, request: reqwest::RequestBuilder) -> Result<String, String> {
        let lost = |e: reqwest::Error| format!("{}{}", causes(e), self.via);
        let answer = self.target.access.sign(request).timeout(QUERY_TIMEOUT).send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(lost)?;
        if status == 200 { Ok(text) } else { Err(format!("{status}: {}", brief(&message(&text).0))) }
    }

    /// A GET of this path.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> HttpReply {
        let mut url = self.target.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> HttpReply {
        let mut answer = match self.target.access.sign(request).send().await {
            Ok(answer) => answer,
            Err(e) => {
                let slow = e.is_timeout() && !e.is_connect();
                let why = if e.is_timeout() { "no answer in time".to_owned() } else { causes(e) };
                return HttpReply::Lost { why: format!("{why}{}", self.via), slow };
            }
        };
        let status = answer.status().as_u16();
        let header = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| retry::retry_after(value, self.clock.wall().0));
        let mut bytes = Vec::new();
        while bytes.len() < ANSWER_BYTES {
            match answer.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break, // the status is what counts
            }
        }
        bytes.truncate(ANSWER_BYTES);
        let (text, fails) = message(&String::from_utf8_lossy(&bytes));
        HttpReply::Status { status, retry_after, text, fails }
    }

    /// Does the server answer? Any answer but a 5xx will do: not every proxy lets a ping through.
    ///
    /// # Errors
    /// Why it is not, as a write would say it.
    pub(super) async fn ping(&self) -> Result<(), String> {
        match self.get("/ping", &[]).await {
            HttpReply::Status { status: status @ 500.., .. } => Err(format!("{status} to a ping{}", self.via)),
            HttpReply::Status { .. } => Ok(()),
            HttpReply::Lost { why, .. } => Err(why),
        }
    }
}

/// The `message` of InfluxDB's JSON answer (an InfluxDB 1 calls it `error`), or all of another; and whether it is an error by
/// its own words, or a page.
fn message(text: &str) -> (String, bool) {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let named = |name| json.as_ref().and_then(|json| json.get(name)).and_then(|m| m.as_str());
    let message = named("message").or_else(|| named("error"));
    let fails = named("error").is_some() || text.trim_start().starts_with('<');
    (message.unwrap_or(text).trim().to_owned(), fails)
}

/// Lines, compressed; the same lines give the same bytes.
pub(super) fn gzip(lines: &[u8]) -> Vec<u8> {
    compressed(lines, Compression::fast())
}

/// Lines, compressed at this level.
pub(super) fn compressed(lines: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(lines).expect("memory takes what is written to it");
    encoder.finish().expect("memory takes what is written to it")
}

/// The first words of an answer, for logs.
pub(super) fn brief(text: &str) -> String {
    let mut words: String = text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if words.len() < text.len() {
        words.push('…');
    }
    words
}

/// A runtime on the calling thread.
///
/// # Errors
/// When the system gives no means to wait.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, InfluxError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(InfluxError::NoRuntime)
}
