//! RabbitMQ's streams over AMQP 0.9.1: a stream is a partition, and the server's `x-stream-offset` is the offset.
//!
//! ```text
//!                one connection a process, a channel each
//!  server ══deliveries══> feed of s/0 ──queue──> RabbitReader ──ask──> look at the last chunk, on a channel of its own
//!         <══ack: room for more══┘   └─ no longer empty: wakes the worker
//! ```
//!
//! Promises: records of a stream in offset order, each once, none skipped in silence (`feed.rs`); ends that the server has said
//! (`look.rs`). Does not promise: that records are there for ever (retention), nor that a stream which was deleted and made again
//! is told from the one before by more than its last record: AMQP has no id of it. A server that goes away is waited for; what ends
//! the run is a hole in a stream, or a stream that is gone.
//!
//! An acknowledgement here is room for the next delivery, and commits nothing: the checkpoint has the offsets.

mod error;
mod feed;
mod link;
mod look;
mod opener;
mod queue;
mod reader;
#[cfg(test)]
mod tests;

use super::{SourceOptions, Start};
use crate::rabbitmq;
use error::RabbitSourceError;
use link::ServerLink;
use minutely_dataflows::edge::{Discovered, Halt, LastRecordCheck, LogProbe, LogSource, PartitionReader, Wake};
use minutely_dataflows::record::{LastRecord, PartitionName};
use minutely_dataflows::time::NextOffset;
use opener::OpenStream;
use reader::RabbitReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};

/// How long what runs may take when the source ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// All mistakes of the address. Nothing is connected.
pub(super) fn validate(uri: &str) -> Vec<String> {
    rabbitmq::address(uri).err().unwrap_or_default()
}

/// What the content depends on: the streams, wherever the server is.
pub(super) fn identity(uri: &str) -> String {
    let Ok(mut address) = rabbitmq::address(uri) else { return uri.to_owned() };
    address.streams.sort_unstable();
    let escaped = |name: &str| name.replace('%', "%25").replace(',', "%2C").replace('/', "%2F");
    let streams = address.streams.iter().map(|stream| escaped(stream)).collect::<Vec<_>>().join(",");
    match address.vhost.as_str() {
        "/" => format!("rabbitmq:{streams}"),
        vhost => format!("rabbitmq:{}/{streams}", escaped(vhost)),
    }
}

/// Connects, finds the streams, and resolves where to begin; a bounded run's ends are recorded first.
///
/// # Errors
/// 64: a mistake in the URI, a stream that does not exist or is another kind of queue, a login that is refused. 69: no answer within
/// the options' time.
pub(super) fn open(uri: &str, options: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    let address = rabbitmq::address(uri).map_err(RabbitSourceError::Mistakes)?;
    let target = address.target().map_err(|mistake| RabbitSourceError::Mistakes(vec![mistake]))?;
    let runtime = rabbitmq::runtime().map_err(|source| RabbitSourceError::Thread { source })?;
    let link = Arc::new(ServerLink::new(&address, target));
    let streams = runtime.block_on(opener::open(&link, &address.streams, options))?;
    link.note_progress();
    link.log_from_now();
    let each = options.fetch_memory / u64::try_from(streams.len().max(1)).unwrap_or(u64::MAX);
    Ok(Arc::new(RabbitSource {
        runtime: Mutex::new(Some(runtime)),
        link,
        streams,
        discovered: AtomicBool::new(false),
        each,
    }))
}

/// The source: its connection, and the streams as they were found.
struct RabbitSource {
    /// None once it is dropped.
    runtime: Mutex<Option<Runtime>>,
    link: Arc<ServerLink>,
    streams: Vec<OpenStream>,
    discovered: AtomicBool,
    /// Bytes that each stream may hold of what is fetched and not read.
    each: u64,
}

impl RabbitSource {
    fn handle(&self) -> Result<Handle, RabbitSourceError> {
        let runtime = crate::threads::lock(&self.runtime);
        runtime.as_ref().map(|runtime| runtime.handle().clone()).ok_or(RabbitSourceError::Ended)
    }

    fn stream(&self, name: &PartitionName) -> Option<&OpenStream> {
        self.streams.iter().find(|stream| stream.found.name == *name)
    }

    async fn look_at_known(
        &self,
        known: &[(PartitionName, Option<LastRecord>)],
    ) -> Result<Vec<Option<LogProbe>>, RabbitSourceError> {
        let mut probes = Vec::with_capacity(known.len());
        for (name, last) in known {
            let Some(stream) = self.stream(name) else {
                probes.push(None);
                continue;
            };
            let last = match last {
                None => LastRecordCheck::Unknown,
                Some(last) => match look::at(&self.link, &stream.queue, last.offset).await? {
                    Some(there) if there.last.offset == last.offset => LastRecordCheck::Holds(there.last),
                    _ => LastRecordCheck::Gone,
                },
            };
            let first = look::first(&self.link, &stream.queue).await?;
            let end = look::end(&self.link, &stream.queue).await?;
            let first = first.map_or(NextOffset(0), |record| NextOffset(record.last.offset));
            probes.push(Some(LogProbe { log_id: None, first: Some(first), end: Some(NextOffset(end)), last }));
        }
        Ok(probes)
    }
}

impl LogSource for RabbitSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.discovered.swap(true, Ordering::AcqRel) { Ok(Vec::new()) } else { Ok(self.initial_partitions()) }
    }

    fn initial_partitions(&self) -> Vec<Discovered> {
        self.streams.iter().map(|stream| stream.found.clone()).collect()
    }

    fn probe(&self, known: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        Ok(self.handle()?.block_on(self.look_at_known(known))?)
    }

    fn trouble(&self) -> Option<String> {
        self.link.trouble()
    }

    fn record_at(&self, partition: &Discovered, offset: NextOffset) -> Result<Option<Vec<u8>>, Halt> {
        let Some(stream) = self.stream(&partition.name) else { return Ok(None) };
        let found =
            self.handle()?.block_on(look::at(&self.link, &stream.queue, offset.0)).map_err(RabbitSourceError::from)?;
        Ok(found.filter(|record| record.last.offset == offset.0).map(|record| record.payload))
    }

    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let stream = self.stream(&partition.name).ok_or(RabbitSourceError::Ended)?;
        let feed = feed::FeedOptions { queue: stream.queue.clone(), partition: partition.clone(), memory: self.each };
        Ok(Box::new(RabbitReader::new(&self.handle()?, &self.link, feed, wake)))
    }
}

impl Drop for RabbitSource {
    fn drop(&mut self) {
        if let Some(runtime) = crate::threads::lock(&self.runtime).take() {
            runtime.block_on(self.link.close());
            runtime.shutdown_timeout(SHUTDOWN_GRACE);
        }
    }
}
