//! HTTP and websockets by the one client that the program has: its TLS, its certificates, and the proxy that `https_proxy`
//! names. The websocket's handshake (RFC 6455, 4.1) is an HTTP request whose connection is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minutely_dataflows::escape::shortened;
use reqwest::header::{CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE, UPGRADE};
use reqwest::{Method, Request, StatusCode, Upgraded, Url};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::SecureRandom;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes of an answer, and of a frame, at most.
const MOST_BYTES: usize = 8 << 20;
/// A server on this machine that stands for all feeds, in tests: `http://127.0.0.1:PORT`.
const TEST_URL: &str = "MINUTELY_TEST_FEED_URL";
/// What RFC 6455, 1.3 adds to the key.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client of a feed's servers.
#[derive(Clone)]
pub(super) struct FeedClient {
    http: reqwest::Client,
    /// Scheme, host and port that stand for all others.
    stand_in: Option<Url>,
    limit: Duration,
}

/// An open websocket.
pub(super) type FeedSocket = WebSocketStream<Upgraded>;

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct FeedAnswer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// `name=value` of each cookie that is set, for a `Cookie` header.
    pub(super) cookies: String,
}

/// Why there is no websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HandshakeError {
    /// No answer, or not one to a handshake.
    Broken(String),
    /// An answer with another status than 101, its beginning, and how long its server asks to wait.
    Status { status: u16, words: String, retry_after: Option<Duration> },
}

impl FeedClient {
    /// Connects to nothing yet. `limit`: for a connection, and for an answer.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(stand_in: Option<Url>, limit: Duration) -> Result<Self, String> {
        let agent = concat!("minutely/", env!("CARGO_PKG_VERSION"));
        let builder = reqwest::Client::builder().connect_timeout(limit).http1_only().user_agent(agent);
        let builder = if stand_in.is_some() { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(causes)?;
        Ok(FeedClient { http, stand_in, limit })
    }

    /// The address, or its path at the server that stands for all.
    fn url(&self, url: &str) -> Result<Url, String> {
        let url: Url = url.parse().map_err(causes)?;
        let Some(stand_in) = &self.stand_in else { return Ok(url) };
        let mut moved = stand_in.clone();
        moved.set_path(url.path());
        moved.set_query(url.query());
        Ok(moved)
    }

    /// Opens a websocket.
    ///
    /// # Errors
    /// There is no answer in time, or it is another one.
    pub(super) async fn open(&self, url: &str) -> Result<FeedSocket, HandshakeError> {
        let broken = HandshakeError::Broken;
        let mut nonce = [0_u8; 16];
        ring::rand::SystemRandom::new().fill(&mut nonce).map_err(|_| broken("no random numbers".to_owned()))?;
        let key = STANDARD.encode(nonce);
        let mut request = Request::new(Method::GET, self.url(url).map_err(broken)?);
        *request.headers_mut() = handshake_headers(&key);
        let answer = timeout(self.limit, self.http.execute(request)).await;
        let answer = answer.map_err(|_| broken("no answer in time".to_owned()))?.map_err(|why| broken(causes(why)))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            let status = answer.status().as_u16();
            let body = timeout(self.limit, body(answer)).await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default();
            return Err(HandshakeError::Status { status, words: words(&body), retry_after });
        }
        let proof = answer.headers().get("sec-websocket-accept");
        if proof.is_none_or(|proof| proof.as_bytes() != accept_key(&key).as_bytes()) {
            return Err(broken("its answer does not complete the handshake of a websocket".to_owned()));
        }
        let upgraded = answer.upgrade().await.map_err(|why| broken(causes(why)))?;
        let config = WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
    }

    /// Asks by GET. `cookies`: `name=value; …`, or empty.
    ///
    /// # Errors
    /// There is no answer in time, or it is cut off or too long.
    pub(super) async fn get(&self, url: &str, cookies: &str) -> Result<FeedAnswer, String> {
        let mut request = Request::new(Method::GET, self.url(url)?);
        if let Some(value) = HeaderValue::from_str(cookies).ok().filter(|_| !cookies.is_empty()) {
            request.headers_mut().insert(reqwest::header::COOKIE, value);
        }
        let whole = async {
            let answer = self.http.execute(request).await.map_err(causes)?;
            let (status, cookies) = (answer.status().as_u16(), cookies_of(answer.headers()));
            Ok(FeedAnswer { status, cookies, body: body(answer).await? })
        };
        timeout(self.limit, whole).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}

/// The server that `MINUTELY_TEST_FEED_URL` names, which must be of this machine.
///
/// # Errors
/// It is set and is no such address.
pub(super) fn stand_in() -> Result<Option<Url>, String> {
    let Some(text) = std::env::var(TEST_URL).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<Url>() {
        Ok(url) if url.scheme() == "http" && is_loopback(url.host_str()) => Ok(Some(url)),
        _ => Err(format!("{TEST_URL} {text}: is for tests alone, and takes http://127.0.0.1:PORT")),
    }
}

fn is_loopback(host: Option<&str>) -> bool {
    matches!(host, Some("127.0.0.1" | "[::1]" | "localhost"))
}

fn handshake_headers(key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    headers.insert("sec-websocket-key", HeaderValue::from_str(key).expect("base64 is ASCII"));
    headers
}

/// What a server answers to a key, so that nothing but a websocket's server is taken for one.
pub(super) fn accept_key(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_SUFFIX}").as_bytes()))
}

async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(causes)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(format!("an answer of more than {MOST_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn cookies_of(headers: &HeaderMap) -> String {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    set.filter_map(|text| text.split(';').next()).map(str::trim).collect::<Vec<_>>().join("; ")
}

/// The beginning of an answer, for messages.
pub(super) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
    match text.trim() {
        "" => "without a text".to_owned(),
        text => shortened(text),
    }
}

/// An error with its causes; of one by reqwest without the address.
fn causes(error: impl Error + 'static) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_standard() {
        // RFC 6455, 1.3.
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_this_machine_stands_in() {
        assert!(is_loopback(Some("127.0.0.1")) && is_loopback(Some("[::1]")));
        assert!(!is_loopback(Some("127.0.0.1.example.com")) && !is_loopback(None));
        let client = FeedClient::new("http://127.0.0.1:9".parse().ok(), Duration::from_secs(1)).unwrap();
        let moved = client.url("https://stream.binance.com:9443/stream?streams=a@trade/b@trade").unwrap();
        assert_eq!(moved.as_str(), "http://127.0.0.1:9/stream?streams=a@trade/b@trade");
    }
}
