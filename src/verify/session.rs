//! One verification, from the state to the report.

use super::compare::ComparedSink;
use super::error::VerifyError;
use super::log::OpenLog;
use super::plan::VerifyPlan;
use super::report::{PartitionRead, VerifyReport};
use super::rows::{LogRows, LogSlice};
use crate::bar;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::sinks::{self, ReadBackOptions};
use crate::uri::redacted;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
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

/// Verifies what is asked for, and prints the report.
///
/// # Errors
/// 64: the options are not those of a state. 65: something differs, or cannot be verified. 69: log, state or a sink cannot be reached.
pub(crate) fn verify(mut config: Config, plan: VerifyPlan, clock: SystemClock) -> Result<(), Halt> {
    let began = Instant::now();
    let log = OpenLog::open(&mut config, clock)?;
    let (sinks, unreadable) = open_sinks(&config, &log.head, clock)?;
    let mut session = Session { config: &config, log: &log, sinks, report: VerifyReport::default() };
    let verified = session.ranges(plan)?.into_iter().try_for_each(|range| session.range(range));
    bar::remove();
    verified?;
    let Session { mut report, sinks, .. } = session;
    report.sinks = sinks;
    report.unreadable = unreadable;
    let partitions = &log.facts.partitions;
    report.exceptions = partitions.iter().map(|partition| partition.exceptions.len() as u64).sum();
    report.partitions = partitions.iter().map(PartitionRead::of).collect();
    report.took = began.elapsed();
    let text = if plan.json { report.json(&config)? } else { report.text(&config) };
    print(&text).map_err(VerifyError::Unwritten)?;
    report.verdict(plan.minutes.from.is_some()).map_or(Ok(()), |why| Err(VerifyError::Differs(why).into()))
}

/// Those that can be read back, and the names of those that cannot.
pub(crate) fn open_sinks(
    config: &Config,
    head: &Manifest,
    clock: SystemClock,
) -> Result<(Vec<ComparedSink>, Vec<String>), Halt> {
    let windowing = config.settings.rule.windowing;
    let options = ReadBackOptions { columns: config.columns(), windowing, clock };
    let (mut open, mut unreadable) = (Vec::new(), Vec::new());
    for uri in &config.sinks {
        let Some(sink) = sinks::read_back(uri, &options)? else {
            unreadable.push(redacted(uri));
            continue;
        };
        let (names, takes) = (config.names_of(uri), sinks::takes(uri, config.emit));
        let (Some(name), Some(takes)) = (names.get(sink.number), takes.get(sink.number)) else { continue };
        let known = head.sink(name).ok_or_else(|| VerifyError::UnknownSink { sink: redacted(uri) })?;
        let stored_before = known.stored_before;
        open.push(ComparedSink::new(redacted(uri), *takes, stored_before, sink.rows, &options.columns.derived));
    }
    Ok((open, unreadable))
}

impl Session<'_> {
    /// The ranges of minutes that are to be verified.
    fn ranges(&mut self, plan: VerifyPlan) -> Result<Vec<Range<WindowStart>>, Halt> {
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
        let read = LogRows::each_slice((self.config, self.log), range, |slice| self.slice(slice))?;
        self.report.records += read;
        Ok(())
    }

    /// Compares a slice.
    fn slice(&mut self, slice: LogSlice<'_>) -> Result<(), Halt> {
        let (log, expected) = (self.log, &slice.rows);
        expected.values().for_each(|row| self.report.note_unknown(&row.known));
        for sink in &mut self.sinks {
            let compared = sink.compare(slice.minutes.clone(), expected, |window| log.is_known(window), MOST_FINDINGS);
            compared.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
        }
        let minutes: BTreeSet<WindowStart> = expected.keys().map(|(window, _)| *window).collect();
        self.report.minutes += minutes.len() as u64;
        self.report.rows += expected.len() as u64;
        let (compared, wrong) = slice.digests((self.config, log), slice.minutes.clone());
        self.report.digests += compared;
        self.report.wrong_digests.extend(wrong);
        for (why, of_bucket) in log.unverifiable(&slice.minutes) {
            self.report.add_unverifiable(why, of_bucket);
        }
        Ok(())
    }
}
