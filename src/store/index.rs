//! What `minutely verify` reads of a state that another run may own.

use super::beside::{ObjectReader, ReadProblem, beside_owner};
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{IndexPart, Manifest, decode_dead_letters};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::DeadLetter;

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
    let found = beside_owner(place, read)?;
    Ok(found.map(|(head, (index, unstored))| IndexedState { head, index, unstored }))
}

fn read(head: &Manifest, objects: &ObjectReader<'_>) -> Result<(IndexPart, Vec<DeadLetter>), ReadProblem> {
    let (mut index, mut unstored) = (IndexPart::default(), Vec::new());
    for object in head.parts.iter().flat_map(|part| &part.index) {
        index.add(objects.read(object, IndexPart::decode)?);
    }
    for (_, object) in &head.unstored {
        unstored.extend(objects.read(object, decode_dead_letters)?);
    }
    Ok((index, unstored))
}
