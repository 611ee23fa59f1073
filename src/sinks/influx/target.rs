//! The URI of a sink: the server, the bucket or database, and the credentials that it names.
//!
//! An InfluxDB 2 needs a token, which any of the usual variables may hold. An InfluxDB 1 often needs none, so a credential is
//! sent to it only if the URI says so: it may be another server than the one that the variables are meant for.

use super::series::InfluxSeries;
use crate::duration::parse_ms;
use crate::secret::{self, SecretText};
use reqwest::{RequestBuilder, Url};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Where the token is looked for if the URI does not say.
const TOKEN_VARIABLES: [&str; 2] = ["MINUTELY_INFLUX_TOKEN", "INFLUX_TOKEN"];
/// Where the password of `?user=` is looked for if the URI does not say.
const PASSWORD_VARIABLE: &str = "MINUTELY_INFLUX1_PASSWORD";

/// Looks up an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The server, what is written there, and with which credentials.
#[derive(Debug)]
pub(in crate::sinks) struct InfluxTarget {
    /// Scheme, host and port, and the path that a proxy has the server at.
    pub(super) base: Url,
    pub(super) destination: Destination,
    pub(super) series: InfluxSeries,
    /// The first time-out of a request; none if the URI does not say.
    pub(super) timeout: Option<Duration>,
    /// Lines of one request, at most.
    pub(super) batch: usize,
    pub(super) access: Access,
    /// The URI without its query: for log lines.
    pub(super) name: String,
}

/// Where points go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// `influxdb:`, the v2 API.
    Bucket { org: String, bucket: String },
    /// `influxdb1:`, the v1 API: the database's default retention policy.
    Database(String),
}

/// The credentials of a write.
#[derive(Debug)]
pub(super) enum Access {
    /// `Authorization: Token …`.
    Token(Credential),
    /// `Authorization: Basic …`.
    User { name: String, password: Credential },
    /// None are sent.
    Open,
}

/// A token or password, and where it came from.
pub(super) struct Credential {
    pub(super) text: String,
    /// The variable or file that it came from, in words.
    pub(super) from: String,
    /// Other users can read the file.
    pub(super) warning: Option<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(from {})", self.from)
    }
}

impl Credential {
    /// Refuses what no header can carry.
    fn token(self) -> Result<Self, String> {
        let text = self.text.trim();
        if text.is_empty() {
            return Err(format!("there is no token in {}", self.from));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("the token in {} has characters that no token has, such as a space", self.from));
        }
        Ok(Credential { text: text.to_owned(), ..self })
    }

    /// Any text but an empty one; a file may end in a newline.
    fn password(self) -> Result<Self, String> {
        match self.text.trim_end_matches(['\r', '\n']) {
            "" => Err(format!("there is no password in {}", self.from)),
            text => Ok(Credential { text: text.to_owned(), from: self.from, warning: self.warning }),
        }
    }
}

impl Access {
    /// Other users can read the file that has the secret.
    pub(super) fn warning(&self) -> Option<&str> {
        match self {
            Access::Token(secret) | Access::User { password: secret, .. } => secret.warning.as_deref(),
            Access::Open => None,
        }
    }

    /// Adds the credentials.
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Access::Token(token) => request.header(reqwest::header::AUTHORIZATION, header(token)),
            Access::User { name, password } => request.basic_auth(name, Some(&password.text)),
            Access::Open => request,
        }
    }
}

fn header(token: &Credential) -> reqwest::header::HeaderValue {
    let value = reqwest::header::HeaderValue::from_str(&format!("Token {}", token.text));
    let mut value = value.expect("nothing but visible ASCII characters: see `Credential::token`");
    value.set_sensitive(true);
    value
}

/// `%41` to `A`. None if that is not UTF-8, or an escape is incomplete.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        (rest, bytes) = match (first, after) {
            (b'%', [a, b, after @ ..]) => {
                let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
                bytes.push(digit(a)? * 16 + digit(b)?);
                (after, bytes)
            }
            (b'%', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                (after, bytes)
            }
        };
    }
    String::from_utf8(bytes).ok()
}

impl InfluxTarget {
    /// The schemes of these addresses.
    pub(in crate::sinks) const SCHEMES: [&str; 4] = ["influxdb", "influxdb+https", "influxdb1", "influxdb1+https"];

