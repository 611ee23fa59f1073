//! Is the log still the one that a state was made of? Facts in, decision out, before a run begins.
//!
//! | the log | so |
//! |---|---|
//! | has another id | it was deleted and created again: halt |
//! | ends before the next offset | it was cut off: halt |
//! | begins after the next offset | records are lost that were never read: halt |
//! | has another record where the last one read was | what was read is not what is there: halt |
//! | has no record there, and the rest is right | retention took what was read already: a warning |
//!
//! An operator may accept a changed log. Then a run resumes where the log is now, and every later manifest says so. What
//! that means for results: sums keep what was read of the old log. The first equation of R11 still holds: lost
//! offsets are gaps, and where offsets go back the start goes back as far. W, H and floors stay: records of the new log
//! that are older than the lateness allows are late, and listed. As at a start above 0 (R13), rows say `partial` until
//! the partition's first valid record since, and for windows that begin before its window's end + lateness; rows that are
//! final and stored stay as they are.

use super::error::{ChangedLogError, ChangedPartition, LogChange};
use super::manifest::{Manifest, Override};
use crate::edge::{LastRecordCheck, LogProbe};
use crate::partial::PartialBefore;
use crate::partition::{NotedBuckets, PartitionState};
use crate::record::{LastRecord, PartitionName};
use crate::time::NextOffset;

/// A manifest to resume from, and warnings.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// The newest manifest, with the changes of the log that were accepted.
    pub head: Manifest,
    /// A line each, for people.
    pub warnings: Vec<String>,
}

/// What a source is to probe: every partition of the manifest, with the last record read of it.
pub fn probe_targets(head: &Manifest) -> Vec<(PartitionName, Option<LastRecord>)> {
    let last = |state: &Option<PartitionState>| state.as_ref().and_then(|state| state.last);
    head.partitions.iter().map(|snapshot| (snapshot.found.name.clone(), last(&snapshot.state))).collect()
}

/// Decides whether a run may resume from `head`. `probes`: what the source says of [`probe_targets`], in their order; `accept`:
/// resume where a changed log is now.
///
/// # Errors
/// A log changed, and that is not accepted: all changes.
pub fn resume(mut head: Manifest, probes: &[Option<LogProbe>], accept: bool) -> Result<Resumed, ChangedLogError> {
    let (mut changes, mut warnings) = (Vec::new(), Vec::new());
    let seq = head.seq + 1;
    for (snapshot, probe) in head.partitions.iter_mut().zip(probes) {
        let Some(probe) = probe else { continue };
        let name = snapshot.found.name.to_string();
        let Some(state) = &mut snapshot.state else {
            // Nothing was read of it: whatever it is now is as good.
            let least = probe.first.unwrap_or(snapshot.found.start);
            let most = probe.end.unwrap_or(NextOffset(i64::MAX)).max(least);
            snapshot.found.start = snapshot.found.start.clamp(least, most);
            snapshot.found.log_id.clone_from(&probe.log_id);
            continue;
        };
        let Some(change) = Change::of(&snapshot.found.log_id, state, probe) else {
            if probe.last == LastRecordCheck::Gone {
                warnings.push(format!("partition {name}: the last record that was read is not in the log any more"));
            }
            continue;
        };
        (snapshot.found.log_id, snapshot.found.end, snapshot.complete_from) = (probe.log_id.clone(), None, None);
        let was = state.next;
        change.move_on(state);
        let (partition, what) = (name.clone(), change.what.to_string());
        head.overrides.push(Override { partition, what, was, now: state.next, seq });
        changes.push(ChangedPartition { partition: name, change: change.what });
    }
    if changes.is_empty() || accept {
        let accepted = changes.into_iter().map(|change| format!("a changed log is accepted: {change}"));
        return Ok(Resumed { head, warnings: accepted.chain(warnings).collect() });
    }
    Err(ChangedLogError { changes })
}

/// How a log differs from the one that was read, and what that means for a run that accepts it.
struct Change {
    what: LogChange,
    /// The next offset to read if it is accepted.
    now: NextOffset,
    /// Offsets up to there are lost; else the offsets themselves are others.
    lost: bool,
}

