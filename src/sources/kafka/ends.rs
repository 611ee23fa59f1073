//! R8's evidence: where a partition's log ends, transactions that are still open included. End-of-partition events
//! cannot say that (an open transaction looks exactly like the end to them), so the brokers are asked by ListOffsets
//! under read_uncommitted, on a thread and a connection of its own, where no fetch that waits for records is in front.
//!
//! ```text
//! reader --ask--> waiting ==one request for all that wait, never two under way==> brokers --answer--> reader, woken
//! ```
//!
//! A question asked again while a request is under way waits for the next one: an answer is always of a request sent
//! after the question. A request that fails, or takes longer than [`REQUEST_TIMEOUT`], answers `Failed` to all that it was for.

use super::raw;
use super::requests::RequestWait;
use crate::kafka::RequestClient;
use minutely_dataflows::edge::{EndAnswer, Wake};
use minutely_dataflows::time::NextOffset;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two requests, when a partition of the run waits for an answer.
const URGENT: Duration = Duration::from_millis(20);
/// Between two requests, otherwise.
const CALM: Duration = Duration::from_secs(1);

/// The questions of all readers of this process.
#[derive(Default)]
pub(super) struct EndQuestions {
    table: Mutex<QuestionTable>,
    changed: Condvar,
}

#[derive(Default)]
struct QuestionTable {
    next_id: u64,
    readers: BTreeMap<u64, ReaderQuestion>,
    stop: bool,
}

/// One reader's question.
struct ReaderQuestion {
    topic: String,
    partition: i32,
    wake: Wake,
    /// Counts the reader's questions; an answer to an earlier one is dropped.
    question: u64,
    /// Asked, and no request sent since.
    waiting: bool,
    urgent: bool,
    answer: Option<EndAnswer>,
}

/// One partition of a request, and the reader that asked.
struct SentQuestion {
    id: u64,
    question: u64,
    topic: String,
    partition: i32,
}

impl QuestionTable {
    /// How long until the next request is due; `None` if no reader waits.
    fn due(&self, since_last: Option<Duration>) -> Option<Duration> {
        let mut waiting = self.readers.values().filter(|slot| slot.waiting).peekable();
        waiting.peek()?;
        let apart = if waiting.any(|slot| slot.urgent) { URGENT } else { CALM };
        Some(since_last.map_or(Duration::ZERO, |since| apart.saturating_sub(since)))
    }

    /// The questions that wait; a request for them is sent now.
    fn send(&mut self) -> Vec<SentQuestion> {
        let waiting = self.readers.iter_mut().filter(|(_, slot)| slot.waiting);
        waiting
            .map(|(&id, slot)| {
                slot.waiting = false;
                SentQuestion { id, question: slot.question, topic: slot.topic.clone(), partition: slot.partition }
            })
            .collect()
    }

    /// Files an answer, if it is to the reader's last question, and returns how to wake the reader.
    fn file(&mut self, sent: &SentQuestion, answer: EndAnswer) -> Option<Wake> {
        let slot = self.readers.get_mut(&sent.id).filter(|slot| slot.question == sent.question)?;
        slot.answer = Some(answer);
        Some(Wake::clone(&slot.wake))
    }
}

impl EndQuestions {
    fn lock(&self) -> MutexGuard<'_, QuestionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader, which `wake` wakes when there is an answer. Returns its id.
    pub(super) fn join(&self, topic: &str, partition: i32, wake: Wake) -> u64 {
        let mut asked = self.lock();
        let id = asked.next_id;
        asked.next_id += 1;
        let topic = topic.to_owned();
        let slot = ReaderQuestion { topic, partition, wake, question: 0, waiting: false, urgent: false, answer: None };
        asked.readers.insert(id, slot);
        id
    }

    /// Removes a reader.
    pub(super) fn leave(&self, id: u64) {
        self.lock().readers.remove(&id);
    }

    /// Asks; the answer to an earlier question is dropped.
    pub(super) fn ask(&self, id: u64, urgent: bool) {
        if let Some(slot) = self.lock().readers.get_mut(&id) {
            slot.question += 1;
            slot.answer = None;
            slot.urgent = urgent;
            slot.waiting = true;
        }
        self.changed.notify_one();
    }