    /// Reads what follows the scheme and its colon. `shown` is the URI as it may be shown.
    ///
    /// # Errors
    /// All mistakes.
    pub(in crate::sinks) fn parse(
        scheme: &str,
        rest: &str,
        shown: &str,
        env: Environment<'_>,
    ) -> Result<Self, Vec<String>> {
        let (tls, first) = (scheme.ends_with("+https"), scheme.starts_with("influxdb1"));
        let shape = if first { "influxdb1://host:port/db" } else { "influxdb://host:port/org/bucket" };
        let url = match Url::parse(&format!("{}:{rest}", if tls { "https" } else { "http" })) {
            Ok(url) if rest.starts_with("//") => url,
            Ok(_) => return Err(vec![format!("sink `{shown}`: give it as {shape}")]),
            Err(e) => return Err(vec![format!("sink `{shown}`: {e}; give it as {shape}")]),
        };
        let mut mistakes = Vec::new();
        let mut mistake = |why: String| mistakes.push(format!("sink `{shown}`: {why}"));
        if !url.username().is_empty() || url.password().is_some() {
            let instead = match first {
                true => format!("give ?user=NAME and set {PASSWORD_VARIABLE}"),
                false => format!("set {} or give ?token_file=PATH", TOKEN_VARIABLES[0]),
            };
            mistake(format!("a secret does not go into the address, where others see it; {instead}"));
        }
        if url.fragment().is_some() {
            mistake("has a `#`, which means nothing here; write it as %23".to_owned());
        }
        let destination = Destination::of(&url, first).map_err(&mut mistake).ok();
        let options = UriOptions::of(&url, &mut mistake);
        let access = Access::of(&options.others, first, env).map_err(|all| all.into_iter().for_each(&mut mistake)).ok();
        let mut base = url.clone();
        base.set_path(destination.as_ref().map_or("", |(path, _)| path));
        base.set_query(None);
        base.set_fragment(None);
        if url.port().is_none() && !rest[2..].split('/').next().unwrap_or_default().ends_with(":80") && !tls {
            // `http` leaves its own port out; ours is InfluxDB's
            if base.set_port(Some(8086)).is_err() {
                mistake("has no host".to_owned());
            }
        }
        match (destination, access) {
            (Some((_, destination)), Some(access)) if mistakes.is_empty() => {
                let UriOptions { series, timeout, batch, others: _ } = options;
                Ok(InfluxTarget { base, destination, series, timeout, batch, access, name: shown.to_owned() })
            }
            _ => Err(mistakes),
        }
    }

    /// Other users can read the file that has the secret.
    pub(in crate::sinks) fn warning(&self) -> Option<&str> {
        self.access.warning()
    }

    /// What the server has at this path, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Where lines are sent.
    pub(super) fn write_url(&self) -> Url {
        let (path, names) = match &self.destination {
            Destination::Bucket { org, bucket } => ("/api/v2/write", vec![("org", org), ("bucket", bucket)]),
            Destination::Database(database) => ("/write", vec![("db", database)]),
        };
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(names).append_pair("precision", "ns");
        url
    }
}

impl Destination {
    /// The path of a proxy, as it is written, and the destination: the last two names of the path, or the last.
    fn of(url: &Url, first: bool) -> Result<(String, Self), String> {
        let path = url.path().strip_prefix('/').unwrap_or_default();
        let names: Option<Vec<_>> =
            path.split('/').map(|name| decoded(name).filter(|name| !name.trim().is_empty())).collect();
        let before = |count: usize| path.rsplitn(count + 1, '/').nth(count).unwrap_or_default().to_owned();
        match (names.unwrap_or_default().as_slice(), first) {
            ([.., database], true) => Ok((before(1), Destination::Database(database.clone()))),
            ([.., org, bucket], false) => {
                Ok((before(2), Destination::Bucket { org: org.clone(), bucket: bucket.clone() }))
            }
            (_, true) => Err("after the host comes the database, /db; a `/` in it is %2F".to_owned()),
            (_, false) => {
                Err("after the host come the organization and the bucket, /org/bucket; a `/` in one is %2F".to_owned())
            }
        }
    }
}

/// The options of a URI besides credentials.
const BESIDE: &str = "measurement, tag.NAME, timeout, batch";
/// Lines of a batch, at most: what InfluxDB's own documentation advises.
const BATCH_LINES: usize = 5_000;
/// What `?batch=` may say.
const BATCHES: std::ops::RangeInclusive<usize> = 1..=50_000;
/// What `?timeout=` may say, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1_000..=600_000;

/// The options of a URI about which points are sent, and how.
struct UriOptions {
    series: InfluxSeries,
    timeout: Option<Duration>,
    batch: usize,
    /// Other options.
    others: Vec<(String, String)>,
}

impl UriOptions {
    fn of(url: &Url, mistake: &mut impl FnMut(String)) -> Self {
        let mut options =
            UriOptions { series: InfluxSeries::default(), timeout: None, batch: BATCH_LINES, others: Vec::new() };
        for (key, value) in url.query_pairs() {
            match (key.as_ref(), options.series.option(&key, &value)) {
                (_, Some(Ok(()))) => {}
                (_, Some(Err(why))) => mistake(why),
                ("timeout", None) => match parse_ms(&value).filter(|ms| TIMEOUTS.contains(ms)) {
                    Some(ms) => options.timeout = Some(Duration::from_millis(ms)),
                    None => mistake(format!("timeout={value}: is a time from 1s to 10m")),
                },
                ("batch", None) => match value.parse().ok().filter(|lines| BATCHES.contains(lines)) {
                    Some(lines) => options.batch = lines,
                    None => mistake(format!("batch={value}: is a number of lines from 1 to {}", BATCHES.end())),
                },
                (_, None) => options.others.push((key.into_owned(), value.into_owned())),
            }
        }
        options
    }
}

