//! A queue to a thread: how worker 0 hands things to somebody who may block, retry and wait.
//!
//! Promises: what is reported as stored is stored; a writer that ends badly, or panics, says so at the next
//! [`SinkPort::stored`]; dropping the port ends the thread within a second, even in the middle of a retry. Does not
//! promise that what still waits in the queue is written when the port is dropped: whoever wants that waits for
//! `stored` first.

use super::RowWriter;
use minutely_dataflows::edge::{Halt, HaltKind, RowBatch, SinkPort, SinkProgress, Wake};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that may wait for a writer, besides the one it works on.
pub(super) const QUEUE_BATCHES: usize = 2;
/// After so long without anything to do a writer is asked whether its place is still there.
const IDLE: Duration = Duration::from_secs(5);
/// How long a drop waits for its thread; one that is blocked in the operating system is left behind.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a writer stops writing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It was told to; nothing is known of what it had in hand.
    Stopped,
    /// No retry is of use.
    Halt(Halt),
}

impl From<Halt> for Leave {
    fn from(halt: Halt) -> Self {
        Leave::Halt(halt)
    }
}

/// A lock that a panic elsewhere does not take away: what it guards is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a thread to end. It is looked at in every wait.
#[derive(Clone)]
pub(crate) struct Stop(Arc<StopInner>);

struct StopInner {
    set: Mutex<bool>,
    changed: Condvar,
    told: tokio::sync::watch::Sender<bool>,
}

impl Stop {
    /// Not set yet.
    pub(super) fn new() -> Self {
        let (told, _) = tokio::sync::watch::channel(false);
        Stop(Arc::new(StopInner { set: Mutex::new(false), changed: Condvar::new(), told }))
    }

    pub(super) fn set(&self) {
        *lock(&self.0.set) = true;
        self.0.changed.notify_all();
        self.0.told.send_replace(true);
    }

    pub(super) fn is_set(&self) -> bool {
        *lock(&self.0.set)
    }

    /// Sleeps so long.
    ///
    /// # Errors
    /// [`Leave::Stopped`], at once when it is set.
    pub(super) fn wait(&self, time: Duration) -> Result<(), Leave> {
        let guard = lock(&self.0.set);
        let (guard, _) =
            self.0.changed.wait_timeout_while(guard, time, |set| !*set).unwrap_or_else(PoisonError::into_inner);
        if *guard { Err(Leave::Stopped) } else { Ok(()) }
    }

