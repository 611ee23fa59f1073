//! What a person sees of a run, on stderr: a line a second, and the ledger at the end.

use crate::advice::{self, MOST_REASONS};
use crate::bar;
use crate::clock::SystemClock;
use crate::dead_letter_files::DeadLetterFiles;
use crate::fmt::{duration, first_equation, number_of, rounded, utc};
use crate::messages::{self, MessageField, Severity};
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::edge::LogSource;
use minutely_dataflows::explain::{self, NothingCounts, Rejected};
use minutely_dataflows::partition::{Counts, PartitionState};
use minutely_dataflows::record::{PartitionName, Reason};
use minutely_dataflows::status::{OpenWindows, Status};
use minutely_dataflows::time::{EventTime, Monotonic, SECOND, Windowing};
use std::io::Write;
use std::sync::Arc;

/// What a console shows, and of what.
pub(crate) struct ConsoleOptions {
    pub(crate) clock: SystemClock,
    pub(crate) source: Arc<dyn LogSource>,
    /// What sinks and state are waiting for at present, one paragraph each; empty while all make progress.
    pub(crate) complaints: Box<dyn Fn() -> Vec<String>>,
    /// Points that databases have refused for good, since the run began.
    pub(crate) unwritable: Box<dyn Fn() -> u64>,
    /// The files of dead letters.
    pub(crate) dead_letters: DeadLetterFiles,
    /// Records that cannot be decoded are no dead letters (`--on-bad drop`).
    pub(crate) drops_bad: bool,
    pub(crate) windowing: Windowing,
    /// Where an event's fields are looked for.
    pub(crate) fields: FieldNames,
    /// The log is read to its recorded ends, so there is something to show of how far it was read.
    pub(crate) bounded: bool,
    /// No sink takes rows of windows that are not final (`--emit final`).
    pub(crate) final_only: bool,
}

/// While there is no status line, what is waited for is said this often.
const REMIND_EVERY: i64 = 60 * SECOND;

/// Prints a line a second, where progress is shown, and each remark once.
pub(crate) struct Console {
    options: ConsoleOptions,
    /// The run is bounded, and a terminal is there.
    shows_bar: bool,
    /// When troubles were last said without a status line.
    reminded: Option<Monotonic>,
    /// When the last line was printed, and how many records had been read.
    printed: Option<(Monotonic, i64)>,
    /// Remarks that were printed: where dead letters are, that nothing counts, that event times are of an unlikely unit.
    announced_dead_letters: bool,
    announced_nothing: Option<NothingCounts>,
    announced_suspicion: bool,
}

impl Console {
    /// Nothing is printed yet.
    pub(crate) fn new(options: ConsoleOptions) -> Self {
        Console {
            shows_bar: options.bounded && messages::shows_bar(),
            options,
            reminded: None,
            printed: None,
            announced_dead_letters: false,
            announced_nothing: None,
            announced_suspicion: false,
        }
    }

    /// Prints a line, if the last is a second old.
    pub(crate) fn show(&mut self, status: &Status) {
        let now = self.options.clock.monotonic();
        let read = status.ledger.counts.read;
        if self.shows_bar {
            bar::show(status, self.options.source.progress());
        }
        let Some((before, read_before)) = self.printed else {
            self.printed = Some((now, read));
            return;
        };
        let elapsed = now.0 - before.0;
        if elapsed < SECOND * 9 / 10 {
            return;
        }
        self.printed = Some((now, read));
        let rate = i128::from(read - read_before) * i128::from(SECOND) / i128::from(elapsed);
        bar::show_rate(rate);
        let source = self.options.source.trouble().map(|why| format!("source: {why}")).into_iter();
        let source = source.chain(self.options.source.concerns()).chain(partial(status));
        let waiting = self.options.source.waiting().into_iter().filter(|waiting| !waiting.is_trouble);
        let source = source.chain(waiting.map(|waiting| waiting.describe()));
        let troubles: Vec<_> = source.chain((self.options.complaints)()).collect();
        self.show_status(status, rate, &troubles);
        if !self.announced_dead_letters && self.dead_letters(status) > 0 {
            self.announced_dead_letters = true;
            let place = self.options.dead_letters.described();
            say(&format!("dead letters, each with its reason: {place}"));
        }
        let nothing = NothingCounts::of(&status.ledger.counts);
        if nothing != self.announced_nothing {
            self.announced_nothing = nothing;
            nothing_counts(status, &self.options.fields).iter().for_each(|why| warn(why));
        }
        if let (false, Some(why)) = (self.announced_suspicion, suspicion(status, &self.options.fields, false)) {
            self.announced_suspicion = true;
            warn(&why);
        }
    }

