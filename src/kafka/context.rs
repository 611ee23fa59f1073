//! What librdkafka reports beside its answers: log lines, and failures of connections, which it repairs itself. Failures are
//! logged at most every ten seconds; the last one is kept, for the message of a run that cannot begin.

use super::failure::{Advice, BrokerFailure};
use super::oauth;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A client that reads records.
pub(crate) type ConsumerClient = BaseConsumer<KafkaContext>;

/// A client, as requests use it.
pub(crate) type RequestClient = rdkafka::client::Client<KafkaContext>;

/// How long a refusal must last before it ends a start: a broker that has just started may not know its users yet.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What to do about a failure that the settings cause, so that more attempts will hardly help.
fn refusal(error: &KafkaError, reason: &str) -> Option<String> {
    if let Some(failure) = BrokerFailure::parse(reason)
        && let Some(Advice::Sure(_)) = &failure.advice
    {
        return Some(failure.message());
    }
    if let Some((_, why)) = reason.split_once("Failed to acquire SASL OAUTHBEARER token: ") {
        let refused = !why.starts_with(oauth::NO_ANSWER);
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
        "no connection by TLS: correct -X ssl.ca.location (whom we trust) or, if the broker asks for a certificate, \
         -X ssl.certificate.location and -X ssl.key.location"
    } else {
        return None;
    };
    Some(format!("{what_to_do} ({})", reason.trim_end_matches('.')))
}

/// At most one warning in this time.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// Brokers of which the last failure is kept.
const MOST_FAILURES: usize = 64;

/// What one client reports beside its answers.
#[derive(Debug, Default)]
pub(crate) struct KafkaContext {
    state: Mutex<ClientState>,
    /// This user may not use the group, whose offsets are committed for tools that show a lag.
    group_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct ClientState {
    /// The run has begun. Before that, failures are part of the one message of a run that cannot begin.
    begun: bool,
    /// In librdkafka's words.
    last: Option<String>,
    /// By address: the last failure since there was an answer.
    failures: BTreeMap<String, BrokerFailure>,
    /// No broker can be reached, and there was no answer since.
    all_down: bool,
    /// Since when there is a refusal, and what to do about it.
    refused: Option<(Instant, String)>,
    /// When a failure was logged last, and how many were not since then.
    logged: Option<Instant>,
    not_logged: u64,
}

impl KafkaContext {
    /// May this user not use the group? A client that may not even find its coordinator has its commits fail for want of one.
    pub(crate) fn group_refused(&self) -> bool {
        self.group_refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, ClientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of brokers that cannot be reached: each with the reason, and what to set where that would help.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.lock().failures.values().map(BrokerFailure::message).collect()
    }

    /// Does a known failure say what to set?
    pub(crate) fn has_advice(&self) -> bool {
        self.lock().failures.values().any(|failure| failure.advice.is_some())
    }

    /// [`KafkaContext::failures`] in one paragraph; where none is known, the last failure in librdkafka's words.
    pub(crate) fn last_failure(&self) -> Option<String> {
        let known = self.failures();
        if known.is_empty() { self.lock().last.clone() } else { Some(known.join("; ")) }
    }

    /// What to do about a refusal that has lasted.
    pub(crate) fn refused(&self) -> Option<String> {
        let state = self.lock();
        state.refused.as_ref().filter(|(since, _)| since.elapsed() >= REFUSED_FOR).map(|(_, what)| what.clone())
    }

    /// No broker can be reached, and there was no answer since.
    pub(crate) fn all_down(&self) -> bool {
        self.lock().all_down
    }

    /// A broker has answered: forgets refusal and failures.
    pub(crate) fn clear_failures(&self) {
        let mut state = self.lock();
        (state.refused, state.all_down) = (None, false);
        state.failures.clear();
    }

    /// The run has begun: failures are logged from now on.
    pub(crate) fn log_from_now(&self) {
        self.lock().begun = true;
    }

