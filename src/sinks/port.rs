//! How worker 0 hands rows to a writer that may block, retry and wait: by a queue to a thread of the writer's own.
//!
//! Promises: what is reported as stored is stored. What it promises of the thread, and what not: [`crate::threads`].

use super::options::RowWriter;
use crate::threads::{Stop, Worker, WorkerOptions, WriterExit};
use minutely_dataflows::edge::{Halt, RowBatch, SinkPort, SinkProgress, Wake};
use std::time::Duration;

/// Batches that may wait for a writer, besides the one it works on.
pub(super) const QUEUE_BATCHES: usize = 2;
/// A writer without anything to do is asked this often whether its target is still there.
const IDLE_EVERY: Duration = Duration::from_secs(5);

/// A thread that stores what it is offered, and how far it has come.
pub(super) struct ProgressPort<T> {
    worker: Worker<T, SinkProgress>,
    stored: Option<SinkProgress>,
}

impl<T: Send + 'static> ProgressPort<T> {
    /// Starts the thread. `work` gets one thing after the other and says up to where all is stored now, if that moved;
    /// it gets none at the start and when it is idle: is the target there?
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub(super) fn start<F>(name: &str, wake: Wake, stop: Stop, work: F) -> Result<Self, Halt>
    where
        F: FnMut(Option<T>) -> Result<Option<SinkProgress>, WriterExit> + Send + 'static,
    {
        let (queue, idle_every) = (QUEUE_BATCHES, Some(IDLE_EVERY));
        let options = WorkerOptions { name, queue, idle_every, drains: false, wake, stop };
        Ok(ProgressPort { worker: Worker::start(options, work)?, stored: None })
    }

    /// Offers a thing; gives it back when the queue is full, and always once the thread has ended: then
    /// [`ProgressPort::stored`] says why.
    pub(super) fn offer(&self, thing: T) -> Result<(), T> {
        self.worker.offer(thing)
    }

    /// Up to where all is stored; none: nothing yet.
    pub(super) fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        self.stored = self.worker.take_results()?.pop().or(self.stored);
        Ok(self.stored)
    }
}

/// A [`RowWriter`] on its thread.
pub(super) struct RowPort(ProgressPort<RowBatch>);

impl RowPort {
    /// Starts the writer's thread. `stop` is the one that the writer itself waits on.
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub(super) fn start(name: &str, wake: Wake, stop: Stop, mut writer: Box<dyn RowWriter>) -> Result<Self, Halt> {
        let work = move |batch: Option<RowBatch>| {
            let Some(batch) = batch else { return writer.idle().map(|()| None) };
            if !batch.rows.is_empty() {
                writer.rows(batch.seq, &batch.rows)?;
            }
            if !batch.last {
                return Ok(None);
            }
            let position = writer.store()?;
            Ok(Some(SinkProgress { at: batch.round, position }))
        };
        Ok(RowPort(ProgressPort::start(name, wake, stop, work)?))
    }
}

impl SinkPort for RowPort {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        self.0.offer(batch)
    }

    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        self.0.stored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{no_wake, poll, row};
    use minutely_dataflows::edge::HaltKind;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    fn batch(round: u64, last: bool) -> RowBatch {
        RowBatch { round, seq: round, rows: vec![row("A", 0, 1)], last }
    }

    /// Does what the other end of a channel says, one answer per call.
    struct Puppet {
        answers: mpsc::Receiver<Result<(), WriterExit>>,
        stop: Stop,
        stored: Arc<AtomicBool>,
    }

    impl RowWriter for Puppet {
        fn rows(&mut self, _: u64, _: &[minutely_dataflows::row::Row]) -> Result<(), WriterExit> {
            match self.answers.recv() {
                Ok(answer) => answer,
                Err(_) => self.stop.wait(Duration::from_secs(3600)),
            }
        }

        fn store(&mut self) -> Result<Option<u64>, WriterExit> {
            self.stored.store(true, Ordering::Release);
            Ok(None)
        }
    }

    fn puppet() -> (mpsc::Sender<Result<(), WriterExit>>, RowPort) {
        let (tell, answers) = mpsc::channel();
        let stop = Stop::new();
        let puppet = Puppet { answers, stop: stop.clone(), stored: Arc::default() };
        (tell, RowPort::start("puppet", no_wake(), stop, Box::new(puppet)).unwrap())
    }

    #[test]
    fn a_round_is_stored_with_its_last_batch_and_a_full_queue_gives_back() {
        let (tell, mut port) = puppet();
        assert_eq!(port.stored(), Ok(None));
        let mut taken = 0;
        poll("the queue is full", || match port.offer(batch(7, false)) {
            Ok(()) => {
                taken += 1;
                false
            }
            Err(back) => {
                assert_eq!(back, batch(7, false));
                taken > QUEUE_BATCHES
            }
        });
        assert_eq!(taken, QUEUE_BATCHES + 1, "the queue and the one in hand");
        for _ in 0..taken {
            tell.send(Ok(())).unwrap();
        }
        poll("there is room", || port.offer(batch(7, true)).is_ok());
        assert_eq!(port.stored(), Ok(None));
        tell.send(Ok(())).unwrap();
        poll("the round is stored", || port.stored() == Ok(Some(SinkProgress { at: 7, position: None })));
    }

    #[test]
    fn a_halt_and_a_panic_arrive_by_stored() {
        let (tell, mut port) = puppet();
        port.offer(batch(1, true)).unwrap();
        let halt = Halt::new(HaltKind::Unreachable, "gone for good");
        tell.send(Err(WriterExit::Halt(halt.clone()))).unwrap();
        poll("the halt arrives", || port.stored() == Err(halt.clone()));

        let work = |_: Option<u8>| -> Result<Option<SinkProgress>, WriterExit> { panic!("on purpose") };
        let mut port = ProgressPort::start("panics", no_wake(), Stop::new(), work).unwrap();
        let _given_back = port.offer(1); // it may have panicked already, at its first look for the target
        poll("the panic arrives", || port.stored().is_err_and(|h| h.kind == HaltKind::Internal));
    }

    #[test]
    fn a_drop_ends_a_writer_that_waits_and_stores_no_more() {
        let (tell, answers) = mpsc::channel();
        let (stop, stored) = (Stop::new(), Arc::new(AtomicBool::new(false)));
        let puppet = Puppet { answers, stop: stop.clone(), stored: stored.clone() };
        let mut port = RowPort::start("puppet", no_wake(), stop, Box::new(puppet)).unwrap();
        port.offer(batch(1, true)).unwrap();
        drop(tell); // the writer now waits for an hour, or for the stop
        drop(port);
        assert_eq!(Arc::strong_count(&stored), 1, "the thread has let go");
        assert!(!stored.load(Ordering::Acquire));
    }
}
