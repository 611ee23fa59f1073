//! One sink that is repaired: what is wrong there, what is written, and what it holds then.

use super::error::RepairError;
use super::owner::StateOwner;
use crate::clock::SystemClock;
use crate::config::{Config, SinkBasis};
use crate::sinks::{self, ForeignRemedy, ReadBackOptions, RepairAbility, RepairBatch, RepairWriter, SinkOptions};
use crate::uri::redacted;
use crate::verify::{ComparedSink, ExpectedRow, Fault, KindRows, LogSlice, OpenLog, RowFinding};
use minutely_dataflows::checkpoint::SinkState;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
use std::ops::Range;
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

/// Its rows of one kind.
pub(super) struct RepairedRows {
    pub(super) compared: ComparedSink,
    pub(super) tally: RepairTally,
    /// What it holds after the repair.
    pub(super) again: Option<ComparedSink>,
}

/// See the module.
pub(super) struct RepairedSink {
    uri: String,
    ability: RepairAbility,
    /// Those of minutes come first.
    pub(super) rows: Vec<RepairedRows>,
    /// As the state has it.
    state: SinkState,
    /// The manifest by which the state knows what is stored.
    seq: u64,
    options: SinkOptions,
    /// It has less than the state knows, so a run would refuse it.
    pub(super) behind: bool,
    timeout: Duration,
    writer: Option<Box<dyn RepairWriter>>,
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
        match RepairedSink::open(config, log, (uri, clock))? {
            Some(sink) => open.push(sink),
            None => unreadable.push(redacted(uri)),
        }
    }
    Ok((open, unreadable))
}

/// What a sink holds as far as the state knows, by kind of rows; none where it cannot be read back.
fn read(
    (config, log): (&Config, &OpenLog),
    (uri, clock): (&str, SystemClock),
    state: &SinkState,
) -> Result<Vec<ComparedSink>, Halt> {
    let (windowing, columns) = (config.settings.rule.windowing, config.columns());
    let makes_columns = sinks::ability(uri)?.is_some_and(|ability| ability.makes_columns);
    let mut all = Vec::new();
    for kind in columns.kinds() {
        let options = ReadBackOptions { kind, columns: columns.clone(), windowing, clock };
        let Some(sink) = sinks::read_for_repair(uri, &options, state.position)? else { continue };
        let Some(takes) = sinks::takes(uri, config.emit).get(sink.number).copied() else { continue };
        let stored_before = state.stored_before.map(|before| log.begins_by(kind, before));
        let derived = columns.of(kind).derived;
        let mut compared = ComparedSink::new(redacted(uri), (kind, takes), stored_before, sink.rows, &derived);
        compared.makes_columns = makes_columns;
        all.push(compared);
    }
    Ok(all)
}

impl RepairedRows {
    fn new(compared: ComparedSink) -> Self {
        RepairedRows { compared, tally: RepairTally::default(), again: None }
    }

    /// What is to be done about what is wrong with these rows. Windows that reach beyond `doubtful` are left.
    fn find(
        &mut self,
        rows: &KindRows,
        log: &OpenLog,
        (doubtful, ability): (Option<WindowStart>, RepairAbility),
    ) -> Result<RepairBatch, Halt> {
        let kind = rows.kind;
        let found = self.compared.find(rows, |start| log.are_known(log.window(kind, start)));
        let found = found.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
        let mut batch = RepairBatch { kind, ..RepairBatch::default() };
        for finding in found {
            if doubtful.is_some_and(|from| from < log.window(kind, finding.minute).end) {
                self.tally.doubtful += 1;
            } else {
                let expected = rows.rows.get(&(finding.minute, finding.symbol.clone()));
                self.plan(&finding, expected, ability, &mut batch);
            }
            self.compared.tally.add(finding, MOST_FINDINGS);
        }
        Ok(batch)
    }

    /// What is to be done about a row.
    fn plan(
        &mut self,
        finding: &RowFinding,
        expected: Option<&ExpectedRow>,
        ability: RepairAbility,
        batch: &mut RepairBatch,
    ) {
        let key = (finding.minute, finding.symbol.clone());
        match (&finding.fault, expected) {
            (Fault::Missing | Fault::Different(_), Some(expected)) => {
                let (row, unknown) = self.compared.completed(expected, &finding.stored);
                self.tally.write += 1;
                self.tally.without += u64::from(unknown > 0);
                if ability.merges && loses_a_value(&finding.fault) {
                    batch.extra.push(key);
                }
                batch.rows.push(row);
            }
            _ if ability.deletes => {
                self.tally.delete += 1;
                batch.extra.push(key);
            }
            _ => self.tally.left += 1,
        }
    }
}

