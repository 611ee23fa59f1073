//! The HTTP side: writes by reqwest, because influxdb2 has no time-outs, leaves backslashes in fields unescaped, and
//! compresses only with more dependencies; set-up and health by influxdb2, where there is a v2 API.

use super::address::{Access, Address, Place};
use super::retry::{self, Pace};
use crate::clock::Clock;
use minutely_dataflows::delivery::{Verdict, judge};
use minutely_dataflows::edge::{Halt, HaltKind};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
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

/// A connection to one bucket or database.
pub(super) struct Client {
    http: reqwest::Client,
    write: reqwest::Url,
    address: Arc<Address>,
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

/// Why there was no answer.
fn lost(error: reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { causes(error) }
}

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// 64 when TLS cannot be set up.
    pub(super) fn new(address: &Arc<Address>, pace: Pace, clock: Clock) -> Result<Self, Halt> {
        let http = reqwest::Client::builder()
            .timeout(pace.request)
            .redirect(reqwest::redirect::Policy::none()) // a POST would go on as a GET
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| Halt::new(HaltKind::Usage, format!("{}: {}", address.name, causes(e))))?;
        Ok(Client { http, write: address.write_url(), address: Arc::clone(address), clock })
    }

    /// Sends lines, compressed already.
    pub(super) async fn write(&self, gzip: Vec<u8>) -> Reply {
        let request = self
            .address
            .access
            .sign(self.http.post(self.write.clone()))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(gzip);
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(e) => return Reply::Lost(lost(e)),
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

    /// Is the server there? Any answer will do that is no error of its own: not every proxy lets a ping through.
    ///
    /// # Errors
    /// Why it is not, as a write would say it.
    pub(super) async fn ping(&self) -> Result<(), String> {
        let mut url = self.address.base.clone();
        url.set_path("/ping");
        match self.address.access.sign(self.http.get(url)).send().await {
            Ok(answer) if answer.status().is_server_error() => Err(format!("{} to a ping", answer.status())),
            Ok(_) => Ok(()),
            Err(e) => Err(lost(e)),
        }
    }
}

/// The `message` of InfluxDB's JSON answer (an InfluxDB 1 calls it `error`), or all of another.
fn message(text: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let named = |name| json.as_ref().and_then(|json| json.get(name)).and_then(|m| m.as_str());
    let message = named("message").or_else(|| named("error"));
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
    /// Seconds that the bucket or database keeps points; none if for ever, or if we may not ask.
    pub(super) retention: Option<u64>,
}

