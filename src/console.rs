//! What a person sees of a run, on stderr: a line a second, and the ledger at the end.

use crate::clock::SystemClock;
use crate::sinks::Health;
use crate::store;
use jiff::Timestamp;
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::edge::LogSource;
use minutely_dataflows::escape::escaped;
use minutely_dataflows::explain::{self, Rejected};
use minutely_dataflows::partition::PartitionState;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::status::{Ledger, Status};
use minutely_dataflows::time::{EventTime, Monotonic, SECOND, Windowing};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Prints the lines.
pub(crate) struct Live {
    clock: SystemClock,
    healths: Vec<Arc<Health>>,
    state: Option<Arc<store::Health>>,
    source: Arc<dyn LogSource>,
    letters: PathBuf,
    windowing: Windowing,
    /// Where an event's parts are looked for.
    fields: FieldNames,
    at: Option<(Monotonic, i64)>,
    letters_told: bool,
    /// That nothing counts, and that event times are of an unlikely unit.
    rejection_told: bool,
    suspicion_told: bool,
}

impl Live {
    /// `healths` of all sinks, of the state, and of the source; `letters`: where dead letters go.
    pub(crate) fn new(
        clock: SystemClock,
        healths: Vec<Arc<Health>>,
        state: Option<Arc<store::Health>>,
        source: Arc<dyn LogSource>,
        letters: PathBuf,
        windowing: Windowing,
        fields: FieldNames,
    ) -> Self {
        Live {
            clock,
            healths,
            state,
            source,
            letters,
            windowing,
            fields,
            at: None,
            letters_told: false,
            rejection_told: false,
            suspicion_told: false,
        }
    }

    /// A line, if the last is a second old.
    pub(crate) fn commit(&mut self, status: &Status) {
        let now = self.clock.monotonic();
        let read = status.ledger.counts.read;
        let Some((before, read_before)) = self.at else {
            self.at = Some((now, read));
            return;
        };
        let elapsed = now.0 - before.0;
        if elapsed < SECOND * 9 / 10 {
            return;
        }
        self.at = Some((now, read));
        let rate = i128::from(read - read_before) * i128::from(SECOND) / i128::from(elapsed);
        let line = line(status, rate, self.clock.wall());
        let state = self.state.iter().filter_map(|health| health.complaint());
        let source = self.source.trouble().map(|why| format!("source: {why}")).into_iter();
        let source = source.chain(self.source.concerns()).chain(partial(status));
        let waiting = self.source.waiting().into_iter().filter(|waiting| !waiting.is_trouble);
        let source = source.chain(waiting.map(|waiting| waiting.told()));
        let sinks = self.healths.iter().filter_map(|health| health.complaint());
        let troubles = source.chain(sinks).chain(state);
        let troubles = troubles.map(|why| format!(" | {why}"));
        say(&format!("{line}{}", troubles.collect::<String>()));
        if !self.letters_told && dead(status) > 0 {
            self.letters_told = true;
            say(&format!("dead letters, each with its reason: {}", self.letters.display()));
        }
        if let (false, Some(why)) = (self.rejection_told, nothing_counts(status, &self.fields)) {
            self.rejection_told = true;
            say(&why);
        }
        if let (false, Some(why)) = (self.suspicion_told, suspicion(status, &self.fields, false)) {
            self.suspicion_told = true;
            say(&why);
        }
    }

