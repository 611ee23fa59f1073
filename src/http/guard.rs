//! What stands before every answer: which requests are heard at all, and the headers that every answer has.
//!
//! A page elsewhere that makes a browser ask here is refused by Host (a name that was made to point here), by Origin, and
//! by Sec-Fetch-Site, for an image or a script of another site is asked for without an Origin.
//! Where there is a token, nothing but health is answered without it.

use super::Server;
use super::connections::Connection;
use super::reply::HttpError;
use crate::secret;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::middleware::Next;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of a request's path and query.
pub(super) const MOST_URI: usize = 24 << 10;
const LEAST_TOKEN: usize = 16;
const TOKEN_COOKIE: &str = "minutely_token";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What clients must know. Never shown.
#[derive(Clone)]
pub(super) struct Token {
    text: String,
    /// Other users can read its file.
    pub(super) warning: Option<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// From the file or the environment; none if it is in neither.
    pub(super) fn of(file: Option<&Path>, environment: Option<String>) -> Result<Option<Token>, String> {
        let (text, warning) = match file {
            Some(path) => {
                let read = secret::read(path).map_err(|e| format!("--http-token-file {}: {e}", path.display()))?;
                (Some(read.text.trim_end().to_owned()), read.warning)
            }
            None => (environment.filter(|token| !token.is_empty()), None),
        };
        let Some(text) = text else { return Ok(None) };
        let good = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
        if text.len() < LEAST_TOKEN || !text.bytes().all(good) {
            return Err(format!(
                "the token of --http: takes at least {LEAST_TOKEN} letters, digits and signs of -._~+/=, such as \
                 `openssl rand -hex 32` gives"
            ));
        }
        Ok(Some(Token { text, warning }))
    }

    /// Takes equally long for every other of the same length.
    fn is(&self, other: &str) -> bool {
        let differences = self.text.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.text.len() == other.len() && differences == 0
    }

    fn given(&self, headers: &HeaderMap) -> bool {
        let bearer = text(headers, AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
        bearer.is_some_and(|token| self.is(token))
            || cookie.into_iter().any(|(name, token)| name == TOKEN_COOKIE && self.is(token))
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Lets a request in, or refuses it.
pub(super) async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response<Body> {
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let mut response = match refused(&server, &request) {
        // A client that is refused has to connect again.
        Some(mut answer) => {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            answer
        }
        None => {
            let health = is_open(request.uri());
            connection.iter().filter(|_| !health || server.address.token.is_none()).for_each(|one| one.admit());
            if health || server.connections.room().await { next.run(request).await } else { busy() }
        }
    };
    server.count(response.status());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    match connection {
        Some(connection) => connection.counted(response),
        None => response,
    }
}

/// What is answered while clients do not read what they asked for.
fn busy() -> Response<Body> {
    let why = "clients that do not read their answers take all the memory there is for them; ask again in a second";
    let mut answer = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, why).answer();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// What is answered without a token.
fn is_open(uri: &Uri) -> bool {
    matches!(uri.path(), "/healthz" | "/readyz")
}

fn refused(server: &Server, request: &Request) -> Option<Response<Body>> {
    let (uri, headers) = (request.uri(), request.headers());
    let refuse = |status, why: &str| Some(HttpError::new(status, why).answer());
    let Some(host) = one_host(headers, uri) else {
        return refuse(StatusCode::BAD_REQUEST, "the Host header is missing, there twice, or no name");
    };
    let name = without_port(&host);
    if !server.address.is_called(name) {
        let why =
            format!("this server does not know that it is called {name}; if it is, start it with --http-host {name}");
        return refuse(StatusCode::MISDIRECTED_REQUEST, &why);
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let same = origin.to_str().is_ok_and(|origin| {
            let (_, rest) = origin.split_once("://").unwrap_or_default();
            rest.eq_ignore_ascii_case(&host)
        });
        if !same {
            return refuse(StatusCode::FORBIDDEN, "a page of another origin asks");
        }
    }
    if !may_fetch(headers) {
        return refuse(StatusCode::FORBIDDEN, "a page of another site asks");
    }
    if uri.path_and_query().map_or(0, |all| all.as_str().len()) > MOST_URI {
        return refuse(StatusCode::URI_TOO_LONG, "the address is longer than 24 KiB");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "it can only be read").answer();
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(answer);
    }
    let has_body = text(headers, header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body || headers.contains_key(TRANSFER_ENCODING) {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "a question has no body");
    }
    match &server.address.token {
        Some(token) if !is_open(uri) && !token.given(headers) => Some(enter(token, uri)),
        _ => None,
    }
}

/// May the request be answered, by what a browser tells of its origin: this page, or a person (a typed address, or a link that
/// opens a page of its own)? Other programs, and a browser on an address that it does not trust, tell nothing.
fn may_fetch(headers: &HeaderMap) -> bool {
    let said = |name| text(headers, HeaderName::from_static(name));
    let elsewhere =
        headers.contains_key("sec-fetch-site") && !matches!(said("sec-fetch-site"), Some("same-origin" | "none"));
    !elsewhere || (said("sec-fetch-mode"), said("sec-fetch-dest")) == (Some("navigate"), Some("document"))
}

/// The host by which the request came, one alone.
fn one_host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next(), uri.authority()) {
        (Some(host), None, _) => host.to_str().ok()?.to_owned(),
        (None, None, Some(authority)) => authority.to_string(),
        _ => return None,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!host.is_empty() && host.len() <= 255 && host.chars().all(good)).then_some(host)
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
    }
}

