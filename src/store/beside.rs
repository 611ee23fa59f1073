//! Reading a state that another run may own: nothing is locked or written, and what that run deletes meanwhile is looked for in its next
//! manifest.

use super::client::{StoreClient, object_key};
use super::error::StoreError;
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{Damage, Manifest, ObjectRef};
use minutely_dataflows::edge::Halt;

/// Times that an owner may delete an object that is about to be read, each time with a newer manifest.
const ATTEMPTS: usize = 100;

/// The objects of one manifest.
pub(super) struct ObjectReader<'a> {
    client: &'a StoreClient,
}

/// Why an object was not read.
pub(super) enum ReadProblem {
    /// It is not there: a newer manifest may do without it.
    Missing(String),
    Failed(Halt),
}

impl ObjectReader<'_> {
    /// What `decode` makes of an object's bytes, once they are proven to be those that were written.
    pub(super) fn read<T>(
        &self,
        object: &ObjectRef,
        decode: impl FnOnce(&[u8]) -> Result<T, Damage>,
    ) -> Result<T, ReadProblem> {
        let key = object_key(&object.name);
        let bytes = self.client.get(&key).map_err(|e| ReadProblem::Failed(Halt::from(e)))?;
        let bytes = bytes.ok_or_else(|| ReadProblem::Missing(object.name.clone()))?;
        self.made_of(object, object.check(&bytes).and_then(|()| decode(&bytes)))
    }

    /// What was made of an object, or the damage of it.
    pub(super) fn made_of<T>(&self, object: &ObjectRef, made: Result<T, Damage>) -> Result<T, ReadProblem> {
        let of = |damage: Damage| self.client.fault(&object_key(&object.name), damage.to_string());
        made.map_err(|damage| ReadProblem::Failed(StoreError::from(of(damage)).into()))
    }
}

/// Reads the newest manifest, and what `read` wants of its objects; none if there is no state.
///
/// # Errors
/// 65: something is damaged. 69: the store does not answer.
pub(super) fn beside_owner<T>(
    place: &StoreUri,
    mut read: impl FnMut(&Manifest, &ObjectReader<'_>) -> Result<T, ReadProblem>,
) -> Result<Option<(Manifest, T)>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    let client = StoreClient::open(place)?;
    for attempt in 1.. {
        let Some(head) = client.head()?.map(|head| head.manifest) else { return Ok(None) };
        match read(&head, &ObjectReader { client: &client }) {
            Ok(found) => return Ok(Some((head, found))),
            Err(ReadProblem::Failed(halt)) => return Err(halt),
            Err(ReadProblem::Missing(_)) if attempt < ATTEMPTS && client.manifests()?.last() > Some(&head.seq) => {}
            Err(ReadProblem::Missing(name)) => {
                return Err(StoreError::from(client.fault(&object_key(&name), "is not there")).into());
            }
        }
    }
    unreachable!("it has returned by then")
}