    /// The end.
    pub(crate) fn end(&self, status: &Status) {
        let counts = &status.ledger.counts;
        let unwritable: u64 = self.healths.iter().map(|health| health.unwritable()).sum();
        if let Some(why) = nothing_counts(status, &self.fields) {
            say(&why);
        }
        if let (false, Some(why)) = (self.suspicion_told, suspicion(status, &self.fields, true)) {
            say(&why);
        }
        say(&format!(
            "done: {} records read = {} counted + {} late + {} rejected + {} quarantined; {} counted = {} in windows held + {} in \
             windows forgotten; W {}",
            counts.read,
            counts.counted,
            counts.late,
            counts.rejected,
            counts.quarantined,
            counts.counted,
            status.ledger.held,
            status.ledger.retired,
            mark(status.marks.w)
        ));
        if let Some(open) = left_open(status, self.windowing) {
            say(&open);
        }
        if !status.grown.is_empty() {
            say(&format!(
                "grown since a run closed their windows: {}; records for those windows are late; from now on windows are left \
                 open at the end (--close closes them)",
                status.grown.join(", ")
            ));
        }
        for by in rejected(status).iter().take(MOST_REASONS) {
            say(&format!("rejected: {by}, first {}; {}", by.example(), by.advice(&self.fields)));
        }
        self.source.concerns().into_iter().chain(silent_starts(status)).for_each(|concern| say(&concern));
        if dead(status) > 0 {
            say(&format!("{} dead letters: {}", dead(status), self.letters.display()));
        }
        if unwritable > 0 {
            say(&format!("{unwritable} points that a database will never take: unwritable.jsonl in the same folder"));
        }
    }
}

/// To people, one line whatever names and foreign text are in it. A closed stderr is nobody's trouble.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "minutely: {}", escaped(text));
}

/// Reasons that are named at most.
const MOST_REASONS: usize = 3;

fn known(status: &Status) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
    status.partitions.iter().filter_map(|(found, state)| Some((&found.name, state.as_ref()?)))
}

fn rejected(status: &Status) -> Vec<Rejected<'_>> {
    explain::rejected(known(status))
}

fn suspicion(status: &Status, fields: &FieldNames, ended: bool) -> Option<String> {
    explain::suspicion(fields.unit, known(status).map(|(_, state)| state), ended)
}

/// Every record was rejected: why, and what to do.
fn nothing_counts(status: &Status, fields: &FieldNames) -> Option<String> {
    let counts = &status.ledger.counts;
    if counts.read == 0 || counts.rejected < counts.read {
        return None;
    }
    let all = rejected(status);
    let why = all.first().map(|by| {
        let others = if all.len() > 1 { ", most often " } else { ": " };
        format!("{others}{by}, first {}; {}", by.example(), by.advice(fields))
    });
    Some(format!("NOTHING COUNTS: all {} records that were read were rejected{}", counts.read, why.unwrap_or_default()))
}

/// The rejected ones of the line, with the most frequent reasons.
fn rejected_words(status: &Status) -> String {
    let all = rejected(status);
    if all.is_empty() {
        return format!("{} rejected", status.ledger.counts.rejected);
    }
    let named: Vec<_> = all.iter().take(MOST_REASONS).map(ToString::to_string).collect();
    let more = if all.len() > MOST_REASONS { ", …" } else { "" };
    format!("{} rejected ({}{more})", status.ledger.counts.rejected, named.join(", "))
}

/// What a bounded run leaves for a later one to go on with.
fn left_open(status: &Status, windowing: Windowing) -> Option<String> {
    if !status.keeps_open || status.ledger.held == 0 {
        return None;
    }
    let from = mark(status.marks.w.map(|w| EventTime(windowing.first_not_final(Some(w)).0)));
    let Ledger { held, keys, .. } = status.ledger;
    Some(format!(
        "left open: {held} records in {keys} windows of symbols, those from {from} on, which later records may change; a later run \
         goes on with them, and --close makes them final"
    ))
}

fn dead(status: &Status) -> i64 {
    let counts = &status.ledger.counts;
    counts.late + counts.rejected + counts.quarantined
}

