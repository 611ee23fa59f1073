//! Why a connection to a broker failed, out of librdkafka's words: which broker, what was seen, and which setting would
//! help. librdkafka's own hints are not relied on: version 2.12 leaves them out where a broker closes the connection.
//!
//! | seen | it follows |
//! |---|---|
//! | closed at our first words, which are not TLS | the listener probably speaks TLS |
//! | closed in the handshake of TLS | the listener probably does not speak TLS |
//! | closed at the first request, no user was given | the listener probably wants a user |
//! | our user is refused in this state | the listener wants no user |
//! | our mechanism is not one of the listener's | they are named |
//! | the length of an answer is letters, or a record of TLS | no Kafka there; the listener speaks TLS |
//!
//! *Probably*: a proxy whose broker is down closes connections, too. So a guess is added to the error, and only what
//! is certain ends a run early.

use super::wording::lower;

/// Disconnected this soon after the connection was ready, a broker did not like the first request.
const AT_ONCE_MS: u64 = 2000;

/// A connection that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerFailure {
    /// `host:port`.
    pub(crate) address: String,
    /// Not named in --source, but advertised by a broker.
    advertised: bool,
    /// What was seen, in one clause.
    seen: String,
    /// What to set.
    pub(crate) advice: Option<Advice>,
}

/// What to set, as far as what was seen says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// It may be so.
    Likely(String),
    /// It cannot be otherwise.
    Sure(String),
}

/// What a connection uses.
#[derive(Clone, Copy)]
struct SecurityProtocol {
    tls: bool,
    user: bool,
}

impl SecurityProtocol {
    /// As -X security.protocol has it.
    fn name(self) -> &'static str {
        match self {
            SecurityProtocol { tls: false, user: false } => "PLAINTEXT",
            SecurityProtocol { tls: true, user: false } => "SSL",
            SecurityProtocol { tls: false, user: true } => "SASL_PLAINTEXT",
            SecurityProtocol { tls: true, user: true } => "SASL_SSL",
        }
    }
}

impl BrokerFailure {
    /// Reads librdkafka's words about a broker: `[PROTOCOL://]HOST:PORT/ID: TEXT (after Nms in state STATE…)`. `None` where they
    /// are about something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, what) = text.split_once(": ")?;
        let (scheme, broker) = name.split_once("://").unwrap_or(("plaintext", name));
        let (address, id) = broker.rsplit_once('/')?;
        let (host, port) = address.rsplit_once(':')?;
        if host.is_empty() || port.parse::<u16>().is_err() || host.contains(' ') {
            return None;
        }
        let protocol = SecurityProtocol { tls: scheme.ends_with("ssl"), user: scheme.starts_with("sasl") };
        let (what, how) = what.rsplit_once(" (after ").unwrap_or((what, ""));
        let (after, state) = how.split_once("ms in state ").unwrap_or_default();
        let state = state.split([',', ')']).next().unwrap_or_default();
        let at_once = after.parse::<u64>().is_ok_and(|ms| ms < AT_ONCE_MS);
        let advice = advice(protocol, state, at_once, what);
        Some(BrokerFailure {
            address: address.to_owned(),
            advertised: id != "bootstrap",
            seen: seen(state, what),
            advice,
        })
    }

    /// For people: where, what, and what to do.
    pub(crate) fn message(&self) -> String {
        let advertised = if self.advertised { " (which a broker advertises)" } else { "" };
        let advice = match &self.advice {
            Some(Advice::Likely(what) | Advice::Sure(what)) => format!("; {what}"),
            None => String::new(),
        };
        format!("{}{advertised}: {}{advice}", self.address, self.seen)
    }
}

/// Did the broker end the connection? librdkafka's words depend on whether it was writing or reading.
fn is_closed(what: &str) -> bool {
    ["Disconnected", "Broken pipe", "Connection reset", "unexpected eof"].iter().any(|sign| what.contains(sign))
}