    /// Resolves when it is set.
    pub(super) async fn told(&self) {
        let mut told = self.0.told.subscribe();
        // The sender lives as long as `self`, so an error cannot come; were it to, never is the safe answer.
        if told.wait_for(|set| *set).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How a sink is, for the live line and for whoever waits for it.
#[derive(Debug)]
pub(crate) struct Health {
    name: String,
    trouble: Mutex<Option<String>>,
    remark: Mutex<Option<String>>,
    closed: AtomicBool,
    unwritable: AtomicU64,
    written: AtomicU64,
}

impl Health {
    /// Well. `name` is for log lines and holds no secret.
    pub(super) fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Health {
            name: name.into(),
            trouble: Mutex::new(None),
            remark: Mutex::new(None),
            closed: AtomicBool::new(false),
            unwritable: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    /// Why it makes no progress at present, if so. It is retrying.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// The same with its name.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.trouble().map(|why| format!("{}: {why}", self.name))
    }

    /// What somebody should look at though it makes progress, if there is such a thing.
    pub(crate) fn remark(&self) -> Option<String> {
        lock(&self.remark).clone()
    }

    /// Has the reader of our standard output gone? Then the run ends with 0.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Points that the database will never take, recorded in `unwritable.jsonl`; counted since the start.
    pub(crate) fn unwritable(&self) -> u64 {
        self.unwritable.load(Ordering::Relaxed)
    }

    /// Whether the database has refused all that it was sent: then nothing of the run is there. How many points.
    pub(crate) fn refused_all(&self) -> Option<u64> {
        let refused = Some(self.unwritable()).filter(|refused| *refused > 0);
        refused.filter(|_| self.written.load(Ordering::Relaxed) == 0)
    }

    /// What this sink is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// It is not known yet whether it is well: until it is, it is not. Nothing is logged.
    pub(super) fn begins(&self) {
        lock(&self.trouble).get_or_insert_with(|| "has not answered yet".to_owned());
    }

    /// Says what is wrong; logged when it is news.
    pub(super) fn hurts(&self, why: String) {
        let mut trouble = lock(&self.trouble);
        if trouble.as_deref() != Some(&why) {
            tracing::warn!("{}: {why}; trying again", self.name);
            *trouble = Some(why);
        }
    }

    /// Says what somebody should look at; logged when it is news. It stays until there is another.
    pub(super) fn remarks(&self, what: String) {
        let mut remark = lock(&self.remark);
        if remark.as_deref() != Some(&what) {
            tracing::warn!("{}: {what}", self.name);
            *remark = Some(what);
        }
    }

    /// All is well again.
    pub(super) fn heals(&self) {
        if lock(&self.trouble).take().is_some() {
            tracing::info!("{}: works again", self.name);
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Counts points that a database has stored. (A file takes whatever it is given.)
    pub(super) fn count_written(&self, points: u64) {
        self.written.fetch_add(points, Ordering::Relaxed);
    }

    pub(super) fn count_unwritable(&self, points: u64) {
        self.unwritable.fetch_add(points, Ordering::Relaxed);
    }
}

/// Growing waits between the attempts at a file: 0.1 s, doubled up to 5 s.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Pauses(Duration::from_millis(100))
    }

    /// Waits.
    ///
    /// # Errors
    /// [`Leave::Stopped`].
    pub(super) fn wait(&mut self, stop: &Stop) -> Result<(), Leave> {
        stop.wait(self.0)?;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        Ok(())
    }
}

struct Shared {
    stored: Mutex<Result<Option<SinkProgress>, Halt>>,
    done: Mutex<bool>,
    ended: Condvar,
    wake: Wake,
}

/// A named thread that works through a bounded queue of `T`.
pub(super) struct Worker<T> {
    queue: Option<SyncSender<T>>,
    shared: Arc<Shared>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// Says that the thread is gone, and why, however it went.
struct Ending(Arc<Shared>, String);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = format!("the thread of {} panicked; its message is above", self.1);
            *lock(&self.0.stored) = Err(Halt::new(HaltKind::Internal, why));
        }
        *lock(&self.0.done) = true;
        self.0.ended.notify_all();
        (self.0.wake)();
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread. `work` gets one thing after the other and says up to where all is stored now, if that moved;
    /// it gets none at the start, where it may find out how its place is, and when nothing came for a while.
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub(super) fn start<F>(name: &str, wake: Wake, stop: Stop, work: F) -> Result<Self, Halt>
    where
        F: FnMut(Option<T>) -> Result<Option<SinkProgress>, Leave> + Send + 'static,
    {
        let (queue, things) = sync_channel(QUEUE_BATCHES);
        let shared =
            Arc::new(Shared { stored: Mutex::new(Ok(None)), done: Mutex::new(false), ended: Condvar::new(), wake });
        let ending = Ending(shared.clone(), name.to_owned());
        let (theirs, told) = (shared.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let ending = ending;
                Self::run(&things, &theirs, &told, work);
                drop(ending);
            })
            .map_err(|e| Halt::new(HaltKind::Internal, format!("no thread for {name}: {e}")))?;
        Ok(Worker { queue: Some(queue), shared, stop, thread: Some(thread) })
    }

