//! One verification, from the state to the report.

use super::amended::CompareAmended;
use super::compare::ComparedSink;
use super::error::VerifyError;
use super::log::OpenLog;
use super::plan::VerifyPlan;
use super::report::{PartitionRead, VerifyReport};
use super::rows::{LogRows, LogSlice, LogStep};
use super::sums::JudgeKind;
use super::textfile::LastVerification;
use crate::bar;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::sinks::{self, ReadBackOptions};
use crate::uri::redacted;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::{EventTime, WindowStart};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

/// Findings of a sink that are kept, for JSON.
const MOST_FINDINGS: usize = 1000;

/// What a verification goes by.
struct Session<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    sinks: Vec<ComparedSink>,
    report: VerifyReport,
}

/// Verifies what is asked for, prints the report, and leaves its metrics where that is asked for.
///
/// # Errors
/// 64: the options are not those of a state. 65: something differs, or cannot be verified. 69: log, state or a sink cannot be reached.
pub(crate) fn verify(
    mut config: Config,
    plan: &VerifyPlan,
    clock: SystemClock,
    amended: CompareAmended,
) -> Result<(), Halt> {
    let job = config.job();
    let report = report(&mut config, plan, clock, amended);
    let verdict = |report: &VerifyReport| report.verdict(plan.minutes.from.is_some());
    let written = plan.textfile.as_ref().map_or(Ok(()), |path| {
        let done = report.as_ref().ok().map(|report| (report, verdict(report).is_none()));
        LastVerification { job: &job, report: done }.write(path, clock).map_err(|source| (path.clone(), source))
    });
    let report = report?;
    let text = if plan.json { report.json(&config)? } else { report.text(&config) };
    print(&text).map_err(VerifyError::Unwritten)?;
    written.map_err(|(path, source)| VerifyError::NoTextfile { path, source })?;
    verdict(&report).map_or(Ok(()), |why| Err(VerifyError::Differs(why).into()))
}

/// What comes of it.
fn report(
    config: &mut Config,
    plan: &VerifyPlan,
    clock: SystemClock,
    amended: CompareAmended,
) -> Result<VerifyReport, Halt> {
    let began = Instant::now();
    let judges = JudgeKind::of(config, plan.independent)?;
    let log = OpenLog { judges, ..OpenLog::open_whole(config, clock)? };
    let (sinks, unreadable) = open_sinks(config, &log, clock)?;
    let mut session = Session { config, log: &log, sinks, report: VerifyReport::default() };
    let ranges = session.ranges(plan)?;
    let verified = ranges.iter().try_for_each(|range| session.range(range.clone()));
    let verified = verified.and_then(|()| session.foreign(if plan.is_whole() { &[] } else { &ranges }));
    bar::remove();
    verified?;
    if !plan.independent {
        // (They are made by the oracle alone. Late records may be of minutes before all others.)
        let whole = ranges.last().filter(|_| plan.is_whole()).map(|last| WindowStart(-EventTime::LIMIT)..last.end);
        let ranges = whole.map_or(ranges, |whole| vec![whole]);
        session.report.amended = amended((session.config, &log), &ranges, clock)?;
    }
    let Session { mut report, sinks, .. } = session;
    report.sinks = sinks;
    report.unreadable = unreadable;
    let partitions = &log.facts.partitions;
    report.exceptions = partitions.iter().map(|partition| partition.exceptions.len() as u64).sum();
    report.doubt = log.doubt();
    report.partitions = partitions.iter().map(PartitionRead::of).collect();
    report.independent = plan.independent;
    report.took = began.elapsed();
    Ok(report)
}

/// Those that can be read back, one for each kind of rows, and the names of those that cannot.
pub(crate) fn open_sinks(
    config: &Config,
    log: &OpenLog,
    clock: SystemClock,
) -> Result<(Vec<ComparedSink>, Vec<String>), Halt> {
    let (windowing, columns) = (config.settings.rule.windowing, config.columns());
    let (mut open, mut unreadable) = (Vec::new(), Vec::new());
    for (uri, kind) in config.sinks.iter().flat_map(|uri| columns.kinds().into_iter().map(move |kind| (uri, kind))) {
        let options = ReadBackOptions { kind, columns: columns.clone(), windowing, clock };
        let Some(sink) = sinks::read_back(uri, &options)? else {
            if kind == RowKind::Minute {
                unreadable.push(redacted(uri));
            }
            continue;
        };
        let (names, takes) = (config.names_of(uri), sinks::takes(uri, config.emit));
        let (Some(name), Some(takes)) = (names.get(sink.number), takes.get(sink.number)) else { continue };
        let known = log.head.sink(name).ok_or_else(|| VerifyError::UnknownSink { sink: redacted(uri) })?;
        let stored_before = known.stored_before.map(|before| log.begins_by(kind, before));
        let derived = columns.of(kind).derived;
        open.push(ComparedSink::new(redacted(uri), (kind, *takes), stored_before, sink.rows, &derived));
    }
    Ok((open, unreadable))
}

impl Session<'_> {
    /// The ranges of minutes that are to be verified.
    fn ranges(&mut self, plan: &VerifyPlan) -> Result<Vec<Range<WindowStart>>, Halt> {
        self.report.indexed_from = self.log.indexed_from();
        let Range { start: from, end: to } = self.log.minutes(plan.minutes, plan.since_final)?;
        self.report.asked = from..to;
        let Some(sample) = plan.sample else { return Ok(vec![from..to]) };
        let length = self.log.facts.rule.windowing.length;
        let (all, sample) = ((to.0 - from.0) / length, i64::from(sample));
        let mut drawn = BTreeSet::new();
        for n in 0..sample {
            // One of each of so many equal parts.
            let (first, last) = (all * n / sample, all * (n + 1) / sample);
            let place = fastrand::i64(first..last.max(first + 1));
            drawn.insert(WindowStart(from.0 + place * length));
        }
        Ok(drawn.into_iter().map(|window| window..WindowStart(window.0 + length)).collect())
    }

    /// Verifies a range.
    fn range(&mut self, range: Range<WindowStart>) -> Result<(), Halt> {
        let read = LogRows::each_slice((self.config, self.log), range, |step| match step {
            LogStep::Read => Ok(()),
            LogStep::Slice(slice) => self.slice(slice),
        })?;
        self.report.records += read;
        Ok(())
    }

    /// Looks for rows that no run has written.
    fn foreign(&mut self, within: &[Range<WindowStart>]) -> Result<(), Halt> {
        let found = self.sinks.iter_mut().try_for_each(|sink| sink.add_foreign(within, MOST_FINDINGS));
        found.map_err(|why| Halt::new(HaltKind::Unreachable, why))
    }

    /// Compares a slice.
    fn slice(&mut self, slice: LogSlice<'_>) -> Result<(), Halt> {
        let log = self.log;
        for rows in &slice.rows {
            rows.rows.values().for_each(|row| self.report.note_unknown(&row.known));
            for sink in self.sinks.iter_mut().filter(|sink| sink.kind == rows.kind) {
                let compared = sink.compare(rows, |start| log.are_known(log.window(rows.kind, start)), MOST_FINDINGS);
                compared.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
            }
            self.report.rows += rows.rows.len() as u64;
            self.report.minutes += rows.minutes();
        }
        let (compared, wrong) = slice.digests((self.config, log), slice.minutes.clone());
        self.report.digests += compared;
        self.report.wrong_digests.extend(wrong);
        for (why, of_bucket) in log.unverifiable(&slice.minutes) {
            self.report.add_unverifiable(why, of_bucket);
        }
        Ok(())
    }
}
