//! What librdkafka tells on the side: its log lines, and its troubles with brokers, which it mends by itself. Troubles
//! are told at most every ten seconds; the last one is kept, for the message of a run that cannot begin.

use super::failure::{Advice, Failure};
use super::oauth;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A client that consumes.
pub(super) type Consume = BaseConsumer<Context>;

/// A client as requests use it.
pub(super) type Asker = rdkafka::client::Client<Context>;

/// How long a refusal may be the broker's and not the settings': one that has just started may not know its users yet.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What to do about a trouble that the settings make, and that more attempts will hardly mend.
fn refusal(error: &KafkaError, reason: &str) -> Option<String> {
    if let Some(failure) = Failure::read(reason)
        && let Some(Advice::Sure(_)) = &failure.advice
    {
        return Some(failure.told());
    }
    if let Some((_, why)) = reason.split_once("Failed to acquire SASL OAUTHBEARER token: ") {
        let refused = !why.starts_with(oauth::DOES_NOT_ANSWER);
        return refused.then(|| why.trim_end_matches('.').to_owned());
    }
    let code = error.rdkafka_error_code();
    // A broker that wants a certificate of ours says so after our side of the handshake: then the code tells of no more
    // than a broken connection.
    let alert = reason.contains("SSL routines") && reason.contains("alert");
    let what_to_do = if code == Some(RDKafkaErrorCode::Authentication) {
        "the broker does not let this user in: correct -X sasl.username, -X sasl.mechanism or the password \
         (MINUTELY_KAFKA_PASSWORD)"
    } else if code == Some(RDKafkaErrorCode::SSL) || alert {
        "no connection by TLS: correct -X ssl.ca.location (whom we trust) or, if the broker wants to know us, \
         -X ssl.certificate.location and -X ssl.key.location"
    } else {
        return None;
    };
    Some(format!("{what_to_do} ({})", reason.trim_end_matches('.')))
}

/// At most one warning in this time.
const QUIET: Duration = Duration::from_secs(10);
/// Brokers of which the last failure is kept.
const MOST_FAILURES: usize = 64;

