//! `influxdb://host:port/org/bucket`: two measurements that never share a point.
//!
//! `minute` holds each final row, once, the same bytes for ever: whatever is delayed, repeated or sent by a run that
//! was taken over changes nothing. `minute_live` (with `--emit changes`) holds the newest row, final ones too: a view.
//! In one measurement a delayed older write would overwrite a final row for ever, for InfluxDB has no conditional
//! write. Each has a connection and a thread of its own.

mod client;
mod line;
mod retry;
mod unwritable;
mod writer;

use super::port::{Health, RowPort, Stop};
use super::{Emit, OpenSink, SinkOptions};
use client::SetUp;
use minutely_dataflows::edge::{Halt, HaltKind, Takes};
use minutely_dataflows::time::SECOND;
use reqwest::Url;
use reqwest::header::HeaderValue;
use retry::Pace;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use unwritable::Unwritable;
use writer::InfluxWriter;

/// At most every so many nanoseconds a point of an open window is written again.
const LIVE_EVERY: i64 = 5 * SECOND;
/// Where the token is looked for if the URI does not say.
const TOKEN_VARIABLES: [&str; 2] = ["MINUTELY_INFLUX_TOKEN", "INFLUX_TOKEN"];

/// Whom to write to.
#[derive(Debug)]
pub(super) struct Address {
    /// Scheme, host and port.
    base: Url,
    org: String,
    bucket: String,
    token: Token,
    /// The URI without its query: for log lines.
    name: String,
}

/// A secret, and where it came from.
struct Token {
    secret: String,
    /// What to set, in words.
    from: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(from {})", self.from)
    }
}

impl Token {
    /// Refuses what no header carries, so that [`Token::header`] cannot fail.
    fn new(secret: &str, from: String) -> Result<Self, String> {
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(format!("there is no token in {from}"));
        }
        if !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("the token in {from} has characters that no token has, such as a space"));
        }
        Ok(Token { secret: secret.to_owned(), from })
    }

    fn secret(&self) -> &str {
        &self.secret
    }

    fn header(&self) -> HeaderValue {
        let mut value =
            HeaderValue::from_str(&format!("Token {}", self.secret)).expect("nothing but visible ASCII characters");
        value.set_sensitive(true);
        value
    }
}

/// `%41` to `A`. None if that is not UTF-8 or not whole.
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

impl Address {
    /// Reads what follows `influxdb:` or `influxdb+https:`. `env` looks up environment variables. `shown` is the URI
    /// as it may be shown.
    ///
    /// # Errors
    /// All mistakes.
    pub(super) fn parse(
        tls: bool,
        rest: &str,
        shown: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let scheme = if tls { "https" } else { "http" };
        let url = match Url::parse(&format!("{scheme}:{rest}")) {
            Ok(url) if rest.starts_with("//") => url,
            Ok(_) => return Err(vec![format!("sink `{shown}`: give it as influxdb://host:port/org/bucket")]),
            Err(e) => {
                return Err(vec![format!("sink `{shown}`: {e}; give it as influxdb://host:port/org/bucket")]);
            }
        };
        let mut mistakes = Vec::new();
        let mut mistake = |why: String| mistakes.push(format!("sink `{shown}`: {why}"));
        if !url.username().is_empty() || url.password().is_some() {
            mistake(format!(
                "a secret does not go into the address, where others see it; set {} or give ?token_file=PATH",
                TOKEN_VARIABLES[0]
            ));
        }
        if url.fragment().is_some() {
            mistake("has a `#`, which means nothing here; write it as %23".to_owned());
        }
        let path = url.path().strip_prefix('/').unwrap_or_default();
        let names: Option<Vec<_>> =
            path.split('/').map(|name| decoded(name).filter(|name| !name.trim().is_empty())).collect();
        let names = names.and_then(|names| <[String; 2]>::try_from(names).ok());
        if names.is_none() {
            mistake("after the host come the organization and the bucket, /org/bucket; a `/` in one is %2F".to_owned());
        }
        let token = Self::token(&url, env).map_err(|all| all.into_iter().for_each(&mut mistake)).ok();
        let mut base = url.clone();
        base.set_path("");
        base.set_query(None);
        base.set_fragment(None);
        if url.port().is_none() && !rest[2..].split('/').next().unwrap_or_default().ends_with(":80") && !tls {
            // `http` leaves its own port out; ours is InfluxDB's
            if base.set_port(Some(8086)).is_err() {
                mistake("has no host".to_owned());
            }
        }
        match (names, token) {
            (Some([org, bucket]), Some(token)) if mistakes.is_empty() => {
                Ok(Address { base, org, bucket, token, name: shown.to_owned() })
            }
            _ => Err(mistakes),
        }
    }

