//! `rabbitmq://[user[:password]@]host[:port]/[vhost/]stream[,…][?password_file=PATH|password_env=NAME]`, checked before anything is
//! connected. `rabbitmqs:` is the same over TLS.

use crate::secret;
use crate::uri::redacted;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use std::path::Path;

/// Of AMQP, and of AMQP over TLS.
const PORTS: [u16; 2] = [5672, 5671];
/// Seconds after which a connection that is silent counts as lost (two of them).
const HEARTBEAT: u16 = 10;
/// Milliseconds that a connection may take.
const CONNECT_MS: u64 = 5000;
/// Bytes of a queue's name, at most.
const LONGEST_NAME: usize = 255;

/// Where streams are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RabbitAddress {
    pub(crate) is_encrypted: bool,
    user: String,
    password: Option<String>,
    host: String,
    port: u16,
    pub(crate) vhost: String,
    /// At least one, none twice.
    pub(crate) streams: Vec<String>,
    /// A file or a variable that has the password.
    secret: Option<SecretPlace>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SecretPlace {
    File(String),
    Variable(String),
}

impl RabbitAddress {
    /// For messages.
    pub(crate) fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the client connects to.
    ///
    /// # Errors
    /// When the password cannot be had.
    pub(crate) fn target(&self) -> Result<AMQPUri, String> {
        let password = match (&self.secret, &self.password) {
            (None, given) => given.clone().unwrap_or_else(|| "guest".to_owned()),
            (Some(SecretPlace::File(path)), _) => {
                let read =
                    secret::read_one(Path::new(path)).map_err(|error| format!("?password_file={path}: {error}"))?;
                read.text.trim_end_matches(['\n', '\r']).to_owned()
            }
            (Some(SecretPlace::Variable(name)), _) => {
                std::env::var(name).map_err(|_| format!("?password_env={name}: there is no such variable"))?
            }
        };
        Ok(AMQPUri {
            scheme: if self.is_encrypted { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.user.clone(), password },
                host: self.host.trim_matches(['[', ']']).to_owned(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT),
                connection_timeout: Some(CONNECT_MS),
                ..AMQPQueryString::default()
            },
        })
    }
}

/// The address in a URI.
///
/// # Errors
/// All its mistakes, one paragraph each.
pub(crate) fn address(uri: &str) -> Result<RabbitAddress, Vec<String>> {
    let shown = redacted(uri);
    let (is_encrypted, rest) = match (uri.strip_prefix("rabbitmq://"), uri.strip_prefix("rabbitmqs://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(vec![format!("'{shown}' is not rabbitmq://[user:password@]host[:port]/[vhost/]stream[,…]")]),
    };
    let mut mistakes = Vec::new();
    let (rest, options) = rest.split_once('?').map_or((rest, None), |(rest, options)| (rest, Some(options)));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, server) = authority.rsplit_once('@').map_or((None, authority), |(login, server)| (Some(login), server));
    let (user, password) = login.map_or(("guest", None), |login| {
        login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)))
    });
    let (host, port) = host_and_port(server, PORTS[usize::from(is_encrypted)], &mut mistakes);
    let (vhost, names) = path.rsplit_once('/').unwrap_or(("%2f", path));
    let streams: Vec<String> = names.split(',').map(|name| plain(name, &mut mistakes)).collect();
    for (at, stream) in streams.iter().enumerate() {
        if stream.is_empty() {
            mistakes.push("a stream is missing (rabbitmq://host/stream)".into());
        } else if stream.len() > LONGEST_NAME || stream.chars().any(char::is_control) {
            mistakes
                .push(format!("'{stream}' cannot be a stream (at most {LONGEST_NAME} bytes, no control characters)"));
        } else if streams[..at].contains(stream) {
            mistakes.push(format!("stream '{stream}' is named twice"));
        }
    }
    let secret = options.and_then(|options| secret_place(options, &mut mistakes));
    if secret.is_some() && password.is_some() {
        mistakes.push("the password is given twice: leave out the one before the host".into());
    }
    let found = RabbitAddress {
        is_encrypted,
        user: plain(user, &mut mistakes),
        password: password.map(|password| plain(password, &mut mistakes)),
        host,
        port,
        vhost: plain(vhost, &mut mistakes),
        streams,
        secret,
    };
    if mistakes.is_empty() {
        Ok(found)
    } else {
        Err(mistakes.into_iter().map(|mistake| format!("'{shown}': {mistake}")).collect())
    }
}

