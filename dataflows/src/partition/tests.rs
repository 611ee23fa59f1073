//! A clock that stands still (R7), and how late records were (R5). The other verdicts are tested in `tests/partition_rule.rs`.

use super::{Partition, Rule, Verdict};
use crate::record::Evidence;
use crate::time::{EventTime, Monotonic, NextOffset, SECOND, Windowing};

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
    assert_eq!(before.counts.past, 3);
    let window = rule.windowing.window_of(limit);
    partition.begin_record(3);
    assert_eq!(partition.judge(limit, None, now, Monotonic(0)), Verdict::Counted(window));
    let off = Rule { max_past: None, ..rule };
    let mut partition = Partition::new(off, 0, NextOffset(0), false, Monotonic(0));
    partition.begin_record(0);
    assert!(matches!(partition.judge(EventTime(7), None, now, Monotonic(0)), Verdict::Counted(_)));
}

#[test]
fn a_lateness_longer_than_the_latest_record_was_loses_none() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..500 {
        let length = rng.i64(1..100);
        let times: Vec<i64> = (0..rng.usize(1..50)).map(|_| rng.i64(-500..500)).collect();
        let state = |lateness: i64| {
            let rule = Rule { windowing: Windowing { length, lateness }, ..Rule::default() };
            let mut partition = Partition::new(rule, 0, NextOffset(0), true, Monotonic(0));
            for (offset, time) in (0..).zip(&times) {
                partition.begin_record(offset);
                partition.judge(EventTime(*time), None, EventTime(1000), Monotonic(0));
            }
            let state = partition.report(None, Monotonic(0));
            let resumed = Partition::resume(rule, &state, true, Monotonic(0)).report(None, Monotonic(0));
            assert_eq!(resumed.late_by, state.late_by, "an earlier run's records count, too");
            state
        };
        let first = state(rng.i64(0..300));
        let Some(by) = first.late_by else {
            assert_eq!(first.counts.late, 0, "seed {seed}");
            continue;
        };
        assert!(first.counts.late > 0 && state(by).counts.late > 0, "seed {seed}");
        assert_eq!((state(by + 1).counts.late, state(by + 1).late_by), (0, None), "seed {seed}");
    }
}
