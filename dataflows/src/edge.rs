//! The traits by which the core meets the outside. `src/` implements them; tests have in-memory twins.

pub use crate::halt::{Halt, HaltKind, HaltRemedy};

use crate::checkpoint::{MergeRule, ObjectContent, ObjectRef};
use crate::decode::schema::RegisteredSchema;
use crate::record::{DeadLetter, LastRecord, PartitionName, Record};
use crate::row::Row;
use crate::time::{EventTime, Monotonic, NextOffset};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A partition as its source found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// Which one.
    pub name: PartitionName,
    /// The first offset to read, if it is there when a chain of runs begins.
    pub start: NextOffset,
    /// The first offset there is: where a partition is read from that is found later.
    #[serde(default)]
    pub earliest: NextOffset,
    /// Bounded runs: the recorded end, in the source's own measure (an offset; bytes of a file). The partition is read up
    /// to it and no further. [`UNKNOWN_END`]: it is known once it is there.
    pub end: Option<i64>,
    /// What tells this log from another of the same name, where the source knows (Kafka: the topic's id).
    pub log_id: Option<String>,
}

/// The recorded end of a bounded partition whose end is known once it is there, such as that of a pipe.
pub const UNKNOWN_END: i64 = i64::MAX;

/// What a log says of a partition that was read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogProbe {
    /// As in [`Discovered`].
    pub log_id: Option<String>,
    /// The first offset that it holds, where that can change.
    pub first: Option<NextOffset>,
    /// Where it ends, uncommitted transactions included.
    pub end: Option<NextOffset>,
    /// The record that was read last.
    pub last: LastRecordCheck,
}

/// What a log says of the record that was read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastRecordCheck {
    /// Nothing.
    #[default]
    Unknown,
    /// It is not there any more.
    Gone,
    /// This is there.
    Holds(LastRecord),
}

/// The clocks. Passed in: the core has none.
pub trait Clock {
    /// Nanoseconds since the process began.
    fn monotonic(&self) -> Monotonic;

    /// What the wall clock says.
    fn wall(&self) -> EventTime;
}

/// A log: partitions and readers for them. One per process; shared by its workers.
pub trait LogSource: Send + Sync {
    /// Partitions found since the last call, all of them at the first. Called by worker 0 alone, never blocks.
    ///
    /// # Errors
    /// When the log is not what it was (a topic was deleted, an offset is out of range).
    fn discover(&self) -> Result<Vec<Discovered>, Halt>;

    /// What the first call of [`LogSource::discover`] returns, at every call of this one; empty for a source that starts each run
    /// at the same offsets.
    fn initial_partitions(&self) -> Vec<Discovered> {
        Vec::new()
    }

    /// What the log says now of partitions that an earlier run has read. `known`: each with the last record read of it. One answer
    /// each, in the same order; `None` when the source cannot say, or has no such partition. Blocks: called before the run begins.
    ///
    /// # Errors
    /// When it does not answer.
    fn probe(&self, known: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        Ok(vec![None; known.len()])
    }

    /// The next offsets of all partitions as of a manifest that is committed now, for tools that watch how far the run is.
    /// Nothing depends on it. Called by worker 0 alone, never blocks.
    fn committed(&self, _next: Vec<(PartitionName, NextOffset)>) {}

    /// What keeps the source from reading now, in one paragraph; none while it can read. Never blocks, called from any
    /// thread, once a second or more often.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// What an operator should know for as long as it holds, one paragraph each: reading goes on, and results may not be
    /// what they seem. Never blocks, called from any thread, once a second or more often.
    fn concerns(&self) -> Vec<String> {
        Vec::new()
    }

    /// Partitions that hold records which cannot be read now. Never blocks, called from any thread, once a second or more
    /// often.
    fn waiting(&self) -> Vec<Waiting> {
        Vec::new()
    }

    /// How much of what a bounded run reads was read, where the source measures it otherwise than in offsets. Never blocks, called from
    /// any thread, several times a second.
    fn progress(&self) -> Option<ReadProgress> {
        None
    }

