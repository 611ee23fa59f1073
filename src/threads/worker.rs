//! A named thread that works through a bounded queue.

use super::error::ThreadError;
use super::{Stop, WriterExit, lock};
use minutely_dataflows::edge::{Halt, Wake};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a drop waits for its thread; one that is blocked in the operating system is left behind.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What a [`Worker`] is started with.
pub(crate) struct WorkerOptions<'a> {
    /// The thread's name, also in messages.
    pub(crate) name: &'a str,
    /// Tasks that may wait, besides the one that is worked on.
    pub(crate) queue: usize,
    /// The thread is asked for work without a task at its start, and when none came for this long; none: never.
    pub(crate) idle_every: Option<Duration>,
    /// What waits when the worker is dropped is worked on (in the time there is); else it is thrown away.
    pub(crate) drains: bool,
    /// Called from the thread after each task, and when it ended.
    pub(crate) wake: Wake,
    /// Ends the thread's waits; set when the worker is dropped.
    pub(crate) stop: Stop,
}

/// A thread that works through tasks of `T`; each may have a result of `R`. Dropping it ends the thread.
pub(crate) struct Worker<T, R> {
    shared: Arc<Shared<T, R>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

struct Shared<T, R> {
    state: Mutex<State<T, R>>,
    /// A task came, the queue was closed, or the thread ended.
    changed: Condvar,
    wake: Wake,
}

struct State<T, R> {
    tasks: VecDeque<T>,
    /// Tasks that may wait.
    bound: usize,
    /// The owner is gone.
    closed: bool,
    results: Vec<R>,
    /// Why the thread ended, unless it was to stop.
    failure: Option<Halt>,
    ended: bool,
}

impl<T, R> Shared<T, R> {
    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        lock(&self.state)
    }
}

/// Says that the thread has ended, and why, however it ended.
struct EndGuard<T, R>(Arc<Shared<T, R>>, String);

impl<T, R> Drop for EndGuard<T, R> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if std::thread::panicking() {
            state.failure = Some(ThreadError::Panicked { name: self.1.clone() }.into());
        }
        state.ended = true;
        drop(state);
        self.0.changed.notify_all();
        (self.0.wake)();
    }
}

impl<T: Send + 'static, R: Send + 'static> Worker<T, R> {
    /// Starts the thread. `work` gets one task after the other, and none when it is idle.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start<F>(options: WorkerOptions<'_>, work: F) -> Result<Self, ThreadError>
    where
        F: FnMut(Option<T>) -> Result<Option<R>, WriterExit> + Send + 'static,
    {
        let WorkerOptions { name, queue, idle_every, drains, wake, stop } = options;
        let state = State {
            tasks: VecDeque::new(),
            bound: queue,
            closed: false,
            results: Vec::new(),
            failure: None,
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), wake });
        let guard = EndGuard(Arc::clone(&shared), name.to_owned());
        let theirs = (Arc::clone(&shared), (!drains).then(|| stop.clone()));
        let body = move || {
            let guard = guard;
            run(&theirs.0, theirs.1.as_ref(), idle_every, work);
            drop(guard);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|source| ThreadError::NotStarted { name: name.to_owned(), source })?;
        Ok(Worker { shared, stop, thread: Some(thread) })
    }

    /// Offers a task; gives it back when the queue is full, and always once the thread has ended: then
    /// [`Worker::take_results`] says why.
    ///
    /// # Errors
    /// The task.
    pub(crate) fn offer(&self, task: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        if state.ended || state.tasks.len() >= state.bound {
            return Err(task);
        }
        state.tasks.push_back(task);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// The results since the last call, in the order of their tasks.
    ///
    /// # Errors
    /// Why the thread ended, from then on.
    pub(crate) fn take_results(&self) -> Result<Vec<R>, Halt> {
        let mut state = self.shared.lock();
        match &state.failure {
            Some(halt) => Err(halt.clone()),
            None => Ok(std::mem::take(&mut state.results)),
        }
    }

    /// Has the thread ended?
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.lock().ended
    }

    /// Tasks that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().tasks.len()
    }
}

/// The thread. `stop`: when it is set, no further task is begun.
fn run<T, R>(
    shared: &Shared<T, R>,
    stop: Option<&Stop>,
    idle_every: Option<Duration>,
    mut work: impl FnMut(Option<T>) -> Result<Option<R>, WriterExit>,
) {
    let mut timeout = idle_every.map(|_| Duration::ZERO);
    while let Some(task) = next(shared, std::mem::replace(&mut timeout, idle_every)) {
        if stop.is_some_and(Stop::is_set) {
            return;
        }
        let is_idle = task.is_none();
        match work(task) {
            Ok(None) if is_idle => continue,
            Ok(result) => shared.lock().results.extend(result),
            Err(WriterExit::Stopped) => return,
            Err(WriterExit::Halt(halt)) => {
                shared.lock().failure = Some(halt);
                return; // `EndGuard` wakes
            }
        }
        (shared.wake)(); // there is a result, or room in the queue
    }
}

/// The next task; `Some(None)` when none came in time, and none when none will come.
fn next<T, R>(shared: &Shared<T, R>, timeout: Option<Duration>) -> Option<Option<T>> {
    let waits = |state: &mut State<T, R>| state.tasks.is_empty() && !state.closed;
    let state = shared.lock();
    let mut state = match timeout {
        Some(timeout) => {
            shared.changed.wait_timeout_while(state, timeout, waits).unwrap_or_else(PoisonError::into_inner).0
        }
        None => shared.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner),
    };
    match state.tasks.pop_front() {
        None if state.closed => None,
        task => Some(task),
    }
}

impl<T, R> Drop for Worker<T, R> {
    fn drop(&mut self) {
        self.stop.set();
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(state, SHUTDOWN_GRACE, |state| !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let has_ended = state.ended;
        drop(state);
        if has_ended && let Some(thread) = self.thread.take() {
            drop(thread.join()); // `EndGuard` has reported its panic
        }
    }
}
