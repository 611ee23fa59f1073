//! Wakes worker 0, which sleeps while it has nothing to do.

use minutely_dataflows::edge::Wake;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// Worker 0's thread, once it runs. A wake-up before that is lost: the worker looks at everything when it begins.
#[derive(Default)]
pub(super) struct LeaderWaker(Mutex<Option<Thread>>);

impl LeaderWaker {
    /// The current thread is worker 0's.
    pub(super) fn set_current_thread(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(std::thread::current());
    }

    /// Wakes it, from any thread.
    pub(super) fn wake(self: &Arc<Self>) -> Wake {
        let waker = Arc::clone(self);
        Arc::new(move || {
            waker.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
        })
    }
}
