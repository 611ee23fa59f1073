//! Can a run resume from a manifest? Its hash says that it is as it was written, not who wrote it: every number that a run would
//! calculate with, or index by, is checked before anything is done with it.

use super::damage::Damage;
use super::manifest::{Manifest, SinkState};
use super::object_ref::ObjectRef;
use super::trail_object::CutRecord;
use super::trail_ref::TrailRef;
use crate::partition::{NotedBuckets, PartitionState, UNKNOWN};
use crate::time::{EventTime, WindowStart};

/// Offsets, counts, positions and sizes are below this: sums of many of them do not overflow.
const MOST: i64 = 1 << 56;
/// Restarts, of which an epoch has the number in its high 24 bits.
const MOST_GENERATIONS: u64 = 1 << 24;
/// Workers of a run.
const MOST_PARTS: usize = 256;

/// Checks all of it.
///
/// # Errors
/// The first thing that no run would have written.
pub(super) fn check(manifest: &Manifest) -> Result<(), Damage> {
    let Manifest { generation, seq, epoch, marks, instant, retired, partitions, parts, sinks, dead_letters, .. } =
        manifest;
    says("generation", *generation < MOST_GENERATIONS)?;
    says("seq", is_size(*seq))?;
    says("epoch", i64::try_from(*epoch).is_ok())?;
    says("marks", is_time(marks.w) && is_time(marks.partial_before.bound()))?;
    says("instant", is_time(*instant))?;
    says("parts", parts.len() <= MOST_PARTS)?;
    says("retired", (0..MOST).contains(retired))?;
    for (index, snapshot) in partitions.iter().enumerate() {
        let what = format!("partition {}", snapshot.found.name);
        let offsets = [snapshot.found.start.0, snapshot.found.earliest.0, snapshot.found.end.unwrap_or(0)];
        says(&what, offsets.iter().all(|offset| is_count(*offset)) && is_time(snapshot.floor))?;
        says(&what, snapshot.state.as_ref().is_none_or(|state| state.index == index && is_whole(state)))?;
    }
    says("retired", *retired <= manifest.counted())?;
    says("parts", parts.iter().all(|part| is_window(part.retired_before)))?;
    says("objects", manifest.objects().all(is_object))?;
    says("trail", manifest.trail().all(is_trail) && manifest.trail_start().is_none_or(|start| is_size(start.seq)))?;
    says("cuts", manifest.cuts.iter().all(is_cut))?;
    says("sinks", sinks.iter().all(is_sink))?;
    says("letters", is_sink(dead_letters))
}

fn says(what: &str, holds: bool) -> Result<(), Damage> {
    if holds {
        Ok(())
    } else {
        Err(Damage::new(format!("its hash is right, and `{what}` is nothing that a run writes")))
    }
}

fn is_count(count: i64) -> bool {
    (0..MOST).contains(&count)
}

fn is_size(size: u64) -> bool {
    size < MOST.unsigned_abs()
}

fn is_time(time: Option<EventTime>) -> bool {
    time.is_none_or(|time| time == UNKNOWN || (-EventTime::FARTHEST..=EventTime::FARTHEST).contains(&time.0))
}

fn is_window(window: Option<WindowStart>) -> bool {
    is_time(window.map(|window| EventTime(window.0)))
}

fn is_object(object: &ObjectRef) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let named = !object.name.is_empty() && object.name.chars().all(plain);
    named && is_size(object.bytes) && is_size(object.entries)
}

fn is_trail(of: &TrailRef) -> bool {
    is_size(of.last) && is_time(Some(of.from)) && is_time(Some(of.until))
}

fn is_cut(cut: &CutRecord) -> bool {
    is_size(cut.seq) && is_time(Some(cut.at)) && is_time(cut.w)
}

fn is_sink(sink: &SinkState) -> bool {
    let gaps = sink.missing.iter().all(|(from, to)| is_window(Some(*from)) && is_window(Some(*to)) && from <= to);
    let windows = [sink.stored_before, sink.since, sink.left_out].into_iter().all(is_window);
    // (A position may be two numbers in one: of a series of files.)
    windows && gaps && sink.chain.is_none_or(is_size)
}

