//! What a start has to know: that the streams are there and are streams, where they begin, and where they end. Asked until the
//! server answers, or the time for it is over.

use super::error::RabbitSourceError;
use super::link::ServerLink;
use super::look::{self, LookError};
use super::{SourceOptions, Start};
use crate::rabbitmq::{RequestFailure, StreamLookup, look_up};
use minutely_dataflows::edge::Discovered;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::NextOffset;
use std::time::{Duration, Instant};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// Streams of a super stream, at most.
const MOST_STREAMS: i32 = 10_000;

/// A stream as a start found it.
pub(super) struct OpenStream {
    pub(super) found: Discovered,
    /// The queue's own name: `ticks-3` of partition `ticks/3` of a super stream.
    pub(super) queue: String,
}

/// Why an attempt did not succeed.
enum AttemptError {
    Fatal(RabbitSourceError),
    Failed(RequestFailure),
}

impl From<RequestFailure> for AttemptError {
    fn from(failure: RequestFailure) -> Self {
        AttemptError::Failed(failure)
    }
}

impl From<LookError> for AttemptError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Failed(failure) => AttemptError::Failed(failure),
            not_a_stream @ LookError::NotAStream(_) => AttemptError::Fatal(not_a_stream.into()),
        }
    }
}

/// All streams of the address, with where to read them.
///
/// # Errors
/// When one is not there or no stream, the login is refused, or the server does not answer in time.
pub(super) async fn open(
    link: &ServerLink,
    names: &[String],
    options: &SourceOptions,
) -> Result<Vec<OpenStream>, RabbitSourceError> {
    let deadline = Instant::now() + options.answer_timeout;
    let server = || link.server().to_owned();
    loop {
        let attempt =
            tokio::time::timeout(deadline.saturating_duration_since(Instant::now()), attempt(link, names, options));
        let why = match attempt.await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(AttemptError::Fatal(error))) => return Err(error),
            Ok(Err(AttemptError::Failed(RequestFailure::Denied(why) | RequestFailure::Refused(why)))) => {
                return Err(RabbitSourceError::Refused { server: server(), why });
            }
            Ok(Err(AttemptError::Failed(RequestFailure::Untrusted(why)))) => {
                return Err(RabbitSourceError::Untrusted { server: server(), why });
            }
            Ok(Err(AttemptError::Failed(RequestFailure::NotFound))) => "a stream was deleted meanwhile".to_owned(),
            Ok(Err(AttemptError::Failed(RequestFailure::Lost(why)))) => why,
            Err(_) => "it is silent".to_owned(),
        };
        if Instant::now() + PAUSE >= deadline {
            let seconds = options.answer_timeout.as_secs_f64();
            return Err(RabbitSourceError::NoAnswer { server: server(), seconds, why });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(
    link: &ServerLink,
    names: &[String],
    options: &SourceOptions,
) -> Result<Vec<OpenStream>, AttemptError> {
    let mut queues = Vec::new();
    for name in names {
        queues.extend(streams_of(link, name).await?);
    }
    let mut opened = Vec::with_capacity(queues.len());
    for (name, queue) in queues {
        opened.push(OpenStream { found: placed(link, name, &queue, options).await?, queue });
    }
    Ok(opened)
}

/// The stream of this name, or the streams of a super stream: `name-0`, `name-1` and so on, as far as they are there. AMQP
/// cannot list what is bound to an exchange, and streams of a super stream that have other names are given one by one.
async fn streams_of(link: &ServerLink, name: &str) -> Result<Vec<(PartitionName, String)>, AttemptError> {
    let connection = link.connection().await?;
    let partition = |number| PartitionName { log: name.to_owned(), number: Some(number) };
    let refuse = |queue: &str, kind| RabbitSourceError::NotAStream { queue: queue.to_owned(), kind };
    match look_up(&connection, name).await? {
        StreamLookup::Stream => return Ok(vec![(partition(0), name.to_owned())]),
        StreamLookup::OtherQueue(kind) => return Err(AttemptError::Fatal(refuse(name, kind))),
        StreamLookup::Missing => {}
    }
    let mut found = Vec::new();
    for number in 0..MOST_STREAMS {
        let queue = format!("{name}-{number}");
        match look_up(&connection, &queue).await? {
            StreamLookup::Stream => found.push((partition(number), queue)),
            StreamLookup::OtherQueue(kind) => return Err(AttemptError::Fatal(refuse(&queue, kind))),
            StreamLookup::Missing => break,
        }
    }
    if found.is_empty() {
        let (stream, server) = (name.to_owned(), link.server().to_owned());
        return Err(AttemptError::Fatal(RabbitSourceError::NoSuchStream { stream, server }));
    }
    Ok(found)
}

/// Where a stream is read from and up to.
async fn placed(
    link: &ServerLink,
    name: PartitionName,
    queue: &str,
    options: &SourceOptions,
) -> Result<Discovered, AttemptError> {
    // The end first: what is appended afterwards is behind it.
    let wanted = options.bounded || options.start != Start::Earliest;
    let end = if wanted { Some(look::end(link, queue).await?) } else { None };
    let earliest = look::first(link, queue).await?.map_or(0, |record| record.last.offset);
    let start = match options.start {
        Start::Earliest => earliest,
        Start::Latest => end.unwrap_or(earliest),
        Start::Time(time) => {
            let seconds = u64::try_from(time.0.div_euclid(1_000_000_000)).unwrap_or(0);
            let first = look::since(link, queue, seconds).await?;
            first.map_or(end.unwrap_or(earliest), |record| record.last.offset)
        }
    };
    let end = end.filter(|_| options.bounded);
    let start = start.min(end.unwrap_or(i64::MAX));
    let earliest = NextOffset(earliest.min(start));
    Ok(Discovered { name, start: NextOffset(start), earliest, end, log_id: None })
}
