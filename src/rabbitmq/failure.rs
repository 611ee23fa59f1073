//! Why a request to a server fails: whether another attempt may help, and in words.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

/// What a failed request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// There is no queue or exchange of this name.
    NotFound,
    /// This user may not do that, or may not log in.
    Denied(String),
    /// The server refuses what was asked, in its own words.
    Refused(String),
    /// The server's certificate is not by anyone who is trusted here, or of another name; why.
    Untrusted(String),
    /// The connection is gone, or the server cannot answer now: another attempt may help.
    Lost(String),
}

impl From<&Error> for RequestFailure {
    fn from(error: &Error) -> Self {
        let text = words(error);
        let amqp = match error.kind() {
            ErrorKind::ProtocolError(amqp) => amqp,
            ErrorKind::IOError(_) => return RequestFailure::of_stream(text),
            _ => return RequestFailure::Lost(text),
        };
        match amqp.kind() {
            // the same code says of a queue that is there that its node is down
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if text.starts_with("no ") => RequestFailure::NotFound,
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => RequestFailure::Denied(text),
            // a virtual host that is there, and will be up again
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if text.ends_with("is down") => RequestFailure::Lost(text),
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::NOTIMPLEMENTED)
            | AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => RequestFailure::Refused(text),
            _ => RequestFailure::Lost(text),
        }
    }
}

impl From<Error> for RequestFailure {
    fn from(error: Error) -> Self {
        RequestFailure::from(&error)
    }
}

impl RequestFailure {
    /// By OpenSSL's words, as `error:0a000086:ssl routines:…:certificate verify failed:…: (ip address mismatch)`.
    fn of_stream(text: String) -> RequestFailure {
        match text.split_once("certificate verify failed") {
            Some((_, rest)) => {
                let why = rest.rsplit_once('(').map_or(rest, |(_, why)| why).trim_end_matches(')');
                RequestFailure::Untrusted(why.to_owned())
            }
            None => RequestFailure::Lost(text),
        }
    }
}

/// The words of an error, without those of the client around the server's.
fn words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => {
            let text = amqp.get_message().to_string();
            let own = text.split_once(" - ").map_or(text.as_str(), |(_, own)| own).trim_end_matches('.');
            let mut letters = own.chars();
            letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
        }
        ErrorKind::IOError(error) => error.to_string().to_lowercase(),
        ErrorKind::MissingHeartbeatError => "the server has been silent for too long".to_owned(),
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => {
            "the connection was closed".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_from_a_lost_connection() {
        let of = |text: &str| RequestFailure::of_stream(text.to_owned());
        let refused = "error:0a000086:ssl routines:f:certificate verify failed:ssl/c.c:1: (ip address mismatch)";
        assert_eq!(of(refused), RequestFailure::Untrusted("ip address mismatch".into()));
        let lost = "connection reset by peer (os error 104)";
        assert_eq!(of(lost), RequestFailure::Lost(lost.into()));
    }
}
