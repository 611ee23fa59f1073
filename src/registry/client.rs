//! GET of a registry's paths, at several addresses, until one answers or the time is over.

use super::access::{RegistryAccess, RegistryLogin};
use super::error::RegistryError;
use crate::threads::Backoff;
use minutely_dataflows::escape::shortened;
use reqwest::header::{ACCEPT, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Url};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Bytes of an answer at most.
const ANSWER_BYTES: usize = 16 << 20;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegistryWaits {
    /// For one answer, attempts included.
    pub(super) all: Duration,
    /// For one attempt.
    pub(super) request: Duration,
    /// Between attempts, at first and at most.
    pub(super) pauses: (Duration, Duration),
    /// Between two questions for an id that has no schema.
    pub(super) doubt: Duration,
}

impl Default for RegistryWaits {
    fn default() -> Self {
        RegistryWaits {
            all: Duration::from_secs(30),
            request: Duration::from_secs(10),
            pauses: (Duration::from_millis(100), Duration::from_secs(5)),
            doubt: Duration::from_millis(500),
        }
    }
}

/// A client of one registry.
pub(super) struct RegistryClient {
    http: reqwest::Client,
    runtime: Runtime,
    /// The addresses; the one that answered last comes first.
    urls: Vec<Url>,
    access: RegistryAccess,
    wait: RegistryWaits,
}

/// What came of one attempt.
enum Attempt {
    /// The body.
    Found(Vec<u8>),
    /// The registry says that there is none.
    Missing,
    /// Another attempt may help; not before this, where the server says so.
    Again { why: String, not_before: Option<Duration> },
}

impl RegistryClient {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// TLS cannot be set up, or the system gives no means to wait.
    pub(super) fn new(
        urls: Vec<Url>,
        access: RegistryAccess,
        ca: Vec<Certificate>,
        wait: RegistryWaits,
    ) -> Result<Self, RegistryError> {
        let http = reqwest::Client::builder()
            .timeout(wait.request)
            .connect_timeout(wait.request)
            .redirect(reqwest::redirect::Policy::none()) // a login goes where it was meant for
            .tls_certs_merge(ca)
            .build()
            .map_err(|error| RegistryError::NoClient(causes(error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| RegistryError::NoClient(error.to_string()))?;
        Ok(RegistryClient { http, runtime, urls, access, wait })
    }

    /// The body at a path; none where the registry says that it has none.
    ///
    /// # Errors
    /// No answer in time, or one that says that this will not do.
    pub(super) fn get<T: DeserializeOwned>(&mut self, path: &[&str]) -> Result<Option<T>, RegistryError> {
        let begun = Instant::now();
        let mut backoff = Backoff::with_jitter(self.wait.pauses.0, self.wait.pauses.1);
        loop {
            let (mut last, mut pause) = (Vec::new(), Duration::ZERO);
            for at in 0..self.urls.len() {
                let url = under(&self.urls[at], path);
                let left = self.wait.all.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
                let attempt = self.runtime.block_on(self.attempt(url, left.min(self.wait.request)))?;
                let again = match attempt {
                    Attempt::Missing => {
                        self.urls.swap(0, at);
                        return Ok(None);
                    }
                    Attempt::Found(body) => match serde_json::from_slice(&body) {
                        Ok(body) => {
                            self.urls.swap(0, at);
                            return Ok(Some(body));
                        }
                        Err(_) => format!("no schema: {}", beginning(&body)),
                    },
                    Attempt::Again { why, not_before } => {
                        pause = pause.max(not_before.unwrap_or_default());
                        why
                    }
                };
                last.push(format!("{}: {again}", self.urls[at]));
            }
            let pause = backoff.next().max(pause);
            if begun.elapsed() + pause >= self.wait.all {
                return Err(RegistryError::Unreachable { after: self.wait.all, last });
            }
            self.pause(pause);
        }
    }

    /// Has the next question asked at another address first, where there is one.
    pub(super) fn turn(&mut self) {
        self.urls.rotate_left(1);
    }

    /// Waits.
    pub(super) fn pause(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    async fn attempt(&self, url: Url, timeout: Duration) -> Result<Attempt, RegistryError> {
        let request =
            self.http.get(url.clone()).header(ACCEPT, "application/vnd.schemaregistry.v1+json, application/json");
        let mut answer = match self.access.sign(request).timeout(timeout).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return Ok(again("no answer in time", None)),
            Err(error) => {
                let why = causes(error);
                let is_unknown = why.contains("certificate");
                let hint = if is_unknown { " (--schema-registry-ca names who may have signed it)" } else { "" };
                return Ok(again(format!("{why}{hint}"), None));
            }
        };
        let status = answer.status().as_u16();
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let not_before = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let elsewhere = header(LOCATION).map(|to| format!("to {}", shortened(crate::uri::redacted(to).as_str())));
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES => {
                    return Ok(again(format!("an answer of more than {ANSWER_BYTES} bytes"), None));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) if status == 200 => return Ok(again(format!("cut off: {}", causes(error)), None)),
                Err(_) => break, // the status is what counts
            }
        }
        let words = words(&body);
        let has_login = !matches!(self.access.login, RegistryLogin::None);
        match status {
            200 => Ok(Attempt::Found(body)),
            404 if is_registry(&body) => Ok(Attempt::Missing),
            408 | 429 | 500.. => Ok(again(format!("it answers {status} ({words})"), not_before)),
            401 | 403 => Err(RegistryError::Refused { url: url.to_string(), status, words, has_login }),
            _ => Err(RegistryError::NoRegistry { url: url.to_string(), status, words: elsewhere.unwrap_or(words) }),
        }
    }
}

fn again(why: impl Into<String>, not_before: Option<Duration>) -> Attempt {
    Attempt::Again { why: why.into(), not_before }
}

/// Addresses between commas.
///
/// # Errors
/// All mistakes.
pub(super) fn addresses(text: &str) -> Result<Vec<Url>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut urls = Vec::new();
    for part in text.split(',').map(str::trim) {
        let shown = crate::uri::redacted(part);
        let mistake = match part.parse::<Url>() {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => "is not http://… or https://…",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "has a login, which other users of this machine can see: give --schema-registry-user, and the password in \
                 MINUTELY_SCHEMA_REGISTRY_PASSWORD"
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => "takes no ?… and no #…",
            Ok(url) => {
                urls.push(url);
                continue;
            }
            Err(_) => "is not an address such as https://registry:8081",
        };
        mistakes.push(format!("--schema-registry {shown}: {mistake}"));
    }
    if mistakes.is_empty() { Ok(urls) } else { Err(mistakes) }
}

/// A path under an address, which may have one itself.
fn under(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("http and https have paths").pop_if_empty().extend(path);
    url
}

/// Does a registry say that it has no such subject, version or schema (40401 to 40403)? A path that it has not is an error 404, or
/// the page of another server.
fn is_registry(body: &[u8]) -> bool {
    let json = serde_json::from_slice::<serde_json::Value>(body).ok();
    let code = json.as_ref().and_then(|json| json.get("error_code")).and_then(serde_json::Value::as_i64);
    code.is_some_and(|code| (40400..40500).contains(&code))
}

/// A registry's message, else the beginning of an answer.
fn words(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")).and_then(|message| message.as_str());
    message.map_or_else(|| beginning(body), shortened)
}

fn beginning(body: &[u8]) -> String {
    match String::from_utf8_lossy(&body[..body.len().min(400)]).trim() {
        "" => "nothing".to_owned(),
        text => shortened(text),
    }
}

/// An error with its causes, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