fn is_whole(state: &PartitionState) -> bool {
    let c = &state.counts;
    let counts = [c.read, c.counted, c.late, c.rejected, c.quarantined, c.past, c.gaps];
    let counts = counts.into_iter().chain([state.implausible]);
    let counts = counts.chain([c.events, c.skipped, c.duplicates, c.rounded, c.cleaned, c.off_session, c.outliers]);
    let counts = counts.chain(state.rejected_by.iter().map(|by| by.count)).all(is_count);
    let times = [state.h, state.floor, state.newest_end, state.partial_before.bound()].into_iter().all(is_time);
    // (Where a changed log was accepted, the start may be below 0.)
    let start = is_count(state.start.0.saturating_abs());
    counts
        && times
        && start
        && is_count(state.next.0)
        && state.start <= state.next
        && state.silence >= 0
        // (From one end of event time to the other, at most: it is of nothing but what is said.)
        && state.late_by.is_none_or(|by| by >= 0)
        && state.balances()
        && state.noted.as_ref().is_none_or(NotedBuckets::is_whole)
        && state.filtered.iter().all(|series| series.is_whole() && is_window(Some(series.newest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{PartitionSnapshot, WorkerObjects};
    use crate::edge::Discovered;
    use crate::partition::{Partition, Rule};
    use crate::record::PartitionName;
    use crate::time::{Monotonic, NextOffset};
    use std::collections::BTreeMap;

    fn whole() -> Manifest {
        let partition = Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0));
        let name = PartitionName { log: "t".into(), number: Some(0) };
        let found = Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: None, log_id: None };
        let state = Some(partition.report(None, Monotonic(0)));
        Manifest {
            partitions: vec![PartitionSnapshot { found, state, floor: None, complete_from: None }],
            parts: vec![WorkerObjects {
                objects: vec![ObjectRef::of("000001-000-00000001", b"x", 1)],
                ..WorkerObjects::default()
            }],
            sinks: vec![SinkState { name: "csv:a".into(), ..SinkState::default() }],
            ..Manifest::fresh(BTreeMap::new())
        }
    }

    #[test]
    fn numbers_that_no_run_writes_are_damage_and_not_a_panic() {
        assert_eq!(Manifest::decode(&whole().encode()).unwrap(), whole());
        fn state(manifest: &mut Manifest) -> &mut PartitionState {
            manifest.partitions[0].state.as_mut().unwrap()
        }
        let wrongs: [(&str, fn(&mut Manifest)); 14] = [
            ("generation", |m| m.generation = u64::MAX),
            ("seq", |m| m.seq = u64::MAX),
            ("epoch", |m| m.epoch = u64::MAX),
            ("marks", |m| m.marks.w = Some(EventTime(i64::MAX))),
            ("retired", |m| m.retired = -1),
            ("retired", |m| m.retired = 7),
            ("parts", |m| m.parts[0].retired_before = Some(WindowStart(i64::MAX))),
            ("parts", |m| m.parts = vec![WorkerObjects::default(); 257]),
            ("objects", |m| m.parts[0].objects[0].entries = u64::MAX),
            ("objects", |m| m.parts[0].objects[0].name = "../victim".into()),
            ("sinks", |m| m.sinks[0].stored_before = Some(WindowStart(i64::MAX))),
            ("partition t/0", |m| state(m).index = 9),
            ("partition t/0", |m| state(m).next = NextOffset(i64::MAX)),
            ("partition t/0", |m| state(m).counts.gaps = i64::MAX),
        ];
        for (what, wrong) in wrongs {
            let mut manifest = whole();
            wrong(&mut manifest);
            let damage = Manifest::decode(&manifest.encode()).unwrap_err().to_string();
            assert!(damage.contains(&format!("`{what}`")), "{what}: {damage}");
        }
    }
}
