//! A manifest: what the state is after a commit. JSON, so that a person can read it, and a last line with its hash.

use super::damage::FORMAT;
use super::object_ref::ObjectRef;
use super::trail_object::CutRecord;
use super::trail_ref::PartTrail;
use crate::edge::Discovered;
use crate::marks::Marks;
use crate::partition::PartitionState;
use crate::time::{Epoch, EventTime, NextOffset, WindowStart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one worker's windows are restored from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerObjects {
    /// Its objects, oldest first.
    pub objects: Vec<ObjectRef>,
    /// Windows before this are retired here: entries for them count no more.
    #[serde(rename = "line")]
    pub retired_before: Option<WindowStart>,
    /// Objects with the ids of its partitions, in any order. Those of windows that are final by their partition's own H count no
    /// more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<ObjectRef>,
    /// Objects with the folds of its series, oldest first: of all minutes before `retired_before`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<ObjectRef>,
    /// Objects with index entries and digests, in any order: of all runs of the chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index: Vec<ObjectRef>,
    /// The audit trail of its series; none in a run without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<PartTrail>,
}

impl WorkerObjects {
    /// Those that a run reads to resume, each once: all but the objects of the audit trail, which may be large.
    pub fn resumed(&self) -> impl Iterator<Item = &ObjectRef> {
        let deltas = self.trail.iter().flat_map(|trail| &trail.deltas).map(|of| &of.object);
        let deltas = deltas.filter(|object| !self.objects.iter().any(|other| other.name == object.name));
        self.objects.iter().chain(&self.ids).chain(&self.folds).chain(&self.index).chain(deltas)
    }

    /// All of them, each once.
    pub fn all(&self) -> impl Iterator<Item = &ObjectRef> {
        self.resumed().chain(self.trail.iter().flat_map(|trail| &trail.objects).map(|of| &of.object))
    }
}

/// A partition as of the cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSnapshot {
    /// As its source found it.
    pub found: Discovered,
    /// What its reader reported; `None` before its first report.
    pub state: Option<PartitionState>,
    /// W when it was admitted.
    pub floor: Option<EventTime>,
    /// Windows that begin at or after this lack nothing of what it held before it was first read (R13), whatever its
    /// records say; `None` when nothing is known, or a changed log was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_from: Option<EventTime>,
}

/// A sink, or the place for dead letters, as of the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// What it is called.
    pub name: String,
    /// It has stored every window before this.
    #[serde(rename = "line")]
    pub stored_before: Option<WindowStart>,
    /// How long its file was then, in bytes, or which version its database had.
    pub position: Option<u64>,
    /// The chain that its rows carry, where they have versions.
    pub chain: Option<u64>,
    /// It was added when windows before this were retired already: it may lack them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WindowStart>,
    /// Windows, from and to, that were retired in runs without it: it may lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(WindowStart, WindowStart)>,
    /// The newest run is without it: it lacks what is retired from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<WindowStart>,
}

/// A changed log that was accepted (`--accept-changed-log`). Kept in every later manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The partition's name.
    pub partition: String,
    /// What had changed.
    pub what: String,
    /// The next offset as it was, and as it is since.
    pub was: NextOffset,
    /// See `was`.
    pub now: NextOffset,
    /// The first manifest that knew of it.
    pub seq: u64,
}

/// What the state is after a commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What verdicts and sums depend on, by option.
    pub semantics: BTreeMap<String, String>,
    /// How often the chain was restarted.
    pub generation: u64,
    /// Which run wrote it: two that start at once from one head must not publish the same bytes.
    #[serde(default)]
    pub run: String,
    /// Milliseconds between two commits of the run that wrote it, where no lock says that it lives: a run that would take its place waits for
    /// longer than that. None where there is a lock, and of versions that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits_every: Option<u64>,
    /// Counted from 1 in the chain.
    pub seq: u64,
    /// The hash of the manifest before it.
    pub parent: Option<String>,
    /// The cut.
    pub epoch: Epoch,
    /// What rows said of their windows.
    pub marks: Marks,
    /// What `--start` said when the chain began; `None` in chains of versions that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The instant that a bounded run's verdicts refer to (R7).
    pub instant: Option<EventTime>,
    /// A bounded run had come to its end.
    pub finished: bool,
    /// A partition has grown since a bounded run came to its end: the log continues.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
    /// Records in windows that were retired, since the chain began.
    pub retired: i64,
    /// All partitions, in the order of their admission.
    pub partitions: Vec<PartitionSnapshot>,
    /// One of each worker.
    pub parts: Vec<WorkerObjects>,
    /// The sinks.
    pub sinks: Vec<SinkState>,
    /// The place for dead letters.
    #[serde(rename = "letters")]
    pub dead_letters: SinkState,
    /// Dead letters that are not stored yet, by cut.
    pub unstored: Vec<(Epoch, ObjectRef)>,
    /// Every changed log that was accepted, oldest first: results are not a function of one log since (R10).
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// What the audit trail knows of the newest cuts, oldest first: of those that none of its objects has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<CutRecord>,
}

impl Manifest {
    /// All objects that it needs.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.parts.iter().flat_map(WorkerObjects::all).chain(self.unstored.iter().map(|(_, object)| object))
    }

    /// The objects that a run reads to resume from it: all but those of the audit trail.
    pub fn resumed_objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.parts.iter().flat_map(WorkerObjects::resumed).chain(self.unstored.iter().map(|(_, object)| object))
    }

    /// Of a chain without any manifest yet.
    pub fn fresh(semantics: BTreeMap<String, String>) -> Self {
        Manifest { format: FORMAT, semantics, ..Manifest::default() }
    }

    /// A sink as of this manifest.
    pub fn sink(&self, name: &str) -> Option<&SinkState> {
        self.sinks.iter().find(|sink| sink.name == name)
    }
}
