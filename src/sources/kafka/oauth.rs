//! OAUTHBEARER by OIDC: a token for a client's id and secret (RFC 6749, 4.4), under librdkafka's names of the properties.
//! librdkafka's own way needs libcurl, which its default build does not find when it is vendored; this one takes the HTTP
//! client that is here anyway.
//!
//! What a client needs travels to it as `sasl.oauthbearer.config`, which librdkafka hands back whenever it wants a token:
//! at 80 % of its life, and every ten seconds where there was none.

use super::config::lower;
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
/// What librdkafka gives back.
const CONFIG: &str = "sasl.oauthbearer.config";
/// Properties of librdkafka that are read here.
const OURS: [&str; 6] = [METHOD, CLIENT_ID, CLIENT_SECRET, SCOPE, URL, CA];
/// How long the token endpoint may take. The thread that asks serves the client's events, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MOST: usize = 1 << 20;

/// Whom to ask, and as whom.
#[derive(Serialize, Deserialize)]
struct Endpoint {
    url: String,
    id: String,
    secret: String,
    scope: Option<String>,
    ca: Option<String>,
}

/// Is this property read here, and not by librdkafka?
pub(super) fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

fn get<'a>(properties: &'a [(String, String)], name: &str) -> Option<&'a str> {
    properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// All that is wrong with them together.
