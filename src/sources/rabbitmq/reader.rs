//! One stream, read on its owner's thread out of the queue of its feed, and its questions for the end.

use super::feed::{FeedOptions, StreamFeed};
use super::link::ServerLink;
use super::look;
use super::queue::{FeedQueue, StreamedRecord};
use crate::threads::lock;
use minutely_dataflows::edge::{EndAnswer, Halt, PartitionReader, Wake};
use minutely_dataflows::record::{LastRecord, Record};
use minutely_dataflows::time::NextOffset;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

/// Before a look at the end, when a partition of the run waits for the answer.
const URGENT: Duration = Duration::from_millis(20);
/// The same, otherwise.
const CALM: Duration = Duration::from_secs(1);

/// A stream's reader.
pub(super) struct RabbitReader {
    buffer: VecDeque<StreamedRecord>,
    queue: Arc<FeedQueue>,
    position: i64,
    /// The next offset behind all that is in the buffer.
    passed: i64,
    last: Option<LastRecord>,
    /// Bounded runs: read up to here.
    end: Option<i64>,
    halted: Option<Halt>,
    questions: EndQuestion,
}

impl RabbitReader {
    /// Begins to consume, from the partition's start on.
    pub(super) fn new(handle: &Handle, link: &Arc<ServerLink>, options: FeedOptions, wake: Wake) -> Self {
        let (start, end) = (options.partition.start.0, options.partition.end);
        let queue = Arc::new(FeedQueue::new(start, wake));
        let questions = EndQuestion {
            handle: handle.clone(),
            link: Arc::clone(link),
            stream: options.queue.clone(),
            queue: Arc::clone(&queue),
            asked: Arc::default(),
        };
        handle.spawn(StreamFeed::new(Arc::clone(link), Arc::clone(&queue), options).run());
        RabbitReader {
            buffer: VecDeque::new(),
            queue,
            position: start,
            passed: start,
            last: None,
            end,
            halted: None,
            questions,
        }
    }
}

impl PartitionReader for RabbitReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if let Some(halt) = &self.halted {
            return Err(halt.clone());
        }
        if self.buffer.is_empty() {
            match self.queue.fill(&mut self.buffer) {
                Ok(passed) => self.passed = passed,
                Err(halt) => {
                    self.halted = Some(halt.clone());
                    return Err(halt);
                }
            }
        }
        let (mut given, mut bytes, mut newest) = (0, 0, None);
        while given < max
            && let Some(record) = self.buffer.pop_front()
        {
            self.position = record.last.offset + 1;
            each(record.record());
            given += 1;
            bytes += record.size();
            newest = Some(record);
        }
        if let Some(newest) = newest {
            self.last = Some(newest.last);
            self.queue.release(bytes, &newest);
        }
        if self.buffer.is_empty() {
            self.position = self.position.max(self.passed);
        }
        Ok(given)
    }

    fn next(&self) -> NextOffset {
        NextOffset(self.position)
    }

    fn ended(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    fn ask_end(&mut self, urgent: bool) {
        self.questions.ask(urgent);
    }

    fn answer(&mut self) -> Option<EndAnswer> {
        lock(&self.questions.asked).answer.take()
    }

    fn last(&self) -> Option<LastRecord> {
        self.last
    }

    fn idle_wait(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl Drop for RabbitReader {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

/// R8's evidence, asked of the server.
struct EndQuestion {
    handle: Handle,
    link: Arc<ServerLink>,
    stream: String,
    queue: Arc<FeedQueue>,
    asked: Arc<Mutex<AskedQuestion>>,
}

#[derive(Default)]
struct AskedQuestion {
    /// Counts the questions: an answer to an earlier one is dropped.
    question: u64,
    urgent: bool,
    /// A look is under way, or about to be.
    busy: bool,
    answer: Option<EndAnswer>,
}

impl EndQuestion {
    fn ask(&self, urgent: bool) {
        let mut asked = lock(&self.asked);
        asked.question += 1;
        asked.answer = None;
        asked.urgent = urgent;
        if !std::mem::replace(&mut asked.busy, true) {
            let (link, stream) = (Arc::clone(&self.link), self.stream.clone());
            self.handle.spawn(serve(link, stream, Arc::clone(&self.queue), Arc::clone(&self.asked)));
        }
    }
}

/// Looks at the end until the last question has its answer.
async fn serve(link: Arc<ServerLink>, stream: String, queue: Arc<FeedQueue>, asked: Arc<Mutex<AskedQuestion>>) {
    while !queue.is_stopped() {
        let urgent = lock(&asked).urgent;
        tokio::time::sleep(if urgent { URGENT } else { CALM }).await;
        let (question, passed) = (lock(&asked).question, queue.passed());
        let answer = match look::end(&link, &stream).await {
            // A stream is not shorter than what was read of it: another replica answers, or it was made again (`feed.rs`).
            Ok(end) if end >= passed => EndAnswer::End(NextOffset(end)),
            Ok(_) => EndAnswer::Failed,
            Err(error) => {
                tracing::debug!("rabbitmq: no answer where stream '{stream}' ends: {error:?}");
                EndAnswer::Failed
            }
        };
        let mut asked = lock(&asked);
        if asked.question == question {
            asked.answer = Some(answer);
            asked.busy = false;
            drop(asked);
            return queue.wake();
        }
    }
}
