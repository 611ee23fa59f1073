//! What a verification found, for a person and for a program.

use super::amended::AmendedTally;
use super::compare::{CellDifference, ComparedSink, Fault, RowFinding, SinkTally};
use super::error::VerifyError;
use super::facts::{IndexedPartition, Unverifiable};
use super::recount::RecordSpan;
use crate::config::Config;
use crate::fmt::number_of;
use crate::text::MinuteText;
use minutely_dataflows::digest::MinuteDigest;
use minutely_dataflows::escape::{escaped, escaped_json};
use minutely_dataflows::time::WindowStart;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

/// Findings of a sink that are shown to a person.
pub(crate) const MOST_SHOWN: usize = 20;

/// A digest of the state that is not that of the log.
pub(crate) struct DigestFinding {
    pub(crate) minute: WindowStart,
    pub(crate) is: MinuteDigest,
    pub(crate) should_be: MinuteDigest,
}

/// A partition, for the report.
pub(crate) struct PartitionRead {
    name: String,
    exceptions: u64,
}

impl PartitionRead {
    pub(crate) fn of(partition: &IndexedPartition) -> Self {
        PartitionRead { name: partition.name.to_string(), exceptions: partition.exceptions.len() as u64 }
    }
}

/// See the module.
pub(super) struct VerifyReport {
    pub(super) asked: Range<WindowStart>,
    /// Minutes before this are not in the index.
    pub(super) indexed_from: Option<WindowStart>,
    /// Minutes with rows, rows, and records that were read.
    pub(super) minutes: u64,
    pub(super) rows: u64,
    pub(super) records: u64,
    /// Minutes whose digest was compared.
    pub(super) digests: u64,
    pub(super) wrong_digests: Vec<DigestFinding>,
    pub(super) unverifiable: Vec<(Unverifiable, Range<WindowStart>)>,
    /// Rows of which some derived columns are not known, and which columns, by their place.
    pub(super) rows_with_unknown: u64,
    pub(super) unknown: BTreeSet<usize>,
    pub(super) sinks: Vec<ComparedSink>,
    /// Of their amended rows.
    pub(super) amended: Vec<AmendedTally>,
    /// Sinks that cannot be read back.
    pub(super) unreadable: Vec<String>,
    pub(super) exceptions: u64,
    /// Dead letters that are not there, and what that means.
    pub(super) doubt: Option<String>,
    pub(super) partitions: Vec<PartitionRead>,
    /// With `--independent`.
    pub(super) independent: bool,
    pub(super) took: Duration,
}

impl Default for VerifyReport {
    fn default() -> Self {
        VerifyReport {
            asked: WindowStart(0)..WindowStart(0),
            indexed_from: None,
            minutes: 0,
            rows: 0,
            records: 0,
            digests: 0,
            wrong_digests: Vec::new(),
            unverifiable: Vec::new(),
            rows_with_unknown: 0,
            unknown: BTreeSet::new(),
            sinks: Vec::new(),
            amended: Vec::new(),
            unreadable: Vec::new(),
            exceptions: 0,
            doubt: None,
            partitions: Vec::new(),
            independent: false,
            took: Duration::ZERO,
        }
    }
}

impl VerifyReport {
    /// Adds minutes that cannot be verified, after those that were added before.
    pub(super) fn add_unverifiable(&mut self, why: Unverifiable, minutes: Range<WindowStart>) {
        match self.unverifiable.last_mut() {
            Some((before, range)) if *before == why && range.end >= minutes.start => range.end = minutes.end,
            _ => self.unverifiable.push((why, minutes)),
        }
    }

    /// A row has these derived columns.
    pub(super) fn note_unknown(&mut self, known: &[bool]) {
        self.rows_with_unknown += u64::from(known.contains(&false));
        self.unknown.extend(known.iter().enumerate().filter(|(_, known)| !**known).map(|(place, _)| place));
    }

    /// The names of columns that are not known in every row.
    fn unknown_columns(&self, config: &Config) -> Vec<String> {
        let all = config.settings.derive.columns().enumerate();
        all.filter(|(place, _)| self.unknown.contains(place)).map(|(_, name)| name).collect()
    }

    /// Rows that are not what they should be, and digests.
    fn faults(&self) -> u64 {
        let of_sinks = self.sinks.iter().map(|sink| sink.tally.faults());
        let faults = of_sinks.chain(self.amended.iter().map(AmendedTally::faults)).sum::<u64>();
        faults + self.wrong_digests.len() as u64
    }

