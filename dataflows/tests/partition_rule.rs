//! The partition rule, driven as readers and Control drive it: partitions fall idle, carry poison, appear in mid-life
//! already holding records; what Control says arrives late or never; answers fail; alignment pauses.
//!
//! Checked, for every seed: W never falls, nothing counts for a window that is final, everything becomes final once the
//! traffic ends, both parts of the first equation of R11 hold, and whoever knows the log and the exceptions alone gets
//! the same counts.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod lagging;

use fastrand::Rng;
use minutely_dataflows::edge::EndAnswer;
use minutely_dataflows::partition::{Partition, PartitionState, Rule, Verdict, least_to_follow, least_watermark};
use minutely_dataflows::record::{Evidence, Finding, Reason, Rejection};
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, Windowing};
use std::collections::{BTreeMap, BTreeSet};

const RULE: Rule = Rule {
    windowing: Windowing { length: 1000, lateness: 1500 },
    max_future: i64::MAX / 4,
    max_past: None,
    max_ahead: 2500,
    idle: 3,
    cleaning: None,
};

/// A partition's log and its reader.
struct Reader {
    rule: Partition,
    state: Option<PartitionState>,
    floor: Option<EventTime>,
    /// A question is under way: what the log's end was when it was sent.
    asked: Option<usize>,
}

/// What a run saw.
#[derive(Default)]
struct Seen {
    exceptions: usize,
    pauses: usize,
    late: usize,
}

