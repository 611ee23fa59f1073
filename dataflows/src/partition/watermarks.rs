//! A and W: the least watermarks of all partitions, from their reports of one epoch.

use super::rule::Rule;
use super::state::{PartitionState, UNKNOWN};
use crate::mutants::{self, Mutant};
use crate::time::EventTime;

/// A, from all partitions' reports of one epoch (R8): the least watermark of those that are not caught up; if all are,
/// the newest event time moved on by the silence beyond `idle`, at most to where the newest window held becomes final.
///
/// The silence is added to an event time and never to a floor: floors were raised to an earlier A, so the same silence
/// would be added again in every epoch, and ten seconds of it would pass for ten minutes.
pub fn least_to_follow<'a>(rule: &Rule, states: impl Iterator<Item = &'a PartitionState> + Clone) -> EventTime {
    let busy = states.clone().filter(|s| !s.caught_up).map(|s| s.watermark().unwrap_or(UNKNOWN)).min();
    if mutants::on(Mutant::WatermarkOfTheOthers) {
        let mut all: Vec<_> = states.map(|s| s.watermark().unwrap_or(UNKNOWN)).collect();
        all.sort_unstable();
        return all.get(1).copied().unwrap_or(UNKNOWN);
    }
    if let Some(a) = busy {
        return a;
    }
    let greatest = states.clone().filter_map(PartitionState::watermark).max().unwrap_or(UNKNOWN);
    let newest =
        if mutants::on(Mutant::SilenceCompounds) { Some(greatest) } else { states.clone().filter_map(|s| s.h).max() };
    let newest_end = states.clone().filter_map(|s| s.newest_end).max();
    let silence = states.map(|s| s.silence).min().unwrap_or(0) - rule.idle;
    match (newest, newest_end) {
        (Some(h), Some(end)) => h.plus(silence.max(0)).min(end.plus(rule.windowing.lateness)).max(greatest),
        _ => greatest,
    }
}

/// W of an epoch (R4): the least watermark of all admitted partitions; none while one of them has none.
pub fn least_watermark<'a>(states: impl Iterator<Item = &'a PartitionState>) -> Option<EventTime> {
    states.map(|s| s.watermark().unwrap_or(UNKNOWN)).min().filter(|w| *w > UNKNOWN)
}
