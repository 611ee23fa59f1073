//! Why the server cannot start, and why a run is not healthy.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// Why `--http` cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("--http {address}: {}; choose another, or none", in_words(source))]
    AddressTaken { address: SocketAddr, source: io::Error },
    #[error("--http: the server cannot start: {0}")]
    NotStarted(#[source] io::Error),
}

fn in_words(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::AddrInUse => "another program listens there".to_owned(),
        _ => e.to_string(),
    }
}

impl From<ServeError> for Halt {
    fn from(e: ServeError) -> Self {
        let kind = match e {
            ServeError::AddressTaken { .. } => HaltKind::Unreachable,
            ServeError::NotStarted(_) => HaltKind::Internal,
        };
        Halt::new(kind, e.to_string())
    }
}

/// Why a run is not known to be healthy. `http`: the address that was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthError {
    #[error("--http none: serves nothing, so there is nothing to ask; give the address of a run")]
    NothingServed,
    #[error("`{http}`: {source}; give it as HOST:PORT")]
    NoAddress { http: String, source: io::Error },
    #[error("http://{http}/healthz: no such address")]
    NoHost { http: String },
    #[error("http://{http}/healthz: {source}")]
    NoAnswer { http: String, source: io::Error },
    /// `body`: its first characters.
    #[error("http://{http}/healthz: it answers {status} {body}")]
    Unhealthy { http: String, status: String, body: String },
}

impl From<HealthError> for Halt {
    fn from(e: HealthError) -> Self {
        let kind = match e {
            HealthError::NothingServed | HealthError::NoAddress { .. } => HaltKind::Usage,
            HealthError::NoHost { .. } | HealthError::NoAnswer { .. } | HealthError::Unhealthy { .. } => {
                HaltKind::Unreachable
            }
        };
        Halt::new(kind, e.to_string())
    }
}
