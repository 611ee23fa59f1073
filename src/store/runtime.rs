//! The one tokio runtime of all threads of the state.
//!
//! A client of a bucket keeps its connections for all who share it, and the tasks that drive a connection live in the runtime that opened
//! it. With a runtime for each thread, which runs only while that thread waits for an answer, a thread that took over a connection of
//! another waited for one that rested, until the request's time-out. This one runs always, and all that its threads do is to wait for it.

use super::error::StoreError;
use crate::threads::lock;
use std::sync::Mutex;
use tokio::runtime::{Builder, Runtime};

/// Threads that drive connections: they wait for the network, and sign and check a few MB a second at the most.
const DRIVERS: usize = 1;

static SHARED: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// The runtime, which lives as long as the process.
///
/// # Errors
/// When the system has no thread for it.
pub(super) fn shared() -> Result<&'static Runtime, StoreError> {
    let mut shared = lock(&SHARED);
    if let Some(runtime) = *shared {
        return Ok(runtime);
    }
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(DRIVERS).thread_name("state i/o").enable_all().build();
    let runtime: &'static Runtime = Box::leak(Box::new(runtime.map_err(StoreError::NoRuntime)?));
    *shared = Some(runtime);
    Ok(runtime)
}