    fn token(url: &Url, env: &dyn Fn(&str) -> Option<String>) -> Result<Token, Vec<String>> {
        let (mut mistakes, mut named) = (Vec::new(), Vec::new());
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "token_env" => named.push((true, value.into_owned())),
                "token_file" => named.push((false, value.into_owned())),
                "token" => mistakes
                    .push("a token does not go into the address; give ?token_env=NAME or ?token_file=PATH".to_owned()),
                other => mistakes.push(format!("`{other}` is unknown; there are token_env and token_file")),
            }
        }
        let token = match named.as_slice() {
            [] => {
                let found = TOKEN_VARIABLES.iter().find_map(|name| Some((name, env(name)?)));
                match found {
                    Some((name, secret)) => Token::new(&secret, (*name).to_owned()),
                    None => Err(format!(
                        "there is no token; set {} or {}, or give ?token_env=NAME or ?token_file=PATH",
                        TOKEN_VARIABLES[0], TOKEN_VARIABLES[1]
                    )),
                }
            }
            [(true, name)] => match env(name) {
                Some(secret) => Token::new(&secret, name.clone()),
                None => Err(format!("there is no environment variable `{name}` (token_env)")),
            },
            [(false, path)] => match std::fs::read_to_string(Path::new(path)) {
                Ok(secret) => Token::new(&secret, format!("the file {path}")),
                Err(e) => Err(format!("token_file {path}: {e}")),
            },
            _ => Err("names more than one token".to_owned()),
        };
        match token {
            Ok(token) if mistakes.is_empty() => Ok(token),
            Ok(_) => Err(mistakes),
            Err(why) => {
                mistakes.push(why);
                Err(mistakes)
            }
        }
    }
}

/// Is the server there, and may we write? Leaves nothing behind; may take as long as the patience.
///
/// # Errors
/// 64 when the server says no, with what to do; 69 when it says nothing.
pub(super) fn look(address: &Address, options: &SinkOptions) -> Result<(), Halt> {
    found(address, options, Pace::default()).map(drop)
}

/// On a thread of its own, for the caller's may belong to an async runtime.
fn found(address: &Address, options: &SinkOptions, pace: Pace) -> Result<SetUp, Halt> {
    std::thread::scope(|scope| {
        let look = scope.spawn(|| client::look(address, pace, options.patience, options.clock));
        look.join()
            .unwrap_or_else(|_| Err(Halt::new(HaltKind::Internal, format!("{}: the check panicked", address.name))))
    })
}

/// Opens `minute` and, with `--emit changes`, `minute_live`.
///
/// # Errors
/// As [`look`].
pub(super) fn open(address: Address, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    open_at(address, options, Pace::default())
}

fn open_at(address: Address, options: &SinkOptions, pace: Pace) -> Result<Vec<OpenSink>, Halt> {
    if let Some(why) = too_short(&found(&address, options, pace)?, options) {
        tracing::warn!("{}: {why}", address.name);
    }
    let address = Arc::new(address);
    let unwritable = Arc::new(Unwritable::new(options.data.join("unwritable.jsonl")));
    let open = |measurement: &'static str, takes: Takes| {
        let name = format!("{} {measurement}", address.name);
        let (health, stop) = (Health::new(&name), Stop::new());
        let writer = InfluxWriter::new(
            address.clone(),
            measurement,
            !takes.changes,
            pace,
            options.clock,
            unwritable.clone(),
            health.clone(),
            stop.clone(),
        )?;
        let port = RowPort::start(measurement, options.wake.clone(), stop, Box::new(writer))?;
        Ok(OpenSink { name, takes, port: Box::new(port), health, chain: None })
    };
    measurements(options.emit).into_iter().map(|(measurement, takes)| open(measurement, takes)).collect()
}

/// The measurements, and what each takes.
pub(super) fn measurements(emit: Emit) -> Vec<(&'static str, Takes)> {
    let minute = ("minute", Takes { changes: false, partial: false, open_every: 0 });
    let live = ("minute_live", Takes { changes: true, partial: true, open_every: LIVE_EVERY });
    match emit {
        Emit::Changes => vec![minute, live],
        Emit::Final => vec![minute],
    }
}

/// What is wrong with how long the bucket keeps points.
fn too_short(set_up: &SetUp, options: &SinkOptions) -> Option<String> {
    let kept = Duration::from_secs(set_up.retention?);
    let held = options.windowing.length.saturating_add(options.windowing.lateness);
    let held = Duration::from_nanos(u64::try_from(held).unwrap_or_default());
    (kept < held).then(|| {
        format!(
            "the bucket keeps points for {} s, less than window and lateness ({} s): final rows come too late for it; \
             make its retention longer",
            kept.as_secs(),
            held.as_secs_f64()
        )
    })
}

#[cfg(test)]
mod tests;