/// What was seen, in one clause.
fn seen(state: &str, what: &str) -> String {
    const CLOSED: &str = "the connection was closed";
    if is_closed(what) {
        return match state {
            "APIVERSION_QUERY" => format!("{CLOSED} at our first words"),
            "SSL_HANDSHAKE" => format!("{CLOSED} during the handshake of TLS"),
            "AUTH_HANDSHAKE" | "AUTH_LEGACY" | "AUTH_REQ" => format!("{CLOSED} while we said who we are"),
            _ => CLOSED.to_owned(),
        };
    }
    if what.contains("mechanism handshake failed") {
        return "the handshake of SASL failed".to_owned();
    }
    if let Some((_, why)) = what.split_once("Failed to resolve ") {
        let why = why.rsplit(": ").next().unwrap_or(why);
        return format!("the name cannot be resolved ({})", lower(why));
    }
    if let Some((connect, why)) = what.split_once(" failed: ")
        && connect.starts_with("Connect to ")
    {
        return why.to_owned();
    }
    if what.starts_with("Connection setup timed out") {
        return match state {
            "CONNECT" | "TRY_CONNECT" => "no connection within the time allowed, and no refusal".to_owned(),
            _ => "a connection, and no answer on it".to_owned(),
        };
    }
    if what.contains("timed out") || what.contains("Timed out") {
        return "a connection, and no answer on it".to_owned();
    }
    if let Some(words) = foreign(what).filter(|words| !words.is_empty()) {
        return format!("what answers there begins with `{words}`, as no Kafka broker does");
    }
    lower(what)
}

/// What follows from it.
fn advice(protocol: SecurityProtocol, state: &str, at_once: bool, what: &str) -> Option<Advice> {
    let closed = is_closed(what);
    let instead = |tls, user| SecurityProtocol { tls, user }.name();
    let spoken = protocol.name();
    if state == "APIVERSION_QUERY" && closed && !protocol.tls {
        return Some(Advice::Likely(format!(
            "this looks like a listener that wants TLS, and -X security.protocol is {spoken}: set -X security.protocol={}{}",
            instead(true, protocol.user),
            if protocol.user { "" } else { " (or SASL_SSL, with -X sasl.mechanism and a user)" }
        )));
    }
    let without_tls =
        || format!("and -X security.protocol is {spoken}: set -X security.protocol={}", instead(false, protocol.user));
    if state == "SSL_HANDSHAKE" && closed {
        return Some(Advice::Likely(format!("this looks like a listener without TLS, {}", without_tls())));
    }
    if what.contains("wrong version number") {
        return Some(Advice::Sure(format!("this listener does not speak TLS, {}", without_tls())));
    }
    if state == "UP" && closed && at_once && !protocol.user {
        return Some(Advice::Likely(format!(
            "this looks like a listener that wants a user, and -X security.protocol is {spoken}: set -X \
             security.protocol={}, -X sasl.mechanism and -X sasl.username, with the password in MINUTELY_KAFKA_PASSWORD",
            instead(protocol.tls, true)
        )));
    }
    if what.contains("not valid in current SASL state") {
        return Some(Advice::Sure(format!(
            "this listener asks for no user, and -X security.protocol is {spoken}: set -X security.protocol={}",
            instead(protocol.tls, false)
        )));
    }
    if let Some((_, theirs)) = what.split_once("Unsupported SASL mechanism: broker's supported mechanisms:") {
        return Some(Advice::Sure(format!("correct -X sasl.mechanism: the broker takes {}", theirs.trim())));
    }
    match foreign(what)?.as_str() {
        "" => Some(Advice::Sure(format!(
            "this listener speaks TLS, and -X security.protocol is {spoken}: set -X security.protocol={}",
            instead(true, protocol.user)
        ))),
        _ => Some(Advice::Sure("correct the address in --source".to_owned())),
    }
}

