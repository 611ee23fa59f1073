//! What `minutely verify` reads of a state that another run may own: nothing is locked or written, and what that run deletes meanwhile
//! is looked for in its next manifest.

use super::client::{StoreClient, object_key};
use super::error::StoreError;
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{IndexPart, Manifest, ObjectRef, decode_dead_letters};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::DeadLetter;

/// Times that an owner may delete an object that is about to be read, each time with a newer manifest.
const ATTEMPTS: usize = 100;

/// The newest manifest, with its index and the dead letters that are not in their file yet.
pub(crate) struct IndexedState {
    pub(crate) head: Manifest,
    pub(crate) index: IndexPart,
    pub(crate) unstored: Vec<DeadLetter>,
}

/// Reads them; none if there is no state.
///
/// # Errors
/// 65: something is damaged. 69: the store does not answer.
pub(crate) fn indexed(place: &StoreUri) -> Result<Option<IndexedState>, Halt> {
    if place.is_missing() {
        return Ok(None);
    }
    let client = StoreClient::open(place)?;
    for attempt in 1.. {
        let Some(head) = client.head()?.map(|head| head.manifest) else { return Ok(None) };
        match read(&client, &head)? {
            Ok((index, unstored)) => return Ok(Some(IndexedState { head, index, unstored })),
            Err(_) if attempt < ATTEMPTS && client.manifests()?.last() > Some(&head.seq) => {}
            Err(missing) => return Err(StoreError::from(client.fault(&object_key(&missing), "is not there")).into()),
        }
    }
    unreachable!("it has returned by then")
}

/// Index and dead letters, or the name of an object that is not there.
fn read(client: &StoreClient, head: &Manifest) -> Result<Result<(IndexPart, Vec<DeadLetter>), String>, Halt> {
    let (mut index, mut unstored) = (IndexPart::default(), Vec::new());
    let bytes = |object: &ObjectRef| -> Result<Option<Vec<u8>>, Halt> {
        let key = object_key(&object.name);
        let Some(bytes) = client.get(&key)? else { return Ok(None) };
        let damaged =
            |damage: minutely_dataflows::checkpoint::Damage| StoreError::from(client.fault(&key, damage.to_string()));
        object.check(&bytes).map_err(damaged)?;
        Ok(Some(bytes))
    };
    for object in head.parts.iter().flat_map(|part| &part.index) {
        let Some(bytes) = bytes(object)? else { return Ok(Err(object.name.clone())) };
        let part = IndexPart::decode(&bytes);
        index.add(part.map_err(|e| StoreError::from(client.fault(&object_key(&object.name), e.to_string())))?);
    }
    for (_, object) in &head.unstored {
        let Some(bytes) = bytes(object)? else { return Ok(Err(object.name.clone())) };
        let letters = decode_dead_letters(&bytes);
        unstored.extend(letters.map_err(|e| StoreError::from(client.fault(&object_key(&object.name), e.to_string())))?);
    }
    Ok(Ok((index, unstored)))
}
