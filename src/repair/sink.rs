//! One sink that is repaired: what is wrong there, what is written, and what it holds then.

use super::error::RepairError;
use super::owner::StateOwner;
use crate::clock::SystemClock;
use crate::config::{Config, SinkBasis};
use crate::sinks::{self, ReadBackOptions, RepairAbility, RepairBatch, RepairWriter, SinkOptions};
use crate::uri::redacted;
use crate::verify::{ComparedSink, ExpectedRow, Fault, LogSlice, OpenLog, RowFinding};
use minutely_dataflows::checkpoint::{Manifest, SinkState};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Findings that are kept, for JSON.
const MOST_FINDINGS: usize = 1000;

/// What was done with a sink, in rows.
#[derive(Clone, Debug, Default)]
pub(super) struct RepairTally {
    /// Written, or to be.
    pub(super) write: u64,
    /// Deleted, or to be: those that nothing counts for.
    pub(super) delete: u64,
    /// That stay although nothing counts for them.
    pub(super) left: u64,
    /// Of those that are written: without some columns of `--derive`, which the log does not give.
    pub(super) without: u64,
    /// Of minutes that the log gives otherwise than the run has counted them.
    pub(super) doubtful: u64,
}

/// See the module.
pub(super) struct RepairedSink {
    uri: String,
    ability: RepairAbility,
    pub(super) compared: ComparedSink,
    /// As the state has it.
    state: SinkState,
    /// The manifest by which the state knows what is stored.
    seq: u64,
    options: SinkOptions,
    /// It has less than the state knows, so a run would refuse it.
    pub(super) behind: bool,
    timeout: Duration,
    writer: Option<Box<dyn RepairWriter>>,
    pub(super) tally: RepairTally,
    /// What it holds after the repair.
    pub(super) again: Option<ComparedSink>,
    pub(super) remarks: Vec<String>,
}

/// Opens the sinks of a run that can be read back, and names the others.
///
/// # Errors
/// 64: the state does not know one. 65, 69: one cannot be read.
pub(super) fn open_all(
    config: &Config,
    log: &OpenLog,
    clock: SystemClock,
) -> Result<(Vec<RepairedSink>, Vec<String>), Halt> {
    let (mut open, mut unreadable) = (Vec::new(), Vec::new());
    for uri in &config.sinks {
        match RepairedSink::open(config, &log.head, (uri, clock))? {
            Some(sink) => open.push(sink),
            None => unreadable.push(redacted(uri)),
        }
    }
    Ok((open, unreadable))
}

/// What a sink holds as far as the state knows.
fn read(config: &Config, (uri, clock): (&str, SystemClock), state: &SinkState) -> Result<Option<ComparedSink>, Halt> {
    let windowing = config.settings.rule.windowing;
    let options = ReadBackOptions { columns: config.columns(), windowing, clock };
    let Some(sink) = sinks::read_for_repair(uri, &options, state.position)? else { return Ok(None) };
    let Some(takes) = sinks::takes(uri, config.emit).get(sink.number).copied() else { return Ok(None) };
    let derived = &options.columns.derived;
    Ok(Some(ComparedSink::new(redacted(uri), takes, state.stored_before, sink.rows, derived)))
}

impl RepairedSink {
    /// None where it cannot be read back.
    fn open(config: &Config, head: &Manifest, (uri, clock): (&str, SystemClock)) -> Result<Option<Self>, Halt> {
        let Some(ability) = sinks::ability(uri)? else { return Ok(None) };
        let state = head.sink(&redacted(uri)).ok_or_else(|| RepairError::UnknownSink { sink: redacted(uri) })?;
        let (wake, begun) = (Arc::new(|| ()), Arc::new(AtomicBool::new(true)));
        let basis = SinkBasis { manifest: Some(head), has_prior: true, wake, begun, clock };
        let options = SinkOptions { take_sink: false, take_over: false, ..config.sink_options(uri, basis) };
        let behind = sinks::is_behind(uri, &options)?;
        let Some(compared) = read(config, (uri, clock), state)? else { return Ok(None) };
        Ok(Some(RepairedSink {
            uri: uri.to_owned(),
            ability,
            compared,
            state: state.clone(),
            seq: head.seq,
            options,
            behind,
            timeout: Duration::from_nanos(config.settings.sink_timeout.unsigned_abs()),
            writer: None,
            tally: RepairTally::default(),
            again: None,
            remarks: Vec::new(),
        }))
    }