fn host_and_port(server: &str, usual: u16, mistakes: &mut Vec<String>) -> (String, u16) {
    if server.contains(',') {
        mistakes.push("takes one host: the one through which the streams are read".into());
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => (server, None), // within an IPv6 address
        Some((host, port)) => (host, Some(port)),
        None => (server, None),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let is_plain = !host.is_empty() && !host.contains([':', '[', ']']);
    if host.contains(|c: char| c.is_whitespace() || c.is_control()) || !(bracketed || is_plain) {
        mistakes.push(format!("'{server}' has no proper host (a name, an IPv4 address or [an IPv6 address])"));
    }
    let number = match port {
        None => Some(usual),
        Some(text) => text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
    };
    let number = number.filter(|port: &u16| *port > 0);
    if number.is_none() {
        mistakes.push(format!("'{server}' has no proper port (1 to 65535; {usual} as a rule)"));
    }
    (host.to_owned(), number.unwrap_or(usual))
}

/// With its `%2f` and others resolved.
fn plain(text: &str, mistakes: &mut Vec<String>) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.filter(|_| first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| {
        mistakes.push("its percent signs make no text in UTF-8".into());
        String::new()
    })
}

fn secret_place(options: &str, mistakes: &mut Vec<String>) -> Option<SecretPlace> {
    let mut places = Vec::new();
    for (key, value) in form_urlencoded::parse(options.as_bytes()) {
        match key.as_ref() {
            "password_file" => places.push(SecretPlace::File(value.into_owned())),
            "password_env" => places.push(SecretPlace::Variable(value.into_owned())),
            other => mistakes.push(format!("has no option '{other}' (password_file=PATH or password_env=NAME)")),
        }
    }
    if places.len() > 1 {
        mistakes.push("the password is given twice: keep one of password_file and password_env".into());
    }
    places.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let found = address("rabbitmq://h/ticks").unwrap();
        assert_eq!((found.server().as_str(), found.vhost.as_str(), found.streams.len()), ("h:5672", "/", 1));
        let target = found.target().unwrap();
        assert_eq!((target.authority.userinfo.username.as_str(), target.vhost.as_str()), ("guest", "/"));

        let found = address("rabbitmqs://me%40x:p%3Ass@[::1]:99/prod%2feu/a,b%20c").unwrap();
        let target = found.target().unwrap();
        assert_eq!((target.scheme, target.authority.port), (AMQPScheme::AMQPS, 99));
        assert_eq!((target.authority.host.as_str(), target.vhost.as_str()), ("::1", "prod/eu"));
        let login = target.authority.userinfo;
        assert_eq!((login.username.as_str(), login.password.as_str()), ("me@x", "p:ss"));
        assert_eq!(found.streams, ["a", "b c"]);
        assert_eq!(address("rabbitmqs://[::1]/a").unwrap().server(), "[::1]:5671");
    }

    #[test]
    fn a_password_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\n").unwrap();
        let found = address(&format!("rabbitmq://me@h/t?password_file={}", path.display())).unwrap();
        assert_eq!(found.target().unwrap().authority.userinfo.password, "hunter2");
        std::fs::write(&path, "\n").unwrap();
        assert!(found.target().unwrap_err().ends_with("/secret: the file is empty"));
        let none = address("rabbitmq://me@h/t?password_env=MINUTELY_NO_SUCH_VARIABLE").unwrap();
        assert!(none.target().unwrap_err().contains("no such variable"));
    }

    #[test]
    fn every_mistake_of_an_address_is_told_without_its_password() {
        for (uri, parts) in [
            ("rabbitmq:h/t", &["is not rabbitmq://"][..]),
            ("rabbitmq://", &["no proper host", "a stream is missing"]),
            ("rabbitmq://me:hunter2@a:0/t,,t", &["no proper port", "a stream is missing", "'t' is named twice"]),
            ("rabbitmq://a,b/t", &["takes one host"]),
            ("rabbitmq://::1/t", &["no proper host"]),
            ("rabbitmq://a:x/%ff", &["no proper port", "no text in UTF-8", "a stream is missing"]),
            ("rabbitmq://me:hunter2@a/t?password_env=A&x=1", &["no option 'x'", "is given twice"]),
        ] {
            let mistakes = address(uri).expect_err(uri);
            assert_eq!(mistakes.len(), parts.len(), "{uri}: {mistakes:?}");
            for part in parts {
                assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{uri}: {part} in {mistakes:?}");
            }
            assert!(!mistakes.iter().any(|mistake| mistake.contains("hunter2")), "{mistakes:?}");
        }
    }
}
