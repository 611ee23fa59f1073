//! Two partitions, one of which lags in event time by more than lateness: how many of its records are late by a floor?
//! And two that fall silent: how fast does their silence pass?

#![allow(dead_code, reason = "each test binary uses its part")]

use minutely_dataflows::edge::EndAnswer;
use minutely_dataflows::partition::{Partition, Rule, Verdict, least_to_follow, least_watermark};
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, SECOND};

/// It brings a record a second.
pub(crate) fn speaks() -> usize {
    exceptions(|second| if second % 10 == 0 { 10 } else { 0 })
}

/// Its records are all there; for a minute, nobody comes to read them.
pub(crate) fn is_read_slowly() -> usize {
    exceptions(|second| if second == 60 { 60 } else { 0 })
}

/// Runs both for two minutes, an epoch a second. The second partition's log holds a record a second; `reads` says how
/// many of those it may be read at this second, so that it is at its end now and then, or not.
fn exceptions(reads: impl Fn(i64) -> i64) -> usize {
    let rule = Rule::default();
    let base = 1_767_600_000 * SECOND;
    let mut partitions = [0, 1].map(|i| Partition::new(rule, i, NextOffset(0), false, Monotonic(0)));
    let mut exceptions = 0;
    let (mut log, mut next, mut a, mut w) = (0, 0, EventTime(i64::MIN), None);
    for second in 0..120 {
        let now = Monotonic(second * SECOND);
        log += 1;
        let mut judge = |partition: &mut Partition, offset: i64, time: i64| {
            partition.begin_record(offset);
            let verdict = partition.judge(EventTime(time), None, EventTime(i64::MAX), now);
            exceptions += usize::from(!matches!(verdict, Verdict::Counted(_)));
        };
        judge(&mut partitions[0], second, base + second * SECOND);
        if second == 0 || reads(second) > 0 {
            while next < log {
                judge(&mut partitions[1], next, base + (next - 900) * SECOND);
                next += 1;
            }
        }
        for (partition, end) in partitions.iter_mut().zip([second + 1, log]) {
            if partition.learn(a, w, now) {
                partition.answered(EndAnswer::End(NextOffset(end)));
            }
            partition.settle(now);
        }
        let states = partitions.each_ref().map(|partition| partition.report(w, now));
        w = least_watermark(states.iter());
        a = least_to_follow(&rule, states.iter());
    }
    exceptions
}

/// Both partitions fall silent after a minute: how far past its speed does the clock carry W, at worst, in nanoseconds?
pub(crate) fn silence() -> i64 {
    let rule = Rule::default();
    let base = 1_767_600_000 * SECOND;
    let mut partitions = [0, 1].map(|i| Partition::new(rule, i, NextOffset(0), false, Monotonic(0)));
    let (mut a, mut w, mut worst) = (EventTime(i64::MIN), None, i64::MIN);
    for tick in 0..1200 * 10 {
        let now = Monotonic(tick * SECOND / 10);
        let read = (now.0 / SECOND).min(59) + 1;
        for partition in &mut partitions {
            if partition.report(w, now).next.0 < read {
                partition.begin_record(read - 1);
                partition.judge(EventTime(base + (read - 1) * SECOND), None, EventTime(i64::MAX), now);
            }
            if partition.learn(a, w, now) {
                partition.answered(EndAnswer::End(NextOffset(read)));
            }
            partition.settle(now);
        }
        let states = partitions.each_ref().map(|partition| partition.report(w, now));
        w = least_watermark(states.iter());
        a = least_to_follow(&rule, states.iter());
        worst = worst.max(w.map_or(i64::MIN, |w| w.0 - base - now.0));
    }
    assert_eq!(w, Some(EventTime(base + (60 + 600) * SECOND)), "in the end all is final, and no more");
    worst
}