    /// The status line; without one, what is waited for.
    fn show_status(&mut self, status: &Status, rate: i128, troubles: &[String]) {
        let (now, wall) = (self.options.clock.monotonic(), self.options.clock.wall());
        if messages::shows_progress() {
            let troubles: String = troubles.iter().map(|why| format!(" | {why}")).collect();
            let line = status_line(status, rate, wall) + &troubles;
            messages::line(Severity::Info, &line, &status_fields(status, rate, wall));
        } else if !troubles.is_empty() && self.reminded.is_none_or(|last| now.0 - last.0 >= REMIND_EVERY) {
            self.reminded = Some(now);
            warn(&troubles.join(" | "));
        }
    }

    /// Prints how the run ended.
    pub(crate) fn end(&self, status: &Status) {
        bar::remove();
        let counts = &status.ledger.counts;
        let unwritable = (self.options.unwritable)();
        if let Some(why) = nothing_counts(status, &self.options.fields) {
            warn(&why);
        }
        if let (false, Some(why)) = (self.announced_suspicion, suspicion(status, &self.options.fields, true)) {
            warn(&why);
        }
        let done = format!(
            "done: {}{}; {} counted = {} in windows held + {} in windows forgotten; W {}",
            first_equation(counts),
            rounded(counts),
            counts.counted,
            status.ledger.held,
            status.ledger.retired,
            utc(status.marks.w)
        );
        messages::line(Severity::Info, &done, &ledger_fields(status));
        late(status).iter().for_each(|why| warn(why));
        if let Some(open) = left_open(status, self.options.windowing) {
            say(&open);
        }
        if let Some(open) = coarser_left_open(status, self.options.final_only) {
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
            say(&format!("rejected: {by}, first {}; {}", by.example(), advice::of_rejected(by, &self.options.fields)));
        }
        self.options.source.concerns().into_iter().chain(silent_starts(status)).for_each(|concern| say(&concern));
        if self.options.drops_bad && counts.rejected > 0 {
            let were = if counts.rejected == 1 { "was" } else { "were" };
            let records = number_of(counts.rejected, "record");
            say(&format!("{records} that cannot be decoded {were} dropped (--on-bad drop)"));
        }
        if self.dead_letters(status) > 0 {
            let letters = number_of(self.dead_letters(status), "dead letter");
            say(&format!("{letters}: {}", self.options.dead_letters.described()));
        }
        if unwritable > 0 {
            warn(&format!("{unwritable} points that a database will never take: unwritable.jsonl in the same folder"));
        }
    }
}

impl Console {
    /// How many are in the file, or will be.
    fn dead_letters(&self, status: &Status) -> i64 {
        let counts = &status.ledger.counts;
        counts.late + counts.quarantined + counts.cleaned + if self.options.drops_bad { 0 } else { counts.rejected }
    }
}

/// Prints on stdout. Whoever closes the pipe has seen enough.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        bar::remove();
    }
}
/// Prints one line on stderr, whatever names and foreign text are in it; a warning if it begins with `warning: `.
pub(crate) fn say(text: &str) {
    match text.strip_prefix(WARNING) {
        Some(text) => messages::line(Severity::Warn, text, &[]),
        None => messages::line(Severity::Info, text, &[]),
    }
}