    /// Why it is not well; none if it is. `was_asked`: minutes from a time on were asked for.
    pub(super) fn verdict(&self, was_asked: bool) -> Option<String> {
        let faults = self.faults();
        if faults > 0 {
            let doubt = if self.doubt.is_some() { ", which dead letters that are not there may explain" } else { "" };
            return Some(format!("{faults} differences, as printed above{doubt}"));
        }
        if self.minutes == 0 && !self.unverifiable.is_empty() {
            return Some("nothing that was asked for can be verified, as printed above".into());
        }
        let is_some_gone = !self.unverifiable.is_empty() || self.amended.iter().any(|amended| amended.gone() > 0);
        let some = was_asked && is_some_gone;
        some.then(|| "some of the minutes that were asked for cannot be verified, as printed above".into())
    }

    /// Of amended rows, of sinks whose rows cannot be compared, and of dead letters that are not there.
    fn lines_of_other_rows(&self, minute: &mut MinuteText) -> Vec<String> {
        let amended = self.amended.iter().filter(|amended| amended.is_there());
        let mut lines: Vec<String> = amended.flat_map(|amended| amended.lines(minute)).collect();
        let unreadable = self.unreadable.iter();
        lines.extend(unreadable.map(|sink| format!("{sink}: cannot be read back, so it is not compared")));
        lines.extend(self.doubt.clone());
        lines
    }

    /// For a person.
    pub(super) fn text(&self, config: &Config) -> String {
        let mut minute = MinuteText::new(config.settings.rule.windowing);
        let mut text = String::new();
        let mut line = |words: String| writeln!(text, "{}", escaped(&words)).expect("a string takes it");
        let (from, to) = (minute.of(self.asked.start).to_owned(), minute.of(self.asked.end).to_owned());
        line(format!(
            "{from} to {to}: {} and {} by the log{}, from {} in {:.1} s",
            number_of(self.minutes, "minute"),
            number_of(self.rows, "row"),
            if self.independent { " (decoded and computed independently)" } else { "" },
            number_of(self.records, "record"),
            self.took.as_secs_f64()
        ));
        for sink @ ComparedSink { name, tally, .. } in &self.sinks {
            let SinkTally { equal, missing, different, extra, absent, .. } = tally;
            let kind = sink.kind_name().map(|kind| format!(", {kind}")).unwrap_or_default();
            line(format!("{name}{kind}: {equal} equal, {missing} missing, {different} different, {extra} extra"));
            let (findings, foreign, more) = tally.shown(MOST_SHOWN);
            for finding in findings {
                let what = described(finding, &self.partitions);
                line(format!("  {} {}: {what}", minute.of(finding.minute), finding.symbol));
            }
            foreign.for_each(|what| line(format!("  {what}")));
            if !absent.is_empty() {
                let absent = absent.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                line(format!("  not compared where it has no such column: {absent}"));
            }
            let more = (more > 0).then(|| format!("  {more} more (--json lists a thousand)"));
            more.into_iter().for_each(&mut line);
        }
        self.lines_of_other_rows(&mut minute).into_iter().for_each(&mut line);
        line(format!(
            "digests in the state: {} equal, {} different",
            self.digests - self.wrong_digests.len() as u64,
            self.wrong_digests.len()
        ));
        for DigestFinding { minute: at, is, should_be } in self.wrong_digests.iter().take(MOST_SHOWN) {
            let (is_rows, rows) = (is.rows, should_be.rows);
            line(format!(
                "  {}: the state has {:032x} of {is_rows} rows, and the log gives {:032x} of {rows}",
                minute.of(*at),
                is.sum,
                should_be.sum
            ));
        }
        for (why, minutes) in &self.unverifiable {
            let (from, to) = (minute.of(minutes.start).to_owned(), minute.of(minutes.end).to_owned());
            line(format!("{from} to {to}: {}", why.reason()));
        }
        if let Some(from) = self.indexed_from {
            line(format!(
                "not verifiable before {}: an earlier version read those minutes, or a log that has changed since",
                minute.of(from)
            ));
        }
        for PartitionRead { name, exceptions } in self.partitions.iter().filter(|partition| partition.exceptions > 0) {
            line(format!(
                "{name}: {} judged by a clock or a floor, as the dead letters list them (R10)",
                number_of(*exceptions, "record")
            ));
        }
        if self.rows_with_unknown > 0 {
            let columns = self.unknown_columns(config).join(", ");
            line(format!(
                "not compared in {}: {columns} (made of minutes before those that were read)",
                number_of(self.rows_with_unknown, "row")
            ));
        }
        text
    }