impl RepairedSink {
    /// None where it cannot be read back.
    fn open(config: &Config, log: &OpenLog, (uri, clock): (&str, SystemClock)) -> Result<Option<Self>, Halt> {
        let (head, Some(ability)) = (&log.head, sinks::ability(uri)?) else { return Ok(None) };
        let state = head.sink(&redacted(uri)).ok_or_else(|| RepairError::UnknownSink { sink: redacted(uri) })?;
        let (wake, begun) = (Arc::new(|| ()), Arc::new(AtomicBool::new(true)));
        let basis = SinkBasis { manifest: Some(head), has_prior: true, wake, begun, clock };
        let options = SinkOptions { take_sink: false, take_over: false, ..config.sink_options(uri, basis) };
        let behind = sinks::is_behind(uri, &options)?;
        let rows: Vec<_> = read((config, log), (uri, clock), state)?.into_iter().map(RepairedRows::new).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(RepairedSink {
            uri: uri.to_owned(),
            ability,
            rows,
            state: state.clone(),
            seq: head.seq,
            options,
            behind,
            timeout: Duration::from_nanos(config.settings.sink_timeout.unsigned_abs()),
            writer: None,
            remarks: Vec::new(),
        }))
    }

    /// Finds what is wrong with the rows of a slice, and mends it if it is to be. Minutes from `doubtful` on are left.
    pub(super) fn slice(
        &mut self,
        slice: &LogSlice<'_>,
        log: &OpenLog,
        doubtful: Option<WindowStart>,
        mut mends: Option<&mut Option<StateOwner>>,
    ) -> Result<(), Halt> {
        for rows in &slice.rows {
            let ability = self.ability;
            let Some(of_kind) = self.rows.iter_mut().find(|of| of.compared.kind == rows.kind) else { continue };
            let batch = of_kind.find(rows, log, (doubtful, ability))?;
            if let Some(owner) = mends.as_deref_mut()
                && !batch.is_empty()
            {
                self.writer(owner)?.write(&batch)?;
            }
        }
        Ok(())
    }

    /// Finds what no run has written there, in these ranges of minutes or, without one, anywhere, and takes it out if it is to be.
    pub(super) fn foreign(
        &mut self,
        within: &[Range<WindowStart>],
        mut mends: Option<&mut Option<StateOwner>>,
    ) -> Result<(), Halt> {
        for place in 0..self.rows.len() {
            let RepairedRows { compared, tally, .. } = &mut self.rows[place];
            let mut batch = RepairBatch { kind: compared.kind, ..RepairBatch::default() };
            let (mut is_cut, found) = (false, &mut compared.tally);
            let read = compared.rows.foreign(within, &mut |row| {
                match &row.remedy {
                    ForeignRemedy::Delete(key) => batch.foreign.push(key.clone()),
                    ForeignRemedy::Cut => is_cut = true,
                    ForeignRemedy::ByHand => {}
                }
                let is_left = row.remedy == ForeignRemedy::ByHand;
                *(if is_left { &mut tally.left } else { &mut tally.delete }) += 1;
                found.add_foreign(row, MOST_FINDINGS);
            });
            read.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
            if let Some(owner) = mends.as_deref_mut()
                && (is_cut || !batch.is_empty())
            {
                self.writer(owner)?.write(&batch)?;
            }
        }
        Ok(())
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
        let is_whole = filled_from.is_some() && self.rows.iter().all(|rows| rows.tally.doubtful == 0);
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
    pub(super) fn reopen(&mut self, (config, log): (&Config, &OpenLog), clock: SystemClock) -> Result<(), Halt> {
        let now = read((config, log), (&self.uri, clock), &self.state)?;
        self.rows.iter_mut().zip(now).for_each(|(rows, now)| rows.again = Some(now));
        Ok(())
    }

    /// Compares the rows of a slice with what it holds now.
    pub(super) fn slice_again(&mut self, slice: &LogSlice<'_>, log: &OpenLog) -> Result<(), Halt> {
        for rows in &slice.rows {
            for again in self.rows.iter_mut().filter_map(|of| of.again.as_mut()).filter(|of| of.kind == rows.kind) {
                let is_known = |start| log.are_known(log.window(rows.kind, start));
                let compared = again.compare(rows, is_known, MOST_FINDINGS);
                compared.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
            }
        }
        Ok(())
    }

    /// The same for what no run has written.
    pub(super) fn foreign_again(&mut self, within: &[Range<WindowStart>]) -> Result<(), Halt> {
        let mut again = self.rows.iter_mut().filter_map(|of| of.again.as_mut());
        let found = again.try_for_each(|again| again.add_foreign(within, MOST_FINDINGS));
        found.map_err(|why| Halt::new(HaltKind::Unreachable, why))
    }

    /// As the state calls it.
    pub(super) fn name(&self) -> &str {
        &self.state.name
    }

    /// Is there something that a repair does? What it leaves is none.
    pub(super) fn has_work(&self) -> bool {
        self.behind || self.rows.iter().any(|rows| rows.tally.write + rows.tally.delete > 0)
    }

    /// How many rows are wrong there after the repair.
    pub(super) fn faults_left(&self) -> u64 {
        let of = |rows: &RepairedRows| rows.again.as_ref().unwrap_or(&rows.compared).tally.faults();
        self.rows.iter().map(of).sum()
    }
}

/// Has the row a value that it is not to have? A write leaves it there.
fn loses_a_value(fault: &Fault) -> bool {
    let Fault::Different(cells) = fault else { return false };
    cells.iter().any(|cell| matches!(cell.should_be, crate::sinks::StoredCell::Nothing))
}
