//! Why records do not count, for people: rejected ones by reason and field, and a unit of event time that seems wrong.
//! Counts are part of a partition's state, so they are of the whole chain of runs, as the ledger's are.

use crate::decode::{TimeCounts, TimeOptions, TimeUnit, year};
use crate::escape::escaped;
use crate::partition::{Counts, PartitionState, RejectedBy};
use crate::record::{PartitionName, Reason};
use std::fmt;

/// Rejected records of all partitions that have a reason and a field in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Why, the first offset, and what was wrong there.
    pub first: &'a RejectedBy,
    /// Where the first stands: in the first partition that has one.
    pub partition: &'a PartitionName,
    /// How many in all partitions.
    pub count: i64,
}

impl Rejected<'_> {
    /// The first, with its place.
    pub fn example(&self) -> String {
        let name = self.partition.to_string();
        format!("partition {}, offset {}: {}", escaped(&name), self.first.offset, self.first.finding)
    }
}

impl fmt::Display for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.first.finding.field.as_deref().map(|field| format!(" {}", escaped(field)));
        write!(f, "{}{} ×{}", self.first.reason.name(), field.unwrap_or_default(), self.count)
    }
}

/// All rejected records by reason and field, the most frequent first.
pub fn rejected<'a>(states: impl Iterator<Item = (&'a PartitionName, &'a PartitionState)>) -> Vec<Rejected<'a>> {
    let mut all: Vec<Rejected<'a>> = Vec::new();
    for (partition, state) in states {
        for first in &state.rejected_by {
            let same =
                |r: &&mut Rejected<'a>| r.first.reason == first.reason && r.first.finding.field == first.finding.field;
            match all.iter_mut().find(same) {
                Some(known) => known.count += first.count,
                None => all.push(Rejected { first, partition, count: first.count }),
            }
        }
    }
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.first.reason.cmp(&b.first.reason)));
    all
}

/// Why no event counts, although some were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NothingCounts {
    /// All that `--where` does not leave out are rejected.
    Rejected,
    /// All that `--where` does not leave out are late.
    Late,
    /// All that `--where` does not leave out are too far from the clock.
    Quarantined,
    /// All that `--where` does not leave out are outside of the session or the bounds, or outliers.
    Cleaned,
    /// Some of each of these.
    Several,
    /// `--where` leaves out all of them: no error, for a log may hold nothing of what is asked for.
    Skipped,
}

impl NothingCounts {
    /// Of these counts; `None` where an event counts, or none was read.
    pub fn of(counts: &Counts) -> Option<Self> {
        let Counts { events, counted, late, rejected, quarantined, cleaned, .. } = *counts;
        if events == 0 || counted > 0 {
            return None;
        }
        Some(match (rejected > 0, late > 0, quarantined > 0, cleaned > 0) {
            (false, false, false, false) => NothingCounts::Skipped,
            (true, false, false, false) => NothingCounts::Rejected,
            (false, true, false, false) => NothingCounts::Late,
            (false, false, true, false) => NothingCounts::Quarantined,
            (false, false, false, true) => NothingCounts::Cleaned,
            _ => NothingCounts::Several,
        })
    }

    /// As the API names it.
    pub const fn name(self) -> &'static str {
        match self {
            NothingCounts::Rejected => "rejected",
            NothingCounts::Late => "late",
            NothingCounts::Quarantined => "quarantined",
            NothingCounts::Cleaned => "cleaned",
            NothingCounts::Several => "several",
            NothingCounts::Skipped => "skipped",
        }
    }

    /// Is something wrong, with the records or with the options?
    pub fn is_trouble(self) -> bool {
        self != NothingCounts::Skipped
    }
}

/// The dead letters of these counts that can be decoded, by reason; there may be none of one.
pub fn judged(counts: &Counts) -> impl Iterator<Item = (Reason, i64)> + use<> {
    let future = counts.quarantined - counts.past;
    let in_time = [(Reason::Late, counts.late), (Reason::Future, future), (Reason::Past, counts.past)];
    in_time.into_iter().chain(cleaned(counts))
}

/// Those of them that were cleaned.
pub fn cleaned(counts: &Counts) -> [(Reason, i64); 3] {
    let Counts { cleaned, off_session, outliers, .. } = *counts;
    let bounds = cleaned - off_session - outliers;
    [(Reason::Session, off_session), (Reason::Bounds, bounds), (Reason::Outlier, outliers)]
}

