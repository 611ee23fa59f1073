//! A clock that stands still (R7), how late records were, ids that repeat, and what is cleaned (R5). The other verdicts are tested in
//! `tests/partition_rule.rs`.

use super::{Calendar, CleaningRule, OutlierRule, Partition, Rule, TradingDays, TradingHours, Verdict};
use crate::decimal::Decimal;
use crate::decode::{DecodedEvent, EventId};
use crate::edge::EndAnswer;
use crate::record::{Evidence, Reason};
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

/// Values at a scale of 0 decimals, of one series, each a second after the one before.
struct Values {
    partition: Partition,
    rule: Rule,
    next: i64,
}

impl Values {
    fn new(cleaning: CleaningRule) -> Self {
        let rule = Rule::default().with_cleaning(cleaning);
        Values { partition: Partition::new(rule, 0, NextOffset(0), false, Monotonic(0)), rule, next: 0 }
    }

    fn judge_at(&mut self, second: i64, series: &str, value: i128, id: Option<u128>) -> Verdict {
        self.partition.begin_record(self.next);
        self.next += 1;
        let (symbol, value, time) = (series.into(), Decimal(value), EventTime(second * SECOND));
        let id = id.map(EventId);
        let event = DecodedEvent { symbol, value, time, weight: None, weight_beyond: false, id, rounded: false };
        self.partition.judge_event(&event, None, EventTime(i64::MAX / 2), Monotonic(0))
    }

    /// What these are judged: a number is the greatest distance that an outlier's median had, none is counted.
    fn judge(&mut self, values: &[i128]) -> Vec<Option<(i128, i128)>> {
        let verdict = |values: &mut Self, value: i128| match values.judge_at(values.next, "A", value, None) {
            Verdict::Counted(_) => None,
            Verdict::Cleaned(Reason::Outlier, Evidence::Median { median, most }) => Some((median.0, most.0)),
            other => panic!("{other:?}"),
        };
        values.iter().map(|value| verdict(self, *value)).collect()
    }

    /// As a run that resumes has it.
    fn resume(&mut self) {
        let filtered = self.partition.filtered();
        let state = super::PartitionState { filtered, ..self.partition.report(None, Monotonic(0)) };
        let state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        self.partition = Partition::resume(self.rule, &state, false, Monotonic(0));
    }
}

fn outliers(rule: &str) -> CleaningRule {
    CleaningRule { outlier: Some(rule.parse().unwrap()), ..CleaningRule::default() }
}

/// By hand: of 100, 102, 101, 105, 103 the median is 102, the distances 2, 0, 1, 3, 1 have the median 1; 5 · 1.4826 is 7.413.
#[test]
fn a_value_far_from_the_median_is_an_outlier() {
    let mut values = Values::new(outliers("5"));
    assert_eq!(values.judge(&[100, 9_999_999]), [None, None], "below half of N there is no verdict");
    let mut values = Values::new(outliers("5"));
    assert_eq!(values.judge(&[100, 102, 101, 105, 103]), [None; 5]);
    assert_eq!(values.judge(&[110, 109, 95]), [Some((102, 7)), None, None]);
    // Now they are 101, 105, 103, 109, 95: the median is 103, and the distances 2, 2, 0, 6, 8 have the median 2.
    assert_eq!(values.judge(&[118, 117]), [Some((103, 14)), None]);
}

/// Most prices are the same for a while: the least step that one of them made is the unit, and where there was none all count.
#[test]
fn a_step_after_equal_values_is_no_outlier() {
    let mut values = Values::new(outliers("4,2"));
    assert_eq!(values.judge(&[50, 50, 50, 50, 90, 50]), [None; 6]);
    assert_eq!(values.judge(&[50, 169, 168]), [None, Some((50, 118)), None]);
}

/// A series that moves is not rejected for ever, and what is between does not count as one of the row.
#[test]
fn after_n_outliers_in_a_row_they_are_the_values() {
    let mut values = Values::new(outliers("4"));
    let start = [10, 11, 12, 11];
    assert_eq!(values.judge(&start), [None; 4]);
    let far = Some((11, 7)); // of 10, 11, 12, 11 the distances are 1, 0, 1, 0: no MAD, and so the least step, 1
    assert_eq!(values.judge(&[90, 91, 92, 11]), [far, far, far, None], "the row is broken");
    assert!(values.judge(&[90, 91, 92]).iter().all(Option::is_some));
    values.resume();
    assert!(values.judge(&[93])[0].is_some(), "it ends the row, and does not count itself");
    assert_eq!(values.judge(&[91, 94]), [None, None]);
    assert!(values.judge(&[11])[0].is_some());
}

