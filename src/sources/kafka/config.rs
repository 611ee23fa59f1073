//! `kafka://host:port[,…]/topic[,…]` and `-X key=value`, checked as a whole before anything is connected.

use super::context::Context;
use super::oauth;
use crate::uri::redacted;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

/// Where to read: brokers to begin with, and topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `host:port[,…]`, at least one.
    pub(crate) brokers: String,
    /// At least one, none twice.
    pub(crate) topics: Vec<String>,
}

/// Properties that a user may change. Those that bound memory are `memory.rs`'s.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "minutely"),
    ("group.id", "minutely"), // the job's own, as a rule: see `SourceOptions::group`
    ("isolation.level", "read_committed"),
    // The default of 1000 makes a partition whose queue was full sleep while the reader runs dry.
    ("fetch.queue.backoff.ms", "10"),
    // The default of 10000 would have a broker that is back wait for its readers.
    ("reconnect.backoff.max.ms", "2000"),
    // What a connection that is closed tells is looked at (`failure.rs`), and shown to nobody otherwise.
    ("log.connection.close", "true"),
    // The default of 30000 is as long as the start is waited for: an address that drops packets would stay without a reason.
    ("socket.connection.setup.timeout.ms", "10000"),
];

/// Properties on which correctness rests: any other value loses records silently (`ARCHITECTURE.md`, section 4).
const FORCED: &[(&str, &str)] = &[
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
];

/// Properties that are said elsewhere, or that nobody may say.
const ELSEWHERE: &[(&str, &str)] = &[
    ("bootstrap.servers", "the brokers are named in --source"),
    ("metadata.broker.list", "the brokers are named in --source"),
    ("log_level", "the environment variable RUST_LOG says what is logged"),
    ("log.queue", "minutely decides where log lines go"),
    ("topic.blacklist", "the topics are named in --source"),
    ("test.mock.num.brokers", "the brokers are named in --source"),
    ("plugin.library.paths", "a plugin could change what is read"),
    // A protocol of before Kafka 0.11 knows no transactions and no stamps: what was aborted would come as records do.
    ("api.version.request", "which protocol is spoken decides what counts, so the broker is always asked"),
    ("api.version.fallback.ms", "which protocol is spoken decides what counts, so the broker is always asked"),
    ("broker.version.fallback", "which protocol is spoken decides what counts, so the broker is always asked"),
];

/// The address in a URI, or all its mistakes.
pub(crate) fn address(uri: &str) -> Result<Address, Vec<String>> {
    let Some(rest) = uri.strip_prefix("kafka://") else {
        return Err(vec![format!("'{}' is not kafka://host:port[,…]/topic[,…]", redacted(uri))]);
    };
    let uri = redacted(uri);
    let (brokers, topics) = rest.split_once('/').unwrap_or((rest, ""));
    let mut mistakes: Vec<String> =
        brokers.split(',').filter_map(broker_mistake).map(|mistake| format!("'{uri}': {mistake}")).collect();
    let topics: Vec<String> = topics.split(',').map(str::to_owned).collect();
    for (at, topic) in topics.iter().enumerate() {
        if let Some(mistake) = topic_mistake(topic) {
            mistakes.push(format!("'{uri}': {mistake}"));
        } else if topics[..at].contains(topic) {
            mistakes.push(format!("'{uri}' names topic '{topic}' twice"));
        }
    }
    if mistakes.is_empty() { Ok(Address { brokers: brokers.to_owned(), topics }) } else { Err(mistakes) }
}

fn broker_mistake(broker: &str) -> Option<String> {
    if broker.contains('@') {
        return Some(
            "user and password do not go into the address: -X sasl.username=… and an environment variable".into(),
        );
    }
    let Some((host, port)) = broker.rsplit_once(':') else {
        return Some(format!("broker '{broker}' has no port (host:port, 9092 as a rule)"));
    };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let plain = !host.is_empty() && !host.contains([':', '[', ']']);
    if host.contains(|c: char| c.is_whitespace() || c.is_control()) || !(bracketed || plain) {
        return Some(format!("broker '{broker}' has no proper host (a name, an IPv4 address or [an IPv6 address])"));
    }
    let proper = port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (!proper).then(|| format!("broker '{broker}' has no proper port (1 to 65535)"))
}

fn topic_mistake(topic: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() {
        Some("a topic is missing (kafka://host:port/topic)".into())
    } else if topic.contains('?') {
        Some("options do not go into the address: librdkafka's properties are given with -X key=value".into())
    } else if !topic.chars().all(legal) || topic.len() > 249 || topic == "." || topic == ".." {
        Some(format!("'{topic}' cannot be a topic (at most 249 of a-z A-Z 0-9 . _ -)"))
    } else {
        None
    }
}