/// Is the server there, and may we write to the place? Asked by an empty write, which leaves nothing behind. Tries
/// until the patience ends. Not to be called on an async runtime's thread.
///
/// # Errors
/// 64 when the server says no, with what to do; 69 when it says nothing.
pub(super) fn look(address: &Arc<Address>, pace: Pace, patience: Duration, clock: Clock) -> Result<SetUp, Halt> {
    let client = Client::new(address, pace, clock)?;
    let admin = Admin::of(address)?;
    let runtime = runtime()?;
    let begun = Instant::now();
    let mut backoff = retry::Backoff::new(pace);
    runtime.block_on(async {
        loop {
            let (why, asked) = match attempt(&client, admin.as_ref(), pace).await {
                Attempt::Well(set_up) => return Ok(set_up),
                Attempt::No(why) => {
                    return Err(Halt::new(HaltKind::Usage, format!("{}: {why}", address.name)));
                }
                Attempt::Later(why, asked) => (why, asked),
            };
            let wait = backoff.wait(asked);
            if begun.elapsed() + wait > patience {
                let tried = begun.elapsed().as_secs_f64();
                let why =
                    format!("{}: {why}; tried for {tried:.1} s: start the server or correct the address", address.name);
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

/// The v2 API beside writes.
struct Admin {
    client: influxdb2::Client,
    org: String,
    bucket: String,
}

impl Admin {
    /// None for an InfluxDB 1, which has none.
    fn of(address: &Address) -> Result<Option<Self>, Halt> {
        let (Place::Bucket { org, bucket }, Access::Token(token)) = (&address.place, &address.access) else {
            return Ok(None);
        };
        let client = influxdb2::ClientBuilder::new(address.base.as_str(), org, &token.text)
            .build()
            .map_err(|e| Halt::new(HaltKind::Usage, format!("{}: {e}", address.name)))?;
        Ok(Some(Admin { client, org: org.clone(), bucket: bucket.clone() }))
    }

    async fn retention(&self, pace: Pace) -> Option<u64> {
        let request = influxdb2::api::buckets::ListBucketsRequest {
            name: Some(self.bucket.clone()),
            org: Some(self.org.clone()),
            ..Default::default()
        };
        let listed = tokio::time::timeout(pace.request, self.client.list_buckets(Some(request))).await;
        let bucket = listed.ok()?.ok()?.buckets.into_iter().find(|bucket| bucket.name == self.bucket)?;
        let rules = bucket.retention_rules.iter();
        rules.filter_map(|rule| u64::try_from(rule.every_seconds).ok().filter(|s| *s > 0)).min()
    }
}

async fn attempt(client: &Client, admin: Option<&Admin>, pace: Pace) -> Attempt {
    let address = &*client.address;
    if let Some(admin) = admin {
        match tokio::time::timeout(pace.request, admin.client.health()).await {
            Ok(Ok(health)) if health.status == influxdb2::models::Status::Fail => {
                let why = health.message.unwrap_or_else(|| "it is not healthy".to_owned());
                return Attempt::Later(format!("the server says: {}", brief(&why)), None);
            }
            Ok(Ok(health)) => tracing::debug!("{}: version {}", address.name, health.version.unwrap_or_default()),
            // Not every proxy lets it through; the write decides.
            Ok(Err(e)) => tracing::debug!("{}: no health: {e}", address.name),
            Err(_) => return Attempt::Later("no answer in time".to_owned(), None),
        }
    }
    match client.write(super::writer::gzip(b"")).await {
        Reply::Lost(why) => Attempt::Later(why, None),
        Reply::Status { status, retry_after, text } => match judge(status) {
            Verdict::Done => {
                let retention = match admin {
                    Some(admin) => admin.retention(pace).await,
                    None => client.retention().await,
                };
                Attempt::Well(SetUp { retention })
            }
            Verdict::Again => Attempt::Later(format!("{status}: {}", brief(&text)), retry_after),
            Verdict::Split | Verdict::Blame | Verdict::Hold => Attempt::No(advice(address, status, &text)),
        },
    }
}

/// What to do about a server that does not let us write.
pub(super) fn advice(address: &Address, status: u16, text: &str) -> String {
    let said = format!("({status}: {})", brief(text));
    let place = match &address.place {
        Place::Bucket { bucket, .. } => format!("bucket `{bucket}`"),
        Place::Database(database) => format!("database `{database}`"),
    };
    match (status, &address.access, &address.place) {
        (401, Access::Token(token), _) => format!("the server does not know the token {said}; set {}", token.from),
        (401, Access::User { name, password }, _) => {
            format!("the server does not know user `{name}` with this password {said}; set {}", password.from)
        }
        (401 | 403, Access::Open, _) => {
            format!("the server wants to know who writes {said}; give ?user=NAME and a password, or ?token_env=NAME")
        }
        (403, Access::Token(token), _) => {
            format!("the token may not write to {place} {said}; set {} to one that may", token.from)
        }
        (403, Access::User { name, .. }, _) => {
            format!("user `{name}` may not write to {place} {said}; grant WRITE on it")
        }
        (404, _, Place::Bucket { org, .. }) => format!(
            "the server does not find organization `{org}` or {place} {said}; create the bucket or correct the names"
        ),
        (404, _, Place::Database(_)) => format!(
            "the server does not find {place} {said}; create it, or correct the name (on an InfluxDB 2, a bucket of that \
             name or a DBRP mapping to one)"
        ),
        (_, _, Place::Bucket { .. }) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 2?")
        }
        (_, _, Place::Database(_)) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 1?")
        }
    }
}

impl Client {
    /// How many seconds the default retention policy of the database keeps points. (An InfluxDB 2 says `0s` of every
    /// bucket, so nothing is known there.)
    async fn retention(&self) -> Option<u64> {
        let Place::Database(database) = &self.address.place else { return None };
        let name = database.replace('\\', r"\\").replace('"', r#"\""#);
        let mut url = self.address.base.clone();
        url.set_path("/query");
        url.query_pairs_mut().append_pair("q", &format!("SHOW RETENTION POLICIES ON \"{name}\""));
        let answer = self.address.access.sign(self.http.get(url)).send().await.ok()?;
        default_policy(&serde_json::from_str(&answer.text().await.ok()?).ok()?)
    }
}

/// The seconds of the default retention policy in the answer to `SHOW RETENTION POLICIES`; none if for ever.
fn default_policy(answer: &serde_json::Value) -> Option<u64> {
    let table = answer.pointer("/results/0/series/0")?;
    let columns = table.get("columns")?.as_array()?;
    let column = |name: &str| columns.iter().position(|column| column == name);
    let (default, duration) = (column("default")?, column("duration")?);
    let policy = table.get("values")?.as_array()?.iter().find(|policy| policy[default] == true)?;
    seconds(policy[duration].as_str()?).filter(|seconds| *seconds > 0)
}

/// `168h0m0s`, as Go writes it.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = match after.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &after[1..];
    }
    Some(sum)
}

/// A runtime on the calling thread.
///
/// # Errors
/// When the system gives no means to wait.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Halt> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Halt::new(HaltKind::Internal, format!("no runtime for influxdb: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_retention_policy_is_the_one_that_counts() {
        assert_eq!(seconds("168h0m0s"), Some(7 * 86_400));
        assert_eq!((seconds("1h2m3s"), seconds("0s"), seconds("")), (Some(3_723), Some(0), Some(0)));
        assert_eq!((seconds("1h2"), seconds("h"), seconds("1.5h"), seconds("INF")), (None, None, None, None));
        let answer = |policies: serde_json::Value| {
            let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
            json!({"results": [{"statement_id": 0, "series": [{"columns": columns, "values": policies}]}]})
        };
        let week = json!(["week", "168h0m0s", "24h0m0s", 1, false]);
        let hour = json!(["hour", "1h0m0s", "1h0m0s", 1, true]);
        let ever = json!(["autogen", "0s", "168h0m0s", 1, true]);
        assert_eq!(default_policy(&answer(json!([week, hour]))), Some(3_600));
        assert_eq!(default_policy(&answer(json!([week, ever]))), None);
        assert_eq!(default_policy(&answer(json!([]))), None);
        assert_eq!(default_policy(&json!({"results": [{"statement_id": 0, "error": "no"}]})), None);
        assert_eq!(default_policy(&json!({"error": "authorization failed"})), None);
    }
}