    /// The payload of the record at this offset, where the source has it: what tells the others of its partition (a header) is
    /// looked up when a run resumes behind it. Blocks: called when a partition is opened.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn record_at(&self, _partition: &Discovered, _offset: NextOffset) -> Result<Option<Vec<u8>>, Halt> {
        Ok(None)
    }

    /// Opens a partition for its owner. `wake` may be called from any thread when there is something to read.
    ///
    /// # Errors
    /// When the partition cannot be read from its start offset.
    fn open(&self, partition: &Discovered, wake: Wake) -> Result<Box<dyn PartitionReader>, Halt>;
}

/// How much of what a bounded run reads was read by this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadProgress {
    /// What was read, and passed over where a run resumes.
    pub done: u64,
    /// All that will be.
    pub total: u64,
}

/// A partition that holds records which cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which one.
    pub partition: PartitionName,
    /// What it waits for, as `an open transaction at offset 7`.
    pub what: String,
    /// [`LogSource::trouble`] tells of it, too.
    pub is_trouble: bool,
}

impl Waiting {
    /// For people, as `partition t/1 waits for a leader`.
    pub fn describe(&self) -> String {
        format!("partition {} waits for {}", self.partition, self.what)
    }
}

/// Wakes a parked worker. Cheap, callable from any thread.
pub type Wake = std::sync::Arc<dyn Fn() + Send + Sync>;

/// One partition's log, read forward by its owner on the owner's thread.
pub trait PartitionReader {
    /// Hands at most `max` records to `each`, in offset order, and says how many. Never blocks; nothing at present is 0.
    /// Never goes past the recorded end.
    ///
    /// # Errors
    /// When the log cannot be read and retrying is no use.
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt>;

    /// The position: the next offset to read, past gaps and control markers that were seen.
    fn next(&self) -> NextOffset;

    /// Is it at its recorded end? Never, without one.
    fn ended(&self) -> bool;

    /// Asks the log where it ends now. The question is sent after this call; a question under way is dropped.
    /// `urgent`: others wait for the answer.
    fn ask_end(&mut self, urgent: bool);

    /// The answer to the last question, once.
    fn answer(&mut self) -> Option<EndAnswer>;

    /// The last record that was handed out; none where the log cannot change under a run.
    fn last(&self) -> Option<LastRecord> {
        None
    }

    /// Records after which one that still has more waits for the other partitions of its worker. It is not left before: a half-read
    /// fetch of every partition in memory at once costs page faults.
    fn turn_records(&self) -> usize {
        32 << 10
    }

    /// How long a worker may sleep after a read that returned 0. Long, for a reader that wakes its worker.
    fn idle_wait(&self) -> Duration;
}

/// What the log said about its end (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndAnswer {
    /// One past the last offset, uncommitted transactions included.
    End(NextOffset),
    /// No evidence.
    Failed,
}

/// Which rows a sink takes, for the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFilter {
    /// Rows that are not final yet, and each change of them. Else final (and `partial`) rows only, once each.
    pub changes: bool,
    /// Rows marked `partial`.
    pub partial: bool,
    /// The least time between two rounds with rows of open windows, in nanoseconds; closed and final rows go at once. 0: no limit.
    pub open_every: i64,
}

/// Rows of one round for one sink, in the order (minute, symbol) over all batches of the round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowBatch {
    /// The round: what a sink takes as of one committed cut. Rounds of a sink do not overlap.
    pub round: u64,
    /// The manifest that committed the rows, counted from 1 in its chain: a row's version within its generation.
    pub seq: u64,
    /// The rows.
    pub rows: Vec<Row>,
    /// The last batch of this round; it may have no rows.
    pub last: bool,
}

/// Up to where something is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SinkProgress {
    /// The newest round, or the newest cut, that is stored with all before it.
    pub at: u64,
    /// How long the file was then, in bytes, or which version a database had; none where there is neither.
    pub position: Option<u64>,
}

