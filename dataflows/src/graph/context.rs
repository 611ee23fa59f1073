//! What one worker's operators share: all of it is used on the worker's one thread.

use super::folds::FoldTable;
use super::read::{CutIds, RestoredIds};
use super::series::SeriesTable;
use crate::checkpoint::CutRecord;
use crate::digest::MinuteDigest;
use crate::edge::{Halt, Wake};
use crate::partial::PartialBefore;
use crate::protocol::{Commit, Decision, End, Round, SinkId};
use crate::time::{Epoch, WindowStart};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::dataflow::Scope;
use timely::scheduling::Activator;

/// Records by epoch: what arrived after the exchange, and what retirement took away.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) arrived: BTreeMap<Epoch, i64>,
    pub(crate) retired: BTreeMap<Epoch, i64>,
    /// Windows before this are retired here.
    pub(crate) retired_before: Option<WindowStart>,
    /// Records in the windows that were retired since the run began.
    pub(crate) retired_records: i64,
}

/// What one worker's operators share.
#[derive(Default)]
pub(crate) struct WorkerContext {
    pub(crate) series: RefCell<SeriesTable>,
    pub(crate) tally: RefCell<Tally>,
    /// Of series, as of the windows that are retired here.
    pub(crate) folds: RefCell<FoldTable>,
    /// Of minutes that were retired here since the last cut.
    pub(crate) digests: RefCell<BTreeMap<WindowStart, MinuteDigest>>,
    /// Worker 0: of cuts that were committed, for the audit trail, which takes them.
    pub(crate) cut_records: RefCell<Vec<CutRecord>>,
    /// Which windows may lack records, as the newest commit says.
    pub(crate) partial: Cell<PartialBefore>,
    /// Windows before this are retired, or about to be: a decision said so.
    pub(crate) retiring_before: Cell<Option<WindowStart>>,
    /// Ids that Read is to resume with.
    pub(crate) restored_ids: RefCell<RestoredIds>,
    /// What Read hands to Snapshot, one of each cut that it has not come to yet.
    pub(crate) cut_ids: RefCell<VecDeque<CutIds>>,
    /// What ids take of `--max-keys` at this worker, as of the newest epoch that has ended.
    pub(crate) ids_load: Cell<u64>,
    /// Decisions that Read has not followed yet.
    pub(crate) for_read: RefCell<VecDeque<Decision>>,
    /// Cuts that Snapshot has not come to yet.
    pub(crate) for_snapshot: RefCell<VecDeque<End>>,
    /// What Outbox has not followed yet.
    pub(crate) for_outbox: RefCell<VecDeque<OutboxUpdate>>,
    /// Wakes Read, which looks at the log whenever the worker was parked.
    pub(crate) reader: RefCell<Option<Activator>>,
    /// Wake the other operators that follow decisions.
    pub(crate) activators: RefCell<Vec<Activator>>,
    /// How long nothing will come from the log.
    pub(crate) idle_wait: Cell<Duration>,
    /// Read has dropped its capabilities: the run is over.
    pub(crate) stopped: Cell<bool>,
    /// Why the run cannot continue; the first reason stays.
    pub(crate) trouble: RefCell<Option<Halt>>,
}

/// What one decision tells the outbox.
pub(crate) struct OutboxUpdate {
    pub(crate) commit: Option<Commit>,
    pub(crate) rounds: Vec<Round>,
    /// Chunks of this worker that worker 0 has consumed since the start: (sink, count).
    pub(crate) consumed: Vec<(SinkId, u64)>,
}

impl WorkerContext {
    /// Windows before this were retired by an earlier run.
    pub(crate) fn resume(&self, retired_before: Option<WindowStart>) {
        self.retiring_before.set(retired_before);
        self.tally.borrow_mut().retired_before = retired_before;
    }

    /// What windows and ids take of `--max-keys` at this worker.
    pub(crate) fn load(&self) -> u64 {
        self.series.borrow().load() + self.ids_load.get()
    }

    pub(crate) fn halt(&self, halt: Halt) {
        self.trouble.borrow_mut().get_or_insert(halt);
    }

    pub(crate) fn halted(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    /// Hands a decision to the operators that it concerns.
    pub(crate) fn follow(&self, decision: Decision, worker: usize) {
        let own = decision.chunks_consumed.iter().filter(|(_, of, _)| *of == worker);
        let consumed: Vec<_> = own.map(|(sink, _, count)| (*sink, *count)).collect();
        if decision.commit.is_some() || !decision.rounds.is_empty() || !consumed.is_empty() {
            let update = OutboxUpdate { commit: decision.commit, rounds: decision.rounds.clone(), consumed };
            self.for_outbox.borrow_mut().push_back(update);
        }
        if let Some(end) = decision.end.filter(|end| end.cut) {
            self.for_snapshot.borrow_mut().push_back(end);
        }
        if let Some(commit) = decision.commit {
            self.partial.set(commit.marks.partial_before);
            self.cut_records.borrow_mut().extend(commit.record.filter(|_| worker == 0));
        }
        if decision.retired_before.is_some() {
            self.retiring_before.set(decision.retired_before);
        }
        self.stopped.set(self.stopped.get() || decision.stop);
        self.for_read.borrow_mut().push_back(decision);
        self.activators.borrow().iter().for_each(Activator::activate);
        self.wake_reader();
    }

    pub(crate) fn wake_reader(&self) {
        self.reader.borrow().iter().for_each(Activator::activate);
    }
}

/// Wakes the worker for the operator at this address, from any thread.
pub(super) fn wake_for(scope: &Scope<'_, Epoch>, address: &[usize]) -> Wake {
    let remote = Mutex::new(scope.worker().sync_activator_for(address.to_vec()));
    Arc::new(move || {
        // A worker that is gone needs no waking.
        let _gone = remote.lock().map(|remote| remote.activate().is_err());
    })
}