/// The answer where no token is given: 401; to `/?token=…` with the right one, a cookie and the address without it.
fn enter(token: &Token, uri: &Uri) -> Response<Body> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let brought = form_urlencoded::parse(query).any(|(name, value)| name == "token" && token.is(&value));
    if uri.path() != "/" || !brought {
        let mut answer =
            HttpError::new(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer …").answer();
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    let cookie = format!("{TOKEN_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", token.text);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

impl Server {
    fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_whole_text_and_is_never_shown() {
        let token = Token::of(None, Some("0123456789abcdef".into())).unwrap().unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        let why = Token::of(None, Some("hunter2".into())).unwrap_err();
        assert!(!why.contains("hunter2"));
        let mut headers = HeaderMap::new();
        assert!(!token.given(&headers));
        headers.insert(COOKIE, HeaderValue::from_static("a=b; minutely_token=0123456789abcdef; c"));
        assert!(token.given(&headers));
        headers.insert(COOKIE, HeaderValue::from_static("other_token=0123456789abcdef"));
        assert!(!token.given(&headers));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer 0123456789abcdef"));
        assert!(token.given(&headers));
    }

    #[test]
    fn pages_of_other_sites_may_link_here_and_not_fetch() {
        let may = |site: &str, mode: &str, dest: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)] {
                if !value.is_empty() {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
                }
            }
            may_fetch(&headers)
        };
        assert!(may("", "", "") && may("none", "navigate", "document") && may("same-origin", "cors", "empty"));
        for site in ["cross-site", "same-site", "something-new"] {
            assert!(may(site, "navigate", "document"), "{site}");
            for (mode, dest) in [
                ("no-cors", "image"),
                ("no-cors", "script"),
                ("cors", "empty"),
                ("navigate", "iframe"),
                ("navigate", "embed"),
                ("no-cors", "document"),
                ("", ""),
            ] {
                assert!(!may(site, mode, dest), "{site} {mode} {dest}");
            }
        }
    }

    #[test]
    fn hosts_are_read_as_they_are_written() {
        for (host, name) in
            [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1:8080", "127.0.0.1")]
        {
            assert_eq!(without_port(host), name);
        }
        let uri = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        assert_eq!(one_host(&headers, &uri), None);
        headers.append(HOST, HeaderValue::from_static("localhost:1"));
        assert_eq!(one_host(&headers, &uri).as_deref(), Some("localhost:1"));
        headers.append(HOST, HeaderValue::from_static("localhost:2"));
        assert_eq!(one_host(&headers, &uri), None);
        headers.insert(HOST, HeaderValue::from_static("a@b"));
        assert_eq!(one_host(&headers, &uri), None);
    }
}
