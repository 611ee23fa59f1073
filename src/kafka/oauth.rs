//! OAUTHBEARER by OIDC: a token for a client's id and secret (RFC 6749, 4.4), under librdkafka's names of the properties.
//! librdkafka's own way needs libcurl, which its default build does not find when it is vendored; this one takes the HTTP
//! client that is here anyway.
//!
//! What a client needs travels to it as `sasl.oauthbearer.config`, which librdkafka hands back whenever it wants a token:
//! at 80 % of its life, and every ten seconds where there was none.

use super::wording::lower;
use crate::clock::SystemClock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;

const METHOD: &str = "sasl.oauthbearer.method";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const URL: &str = "sasl.oauthbearer.token.endpoint.url";
const CA: &str = "https.ca.location";
/// Kept by librdkafka, and given back with each request for a token.
const CONFIG: &str = "sasl.oauthbearer.config";
/// Properties of librdkafka that are read here.
const OURS: [&str; 6] = [METHOD, CLIENT_ID, CLIENT_SECRET, SCOPE, URL, CA];
/// How long the token endpoint may take. The thread that asks also serves the client's events.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Where tokens come from, and the client's credentials. Written and read as JSON in [`CONFIG`].
#[derive(Serialize, Deserialize)]
struct TokenEndpoint {
    url: String,
    id: String,
    secret: String,
    scope: Option<String>,
    ca: Option<String>,
}

/// Is this property read here, and not by librdkafka?
pub(crate) fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

fn get<'a>(properties: &'a [(String, String)], name: &str) -> Option<&'a str> {
    properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// All mistakes in the properties of OAUTHBEARER.
pub(crate) fn mistakes(properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let oidc = match get(properties, METHOD) {
        None | Some("default") => false,
        Some("oidc") => true,
        Some(other) => {
            mistakes.push(format!("-X {METHOD}={other}: takes default or oidc"));
            return mistakes;
        }
    };
    if !oidc {
        let alone = OURS[1..].iter().filter(|name| get(properties, name).is_some());
        mistakes.extend(alone.map(|name| format!("-X {name}: needs -X {METHOD}=oidc")));
        return mistakes;
    }
    let missing = [CLIENT_ID, CLIENT_SECRET, URL].into_iter().filter(|name| get(properties, name).is_none());
    mistakes.extend(missing.map(|name| format!("-X {METHOD}=oidc: needs -X {name}=")));
    if get(properties, CONFIG).is_some() {
        mistakes.push(format!("-X {CONFIG}: does not go with -X {METHOD}=oidc"));
    }
    if let Some(url) = get(properties, URL)
        && !reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    {
        mistakes.push(format!("-X {URL}: is not http://… or https://…"));
    }
    mistakes
}

/// The properties for librdkafka, with what this module needs in [`CONFIG`].
pub(crate) fn for_librdkafka(properties: &[(String, String)]) -> Vec<(String, String)> {
    let mut theirs: Vec<_> = properties.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
    if get(properties, METHOD) == Some("oidc") {
        let text = |name| get(properties, name).unwrap_or_default().to_owned();
        let (scope, ca) = (get(properties, SCOPE).map(str::to_owned), get(properties, CA).map(str::to_owned));
        let endpoint = TokenEndpoint { url: text(URL), id: text(CLIENT_ID), secret: text(CLIENT_SECRET), scope, ca };
        theirs.push((CONFIG.to_owned(), serde_json::to_string(&endpoint).expect("text is JSON")));
    }
    theirs
}