/// Prints a warning.
pub(crate) fn warn(text: &str) {
    messages::line(Severity::Warn, text.strip_prefix(WARNING).unwrap_or(text), &[]);
}

/// Prints why a command failed.
pub(crate) fn error(text: &str) {
    messages::line(Severity::Error, text, &[]);
}

const WARNING: &str = "warning: ";

fn known(status: &Status) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
    status.partitions.iter().filter_map(|(found, state)| Some((&found.name, state.as_ref()?)))
}

fn rejected(status: &Status) -> Vec<Rejected<'_>> {
    explain::rejected(known(status))
}

fn suspicion(status: &Status, fields: &FieldNames, ended: bool) -> Option<String> {
    explain::suspicion(&fields.times, known(status).map(|(_, state)| state), ended).as_ref().map(advice::of_unit)
}

/// Why no event counts, and what to do; `None` where one counts, or none was read.
fn nothing_counts(status: &Status, fields: &FieldNames) -> Option<String> {
    advice::of_nothing_counted(&status.ledger.counts, &rejected(status), fields)
}

/// How many records were rejected, with the most frequent reasons.
fn rejected_words(status: &Status) -> String {
    let all = rejected(status);
    if all.is_empty() {
        return format!("{} rejected", status.ledger.counts.rejected);
    }
    let named: Vec<_> = all.iter().take(MOST_REASONS).map(ToString::to_string).collect();
    let more = if all.len() > MOST_REASONS { ", …" } else { "" };
    format!("{} rejected ({}{more})", status.ledger.counts.rejected, named.join(", "))
}

/// Of a log that was read to its end: what is to be said of late records, where they are more than one in a hundred valid ones.
fn late(status: &Status) -> Option<String> {
    let counts = &status.ledger.counts;
    let valid = counts.counted + counts.late;
    let states = || known(status).map(|(_, state)| state);
    if counts.late * 100 <= valid || !states().all(|state| state.ended) {
        return None;
    }
    // None in a state of a version that did not measure it.
    let by: Option<Vec<i64>> = states().filter(|state| state.counts.late > 0).map(|state| state.late_by).collect();
    Some(advice::of_late(counts.late, valid, by.and_then(|by| by.into_iter().max())))
}

/// The windows that a bounded run leaves open for a later one.
fn left_open(status: &Status, windowing: Windowing) -> Option<String> {
    let newest_end = status.partitions.iter().filter_map(|(_, state)| state.as_ref()?.newest_end).max();
    let all_final = newest_end.map(|end| end.plus(windowing.lateness)) <= status.marks.w;
    if !status.keeps_open || status.ledger.held == 0 || all_final {
        return None;
    }
    let from = utc(status.marks.w.map(|w| EventTime(windowing.first_not_final(Some(w)).0)));
    let (held, windows) = (number_of(status.ledger.held, "record"), number_of(status.ledger.keys, "window"));
    Some(format!(
        "left open: windows from {from} on, which later records may change ({held} in {windows} of symbols are held); a \
         later run resumes them, and --close makes them final"
    ))
}

/// The coarser windows that a bounded run leaves open for a later one.
fn coarser_left_open(status: &Status, final_only: bool) -> Option<String> {
    if !status.keeps_open || status.open_coarser.is_empty() {
        return None;
    }
    let of = |open: &OpenWindows| format!("{} of {} until {}", open.series, open.level, utc(Some(open.until)));
    let all: Vec<_> = status.open_coarser.iter().map(of).collect();
    let rows = if final_only { "they have no rows yet (--emit final); " } else { "" };
    Some(format!(
        "coarser windows of symbols left open: {}; {rows}a later run resumes them, and --close makes them final",
        all.join(", ")
    ))
}

