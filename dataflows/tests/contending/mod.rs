//! Runs that contend for one chain of manifests: each goes on from the head that it found, is taken over at any moment,
//! and comes back to life at any later one, after its numbers were collected too.

use fastrand::Rng;
use minutely_dataflows::checkpoint::{PublishStep, StoreReply};
use std::collections::{BTreeMap, BTreeSet};

/// Manifests that are kept.
const KEPT: u64 = 3;

/// A manifest: what tells it from others, its parent, and the one object that it needs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Manifest {
    id: u64,
    parent: Option<u64>,
    object: u64,
}

#[derive(Default)]
struct Store {
    manifests: BTreeMap<u64, Manifest>,
    objects: BTreeSet<u64>,
    /// All manifests that were ever created, by id.
    ever: BTreeMap<u64, Manifest>,
}

impl Store {
    /// Is this manifest the head, or an ancestor of it?
    fn in_the_chain(&self, manifest: Manifest) -> bool {
        let mut here = self.manifests.last_key_value().map(|(_, head)| *head);
        while let Some(there) = here.filter(|there| *there != manifest) {
            here = there.parent.map(|parent| self.ever[&parent]);
        }
        here.is_some()
    }

    fn newest(&self) -> u64 {
        self.manifests.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    fn head_is_whole(&self) -> bool {
        self.manifests.last_key_value().is_none_or(|(_, head)| self.objects.contains(&head.object))
    }
}

/// A run and the manifest that it is publishing.
struct Run {
    seq: u64,
    manifest: Manifest,
    /// What its parent needs.
    old: Option<u64>,
    step: PublishStep,
}

/// Is it right for this seed?
pub(crate) fn one_chain(seed: u64) -> bool {
    let mut rng = Rng::with_seed(seed);
    let (mut store, mut runs, mut ids) = (Store::default(), Vec::<Run>::new(), 0);
    let mut owner = None;
    for _ in 0..rng.usize(50..400) {
        // Another run takes over, at the beginning and now and then.
        if owner.is_none() || rng.u8(..20) == 0 {
            let head = store.manifests.last_key_value().map(|(seq, head)| (*seq, *head));
            ids += 1;
            // The first manifest of a run needs what the head does.
            let object = head.map_or(ids, |(_, head)| head.object);
            store.objects.insert(object);
            let manifest = Manifest { id: ids, parent: head.map(|(_, head)| head.id), object };
            runs.push(Run { seq: head.map_or(1, |(seq, _)| seq + 1), manifest, old: None, step: PublishStep::Create });
            owner = Some(runs.len() - 1);
        }
        // Mostly the owner goes on; the others are zombies.
        let number = owner.filter(|_| rng.u8(..8) > 0).unwrap_or_else(|| rng.usize(..runs.len()));
        let Run { seq, manifest, old, step } = &mut runs[number];
        let there = store.manifests.get(seq).copied();
        let reply = match step {
            PublishStep::Create if there.is_some() => StoreReply::Exists,
            PublishStep::Create => {
                store.manifests.insert(*seq, *manifest);
                store.ever.insert(manifest.id, *manifest);
                StoreReply::Created
            }
            PublishStep::ReadBack => StoreReply::Ours(there == Some(*manifest)),
            PublishStep::FindNewest => StoreReply::Newest(store.newest()),
            PublishStep::Collect | PublishStep::Fenced(_) => {
                let counts = *step == PublishStep::Collect;
                if counts && !store.in_the_chain(*manifest) {
                    return false;
                }
                if step.collects() {
                    old.filter(|old| *old != manifest.object).map(|old| store.objects.remove(&old));
                    seq.checked_sub(KEPT).map(|old| store.manifests.remove(&old));
                }
                if !store.head_is_whole() {
                    return false;
                }
                if counts {
                    // The next cut has an object of its own.
                    ids += 1;
                    store.objects.insert(ids);
                    *old = Some(manifest.object);
                    *manifest = Manifest { id: ids, parent: Some(manifest.id), object: ids };
                    (*seq, *step) = (*seq + 1, PublishStep::Create);
                } else if owner == Some(number) {
                    owner = None; // it ends, and its objects with it
                }
                continue;
            }
        };
        *step = if rng.u8(..16) == 0 { PublishStep::Create } else { step.after(*seq, reply) }; // or the reply is lost
    }
    store.head_is_whole()
}