    fn run<F>(things: &Receiver<T>, shared: &Shared, stop: &Stop, mut work: F)
    where
        F: FnMut(Option<T>) -> Result<Option<SinkProgress>, Leave>,
    {
        let mut patience = Duration::ZERO;
        loop {
            let thing = match things.recv_timeout(std::mem::replace(&mut patience, IDLE)) {
                Ok(thing) => Some(thing),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if stop.is_set() {
                return;
            }
            let idle = thing.is_none();
            match work(thing) {
                Ok(None) if idle => continue,
                Ok(None) => {}
                Ok(stored) => *lock(&shared.stored) = Ok(stored),
                Err(Leave::Stopped) => return,
                Err(Leave::Halt(halt)) => {
                    *lock(&shared.stored) = Err(halt);
                    return; // `Ending` wakes
                }
            }
            (shared.wake)(); // something was stored, or there is room in the queue
        }
    }

    /// Offers a thing; gives it back when the queue is full, and for ever once the thread has ended: then
    /// [`Worker::stored`] says why.
    pub(super) fn offer(&mut self, thing: T) -> Result<(), T> {
        let queue = self.queue.as_ref().expect("taken by drop alone");
        queue.try_send(thing).map_err(|e| match e {
            TrySendError::Full(thing) | TrySendError::Disconnected(thing) => thing,
        })
    }

    pub(super) fn stored(&self) -> Result<Option<SinkProgress>, Halt> {
        lock(&self.shared.stored).clone()
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.stop.set();
        drop(self.queue.take());
        let done = lock(&self.shared.done);
        let waited = self.shared.ended.wait_timeout_while(done, FAREWELL, |done| !*done);
        let (done, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let gone = *done;
        drop(done);
        if gone && let Some(thread) = self.thread.take() {
            drop(thread.join()); // a panic of its was told by `Ending`
        }
    }
}

/// A [`RowWriter`] on its thread.
pub(super) struct RowPort(Worker<RowBatch>);

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
        Ok(RowPort(Worker::start(name, wake, stop, work)?))
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
    use std::sync::mpsc;

    fn batch(round: u64, last: bool) -> RowBatch {
        RowBatch { round, seq: round, rows: vec![row("A", 0, 1)], last }
    }

    /// Does what the other end of a channel says, one answer per call.
    struct Puppet(mpsc::Receiver<Result<(), Leave>>, Stop);

    impl RowWriter for Puppet {
        fn rows(&mut self, _: u64, _: &[minutely_dataflows::row::Row]) -> Result<(), Leave> {
            match self.0.recv() {
                Ok(answer) => answer,
                Err(_) => self.1.wait(Duration::from_secs(3600)),
            }
        }

        fn store(&mut self) -> Result<Option<u64>, Leave> {
            Ok(None)
        }
    }

    fn puppet() -> (mpsc::Sender<Result<(), Leave>>, RowPort) {
        let (tell, told) = mpsc::channel();
        let stop = Stop::new();
        (tell, RowPort::start("puppet", no_wake(), stop.clone(), Box::new(Puppet(told, stop))).unwrap())
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
        tell.send(Err(Leave::Halt(halt.clone()))).unwrap();
        poll("the halt arrives", || port.stored() == Err(halt.clone()));

        let work = |_: Option<u8>| -> Result<Option<SinkProgress>, Leave> { panic!("on purpose") };
        let mut worker = Worker::start("panics", no_wake(), Stop::new(), work).unwrap();
        worker.offer(1).unwrap();
        poll("the panic arrives", || worker.stored().is_err_and(|h| h.kind == HaltKind::Internal));
    }

    #[test]
    fn a_drop_ends_a_writer_that_waits_and_stores_no_more() {
        let (tell, mut port) = puppet();
        port.offer(batch(1, true)).unwrap();
        drop(tell); // the writer now waits for an hour, or for the stop
        let shared = port.0.shared.clone();
        drop(port);
        assert!(*lock(&shared.done), "the thread is gone");
        assert_eq!(*lock(&shared.stored), Ok(None));
    }
}
