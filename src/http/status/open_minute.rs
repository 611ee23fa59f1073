//! Why the oldest window is still open, in words.

use super::json::{OpenMinuteJson, known};
use crate::http::view::{LatestStatus, View};
use minutely_dataflows::edge::{Discovered, Waiting};
use minutely_dataflows::explain;
use minutely_dataflows::partition::PartitionState;
use minutely_dataflows::time::{EventTime, Monotonic, SECOND};

/// What the reason depends on, besides the partitions.
pub(super) struct OpenMinuteFacts<'a> {
    pub(super) latest: &'a LatestStatus,
    /// The partition that holds W back, by its index.
    pub(super) holder: Option<usize>,
    pub(super) now: (Monotonic, EventTime),
    /// Partitions that hold records which cannot be read now.
    pub(super) waiting: &'a [Waiting],
}

/// The oldest window that has not ended, and why.
pub(super) fn open_minute(view: &View, facts: &OpenMinuteFacts<'_>) -> Option<OpenMinuteJson> {
    let &OpenMinuteFacts { latest, holder, now: (monotonic, wall), waiting } = facts;
    let minute = view.first_from(view.rule().windowing.first_not_closed(view.marks.w))?;
    let Some(of @ (found, state)) = holder.and_then(|holder| latest.status.partitions.get(holder)) else {
        return Some(OpenMinuteJson {
            minute: minute.into(),
            partition: None,
            offset: None,
            event_time: None,
            since_ms: None,
            why: "no partition is known yet".to_owned(),
        });
    };
    let silence = silence(latest, monotonic, of);
    let waits = waits_for(waiting, found);
    Some(OpenMinuteJson {
        minute: minute.into(),
        partition: Some(found.name.to_string()),
        offset: state.as_ref().filter(|s| s.next > s.start).map(|s| s.next.0 - 1),
        event_time: known(state.as_ref().and_then(|state| state.h)),
        since_ms: state.as_ref().map(|_| silence / 1_000_000),
        why: match state {
            _ if latest.status.waits_for_sinks => {
                "waits for sinks, which lack final rows: --max-keys is reached".to_owned()
            }
            None => format!("waits for {}, which has not reported yet", found.name),
            Some(state) => why((found, state), waits, (silence, view.rule().idle), wall),
        },
    })
}

/// Why a partition holds a window open. `waits`: what it waits for, if it cannot be read; `silence`: for how long it has had no
/// valid record, and the time after which that counts.
fn why(
    (found, state): (&Discovered, &PartitionState),
    waits: Option<&str>,
    (silence, idle): (i64, i64),
    wall: EventTime,
) -> String {
    let name = &found.name;
    if state.paused {
        return format!("waits for {name}, which is paused by alignment");
    }
    if let Some(waits) = waits {
        return format!("waits for {name}, which waits for {waits}");
    }
    if state.ended {
        return format!("waits for the other partitions to reach their ends, as {name} has");
    }
    if state.caught_up {
        return format!("waits for {name}, which is silent at its end: its watermark moves with the clock");
    }
    if state.h.is_none() {
        return format!("waits for {name}, {}", no_valid_record(found, state));
    }
    if silence >= idle {
        return format!("waits for {name}, silent for {} s: it is not yet known to be at its end", silence / SECOND);
    }
    format!("waits for {name}, which is read up to {}", clock(state.watermark(), wall))
}

/// What a partition waits for, if its records cannot be read now.
pub(super) fn waits_for<'a>(waiting: &'a [Waiting], found: &Discovered) -> Option<&'a str> {
    waiting.iter().find(|one| one.partition == found.name).map(|one| one.what.as_str())
}

/// Nanoseconds since the partition's last valid record.
pub(super) fn silence(
    latest: &LatestStatus,
    monotonic: Monotonic,
    (_, state): &(Discovered, Option<PartitionState>),
) -> i64 {
    state.as_ref().map_or(0, |state| state.silence + (monotonic.0 - latest.at.0).max(0))
}

/// What was read of a partition without an event time.
pub(super) fn no_valid_record(found: &Discovered, state: &PartitionState) -> String {
    let counts = &state.counts;
    if counts.read == 0 {
        return "of which nothing has been read yet".into();
    }
    let by = explain::rejected(std::iter::once((&found.name, state)));
    let most = by.first().map(|by| format!("; most often {by}: {}", by.first.finding)).unwrap_or_default();
    format!(
        "of which {} records were read and none is valid: {} rejected, {} ahead of the clock{most}",
        counts.read, counts.rejected, counts.quarantined
    )
}

/// To the second: the time of day, with its date unless that is today's.
fn clock(time: Option<EventTime>, wall: EventTime) -> String {
    let stamp = |time: EventTime| jiff::Timestamp::from_second(time.0.div_euclid(SECOND)).ok();
    let day = |stamp: jiff::Timestamp| stamp.strftime("%Y-%m-%d").to_string();
    match time.and_then(stamp) {
        None => "an unknown time".into(),
        Some(at) if stamp(wall).map(day) == Some(day(at)) => at.strftime("%H:%M:%S").to_string(),
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let noon = EventTime(1_767_614_400 * SECOND);
        assert_eq!(clock(Some(EventTime(noon.0 - 3600 * SECOND)), noon), "11:00:00");
        assert_eq!(clock(Some(EventTime(noon.0 - 86_400 * SECOND)), noon), "2026-01-04 12:00:00");
        assert_eq!(clock(None, noon), "an unknown time");
    }
}