fn line(status: &Status, rate: i128, wall: EventTime) -> String {
    let counts = &status.ledger.counts;
    let known = || status.partitions.iter().filter_map(|(_, state)| state.as_ref());
    let by = slowest(status).map_or(String::new(), |by| format!(" by {by}"));
    let lag = status.marks.w.map(|w| match wall.0 - w.0 {
        ahead @ ..0 => format!(", {} ahead of the clock", span(-ahead)),
        behind => format!(", {} behind the clock{by}", span(behind)),
    });
    let lag = lag.unwrap_or_default();
    let paused = known().filter(|s| s.paused).count();
    let caught_up = known().filter(|s| s.caught_up).count();
    let waits = if status.waits_for_sinks { ": --max-keys, waits for sinks to store what is final" } else { "" };
    format!(
        "{rate} records/s{waits} | W {}{lag} | {} windows of symbols open | partitions: {} known, {caught_up} caught up, {paused} \
         paused | ledger: {} counted = {} held + {} forgotten; {} late, {}, {} quarantined",
        mark(status.marks.w),
        status.ledger.keys,
        status.partitions.len(),
        counts.counted,
        status.ledger.held,
        status.ledger.retired,
        counts.late,
        rejected_words(status),
        counts.quarantined
    )
}

/// The partition that holds W back, of several; and what to do where it is a day or more behind all others, which wait for it.
fn slowest(status: &Status) -> Option<String> {
    const A_DAY: i64 = 86_400 * SECOND;
    let marks = status.partitions.iter().filter_map(|(found, state)| Some((state.as_ref()?.watermark()?, found)));
    let mut marks: Vec<_> = marks.collect();
    marks.sort_unstable_by_key(|(mark, _)| *mark);
    let ((mark, found), (next, _)) = (marks.first()?, marks.get(1)?);
    let paused = status.partitions.iter().any(|(_, state)| state.as_ref().is_some_and(|state| state.paused));
    let alone = paused && next.0.saturating_sub(mark.0) >= A_DAY;
    let hint = if alone { " (a day or more behind all others: if its clock is wrong, see --max-past)" } else { "" };
    Some(format!("{}{hint}", found.name))
}

/// What is to be said of rows that are `partial` because of partitions without a record (R13), while that goes on.
pub(crate) fn partial(status: &Status) -> Option<String> {
    let over = status.marks.partial_before.is_some_and(|before| status.marks.w >= Some(before));
    silent_starts(status).filter(|_| !over)
}

/// Which minutes are `partial` because of partitions without a record, and what helps.
fn silent_starts(status: &Status) -> Option<String> {
    const NAMED: usize = 3;
    if status.ledger.counts.counted == 0 {
        return None; // there are no rows
    }
    let all: Vec<_> = status.silent_starts().collect();
    let begin = match &all[..] {
        [] => return None,
        [one] => format!("partition {} begins at offset {} and has", one.name, one.start.0),
        _ => {
            let names: Vec<_> = all.iter().take(NAMED).map(|found| found.name.to_string()).collect();
            let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
            format!("partitions {}{more} begin above offset 0 and have", names.join(", "))
        }
    };
    let which = match status.marks.partial_before {
        Some(before) => format!("minutes before {} are", mark(Some(before))),
        None => "all minutes are".to_owned(),
    };
    Some(format!(
        "{which} `partial`: {begin} no valid record, so nothing tells what was there before; --complete-from TIME says from \
         when on the log is complete (a state that began without it stays so: give a new --job NAME)"
    ))
}

/// RFC 3339, to the second.
pub(crate) fn mark(time: Option<EventTime>) -> String {
    let stamp = time.and_then(|time| Timestamp::from_second(time.0.div_euclid(SECOND)).ok());
    stamp.map_or("unknown yet".into(), |stamp| stamp.to_string())
}

