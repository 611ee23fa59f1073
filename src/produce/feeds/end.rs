//! How a connection ended, as far as it matters for what is done next.

use super::client::HandshakeError;
use minutely_dataflows::escape::shortened;
use std::time::Duration;

/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// It broke, was closed, or was silent: why.
    Lost(String),
    /// The server was asked too often; what it says, and how long it asks to wait.
    RateLimited(String, Option<Duration>),
    /// The server does not give what is asked for; its words.
    Refused(String),
    /// The run ends, or takes no more records.
    Stopped,
}

impl ConnectionEnd {
    /// What a failed handshake means.
    pub(super) fn of_handshake(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Broken(why) => ConnectionEnd::Lost(why),
            HandshakeError::Status { status: status @ (418 | 429), words, retry_after } => {
                let asked = retry_after.map(|asked| asked.min(LONGEST_ASKED));
                ConnectionEnd::RateLimited(format!("it answers {status} ({words})"), asked)
            }
            HandshakeError::Status { status: status @ (400..=407 | 409..=417 | 419..=499), words, .. } => {
                ConnectionEnd::Refused(format!("it answers {status} ({words})"))
            }
            HandshakeError::Status { status, words, .. } => {
                ConnectionEnd::Lost(format!("it answers {status} ({words})"))
            }
        }
    }

    /// What a closed connection means: the server's code and words, where it gave some.
    pub(super) fn of_close(given: Option<(u16, String)>) -> Self {
        let Some((code, words)) = given else {
            return ConnectionEnd::Lost("closed by the server without a code".to_owned());
        };
        let why = format!("closed by the server with {code} {}", shortened(&words)).trim_end().to_owned();
        match words.to_ascii_lowercase().contains("too many") {
            true => ConnectionEnd::RateLimited(why, None),
            false => ConnectionEnd::Lost(why),
        }
    }

    /// What a message means by which the feed refuses a subscription.
    pub(super) fn of_refusal(words: &str) -> Self {
        ConnectionEnd::Refused(format!("it refuses what is asked for: {}", shortened(words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_codes_say_what_to_do() {
        let of = |status| {
            let words = "x".to_owned();
            ConnectionEnd::of_handshake(HandshakeError::Status { status, words, retry_after: None })
        };
        for status in [429, 418] {
            assert!(matches!(of(status), ConnectionEnd::RateLimited(..)), "{status}");
        }
        for status in [400, 403, 404, 451] {
            assert_eq!(of(status), ConnectionEnd::Refused(format!("it answers {status} (x)")));
        }
        for status in [200, 302, 408, 500, 503] {
            assert!(matches!(of(status), ConnectionEnd::Lost(_)), "{status}");
        }
        let close = |code, words: &str| ConnectionEnd::of_close(Some((code, words.to_owned())));
        assert_eq!(close(1001, ""), ConnectionEnd::Lost("closed by the server with 1001".into()));
        assert!(matches!(close(1008, "Too many requests"), ConnectionEnd::RateLimited(..)));
        assert_eq!(ConnectionEnd::of_close(None), ConnectionEnd::Lost("closed by the server without a code".into()));
    }
}
