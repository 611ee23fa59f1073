//! The connection of a process, made again where it was lost, and since when there is none.

use crate::rabbitmq::{RabbitAddress, RequestFailure, connect};
use crate::threads::lock;
use lapin::Connection;
use lapin::uri::AMQPUri;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Trouble, after no connection for this long.
const DOWN: Duration = Duration::from_secs(3);
/// How long a connection may take to close.
const CLOSE: Duration = Duration::from_millis(500);

/// The connection that all feeds and looks share.
pub(super) struct ServerLink {
    server: String,
    target: AMQPUri,
    current: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// Since when nothing can be read, and why.
    lost: Mutex<Option<(Instant, String)>>,
    /// The run has begun: what fails is said. Before, the start says it.
    says: AtomicBool,
}

impl ServerLink {
    pub(super) fn new(address: &RabbitAddress, target: AMQPUri) -> Self {
        ServerLink {
            server: address.server(),
            target,
            current: tokio::sync::Mutex::new(None),
            lost: Mutex::new(None),
            says: AtomicBool::new(false),
        }
    }

    /// `host:port`, for messages.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// From now on failures are said.
    pub(super) fn log_from_now(&self) {
        self.says.store(true, Ordering::Relaxed);
    }

    /// The connection; made, where there is none or it is broken. One attempt.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, RequestFailure> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        *current = None;
        match connect(&self.target).await {
            Ok(connection) => Ok(Arc::clone(current.insert(Arc::new(connection)))),
            Err(failure) => {
                self.note(&failure);
                Err(failure)
            }
        }
    }

    /// Is this the connection still, and is it whole? Another one was made where this one was lost.
    pub(super) fn is_current(&self, connection: &Arc<Connection>) -> bool {
        let current = self.current.try_lock();
        let is_another = current.is_ok_and(|current| current.as_ref().is_some_and(|one| !Arc::ptr_eq(one, connection)));
        connection.status().connected() && !is_another
    }

    /// Notes that reading has failed.
    pub(super) fn note(&self, failure: &RequestFailure) {
        let why = match failure {
            RequestFailure::NotFound => "a stream is not there".to_owned(),
            RequestFailure::Untrusted(why) => format!("the server's certificate is not trusted ({why})"),
            RequestFailure::Denied(why) | RequestFailure::Refused(why) | RequestFailure::Lost(why) => why.clone(),
        };
        let mut lost = lock(&self.lost);
        match &mut *lost {
            Some((_, known)) => *known = why,
            None => {
                if self.says.load(Ordering::Relaxed) {
                    tracing::warn!("rabbitmq at {}: {why}; trying again", self.server);
                }
                *lost = Some((Instant::now(), why));
            }
        }
    }

    /// Reading goes on.
    pub(super) fn note_progress(&self) {
        if lock(&self.lost).take().is_some() && self.says.load(Ordering::Relaxed) {
            tracing::info!("rabbitmq at {}: reading goes on", self.server);
        }
    }

    /// See [`minutely_dataflows::edge::LogSource::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        let lost = lock(&self.lost);
        let (since, why) = lost.as_ref()?;
        let silent = since.elapsed();
        (silent >= DOWN)
            .then(|| format!("no answer from rabbitmq at {} for {} s: {why}", self.server, silent.as_secs()))
    }

    /// Says good-bye.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.current.lock().await.take() {
            let closing = connection.close(200, "done".into());
            if !matches!(tokio::time::timeout(CLOSE, closing).await, Ok(Ok(()))) {
                tracing::debug!("rabbitmq at {}: the connection was not closed in order", self.server);
            }
        }
    }
}
