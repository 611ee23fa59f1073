//! One repair, from the state to the report.

use super::error::RepairError;
use super::owner::StateOwner;
use super::plan::RepairPlan;
use super::report::RepairReport;
use super::sink::{RepairedSink, open_all};
use crate::bar;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::sinks;
use crate::verify::{LogRows, LogSlice, LogStep, OpenLog, PartitionRead};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::WindowStart;
use std::ops::Range;
use std::time::Instant;

/// What a repair goes by.
struct Session<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    plan: RepairPlan,
    clock: SystemClock,
    /// Where a sink needs it and it is to be done.
    owner: Option<StateOwner>,
    sinks: Vec<RepairedSink>,
    /// Minutes from here on are left: the log gives this one otherwise than the run has counted it.
    doubtful: Option<WindowStart>,
    report: RepairReport,
}

/// Repairs what is asked for, or shows what would be done, and prints the report.
///
/// # Errors
/// 64: the options are not those of a state. 65: something is to be done, or is left. 69: log, state or a sink cannot be reached. 78: a
/// run owns the state that a file needs.
pub(crate) fn repair(mut config: Config, plan: RepairPlan, clock: SystemClock) -> Result<(), Halt> {
    let began = Instant::now();
    let mut log = OpenLog::open_whole(&mut config, clock)?;
    let mut owner = None;
    if plan.yes && needs_state(&config)? {
        owner = StateOwner::own(&config, clock)?;
        // A run may have published before the lock was taken.
        log = OpenLog::open_whole(&mut config, clock)?;
    }
    let (sinks, unreadable) = open_all(&config, &log, clock)?;
    let report = RepairReport { is_done: plan.yes, unreadable, ..RepairReport::default() };
    let mut session = Session { config: &config, log: &log, plan, clock, owner, sinks, doubtful: None, report };
    let outcome = session.work();
    bar::remove();
    outcome?;
    let Session { mut report, sinks, doubtful, .. } = session;
    (report.sinks, report.doubtful) = (sinks, doubtful);
    report.doubt = log.doubt();
    report.partitions = log.facts.partitions.iter().map(PartitionRead::of).collect();
    report.took = began.elapsed();
    let text = if plan.json { report.json(&config)? } else { report.text(&config) };
    print(&text).map_err(RepairError::Unwritten)?;
    report.verdict(plan.minutes.from.is_some()).map_or(Ok(()), |why| Err(RepairError::ToDo(why).into()))
}

/// Is there a sink that only the state's owner may write?
fn needs_state(config: &Config) -> Result<bool, Halt> {
    let abilities = config.sinks.iter().map(|uri| sinks::ability(uri)).collect::<Result<Vec<_>, _>>()?;
    Ok(abilities.into_iter().flatten().any(|ability| ability.needs_state))
}

impl Session<'_> {
    fn work(&mut self) -> Result<(), Halt> {
        if let Some(sink) = self.sinks.iter().find(|sink| sink.behind).filter(|_| !self.plan.is_whole()) {
            return Err(RepairError::LacksMore { sink: sink.name().to_owned() }.into());
        }
        let (config, log) = (self.config, self.log);
        let range = log.minutes(self.plan.minutes, self.plan.since_final)?;
        self.report.asked = range.clone();
        let first = range.start;
        self.report.records = LogRows::each_slice((config, log), range.clone(), |step| {
            self.stays()?;
            match step {
                LogStep::Read => Ok(()),
                LogStep::Slice(slice) => self.slice(&slice, slice.minutes.start == first),
            }
        })?;
        let within = if self.plan.is_whole() { Vec::new() } else { vec![range.clone()] };
        for sink in &mut self.sinks {
            sink.foreign(&within, self.plan.yes.then_some(&mut self.owner))?;
        }
        if !self.plan.yes {
            return Ok(());
        }
        let filled_from = self.plan.is_whole().then(|| log.verifiable_from());
        let written = self.sinks.iter().any(RepairedSink::has_work);
        for sink in &mut self.sinks {
            sink.finish(&mut self.owner, filled_from)?;
        }
        if written { self.compare_again(range, &within) } else { Ok(()) }
    }

    /// While it works, others are to see that the state has an owner.
    fn stays(&mut self) -> Result<(), Halt> {
        self.owner.as_mut().map_or(Ok(()), StateOwner::stays)
    }

    /// Finds and mends what is wrong in a slice.
    fn slice(&mut self, slice: &LogSlice<'_>, is_first: bool) -> Result<(), Halt> {
        let (config, log) = (self.config, self.log);
        // Derived values are of minutes before as well.
        let look_back = if is_first { config.settings.look_back() } else { 0 };
        let counted = WindowStart(slice.minutes.start.0.saturating_sub(look_back))..slice.minutes.end;
        let (_, wrong) = slice.digests((config, log), counted);
        self.doubtful = self.doubtful.or(wrong.iter().map(|digest| digest.minute).min());
        for sink in &mut self.sinks {
            let mends = self.plan.yes.then_some(&mut self.owner);
            sink.slice(slice, log, self.doubtful, mends)?;
        }
        for rows in &slice.rows {
            self.report.minutes += rows.minutes();
            self.report.rows += rows.rows.len() as u64;
        }
        for (why, of_bucket) in log.unverifiable(&slice.minutes) {
            self.report.add_unverifiable(why, of_bucket);
        }
        Ok(())
    }

    /// Compares what the sinks hold now.
    fn compare_again(&mut self, range: Range<WindowStart>, within: &[Range<WindowStart>]) -> Result<(), Halt> {
        let (config, log) = (self.config, self.log);
        self.sinks.iter_mut().try_for_each(|sink| sink.reopen((config, log), self.clock))?;
        LogRows::each_slice((config, log), range, |step| {
            self.stays()?;
            match step {
                LogStep::Read => Ok(()),
                LogStep::Slice(slice) => self.sinks.iter_mut().try_for_each(|sink| sink.slice_again(&slice, log)),
            }
        })?;
        self.sinks.iter_mut().try_for_each(|sink| sink.foreign_again(within))
    }
}
