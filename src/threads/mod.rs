//! Threads of their own, for work that may block, retry and wait: what writes to sinks and to the state store.
//!
//! ```text
//!   owner ──offer──> bounded queue ──> thread ──results──> owner (woken after each)
//!         ──set────> Stop ──ends every wait of the thread
//!         <──────── Health: what is wrong at present
//! ```
//!
//! [`Worker`] is the thread with its queue, [`Stop`] ends its waits, [`Backoff`] spaces its attempts, and [`Health`] says
//! what is wrong with it at present. [`Newest`] is the hand-over for a thread that needs the newest value alone.
//!
//! Promises: a thread that fails, or panics, says so at the owner's next look; dropping a [`Worker`] takes a second at most.
//! Does not promise that tasks which still wait in the queue then are worked on (those of a worker that drains are, as far as
//! that second allows): an owner that needs them waits for their results first.

mod backoff;
mod error;
mod health;
mod newest;
mod stop;
mod worker;

pub(crate) use backoff::Backoff;
pub(crate) use health::Health;
pub(crate) use newest::Newest;
pub(crate) use stop::{Stop, WriterExit};
pub(crate) use worker::{Worker, WorkerOptions};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic of another thread: what these locks guard is whole at all times.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
