//! What librdkafka tells on the side: its log lines, and its troubles with brokers, which it mends by itself. Troubles
//! are told at most every ten seconds; the last one is kept, for the message of a run that cannot begin.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A client that consumes.
pub(super) type Consume = BaseConsumer<Context>;

/// A client as requests use it.
pub(super) type Asker = rdkafka::client::Client<Context>;

/// How long a refusal may be the broker's and not the settings': one that has just started may not know its users yet.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What to do about a trouble that the settings make, and that more attempts will hardly mend.
fn refusal(error: &KafkaError, reason: &str) -> Option<&'static str> {
    let code = error.rdkafka_error_code();
    if code == Some(RDKafkaErrorCode::Authentication) {
        return Some(
            "the broker does not let this user in: correct -X sasl.username, -X sasl.mechanism or the password \
             (MINUTELY_KAFKA_PASSWORD)",
        );
    }
    // A broker that wants a certificate of ours says so after our side of the handshake: then the code tells of no more
    // than a broken connection.
    let alert = reason.contains("SSL routines") && reason.contains("alert");
    (code == Some(RDKafkaErrorCode::SSL) || alert).then_some(
        "no connection by TLS: correct -X ssl.ca.location (whom we trust) or, if the broker wants to know us, \
         -X ssl.certificate.location and -X ssl.key.location",
    )
}

/// At most one warning in this time.
const QUIET: Duration = Duration::from_secs(10);

/// One client's side channel.
#[derive(Debug, Default)]
pub(crate) struct Context {
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default)]
struct Troubles {
    /// Until then a trouble is part of the one message of a run that cannot begin.
    begun: bool,
    last: Option<String>,
    /// Since when there is a refusal, and what it is.
    refused: Option<(Instant, String)>,
    told: Option<Instant>,
    untold: u64,
}

impl Context {
    /// The last trouble, in librdkafka's words.
    pub(crate) fn last_trouble(&self) -> Option<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// A refusal that has lasted, with what to do.
    pub(crate) fn refused(&self) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.refused.as_ref().filter(|(since, _)| since.elapsed() >= REFUSED_FOR).map(|(_, what)| what.clone())
    }

    /// The brokers answer.
    pub(super) fn answered(&self) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).refused = None;
    }

    /// The run has begun.
    pub(super) fn begin(&self) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).begun = true;
    }

    /// Tells of a trouble that librdkafka mends by itself, unless one was told just now.
    pub(super) fn trouble(&self, what: &str) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        // "3/3 brokers are down" says less than the failure that came before it.
        if troubles.last.is_none() || !what.contains("brokers are down") {
            troubles.last = Some(what.to_owned());
        }
        if !troubles.begun {
            return tracing::debug!("kafka: {what}");
        }
        if troubles.told.is_some_and(|told| told.elapsed() < QUIET) {
            troubles.untold += 1;
            return;
        }
        tracing::warn!(more = troubles.untold, "kafka: {what} (librdkafka goes on trying)");
        troubles.told = Some(Instant::now());
        troubles.untold = 0;
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            // connections that fail and come back are told by `error`
            _ if facility == "FAIL" => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "librdkafka", "{facility}: {line}");
            }
            _ => tracing::warn!(target: "librdkafka", "{facility}: {line}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        tracing::debug!(target: "librdkafka", "{}", String::from_utf8_lossy(statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(what_to_do) = refusal(&error, reason) {
            let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            troubles
                .refused
                .get_or_insert_with(|| (Instant::now(), format!("{what_to_do} ({})", reason.trim_end_matches('.'))));
        }
        self.trouble(reason);
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_connection_that_fails() {
        let told = |code, reason: &str| refusal(&KafkaError::Global(code), reason).map(|what| &what[..20]);
        let (user, tls) = (Some("the broker does not "), Some("no connection by TLS"));
        let authentication = RDKafkaErrorCode::Authentication;
        assert_eq!(told(authentication, "SASL authentication error: invalid credentials"), user);
        assert_eq!(told(RDKafkaErrorCode::SSL, "SSL handshake failed: certificate verify failed"), tls);
        let broken = RDKafkaErrorCode::BrokerTransportFailure;
        let alert = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42";
        assert_eq!(told(broken, alert), tls);
        assert_eq!(told(broken, "Receive failed: error:0A000126:SSL routines::unexpected eof while reading"), None);
        assert_eq!(told(broken, "Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
    }

    #[test]
    fn a_refusal_counts_once_it_has_lasted_and_until_there_is_an_answer() {
        let context = Context::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "invalid credentials.");
        assert_eq!(context.refused(), None, "the broker may have just started");
        context.troubles.lock().unwrap().refused.as_mut().unwrap().0 -= REFUSED_FOR;
        assert!(context.refused().unwrap().ends_with("(MINUTELY_KAFKA_PASSWORD) (invalid credentials)"));
        context.answered();
        assert_eq!(context.refused(), None);
    }
}
