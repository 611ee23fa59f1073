//! `kafka://host:port[,…]/topic[,…]`, checked before anything is connected.

use crate::uri::redacted;

/// Brokers to connect to first, and topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KafkaAddress {
    /// `host:port[,…]`, at least one.
    pub(crate) brokers: String,
    /// At least one, none twice.
    pub(crate) topics: Vec<String>,
}

/// The address in a URI.
///
/// # Errors
/// All its mistakes, one paragraph each.
pub(crate) fn address(uri: &str) -> Result<KafkaAddress, Vec<String>> {
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
    if mistakes.is_empty() { Ok(KafkaAddress { brokers: brokers.to_owned(), topics }) } else { Err(mistakes) }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
