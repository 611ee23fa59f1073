//! The HTTP side: writes by reqwest, because influxdb2 has no time-outs, leaves backslashes in fields unescaped, and
//! compresses only with more dependencies; set-up and health by influxdb2.

use super::Address;
use super::retry::{self, Pace};
use crate::clock::Clock;
use minutely_dataflows::delivery::{Verdict, judge};
use minutely_dataflows::edge::{Halt, HaltKind};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use std::error::Error;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// As much of an answer as is read. A 400 quotes every bad line.
const ANSWER_BYTES: usize = 64 * 1024;

/// What came back from a write.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer.
    Status {
        status: u16,
        retry_after: Option<Duration>,
        /// The server's words, up to [`ANSWER_BYTES`].
        text: String,
    },
    /// None: no connection, cut off, or too slow.
    Lost(String),
}

/// A connection to one bucket.
pub(super) struct Client {
    http: reqwest::Client,
    write: reqwest::Url,
    token: HeaderValue,
    clock: Clock,
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

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// 64 when TLS cannot be set up.
    pub(super) fn new(address: &Address, pace: Pace, clock: Clock) -> Result<Self, Halt> {
        let http = reqwest::Client::builder()
            .timeout(pace.request)
            .redirect(reqwest::redirect::Policy::none()) // a POST would go on as a GET
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| Halt::new(HaltKind::Usage, format!("{}: {}", address.name, causes(e))))?;
        let mut write = address.base.clone();
        write.set_path("/api/v2/write");
        write
            .query_pairs_mut()
            .append_pair("org", &address.org)
            .append_pair("bucket", &address.bucket)
            .append_pair("precision", "ns");
        Ok(Client { http, write, token: address.token.header(), clock })
    }

    /// Sends lines, compressed already.
    pub(super) async fn write(&self, gzip: Vec<u8>) -> Reply {
        let request = self
            .http
            .post(self.write.clone())
            .header(AUTHORIZATION, self.token.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(gzip);
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(e) if e.is_timeout() => return Reply::Lost("no answer in time".to_owned()),
            Err(e) => return Reply::Lost(causes(e)),
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
        Reply::Status { status, retry_after, text: message(&String::from_utf8_lossy(&bytes)) }
    }
}

/// The `message` of InfluxDB's JSON answer, or all of another.
fn message(text: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let message = json.as_ref().and_then(|json| json.get("message")).and_then(|m| m.as_str());
    message.unwrap_or(text).trim().to_owned()
}

/// The first words of an answer, for logs.
pub(super) fn brief(text: &str) -> String {
    let mut words: String = text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if words.len() < text.len() {
        words.push('…');
    }
    words
}

/// What the set-up check found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SetUp {
    /// Seconds that the bucket keeps points; none if for ever, or if the token may not ask.
    pub(super) retention: Option<u64>,
}

/// Is the server there, and may we write to the bucket? Asked by an empty write, which leaves nothing behind. Tries
/// until the patience ends. Not to be called on an async runtime's thread.
///
/// # Errors
/// 64 when the server says no, with what to do; 69 when it says nothing.
pub(super) fn look(address: &Address, pace: Pace, patience: Duration, clock: Clock) -> Result<SetUp, Halt> {
    let client = Client::new(address, pace, clock)?;
    let admin = influxdb2::ClientBuilder::new(address.base.as_str(), &address.org, address.token.secret())
        .build()
        .map_err(|e| Halt::new(HaltKind::Usage, format!("{}: {e}", address.name)))?;
    let runtime = runtime()?;
    let begun = Instant::now();
    let mut backoff = retry::Backoff::new(pace);
    runtime.block_on(async {
        loop {
            let (why, asked) = match attempt(address, &client, &admin, pace).await {
                Attempt::Well(set_up) => return Ok(set_up),
                Attempt::No(why) => {
                    return Err(Halt::new(HaltKind::Usage, format!("{}: {why}", address.name)));
                }
                Attempt::Later(why, asked) => (why, asked),
            };
            let wait = backoff.wait(asked);
            if begun.elapsed() + wait > patience {
                let patience = patience.as_secs();
                let why =
                    format!("{}: {why}; tried for {patience} s: start the server or correct the address", address.name);
                return Err(Halt::new(HaltKind::Unreachable, why));
            }
            tracing::info!("{}: {why}; trying again", address.name);
            tokio::time::sleep(wait).await;
        }
    })
}

enum Attempt {
    Well(SetUp),
    No(String),
    Later(String, Option<Duration>),
}

async fn attempt(address: &Address, client: &Client, admin: &influxdb2::Client, pace: Pace) -> Attempt {
    match tokio::time::timeout(pace.request, admin.health()).await {
        Ok(Ok(health)) if health.status == influxdb2::models::Status::Fail => {
            let why = health.message.unwrap_or_else(|| "it is not healthy".to_owned());
            return Attempt::Later(format!("the server says: {}", brief(&why)), None);
        }
        Ok(Ok(health)) => tracing::debug!("{}: version {}", address.name, health.version.unwrap_or_default()),
        // Not every proxy lets it through; the write decides.
        Ok(Err(e)) => tracing::debug!("{}: no health: {e}", address.name),
        Err(_) => return Attempt::Later("no answer in time".to_owned(), None),
    }
    match client.write(super::writer::gzip(b"")).await {
        Reply::Lost(why) => Attempt::Later(why, None),
        Reply::Status { status, retry_after, text } => match judge(status) {
            Verdict::Done => Attempt::Well(SetUp { retention: retention(address, admin, pace).await }),
            Verdict::Again => Attempt::Later(format!("{status}: {}", brief(&text)), retry_after),
            Verdict::Split | Verdict::Blame | Verdict::Hold => Attempt::No(advice(address, status, &text)),
        },
    }
}

/// What to do about a server that does not let us write.
pub(super) fn advice(address: &Address, status: u16, text: &str) -> String {
    let (org, bucket, said) = (&address.org, &address.bucket, brief(text));
    match status {
        401 => format!("the server does not know the token ({status}: {said}); set {}", address.token.from),
        403 => format!(
            "the token may not write to bucket `{bucket}` ({status}: {said}); set {} to one that may",
            address.token.from
        ),
        404 => format!(
            "the server does not find organization `{org}` or bucket `{bucket}` ({status}: {said}); create the bucket \
             or correct the names"
        ),
        _ => format!("unexpected answer to a write ({status}: {said}); is this the address of an InfluxDB 2?"),
    }
}

async fn retention(address: &Address, admin: &influxdb2::Client, pace: Pace) -> Option<u64> {
    let request = influxdb2::api::buckets::ListBucketsRequest {
        name: Some(address.bucket.clone()),
        org: Some(address.org.clone()),
        ..Default::default()
    };
    let listed = tokio::time::timeout(pace.request, admin.list_buckets(Some(request))).await;
    let bucket = listed.ok()?.ok()?.buckets.into_iter().find(|bucket| bucket.name == address.bucket)?;
    let rules = bucket.retention_rules.iter();
    rules.filter_map(|rule| u64::try_from(rule.every_seconds).ok().filter(|s| *s > 0)).min()
}

/// A runtime on the calling thread.
///
/// # Errors
/// When the system gives no means to wait.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Halt> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Halt::new(HaltKind::Internal, format!("no runtime for influxdb: {e}")))
}
