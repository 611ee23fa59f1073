//! The manifest of a cut: made here, in one place, of what was known when the cut was checked and of what the leader adds
//! as it is published.

use super::cuts::{Cut, Snapshot};
use crate::checkpoint::{CutRecord, Manifest, ObjectRef, SinkState, WorkerObjects};
use crate::status::StateSize;
use crate::time::{Epoch, EventTime};
use std::sync::Arc;

/// What a manifest says of the run beside its cut.
#[derive(Clone, Debug, Default)]
pub(super) struct RunFacts {
    /// The manifest that the run resumes from.
    pub(super) head: Arc<Manifest>,
    /// The instant that a bounded run's verdicts refer to (R7).
    pub(super) instant: Option<EventTime>,
    /// A partition has grown since a bounded run came to its end.
    pub(super) grows: bool,
    /// The sinks of the run, and those of the state that it leaves out.
    pub(super) sinks: Vec<SinkState>,
    /// What the place for dead letters is called.
    pub(super) dead_letters: String,
    /// What the audit trail knows of cuts that none of its objects has; the newest is the cut itself.
    pub(super) cuts: Vec<CutRecord>,
}

/// What links a manifest to the one before it, and says where dead letters are.
#[derive(Clone, Debug, Default)]
pub struct ChainLink {
    /// The hash of the manifest before it.
    pub parent: Option<String>,
    /// How long the file of dead letters was when those before `unstored` were stored, in bytes.
    pub dead_letters_position: Option<u64>,
    /// Objects with dead letters that are not stored yet, by cut. The cut's own included.
    pub unstored: Vec<(Epoch, ObjectRef)>,
}

/// A manifest that is to be published. It lacks its [`ChainLink`].
#[derive(Debug)]
pub struct ManifestBuilder {
    seq: u64,
    epoch: Epoch,
    snapshot: Snapshot,
    /// One of each worker, in their order.
    parts: Vec<WorkerObjects>,
    /// Records in windows that the run has forgotten.
    forgotten: i64,
    run: RunFacts,
}

impl ManifestBuilder {
    /// Of a cut at which both equations hold.
    pub(super) fn new(seq: u64, cut: Cut, run: RunFacts) -> Self {
        let Cut { epoch, snapshot, mut parts } = cut;
        parts.sort_unstable_by_key(|part| part.worker);
        let forgotten = parts.iter().map(|part| part.forgotten).sum();
        ManifestBuilder {
            seq,
            epoch,
            snapshot,
            parts: parts.into_iter().map(WorkerObjects::from).collect(),
            forgotten,
            run,
        }
    }

    /// Its number in the chain.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How often the chain was restarted.
    pub fn generation(&self) -> u64 {
        self.run.head.generation
    }

    /// The epoch of its cut.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The objects that it names.
    pub(super) fn size(&self) -> StateSize {
        let objects = || self.parts.iter().flat_map(WorkerObjects::all);
        StateSize { seq: self.seq, bytes: objects().map(|object| object.bytes).sum(), objects: objects().count() }
    }

    /// The manifest.
    pub fn build(self, link: ChainLink) -> Manifest {
        let ManifestBuilder { seq, epoch, snapshot, parts, forgotten, run } = self;
        let head = run.head;
        Manifest {
            format: head.format,
            semantics: head.semantics.clone(),
            generation: head.generation,
            run: head.run.clone(),
            commits_every: head.commits_every,
            seq,
            parent: link.parent,
            epoch,
            marks: snapshot.marks,
            start: head.start.clone(),
            instant: run.instant,
            finished: snapshot.finished,
            grows: run.grows,
            retired: head.retired + forgotten,
            partitions: snapshot.partitions,
            parts,
            sinks: run.sinks,
            dead_letters: SinkState {
                name: run.dead_letters,
                position: link.dead_letters_position,
                ..SinkState::default()
            },
            unstored: link.unstored,
            overrides: head.overrides.clone(),
            cuts: run.cuts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cuts::tests::part;
    use super::*;
    use crate::protocol::CutPart;

    #[test]
    fn a_manifest_says_what_its_cut_says_and_keeps_what_the_chain_began_with() {
        let head = Manifest {
            generation: 3,
            run: "r".into(),
            start: Some("earliest".into()),
            retired: 10,
            ..Manifest::fresh([("--window".to_owned(), "1m".to_owned())].into())
        };
        let object = |worker: usize| ObjectRef::of(format!("o{worker}"), b"abc", 2);
        let ids = |worker: usize| ObjectRef::of(format!("i{worker}"), b"abcd", 1);
        let part = |worker| CutPart {
            objects: vec![object(worker)],
            ids: vec![ids(worker)],
            forgotten: 4,
            ..part(7, worker, 0)
        };
        let cut = Cut {
            epoch: 7,
            snapshot: Snapshot { finished: true, ..Snapshot::default() },
            parts: vec![part(1), part(0)],
        };
        let run = RunFacts {
            head: Arc::new(head.clone()),
            grows: true,
            dead_letters: "letters".into(),
            ..RunFacts::default()
        };
        let builder = ManifestBuilder::new(12, cut, run);
        assert_eq!(builder.size(), StateSize { seq: 12, bytes: 14, objects: 4 });
        let link =
            ChainLink { parent: Some("p".into()), dead_letters_position: Some(5), unstored: vec![(7, object(9))] };
        let built = builder.build(link.clone());
        let worker = |n| WorkerObjects { objects: vec![object(n)], ids: vec![ids(n)], ..WorkerObjects::default() };
        let want = Manifest {
            seq: 12,
            parent: link.parent,
            epoch: 7,
            finished: true,
            grows: true,
            retired: 18,
            parts: vec![worker(0), worker(1)],
            dead_letters: SinkState { name: "letters".into(), position: Some(5), ..SinkState::default() },
            unstored: link.unstored,
            ..head
        };
        assert_eq!(built, want);
    }
}