    /// Keeps what librdkafka says of a broker.
    fn record_failure(&self, text: &str) -> Option<BrokerFailure> {
        let failure = BrokerFailure::parse(text)?;
        let mut state = self.lock();
        if state.failures.len() < MOST_FAILURES || state.failures.contains_key(&failure.address) {
            state.failures.insert(failure.address.clone(), failure.clone());
        }
        Some(failure)
    }

    /// Logs a failure that librdkafka repairs itself, unless one was logged just now.
    pub(crate) fn report(&self, what: &str) {
        let mut state = self.lock();
        // "3/3 brokers are down" says less than the failure that came before it.
        if state.last.is_none() || !what.contains("brokers are down") {
            state.last = Some(what.to_owned());
        }
        if !state.begun {
            return tracing::debug!("kafka: {what}");
        }
        if state.logged.is_some_and(|logged| logged.elapsed() < WARN_EVERY) {
            state.not_logged += 1;
            return;
        }
        tracing::warn!(more = state.not_logged, "kafka: {what} (librdkafka keeps trying)");
        state.logged = Some(Instant::now());
        state.not_logged = 0;
    }
}

impl ClientContext for KafkaContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        oauth::token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            // `error` hears of connections that fail; one that the broker closes is a line here alone.
            _ if facility == "FAIL" => {
                let text = line.strip_prefix("[thrd:").and_then(|line| Some(line.split_once("]: ")?.1));
                self.record_failure(text.unwrap_or(line));
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
        // A group is used for nothing but committing its offsets.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return self.group_refused.store(true, Ordering::Relaxed);
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.lock().all_down = true;
        }
        match self.record_failure(reason) {
            Some(failure) => self.report(&failure.message()),
            None => self.report(reason),
        }
    }
}

impl ConsumerContext for KafkaContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_connection_that_fails() {
        let refused = |code, reason: &str| refusal(&KafkaError::Global(code), reason).map(|what| what[..20].to_owned());
        let (user, tls) = (Some("the broker does not ".to_owned()), Some("no connection by TLS".to_owned()));
        let authentication = RDKafkaErrorCode::Authentication;
        assert_eq!(refused(authentication, "SASL authentication error: invalid credentials"), user);
        assert_eq!(refused(RDKafkaErrorCode::SSL, "SSL handshake failed: certificate verify failed"), tls);
        let token = "Failed to acquire SASL OAUTHBEARER token: the token endpoint u refuses this client (401)";
        assert_eq!(refused(authentication, token), Some("the token endpoint u".to_owned()));
        let silent =
            "Failed to acquire SASL OAUTHBEARER token: no answer from the token endpoint u: connection refused";
        assert_eq!(refused(authentication, silent), None, "it may be there in a moment");
        let broken = RDKafkaErrorCode::BrokerTransportFailure;
        let alert = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42";
        assert_eq!(refused(broken, alert), tls);
        let no_user = "sasl_ssl://b:1/1: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: \
                       broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)";
        assert!(refusal(&KafkaError::Global(authentication), no_user).unwrap().contains("security.protocol=SSL"));
        assert_eq!(refused(broken, "Receive failed: error:0A000126:SSL routines::unexpected eof while reading"), None);
        assert_eq!(refused(broken, "Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
    }

    #[test]
    fn what_is_known_of_brokers_is_kept_until_one_answers() {
        let context = KafkaContext::default();
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
        assert!(context.all_down() && context.has_advice() && context.refused().is_none());
        context.clear_failures();
        assert!(!context.all_down() && context.failures().is_empty());
    }

    #[test]
    fn a_refusal_counts_once_it_has_lasted_and_until_there_is_an_answer() {
        let context = KafkaContext::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "invalid credentials.");
        assert_eq!(context.refused(), None, "the broker may have just started");
        context.state.lock().unwrap().refused.as_mut().unwrap().0 -= REFUSED_FOR;
        assert!(context.refused().unwrap().ends_with("(MINUTELY_KAFKA_PASSWORD) (invalid credentials)"));
        context.clear_failures();
        assert_eq!(context.refused(), None);
    }
}
