//! What the audit trail of a state that another run may own says of one window of a series.

use super::beside::{ReadProblem, beside_owner};
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::{Manifest, WindowTrail};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::WindowStart;

/// The newest manifest, and what its audit trail says of the window.
#[derive(Debug)]
pub(crate) struct AuditedState {
    pub(crate) head: Manifest,
    /// None in the state of a run that keeps no trail.
    pub(crate) trail: Option<WindowTrail>,
}

/// Reads them; none if there is no state. `watch` is asked before each object.
///
/// # Errors
/// 65: something is damaged. 69: the store does not answer. What `watch` says.
pub(crate) fn audited(
    place: &StoreUri,
    window: WindowStart,
    symbol: &str,
    watch: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<Option<AuditedState>, Halt> {
    let found = beside_owner(place, |head, objects| {
        let Some(mut trail) = WindowTrail::begin(head, window, symbol) else { return Ok(None) };
        for part in head.parts.iter().filter_map(|part| part.trail.as_ref()) {
            for of in &part.objects {
                watch().map_err(ReadProblem::Failed)?;
                objects.read(&of.object, |bytes| trail.add_object(bytes))?;
            }
            for of in &part.deltas {
                watch().map_err(ReadProblem::Failed)?;
                objects.read(&of.object, |bytes| trail.add_delta(bytes, of.last))?;
            }
        }
        Ok(Some(trail.end()))
    })?;
    Ok(found.map(|(head, trail)| AuditedState { head, trail }))
}
