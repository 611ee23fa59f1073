//! A state and its log, open for counting minutes again. Nothing is locked and nothing is written.

use super::error::VerifyError;
use super::facts::{self, StateFacts, Unverifiable};
use super::plan::AskedMinutes;
use super::sums::JudgeKind;
use crate::clock::SystemClock;
use crate::config::{Config, Metrics};
use crate::dead_letter_files::MissingLetters;
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
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// See the module.
pub(crate) struct OpenLog {
    /// Of the newest manifest.
    pub(crate) head: Manifest,
    pub(crate) facts: StateFacts,
    /// What minutes come to by the state: those that every worker has forgotten, or all that are final.
    pub(crate) digests: BTreeMap<WindowStart, MinuteDigest>,
    /// Every final minute from here on that has rows has its digest there; none: those that are forgotten alone are there.
    pub(crate) digests_from: Option<WindowStart>,
    pub(crate) source: Arc<dyn LogSource>,
    pub(crate) found: Vec<Discovered>,
    pub(crate) columns: OracleColumns,
    /// Dead letters whose exceptions (R10) are not known: what a clock or a floor judged there counts here.
    pub(crate) missing_letters: Option<MissingLetters>,
    /// Dead letters that are not in their file yet.
    pub(crate) unstored: Vec<DeadLetter>,
    /// Who judges and adds up: the oracle, if nothing else is asked for.
    pub(crate) judges: JudgeKind,
}

/// What is wanted of a state beside its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WantedDigests {
    /// Those of minutes that are forgotten.
    Forgotten,
    /// Those of all final minutes.
    Final,
}

impl OpenLog {
    /// Opens both.
    ///
    /// # Errors
    /// 64: the options are not those of a state. 65: the log is another one, or dead letters are broken. 69: something cannot be
    /// reached.
    pub(crate) fn open(config: &mut Config, clock: SystemClock) -> Result<Self, Halt> {
        OpenLog::open_watched(config, clock, &mut || Ok(()))
    }

    /// The same; `watch` is asked now and then whether it is to go on.
    ///
    /// # Errors
    /// As [`OpenLog::open`], and what `watch` says.
    pub(crate) fn open_watched(
        config: &mut Config,
        clock: SystemClock,
        watch: &mut dyn FnMut() -> Result<(), Halt>,
    ) -> Result<Self, Halt> {
        OpenLog::open_with(config, clock, WantedDigests::Forgotten, watch)
    }

    /// The same, with what the state holds of the newest final minutes, which have no digest yet: so that a log which is another one is
    /// noticed there, too.
    ///
    /// # Errors
    /// As [`OpenLog::open`].
    pub(crate) fn open_whole(config: &mut Config, clock: SystemClock) -> Result<Self, Halt> {
        OpenLog::open_with(config, clock, WantedDigests::Final, &mut || Ok(()))
    }

    fn open_with(
        config: &mut Config,
        clock: SystemClock,
        wanted: WantedDigests,
        watch: &mut dyn FnMut() -> Result<(), Halt>,
    ) -> Result<Self, Halt> {
        // It is read up to where the state has read it.
        config.settings.bounded = true;
        let state = facts::state(config, wanted == WantedDigests::Final)?;
        config.registry.as_ref().map_or(Ok(()), |registry| registry.probe())?;
        let run_start = config.as_of.unwrap_or_else(|| clock.wall());
        let source = sources::open(&config.source, &config.source_options(run_start, clock))?;
        let probes = source.probe(&checkpoint::probe_targets(&state.head))?;
        checkpoint::resume(state.head.clone(), &probes, false)?;
        let has_ids = !config.fields.id.is_empty();
        let (exceptions, missing_letters) = facts::exceptions(&state.head, &config.folder, watch)?;
        let facts = StateFacts::of(&state, &probes, config.settings.rule, has_ids, exceptions);
        let market = config.metrics == Metrics::Market;
        let (derived, windows) = (config.settings.derive.clone(), &config.settings.windows);
        let (windows, zone) = (windows.levels().to_vec(), windows.zone().cloned());
        let columns = OracleColumns { market, derived, windows, zone };
        let (digests, digests_from) = match wanted {
            WantedDigests::Forgotten => (facts::digests(&state), None),
            WantedDigests::Final => {
                let from = facts::forgotten_before(&state).unwrap_or(WindowStart::MIN);
                (facts::digests_of_final(&state, facts.final_before), Some(from))
            }
        };
        let (head, unstored, found) = (state.head, state.unstored, source.discover()?);
        let judges = JudgeKind::Oracle(Box::new(config.decoder.clone()));
        Ok(OpenLog { head, facts, digests, digests_from, source, found, columns, missing_letters, unstored, judges })
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
        let buckets = buckets_of(&windows);
        Some(*buckets.start()) >= self.facts.since() && self.facts.deleted(buckets).is_empty()
    }

    /// Which of these minutes cannot, and why, in whole buckets.
    pub(crate) fn unverifiable(&self, minutes: &Range<WindowStart>) -> Vec<(Unverifiable, Range<WindowStart>)> {
        let buckets = buckets_of(minutes);
        let (first, last) = (*buckets.start(), *buckets.end());
        let of = |from: i64, to: i64| WindowStart(from * BUCKET)..WindowStart(to * BUCKET);
        let since = self.facts.since().map_or(first, |since| since.clamp(first, last + 1));
        let not_indexed = (first < since).then(|| (Unverifiable::NotIndexed, of(first, since)));
        let deleted = self.facts.deleted(buckets).into_iter();
        not_indexed.into_iter().chain(deleted.map(|bucket| (Unverifiable::Deleted, of(bucket, bucket + 1)))).collect()
    }

    /// From which minute on the index knows all that counted; none where that is from the first on.
    pub(crate) fn indexed_from(&self) -> Option<WindowStart> {
        self.facts.since().map(|bucket| WindowStart(bucket * BUCKET))
    }

    /// From which minute on all that counted can be counted again; none where that is from the first on.
    pub(crate) fn verifiable_from(&self) -> Option<WindowStart> {
        let buckets = self.facts.buckets();
        let newest_gone = buckets.iter().rev().find(|bucket| self.facts.unverifiable(**bucket).is_some());
        self.indexed_from().max(newest_gone.map(|bucket| WindowStart((bucket + 1) * BUCKET)))
    }

    /// Which dead letters are not there, and what that means for what is counted again; none where all are.
    pub(crate) fn doubt(&self) -> Option<String> {
        let missing = self.missing_letters.as_ref()?;
        Some(format!(
            "{missing}; a record that they list as judged by a clock or a floor (R10) counts here as if it were not"
        ))
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

/// The buckets of these windows.
fn buckets_of(windows: &Range<WindowStart>) -> RangeInclusive<i64> {
    windows.start.0.div_euclid(BUCKET)..=(windows.end.0 - 1).div_euclid(BUCKET)
}
