//! How a minute's row came to be what it is: each version that was committed, and the cuts at which it was closed and final, from the
//! audit trail of the state.

use super::reading::WorkWatch;
use super::wanted::WantedMinute;
use crate::store::{self, StoreUri};
use minutely_dataflows::checkpoint::{CutRecord, Manifest, WatermarkPassage, WindowTrail};
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::{EventTime, State};

/// One version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MinuteVersion {
    /// The manifest that committed it.
    pub(super) seq: u64,
    /// When its cut was, by the run's clock; none where the trail has no record of it.
    pub(super) at: Option<EventTime>,
    pub(super) count: i64,
    /// The exact sum.
    pub(super) sum: ExactNumber,
    /// By W as of that cut; none where that is not known. R13 is left aside.
    pub(super) state: Option<State>,
}

/// The first cut at which W was somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CutPassage {
    /// Its manifest.
    pub(super) seq: u64,
    /// When it was, by the run's clock.
    pub(super) at: EventTime,
    /// The partition that W had waited for until then, as of the cut before, and whether by its floor (R8).
    pub(super) waited_for: Option<(String, bool)>,
    /// The trail begins with this cut, so that W may have been there before.
    pub(super) is_first: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MinuteHistory {
    /// The newest manifest of the trail.
    pub(super) newest: u64,
    /// From this manifest on no version is missing.
    pub(super) since: u64,
    /// When its cut was.
    pub(super) since_at: EventTime,
    /// Oldest first.
    pub(super) versions: Vec<MinuteVersion>,
    /// At which cut the minute was closed, and final; none where W was not there by the newest.
    pub(super) passages: [Option<CutPassage>; 2],
}

/// The history of a minute, of which `ends` are when it closes and when it is final; none where the state in this place has no audit
/// trail.
///
/// # Errors
/// The state cannot be read; what `watch` says.
pub(super) fn of_minute(
    place: Option<&StoreUri>,
    (wanted, decimals): (&WantedMinute<'_>, u8),
    watch: &mut WorkWatch<'_>,
) -> Result<Option<MinuteHistory>, Halt> {
    let Some(place) = place else { return Ok(None) };
    let Some(audited) = store::audited(place, wanted.window, wanted.symbol, watch)? else { return Ok(None) };
    Ok(audited.trail.map(|trail| history(&audited.head, &trail, (wanted, decimals))))
}

fn history(head: &Manifest, trail: &WindowTrail, (wanted, decimals): (&WantedMinute<'_>, u8)) -> MinuteHistory {
    let versions = trail.versions.iter().map(|version| {
        let cut: Option<&CutRecord> = trail.cuts.get(&version.seq);
        MinuteVersion {
            seq: version.seq,
            at: cut.map(|cut| cut.at),
            count: version.count,
            sum: ExactNumber::new(version.sum, decimals),
            state: cut.map(|cut| wanted.windowing.state(wanted.window, cut.w)),
        }
    });
    let passage = |at: EventTime| {
        let WatermarkPassage { cut, before } = trail.passage(at)?;
        let held_by = before.and_then(|before| before.held_by);
        let waited_for = held_by.and_then(|held| {
            let partition = head.partitions.get(held.partition)?;
            Some((partition.found.name.to_string(), held.by_floor))
        });
        Some(CutPassage { seq: cut.seq, at: cut.at, waited_for, is_first: before.is_none() })
    };
    MinuteHistory {
        newest: head.seq,
        since: trail.start.seq,
        since_at: trail.start.at,
        versions: versions.collect(),
        passages: wanted.ends().map(passage),
    }
}
