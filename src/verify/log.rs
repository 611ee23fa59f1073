//! A state and its log, open for counting minutes again. Nothing is locked and nothing is written.

use super::error::VerifyError;
use super::facts::{self, StateFacts, Unverifiable};
use super::plan::AskedMinutes;
use super::sums::JudgeKind;
use crate::clock::SystemClock;
use crate::config::{Config, Metrics};
use crate::sources;
use minutely_dataflows::checkpoint::{self, Manifest};
use minutely_dataflows::digest::MinuteDigest;
use minutely_dataflows::edge::{Discovered, Halt, LogSource};
use minutely_dataflows::oracle::{LevelSpans, OracleColumns};
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::record::DeadLetter;
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::{State, WindowStart};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// See the module.
pub(crate) struct OpenLog {
    /// Of the newest manifest.
    pub(crate) head: Manifest,
    pub(crate) facts: StateFacts,
    /// Of minutes that every worker has forgotten.
    pub(crate) digests: BTreeMap<WindowStart, MinuteDigest>,
    pub(crate) source: Arc<dyn LogSource>,
    pub(crate) found: Vec<Discovered>,
    pub(crate) columns: OracleColumns,
    /// Dead letters that are not in their file yet.
    pub(crate) unstored: Vec<DeadLetter>,
    /// Who judges and adds up: the oracle, if nothing else is asked for.
    pub(crate) judges: JudgeKind,
}

impl OpenLog {
    /// Opens both.
    ///
    /// # Errors
    /// 64: the options are not those of a state. 65: the log is another one, or dead letters are broken. 69: something cannot be
    /// reached.
    pub(crate) fn open(config: &mut Config, clock: SystemClock) -> Result<Self, Halt> {
        // It is read up to where the state has read it.
        config.settings.bounded = true;
        let state = facts::state(config)?;
        config.registry.as_ref().map_or(Ok(()), |registry| registry.probe())?;
        let run_start = config.as_of.unwrap_or_else(|| clock.wall());
        let source = sources::open(&config.source, &config.source_options(run_start, clock))?;
        let probes = source.probe(&checkpoint::probe_targets(&state.head))?;
        checkpoint::resume(state.head.clone(), &probes, false)?;
        let has_ids = !config.fields.id.is_empty();
        let facts = StateFacts::of(&state, &probes, config.settings.rule, has_ids, &config.folder)?;
        let market = config.metrics == Metrics::Market;
        let (derived, windows) = (config.settings.derive.clone(), &config.settings.windows);
        let (windows, zone) = (windows.levels().to_vec(), windows.zone().cloned());
        let columns = OracleColumns { market, derived, windows, zone };
        let (digests, found) = (facts::digests(&state), source.discover()?);
        let judges = JudgeKind::Oracle(Box::new(config.decoder.clone()));
        Ok(OpenLog { head: state.head, facts, digests, source, found, columns, unstored: state.unstored, judges })
    }

    /// The final minutes that are asked for: all that can be counted again, where nothing is said. `since_final`: nanoseconds of event
    /// time before the first minute that is not final, where the newest alone are asked for.
    ///
    /// # Errors
    /// 65: no such minute is final.
    pub(crate) fn minutes(&self, asked: AskedMinutes, since_final: Option<i64>) -> Result<Range<WindowStart>, Halt> {
        let (windowing, final_before) = (self.facts.rule.windowing, self.facts.final_before);
        let buckets = self.facts.buckets();
        let known = buckets.iter().find(|bucket| self.facts.unverifiable(**bucket).is_none());
        let oldest = known.or(buckets.first()).map(|bucket| bucket * BUCKET);
        let back = since_final.map(|back| final_before.0.saturating_sub(back));
        let from = asked.from.map(|from| from.0).or(back.max(oldest.filter(|_| back.is_some())));
        let up = |time: i64| WindowStart((time + windowing.length - 1).div_euclid(windowing.length) * windowing.length);
        let nothing = || VerifyError::NothingFinal(String::new());
        let from = from.or(oldest).map(up).ok_or_else(nothing)?;
        let to = asked.to.map_or(final_before, |to| up(to.0)).min(final_before);
        if from >= to { Err(nothing().into()) } else { Ok(from..to) }
    }

    /// Can what the log has of this minute be counted again?
    pub(crate) fn is_known(&self, window: WindowStart) -> bool {
        self.facts.unverifiable(window.0.div_euclid(BUCKET)).is_none()
    }

    /// Can all of these?
    pub(crate) fn are_known(&self, windows: Range<WindowStart>) -> bool {
        let mut buckets = windows.start.0.div_euclid(BUCKET)..=(windows.end.0 - 1).div_euclid(BUCKET);
        buckets.all(|bucket| self.facts.unverifiable(bucket).is_none())
    }

    /// Which of these minutes cannot, and why, by bucket.
    pub(crate) fn unverifiable(&self, minutes: &Range<WindowStart>) -> Vec<(Unverifiable, Range<WindowStart>)> {
        let buckets = minutes.start.0.div_euclid(BUCKET)..=(minutes.end.0 - 1).div_euclid(BUCKET);
        let of = |bucket: i64| WindowStart(bucket * BUCKET)..WindowStart((bucket + 1) * BUCKET);
        buckets.filter_map(|bucket| Some((self.facts.unverifiable(bucket)?, of(bucket)))).collect()
    }

    /// From which minute on the index knows all that counted; none where that is from the first on.
    pub(crate) fn indexed_from(&self) -> Option<WindowStart> {
        let since = self.facts.partitions.iter().filter_map(|partition| partition.since).max();
        since.map(|bucket| WindowStart(bucket * BUCKET))
    }

    /// From which minute on all that counted can be counted again; none where that is from the first on.
    pub(crate) fn verifiable_from(&self) -> Option<WindowStart> {
        let buckets = self.facts.buckets();
        let newest_gone = buckets.iter().rev().find(|bucket| self.facts.unverifiable(**bucket).is_some());
        self.indexed_from().max(newest_gone.map(|bucket| WindowStart((bucket + 1) * BUCKET)))
    }

    /// What rows of a final window say of it.
    pub(crate) fn state_of(&self, window: WindowStart) -> State {
        if self.head.marks.partial_before.includes(window) { State::Partial } else { State::Final }
    }

    /// The minutes of the window of this kind that this one is in: the start of the first, and the end of the last.
    pub(crate) fn window(&self, kind: RowKind, minute: WindowStart) -> Range<WindowStart> {
        let length = self.facts.rule.windowing.length;
        match kind {
            RowKind::Minute | RowKind::Group => minute..WindowStart(minute.0.saturating_add(length)),
            RowKind::Window(level) => {
                let [start, end] = LevelSpans::new(level, &self.columns, length).around(minute);
                start..end
            }
        }
    }

    /// Where the first window of this kind begins that has not ended by then.
    pub(crate) fn begins_by(&self, kind: RowKind, end: WindowStart) -> WindowStart {
        self.window(kind, end).start
    }
}
