//! What `minutely verify` reads of a state that another run may own.

use super::beside::{ObjectReader, ReadProblem, beside_owner};
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{IndexPart, Manifest, decode_dead_letters, held_digests};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::digest::MinuteDigest;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::DeadLetter;
use minutely_dataflows::time::{WindowStart, Windowing};
use std::collections::BTreeMap;

/// The newest manifest, with its index and the dead letters that are not in their file yet.
pub(crate) struct IndexedState {
    pub(crate) head: Manifest,
    pub(crate) index: IndexPart,
    pub(crate) unstored: Vec<DeadLetter>,
    /// What final minutes come to that the state still holds window by window, if that was asked for: with what the index has of them,
    /// it is all of each.
    pub(crate) held: BTreeMap<WindowStart, MinuteDigest>,
}

/// Reads them; none if there is no state. `held`: of which windows, and at which scales, where what is held is wanted.
///
/// # Errors
/// 65: something is damaged. 69: the store does not answer.
pub(crate) fn indexed(place: &StoreUri, held: Option<(Windowing, Scales)>) -> Result<Option<IndexedState>, Halt> {
    beside_owner(place, |head, objects| {
        let mut state = IndexedState {
            head: head.clone(),
            index: IndexPart::default(),
            unstored: Vec::new(),
            held: BTreeMap::new(),
        };
        for object in head.parts.iter().flat_map(|part| &part.index) {
            state.index.add(objects.read(object, IndexPart::decode)?);
        }
        for (_, object) in &head.unstored {
            state.unstored.extend(objects.read(object, decode_dead_letters)?);
        }
        if let (Some((windowing, scales)), Some(w)) = (held, head.marks.w) {
            read_held(head, objects, (windowing.first_not_final(Some(w)), scales), &mut state.held)?;
        }
        Ok(state)
    })
    .map(|found| found.map(|(_, state)| state))
}

/// Adds what the windows before this come to.
fn read_held(
    head: &Manifest,
    objects: &ObjectReader<'_>,
    (before, scales): (WindowStart, Scales),
    held: &mut BTreeMap<WindowStart, MinuteDigest>,
) -> Result<(), ReadProblem> {
    for part in &head.parts {
        let all = part.objects.iter().map(|object| objects.read(object, |bytes| Ok(bytes.to_vec())));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let Some(last) = part.objects.last() else { continue };
        // (Each is what was written, by its hash: what is wrong then is told of the last.)
        for (window, digest) in objects.made_of(last, held_digests(head, part, &all, (before, scales)))? {
            held.entry(window).or_default().add(digest);
        }
    }
    Ok(())
}