/// An answer whose length makes no sense, as the four bytes that it is: letters, or empty for a record of TLS.
fn foreign(what: &str) -> Option<String> {
    let (_, length) = what.split_once("Invalid response size ")?;
    let bytes = length.split(' ').next()?.parse::<i32>().ok()?.to_be_bytes();
    match bytes {
        [20..=23, 3, ..] => Some(String::new()),
        _ if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
            Some(bytes.iter().map(|&byte| char::from(byte)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka 4.3.1 and librdkafka 2.12.1 say, the address in it, and parts of the message.
    const SEEN: &[(&str, &str, &[&str])] = &[
        (
            "127.0.0.1:25/bootstrap: Connect to ipv4#127.0.0.1:25 failed: Connection refused (after 0ms in state CONNECT)",
            "127.0.0.1:25",
            &["127.0.0.1:25: Connection refused"],
        ),
        (
            "kafka:9092/1: Failed to resolve 'kafka:9092': Name or service not known (after 0ms in state CONNECT, 1 identical \
             error(s) suppressed)",
            "kafka:9092",
            &["kafka:9092 (which a broker advertises): the name cannot be resolved (name or service not known)"],
        ),
        (
            "10.0.0.1:9092/bootstrap: Connection setup timed out in state CONNECT (after 10028ms in state CONNECT)",
            "10.0.0.1:9092",
            &["no connection within the time allowed"],
        ),
        (
            "b:1/1: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 (see \
             api.version.request configuration) (after 10005ms in state APIVERSION_QUERY)",
            "b:1",
            &["a connection, and no answer on it"],
        ),
        (
            "b:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 3ms in state \
             APIVERSION_QUERY, 1 identical error(s) suppressed)",
            "b:1",
            &["closed at our first words", "security.protocol is PLAINTEXT", "-X security.protocol=SSL (or SASL_SSL"],
        ),
        (
            "sasl_plaintext://b:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 192ms in \
             state APIVERSION_QUERY)",
            "b:1",
            &["-X security.protocol=SASL_SSL"],
        ),
        (
            "ssl://[::1]:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a \
             PLAINTEXT broker listener? (after 0ms in state SSL_HANDSHAKE)",
            "[::1]:1",
            &["during the handshake of TLS", "-X security.protocol=PLAINTEXT"],
        ),
        (
            "sasl_ssl://b:1/bootstrap: Disconnected: SSL connection closed by peer (after 16ms in state SSL_HANDSHAKE)",
            "b:1",
            &["is SASL_SSL", "-X security.protocol=SASL_PLAINTEXT"],
        ),
        (
            "b:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 10ms in state UP)",
            "b:1",
            &["wants a user", "-X security.protocol=SASL_PLAINTEXT", "MINUTELY_KAFKA_PASSWORD"],
        ),
        (
            "ssl://b:1/bootstrap: Disconnected: SSL connection closed by peer (after 5ms in state UP)",
            "b:1",
            &["wants a user", "-X security.protocol=SASL_SSL"],
        ),
        (
            "ssl://b:1/bootstrap: Send failed: error:80000020:system library::Broken pipe: tls_retry_write_records failure \
             (after 5ms in state UP)",
            "b:1",
            &[
                "the connection was closed; this looks like a listener that wants a user",
                "-X security.protocol=SASL_SSL",
            ],
        ),
        (
            "sasl_ssl://b:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL \
             state: broker's supported mechanisms:  (after 36ms in state AUTH_HANDSHAKE)",
            "b:1",
            &["asks for no user", "-X security.protocol=SSL"],
        ),
        (
            "sasl_plaintext://b:1/bootstrap: SASL OAUTHBEARER mechanism handshake failed: Broker: Unsupported SASL \
             mechanism: broker's supported mechanisms: PLAIN,SCRAM-SHA-512 (after 1ms in state AUTH_HANDSHAKE)",
            "b:1",
            &["correct -X sasl.mechanism: the broker takes PLAIN,SCRAM-SHA-512"],
        ),
        (
            "ssl://b:1/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number (after 1ms in \
             state SSL_HANDSHAKE)",
            "b:1",
            &["does not speak TLS, and", "-X security.protocol=PLAINTEXT"],
        ),
        (
            "b:1/bootstrap: Receive failed: Invalid response size 352518912 (0..100000000): increase \
             receive.message.max.bytes (after 1ms in state APIVERSION_QUERY)",
            "b:1",
            &["speaks TLS", "-X security.protocol=SSL"],
        ),
        (
            "b:1/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): increase \
             receive.message.max.bytes (after 1ms in state APIVERSION_QUERY)",
            "b:1",
            &["begins with `HTTP`, as no Kafka broker does; correct the address in --source"],
        ),
    ];

    #[test]
    fn what_was_seen_and_what_to_set() {
        for &(text, address, parts) in SEEN {
            let failure = BrokerFailure::parse(text).expect(text);
            assert_eq!(failure.address, address, "{text}");
            let message = failure.message();
            parts.iter().for_each(|part| assert!(message.contains(part), "`{part}` is not in: {message}"));
            assert!(!message.contains("suppressed") && !message.contains("state"), "{message}");
        }
    }

    #[test]
    fn a_guess_is_none_where_there_is_no_sign() {
        for text in [
            "sasl_ssl://b:1/1: Disconnected: connection closed by peer (after 5ms in state UP)", // it has a user
            "b:1/1: Disconnected: connection closed by peer (after 600000ms in state UP)",       // idle, or restarted
            "b:1/1: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            "b:1/1: Receive failed: Invalid response size 100000001 (0..100000000): increase \
             receive.message.max.bytes (after 1ms in state UP)",
        ] {
            assert_eq!(BrokerFailure::parse(text).expect(text).advice, None, "{text}");
        }
        for text in ["3/3 brokers are down", "GroupCoordinator: Disconnected", "a: b", ""] {
            assert_eq!(BrokerFailure::parse(text), None, "{text}");
        }
    }
}
