//! What a repair did, or would do, for a person and for a program.

use super::error::RepairError;
use super::sink::{RepairTally, RepairedRows, RepairedSink};
use crate::config::Config;
use crate::fmt::number_of;
use crate::text::MinuteText;
use crate::verify::{ComparedSink, MOST_SHOWN, PartitionRead, Unverifiable, described, findings_json};
use minutely_dataflows::escape::{escaped, escaped_json};
use minutely_dataflows::time::WindowStart;
use serde_json::json;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

/// See the module.
pub(super) struct RepairReport {
    /// Was it to be done?
    pub(super) is_done: bool,
    pub(super) asked: Range<WindowStart>,
    /// Minutes with rows, rows, and records that were read.
    pub(super) minutes: u64,
    pub(super) rows: u64,
    pub(super) records: u64,
    pub(super) sinks: Vec<RepairedSink>,
    /// Sinks that cannot be read back.
    pub(super) unreadable: Vec<String>,
    pub(super) partitions: Vec<PartitionRead>,
    pub(super) unverifiable: Vec<(Unverifiable, Range<WindowStart>)>,
    /// Minutes from here on are left.
    pub(super) doubtful: Option<WindowStart>,
    /// Dead letters that are not there, and what that means.
    pub(super) doubt: Option<String>,
    pub(super) took: Duration,
}

impl Default for RepairReport {
    fn default() -> Self {
        RepairReport {
            is_done: false,
            asked: WindowStart(0)..WindowStart(0),
            minutes: 0,
            rows: 0,
            records: 0,
            sinks: Vec::new(),
            unreadable: Vec::new(),
            partitions: Vec::new(),
            unverifiable: Vec::new(),
            doubtful: None,
            doubt: None,
            took: Duration::ZERO,
        }
    }
}

impl RepairReport {
    /// Adds minutes that cannot be counted again, after those that were added before.
    pub(super) fn add_unverifiable(&mut self, why: Unverifiable, minutes: Range<WindowStart>) {
        match self.unverifiable.last_mut() {
            Some((before, range)) if *before == why && range.end >= minutes.start => range.end = minutes.end,
            _ => self.unverifiable.push((why, minutes)),
        }
    }

    /// Why it is not well; none if it is. `was_asked`: minutes from a time on were asked for.
    pub(super) fn verdict(&self, was_asked: bool) -> Option<String> {
        let left: u64 = self.sinks.iter().map(RepairedSink::faults_left).sum();
        if !self.is_done && self.sinks.iter().any(RepairedSink::has_work) {
            return Some("something is to be repaired, as printed above; nothing was written (--yes does it)".into());
        }
        if left > 0 {
            return Some(format!("{} not repaired, as printed above", number_of(left, "row")));
        }
        if self.doubtful.is_some() {
            return Some("the log is not the one that the run has counted, as printed above".into());
        }
        if self.minutes == 0 && !self.unverifiable.is_empty() {
            return Some("nothing that was asked for can be counted again, as printed above".into());
        }
        let some = was_asked && !self.unverifiable.is_empty();
        some.then(|| "some of the minutes that were asked for cannot be counted again, as printed above".into())
    }

    /// For a person.
    pub(super) fn text(&self, config: &Config) -> String {
        let mut minute = MinuteText::new(config.settings.rule.windowing);
        let mut lines = Vec::new();
        let (from, to) = (minute.of(self.asked.start).to_owned(), minute.of(self.asked.end).to_owned());
        lines.push(format!(
            "{from} to {to}: {} and {} by the log, from {} in {:.1} s",
            number_of(self.minutes, "minute"),
            number_of(self.rows, "row"),
            number_of(self.records, "record"),
            self.took.as_secs_f64()
        ));
        self.sinks.iter().for_each(|sink| self.of_sink(sink, &mut minute, &mut lines));
        lines.extend(self.unreadable.iter().map(|sink| format!("{sink}: cannot be read back, so it is not repaired")));
        for (why, minutes) in &self.unverifiable {
            let (from, to) = (minute.of(minutes.start).to_owned(), minute.of(minutes.end).to_owned());
            lines.push(format!("{from} to {to}: {}; left as they are", why.reason()));
        }
        if let Some(from) = self.doubtful {
            lines.push(format!(
                "from {} on nothing is repaired: what the log gives for that minute is not what the run has counted, by the digest in the \
                 state (minutely verify says more)",
                minute.of(from)
            ));
        }
        lines.extend(self.doubt.clone());
        let mut text = String::new();
        lines.iter().for_each(|words| writeln!(text, "{}", escaped(words)).expect("a string takes it"));
        text
    }