/// A sink as worker 0 sees it: a bounded queue to a thread of its own.
pub trait SinkPort {
    /// Offers a batch; gives it back if the queue is full. Never blocks.
    ///
    /// # Errors
    /// The batch, when there is no room.
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch>;

    /// The newest round all of whose rows are stored, or recorded as unwritable.
    ///
    /// # Errors
    /// When the sink will never take its rows: that ends the run.
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt>;
}

/// Where dead letters go once the cut that holds them is committed.
pub trait DeadLetterPort {
    /// Offers the dead letters of one committed cut; gives them back if the queue is full. Never blocks.
    ///
    /// # Errors
    /// The dead letters, when there is no room.
    fn offer(&mut self, cut: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>>;

    /// A manifest is committed that has this position: what is stored before it never comes again, whatever happens to the run. Comes
    /// before the dead letters of that manifest's cut are offered. Without a state: all that was stored by then.
    fn committed(&mut self, _position: Option<u64>) {}

    /// The newest cut whose dead letters, and those of all before it, are stored.
    ///
    /// # Errors
    /// When dead letters cannot be stored.
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt>;
}

/// Where checkpoints are kept. One per process; shared by its workers.
pub trait StateStore: Send + Sync {
    /// A whole object, as it was written. Blocks: used before the run begins.
    ///
    /// # Errors
    /// [`HaltKind::Data`]: it is missing, or not what was written. [`HaltKind::Unreachable`]: the store does not answer.
    fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, Halt>;

    /// A worker's way to write. `wake` may be called from any thread when something was done.
    ///
    /// # Errors
    /// When there is no thread for it.
    fn port(&self, wake: Wake) -> Result<Box<dyn ObjectPort>, Halt>;
}

/// What a worker wants done, in order.
#[derive(Clone, Debug)]
pub enum Task {
    /// An object is to be written under this name.
    Write {
        /// A name that nothing else in the chain has.
        name: String,
        /// What it holds.
        content: ObjectContent,
    },
    /// One object is to be made of several of one kind ([`MergeRule::merge`]) and written.
    Merge {
        /// A name that nothing else in the chain has.
        name: String,
        /// Oldest first; all of them were written.
        inputs: Vec<ObjectRef>,
        /// How.
        rule: MergeRule,
    },
}

/// A worker's objects on their way to the store.
pub trait ObjectPort {
    /// Begins a task. Never blocks; there are few at a time (two cuts that are not committed, and a merge).
    fn begin(&mut self, task: Task);

    /// What is durable since the last call, in the order it was begun.
    ///
    /// # Errors
    /// When nothing can be written any more.
    fn done(&mut self) -> Result<Vec<ObjectRef>, Halt>;
}

/// A manifest that is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number in the chain.
    pub seq: u64,
    /// Its bytes.
    pub manifest: Vec<u8>,
    /// An object to be durable before it: dead letters.
    pub dead_letters: Option<(String, Vec<u8>)>,
    /// The names of all objects that it needs. What its parent needed and it does not may go.
    pub needed: Vec<String>,
}

/// The chain of manifests, on worker 0.
pub trait ManifestPort {
    /// Publishes the next. Never blocks; one at a time.
    fn publish(&mut self, publication: Publication);

    /// The number of the newest manifest that is committed: it was created and, looked up after that, was the newest.
    ///
    /// # Errors
    /// [`HaltKind::Fenced`]: another run has continued the chain.
    fn published(&mut self) -> Result<Option<u64>, Halt>;
}

/// The schemas that messages are written by, each under an id. One per process; shared by its workers.
pub trait SchemaRegistry: Send + Sync {
    /// The schema of this id; none where the registry says that it has none. Blocks, for as long as the registry may take to
    /// answer: a worker asks once for each id.
    ///
    /// # Errors
    /// [`HaltKind::Unreachable`]: it does not answer. [`HaltKind::Usage`]: it refuses this client.
    fn schema(&self, id: u32) -> Result<Option<RegisteredSchema>, Halt>;
}