fn run(seed: u64) -> Seen {
    let mut rng = Rng::with_seed(seed);
    let (mut logs, mut readers) = (Vec::<Vec<Option<i64>>>::new(), Vec::<Reader>::new());
    let mut alive = Vec::new();
    for _ in 0..rng.usize(1..=3) {
        logs.push(Vec::new());
        alive.push(rng.u8(..5) > 0);
    }
    let (stop, speed) = (rng.i64(50..300), [1, 1, 5][rng.usize(..3)]);
    let mut event_time = 100_000;
    let (mut counts, mut exceptions) = (BTreeMap::<i64, i64>::new(), BTreeSet::new());
    let (mut w, mut guide) = (None, Vec::<(Option<EventTime>, Option<EventTime>)>::new());
    let mut seen = Seen::default();
    let mut t = 0;
    loop {
        t += 1;
        let now = Monotonic(t);
        if t < stop {
            event_time += speed * rng.i64(0..200);
            if rng.u8(..30) == 0 {
                let i = rng.usize(..alive.len());
                alive[i] = !alive[i];
            }
            if rng.u8(..100) == 0 && logs.len() < 5 {
                logs.push((0..rng.i64(0..5)).map(|_| Some(event_time - rng.i64(0..4000))).collect());
                alive.push(true);
            }
            for (log, _) in logs.iter_mut().zip(&alive).filter(|(_, alive)| **alive) {
                for _ in 0..rng.u8(..3) {
                    let back = [0, 100, 300, 1200, 3000][rng.usize(..5)];
                    log.push((rng.u8(..10) > 0).then(|| event_time - rng.i64(0..=back)));
                }
            }
        }
        if readers.len() < logs.len() && (readers.is_empty() || rng.u8(..5) == 0) {
            let rule = Partition::new(RULE, readers.len(), NextOffset(0), false, now).with_floor(w);
            readers.push(Reader { rule, state: None, floor: w, asked: None });
        }
        // Control's word arrives, or an old one does, or none.
        for reader in &mut readers {
            if let Some((Some(a), base)) = rng.choice(&guide[guide.len().saturating_sub(3)..]).copied()
                && rng.u8(..10) < 6
                && reader.rule.learn(a, base, now)
            {
                reader.asked = Some(usize::MAX);
            }
        }
        let base = guide.last().and_then(|(_, base)| *base);
        for (index, (reader, log)) in readers.iter_mut().zip(&logs).enumerate() {
            let rule = &mut reader.rule;
            // The question is sent after A was learnt, and answered when it pleases.
            reader.asked = reader.asked.map(|end| end.min(log.len()));
            let mut next = usize::try_from(rule.report(base, now).next.0).unwrap();
            if rule.paused(base) {
                seen.pauses += 1;
            } else if rng.u8(..10) > 0 {
                for _ in 0..rng.u8(..5) {
                    let Some(record) = log.get(next).copied() else { break };
                    let offset = i64::try_from(next).unwrap();
                    next += 1;
                    let Some(time) = record else {
                        let finding = Finding { field: None, expected: "JSON".into(), found: "x".into() };
                        rule.begin_record(offset);
                        rule.reject(&Rejection { reason: Reason::Json, finding });
                        continue;
                    };
                    rule.begin_record(offset);
                    match rule.judge(EventTime(time), None, EventTime(0), now) {
                        Verdict::Counted(window) => {
                            let at = RULE.windowing.final_at(window);
                            assert!(Some(at) > w, "seed {seed}: counted for a window that is final at {w:?}");
                            *counts.entry(window.0).or_default() += 1;
                        }
                        Verdict::Late(Evidence::Floor(_)) => drop(exceptions.insert((index, offset))),
                        Verdict::Late(_) => seen.late += 1,
                        Verdict::Future(_) | Verdict::Past(_) => unreachable!("nothing is that far off"),
                        Verdict::Duplicate => unreachable!("nothing has an id"),
                        Verdict::Cleaned(..) => unreachable!("nothing is cleaned"),
                    }
                }
            }
            if let Some(end) = reader.asked.filter(|_| rng.u8(..3) > 0) {
                reader.asked = None;
                let answer = if rng.u8(..10) == 0 { EndAnswer::Failed } else { EndAnswer::End(NextOffset(end as i64)) };
                rule.answered(answer);
            }
            rule.settle(now);
        }
        // Reports of one epoch; a partition that has not reported yet stands where it was admitted.
        for reader in &mut readers {
            reader.state = Some(reader.rule.report(base, now));
            assert!(reader.state.as_ref().unwrap().balances(), "seed {seed}");
        }
        let states = || readers.iter().filter_map(|r| r.state.as_ref());
        let before = std::mem::replace(&mut w, least_watermark(states()));
        assert!(w >= before, "seed {seed}: W fell from {before:?} to {w:?}");
        assert!(readers.iter().all(|r| r.floor <= r.rule.watermark()), "seed {seed}: a floor fell");
        let base = w.or_else(|| states().filter_map(|s| s.h).min());
        guide.push((Some(least_to_follow(&RULE, states())), base));
        let done = readers.len() == logs.len()
            && states().zip(&logs).all(|(state, log)| state.next.0 == i64::try_from(log.len()).unwrap())
            && counts.keys().all(|start| Some(EventTime(start + 2500)) <= w);
        if t > stop && done {
            break;
        }
        assert!(
            t < stop + 20_000,
            "seed {seed}: never final; W {w:?}, counts {counts:?}, states {:?}",
            states().collect::<Vec<_>>()
        );
    }
    let mut want = BTreeMap::<i64, i64>::new();
    for (index, log) in logs.iter().enumerate() {
        let mut h = i64::MIN;
        for (offset, time) in log.iter().enumerate().filter_map(|(o, time)| Some((o, (*time)?))) {
            let window = time.div_euclid(1000) * 1000;
            let late = window + 2500 <= h;
            h = h.max(time);
            if !late && !exceptions.contains(&(index, i64::try_from(offset).unwrap())) {
                *want.entry(window).or_default() += 1;
            }
        }
    }
    assert_eq!(counts, want, "seed {seed}");
    seen.exceptions = exceptions.len();
    seen
}

#[test]
fn any_schedule_keeps_the_rules() {
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    let seeds = if std::env::var_os("MINUTELY_TEST_LONG").is_some() { 300_000 } else { 20_000 };
    let all = (0..seeds).map(|n| run(first.wrapping_add(n))).reduce(|a, b| Seen {
        exceptions: a.exceptions + b.exceptions,
        pauses: a.pauses + b.pauses,
        late: a.late + b.late,
    });
    let all = all.unwrap();
    // Without these the test would say nothing.
    assert!(
        all.exceptions > 100 && all.pauses > 100 && all.late > 100,
        "{} {} {}",
        all.exceptions,
        all.pauses,
        all.late
    );
}

#[test]
fn a_partition_that_lags_and_speaks_loses_nothing() {
    assert_eq!(lagging::speaks(), 0);
}

#[test]
fn a_partition_that_is_read_slowly_loses_nothing() {
    assert_eq!(lagging::is_read_slowly(), 0);
}

#[test]
fn silence_passes_at_the_clocks_speed() {
    assert!(lagging::silence() <= 0, "W is ahead of the clock by {} ns", lagging::silence());
}