/// Asks for a token. Blocks for [`TIMEOUT`] at most.
///
/// # Errors
/// In plain words.
pub(crate) fn token(config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
    let endpoint: TokenEndpoint = config.and_then(|config| serde_json::from_str(config).ok()).ok_or_else(|| {
        format!("no token endpoint is set: set -X {METHOD}=oidc, -X {CLIENT_ID}, -X {CLIENT_SECRET} and -X {URL}")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime.block_on(ask(&endpoint))?;
    token_of(&endpoint, status, &body, SystemClock::start().wall().0 / 1_000_000)
}

async fn ask(endpoint: &TokenEndpoint) -> Result<(u16, Vec<u8>), Box<dyn Error>> {
    let TokenEndpoint { url, id, secret, scope, ca } = endpoint;
    let mut client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    if let Some(ca) = ca {
        let pem = std::fs::read(ca).map_err(|e| format!("-X {CA}={ca}: {e}"))?;
        client = client.add_root_certificate(reqwest::Certificate::from_pem(&pem)?);
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.extend_pairs(scope.iter().map(|scope| ("scope", scope)));
    let request = client.build()?.post(url).basic_auth(id, Some(secret)).body(form.finish());
    let request =
        request.header("Content-Type", "application/x-www-form-urlencoded").header("Accept", "application/json");
    let silent = |e: reqwest::Error| {
        let cause = std::iter::successors(e.source(), |cause| (*cause).source()).last();
        let cause = cause.map_or_else(|| e.to_string(), ToString::to_string);
        format!("{NO_ANSWER} {url}: {}", lower(&cause))
    };
    let mut answer = request.send().await.map_err(silent)?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(silent)? {
        body.extend_from_slice(&bytes);
        if body.len() > MOST_BYTES {
            return Err(format!("the token endpoint {url} answers with more than {MOST_BYTES} bytes").into());
        }
    }
    Ok((status, body))
}

/// How an error begins that does not mean a wrong id or secret.
pub(crate) const NO_ANSWER: &str = "no answer from the token endpoint";

/// The token in an answer. `now`: milliseconds since 1970.
fn token_of(endpoint: &TokenEndpoint, status: u16, body: &[u8], now: i64) -> Result<OAuthToken, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct TokenAnswer {
        access_token: String,
        expires_in: Option<i64>,
    }
    #[derive(Deserialize)]
    struct ErrorAnswer {
        error: String,
        error_description: Option<String>,
    }
    #[derive(Default, Deserialize)]
    struct Claims {
        sub: Option<String>,
        exp: Option<f64>,
    }
    let url = &endpoint.url;
    if status >= 500 {
        return Err(format!("{NO_ANSWER} {url}: it says {status}").into());
    }
    if status != 200 {
        let why = serde_json::from_slice::<ErrorAnswer>(body)
            .map_or_else(|_| String::new(), |answer| format!(": {}", answer.error_description.unwrap_or(answer.error)));
        return Err(format!(
            "the token endpoint {url} refuses this client ({status}{why}): correct -X {CLIENT_ID}, -X {CLIENT_SECRET} or -X \
             {SCOPE}"
        )
        .into());
    }
    let answer: TokenAnswer = serde_json::from_slice(body)
        .map_err(|_| format!("the token endpoint {url} answers without an access_token: correct -X {URL}"))?;
    let claims = answer.access_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Claims = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let expires = claims.exp.map(|seconds| (seconds * 1000.0) as i64);
    let expires = expires.or(answer.expires_in.map(|seconds| now.saturating_add(seconds.saturating_mul(1000))));
    let lifetime_ms =
        expires.ok_or_else(|| format!("the token endpoint {url} does not say how long its token is valid"))?;
    Ok(OAuthToken {
        token: answer.access_token,
        principal_name: claims.sub.unwrap_or_else(|| endpoint.id.clone()),
        lifetime_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const WHOLE: [(&str, &str); 5] =
        [(METHOD, "oidc"), (CLIENT_ID, "me"), (CLIENT_SECRET, "hunter2"), (URL, "https://id/token"), (SCOPE, "kafka")];

    #[test]
    fn what_is_missing_or_does_not_go_together_is_told_without_the_secret() {
        assert_eq!(mistakes(&properties(&WHOLE)), Vec::<String>::new());
        for (given, parts) in [
            (&[(METHOD, "oidc"), (CLIENT_SECRET, "hunter2")][..], &[CLIENT_ID, URL][..]),
            (&[(METHOD, "jwt")], &["takes default or oidc"]),
            (&[(CLIENT_SECRET, "hunter2")], &["client.secret: needs"]),
            (&[WHOLE[0], WHOLE[1], WHOLE[2], (URL, "id/hunter2")], &["is not http://"]),
            (&[WHOLE[0], WHOLE[1], WHOLE[2], WHOLE[3], (CONFIG, "hunter2")], &["does not go with"]),
        ] {
            let found = mistakes(&properties(given));
            assert_eq!(found.len(), parts.len(), "{found:?}");
            for (mistake, part) in found.iter().zip(parts) {
                assert!(mistake.contains(part) && !mistake.contains("hunter2"), "{mistake}");
            }
        }
    }

    #[test]
    fn librdkafka_is_given_what_it_gives_back() {
        let given = for_librdkafka(&properties(&[&WHOLE[..], &[("client.id", "c")]].concat()));
        let names: Vec<_> = given.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["client.id", CONFIG]);
        let endpoint: TokenEndpoint = serde_json::from_str(&given[1].1).unwrap();
        assert_eq!((endpoint.id.as_str(), endpoint.scope.as_deref()), ("me", Some("kafka")));
        let untouched = properties(&[(CONFIG, "principal=x")]);
        assert_eq!(for_librdkafka(&untouched), untouched);
    }

    #[test]
    fn answers_are_tokens_or_say_what_to_correct() {
        let endpoint: TokenEndpoint = serde_json::from_str(&for_librdkafka(&properties(&WHOLE))[0].1).unwrap();
        let token_of = |status, body: &str| token_of(&endpoint, status, body.as_bytes(), 1_000);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":7.5}"#);
        let token = token_of(200, &format!(r#"{{"access_token":"e30.{claims}.","expires_in":9}}"#)).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("alice", 7_500));
        let opaque = token_of(200, r#"{"access_token":"opaque","expires_in":9}"#).unwrap();
        assert_eq!((opaque.principal_name.as_str(), opaque.lifetime_ms), ("me", 10_000));
        for (status, body, part) in [
            (401, r#"{"error":"invalid_client"}"#, "refuses this client (401: invalid_client): correct -X sasl.oauth"),
            (400, r#"{"error":"x","error_description":"no such scope"}"#, "(400: no such scope)"),
            (302, "", "refuses this client (302)"),
            (503, "", "no answer from the token endpoint https://id/token: it says 503"),
            (200, "<html>", "without an access_token"),
            (200, r#"{"access_token":"opaque"}"#, "how long its token is valid"),
        ] {
            let why = token_of(status, body).err().expect("no token").to_string();
            assert!(why.contains(part) && !why.contains("hunter2"), "`{part}` is not in: {why}");
        }
    }
}
