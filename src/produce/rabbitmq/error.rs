//! Why records cannot be written to streams.

use crate::rabbitmq::TRUST;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;

/// Why records cannot be written; its text is one paragraph with what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamWriteError {
    /// Mistakes in the address, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    #[error("{uri}: {why}; check user, password, virtual host, and the rights to configure and to write the stream")]
    Refused { uri: String, why: String },
    #[error("{uri}: the server's certificate is not trusted ({why}); {TRUST}")]
    Untrusted { uri: String, why: String },
    #[error("{uri}: no usable answer within {seconds} s: {why}; check that the server runs, and its address")]
    NoAnswer { uri: String, seconds: u64, why: String },
    #[error("{uri}: queue '{queue}' is a {kind} queue and no stream: choose another name, or delete it first")]
    NotAStream { uri: String, queue: String, kind: String },
    #[error(
        "{uri}: there are {there} streams and the source has {wanted} partitions: name as many streams, one name that is no stream \
         yet (name-0, name-1 and so on are made of it), or let keys choose (--partition-by key)"
    )]
    FewStreams { uri: String, there: usize, wanted: i32 },
    #[error("stream '{stream}': {what}; {acknowledged} records were acknowledged before")]
    RecordRefused { stream: String, what: String, acknowledged: u64 },
    #[error(
        "{uri}: no record was acknowledged for {seconds} s: {why}; {acknowledged} records were acknowledged before"
    )]
    NotAcknowledged { uri: String, seconds: u64, why: String, acknowledged: u64 },
    #[error("thread rabbitmq: {source}")]
    Thread { source: io::Error },
}

impl From<StreamWriteError> for Halt {
    fn from(error: StreamWriteError) -> Self {
        use StreamWriteError as Error;
        let kind = match &error {
            Error::Mistakes(_)
            | Error::Refused { .. }
            | Error::Untrusted { .. }
            | Error::NotAStream { .. }
            | Error::FewStreams { .. }
            | Error::RecordRefused { .. } => HaltKind::Usage,
            Error::NoAnswer { .. } | Error::NotAcknowledged { .. } => HaltKind::Unreachable,
            Error::Thread { .. } => HaltKind::Internal,
        };
        Halt::new(kind, error.to_string())
    }
}