/// How many are quarantined, with the reasons where `past` is one of them.
fn quarantined_words(counts: &Counts) -> String {
    let named = |(reason, _): &(Reason, i64)| counts.past > 0 && [Reason::Future, Reason::Past].contains(reason);
    format!("{} quarantined{}", counts.quarantined, reason_words(explain::judged(counts).filter(named)))
}

/// How many are cleaned, by reason, with a comma before it, where there are any.
fn cleaned_words(counts: &Counts) -> String {
    if counts.cleaned == 0 {
        return String::new();
    }
    format!(", {} cleaned{}", counts.cleaned, reason_words(explain::cleaned(counts).into_iter()))
}

/// Reasons in brackets, each with how often it was, of which there may be none.
fn reason_words(reasons: impl Iterator<Item = (Reason, i64)>) -> String {
    let words = |(reason, count): (Reason, i64)| (count > 0).then(|| format!("{} ×{count}", reason.name()));
    let words: Vec<_> = reasons.filter_map(words).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// What is not in every log: each with a comma before it, where it is not 0.
fn rare_words(counts: &Counts) -> String {
    let term = |count: i64, name: &str| if count == 0 { String::new() } else { format!(", {count} {name}") };
    let events = match counts.events - counts.read {
        0 => String::new(),
        _ => format!("; {} read with {}", number_of(counts.read, "record"), number_of(counts.events, "event")),
    };
    let (skipped, duplicate) = (term(counts.skipped, "skipped"), term(counts.duplicates, "duplicate"));
    format!("{}{skipped}{duplicate}{}{events}", cleaned_words(counts), rounded(counts))
}

fn status_line(status: &Status, rate: i128, wall: EventTime) -> String {
    let counts = &status.ledger.counts;
    let known = || status.partitions.iter().filter_map(|(_, state)| state.as_ref());
    let held_back = slowest(status).map_or(String::new(), |by| format!(", held back by {by}"));
    let lag = status.marks.w.map(|w| match wall.0 - w.0 {
        ahead @ ..0 => format!(", {} ahead of the clock", duration(-ahead)),
        behind => format!(", {} behind the clock{held_back}", duration(behind)),
    });
    let lag = lag.unwrap_or_default();
    let paused = known().filter(|s| s.paused).count();
    let caught_up = known().filter(|s| s.caught_up).count();
    let waits =
        if status.waits_for_sinks { ": --max-keys is reached, waiting for sinks to store final rows" } else { "" };
    format!(
        "{rate} records/s{waits} | W {}{lag} | {} windows of symbols open | partitions: {} known, {caught_up} caught up, {paused} \
         paused | ledger: {} counted = {} held + {} forgotten; {} late, {}, {}{}",
        utc(status.marks.w),
        status.ledger.keys,
        status.partitions.len(),
        counts.counted,
        status.ledger.held,
        status.ledger.retired,
        counts.late,
        rejected_words(status),
        quarantined_words(counts),
        rare_words(counts)
    )
}

/// The ledger of a message in JSON: records, and W in RFC 3339.
fn ledger_fields(status: &Status) -> Vec<MessageField> {
    let (counts, ledger) = (&status.ledger.counts, &status.ledger);
    vec![
        ("read", counts.read.into()),
        ("events", counts.events.into()),
        ("counted", counts.counted.into()),
        ("held", ledger.held.into()),
        ("forgotten", ledger.retired.into()),
        ("late", counts.late.into()),
        ("rejected", counts.rejected.into()),
        ("quarantined", counts.quarantined.into()),
        ("cleaned", counts.cleaned.into()),
        ("skipped", counts.skipped.into()),
        ("duplicates", counts.duplicates.into()),
        ("w", status.marks.w.map(|w| utc(Some(w))).into()),
    ]
}

/// The numbers of the status line.
fn status_fields(status: &Status, rate: i128, wall: EventTime) -> Vec<MessageField> {
    let known = || status.partitions.iter().filter_map(|(_, state)| state.as_ref());
    let mut fields = vec![
        ("records_per_second", i64::try_from(rate).unwrap_or(i64::MAX).into()),
        ("behind_ms", status.marks.w.map(|w| (wall.0 - w.0) / (SECOND / 1000)).into()),
        ("open_windows", status.ledger.keys.into()),
        ("partitions", status.partitions.len().into()),
        ("caught_up", known().filter(|state| state.caught_up).count().into()),
        ("paused", known().filter(|state| state.paused).count().into()),
    ];
    fields.extend(ledger_fields(status));
    fields
}

/// The partition that holds W back, of several, with a hint where it is a day or more behind all others and they wait for it.
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

/// Why rows are `partial` for want of a record in some partitions (R13), while new rows are.
pub(crate) fn partial(status: &Status) -> Option<String> {
    let over = status.marks.partial_before.bound().is_some_and(|before| status.marks.w >= Some(before));
    silent_starts(status).filter(|_| !over)
}

/// Which minutes are `partial` for want of a record in some partitions, and what helps.
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
    let which = match status.marks.partial_before.bound() {
        Some(before) => format!("minutes before {} are", utc(Some(before))),
        None => "all minutes are".to_owned(),
    };
    Some(format!(
        "{which} `partial`: {begin} no valid record, so what was there before is unknown; --complete-from TIME says from \
         when on the log is complete (with a new --job NAME where a state began without it)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::partial::PartialBefore;

    #[test]
    fn a_line_says_why_nothing_is_read() {
        let line = |waits_for_sinks| status_line(&Status { waits_for_sinks, ..Status::default() }, 0, EventTime(0));
        assert!(line(true).starts_with("0 records/s: --max-keys is reached, waiting for sinks"), "{}", line(true));
        assert!(line(false).starts_with("0 records/s | W "), "{}", line(false));
    }

    #[test]
    fn terms_that_few_logs_have_are_said_where_they_are_not_zero() {
        let ledger = |counts: Counts| {
            let mut status = Status::default();
            status.ledger.counts = counts;
            status_line(&status, 0, EventTime(0)).split_once("; ").unwrap().1.to_owned()
        };
        assert_eq!(ledger(Counts::default()), "0 late, 0 rejected, 0 quarantined");
        let all = Counts { read: 5, events: 50, skipped: 9, duplicates: 2, rounded: 3, ..Counts::default() };
        assert_eq!(
            ledger(all),
            "0 late, 0 rejected, 0 quarantined, 9 skipped, 2 duplicate, 3 rounded; 5 records read with 50 events"
        );
        let far = Counts { read: 5, events: 5, quarantined: 5, past: 2, ..Counts::default() };
        assert_eq!(ledger(far), "0 late, 0 rejected, 5 quarantined (future ×3, past ×2)");
        assert_eq!(ledger(Counts { past: 5, ..far }), "0 late, 0 rejected, 5 quarantined (past ×5)");
        let cleaned = Counts { read: 9, events: 9, cleaned: 9, off_session: 4, outliers: 3, ..Counts::default() };
        let said = "0 late, 0 rejected, 0 quarantined, 9 cleaned (session ×4, bounds ×2, outlier ×3)";
        assert_eq!(ledger(cleaned), said);
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
                partition.begin_record(0);
                partition.judge(time, None, time, Monotonic(0));
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
                partial_before: PartialBefore::Unknown,
                counts: Counts::default(),
                rejected_by: Vec::new(),
                implausible: 0,
                late_by: None,
                filtered: Vec::new(),
                noted: None,
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
        status.marks.partial_before = PartialBefore::Time(EventTime(1_767_600_000 * SECOND));
        let said = partial(&status).unwrap();
        let begins =
            "minutes before 2026-01-05T08:00:00Z are `partial`: partition t/0 begins at offset 10 and has no valid";
        assert!(said.starts_with(begins) && said.contains("--complete-from TIME"), "{said}");
        status.marks.w = status.marks.partial_before.bound();
        assert_eq!(partial(&status), None, "what comes now is whole");
    }
}