    /// For a program.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn json(&self, config: &Config) -> Result<String, VerifyError> {
        let mut minute = MinuteText::new(config.settings.rule.windowing);
        let mut at = |window: WindowStart| minute.of(window).to_owned();
        let mut sinks = Vec::new();
        for sink @ ComparedSink { name, tally, .. } in &self.sinks {
            let SinkTally { equal, missing, different, extra, absent, .. } = tally;
            let kind = sink.kind_name();
            let findings = findings_json(tally, &self.partitions, &mut at);
            sinks.push(json!({
                "sink": name, "rows": kind, "equal": equal, "missing": missing, "different": different, "extra": extra, "absent_columns": absent,
                "findings": findings,
            }));
        }
        let amended = self.amended.iter().filter(|amended| amended.is_there());
        let amended: Vec<Value> = amended.map(|amended| amended.object(&mut at)).collect();
        let mut digests = Vec::new();
        for DigestFinding { minute, is, should_be } in &self.wrong_digests {
            let (is, by_log) = (format!("{:032x}", is.sum), format!("{:032x}", should_be.sum));
            digests.push(json!({ "minute": at(*minute), "state": is, "log": by_log }));
        }
        let mut unverifiable = Vec::new();
        for (why, range) in &self.unverifiable {
            unverifiable.push(json!({
                "from": at(range.start), "to": at(range.end), "why": why.reason(),
            }));
        }
        let exceptions = self.partitions.iter().map(|of| (of.name.clone(), Value::from(of.exceptions)));
        let exceptions: serde_json::Map<_, _> = exceptions.collect();
        let report = json!({
            "from": at(self.asked.start),
            "to": at(self.asked.end),
            "equal": self.faults() == 0,
            "independent": self.independent,
            "minutes": self.minutes,
            "rows": self.rows,
            "records": self.records,
            "seconds": self.took.as_secs_f64(),
            "sinks": sinks,
            "amended": amended,
            "not_read_back": self.unreadable,
            "digests": { "compared": self.digests, "different": digests },
            "unverifiable": unverifiable,
            "indexed_from": self.indexed_from.map(&mut at),
            "exceptions": exceptions,
            "dead_letters_not_there": self.doubt,
            "not_compared": { "rows": self.rows_with_unknown, "columns": self.unknown_columns(config) },
        });
        Ok(format!("{}\n", escaped_json(&serde_json::to_string_pretty(&report)?)))
    }
}

/// What is wrong with a row, and of which records it is made.
pub(crate) fn described(finding: &RowFinding, partitions: &[PartitionRead]) -> String {
    let what = match &finding.fault {
        Fault::Missing => "missing".to_owned(),
        Fault::Extra => "extra: no record counts for it".to_owned(),
        Fault::Different(cells) => {
            let one = |cell: &CellDifference| format!("{} is {}, by the log {}", cell.column, cell.is, cell.should_be);
            cells.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    };
    let spans: Vec<String> = finding.spans.iter().map(|span| span_text(span, partitions)).collect();
    if spans.is_empty() { what } else { format!("{what} ({})", spans.join(", ")) }
}

fn span_text(span: &RecordSpan, partitions: &[PartitionRead]) -> String {
    let name = partitions.get(span.partition).map_or("", |partition| &partition.name);
    let RecordSpan { first, last, count, .. } = span;
    match count {
        1 => format!("{name} offset {first}"),
        _ => format!("{count} records of {name}, offsets {first} to {last}"),
    }
}

/// All findings of a sink that are kept, for a program.
pub(crate) fn findings_json(
    tally: &SinkTally,
    partitions: &[PartitionRead],
    at: &mut dyn FnMut(WindowStart) -> String,
) -> Vec<Value> {
    let findings = tally.findings.iter().map(|finding| finding_json(finding, partitions, at));
    let foreign = tally.foreign.iter().map(|row| {
        json!({
            "minute": row.minute, "symbol": row.symbol, "what": "extra", "why": row.what, "columns": [], "records": [],
        })
    });
    findings.chain(foreign).collect()
}

/// The same for a program.
fn finding_json(
    finding: &RowFinding,
    partitions: &[PartitionRead],
    at: &mut dyn FnMut(WindowStart) -> String,
) -> Value {
    let (kind, columns) = match &finding.fault {
        Fault::Missing => ("missing", Vec::new()),
        Fault::Extra => ("extra", Vec::new()),
        Fault::Different(cells) => {
            let one = |cell: &CellDifference| json!({ "column": cell.column, "sink": cell.is.to_string(), "log": cell.should_be.to_string() });
            ("different", cells.iter().map(one).collect())
        }
    };
    let span = |span: &RecordSpan| {
        let partition = partitions.get(span.partition).map(|partition| partition.name.clone());
        json!({ "partition": partition, "first": span.first, "last": span.last, "records": span.count })
    };
    let records: Vec<Value> = finding.spans.iter().map(span).collect();
    json!({
        "minute": at(finding.minute), "symbol": finding.symbol, "what": kind, "columns": columns, "records": records,
    })
}