/// All mistakes in the properties. The last check has librdkafka look at them together, by making a client that knows
/// no broker.
pub(super) fn property_mistakes(properties: &[(String, String)]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (at, (name, value)) in properties.iter().enumerate() {
        if properties[..at].iter().any(|(earlier, _)| earlier == name) {
            mistakes.push(format!("-X {name} is given twice"));
        } else if let Some((_, why)) = ELSEWHERE.iter().find(|(elsewhere, _)| elsewhere == name) {
            mistakes.push(format!("-X {name} cannot be given: {why}"));
        } else if let Some((_, forced)) = FORCED.iter().find(|(forced, _)| forced == name) {
            if value != forced {
                mistakes.push(format!("-X {name} must be {forced}: any other value loses or doubles records"));
            }
        } else {
            mistakes.extend(property_mistake(name, value));
        }
    }
    mistakes.extend(login_mistakes(properties));
    if mistakes.is_empty() {
        let made: Result<BaseConsumer<Context>, _> = config(None, properties).create_with_context(Context::default());
        mistakes.extend(made.err().map(|error| format!("-X: {}", reason(&error))));
    }
    mistakes
}

/// What is wrong with how to say who we are, all of it together.
pub(crate) fn login_mistakes(properties: &[(String, String)]) -> Vec<String> {
    mechanism_mistake(properties).into_iter().chain(oauth::mistakes(properties)).collect()
}

/// A mechanism that is missing, or is not in the build: librdkafka's default is one that is not, and it would say how to
/// compile it.
fn mechanism_mistake(properties: &[(String, String)]) -> Option<String> {
    const KNOWN: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";
    let find = |wanted: &[&str]| properties.iter().find(|(name, _)| wanted.contains(&name.as_str()));
    match (find(&["sasl.mechanism", "sasl.mechanisms"]), find(&["security.protocol"])) {
        (Some((name, value)), _) if value.eq_ignore_ascii_case("GSSAPI") => Some(format!(
            "-X {name}={value}: minutely is built without Kerberos; take {KNOWN}, or a certificate (-X security.protocol=SSL)"
        )),
        (None, Some((_, protocol))) if protocol.to_ascii_uppercase().starts_with("SASL_") => Some(format!(
            "-X security.protocol={protocol}: goes with a mechanism; say -X sasl.mechanism=, one of {KNOWN}"
        )),
        _ => None,
    }
}

/// Without the value, unless librdkafka's own words say it and the property cannot be a secret.
pub(crate) fn property_mistake(name: &str, value: &str) -> Option<String> {
    if oauth::is_ours(name) {
        return value.contains('\0').then(|| format!("-X {name} contains a zero byte"));
    }
    const SECRET: [&str; 7] = ["password", "secret", "pem", "key", "username", "jaas", "config"];
    Some(match empty().set(name, value).create_native_config().err()? {
        KafkaError::ClientConfig(_, what, _, _) if !SECRET.iter().any(|secret| name.contains(secret)) => {
            format!("-X {name}: {}", lower(&what))
        }
        KafkaError::ClientConfig(..) => format!("-X {name} is unknown to librdkafka, or cannot have this value"),
        _ => format!("-X {name} contains a zero byte"),
    })
}

/// librdkafka's reason for refusing to make a client; it holds no values of properties that are secret.
pub(crate) fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientCreation(what) => lower(what),
        KafkaError::ClientConfig(_, what, name, _) => format!("{name}: {}", lower(what)),
        other => lower(&other.to_string()),
    }
}

/// As the house writes errors: lower case at the front, no full stop.
pub(crate) fn lower(text: &str) -> String {
    let text = text.trim_end_matches(['.', ' ', '\n']);
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned(); // an abbreviation
    }
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Nothing set yet.
#[expect(clippy::disallowed_methods, reason = "the one place that sets what must be set")]
pub(super) fn empty() -> ClientConfig {
    ClientConfig::new()
}

/// Do records of open and aborted transactions count? librdkafka takes the value in any case.
pub(crate) fn reads_uncommitted(properties: &[(String, String)]) -> bool {
    properties.iter().any(|(name, value)| name == "isolation.level" && value.eq_ignore_ascii_case("read_uncommitted"))
}