/// Each alone, in the order in which they are looked at, and with H as if nothing were cleaned.
#[test]
fn what_is_cleaned_raises_h_and_is_looked_at_in_order() {
    let hours = vec![TradingHours { from: 1, to: 60 }];
    let days = TradingDays { weekly: std::array::from_fn(|_| hours.clone()), ..TradingDays::default() };
    let session = Calendar::given("UTC", days);
    let outlier = Some(OutlierRule { values: 3, hundredths: 300 });
    let cleaning = CleaningRule { least: Some(Decimal(5)), greatest: Some(Decimal(500)), outlier, session };
    let mut values = Values::new(cleaning);
    let closed = Verdict::Cleaned(Reason::Session, Evidence::Closed);
    let bound = |bound| Verdict::Cleaned(Reason::Bounds, Evidence::Bound(Decimal(bound)));
    assert_eq!(values.judge_at(59, "A", 1, Some(1)), closed);
    assert_eq!(values.judge_at(60, "A", 4, Some(1)), bound(5));
    assert_eq!(values.judge_at(60, "A", 501, Some(1)), bound(500));
    assert_eq!(values.judge_at(60, "A", 5, Some(1)), minute(1), "what was cleaned left no id");
    assert_eq!(values.judge_at(60, "A", 6, Some(2)), minute(1));
    assert_eq!(values.judge_at(60, "A", 400, Some(2)), Verdict::Duplicate);
    let far = Verdict::Cleaned(Reason::Outlier, Evidence::Median { median: Decimal(5), most: Decimal(4) });
    assert_eq!(values.judge_at(60, "A", 400, Some(3)), far);
    assert_eq!(values.judge_at(60, "A", 400, Some(3)), Verdict::Duplicate, "the same outlier again is no second one");
    assert_eq!(values.judge_at(60, "B", 400, Some(3 << 64)), minute(1), "another series");
    assert_eq!(values.judge_at(3600, "A", 1, None), closed);
    let state = values.partition.report(None, Monotonic(0));
    assert_eq!(state.h, Some(EventTime(3600 * SECOND)));
    assert!(matches!(values.judge_at(120, "A", 1, None), Verdict::Late(_)), "late comes before");
    let counts = values.partition.report(None, Monotonic(0)).counts;
    assert_eq!((counts.cleaned, counts.off_session, counts.outliers), (5, 2, 1));
    assert_eq!((counts.counted, counts.duplicates, counts.late, counts.balance()), (3, 2, 1, true));
}

/// A series is forgotten with the window that was its newest, by H and whether it was saved between or not.
#[test]
fn a_series_is_forgotten_when_its_newest_window_is_final() {
    for resumes in [false, true] {
        let mut values = Values::new(outliers("3"));
        for (value, second) in [(10, 0), (11, 1), (12, 2)] {
            assert_eq!(values.judge_at(second, "A", value, None), minute(0));
        }
        values.judge_at(659, "B", 7, None);
        if resumes {
            values.resume();
        }
        assert!(matches!(values.judge_at(659, "A", 99, None), Verdict::Cleaned(Reason::Outlier, _)));
        // The outlier was the newest of A, of a window that is final at 1260.
        values.judge_at(1260, "B", 7, None);
        if resumes {
            values.resume();
        }
        assert_eq!(values.partition.filtered().len(), 1);
        assert_eq!(values.judge_at(1260, "A", 99, None), minute(21));
    }
}

/// As they are in a state: every value comes back.
#[test]
fn values_of_any_size_come_back() {
    let mut values = Values::new(outliers("9,100"));
    let big = 10_i128.pow(29);
    let all = [big, -big, big - 1, 0, 1, -10, -1, 12_300, 7 * 10_i128.pow(20)];
    for value in all {
        values.judge_at(1, "Z \u{fc}", value, None);
    }
    let before = values.partition.filtered();
    assert_eq!(before[0].counted, "1e29 -1e29 99999999999999999999999999999 0 1 -1e1 -1");
    assert_eq!(before[0].outliers, "123e2 7e20");
    values.resume();
    assert_eq!(values.partition.filtered(), before);
}

/// Spans of the session are remembered; a day on which clocks are changed has none.
#[test]
fn a_session_is_open_by_the_clock_of_its_zone() {
    let calendar = Calendar::nyse(false);
    let at = |text: &str| EventTime(i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap());
    for (time, is_open) in [
        ("2026-03-06T14:29:59.999999999Z", false), // 9:29, Friday, UTC-5
        ("2026-03-06T14:30:00Z", true),
        ("2026-03-06T20:59:59.999999999Z", true),
        ("2026-03-06T21:00:00Z", false),
        ("2026-03-07T15:00:00Z", false), // Saturday
        ("2026-03-08T15:00:00Z", false), // the clocks are changed
        ("2026-03-09T13:30:00Z", true),  // UTC-4
        ("2026-03-09T20:00:00Z", false),
        ("2026-07-03T15:00:00Z", false), // Independence Day, observed
        ("2026-11-27T17:59:59Z", true),  // a half day
        ("2026-11-27T18:00:00Z", false),
    ] {
        assert_eq!(calendar.is_open(at(time)), is_open, "{time}");
    }
    let extended = Calendar::nyse(true);
    assert!(extended.is_open(at("2026-03-06T09:00:00Z")) && !extended.is_open(at("2026-11-27T22:00:00Z")));
    let mut rng = fastrand::Rng::with_seed(7);
    for calendar in [calendar, extended] {
        for _ in 0..20_000 {
            let time = EventTime(rng.i64(1_600_000_000 * SECOND..1_900_000_000 * SECOND));
            let span = calendar.span(time);
            let near = EventTime(time.0 + rng.i64(-3600 * SECOND..3600 * SECOND));
            assert!(span.contains(time) && span.is_open == calendar.is_open(time));
            assert!(!span.contains(near) || span.is_open == calendar.is_open(near), "{time:?} {near:?}");
        }
    }
}
