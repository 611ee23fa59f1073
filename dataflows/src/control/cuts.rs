//! Cuts: what is known of each that is not checked yet, and both equations of R11 at one that is whole.
//!
//! ```text
//!   its epoch ends ──> PendingCut ── every reader has reported ──> its Snapshot is there ─┐
//!                          └──────── every worker has sent its part ──────────────────────┴──> Cut ── checked, committed
//! ```
//!
//! A [`Cut`] is made in one place, once all of it is there: [`Cuts::take_whole`].

use super::admission::Admissions;
use super::error::Imbalance;
use crate::checkpoint::PartitionSnapshot;
use crate::frontier::Frontier;
use crate::marks::Marks;
use crate::partition::Counts;
use crate::protocol::CutPart;
use crate::status::Ledger;
use crate::time::Epoch;
use std::collections::VecDeque;

/// Cuts that are not committed yet, at most.
pub(super) const MAX_CUTS_IN_FLIGHT: usize = 2;

/// The run as of a cut, by what readers reported of its epoch.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) marks: Marks,
    pub(super) counts: Counts,
    /// All partitions; of none, where no state is kept.
    pub(super) partitions: Vec<PartitionSnapshot>,
    /// Bounded: all partitions were at their recorded ends, with every floor raised as far as it will be.
    pub(super) finished: bool,
}

/// A cut that is whole.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) epoch: Epoch,
    pub(super) snapshot: Snapshot,
    /// One of every worker, in any order.
    pub(super) parts: Vec<CutPart>,
}

/// A cut whose epoch has ended. It lacks what has not arrived yet.
#[derive(Debug)]
struct PendingCut {
    epoch: Epoch,
    snapshot: Option<Snapshot>,
    parts: Vec<CutPart>,
}

/// Cuts that are not whole, or not checked.
#[derive(Debug)]
pub(super) struct Cuts {
    workers: usize,
    /// Oldest first.
    pending: VecDeque<PendingCut>,
}

