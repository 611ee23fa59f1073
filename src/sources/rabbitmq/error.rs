//! Why the records of a stream cannot be read.

use super::look::LookError;
use crate::rabbitmq::{RequestFailure, TRUST};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::record::PartitionName;
use std::io;

/// What begins again with what is there.
const NEW_RUN: &str = "begin a new run with what is there (--job NAME --start earliest)";

/// Why the records of a stream cannot be read; its text is one paragraph with what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum RabbitSourceError {
    /// Mistakes in the address, one paragraph each.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// The server does not let this client in, or refuses what it asks.
    #[error(
        "rabbitmq at {server}: {why}; check user, password and virtual host, and that the user may read the stream"
    )]
    Refused { server: String, why: String },
    #[error("rabbitmq at {server}: the server's certificate is not trusted ({why}); {TRUST}")]
    Untrusted { server: String, why: String },
    #[error(
        "rabbitmq at {server} gave no usable answer within {seconds} s: {why}; check that the server runs, and its address"
    )]
    NoAnswer { server: String, seconds: f64, why: String },
    #[error(
        "stream '{stream}' does not exist at {server}, and neither does '{stream}-0', as the first of a super stream: correct the name in \
         --source, or create the stream first (x-queue-type=stream)"
    )]
    NoSuchStream { stream: String, server: String },
    /// `kind`: `classic`, `quorum`.
    #[error(
        "queue '{queue}' is not a stream but a {kind} queue: what is read of it is gone and cannot be read again, so that no average \
         of it can be exact or checked; declare a stream (x-queue-type=stream) and bind it where this queue is bound"
    )]
    NotAStream { queue: String, kind: String },
    #[error(
        "partition {partition}: offset {wanted} is wanted next and is not in the stream, which begins at {first} now: retention took away \
         what had not been read; {NEW_RUN}, and give the stream a longer retention (x-max-age, x-max-length-bytes)"
    )]
    Expired { partition: PartitionName, wanted: i64, first: i64 },
    #[error(
        "partition {partition}: what the stream holds at offset {offset} is not what was read of it: it was deleted and made again, or \
         restored from another place; {NEW_RUN}"
    )]
    AnotherStream { partition: PartitionName, offset: i64 },
    #[error(
        "partition {partition}: offset {offset} was read, and the stream ends before it now: it was cut off, or deleted and made again; \
         {NEW_RUN}"
    )]
    CutOff { partition: PartitionName, offset: i64 },
    #[error(
        "stream '{stream}' was deleted while it was read; if that was meant, begin a new run without it (--job NAME)"
    )]
    Deleted { stream: String },
    #[error("thread rabbitmq: {source}")]
    Thread { source: io::Error },
    #[error("rabbitmq: the source has ended")]
    Ended,
    /// A request while nothing else depends on it.
    #[error("rabbitmq: {why}")]
    Request { why: String },
}

impl From<LookError> for RabbitSourceError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::NotAStream(queue) => RabbitSourceError::NotAStream { queue, kind: "classic or quorum".into() },
            LookError::Failed(RequestFailure::NotFound) => {
                RabbitSourceError::Request { why: "the stream is gone".into() }
            }
            LookError::Failed(
                RequestFailure::Denied(why)
                | RequestFailure::Refused(why)
                | RequestFailure::Untrusted(why)
                | RequestFailure::Lost(why),
            ) => RabbitSourceError::Request { why },
        }
    }
}

impl From<LookError> for Halt {
    fn from(error: LookError) -> Self {
        RabbitSourceError::from(error).into()
    }
}

impl From<RabbitSourceError> for Halt {
    fn from(error: RabbitSourceError) -> Self {
        use RabbitSourceError as Error;
        let kind = match error {
            Error::Mistakes(_)
            | Error::Refused { .. }
            | Error::Untrusted { .. }
            | Error::NoSuchStream { .. }
            | Error::NotAStream { .. } => HaltKind::Usage,
            Error::NoAnswer { .. } | Error::Request { .. } => HaltKind::Unreachable,
            Error::Expired { .. } | Error::AnotherStream { .. } | Error::CutOff { .. } | Error::Deleted { .. } => {
                HaltKind::Data
            }
            Error::Thread { .. } | Error::Ended => HaltKind::Internal,
        };
        Halt::new(kind, error.to_string())
    }
}