/// One client's side channel.
#[derive(Debug, Default)]
pub(crate) struct Context {
    troubles: Mutex<Troubles>,
    /// This user may not use the group, whose offsets are committed for tools that show a lag.
    group_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct Troubles {
    /// Until then a trouble is part of the one message of a run that cannot begin.
    begun: bool,
    last: Option<String>,
    /// By address: the last failure since there was an answer.
    failures: BTreeMap<String, Failure>,
    /// No broker can be reached, and there was no answer since.
    all_down: bool,
    /// Since when there is a refusal, and what it is.
    refused: Option<(Instant, String)>,
    told: Option<Instant>,
    untold: u64,
}

impl Context {
    /// May this user not use the group? A client that may not even find its coordinator has its commits fail for want of one.
    pub(super) fn group_refused(&self) -> bool {
        self.group_refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of brokers that cannot be reached: each with the reason, and what to set where that would help.
    pub(super) fn failures(&self) -> Vec<String> {
        self.lock().failures.values().map(Failure::told).collect()
    }

    /// Does a failure say what to set?
    pub(super) fn advises(&self) -> bool {
        self.lock().failures.values().any(|failure| failure.advice.is_some())
    }

    /// The same in one paragraph; the last trouble in librdkafka's words where no broker is known to fail.
    pub(crate) fn last_trouble(&self) -> Option<String> {
        let known = self.failures();
        if known.is_empty() { self.lock().last.clone() } else { Some(known.join("; ")) }
    }

    /// A refusal that has lasted, with what to do.
    pub(crate) fn refused(&self) -> Option<String> {
        let troubles = self.lock();
        troubles.refused.as_ref().filter(|(since, _)| since.elapsed() >= REFUSED_FOR).map(|(_, what)| what.clone())
    }

    /// No broker can be reached, and there was no answer since.
    pub(super) fn all_down(&self) -> bool {
        self.lock().all_down
    }

    /// The brokers answer.
    pub(super) fn answered(&self) {
        let mut troubles = self.lock();
        (troubles.refused, troubles.all_down) = (None, false);
        troubles.failures.clear();
    }

    /// The run has begun.
    pub(super) fn begin(&self) {
        self.lock().begun = true;
    }

    /// Keeps what librdkafka says of a broker.
    fn fails(&self, text: &str) -> Option<Failure> {
        let failure = Failure::read(text)?;
        let mut troubles = self.lock();
        if troubles.failures.len() < MOST_FAILURES || troubles.failures.contains_key(&failure.address) {
            troubles.failures.insert(failure.address.clone(), failure.clone());
        }
        Some(failure)
    }

    /// Tells of a trouble that librdkafka mends by itself, unless one was told just now.
    pub(super) fn trouble(&self, what: &str) {
        let mut troubles = self.lock();
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
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        oauth::token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            // Connections that fail and come back are told by `error`; one that the broker closes is a line here alone.
            _ if facility == "FAIL" => {
                let text = line.strip_prefix("[thrd:").and_then(|line| Some(line.split_once("]: ")?.1));
                self.fails(text.unwrap_or(line));
                tracing::debug!(target: "librdkafka", "{facility}: {line}");
            }
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
            self.lock().refused.get_or_insert_with(|| (Instant::now(), what_to_do));
        }
        // Nobody asks for a group but to commit its offsets.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return self.group_refused.store(true, Ordering::Relaxed);
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.lock().all_down = true;
        }
        match self.fails(reason) {
            Some(failure) => self.trouble(&failure.told()),
            None => self.trouble(reason),
        }
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_connection_that_fails() {
        let told = |code, reason: &str| refusal(&KafkaError::Global(code), reason).map(|what| what[..20].to_owned());
        let (user, tls) = (Some("the broker does not ".to_owned()), Some("no connection by TLS".to_owned()));
        let authentication = RDKafkaErrorCode::Authentication;
        assert_eq!(told(authentication, "SASL authentication error: invalid credentials"), user);
        assert_eq!(told(RDKafkaErrorCode::SSL, "SSL handshake failed: certificate verify failed"), tls);
        let token = "Failed to acquire SASL OAUTHBEARER token: the token endpoint u refuses this client (401)";
        assert_eq!(told(authentication, token), Some("the token endpoint u".to_owned()));
        let silent =
            "Failed to acquire SASL OAUTHBEARER token: no answer from the token endpoint u: connection refused";
        assert_eq!(told(authentication, silent), None, "it may be there in a moment");
        let broken = RDKafkaErrorCode::BrokerTransportFailure;
        let alert = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42";
        assert_eq!(told(broken, alert), tls);
        let no_user = "sasl_ssl://b:1/1: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: \
                       broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)";
        assert!(refusal(&KafkaError::Global(authentication), no_user).unwrap().contains("security.protocol=SSL"));
        assert_eq!(told(broken, "Receive failed: error:0A000126:SSL routines::unexpected eof while reading"), None);
        assert_eq!(told(broken, "Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
    }

    #[test]
    fn what_is_known_of_brokers_is_kept_until_one_answers() {
        let context = Context::default();
        let refused = "b:1/1: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), refused);
        let closed = "[thrd:a:1/bootstrap]: a:1/bootstrap: Disconnected: connection closed by peer (after 3ms in state \
                      APIVERSION_QUERY)";
        context.log(RDKafkaLogLevel::Info, "FAIL", closed);
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "2/2 brokers are down");
        let known = context.failures();
        assert_eq!(known.len(), 2, "{known:?}");
        assert!(known[0].contains("a:1: the connection was closed at our first words; "), "{known:?}");
        assert_eq!(known[1], "b:1 (which a broker advertises): Connection refused");
        assert!(context.all_down() && context.advises() && context.refused().is_none());
        context.answered();
        assert!(!context.all_down() && context.failures().is_empty());
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