impl Change {
    fn of(id: &Option<String>, state: &PartitionState, probe: &LogProbe) -> Option<Self> {
        let first = probe.first.unwrap_or(NextOffset(0));
        if let (Some(was), Some(is)) = (id, &probe.log_id)
            && was != is
        {
            let what = LogChange::Replaced { was: was.clone(), is: is.clone() };
            return Some(Change { what, now: first, lost: false });
        }
        let next = state.next;
        let same_id = id.is_some() && *id == probe.log_id;
        if let Some(end) = probe.end.filter(|end| *end < next) {
            return Some(Change { what: LogChange::CutOff { next, end, same_id }, now: end, lost: false });
        }
        if first > next {
            return Some(Change { what: LogChange::Deleted { next, first }, now: first, lost: true });
        }
        match (state.last, probe.last) {
            (Some(was), LastRecordCheck::Holds(is)) if !was.is(&is) => {
                let epochs = was.leader_epoch.zip(is.leader_epoch).filter(|(was, is)| was != is);
                let what = LogChange::OtherRecord { next, offset: was.offset, epochs, same_id };
                Some(Change { what, now: next, lost: false })
            }
            _ => None,
        }
    }

    fn move_on(&self, state: &mut PartitionState) {
        let by = self.now.0 - state.next.0;
        if self.lost {
            state.counts.gaps += by;
        } else {
            state.start.0 += by;
        }
        (state.next, state.partial_before, state.last) = (self.now, PartialBefore::Unknown, None);
        // Entries lead to offsets of the log that was read.
        state.noted = Some(NotedBuckets::unknown_through(state.h));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::PartitionSnapshot;
    use crate::edge::Discovered;
    use crate::halt::{Halt, HaltKind, HaltRemedy};
    use crate::partition::{Partition, Rule};
    use crate::record::Record;
    use crate::time::{EventTime, Monotonic};
    use std::collections::BTreeMap;

    fn record(offset: i64, payload: &[u8]) -> LastRecord {
        LastRecord::of(&Record { offset, key: None, payload: Some(payload), ..Record::default() })
    }

    /// Read from 0 to 10; the last record is at 8, for what is at 9 is none.
    fn head() -> Manifest {
        let mut partition = Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0));
        for offset in 0..9 {
            partition.begin_record(offset);
            partition.judge(EventTime(offset), None, EventTime(100), Monotonic(0));
        }
        partition.reached(NextOffset(10));
        partition.remember(Some(record(8, b"eight")));
        let name = PartitionName { log: "t".into(), number: Some(0) };
        let found =
            Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: Some(20), log_id: Some("a".into()) };
        let state = Some(partition.report(None, Monotonic(0)));
        Manifest {
            seq: 7,
            partitions: vec![PartitionSnapshot { found, state, floor: None, complete_from: Some(EventTime(7)) }],
            ..Manifest::fresh(BTreeMap::new())
        }
    }

    fn log(first: i64, end: i64, last: LastRecordCheck) -> LogProbe {
        let (first, end) = (Some(NextOffset(first)), Some(NextOffset(end)));
        LogProbe { log_id: Some("a".into()), first, end, last }
    }

    #[test]
    fn the_same_log_is_resumed_with() {
        let last = record(8, b"eight");
        let elsewhere = LastRecord { leader_epoch: Some(3), ..last };
        assert_eq!(probe_targets(&head()), [(head().partitions[0].found.name.clone(), Some(last))]);
        for (same, warnings) in [
            (log(0, 10, LastRecordCheck::Holds(last)), 0),
            (log(8, 99, LastRecordCheck::Holds(elsewhere)), 0),
            (log(10, 10, LastRecordCheck::Gone), 1),
            (log(0, 10, LastRecordCheck::Unknown), 0),
            (LogProbe::default(), 0),
        ] {
            let resumed = resume(head(), &[Some(same.clone())], false).unwrap();
            assert_eq!((&resumed.head, resumed.warnings.len()), (&head(), warnings), "{same:?}");
        }
        assert_eq!(resume(head(), &[None], false).unwrap().head, head());

        let mut unread = head();
        unread.partitions[0].state = None;
        let replaced = LogProbe { log_id: Some("b".into()), ..log(5, 9, LastRecordCheck::Unknown) };
        let resumed = resume(unread, &[Some(replaced)], false).unwrap().head;
        let found = &resumed.partitions[0].found;
        assert_eq!((found.start.0, found.log_id.as_deref()), (5, Some("b")), "nothing was read of the old one");
    }

    #[test]
    fn a_changed_log_halts_unless_it_is_accepted() {
        let replaced = |first| LogProbe { log_id: Some("b".into()), ..log(first, 99, LastRecordCheck::Unknown) };
        let other = LastRecordCheck::Holds(record(8, b"other"));
        for (changed, what, now, gaps) in [
            (replaced(0), "made anew (its id was a, now it is b)", 0, 1),
            (replaced(50), "made anew", 50, 1),
            (log(0, 9, LastRecordCheck::Unknown), "offset 10 is wanted next, and the log ends at 9", 9, 1),
            (log(15, 30, LastRecordCheck::Gone), "the log begins at 15: 5 records or fewer were deleted", 15, 6),
            (log(0, 30, other), "records before offset 10 are not those that were read: the one at 8 is", 10, 1),
        ] {
            let halt = Halt::from(resume(head(), &[Some(changed.clone())], false).unwrap_err());
            assert_eq!((halt.kind, &halt.remedy), (HaltKind::Data, &Some(HaltRemedy::RestoreLog)));
            for part in ["partition t/0: ", what] {
                assert!(halt.why.contains(part), "`{part}` is not in: {halt}");
            }
            let Resumed { head: accepted, warnings } = resume(head(), &[Some(changed.clone())], true).unwrap();
            let PartitionSnapshot { found, state, complete_from, .. } = &accepted.partitions[0];
            assert_eq!(*complete_from, None, "of the log that was");
            let state = state.as_ref().unwrap();
            assert!(warnings.len() == 1 && warnings[0].contains(what), "{warnings:?}");
            assert_eq!((state.next.0, state.counts.gaps, state.counts.counted), (now, gaps, 9), "{changed:?}");
            assert!(state.balances(), "{state:?}");
            assert_eq!((state.partial_before, state.last, found.end), (PartialBefore::Unknown, None, None));
            assert_eq!((&found.log_id, state.watermark()), (&changed.log_id, Some(EventTime(8))));
            let kept = &accepted.overrides[0];
            assert_eq!((kept.partition.as_str(), kept.was.0, kept.now.0, kept.seq), ("t/0", 10, now, 8));
            assert!(kept.what.contains(what), "{kept:?}");
            let read_back = Manifest::decode(&accepted.encode()).unwrap();
            assert_eq!(read_back.restarted("a run").overrides, accepted.overrides, "kept for ever");
        }
    }

    #[test]
    fn windows_say_partial_from_then_on_until_a_record_comes() {
        let head = resume(head(), &[Some(log(15, 30, LastRecordCheck::Gone))], true).unwrap().head;
        let rule = Rule::default();
        let state = head.partitions[0].state.clone().unwrap();
        let mut partition = Partition::resume(rule, &state, false, Monotonic(0));
        assert_eq!(partition.report(None, Monotonic(0)).partial_before, PartialBefore::Unknown);
        let time = EventTime(3_600_000_000_000);
        partition.begin_record(15);
        partition.judge(time, None, time, Monotonic(0));
        let report = partition.report(None, Monotonic(0));
        let end = rule.windowing.end(rule.windowing.window_of(time));
        assert_eq!(report.partial_before, PartialBefore::Time(end.plus(rule.windowing.lateness)));
        assert!(report.balances());
    }

    #[test]
    fn a_record_is_known_by_stamp_key_and_payload_and_none_is_not_empty() {
        let of = |append_time: Option<i64>, key, payload| {
            let append_time = append_time.map(EventTime);
            LastRecord::of(&Record { offset: 1, append_time, key, payload, ..Record::default() }).fingerprint
        };
        let all = [
            of(None, None, None),
            of(None, Some(b"".as_slice()), None),
            of(None, None, Some(b"".as_slice())),
            of(None, Some(b"ab"), Some(b"c")),
            of(None, Some(b"a"), Some(b"bc")),
            of(Some(1), Some(b"a"), Some(b"bc")),
            of(Some(2), Some(b"a"), Some(b"bc")),
        ];
        assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
    }
}