pub(super) fn mistakes(properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let oidc = match get(properties, METHOD) {
        None | Some("default") => false,
        Some("oidc") => true,
        Some(other) => {
            mistakes.push(format!("-X {METHOD}={other}: is one of default, oidc"));
            return mistakes;
        }
    };
    if !oidc {
        let alone = OURS[1..].iter().filter(|name| get(properties, name).is_some());
        mistakes.extend(alone.map(|name| format!("-X {name}: goes with -X {METHOD}=oidc")));
        return mistakes;
    }
    let missing = [CLIENT_ID, CLIENT_SECRET, URL].into_iter().filter(|name| get(properties, name).is_none());
    mistakes.extend(missing.map(|name| format!("-X {METHOD}=oidc: goes with -X {name}=")));
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

/// The properties that librdkafka takes.
pub(super) fn for_librdkafka(properties: &[(String, String)]) -> Vec<(String, String)> {
    let mut theirs: Vec<_> = properties.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
    if get(properties, METHOD) == Some("oidc") {
        let text = |name| get(properties, name).unwrap_or_default().to_owned();
        let (scope, ca) = (get(properties, SCOPE).map(str::to_owned), get(properties, CA).map(str::to_owned));
        let endpoint = Endpoint { url: text(URL), id: text(CLIENT_ID), secret: text(CLIENT_SECRET), scope, ca };
        theirs.push((CONFIG.to_owned(), serde_json::to_string(&endpoint).expect("text is JSON")));
    }
    theirs
}

/// A token. Blocks for [`PATIENCE`] at most.
pub(crate) fn token(config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
    let endpoint: Endpoint = config.and_then(|config| serde_json::from_str(config).ok()).ok_or_else(|| {
        format!(
            "where tokens come from is not said: set -X {METHOD}=oidc, -X {CLIENT_ID}, -X {CLIENT_SECRET} and -X {URL}"
        )
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime.block_on(ask(&endpoint))?;
    answered(&endpoint, status, &body, SystemClock::start().wall().0 / 1_000_000)
}

async fn ask(endpoint: &Endpoint) -> Result<(u16, Vec<u8>), Box<dyn Error>> {
    let Endpoint { url, id, secret, scope, ca } = endpoint;
    let mut client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
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
        format!("{DOES_NOT_ANSWER} {url}: {}", lower(&cause))
    };
    let mut answer = request.send().await.map_err(silent)?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(silent)? {
        body.extend_from_slice(&bytes);
        if body.len() > MOST {
            return Err(format!("the token endpoint {url} answers with more than {MOST} bytes").into());
        }
    }
    Ok((status, body))
}

/// How an error begins that says nothing about who we are.
pub(super) const DOES_NOT_ANSWER: &str = "no answer from the token endpoint";

/// What came. `now`: in milliseconds since 1970.
fn answered(endpoint: &Endpoint, status: u16, body: &[u8], now: i64) -> Result<OAuthToken, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: Option<i64>,
    }
    #[derive(Deserialize)]
    struct Refusal {
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
        return Err(format!("{DOES_NOT_ANSWER} {url}: it says {status}").into());
    }
    if status != 200 {
        let why = serde_json::from_slice::<Refusal>(body).map_or_else(
            |_| String::new(),
            |refusal| format!(": {}", refusal.error_description.unwrap_or(refusal.error)),
        );
        return Err(format!(
            "the token endpoint {url} refuses this client ({status}{why}): correct -X {CLIENT_ID}, -X {CLIENT_SECRET} or -X \
             {SCOPE}"
        )
        .into());
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| format!("the token endpoint {url} answers without an access_token: correct -X {URL}"))?;
    let claims = answer.access_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Claims = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let expires = claims.exp.map(|seconds| (seconds * 1000.0) as i64);
    let expires = expires.or(answer.expires_in.map(|seconds| now.saturating_add(seconds.saturating_mul(1000))));
    let lifetime_ms =
        expires.ok_or_else(|| format!("the token endpoint {url} does not say how long its token is good"))?;
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
            (&[(METHOD, "jwt")], &["is one of default, oidc"]),
            (&[(CLIENT_SECRET, "hunter2")], &["client.secret: goes with"]),
            (&[WHOLE[0], WHOLE[1], WHOLE[2], (URL, "id/hunter2")], &["is not http://"]),
            (&[WHOLE[0], WHOLE[1], WHOLE[2], WHOLE[3], (CONFIG, "hunter2")], &["does not go with"]),
        ] {
            let told = mistakes(&properties(given));
            assert_eq!(told.len(), parts.len(), "{told:?}");
            for (told, part) in told.iter().zip(parts) {
                assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
            }
        }
    }

    #[test]
    fn librdkafka_is_given_what_it_gives_back() {
        let given = for_librdkafka(&properties(&[&WHOLE[..], &[("client.id", "c")]].concat()));
        let names: Vec<_> = given.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["client.id", CONFIG]);
        let endpoint: Endpoint = serde_json::from_str(&given[1].1).unwrap();
        assert_eq!((endpoint.id.as_str(), endpoint.scope.as_deref()), ("me", Some("kafka")));
        let untouched = properties(&[(CONFIG, "principal=x")]);
        assert_eq!(for_librdkafka(&untouched), untouched);
    }

    #[test]
    fn answers_are_tokens_or_say_what_to_correct() {
        let endpoint: Endpoint = serde_json::from_str(&for_librdkafka(&properties(&WHOLE))[0].1).unwrap();
        let answered = |status, body: &str| answered(&endpoint, status, body.as_bytes(), 1_000);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":7.5}"#);
        let token = answered(200, &format!(r#"{{"access_token":"e30.{claims}.","expires_in":9}}"#)).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("alice", 7_500));
        let opaque = answered(200, r#"{"access_token":"opaque","expires_in":9}"#).unwrap();
        assert_eq!((opaque.principal_name.as_str(), opaque.lifetime_ms), ("me", 10_000));
        for (status, body, part) in [
            (401, r#"{"error":"invalid_client"}"#, "refuses this client (401: invalid_client): correct -X sasl.oauth"),
            (400, r#"{"error":"x","error_description":"no such scope"}"#, "(400: no such scope)"),
            (302, "", "refuses this client (302)"),
            (503, "", "no answer from the token endpoint https://id/token: it says 503"),
            (200, "<html>", "without an access_token"),
            (200, r#"{"access_token":"opaque"}"#, "how long its token is good"),
        ] {
            let why = answered(status, body).err().expect("no token").to_string();
            assert!(why.contains(part) && !why.contains("hunter2"), "`{part}` is not in: {why}");
        }
    }
}