/// Event times seem to be read wrongly: every valid record says a time before 1990 or after 2099.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongUnit {
    /// The unit that numbers are read in; none where a format reads them.
    pub unit: Option<TimeUnit>,
    /// Valid records, all of them implausible.
    pub valid: i64,
    /// When they all are, such as `before 1990`.
    pub when: &'static str,
    /// The newest time, as a number of the unit, or of seconds.
    pub newest: String,
    /// The year of the newest.
    pub year: i16,
    /// A unit in which the newest would be plausible, and of which year it would be.
    pub better: Option<(TimeUnit, i16)>,
}

impl fmt::Display for WrongUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongUnit { valid, when, newest, year, better, .. } = self;
        match valid {
            1 => write!(f, "the only event time is {when}")?,
            valid => write!(f, "all {valid} event times are {when}")?,
        }
        write!(f, " (the newest, {newest}, is of {year})")?;
        match better {
            Some((unit, year)) => write!(f, ": read as {} it would be of {year}", unit.words()),
            None => Ok(()),
        }
    }
}

/// Is it likely that event times are read wrongly? `ended`: there will be no more, so few are enough.
pub fn wrong_unit(times: &TimeOptions, counts: &TimeCounts, ended: bool) -> Option<WrongUnit> {
    let when = counts.implausible(ended)?;
    let newest = counts.newest?;
    let unit = times.format.is_none().then_some(times.unit);
    let shown = unit.unwrap_or(TimeUnit::Seconds);
    Some(WrongUnit {
        unit,
        valid: counts.valid,
        when,
        newest: format!("{} {}", newest.0 / shown.nanoseconds(), shown.words()),
        year: year(newest),
        better: unit.and_then(|unit| unit.better(newest)),
    })
}

