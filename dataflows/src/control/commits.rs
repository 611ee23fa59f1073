//! Commits: cuts that are checked, on their way to be committed, and what the newest one says.

use super::cuts::Cut;
use super::manifest::{ManifestBuilder, RunFacts};
use super::records::CutRecords;
use crate::checkpoint::{Manifest, ObjectRef};
use crate::partition::IDS_PER_KEY;
use crate::protocol::Commit;
use crate::status::{Ledger, StateSize};
use crate::time::{WindowStart, Windowing};

/// A cut that both equations hold at, while its manifest is published.
#[derive(Debug)]
struct Publishing {
    commit: Commit,
    ledger: Ledger,
    /// Windows before this are retired at it, at every worker; unknown where more were since.
    retired_before: Option<WindowStart>,
    finished: bool,
    /// What its manifest names; none where no state is kept, and so no manifest is waited for.
    size: Option<StateSize>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Commits {
    /// Commits in this chain, those of runs before this one included.
    seq: u64,
    newest: Option<Commit>,
    /// The newest commit that changed a row.
    changed: u64,
    ledger: Ledger,
    retired_before: Option<WindowStart>,
    size: Option<StateSize>,
    publishing: Option<Publishing>,
    /// Of cuts, for the audit trail.
    records: CutRecords,
}

impl Commits {
    /// As `head`, the manifest that the run resumes from, says.
    pub(super) fn new(head: Option<&Manifest>) -> Self {
        // An upper bound: an object may hold what a later one holds again, or what is forgotten.
        fn entries<'a>(objects: impl Iterator<Item = &'a ObjectRef>) -> u64 {
            objects.map(|object| object.entries).sum()
        }
        let parts = || head.iter().flat_map(|head| &head.parts);
        let keys = entries(parts().flat_map(|part| &part.objects));
        let ids = entries(parts().flat_map(|part| &part.ids));
        Commits {
            seq: head.map_or(0, |head| head.seq),
            newest: None,
            changed: 0,
            ledger: Ledger { keys, load: keys + ids / IDS_PER_KEY, ..Ledger::default() },
            retired_before: None,
            size: None,
            publishing: None,
            records: CutRecords::new(head),
        }
    }

    /// Commits so far in this chain.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The newest commit of this run.
    pub(super) fn newest(&self) -> Option<Commit> {
        self.newest
    }

    /// The number of the newest commit that changed a row.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    /// The ledger as of the newest commit; before the first, an upper bound of what is held.
    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Windows before this are retired at the newest commit, at every worker; unknown where more were since.
    pub(super) fn retired_before(&self) -> Option<WindowStart> {
        self.retired_before
    }

    /// The newest committed manifest, where a state is kept.
    pub(super) fn size(&self) -> Option<StateSize> {
        self.size
    }

    /// Is a cut on its way to be committed? The next is not checked before.
    pub(super) fn is_publishing(&self) -> bool {
        self.publishing.is_some()
    }

    /// A ledger that does not balance: it is to be seen, and nothing else comes of it.
    pub(super) fn show(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// A cut at which both equations hold is to be committed: by its manifest, if a state is kept and so `run` is given.
    pub(super) fn begin(&mut self, cut: Cut, ledger: Ledger, run: Option<RunFacts>) -> Option<ManifestBuilder> {
        let seq = self.seq + 1;
        let cuts = self.records.add(&cut, seq);
        let commit = Commit { cut: cut.epoch, seq, marks: cut.snapshot.marks, record: cuts.last().copied() };
        let finished = cut.snapshot.finished;
        // What was forgotten since the cut, its ledger still has as held.
        let is_counted = cut.parts.iter().all(|part| part.retired == part.forgotten);
        let retired_before = cut.parts.iter().map(|part| part.retired_before).min().flatten().filter(|_| is_counted);
        let builder = run.map(|run| ManifestBuilder::new(seq, cut, RunFacts { cuts, ..run }));
        let size = builder.as_ref().map(ManifestBuilder::size);
        self.publishing = Some(Publishing { commit, ledger, retired_before, finished, size });
        builder
    }

    /// The cut that is committed now: once its manifest is published; at once, where no state is kept. And whether it is
    /// one of all of a bounded run's log.
    pub(super) fn finish(&mut self, published: Option<u64>, windowing: &Windowing) -> Option<(Commit, bool)> {
        let done = |it: &mut Publishing| it.size.is_none() || published >= Some(it.commit.seq);
        let Publishing { commit, ledger, retired_before, finished, size } = self.publishing.take_if(done)?;
        let bounds = |commit: Commit| {
            let marks = commit.marks;
            (windowing.first_not_closed(marks.w), windowing.first_not_final(marks.w), marks.partial_before)
        };
        if self.newest.map(bounds) != Some(bounds(commit)) || ledger.counts.counted != self.ledger.counts.counted {
            self.changed = commit.seq;
        }
        (self.ledger, self.seq, self.newest, self.size) = (ledger, commit.seq, Some(commit), size);
        self.retired_before = retired_before;
        Some((commit, finished))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cuts::Snapshot;
    use super::super::cuts::tests::part;
    use super::*;
    use crate::partition::Counts;

    fn cut(epoch: u64) -> Cut {
        Cut { epoch, snapshot: Snapshot::default(), parts: vec![part(epoch, 0, 0)] }
    }

    fn counted(counted: i64) -> Ledger {
        Ledger { counts: Counts { counted, ..Counts::default() }, ..Ledger::default() }
    }

    #[test]
    fn a_cut_is_committed_once_its_manifest_is_published_and_at_once_without_a_state() {
        let windowing = Windowing::default();
        let head = Manifest { seq: 4, ..Manifest::fresh(Default::default()) };
        let mut commits = Commits::new(Some(&head));
        assert!(commits.begin(cut(7), counted(1), Some(RunFacts::default())).is_some());
        assert!(commits.is_publishing());
        assert_eq!(commits.finish(Some(4), &windowing), None);
        assert_eq!(commits.finish(Some(5), &windowing).map(|(commit, _)| commit.seq), Some(5));
        assert_eq!((commits.seq(), commits.size().map(|size| size.seq)), (5, Some(5)));
        let mut without = Commits::new(None);
        assert!(without.begin(cut(7), counted(1), None).is_none());
        assert_eq!(without.finish(None, &windowing).map(|(commit, _)| commit.seq), Some(1));
    }

    #[test]
    fn a_commit_changes_a_row_if_marks_moved_or_records_came() {
        let (windowing, mut commits) = (Windowing::default(), Commits::new(None));
        let mut changed_by = |ledger| {
            commits.begin(cut(7), ledger, None);
            commits.finish(None, &windowing);
            commits.changed()
        };
        assert_eq!(changed_by(counted(0)), 1, "the first says what is open");
        assert_eq!(changed_by(counted(0)), 1);
        assert_eq!(changed_by(counted(3)), 3);
    }
}
