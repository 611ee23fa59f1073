//! A worker's objects: which are durable, which are under way, and when several are merged into one.
//!
//! Sixteen objects of one level are merged into one of the next; all are, when most of what they hold has been superseded.
//! A merge is begun and waited for like a write, but no cut waits for it.

use crate::checkpoint::{ObjectBuilder, ObjectRef};
use crate::edge::{Halt, ObjectPort, Task};
use crate::time::WindowStart;
use std::collections::VecDeque;

/// Objects of one level that are merged.
const TIER: usize = 16;
/// Entries that may be superseded before all objects are merged, beyond as many as there are windows held.
const SLACK: u64 = 4096;

/// What the port was given to do.
enum PendingTask {
    Write,
    /// `inputs` objects from the one at `from` on become one of this level.
    Merge {
        from: usize,
        inputs: usize,
        level: u32,
    },
}

/// A worker's durable objects, and its tasks at the port.
pub(super) struct DurableObjects {
    port: Box<dyn ObjectPort>,
    /// Durable, oldest first, each with its level; levels do not rise.
    durable: Vec<(ObjectRef, u32)>,
    /// Tasks that are not done, in the order they were begun.
    pending: VecDeque<PendingTask>,
    /// How the name of every object of this worker and generation begins.
    prefix: String,
    /// How many names were given.
    names: u64,
}

impl DurableObjects {
    /// None yet.
    pub(super) fn new(port: Box<dyn ObjectPort>, generation: u64, worker: usize) -> Self {
        let prefix = format!("{generation:06}-{worker:03}");
        DurableObjects { port, durable: Vec::new(), pending: VecDeque::new(), prefix, names: 0 }
    }

    /// All that are durable, oldest first.
    pub(super) fn refs(&self) -> Vec<ObjectRef> {
        self.durable.iter().map(|(object, _)| object.clone()).collect()
    }

    /// Begins to write one.
    pub(super) fn write(&mut self, draft: ObjectBuilder) {
        let name = self.name();
        self.port.begin(Task::Write { name, draft });
        self.pending.push_back(PendingTask::Write);
    }

    /// What has become durable since the last call.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub(super) fn poll(&mut self) -> Result<Vec<ObjectRef>, Halt> {
        self.port.done()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}-{:08}", self.prefix, self.names)
    }

    /// Takes up an object that has become durable; says whether a cut waited for it.
    pub(super) fn add(&mut self, object: ObjectRef) -> bool {
        match self.pending.pop_front().expect("what is done was begun") {
            PendingTask::Write => {
                // The first has all that is held: as if merged already, so that not every tier takes it up again.
                let level =
                    if self.durable.is_empty() { object.entries.checked_ilog(TIER as u64).unwrap_or(0) } else { 0 };
                self.durable.push((object, level));
            }
            PendingTask::Merge { from, inputs, level } => {
                drop(self.durable.splice(from..from + inputs, [(object, level)]));
                return false;
            }
        }
        true
    }

    /// Begins a merge, if it is time for one and none is under way. `keys`: windows of series that are held; windows before
    /// `retired_before` are left out.
    pub(super) fn merge(&mut self, keys: u64, retired_before: Option<WindowStart>) {
        if self.pending.iter().any(|task| matches!(task, PendingTask::Merge { .. })) {
            return;
        }
        let entries: u64 = self.durable.iter().map(|(object, _)| object.entries).sum();
        let (from, inputs, level) = if self.durable.len() > 1 && entries > 2 * keys + SLACK {
            (0, self.durable.len(), self.durable[0].1)
        } else {
            let full = self.durable.chunk_by(|a, b| a.1 == b.1).scan(0, |from, run| {
                let begins = *from;
                *from += run.len();
                Some((begins, run))
            });
            let Some((from, run)) = full.filter(|(_, run)| run.len() >= TIER).last() else { return };
            (from, TIER, run[0].1 + 1)
        };
        let name = self.name();
        let objects = self.durable[from..from + inputs].iter().map(|(object, _)| object.clone()).collect();
        self.port.begin(Task::Merge { name, inputs: objects, retired_before });
        self.pending.push_back(PendingTask::Merge { from, inputs, level });
    }
}
