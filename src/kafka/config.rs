//! `-X key=value`, librdkafka's properties: what is set, what may be set, and all of them checked together before anything is
//! connected.

use super::address::KafkaAddress;
use super::context::KafkaContext;
use super::oauth;
use super::wording::{lower, reason};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

/// Properties that a user may change. Those that bound memory are `memory.rs`'s.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "minutely"),
    ("group.id", "minutely"), // the job's own, as a rule: see `SourceOptions::group`
    ("isolation.level", "read_committed"),
    // The default of 1000 makes a partition whose queue was full sleep while the reader runs dry.
    ("fetch.queue.backoff.ms", "10"),
    // The default of 10000 would have a broker that is back wait for its readers.
    ("reconnect.backoff.max.ms", "2000"),
    // `failure.rs` reads these lines; they are not logged.
    ("log.connection.close", "true"),
    // The default of 30000 is as long as the start is waited for: an address that drops packets would stay without a reason.
    ("socket.connection.setup.timeout.ms", "10000"),
];

/// Properties on which correctness rests: any other value loses records silently (`docs/sources.md`).
const FORCED: &[(&str, &str)] = &[
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
];

/// Properties that are set in another way, or must not be set, each with the reason.
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

/// All mistakes in a consumer's properties. The last check has librdkafka look at them together, by making a client that knows
/// no broker.
pub(crate) fn property_mistakes(properties: &[(String, String)]) -> Vec<String> {
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
        let made: Result<BaseConsumer<KafkaContext>, _> =
            consumer_config(None, properties).create_with_context(KafkaContext::default());
        mistakes.extend(made.err().map(|error| format!("-X: {}", reason(&error))));
    }
    mistakes
}

/// All mistakes in the properties that authenticate this client.
pub(crate) fn login_mistakes(properties: &[(String, String)]) -> Vec<String> {
    mechanism_mistake(properties).into_iter().chain(oauth::mistakes(properties)).collect()
}

/// A SASL mechanism that is missing, or is not in the build: librdkafka's default is one that is not, and its own message would
/// say how to compile it.
fn mechanism_mistake(properties: &[(String, String)]) -> Option<String> {
    const KNOWN: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";
    let find = |wanted: &[&str]| properties.iter().find(|(name, _)| wanted.contains(&name.as_str()));
    match (find(&["sasl.mechanism", "sasl.mechanisms"]), find(&["security.protocol"])) {
        (Some((name, value)), _) if value.eq_ignore_ascii_case("GSSAPI") => Some(format!(
            "-X {name}={value}: minutely is built without Kerberos; use one of {KNOWN}, or a certificate (-X security.protocol=SSL)"
        )),
        (None, Some((_, protocol))) if protocol.to_ascii_uppercase().starts_with("SASL_") => {
            Some(format!("-X security.protocol={protocol}: needs a mechanism: set -X sasl.mechanism to one of {KNOWN}"))
        }
        _ => None,
    }
}

/// The mistake in one property. Without its value, unless librdkafka's own words have it and the property cannot be a secret.
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

/// Without any property.
#[expect(clippy::disallowed_methods, reason = "the one place that sets what must be set")]
pub(crate) fn empty() -> ClientConfig {
    ClientConfig::new()
}

/// Do records of open and aborted transactions count? librdkafka takes the value in any case.
pub(crate) fn reads_uncommitted(properties: &[(String, String)]) -> bool {
    properties.iter().any(|(name, value)| name == "isolation.level" && value.eq_ignore_ascii_case("read_uncommitted"))
}

/// A consumer's configuration. Without an address it connects nowhere.
pub(crate) fn consumer_config(address: Option<&KafkaAddress>, properties: &[(String, String)]) -> ClientConfig {
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
            (&[protocol][..], "-X security.protocol=sasl_ssl: needs a mechanism"),
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