impl Cuts {
    pub(super) fn new(workers: usize) -> Self {
        Cuts { workers, pending: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// An epoch ends that is a cut.
    pub(super) fn begin(&mut self, epoch: Epoch) {
        self.pending.push_back(PendingCut { epoch, snapshot: None, parts: Vec::new() });
    }

    /// Every reader has reported this epoch: what that says, if it is a cut.
    pub(super) fn reported(&mut self, epoch: Epoch, snapshot: impl FnOnce() -> Snapshot) {
        if let Some(cut) = self.pending.iter_mut().find(|cut| cut.epoch == epoch) {
            cut.snapshot = Some(snapshot());
        }
    }

    /// A part has arrived.
    pub(super) fn add(&mut self, part: CutPart) {
        let cut = self.pending.iter_mut().find(|cut| cut.epoch == part.cut);
        cut.expect("a part is of a cut that is not committed").parts.push(part);
    }

    /// The oldest cut, once all of it is there. `gathered`: cuts whose parts have all arrived.
    pub(super) fn take_whole(&mut self, gathered: Frontier) -> Option<Cut> {
        let epoch = self.pending.front().filter(|cut| cut.snapshot.is_some())?.epoch;
        if !gathered.passed(epoch) {
            return None;
        }
        let PendingCut { epoch, snapshot, parts } = self.pending.pop_front()?;
        assert_eq!(parts.len(), self.workers, "a cut has a part of every worker");
        Some(Cut { epoch, snapshot: snapshot?, parts })
    }
}

impl Cut {
    fn sum(&self, of: fn(&CutPart) -> i64) -> i64 {
        self.parts.iter().map(of).sum()
    }

    /// Both sides of R11 by what the cut says. `retired_before_run`: records in windows that runs before this one have
    /// forgotten.
    pub(super) fn ledger(&self, counts: Counts, retired_before_run: i64) -> Ledger {
        let (arrived, retired) = (self.sum(|part| part.arrived), self.sum(|part| part.retired));
        Ledger {
            counts,
            held: arrived - retired,
            retired: retired + retired_before_run,
            keys: self.parts.iter().map(|part| part.keys).sum(),
            load: self.parts.iter().map(|part| part.load).sum(),
        }
    }

    /// Which equation of R11 does not hold at this cut, and a ledger that shows it.
    pub(super) fn imbalance(&self, ledger: Ledger, partitions: &Admissions) -> Option<(Imbalance, Ledger)> {
        if let Some((name, state)) = partitions.states().find(|(_, state)| !state.balances()) {
            let by_offsets = partitions.states().map(|(_, s)| s.next.0 - s.start.0 - s.counts.gaps).sum();
            let counts = Counts { read: by_offsets, ..partitions.counts() };
            let imbalance = Imbalance::Partition { partition: name.clone(), state: Box::new(state.clone()) };
            return Some((imbalance, Ledger { counts, ..ledger }));
        }
        let (epoch, Ledger { counts: Counts { counted, .. }, held, retired, .. }) = (self.epoch, ledger);
        if counted != held + retired {
            return Some((Imbalance::Windows { epoch, counted, held, retired }, ledger));
        }
        let traced = self.parts.iter().map(|p| p.traced).sum::<Option<i64>>().filter(|traced| *traced != held)?;
        Some((Imbalance::Trace { epoch, held, traced }, Ledger { held: traced, ..ledger }))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::settings::Settings;

    /// A part in which `arrived` records arrived, and none was retired.
    pub(in crate::control) fn part(cut: Epoch, worker: usize, arrived: i64) -> CutPart {
        CutPart {
            cut,
            worker,
            arrived,
            retired: 0,
            keys: 1,
            load: 1,
            traced: None,
            objects: Vec::new(),
            ids: Vec::new(),
            folds: Vec::new(),
            index: Vec::new(),
            trail: None,
            retired_before: None,
            forgotten: 0,
        }
    }

    #[test]
    fn a_cut_is_whole_once_its_snapshot_and_all_its_parts_are_there_and_the_oldest_comes_first() {
        let mut cuts = Cuts::new(2);
        cuts.begin(7);
        cuts.begin(9);
        for worker in [1, 0] {
            cuts.add(part(7, worker, 1));
            cuts.add(part(9, worker, 1));
        }
        cuts.reported(9, Snapshot::default);
        cuts.reported(8, || unreachable!("it is no cut"));
        assert!(cuts.take_whole(Frontier::Done).is_none(), "the oldest has no snapshot");
        cuts.reported(7, Snapshot::default);
        assert!(cuts.take_whole(Frontier::At(7)).is_none(), "more parts may come");
        let whole = cuts.take_whole(Frontier::At(8)).unwrap();
        assert_eq!((whole.epoch, whole.parts.len(), cuts.len()), (7, 2, 1));
        assert!(cuts.take_whole(Frontier::At(9)).is_none());
        assert_eq!(cuts.take_whole(Frontier::Done).unwrap().epoch, 9);
    }

    #[test]
    fn what_is_counted_must_be_held_or_retired_and_in_the_trace() {
        let partitions = Admissions::new(&Settings::default(), &[], None);
        let counts = Counts { counted: 9, ..Counts::default() };
        let cut = |arrived, traced| Cut {
            epoch: 7,
            snapshot: Snapshot::default(),
            parts: vec![CutPart { retired: 2, traced, ..part(7, 0, arrived) }],
        };
        let imbalance = |cut: Cut| cut.imbalance(cut.ledger(counts, 4), &partitions).map(|(_, ledger)| ledger.held);
        assert_eq!(imbalance(cut(5, None)), None, "4 were forgotten before the run, 2 are retired, 3 are held");
        assert_eq!(imbalance(cut(5, Some(3))), None);
        assert_eq!(imbalance(cut(4, None)), Some(2));
        assert_eq!(imbalance(cut(5, Some(8))), Some(8));
    }
}
