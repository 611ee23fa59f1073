//! What a person sees of a run, on stderr: a line a second, and the ledger at the end.

use crate::clock::Clock;
use crate::sinks::Health;
use crate::state;
use jiff::Timestamp;
use minutely_dataflows::control::Status;
use minutely_dataflows::edge::LogSource;
use minutely_dataflows::time::{EventTime, Monotonic, SECOND};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Prints the lines.
pub(crate) struct Live {
    clock: Clock,
    healths: Vec<Arc<Health>>,
    state: Option<Arc<state::Health>>,
    source: Arc<dyn LogSource>,
    letters: PathBuf,
    at: Option<(Monotonic, i64)>,
    letters_told: bool,
}

impl Live {
    /// `healths` of all sinks, of the state, and of the source; `letters`: where dead letters go.
    pub(crate) fn new(
        clock: Clock,
        healths: Vec<Arc<Health>>,
        state: Option<Arc<state::Health>>,
        source: Arc<dyn LogSource>,
        letters: PathBuf,
    ) -> Self {
        Live { clock, healths, state, source, letters, at: None, letters_told: false }
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
        let source =
            self.source.trouble().map(|why| format!("source: {why}")).into_iter().chain(self.source.concerns());
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
    }

    /// The end.
    pub(crate) fn end(&self, status: &Status) {
        let counts = &status.ledger.counts;
        let unwritable: u64 = self.healths.iter().map(|health| health.unwritable()).sum();
        say(&format!(
            "done: {} records read = {} counted + {} late + {} rejected + {} future; {} counted = {} in windows held + {} in \
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
        if dead(status) > 0 {
            say(&format!("{} dead letters: {}", dead(status), self.letters.display()));
        }
        if unwritable > 0 {
            say(&format!("{unwritable} points that a database will never take: unwritable.jsonl in the same folder"));
        }
    }
}

/// To people. A closed stderr is nobody's trouble.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "minutely: {text}");
}

fn dead(status: &Status) -> i64 {
    let counts = &status.ledger.counts;
    counts.late + counts.rejected + counts.quarantined
}

fn line(status: &Status, rate: i128, wall: EventTime) -> String {
    let counts = &status.ledger.counts;
    let known = || status.partitions.iter().filter_map(|(_, state)| state.as_ref());
    let slowest = status.partitions.iter().filter_map(|(found, state)| Some((state.as_ref()?.watermark()?, found)));
    let by = match slowest.min_by_key(|(mark, _)| *mark) {
        Some((_, found)) if known().count() > 1 => format!(" by {}", found.name),
        _ => String::new(),
    };
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
         paused | ledger: {} counted = {} held + {} forgotten; {} late, {} rejected, {} future",
        mark(status.marks.w),
        status.ledger.keys,
        status.partitions.len(),
        counts.counted,
        status.ledger.held,
        status.ledger.retired,
        counts.late,
        counts.rejected,
        counts.quarantined
    )
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
    fn times_are_for_people() {
        assert_eq!(mark(Some(EventTime(1_767_600_000_999_999_999))), "2026-01-05T08:00:00Z");
        assert_eq!(mark(None), "unknown yet");
        assert_eq!(
            (span(1_240_000_000), span(300 * SECOND), span(90_000 * SECOND)),
            ("1.2 s".into(), "5 min".into(), "25 h".into())
        );
    }
}
