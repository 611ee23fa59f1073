//! What workers and Control tell each other: facts go to worker 0, decisions come back to all.
//!
//! ```text
//!   all workers ──reports, parts of cuts──> worker 0: Facts ──> Control ──> Decision ──broadcast──> all workers
//! ```

use crate::checkpoint::{CutRecord, ObjectRef, PartTrail, WorkerObjects};
use crate::edge::{Discovered, SinkProgress};
use crate::frontier::Frontier;
use crate::marks::Marks;
use crate::partition::PartitionState;
use crate::time::{Epoch, EventTime, WindowStart};
use serde::{Deserialize, Serialize};

/// Which sink of the run: its place among the run's `--sink` options, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SinkId(pub usize);

/// What happened since the last decision. The default: nothing, and nothing is known to be complete.
#[derive(Debug, Default)]
pub struct Facts {
    /// Partitions that the source has found since.
    pub found: Vec<Discovered>,
    /// A reader read its first record of the epoch, or raised a floor in it.
    pub first: bool,
    /// A reader has a full table.
    pub full: bool,
    /// Partition states, each with the epoch that it was reported for.
    pub states: Vec<(Epoch, PartitionState)>,
    /// Epochs that every reader has reported.
    pub reported: Frontier,
    /// What workers hold, reported at the ends of epochs: (worker, [`CutPart::load`]).
    pub loads: Vec<(usize, u64)>,
    /// Parts of cuts.
    pub parts: Vec<CutPart>,
    /// Cuts whose parts have all arrived.
    pub gathered: Frontier,
    /// Epochs that the arrangement of windows holds whole.
    pub sealed: Frontier,
    /// One for each sink, in the order of [`SinkId`].
    pub sinks: Vec<SinkFacts>,
    /// Dead letters on their way.
    pub dead_letters: DeadLetterFacts,
    /// The number of the newest manifest that is committed.
    pub published: Option<u64>,
    /// The run is to end (SIGTERM).
    pub stop: bool,
}

/// How far a sink is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkFacts {
    /// The newest round that it has stored.
    pub stored: SinkProgress,
    /// Batches of rows that it has accepted, since the run began.
    pub batches: u64,
}

/// How far dead letters are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFacts {
    /// Committed cuts whose dead letters are not stored yet.
    pub waiting: usize,
    /// The newest cut whose dead letters are stored.
    pub stored: Option<Epoch>,
    /// Bytes of dead letters that are not committed yet.
    pub bytes: usize,
}

/// What is sent to all workers. Parts that are empty change nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Partitions that are read from now on.
    pub admissions: Vec<Admission>,
    /// What readers go by until the next decision.
    pub guide: Guide,
    /// An epoch ends.
    pub end: Option<End>,
    /// A cut was committed.
    pub commit: Option<Commit>,
    /// Rounds that begin, as of the newest committed cut.
    pub rounds: Vec<Round>,
    /// Windows before this are final and stored by every sink: they are to be forgotten.
    pub retired_before: Option<WindowStart>,
    /// How many chunks of its rows worker 0 has consumed, since the start: (sink, worker, count).
    pub chunks_consumed: Vec<(SinkId, usize, u64)>,
    /// Readers let go of their capabilities: the run is over.
    pub stop: bool,
}

/// A partition that is read from now on, by worker `index` mod workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Counted from 0 in the order of admission.
    pub index: usize,
    /// Which, and from where.
    pub found: Discovered,
    /// W, if it exists (R8).
    pub floor: Option<EventTime>,
    /// As an earlier run recorded it; `None` if none has.
    pub resume: Option<PartitionState>,
    /// The run's instant, where verdicts refer to one (R7): worker 0's, for all processes.
    pub instant: Option<EventTime>,
}

/// What readers go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guide {
    /// A of the newest complete epoch: partitions that have nothing to read raise their floors to it (R8).
    pub catch_up_to: Option<EventTime>,
    /// W of the newest complete epoch (R4).
    pub watermark: Option<EventTime>,
    /// What alignment measures from: W, or the oldest event read where there is no W yet (R12).
    pub alignment_base: Option<EventTime>,
    /// Some partition is paused: answers are urgent.
    pub urgent: bool,
    /// What is read.
    pub reading: Reading,
}

/// What readers read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// Every partition that is not paused.
    #[default]
    All,
    /// Only partitions that hold W back: `max_keys` is reached.
    HoldingBack,
    /// Nothing: the run is to end, or `max_keys` is reached and sinks are behind.
    Nothing,
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Which epoch.
    pub epoch: Epoch,
    /// It is a cut.
    pub cut: bool,
    /// Every worker counts its trace in full.
    pub audit: bool,
}

/// A committed cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its epoch.
    pub cut: Epoch,
    /// The manifest's number, from 1.
    pub seq: u64,
    /// What rows say of their windows.
    pub marks: Marks,
    /// What the audit trail keeps of it; none without a trail.
    pub record: Option<CutRecord>,
}

/// What one sink takes as of one commit, or newer where that is committed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Whose round.
    pub sink: SinkId,
    /// Counted from 1 for each sink.
    pub round: u64,
    /// Rows of open windows too.
    pub with_open: bool,
}

/// One worker's part of a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutPart {
    /// The cut.
    pub cut: Epoch,
    /// Whose part.
    pub worker: usize,
    /// Records that arrived after the exchange, in updates up to the cut.
    pub arrived: i64,
    /// Records that retirement took away up to the cut.
    pub retired: i64,
    /// Windows times series held.
    pub keys: u64,
    /// What they take of `max_keys`: more than one each where names are long or ids are held.
    pub load: u64,
    /// An audit: records counted in the trace itself, as of the cut.
    pub traced: Option<i64>,
    /// The objects that hold its windows as of the cut, oldest first.
    pub objects: Vec<ObjectRef>,
    /// The objects that hold the ids of its partitions as of the cut, in any order.
    pub ids: Vec<ObjectRef>,
    /// The objects that hold the folds of its series as of `retired_before`, oldest first.
    pub folds: Vec<ObjectRef>,
    /// The objects with the index entries of its partitions, and the digests of minutes that it has retired, in any order.
    pub index: Vec<ObjectRef>,
    /// Its audit trail; none without one.
    pub trail: Option<TrailReport>,
    /// Windows before this are not in them: it has forgotten them since, maybe after the cut.
    pub retired_before: Option<WindowStart>,
    /// Records in windows that it has forgotten, maybe after the cut. All of them had arrived before the cut.
    pub forgotten: i64,
}

/// What a worker says of the audit trail as of a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailReport {
    /// The number that the cut's manifest will have: each cut has one, in order.
    pub seq: u64,
    /// Wall time as the worker began to gather the cut ([`CutRecord::at`]).
    pub at: EventTime,
    /// Worker 0: records of cuts up to this number are in objects of its trail.
    pub recorded: u64,
    /// What the manifest is to name.
    pub trail: PartTrail,
}

impl From<CutPart> for WorkerObjects {
    fn from(part: CutPart) -> Self {
        WorkerObjects {
            objects: part.objects,
            retired_before: part.retired_before,
            ids: part.ids,
            folds: part.folds,
            index: part.index,
            trail: part.trail.map(|report| report.trail),
        }
    }
}
