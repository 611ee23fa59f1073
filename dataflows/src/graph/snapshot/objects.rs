//! A worker's objects of one kind: which are durable, which are under way, which of them a cut needs, and when several are merged
//! into one.
//!
//! ```text
//!   cut ── contents ──> port ── durable ──> the cut's references, in the order of cuts ── then, maybe, a merge ──> port
//! ```
//!
//! A merge is begun and waited for like a write, but no cut waits for it. The references of a cut are taken as its last object
//! becomes durable: so they have none that is newer than the cut, whatever becomes of others meanwhile.

use super::merges::{DurableObject, PlannedMerge, plan};
use crate::checkpoint::{MergeRule, ObjectContent, ObjectRef};
use crate::edge::{Halt, ObjectPort, Task};
use crate::mutants::{self, Mutant};
use std::collections::VecDeque;

/// What the port was given to do.
enum PendingTask {
    /// An object of the oldest cut that waits for some.
    Write(DurableObject),
    Merge(PlannedMerge),
}

/// What a cut tells the worker's objects.
pub(super) struct CutObjects {
    /// Objects that are to be written; one that is to have nothing is left out.
    pub(super) contents: Vec<ObjectContent>,
    /// Entries that are held.
    pub(super) held: u64,
    /// Which entries count no more.
    pub(super) rule: MergeRule,
}

/// What a cut needs, all of it durable.
#[derive(Debug, Default)]
pub(super) struct ObjectsOfCut {
    pub(super) all: Vec<ObjectRef>,
    /// Those of them that the cut itself has written.
    pub(super) written: Vec<ObjectRef>,
}

/// A cut that waits for its objects.
struct WaitingCut {
    writes: usize,
    written: Vec<ObjectRef>,
    held: u64,
    rule: MergeRule,
}

/// A worker's durable objects of one kind, and its tasks at the port.
pub(super) struct DurableObjects {
    port: Box<dyn ObjectPort>,
    /// Durable, oldest first.
    durable: Vec<DurableObject>,
    /// Tasks that are not done, in the order they were begun.
    pending: VecDeque<PendingTask>,
    /// Cuts whose objects are not durable, oldest first.
    waiting: VecDeque<WaitingCut>,
    /// The objects that cuts need, oldest cut first, until they are taken.
    ready: VecDeque<ObjectsOfCut>,
    /// How the name of every object of this kind, worker and generation begins.
    prefix: String,
    /// How many names were given.
    names: u64,
}

impl DurableObjects {
    /// None yet. `prefix`: no other object of the chain has a name that begins with it.
    pub(super) fn new(port: Box<dyn ObjectPort>, prefix: String) -> Self {
        DurableObjects {
            port,
            durable: Vec::new(),
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            prefix,
            names: 0,
        }
    }

    /// With objects of an earlier run, which cuts name as if this one had written them.
    pub(super) fn adopt(&mut self, objects: impl IntoIterator<Item = ObjectRef>) {
        self.durable.extend(objects.into_iter().map(DurableObject::adopted));
    }

    /// Begins to write the objects of the next cut.
    pub(super) fn cut(&mut self, CutObjects { contents, held, rule }: CutObjects) {
        self.waiting.push_back(WaitingCut { writes: contents.len(), written: Vec::new(), held, rule });
        for content in contents {
            let object = DurableObject::pending(&content);
            let name = self.name();
            self.port.begin(Task::Write { name, content });
            self.pending.push_back(PendingTask::Write(object));
        }
    }

    /// Looks at what has become durable since the last call.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub(super) fn poll(&mut self) -> Result<(), Halt> {
        self.pass();
        for object in self.port.done()? {
            self.add(object);
            self.pass();
        }
        Ok(())
    }

    /// Are all objects of the oldest cut durable that was not taken?
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The objects that the oldest cut needs that was not taken, if they are durable.
    pub(super) fn take(&mut self) -> Option<ObjectsOfCut> {
        self.ready.pop_front()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}-{:08}", self.prefix, self.names)
    }

    /// Takes up an object that has become durable.
    fn add(&mut self, object: ObjectRef) {
        match self.pending.pop_front().expect("what is done was begun") {
            PendingTask::Write(pending) => {
                self.durable.push(pending.durable(object.clone(), self.durable.is_empty()));
                match self.waiting.iter_mut().find(|cut| cut.writes > 0) {
                    Some(cut) => {
                        cut.writes -= 1;
                        cut.written.push(object);
                    }
                    None => assert!(mutants::on(Mutant::ObjectNotAwaited), "an object is of the oldest cut that waits"),
                }
            }
            PendingTask::Merge(merge) => merge.replace(&mut self.durable, object),
        }
    }

    /// Takes the references of cuts whose objects are all durable.
    fn pass(&mut self) {
        let passes = |cut: &WaitingCut| cut.writes == 0 || mutants::on(Mutant::ObjectNotAwaited);
        while self.waiting.front().is_some_and(passes) {
            let Some(WaitingCut { written, held, rule, .. }) = self.waiting.pop_front() else { return };
            let all = self.durable.iter().map(|object| object.reference.clone()).collect();
            self.ready.push_back(ObjectsOfCut { all, written });
            self.merge(held, rule);
        }
    }

    /// Begins a merge, if it is time for one and none is under way.
    fn merge(&mut self, held: u64, rule: MergeRule) {
        if self.pending.iter().any(|task| matches!(task, PendingTask::Merge(_))) {
            return;
        }
        let Some(merge) = plan(&mut self.durable, held, &rule) else { return };
        let name = self.name();
        self.port.begin(Task::Merge { name, inputs: merge.inputs.clone(), rule });
        self.pending.push_back(PendingTask::Merge(merge));
    }
}