/// For the names of files.
pub(crate) fn stamp(now: EventTime) -> String {
    let stamp = Timestamp::from_nanosecond(i128::from(now.0)).unwrap_or_default();
    stamp.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A length of time, for people.
pub(crate) fn span(ns: i64) -> String {
    let seconds = ns / SECOND;
    match seconds.abs() {
        0..120 => format!("{}.{} s", seconds, (ns / (SECOND / 10)).abs() % 10),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_why_nothing_is_read() {
        let line = |waits_for_sinks| line(&Status { waits_for_sinks, ..Status::default() }, 0, EventTime(0));
        assert!(line(true).starts_with("0 records/s: --max-keys, waits for sinks"), "{}", line(true));
        assert!(line(false).starts_with("0 records/s | W "), "{}", line(false));
    }

    #[test]
    fn a_partition_that_is_far_behind_all_others_is_named_with_the_option() {
        use minutely_dataflows::edge::Discovered;
        use minutely_dataflows::partition::{Partition, Rule};
        use minutely_dataflows::time::NextOffset;

        let status = |seconds: [i64; 2]| {
            let partition = |(number, second): (i32, i64)| {
                let (start, name) = (NextOffset(0), PartitionName { log: "t".into(), number: Some(number) });
                let mut partition = Partition::new(Rule::default(), 0, start, false, Monotonic(0));
                let time = EventTime(second * SECOND);
                partition.judge(0, time, None, time, Monotonic(0));
                let found = Discovered { name, start, earliest: start, end: None, log_id: None };
                (found, Some(partition.report(Some(EventTime(0)), Monotonic(0))))
            };
            Status { partitions: (0..).zip(seconds).map(partition).collect(), ..Status::default() }
        };
        assert_eq!(slowest(&status([5000, 10])).as_deref(), Some("t/1"));
        let hint = slowest(&status([1_767_600_000, 10])).unwrap();
        assert!(hint.starts_with("t/1 (") && hint.contains("--max-past"), "{hint}");
        let one = Status { partitions: status([5, 6]).partitions[..1].to_vec(), ..Status::default() };
        assert_eq!(slowest(&one), None);
    }

    #[test]
    fn rows_that_stay_partial_are_explained_while_they_do() {
        use minutely_dataflows::edge::Discovered;
        use minutely_dataflows::partition::{Counts, PartitionState};
        use minutely_dataflows::record::PartitionName;
        use minutely_dataflows::time::NextOffset;

        let mut status = Status::default();
        for number in 0..5 {
            let (start, name) = (NextOffset(10), PartitionName { log: "t".into(), number: Some(number) });
            let found = Discovered { name, start, earliest: start, end: None, log_id: None };
            let state = PartitionState {
                index: 0,
                start,
                next: start,
                h: (number == 4).then_some(EventTime(0)),
                floor: None,
                caught_up: true,
                ended: false,
                paused: false,
                newest_end: None,
                silence: 0,
                partial_before: None,
                counts: Counts::default(),
                rejected_by: Vec::new(),
                implausible: 0,
                last: None,
            };
            status.partitions.push((found, Some(state)));
        }
        assert_eq!(partial(&status), None, "there is no row");
        status.ledger.counts.counted = 1;
        let said = partial(&status).unwrap();
        assert!(
            said.starts_with("all minutes are `partial`: partitions t/0, t/1, t/2 and 1 more begin above"),
            "{said}"
        );
        status.partitions.drain(1..4);
        status.marks.partial_before = Some(EventTime(1_767_600_000 * SECOND));
        let said = partial(&status).unwrap();
        let begins =
            "minutes before 2026-01-05T08:00:00Z are `partial`: partition t/0 begins at offset 10 and has no valid";
        assert!(said.starts_with(begins) && said.contains("--complete-from TIME"), "{said}");
        status.marks.w = status.marks.partial_before;
        assert_eq!(partial(&status), None, "what comes now is whole");
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(mark(Some(EventTime(1_767_600_000_999_999_999))), "2026-01-05T08:00:00Z");
        assert_eq!(mark(None), "unknown yet");
        assert_eq!(
            (span(1_240_000_000), span(300 * SECOND), span(90_000 * SECOND)),
            ("1.2 s".into(), "5 min".into(), "25 h".into())
        );
    }
}
