//! Why the oldest window is still open, in words.

use super::json::{OpenMinuteJson, known};
use crate::fmt::number_of;
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
    let ended = |(_, state): &(Discovered, Option<PartitionState>)| state.as_ref().is_some_and(|state| state.ended);
    let all_ended = latest.status.partitions.iter().all(ended);
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
            Some(state) => why((found, state), waits, (silence, view.rule().idle), (wall, all_ended)),
        },
    })
}

/// Why a partition holds a window open. `waits`: what it waits for, if it cannot be read; `silence`: for how long it has had no
/// valid record, and the time after which that counts; `all_ended`: every partition is at its end.
fn why(
    (found, state): (&Discovered, &PartitionState),
    waits: Option<&str>,
    (silence, idle): (i64, i64),
    (wall, all_ended): (EventTime, bool),
) -> String {
    let name = &found.name;
    if state.paused {
        return format!("waits for {name}, which is paused by alignment");
    }
    if let Some(waits) = waits {
        return format!("waits for {name}, which waits for {waits}");
    }
    if state.ended {
        return match all_ended {
            true => "all partitions have reached their ends: the run is about to end".to_owned(),
            false => format!("waits for the other partitions to reach their ends, as {name} has"),
        };
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

/// What was read of a partition without an event time: none of its events is valid and near enough to the clock.
pub(super) fn no_valid_record(found: &Discovered, state: &PartitionState) -> String {
    let counts = &state.counts;
    if counts.read == 0 {
        return "of which nothing has been read yet".into();
    }
    let by = explain::rejected(std::iter::once((&found.name, state)));
    let most = by.first().map(|by| format!("; most often {by}: {}", by.first.finding)).unwrap_or_default();
    let read = match (counts.read, counts.events) {
        (1, 1) => "one record was".to_owned(),
        (read, events) if read == events => format!("{read} records were"),
        (read, events) => format!("{} with {} were", number_of(read, "record"), number_of(events, "event")),
    };
    let what =
        [("rejected", counts.rejected), ("too far from the clock", counts.quarantined), ("skipped", counts.skipped)];
    let what: Vec<_> = what.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
    if counts.skipped == counts.events {
        return format!("of which {read} read and skipped");
    }
    format!("of which {read} read and none is valid: {}{most}", what.join(", "))
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
    use crate::http::testing;
    use minutely_dataflows::partition::Counts;

    /// "Nothing has been read" is said of what was not read, and of nothing else.
    #[test]
    fn what_a_partition_without_an_event_time_has_is_said_as_it_is() {
        let said = |counts: Counts| {
            let latest = testing::latest(counts);
            let (found, state) = &latest.status.partitions[0];
            no_valid_record(found, state.as_ref().unwrap())
        };
        let read = |n| Counts { read: n, events: n, ..Counts::default() };
        assert_eq!(said(Counts::default()), "of which nothing has been read yet");
        assert_eq!(
            said(Counts { rejected: 3, ..read(3) }),
            "of which 3 records were read and none is valid: 3 rejected; most often null ts ×3: ts: expected a number, found no \
             such field"
        );
        assert_eq!(said(Counts { skipped: 3, ..read(3) }), "of which 3 records were read and skipped");
        assert_eq!(
            said(Counts { quarantined: 1, past: 1, ..read(1) }),
            "of which one record was read and none is valid: 1 too far from the clock"
        );
        let said = said(Counts { events: 30, rejected: 1, quarantined: 2, skipped: 27, ..read(3) });
        let want = "of which 3 records with 30 events were read and none is valid: 1 rejected, 2 too far from the clock, 27 skipped;";
        assert!(said.starts_with(want), "{said}");
    }

    #[test]
    fn a_partition_at_its_end_waits_for_others_only_where_they_are_not_at_theirs() {
        let mut latest = testing::latest(Counts { read: 1, events: 1, counted: 1, ..Counts::default() });
        let (found, state) = latest.status.partitions.remove(0);
        let state = PartitionState { ended: true, ..state.unwrap() };
        let said = |all_ended| why((&found, &state), None, (0, 0), (EventTime(0), all_ended));
        assert!(said(true).starts_with("all partitions have reached their ends"), "{}", said(true));
        assert_eq!(said(false), "waits for the other partitions to reach their ends, as t/0 has");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let noon = EventTime(1_767_614_400 * SECOND);
        assert_eq!(clock(Some(EventTime(noon.0 - 3600 * SECOND)), noon), "11:00:00");
        assert_eq!(clock(Some(EventTime(noon.0 - 86_400 * SECOND)), noon), "2026-01-04 12:00:00");
        assert_eq!(clock(None, noon), "an unknown time");
    }
}
