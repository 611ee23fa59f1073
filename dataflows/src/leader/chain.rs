//! The chain of manifests: has each published, and keeps what a commit needs once it is.

use super::dead_letters::DeadLetters;
use crate::checkpoint::{self, ObjectProblem, ObjectRef, PartitionSnapshot};
use crate::control::{ChainLink, ManifestBuilder};
use crate::edge::{ManifestPort, Publication};
use crate::graph::Restored;
use crate::halt::Halt;
use crate::record::{DeadLetter, PartitionName};
use crate::time::{Epoch, NextOffset};

/// See the module.
pub(super) struct Chain {
    port: Box<dyn ManifestPort>,
    /// The hash of the newest manifest.
    parent: Option<String>,
    /// Objects with dead letters that were not stored when the last manifest was made, by cut.
    unstored: Vec<(Epoch, ObjectRef)>,
    /// Dead letters of the cut that is being committed.
    dead_letters: Vec<DeadLetter>,
    /// Up to where the newest manifest says that dead letters are stored.
    position: Option<u64>,
    /// The next offsets in the manifest that is being published.
    next: Vec<(PartitionName, NextOffset)>,
}

impl Chain {
    /// Resumes from the head: dead letters that were committed and not stored are stored first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn resume(
        port: Box<dyn ManifestPort>,
        restored: &Restored,
        dead_letters: &mut DeadLetters,
    ) -> Result<Self, Halt> {
        dead_letters.resume(restored.head.dead_letters.position);
        for (cut, object) in &restored.head.unstored {
            let decoded = checkpoint::decode_dead_letters(&restored.store.read(object)?)
                .map_err(|damage| ObjectProblem::from(damage).of(&object.name))?;
            dead_letters.add(*cut, decoded);
        }
        Ok(Chain {
            port,
            parent: (restored.head.seq > 0).then(|| checkpoint::hash(&restored.head.encode())),
            unstored: restored.head.unstored.clone(),
            dead_letters: Vec::new(),
            position: restored.head.dead_letters.position,
            next: Vec::new(),
        })
    }

    /// The number of the newest manifest that is committed.
    ///
    /// # Errors
    /// Another run has published a newer manifest.
    pub(super) fn published(&mut self) -> Result<Option<u64>, Halt> {
        self.port.published()
    }

    /// Has a manifest published, and the dead letters of its cut before it.
    pub(super) fn publish(&mut self, builder: ManifestBuilder, dead_letters: Vec<DeadLetter>, place: &DeadLetters) {
        self.unstored.retain(|(cut, _)| Some(*cut) > place.stored());
        let object = (!dead_letters.is_empty()).then(|| {
            let (name, bytes) = (
                format!("{:06}-letters-{:08}", builder.generation(), builder.seq()),
                checkpoint::encode_dead_letters(&dead_letters),
            );
            self.unstored.push((builder.epoch(), ObjectRef::of(name.clone(), &bytes, dead_letters.len() as u64)));
            (name, bytes)
        });
        self.dead_letters = dead_letters;
        self.position = place.position();
        let manifest = builder.build(ChainLink {
            parent: self.parent.take(),
            dead_letters_position: self.position,
            unstored: self.unstored.clone(),
        });
        let bytes = manifest.encode();
        self.parent = Some(checkpoint::hash(&bytes));
        let next = |snapshot: &PartitionSnapshot| Some((snapshot.found.name.clone(), snapshot.state.as_ref()?.next));
        self.next = manifest.partitions.iter().filter_map(next).collect();
        let needed = manifest.objects().map(|object| object.name.clone()).collect();
        self.port.publish(Publication { seq: manifest.seq, manifest: bytes, dead_letters: object, needed });
    }

    /// The manifest is committed: the next offsets in it, and the dead letters of its cut.
    pub(super) fn committed(&mut self) -> (Vec<(PartitionName, NextOffset)>, Vec<DeadLetter>) {
        (std::mem::take(&mut self.next), std::mem::take(&mut self.dead_letters))
    }

    /// Up to where it says that dead letters are stored.
    pub(super) fn position(&self) -> Option<u64> {
        self.position
    }
}