/// The credentials that a URI names.
#[derive(Default)]
struct NamedCredentials {
    users: Vec<String>,
    /// (does it name a variable, its name or the path)
    tokens: Vec<(bool, String)>,
    passwords: Vec<(bool, String)>,
}

impl Access {
    fn of(options: &[(String, String)], first: bool, env: Environment<'_>) -> Result<Self, Vec<String>> {
        let (mut mistakes, mut named) = (Vec::new(), NamedCredentials::default());
        for (key, value) in options {
            let value = value.clone();
            match (key.as_str(), first) {
                ("token_env", _) => named.tokens.push((true, value)),
                ("token_file", _) => named.tokens.push((false, value)),
                ("user", true) => named.users.push(value),
                ("password_env", true) => named.passwords.push((true, value)),
                ("password_file", true) => named.passwords.push((false, value)),
                ("token", _) => mistakes
                    .push("a token does not go into the address; give ?token_env=NAME or ?token_file=PATH".to_owned()),
                ("password", true) => mistakes.push(format!(
                    "a password does not go into the address; set {PASSWORD_VARIABLE}, or give password_env=NAME or \
                     password_file=PATH"
                )),
                (other, true) => mistakes.push(format!(
                    "`{other}` is unknown; there are {BESIDE}, user, password_env, password_file, token_env and token_file"
                )),
                (other, false) => {
                    mistakes.push(format!("`{other}` is unknown; there are {BESIDE}, token_env and token_file"));
                }
            }
        }
        match if first { named.first(env) } else { named.second(env) } {
            Ok(access) if mistakes.is_empty() => Ok(access),
            Ok(_) => Err(mistakes),
            Err(why) => {
                mistakes.push(why);
                Err(mistakes)
            }
        }
    }
}

impl NamedCredentials {
    /// To an InfluxDB 2.
    fn second(&self, env: Environment<'_>) -> Result<Access, String> {
        match self.tokens.as_slice() {
            [] => {
                let found = TOKEN_VARIABLES.iter().find_map(|name| Some((name, env(name)?)));
                let (name, text) = found.ok_or_else(|| {
                    format!(
                        "there is no token; set {} or {}, or give ?token_env=NAME or ?token_file=PATH",
                        TOKEN_VARIABLES[0], TOKEN_VARIABLES[1]
                    )
                })?;
                Credential { text, from: (*name).to_owned(), warning: None }.token().map(Access::Token)
            }
            [named] => credential("token", named, env)?.token().map(Access::Token),
            _ => Err("names more than one token".to_owned()),
        }
    }

    /// To an InfluxDB 1.
    fn first(&self, env: Environment<'_>) -> Result<Access, String> {
        let NamedCredentials { users, tokens, passwords } = self;
        match (users.as_slice(), passwords.as_slice(), tokens.as_slice()) {
            ([], [], []) => Ok(Access::Open),
            ([], [], [named]) => credential("token", named, env)?.token().map(Access::Token),
            ([name], _, []) if name.is_empty() || name.contains(':') => {
                Err("`user` is not a user's name: it is empty or has a colon".to_owned())
            }
            ([name], [], []) => {
                let text = env(PASSWORD_VARIABLE).ok_or_else(|| {
                    format!(
                        "there is no password; set {PASSWORD_VARIABLE}, or give password_env=NAME or password_file=PATH"
                    )
                })?;
                let password = Credential { text, from: PASSWORD_VARIABLE.to_owned(), warning: None }.password()?;
                Ok(Access::User { name: name.clone(), password })
            }
            ([name], [named], []) => {
                Ok(Access::User { name: name.clone(), password: credential("password", named, env)?.password()? })
            }
            ([], [_, ..], []) => Err("a password belongs to a user; give user=NAME as well".to_owned()),
            _ => Err("names more than one user, password or token; give a user with a password, or a token".to_owned()),
        }
    }
}

/// What a variable or a file holds.
fn credential(what: &str, (variable, name): &(bool, String), env: Environment<'_>) -> Result<Credential, String> {
    if *variable {
        let text = env(name).ok_or_else(|| format!("there is no environment variable `{name}` ({what}_env)"))?;
        return Ok(Credential { text, from: name.clone(), warning: None });
    }
    let SecretText { text, warning } = secret::read(Path::new(name)).map_err(|e| format!("{what}_file {name}: {e}"))?;
    Ok(Credential { text, from: format!("the file {name}"), warning })
}
