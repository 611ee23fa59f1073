//! Status: how a run is, for people and programs that watch it.

use crate::coarse::WindowLevel;
use crate::edge::Discovered;
use crate::marks::Marks;
use crate::partition::PartitionState;
use crate::time::{EventTime, WindowStart};

/// How a run is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// As of the newest commit.
    pub marks: Marks,
    /// Commits so far.
    pub seq: u64,
    /// The newest state of every partition, in admission order; absent before its first report.
    pub partitions: Vec<(Discovered, Option<PartitionState>)>,
    /// The ledger at the newest commit.
    pub ledger: Ledger,
    /// Windows before this are stored by every sink, and forgotten.
    pub retired_before: Option<WindowStart>,
    /// One for each sink, in the order of `SinkId`.
    pub sinks: Vec<SinkStatus>,
    /// As of the newest complete epoch, committed or not.
    pub newest: Marks,
    /// The newest committed manifest, where a state is kept.
    pub saved: Option<StateSize>,
    /// Nothing is read: `max_keys` is reached, and sinks lack rows that are final.
    pub waits_for_sinks: bool,
    /// Bounded: windows that are not final at the end of the log stay open.
    pub keeps_open: bool,
    /// Coarser windows that are not final at the newest commit, by length.
    pub open_coarser: Vec<OpenWindows>,
    /// Partitions that are longer than they were when a run closed their windows.
    pub grown: Vec<String>,
}

impl Status {
    /// Partitions that begin above offset 0 and have shown no valid record, so that nothing read tells from when on windows
    /// are whole (R13).
    pub fn silent_starts(&self) -> impl Iterator<Item = &Discovered> {
        let silent =
            |state: &PartitionState| state.start.0 > 0 && state.h.is_none() && (state.ended || state.caught_up);
        self.partitions.iter().filter(move |(_, state)| state.as_ref().is_some_and(silent)).map(|(found, _)| found)
    }
}

/// Windows of one length that are not final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenWindows {
    /// Their length.
    pub level: WindowLevel,
    /// Windows times series.
    pub series: u64,
    /// When the last of them ends.
    pub until: EventTime,
}

/// How far a sink is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Rounds begun so far.
    pub begun: u64,
    /// Rounds stored so far.
    pub stored: u64,
    /// It has stored every window before this.
    pub stored_before: Option<WindowStart>,
}

/// Both equations of R11, summed, as of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Sums over all partitions.
    pub counts: crate::partition::Counts,
    /// Records in windows held.
    pub held: i64,
    /// Records in windows that were forgotten.
    pub retired: i64,
    /// Windows times series held.
    pub keys: u64,
    /// What they take of `max_keys`: more than one each where names are long.
    pub load: u64,
}

/// The objects of the newest manifest that is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Its number.
    pub seq: u64,
    /// Bytes of its objects.
    pub bytes: u64,
    /// How many there are.
    pub objects: usize,
}
