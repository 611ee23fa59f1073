//! A manifest: what the state is after a commit. JSON, so that a person can read it, and a last line with its hash.

use super::{Damage, FORMAT, hash};
use crate::edge::Discovered;
use crate::marks::Marks;
use crate::mutants::{self, Mutant};
use crate::partition::PartitionState;
use crate::time::{Epoch, EventTime, NextOffset, WindowStart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An object as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its name in the store.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its hash ([`hash`]).
    pub hash: String,
    /// How many entries it has.
    pub entries: u64,
}

impl ObjectRef {
    /// Of these bytes.
    pub fn of(name: impl Into<String>, bytes: &[u8], entries: u64) -> Self {
        ObjectRef { name: name.into(), bytes: bytes.len() as u64, hash: hash(bytes), entries }
    }

    /// Are these the bytes that were written?
    ///
    /// # Errors
    /// In what they differ.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Damage> {
        if bytes.len() as u64 != self.bytes {
            return Err(Damage::new(format!("has {} bytes and had {}", bytes.len(), self.bytes)));
        }
        let now = hash(bytes);
        if now == self.hash { Ok(()) } else { Err(Damage::new(format!("has the hash {now} and had {}", self.hash))) }
    }
}

/// What one worker has contributed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerObjects {
    /// Its objects, oldest first.
    pub objects: Vec<ObjectRef>,
    /// It has forgotten windows before this.
    pub line: Option<WindowStart>,
}

/// A partition as it was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSnapshot {
    /// As its source found it.
    pub found: Discovered,
    /// What its reader reported; none before its first report.
    pub state: Option<PartitionState>,
    /// W when it was admitted.
    pub floor: Option<EventTime>,
    /// Windows that begin at or after this lack nothing of what it held before it was first read (R13), whatever its
    /// records say; none: nothing is known, or a changed log was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_from: Option<EventTime>,
}

/// A sink, or the place for dead letters, as it was left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// What it is called.
    pub name: String,
    /// It has stored every window before this.
    pub line: Option<WindowStart>,
    /// How long its file was then, in bytes, or which version its database had.
    pub position: Option<u64>,
    /// The chain that its rows carry, where they have versions.
    pub chain: Option<u64>,
    /// It came to a chain that had begun to forget the windows before this: it may lack them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WindowStart>,
    /// Windows, from and to, that were forgotten by runs without it: it may lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(WindowStart, WindowStart)>,
    /// The newest run is without it, and it lacks what is forgotten from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<WindowStart>,
}

/// A log that had changed, and was gone on with all the same. Restored for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Which partition.
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

/// See the module.
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
    /// Counted from 1 in the chain.
    pub seq: u64,
    /// The hash of the manifest before it.
    pub parent: Option<String>,
    /// The cut.
    pub epoch: Epoch,
    /// What rows said of their windows.
    pub marks: Marks,
    /// What `--start` said when the chain began; none: nobody wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The instant that a bounded run's verdicts refer to (R7).
    pub instant: Option<EventTime>,
    /// A bounded run had come to its end.
    pub finished: bool,
    /// A partition has grown since a bounded run came to its end: the log goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
    /// Records in windows that were forgotten.
    pub retired: i64,
    /// All partitions, in the order of their admission.
    pub partitions: Vec<PartitionSnapshot>,
    /// One of each worker.
    pub parts: Vec<WorkerObjects>,
    /// The sinks.
    pub sinks: Vec<SinkState>,
    /// The file of dead letters.
    pub letters: SinkState,
    /// Dead letters that are not stored yet, by cut.
    pub unstored: Vec<(Epoch, ObjectRef)>,
    /// Every changed log that was accepted, oldest first: results are not a function of one log since (R10).
    #[serde(default)]
    pub overrides: Vec<Override>,
}

impl Manifest {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("memory takes it, and keys are text");
        bytes.push(b'\n');
        let line = hash(&bytes);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// And back.
    ///
    /// # Errors
    /// When the bytes are damaged, or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        const LINE: usize = 33;
        let (body, line) = bytes.split_at_checked(bytes.len().wrapping_sub(LINE)).unwrap_or((bytes, b""));
        if line.strip_suffix(b"\n") != Some(hash(body).as_bytes()) {
            return Err(Damage::new("its last line is not the hash of the others: it is damaged, or was changed"));
        }
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let told = |e: serde_json::Error| Damage::new(format!("its hash is right and its content is not: {e}"));
        let Versioned { format } = serde_json::from_slice(body).map_err(told)?;
        if format > FORMAT {
            return Err(Damage::newer(format));
        }
        let manifest = serde_json::from_slice(body).map_err(told)?;
        super::valid::check(&manifest)?;
        Ok(manifest)
    }

    /// All objects that it needs.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.parts.iter().flat_map(|part| &part.objects).chain(self.unstored.iter().map(|(_, object)| object))
    }

    /// Of a chain that nobody has begun.
    pub fn fresh(semantics: BTreeMap<String, String>) -> Self {
        Manifest { format: FORMAT, semantics, ..Manifest::default() }
    }

    /// The one that a run publishes before anything else: all the same, of the next generation. (Its sinks are the run's by
    /// then: [`Manifest::sinks_of_run`].) `run` is a name that no other run has.
    #[must_use]
    pub fn restarted(&self, run: &str) -> Self {
        Manifest {
            generation: self.generation + u64::from(!mutants::on(Mutant::EpochReused)),
            run: run.to_owned(),
            seq: self.seq + 1,
            parent: (self.seq > 0).then(|| hash(&self.encode())),
            ..self.clone()
        }
    }

    /// A sink as it was left.
    pub fn sink(&self, name: &str) -> Option<&SinkState> {
        self.sinks.iter().find(|sink| sink.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let manifest = Manifest {
            format: FORMAT,
            semantics: [("--window".to_owned(), "1m".to_owned())].into(),
            seq: 7,
            parts: vec![WorkerObjects { objects: vec![ObjectRef::of("a", b"abc", 1)], line: Some(WindowStart(-60)) }],
            ..Manifest::default()
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(Manifest::decode(&changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Manifest::decode(&bytes[..at]).is_err());
        }
        let newer = Manifest { format: FORMAT + 1, ..manifest }.encode();
        assert!(Manifest::decode(&newer).unwrap_err().to_string().contains("format 2"));
        assert!(ObjectRef::of("a", b"abc", 1).check(b"abd").is_err());
    }
}
