//! A clock that stands still (R7). The other verdicts are tested in `tests/partition_rule.rs`.

use super::{Partition, Rule, Verdict};
use crate::record::Evidence;
use crate::time::{EventTime, Monotonic, NextOffset, SECOND};

#[test]
fn a_clock_that_stands_still_holds_nothing_back() {
    let now = EventTime(1_767_600_000 * SECOND);
    let rule = Rule { max_past: Some(3600 * SECOND), ..Rule::default() };
    let mut partition = Partition::new(rule, 0, NextOffset(0), false, Monotonic(0));
    let mut judge = |offset, time, appended| {
        partition.begin_record(offset);
        partition.judge(time, appended, now, Monotonic(0))
    };
    assert_eq!(judge(0, EventTime(7), None), Verdict::Past(Evidence::Clock(now)));
    assert_eq!(judge(1, EventTime(7), Some(now)), Verdict::Past(Evidence::Appended(now)));
    let limit = now.plus(-3600 * SECOND);
    assert_eq!(judge(2, limit.plus(-1), None), Verdict::Past(Evidence::Clock(now)));
    let before = partition.report(None, Monotonic(0));
    assert_eq!((before.watermark(), before.counts.quarantined, before.balances()), (None, 3, true));
    let window = rule.windowing.window_of(limit);
    partition.begin_record(3);
    assert_eq!(partition.judge(limit, None, now, Monotonic(0)), Verdict::Counted(window));
    let off = Rule { max_past: None, ..rule };
    let mut partition = Partition::new(off, 0, NextOffset(0), false, Monotonic(0));
    partition.begin_record(0);
    assert!(matches!(partition.judge(EventTime(7), None, now, Monotonic(0)), Verdict::Counted(_)));
}
