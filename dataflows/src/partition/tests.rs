//! A clock that stands still (R7), how late records were, and ids that repeat (R5). The other verdicts are tested in
//! `tests/partition_rule.rs`.

use super::{Partition, Rule, Verdict};
use crate::decode::EventId;
use crate::edge::EndAnswer;
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
/// A partition that reads one event after the other, each at the next offset.
struct Log {
    partition: Partition,
    next: i64,
}

impl Log {
    /// `second`: of the event; the windows are of a minute, the lateness is ten.
    fn judge(&mut self, second: i64, id: u128) -> Verdict {
        self.partition.begin_record(self.next);
        self.next += 1;
        let far = EventTime(i64::MAX / 2);
        self.partition.judge_with_id(EventTime(second * SECOND), Some(EventId(id)), None, far, Monotonic(0))
    }

    fn ids(&mut self) -> Vec<(i64, Vec<u128>)> {
        let (groups, _) = self.partition.take_new_ids();
        groups.into_iter().map(|g| (g.window.0 / SECOND, g.ids.into_iter().map(|id| id.0).collect())).collect()
    }
}

fn minute(number: i64) -> Verdict {
    Verdict::Counted(crate::time::WindowStart(number * 60 * SECOND))
}

#[test]
fn an_id_repeats_as_long_as_its_window_is_not_final_by_h() {
    let mut log = Log { partition: Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0)), next: 0 };
    assert_eq!(log.judge(0, 1), minute(0));
    assert_eq!(log.judge(0, 1), Verdict::Duplicate, "at the same time");
    assert_eq!(log.judge(125, 1), Verdict::Duplicate, "in another window");
    assert_eq!(log.judge(125, 2), minute(2));
    assert_eq!(log.judge(660, 1), Verdict::Duplicate, "H is at 125 before it, and its window is final at 660");
    assert!(matches!(log.judge(0, 1), Verdict::Late(_)), "late comes before duplicate");
    assert_eq!(log.judge(660, 1), minute(11), "its window is final");
    assert_eq!(log.judge(600, 1), Verdict::Duplicate, "of the newer event");
    assert_eq!(log.ids(), [(120, vec![2]), (660, vec![1])], "ids of final windows are not kept");
    assert_eq!((log.partition.ids(), log.ids()), (2, vec![]));
    let counts = log.partition.report(None, Monotonic(0)).counts;
    assert_eq!((counts.counted, counts.duplicates, counts.late, counts.balance()), (3, 4, 1, true));
}

/// When a floor rises depends on the clock and not on the log: whether an event is a duplicate must not.
#[test]
fn a_floor_lets_go_of_no_id() {
    let mut log = Log { partition: Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0)), next: 0 };
    assert_eq!(log.judge(0, 1), minute(0));
    let later = Monotonic(3600 * SECOND);
    let a = EventTime(1000 * SECOND);
    assert!(log.partition.learn(a, None, later));
    log.partition.answered(EndAnswer::End(NextOffset(1)));
    assert!(log.partition.settle(later));
    assert_eq!(log.partition.watermark(), Some(a));
    assert_eq!(log.judge(999, 1), Verdict::Duplicate);
    assert_eq!(log.judge(999, 1), minute(16), "H is past its window");
}

#[test]
fn what_is_restored_repeats_and_is_not_new() {
    let mut log = Log { partition: Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0)), next: 0 };
    log.judge(0, 1);
    log.judge(70, 2);
    let state = log.partition.report(None, Monotonic(0));
    let (groups, _) = log.partition.take_new_ids();
    log.partition = Partition::resume(Rule::default(), &state, false, Monotonic(0));
    log.partition.restore_ids(&groups);
    assert_eq!(
        (log.judge(70, 1), log.judge(0, 2), log.judge(0, 3)),
        (Verdict::Duplicate, Verdict::Duplicate, minute(0))
    );
    assert_eq!((log.partition.ids(), log.ids()), (3, vec![(0, vec![3])]));
}