    /// The answer to the last question, once.
    pub(super) fn answer(&self, id: u64) -> Option<EndAnswer> {
        self.lock().readers.get_mut(&id)?.answer.take()
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits until a request is due, and returns what it asks; `None` after [`EndQuestions::stop`].
    fn next(&self, last: Option<Instant>) -> Option<Vec<SentQuestion>> {
        let mut asked = self.lock();
        while !asked.stop {
            asked = match asked.due(last.map(|last| last.elapsed())) {
                None => self.changed.wait(asked).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Some(asked.send()),
                Some(wait) => self.changed.wait_timeout(asked, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        None
    }

    fn file(&self, sent: &[SentQuestion], answer: impl Fn(&SentQuestion) -> EndAnswer) {
        let wakes: Vec<Wake> = {
            let mut asked = self.lock();
            sent.iter().filter_map(|sent| asked.file(sent, answer(sent))).collect()
        };
        wakes.iter().for_each(|wake| wake());
    }

    /// The thread: one request after the other, while any reader asks.
    pub(super) fn serve(&self, client: &RequestClient, is_stopping: &dyn Fn() -> bool) {
        let mut last = None;
        while let Some(sent) = self.next(last) {
            last = Some(Instant::now());
            let wait = RequestWait { timeout: REQUEST_TIMEOUT, meanwhile: &|| !is_stopping() };
            let partitions = sent.iter().map(|sent| (sent.topic.clone(), sent.partition, Offset::End));
            let answers = raw::list_offsets(client, &wait, partitions, false);
            if let Err(error) = &answers {
                tracing::debug!("kafka: no answer where the logs end: {error}");
            }
            self.file(&sent, |sent| {
                let answer = answers.as_ref().ok().and_then(|ends| ends.get(&(sent.topic.clone(), sent.partition)));
                match answer {
                    Some(Ok(end)) if *end >= 0 => EndAnswer::End(NextOffset(*end)),
                    _ => EndAnswer::Failed,
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn counting() -> (Wake, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let wake = Arc::clone(&count);
        let wake: Wake = Arc::new(move || {
            wake.fetch_add(1, Ordering::SeqCst);
        });
        (wake, count)
    }

    const END: EndAnswer = EndAnswer::End(NextOffset(7));

    #[test]
    fn an_answer_belongs_to_the_last_question() {
        let questions = EndQuestions::default();
        let (wake, woken) = counting();
        let reader = questions.join("t", 3, wake);
        assert_eq!(questions.lock().due(None), None);

        questions.ask(reader, true);
        let first = questions.next(None).expect("not stopped");
        assert_eq!((first.len(), first[0].topic.as_str(), first[0].partition), (1, "t", 3));
        questions.ask(reader, false); // while the request is under way
        questions.file(&first, |_| EndAnswer::Failed);
        assert_eq!((questions.answer(reader), woken.load(Ordering::SeqCst)), (None, 0));

        let second = questions.next(None).expect("not stopped");
        questions.file(&second, |_| END);
        assert_eq!((questions.answer(reader), woken.load(Ordering::SeqCst)), (Some(END), 1));
        assert_eq!(questions.answer(reader), None, "an answer is given once");

        questions.ask(reader, true);
        let third = questions.next(None).expect("not stopped");
        questions.leave(reader);
        questions.file(&third, |_| END);
        assert_eq!((questions.answer(reader), woken.load(Ordering::SeqCst)), (None, 1));
    }

    #[test]
    fn an_answer_not_taken_is_dropped_by_the_next_question() {
        let questions = EndQuestions::default();
        let reader = questions.join("t", 0, counting().0);
        questions.ask(reader, true);
        let sent = questions.next(None).expect("not stopped");
        questions.file(&sent, |_| END);
        questions.ask(reader, true);
        assert_eq!(questions.answer(reader), None);
    }

    #[test]
    fn one_who_hurries_hurries_all() {
        let questions = EndQuestions::default();
        let (calm, hurried) = (questions.join("t", 0, counting().0), questions.join("t", 1, counting().0));
        let since = Some(Duration::from_millis(5));
        questions.ask(calm, false);
        assert_eq!(questions.lock().due(None), Some(Duration::ZERO));
        assert_eq!(questions.lock().due(since), Some(Duration::from_millis(995)));
        questions.ask(hurried, true);
        assert_eq!(questions.lock().due(since), Some(Duration::from_millis(15)));
        assert_eq!(questions.lock().due(Some(CALM)), Some(Duration::ZERO));
        assert_eq!(questions.next(None).expect("not stopped").len(), 2);
        questions.stop();
        assert!(questions.next(None).is_none());
    }
}
