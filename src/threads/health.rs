//! How a thread that writes is doing, for the status line, the page and whatever waits for it.

use super::lock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What is wrong with a thread's target at present, and how many points it stored and refused.
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
    /// Without trouble. `name` is for log lines and holds no secret.
    pub(crate) fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Health {
            name: name.into(),
            trouble: Mutex::new(None),
            remark: Mutex::new(None),
            closed: AtomicBool::new(false),
            unwritable: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    /// Why no progress is made at present; none while there is progress. It is being retried.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// The trouble after the name.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.trouble().map(|why| format!("{}: {why}", self.name))
    }

    /// What an operator should look at although there is progress; the newest, for as long as the run lasts.
    pub(crate) fn remark(&self) -> Option<String> {
        lock(&self.remark).clone()
    }

    /// Has the reader of our standard output closed it? Then the run ends with 0.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Points that the database will never take, recorded in `unwritable.jsonl`; counted since the start.
    pub(crate) fn unwritable(&self) -> u64 {
        self.unwritable.load(Ordering::Relaxed)
    }

    /// How many points were refused, if the database has refused every point that it was sent.
    pub(crate) fn refused_all(&self) -> Option<u64> {
        let refused = Some(self.unwritable()).filter(|refused| *refused > 0);
        refused.filter(|_| self.written.load(Ordering::Relaxed) == 0)
    }

    /// As messages name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts as trouble until the first answer. Nothing is logged.
    pub(crate) fn set_unknown(&self) {
        lock(&self.trouble).get_or_insert_with(|| "has not answered yet".to_owned());
    }

    /// Sets why no progress is made; logged when it differs from before.
    pub(crate) fn set_trouble(&self, why: String) {
        let mut trouble = lock(&self.trouble);
        if trouble.as_deref() != Some(&why) {
            tracing::warn!("{}: {why}; trying again", self.name);
            *trouble = Some(why);
        }
    }

    /// There is progress again; logged if there was trouble.
    pub(crate) fn clear_trouble(&self) {
        if lock(&self.trouble).take().is_some() {
            tracing::info!("{}: works again", self.name);
        }
    }

    /// Sets the remark; logged when it differs from before.
    pub(crate) fn set_remark(&self, what: String) {
        let mut remark = lock(&self.remark);
        if remark.as_deref() != Some(&what) {
            tracing::warn!("{}: {what}", self.name);
            *remark = Some(what);
        }
    }

    /// The reader of our standard output has closed it.
    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Counts points that a database has stored. (A file takes all that it is given.)
    pub(crate) fn count_written(&self, points: u64) {
        self.written.fetch_add(points, Ordering::Relaxed);
    }

    pub(crate) fn count_unwritable(&self, points: u64) {
        self.unwritable.fetch_add(points, Ordering::Relaxed);
    }
}