/// A client's configuration. Without an address it connects nowhere.
pub(super) fn config(address: Option<&Address>, properties: &[(String, String)]) -> ClientConfig {
    let mut config = empty();
    for (name, value) in DEFAULTS {
        config.set(*name, *value);
    }
    for (name, value) in oauth::for_librdkafka(properties) {
        config.set(name, value);
    }
    for (name, value) in FORCED {
        config.set(*name, *value);
    }
    if let Some(address) = address {
        config.set("bootstrap.servers", &address.brokers);
    }
    let debug = properties.iter().any(|(name, _)| name == "debug");
    config.set_log_level(if debug { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
    config
}

/// A producer's configuration: no record twice, none out of order, and tried again for as long as it takes.
pub(crate) fn producer_config(brokers: &str, properties: &[(String, String)], connects: bool) -> ClientConfig {
    let mut config = empty();
    config.set("client.id", "minutely").set("linger.ms", "20").set("compression.codec", "lz4");
    config.set("partitioner", "murmur2_random"); // as Java's clients
    config.set("reconnect.backoff.max.ms", "2000").set("log.connection.close", "true");
    config.set("message.timeout.ms", "120000");
    for (name, value) in oauth::for_librdkafka(properties) {
        config.set(name, value);
    }
    config.set("enable.idempotence", "true").set("acks", "all");
    if connects {
        config.set("bootstrap.servers", brokers);
    }
    config.set_log_level(RDKafkaLogLevel::Info); // connections that fail say so in lines of this level
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn addresses() {
        let found = address("kafka://a:9092,[::1]:9093,10.0.0.1:1/ticks,more.ticks_2-x").expect("a proper address");
        assert_eq!(found.brokers, "a:9092,[::1]:9093,10.0.0.1:1");
        assert_eq!(found.topics, ["ticks", "more.ticks_2-x"]);
    }

    #[test]
    fn every_mistake_of_an_address_is_told() {
        for (uri, parts) in [
            ("kafka:/a:1/t", &["is not kafka://"][..]),
            ("kafka://", &["broker '' has no port", "a topic is missing"]),
            ("kafka://a/t", &["broker 'a' has no port"]),
            ("kafka://a:0,b:65536,c:+1,d:/t", &["'a:0'", "'b:65536'", "'c:+1'", "'d:'"]),
            ("kafka://::1:9092/t", &["no proper host"]),
            ("kafka://u:p@a:1/t", &["do not go into the address"]),
            ("kafka://a:1/t,,t,ü", &["a topic is missing", "'t' twice", "'ü' cannot be"]),
            ("kafka://a:1/t/u", &["'t/u' cannot be"]),
            ("kafka://a:1/t?group=x", &["-X key=value"]),
            ("kafka://a:1/..", &["'..' cannot be"]),
        ] {
            let mistakes = address(uri).expect_err(uri);
            assert_eq!(mistakes.len(), parts.len(), "{uri}: {mistakes:?}");
            for part in parts {
                assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{uri}: {part} in {mistakes:?}");
            }
        }
    }

    #[test]
    fn every_mistake_in_properties_is_told() {
        let mistakes = property_mistakes(&properties(&[
            ("no.such.thing", "1"),
            ("fetch.wait.max.ms", "soon"),
            ("isolation.level", "read_some"),
            ("auto.offset.reset", "latest"),
            ("check.crcs", "true"),
            ("bootstrap.servers", "x:1"),
            ("broker.version.fallback", "0.9.0"),
            ("client.id", "a"),
            ("client.id", "b"),
            ("sasl.password", "zero\0byte"),
        ]));
        let parts = [
            "no such configuration property: \"no.such.thing\"",
            "fetch.wait.max.ms",
            "isolation.level",
            "auto.offset.reset must be error",
            "bootstrap.servers cannot be given: the brokers are named in --source",
            "broker.version.fallback cannot be given: which protocol is spoken decides what counts",
            "client.id is given twice",
            "sasl.password contains a zero byte",
        ];
        assert_eq!(mistakes.len(), parts.len(), "{mistakes:?}");
        for (mistake, part) in mistakes.iter().zip(parts) {
            assert!(mistake.to_lowercase().contains(part), "{part} in {mistake}");
        }
    }

    #[test]
    fn properties_are_checked_together() {
        let mistakes = property_mistakes(&properties(&[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "alice"),
        ]));
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains("sasl.password"), "{mistakes:?}");
        let fine = property_mistakes(&properties(&[
            ("isolation.level", "read_uncommitted"),
            ("group.id", "g"),
            ("compression.codec", "zstd"),
            ("ssl.endpoint.identification.algorithm", "none"),
        ]));
        assert_eq!(fine, Vec::<String>::new());
    }

    #[test]
    fn a_mechanism_is_named_and_in_the_build() {
        let protocol = ("security.protocol", "sasl_ssl");
        for (given, part) in [
            (&[protocol][..], "-X security.protocol=sasl_ssl: goes with a mechanism"),
            (&[protocol, ("sasl.mechanism", "GSSAPI")], "-X sasl.mechanism=GSSAPI: minutely is built without Kerberos"),
        ] {
            let mistakes = property_mistakes(&properties(given));
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(part), "{mistakes:?}");
        }
    }

    #[test]
    fn a_secret_stays_out_of_mistakes() {
        for name in ["sasl.password", "sasl.pasword", "ssl.key.pem", "ssl.key.password", "no.such.secret"] {
            for mistake in property_mistakes(&properties(&[(name, "hunter2"), ("security.protocol", "ssl")])) {
                assert!(!mistake.contains("hunter2"), "{mistake}");
            }
        }
        assert!(!property_mistakes(&properties(&[("no.such.secret", "hunter2")])).is_empty());
    }
}
