//! Which streams are written to; those that are not there are made.

use super::error::StreamWriteError;
use crate::produce::target::TargetRequest;
use crate::rabbitmq::{RequestFailure, StreamLookup, look_up, stream_arguments};
use crate::uri::redacted;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ExchangeKind};

/// Why the streams cannot be had.
pub(super) enum PrepareError {
    Fatal(StreamWriteError),
    Failed(RequestFailure),
}

impl From<RequestFailure> for PrepareError {
    fn from(failure: RequestFailure) -> Self {
        PrepareError::Failed(failure)
    }
}

impl From<lapin::Error> for PrepareError {
    fn from(error: lapin::Error) -> Self {
        PrepareError::Failed(error.into())
    }
}

/// The streams by number, all of which are there. One name stands for as many streams as the input has partitions: a super stream
/// `name-0`, `name-1` and so on.
pub(super) async fn prepare(
    connection: &Connection,
    names: &[String],
    request: &TargetRequest<'_>,
) -> Result<Vec<String>, PrepareError> {
    let uri = redacted(request.uri);
    let wanted = usize::try_from(request.partitions).unwrap_or(1);
    let mut missing = Vec::new();
    for name in names {
        match look_up(connection, name).await? {
            StreamLookup::Stream => {}
            StreamLookup::OtherQueue(kind) => {
                return Err(PrepareError::Fatal(StreamWriteError::NotAStream { uri, queue: name.clone(), kind }));
            }
            StreamLookup::Missing => missing.push(name.clone()),
        }
    }
    if let ([name], false, true) = (names, missing.is_empty(), wanted > 1) {
        return make_super_stream(connection, name, wanted).await;
    }
    if names.len() < wanted && !request.by_key {
        let few = StreamWriteError::FewStreams { uri, there: names.len(), wanted: request.partitions };
        return Err(PrepareError::Fatal(few));
    }
    for name in &missing {
        make(connection, name).await?;
    }
    Ok(names.to_vec())
}

/// Without a retention: it keeps what it is given.
async fn make(connection: &Connection, name: &str) -> Result<(), PrepareError> {
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), durable, stream_arguments()).await?;
    channel.close(200, "done".into()).await?;
    Ok(())
}

/// The streams, and the exchange by which clients of the stream protocol find them in their order.
async fn make_super_stream(connection: &Connection, name: &str, wanted: usize) -> Result<Vec<String>, PrepareError> {
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-super-stream".into(), AMQPValue::Boolean(true));
    channel.exchange_declare(name.into(), ExchangeKind::Direct, durable, arguments).await?;
    let mut streams = Vec::with_capacity(wanted);
    for number in 0..wanted {
        let stream = format!("{name}-{number}");
        if look_up(connection, &stream).await? != StreamLookup::Stream {
            make(connection, &stream).await?;
        }
        let mut order = FieldTable::default();
        let at = i64::try_from(number).unwrap_or(i64::MAX);
        order.insert("x-stream-partition-order".into(), AMQPValue::LongLongInt(at));
        let (queue, exchange, key) = (stream.as_str().into(), name.into(), number.to_string().as_str().into());
        channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), order).await?;
        streams.push(stream);
    }
    channel.close(200, "done".into()).await?;
    Ok(streams)
}