/// The same of all partitions, by what their states count.
pub fn suspicion<'a>(
    times: &TimeOptions,
    states: impl Iterator<Item = &'a PartitionState>,
    ended: bool,
) -> Option<WrongUnit> {
    let mut counts = TimeCounts::default();
    for state in states {
        let PartitionState { counts: c, implausible, h, .. } = state;
        counts.valid += c.counted + c.late + c.quarantined + c.cleaned;
        // A state has one count for both, and what is quarantined moves no `h`.
        let early = c.quarantined == 0 && h.is_some_and(|newest| year(newest) < 1990);
        *(if early { &mut counts.before } else { &mut counts.either }) += implausible;
        counts.newest = counts.newest.max(*h);
    }
    wrong_unit(times, &counts, ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Decoder, FieldNames};
    use crate::partition::{Partition, Rule};
    use crate::record::Record;
    use crate::time::{EventTime, Monotonic, NextOffset};

    /// One partition after these payloads.
    fn after(payloads: &[&str]) -> PartitionState {
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let (now, far) = (Monotonic(0), EventTime(EventTime::LIMIT));
        let mut partition = Partition::new(Rule::default(), 0, NextOffset(0), true, now);
        for (offset, payload) in (0..).zip(payloads) {
            let payload = Some(payload.as_bytes());
            partition.begin_record(offset);
            match decoder.decode(&Record { offset, key: None, payload, ..Record::default() }) {
                Ok(event) => drop(partition.judge(event.time, None, far, now)),
                Err(rejection) => partition.reject(&rejection),
            }
        }
        partition.report(None, now)
    }

    #[test]
    fn rejected_records_are_counted_by_reason_and_field() {
        let no_time = r#"{"symbol":"A","price":1}"#;
        let a = after(&[no_time, "x", no_time, r#"{"symbol":"A","price":1,"ts":1}"#]);
        let b = after(&["", no_time, r#"{"symbol":"A","ts":1}"#]);
        let names = ["a", "b"].map(|log| PartitionName { log: log.into(), number: None });
        let all = rejected(names.iter().zip([&a, &b]));
        let shown: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["null ts ×3", "json ×2", "null price ×1"]);
        assert_eq!(all[1].example(), format!("partition a, offset 1: {}", a.rejected_by[1].finding));
        let sum = |state: &PartitionState| state.rejected_by.iter().map(|by| by.count).sum::<i64>();
        assert_eq!((sum(&a), sum(&b)), (a.counts.rejected, b.counts.rejected));
        // They are part of the state, and a state without them is read.
        let mut json = serde_json::to_value(&a).unwrap();
        assert_eq!(serde_json::from_value::<PartitionState>(json.clone()).unwrap(), a);
        for new in ["rejected_by", "implausible", "late_by"] {
            json.as_object_mut().unwrap().remove(new).unwrap();
        }
        let old: PartitionState = serde_json::from_value(json).unwrap();
        assert_eq!((old.rejected_by.len(), old.implausible, old.late_by), (0, 0, None));
        assert_eq!(
            Partition::resume(Rule::default(), &a, true, Monotonic(0)).report(None, Monotonic(0)).rejected_by,
            a.rejected_by
        );
    }

    #[test]
    fn that_nothing_counts_is_told_from_a_log_without_matches() {
        let of = |counts: Counts| NothingCounts::of(&counts).map(NothingCounts::name);
        let read = Counts { read: 9, events: 9, ..Counts::default() };
        assert_eq!(of(Counts::default()), None);
        assert_eq!(of(Counts { counted: 1, rejected: 8, ..read }), None);
        assert_eq!(of(Counts { rejected: 9, ..read }), Some("rejected"));
        assert_eq!(of(Counts { rejected: 1, skipped: 8, ..read }), Some("rejected"));
        assert_eq!(of(Counts { skipped: 9, ..read }), Some("skipped"));
        assert_eq!(of(Counts { late: 8, duplicates: 1, ..read }), Some("late"));
        assert_eq!(of(Counts { quarantined: 9, ..read }), Some("quarantined"));
        assert_eq!(of(Counts { quarantined: 8, rejected: 1, ..read }), Some("several"));
        assert!(!NothingCounts::Skipped.is_trouble() && NothingCounts::Rejected.is_trouble());
        let letters = Counts { quarantined: 5, past: 2, ..read };
        let by_reason: Vec<_> = judged(&letters).filter(|(_, count)| *count > 0).collect();
        assert_eq!(by_reason, [(Reason::Future, 3), (Reason::Past, 2)]);
        assert_eq!(of(Counts { cleaned: 9, off_session: 9, ..read }), Some("cleaned"));
        assert_eq!(of(Counts { cleaned: 8, late: 1, ..read }), Some("several"));
        let letters = Counts { cleaned: 9, off_session: 2, outliers: 3, ..read };
        assert_eq!(cleaned(&letters), [(Reason::Session, 2), (Reason::Bounds, 4), (Reason::Outlier, 3)]);
    }

    #[test]
    fn seconds_that_are_read_as_milliseconds_are_noticed() {
        let seconds: Vec<String> =
            (0..1000).map(|n| format!(r#"{{"symbol":"A","price":1,"ts":{}}}"#, 1_772_440_200 + n)).collect();
        let seconds: Vec<&str> = seconds.iter().map(String::as_str).collect();
        let of = |state: &PartitionState, ended| suspicion(&TimeOptions::default(), std::iter::once(state), ended);
        let said = of(&after(&seconds), false).unwrap().to_string();
        assert_eq!(
            said,
            "all 1000 event times are before 1990 (the newest, 1772441199 milliseconds, is of 1970): read as seconds it would be \
             of 2026"
        );
        assert_eq!(of(&after(&seconds[1..]), false), None, "too few yet");
        let one = of(&after(&seconds[..1]), true).unwrap().to_string();
        assert!(one.starts_with("the only event time is before 1990 ("), "there will be no more: {one}");
        let mut with_one = seconds.clone();
        with_one.push(r#"{"symbol":"A","price":1,"ts":1772440200000}"#);
        assert_eq!(of(&after(&with_one), true), None, "one is plausible");
        assert_eq!(of(&after(&["x"]), true), None, "none is valid");
        // Texts of a time long ago: no unit is at fault.
        let long_ago = after(&[r#"{"symbol":"A","price":1,"ts":"1985-03-01T00:00:00Z"}"#]);
        let wrong = of(&long_ago, true).unwrap();
        assert!(wrong.better.is_none() && wrong.year == 1985, "{wrong}");
        let format = TimeOptions { format: Some("%F".into()), ..TimeOptions::default() };
        let wrong = suspicion(&format, std::iter::once(&long_ago), true).unwrap();
        assert_eq!((wrong.unit, wrong.newest.as_str()), (None, "478483200 seconds"));
        // Nothing says whether one that a state counts late or early is one or the other.
        let late = after(&[r#"{"symbol":"A","price":1,"ts":"2110-01-01T00:00:00Z"}"#]);
        assert_eq!(of(&late, true).unwrap().when, "before 1990 or after 2099");
    }
}
