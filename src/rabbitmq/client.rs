//! A connection, and the threads that serve it.

use super::failure::RequestFailure;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use std::io;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long a connection may take, its login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// What requests run on.
///
/// # Errors
/// When there is no thread for it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rabbitmq").enable_all().build()
}

/// Connects and logs in, once.
///
/// # Errors
/// [`RequestFailure::Denied`] and [`RequestFailure::Refused`]: by the login or the virtual host.
pub(crate) async fn connect(uri: &AMQPUri) -> Result<Connection, RequestFailure> {
    let properties = ConnectionProperties::default().with_connection_name("minutely".into());
    match tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect_uri(uri.clone(), properties)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(RequestFailure::Lost(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}