    /// Finds what is wrong with the rows of a slice, and mends it if it is to be. Minutes from `doubtful` on are left.
    pub(super) fn slice(
        &mut self,
        slice: &LogSlice<'_>,
        log: &OpenLog,
        doubtful: Option<WindowStart>,
        mends: Option<&mut Option<StateOwner>>,
    ) -> Result<(), Halt> {
        let found = self.compared.find(slice.minutes.clone(), &slice.rows, |window| log.is_known(window));
        let found = found.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
        let mut batch = RepairBatch::default();
        for finding in found {
            if doubtful.is_some_and(|from| from <= finding.minute) {
                self.tally.doubtful += 1;
            } else {
                let expected = slice.rows.get(&(finding.minute, finding.symbol.clone()));
                self.plan(&finding, expected, &mut batch);
            }
            self.compared.tally.add(finding, MOST_FINDINGS);
        }
        match mends {
            Some(owner) if batch != RepairBatch::default() => self.writer(owner)?.write(&batch),
            _ => Ok(()),
        }
    }

    /// What is to be done about a row.
    fn plan(&mut self, finding: &RowFinding, expected: Option<&ExpectedRow>, batch: &mut RepairBatch) {
        let key = (finding.minute, finding.symbol.clone());
        match (&finding.fault, expected) {
            (Fault::Missing | Fault::Different(_), Some(expected)) => {
                let (row, unknown) = self.compared.completed(expected, &finding.stored);
                self.tally.write += 1;
                self.tally.without += u64::from(unknown > 0);
                if self.ability.merges && loses_a_value(&finding.fault) {
                    batch.extra.push(key);
                }
                batch.rows.push(row);
            }
            _ if self.ability.deletes => {
                self.tally.delete += 1;
                batch.extra.push(key);
            }
            _ => self.tally.left += 1,
        }
    }

    fn writer(&mut self, owner: &mut Option<StateOwner>) -> Result<&mut Box<dyn RepairWriter>, Halt> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                if let (true, Some(owner)) = (self.ability.needs_state, owner) {
                    owner.begin()?;
                }
                sinks::open_for_repair(&self.uri, &self.options, (self.seq, self.timeout))?
            }
        };
        Ok(self.writer.insert(writer))
    }

    /// Makes what was written durable, and known to the state where that has to know it. `filled_from`: of a repair of all minutes, from
    /// which one on the place has all.
    pub(super) fn finish(
        &mut self,
        owner: &mut Option<StateOwner>,
        filled_from: Option<Option<WindowStart>>,
    ) -> Result<(), Halt> {
        if self.writer.is_none() && !self.behind {
            return Ok(());
        }
        let is_whole = filled_from.is_some() && self.tally.doubtful == 0;
        let writer = self.writer(owner)?;
        let position = writer.finish(is_whole)?;
        let remarks = writer.remarks();
        if let (Some(owner), Some(position)) = (owner, position) {
            owner.change(&self.state.name, |sink| {
                sink.position = Some(position);
                filled_from.filter(|_| is_whole).into_iter().for_each(|from| sink.filled_from(from));
            })?;
            self.state.position = Some(position);
        }
        if let Some(writer) = &mut self.writer {
            writer.settle()?;
        }
        (self.writer, self.remarks) = (None, remarks);
        Ok(())
    }

    /// Opens what it holds now, to compare it again.
    pub(super) fn reopen(&mut self, config: &Config, clock: SystemClock) -> Result<(), Halt> {
        self.again = read(config, (&self.uri, clock), &self.state)?;
        Ok(())
    }

    /// Is there something to do?
    pub(super) fn has_work(&self) -> bool {
        self.behind || self.compared.tally.faults() > 0
    }

    /// How many rows are wrong there after the repair.
    pub(super) fn faults_left(&self) -> u64 {
        self.again.as_ref().map_or(self.compared.tally.faults(), |again| again.tally.faults())
    }
}

/// Has the row a value that it is not to have? A write leaves it there.
fn loses_a_value(fault: &Fault) -> bool {
    let Fault::Different(cells) = fault else { return false };
    cells.iter().any(|cell| matches!(cell.should_be, crate::sinks::StoredCell::Nothing))
}
