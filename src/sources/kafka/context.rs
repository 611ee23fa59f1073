//! What librdkafka tells on the side: its log lines, and its troubles with brokers, which it mends by itself. Troubles
//! are told at most every ten seconds; the last one is kept, for the message of a run that cannot begin.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A client that consumes.
pub(super) type Consume = BaseConsumer<Context>;

/// A client as requests use it.
pub(super) type Asker = rdkafka::client::Client<Context>;

/// At most one warning in this time.
const QUIET: Duration = Duration::from_secs(10);

/// One client's side channel.
#[derive(Debug, Default)]
pub(super) struct Context {
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default)]
struct Troubles {
    /// Until then a trouble is part of the one message of a run that cannot begin.
    begun: bool,
    last: Option<String>,
    told: Option<Instant>,
    untold: u64,
}

impl Context {
    /// The last trouble, in librdkafka's words.
    pub(super) fn last_trouble(&self) -> Option<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
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

    fn error(&self, _error: KafkaError, reason: &str) {
        self.trouble(reason);
    }
}

impl ConsumerContext for Context {}
