//! Whether a queue is there, and whether it is a stream. AMQP 0.9.1 has no question for a queue's type, and a reader must never
//! take a record out of another queue, nor make one. So the queue is declared once more as what it cannot be made as: a stream
//! with priorities. Of a queue that is there the server compares what is asked with what is there, by the arguments that the
//! queue's own type has, and says which differs; one that is not there it refuses to make.

use super::failure::RequestFailure;
use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};

/// Arguments of a stream that are compared, at most.
const MOST_ARGUMENTS: usize = 10;

/// What a server says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamLookup {
    /// A stream; or a queue whose type this user may not ask: the server refuses an offset of a consumer there.
    Stream,
    /// A queue of another type, as `quorum`.
    OtherQueue(String),
    /// Nothing.
    Missing,
}

/// What makes a queue a stream.
pub(crate) fn stream_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// Looks a name up. Changes nothing on the server.
///
/// # Errors
/// When the server does not answer, or this user may not ask.
pub(crate) async fn look_up(connection: &Connection, name: &str) -> Result<StreamLookup, RequestFailure> {
    let channel = connection.create_channel().await?; // a refusal closes its channel
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(name.into(), passive, FieldTable::default()).await.map_err(RequestFailure::from) {
        Ok(_) => {}
        Err(RequestFailure::NotFound) => return Ok(StreamLookup::Missing),
        Err(other) => return Err(other),
    }
    let mut arguments = stream_arguments();
    arguments.insert("x-max-priority".into(), AMQPValue::LongInt(1));
    for _ in 0..MOST_ARGUMENTS {
        let channel = connection.create_channel().await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let answer = channel.queue_declare(name.into(), durable, arguments.clone()).await.map_err(RequestFailure::from);
        let why = match answer {
            Ok(_) | Err(RequestFailure::Denied(_)) => return Ok(StreamLookup::Stream),
            Err(RequestFailure::NotFound) => return Ok(StreamLookup::Missing),
            Err(RequestFailure::Refused(why)) => why,
            Err(lost) => return Err(lost),
        };
        match Difference::of(&why) {
            Difference::NotAStream(is) => return Ok(StreamLookup::OtherQueue(is)),
            Difference::Argument(key, value) => drop(arguments.insert(key.as_str().into(), value)),
            Difference::Unknown => return Ok(StreamLookup::Stream),
        }
    }
    Ok(StreamLookup::Stream)
}

/// In what a queue differs from what was asked for.
#[derive(Debug, PartialEq)]
enum Difference {
    /// In what a stream cannot differ in. With the type that the queue has.
    NotAStream(String),
    /// In an argument that streams have, too; what it is there.
    Argument(String, AMQPValue),
    /// The server does not say.
    Unknown,
}

impl Difference {
    /// By the server's words, as `inequivalent arg 'x-max-age' for queue 's' in vhost '/': received none but current is the value '1h' of
    /// type 'longstr'`.
    fn of(why: &str) -> Difference {
        let Some((_, rest)) = why.split_once("inequivalent arg '") else { return Difference::Unknown };
        let Some((key, rest)) = rest.split_once('\'') else { return Difference::Unknown };
        let current = rest.rsplit_once("but current is ").map_or("", |(_, current)| current);
        let quoted = current.split('\'').nth(1);
        match key {
            "x-queue-type" => Difference::NotAStream(quoted.unwrap_or("classic").to_owned()),
            // only types that have priorities compare them, and no stream is transient
            "x-max-priority" | "durable" | "auto_delete" | "exclusive" => Difference::NotAStream("classic".to_owned()),
            _ => match quoted {
                Some(value) if current.contains("longstr") => Difference::Argument(key.to_owned(), text(value)),
                Some(value) => match value.parse::<i64>() {
                    Ok(number) => Difference::Argument(key.to_owned(), AMQPValue::LongLongInt(number)),
                    Err(_) => Difference::Unknown,
                },
                None => Difference::Unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_in_what_a_queue_differs() {
        let of = |key: &str, rest: &str| {
            Difference::of(&format!("inequivalent arg '{key}' for queue 'q' in vhost '/': {rest}"))
        };
        let other = |is: &str| Difference::NotAStream(is.to_owned());
        assert_eq!(of("x-queue-type", "received 'stream' but current is 'quorum'"), other("quorum"));
        let none = "received the value 'stream' of type 'longstr' but current is none";
        assert_eq!(of("x-queue-type", none), other("classic"));
        assert_eq!(
            of("x-max-priority", "received the value '1' of type 'signedint' but current is none"),
            other("classic")
        );
        assert_eq!(of("durable", "received 'true' but current is 'false'"), other("classic"));
        let age = of("x-max-age", "received none but current is the value '1h' of type 'longstr'");
        assert_eq!(age, Difference::Argument("x-max-age".into(), text("1h")));
        let bytes = of("x-max-length-bytes", "received none but current is the value '500' of type 'signedint'");
        assert_eq!(bytes, Difference::Argument("x-max-length-bytes".into(), AMQPValue::LongLongInt(500)));
        assert_eq!(Difference::of("something else"), Difference::Unknown);
    }
}
