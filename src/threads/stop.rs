//! Tells a thread to end, and ends its waits.

use super::lock;
use minutely_dataflows::edge::Halt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Why a thread ends its work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WriterExit {
    /// It was to stop; whether what it was working on is written is not known.
    Stopped,
    /// Retrying is no use.
    Halt(Halt),
}

impl From<Halt> for WriterExit {
    fn from(halt: Halt) -> Self {
        WriterExit::Halt(halt)
    }
}

/// Tells a thread to end; each wait of that thread ends when it is set. Clones share one flag, which stays set.
#[derive(Clone)]
pub(crate) struct Stop(Arc<StopFlag>);

struct StopFlag {
    set: Mutex<bool>,
    changed: Condvar,
    announced: tokio::sync::watch::Sender<bool>,
}

impl Stop {
    /// Not set.
    pub(crate) fn new() -> Self {
        let (announced, _) = tokio::sync::watch::channel(false);
        Stop(Arc::new(StopFlag { set: Mutex::new(false), changed: Condvar::new(), announced }))
    }

    pub(crate) fn set(&self) {
        *lock(&self.0.set) = true;
        self.0.changed.notify_all();
        self.0.announced.send_replace(true);
    }

    pub(crate) fn is_set(&self) -> bool {
        *lock(&self.0.set)
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`], at once when it is set.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), WriterExit> {
        let guard = lock(&self.0.set);
        let (guard, _) =
            self.0.changed.wait_timeout_while(guard, time, |set| !*set).unwrap_or_else(PoisonError::into_inner);
        if *guard { Err(WriterExit::Stopped) } else { Ok(()) }
    }

    /// Resolves when it is set.
    pub(crate) async fn until_set(&self) {
        let mut announced = self.0.announced.subscribe();
        // The sender lives as long as `self`, so an error cannot come; were it to, never is the safe answer.
        if announced.wait_for(|set| *set).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
