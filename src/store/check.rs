//! `minutely state check`: reads all that a state needs and counts it again. Another run may own it: nothing is locked or
//! written, and what that run deletes meanwhile is not missed.

use super::client::{StoreClient, object_key, oldest_kept};
use super::error::{StoreError, StoreFault};
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{Audit, Manifest, WindowTotals};
use minutely_dataflows::edge::Halt;

/// Times that an owner may delete an object that is about to be read, each time with a newer manifest.
const ATTEMPTS: usize = 100;

/// What a check found.
pub(crate) struct CheckReport {
    /// The newest manifest.
    pub(crate) head: Manifest,
    /// Manifests that were read along the chain.
    pub(crate) manifests: u64,
    /// Objects that it needs, and their bytes.
    pub(crate) objects: usize,
    pub(crate) bytes: u64,
    /// Records and windows in the objects.
    pub(crate) held: WindowTotals,
    /// Each damaged file, and what is wrong with it.
    pub(crate) damages: Vec<(String, String)>,
}

impl CheckReport {
    /// Does the second equation of R11 hold? Meaningful where nothing is damaged.
    pub(crate) fn balances(&self) -> bool {
        self.head.counted() == self.held.records + self.head.retired
    }
}

/// Reads all of a state; none if there is none.
///
/// # Errors
/// 65: the newest manifest is damaged. 69: the store does not answer.
pub(crate) fn check(place: &StoreUri) -> Result<Option<CheckReport>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    let client = StoreClient::open(place)?;
    let mut audit = Audit::default();
    for _ in 0..ATTEMPTS {
        let Some(head) = client.head()?.map(|head| head.manifest) else { return Ok(None) };
        let (mut gone, mut wrongs) = (Vec::new(), Vec::new());
        for object in head.objects() {
            let key = object_key(&object.name);
            if audit.knows(object) {
                continue;
            }
            match client.get(&key)? {
                None => gone.push(client.fault(&key, "is not there")),
                Some(bytes) => {
                    let outcome = audit.add(&head, object, &bytes);
                    wrongs.extend(outcome.err().map(|damage| client.fault(&key, damage.to_string())));
                }
            }
        }
        if !gone.is_empty() && client.manifests()?.last().copied() > Some(head.seq) {
            continue;
        }
        wrongs.append(&mut gone);
        wrongs.extend(client.chain(head.seq)?);
        return Ok(Some(CheckReport {
            manifests: head.seq + 1 - oldest_kept(head.seq),
            objects: head.objects().count(),
            bytes: head.objects().map(|object| object.bytes).sum(),
            held: audit.held(&head),
            damages: wrongs.into_iter().map(|StoreFault { file, what, .. }| (file, what)).collect(),
            head,
        }));
    }
    Err(StoreError::WrittenMeanwhile { place: place.clone() }.into())
}