    fn of_sink(&self, sink: &RepairedSink, minute: &mut MinuteText, lines: &mut Vec<String>) {
        sink.rows.iter().for_each(|rows| self.of_rows(rows, minute, lines));
        if sink.behind {
            let then = if self.is_done { "a run takes it again" } else { "a run refuses it until it is repaired" };
            lines.push(format!("  it had less than the state knows: {then}"));
        }
        lines.extend(sink.remarks.iter().map(|remark| format!("  {remark}")));
    }

    fn of_rows(&self, rows: &RepairedRows, minute: &mut MinuteText, lines: &mut Vec<String>) {
        let ComparedSink { name, tally: found, .. } = &rows.compared;
        let kind = rows.compared.kind_name().map(|kind| format!(", {kind}")).unwrap_or_default();
        let RepairTally { write, delete, left, without, .. } = &rows.tally;
        let (wrote, deleted) = if self.is_done { ("written", "deleted") } else { ("to write", "to delete") };
        if found.faults() == 0 {
            lines.push(format!("{name}{kind}: nothing to do, {} equal", number_of(found.equal, "row")));
            return;
        }
        lines.push(format!(
            "{name}{kind}: {} {wrote} ({} missing, {} different), {} {deleted}",
            number_of(*write, "row"),
            found.missing,
            found.different,
            number_of(*delete, "extra row")
        ));
        let (findings, foreign, more) = found.shown(MOST_SHOWN);
        for finding in findings {
            let what = described(finding, &self.partitions);
            lines.push(format!("  {} {}: {what}", minute.of(finding.minute), finding.symbol));
        }
        lines.extend(foreign.map(|what| format!("  {what}")));
        if more > 0 {
            lines.push(format!("  {more} more (--json lists a thousand)"));
        }
        if *without > 0 {
            lines.push(format!(
                "  {} without columns that are made of minutes before those that were read",
                number_of(*without, "row")
            ));
        }
        if *left > 0 {
            lines.push(format!(
                "  {} left: nothing is taken out of a file that only grows; delete what is named as extra by hand, or move the file away, \
                 and repair again, which makes it anew",
                number_of(*left, "extra row")
            ));
        }
        if let Some(again) = &rows.again {
            let found = &again.tally;
            lines.push(format!(
                "  compared again: {} equal, {} missing, {} different, {} extra",
                found.equal, found.missing, found.different, found.extra
            ));
        }
    }

    /// For a program.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn json(&self, config: &Config) -> Result<String, RepairError> {
        let mut minute = MinuteText::new(config.settings.rule.windowing);
        let mut at = |window: WindowStart| minute.of(window).to_owned();
        let mut sinks = Vec::new();
        for (sink, rows) in self.sinks.iter().flat_map(|sink| sink.rows.iter().map(move |rows| (sink, rows))) {
            let found = &rows.compared.tally;
            let findings = findings_json(found, &self.partitions, &mut at);
            let again = rows.again.as_ref().map(|again| &again.tally).map(|again| {
                json!({
                    "equal": again.equal, "missing": again.missing, "different": again.different, "extra": again.extra,
                })
            });
            let RepairTally { write, delete, left, without, doubtful } = &rows.tally;
            sinks.push(json!({
                "sink": rows.compared.name, "rows": rows.compared.kind_name(), "equal": found.equal, "missing": found.missing,
                "different": found.different, "extra": found.extra, "findings": findings, "behind_the_state": sink.behind,
                "rows_to_write": write, "rows_to_delete": delete, "extra_left": left, "without_columns": without,
                "doubtful": doubtful, "remarks": sink.remarks, "compared_again": again,
            }));
        }
        let mut unverifiable = Vec::new();
        for (why, range) in &self.unverifiable {
            unverifiable.push(json!({ "from": at(range.start), "to": at(range.end), "why": why.reason() }));
        }
        let report = json!({
            "from": at(self.asked.start),
            "to": at(self.asked.end),
            "done": self.is_done,
            "dead_letters_not_there": self.doubt,
            "minutes": self.minutes,
            "rows": self.rows,
            "records": self.records,
            "seconds": self.took.as_secs_f64(),
            "sinks": sinks,
            "not_read_back": self.unreadable,
            "unverifiable": unverifiable,
            "doubtful_from": self.doubtful.map(&mut at),
        });
        Ok(format!("{}\n", escaped_json(&serde_json::to_string_pretty(&report)?)))
    }
}
