//! One verification, from the state to the report.

use super::compare::{ComparedSink, ExpectedRow, ExpectedRows};
use super::error::VerifyError;
use super::facts::{self, StateFacts};
use super::plan::VerifyPlan;
use super::recount::{Recount, RecountedWindow};
use super::report::{DigestFinding, PartitionRead, VerifyReport};
use crate::bar;
use crate::clock::SystemClock;
use crate::config::{Config, Metrics};
use crate::console::print;
use crate::sinks::{self, ReadBackOptions};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::checkpoint::{self, Manifest};
use minutely_dataflows::digest::{MinuteDigest, row_bytes};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind, LogSource, ReadProgress};
use minutely_dataflows::oracle::{OracleColumns, PlainSums, SeriesFolds, derived_values};
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{SECOND, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Event time that is compared at once, in nanoseconds: so much is held of the rows of a sink.
const SLICE: i64 = 3600 * SECOND;
/// Findings of a sink that are kept, for JSON.
const MOST_FINDINGS: usize = 1000;

/// What a verification goes by.
struct Session<'a> {
    config: &'a Config,
    facts: &'a StateFacts,
    head: &'a Manifest,
    digests: BTreeMap<WindowStart, MinuteDigest>,
    source: Arc<dyn LogSource>,
    found: Vec<Discovered>,
    columns: OracleColumns,
    sinks: Vec<ComparedSink>,
    /// By series: what is made of all minutes of the range so far.
    folds: HashMap<String, SeriesFolds>,
    /// The range begins with the first minutes that there are.
    whole: bool,
    report: VerifyReport,
}

/// Verifies what is asked for, and prints the report.
///
/// # Errors
/// 64: the options are not those of a state. 65: something differs, or cannot be verified. 69: log, state or a sink cannot be reached.
pub(crate) fn verify(mut config: Config, plan: VerifyPlan, clock: SystemClock) -> Result<(), Halt> {
    let began = Instant::now();
    // It is read up to where the state has read it.
    config.settings.bounded = true;
    let state = facts::state(&config)?;
    config.registry.as_ref().map_or(Ok(()), |registry| registry.probe())?;
    let run_start = config.as_of.unwrap_or_else(|| clock.wall());
    let source = sources::open(&config.source, &config.source_options(run_start, clock))?;
    let probes = source.probe(&checkpoint::probe_targets(&state.head))?;
    checkpoint::resume(state.head.clone(), &probes, false)?;
    let has_ids = !config.fields.id.is_empty();
    let facts = StateFacts::of(&state, &probes, config.settings.rule, has_ids, &config.folder)?;
    let market = config.metrics == Metrics::Market;
    let columns = OracleColumns { market, derived: config.settings.derive.clone(), ..OracleColumns::default() };
    let found = source.discover()?;
    let (sinks, unreadable) = open_sinks(&config, &state.head, clock)?;
    let mut session = Session {
        config: &config,
        facts: &facts,
        head: &state.head,
        digests: facts::digests(&state),
        source,
        found,
        columns,
        sinks,
        folds: HashMap::new(),
        whole: false,
        report: VerifyReport::default(),
    };
    let ranges = session.ranges(plan)?;
    let verified = ranges.iter().try_for_each(|range| session.range(range.clone()));
    bar::remove();
    verified?;
    let Session { mut report, sinks, .. } = session;
    report.sinks = sinks;
    report.unreadable = unreadable;
    report.exceptions = facts.partitions.iter().map(|partition| partition.exceptions.len() as u64).sum();
    report.partitions = facts.partitions.iter().map(PartitionRead::of).collect();
    report.took = began.elapsed();
    let text = if plan.json { report.json(&config)? } else { report.text(&config) };
    print(&text).map_err(VerifyError::Unwritten)?;
    report.verdict(plan.minutes.from.is_some()).map_or(Ok(()), |why| Err(VerifyError::Differs(why).into()))
}

/// Those that can be read back, and the names of those that cannot.
fn open_sinks(config: &Config, head: &Manifest, clock: SystemClock) -> Result<(Vec<ComparedSink>, Vec<String>), Halt> {
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
    fn ranges(&mut self, plan: VerifyPlan) -> Result<Vec<Range<WindowStart>>, VerifyError> {
        let (windowing, final_before) = (self.facts.rule.windowing, self.facts.final_before);
        let buckets = self.facts.buckets();
        let known = buckets.iter().find(|bucket| self.facts.unverifiable(**bucket).is_none());
        let oldest = known.or(buckets.first()).map(|bucket| bucket * BUCKET);
        let since = self.facts.partitions.iter().filter_map(|partition| partition.since).max();
        self.report.indexed_from = since.map(|bucket| WindowStart(bucket * BUCKET));
        let back = plan.since_final.map(|back| final_before.0.saturating_sub(back));
        let asked = plan.minutes.from.map(|from| from.0).or(back.max(oldest.filter(|_| back.is_some())));
        let up = |time: i64| WindowStart((time + windowing.length - 1).div_euclid(windowing.length) * windowing.length);
        let nothing = || VerifyError::NothingFinal(String::new());
        let from = asked.or(oldest).map(up).ok_or_else(nothing)?;
        let to = plan.minutes.to.map_or(final_before, |to| up(to.0)).min(final_before);
        if from >= to {
            return Err(nothing());
        }
        self.report.asked = from..to;
        let Some(sample) = plan.sample else { return Ok(vec![from..to]) };
        let (all, sample) = ((to.0 - from.0) / windowing.length, i64::from(sample));
        let mut drawn = BTreeSet::new();
        for n in 0..sample {
            // One of each of so many equal parts.
            let (first, last) = (all * n / sample, all * (n + 1) / sample);
            let place = fastrand::i64(first..last.max(first + 1));
            drawn.insert(WindowStart(from.0 + place * windowing.length));
        }
        Ok(drawn.into_iter().map(|window| window..WindowStart(window.0 + windowing.length)).collect())
    }

    /// Verifies a range.
    fn range(&mut self, range: Range<WindowStart>) -> Result<(), Halt> {
        let look_back = self.config.settings.look_back();
        let wanted = WindowStart(range.start.0.saturating_sub(look_back))..range.end;
        (self.folds, self.whole) = (HashMap::new(), self.facts.begins_with(range.start));
        let log = (&self.source, self.found.as_slice());
        let mut recount = Recount::open(self.facts, log, &self.config.decoder, wanted)?;
        let (total, before) = (recount.estimate(), self.report.records);
        let mut start = range.start;
        while start < range.end {
            let end = WindowStart(start.0.saturating_add(SLICE)).min(range.end);
            recount.read_to(end, |done| bar::show_records(ReadProgress { done, total }))?;
            self.slice(start..end, &recount)?;
            recount.forget_before(WindowStart(end.0.saturating_sub(look_back)));
            start = end;
        }
        self.report.records = before + recount.records;
        Ok(())
    }

    /// Compares a slice, all of which is read.
    fn slice(&mut self, slice: Range<WindowStart>, recount: &Recount<'_>) -> Result<(), Halt> {
        let expected = self.expected(slice.clone(), recount);
        let facts = self.facts;
        let is_known = |window: WindowStart| facts.unverifiable(window.0.div_euclid(BUCKET)).is_none();
        for sink in &mut self.sinks {
            let compared = sink.compare(slice.clone(), &expected, is_known, MOST_FINDINGS);
            compared.map_err(|why| Halt::new(HaltKind::Unreachable, why))?;
        }
        let minutes: BTreeSet<WindowStart> = expected.keys().map(|(window, _)| *window).collect();
        self.report.minutes += minutes.len() as u64;
        self.report.rows += expected.len() as u64;
        let counted: BTreeMap<WindowStart, &RecountedWindow> = recount.windows(slice.clone()).collect();
        // (Of a minute that the log has nothing of, the state is to have none.)
        let known = self.digests.range(slice.clone()).map(|(window, digest)| (*window, *digest));
        for (window, digest) in known.collect::<Vec<_>>() {
            self.compare_digest(window, digest, counted.get(&window).copied());
        }
        for bucket in slice.start.0.div_euclid(BUCKET)..=(slice.end.0 - 1).div_euclid(BUCKET) {
            if let Some(why) = facts.unverifiable(bucket) {
                let of_bucket = WindowStart(bucket * BUCKET)..WindowStart((bucket + 1) * BUCKET);
                self.report.add_unverifiable(why, of_bucket);
            }
        }
        Ok(())
    }

    fn state_of(&self, window: WindowStart) -> State {
        if self.head.marks.partial_before.includes(window) { State::Partial } else { State::Final }
    }

    /// The rows of a slice.
    fn expected(&mut self, slice: Range<WindowStart>, recount: &Recount<'_>) -> ExpectedRows {
        let mut expected = ExpectedRows::new();
        let scales = self.config.decoder.scales();
        for (window, of) in recount.windows(slice) {
            if self.facts.unverifiable(window.0.div_euclid(BUCKET)).is_some() {
                continue;
            }
            let state = self.state_of(window);
            let before = self.look_back(window, recount);
            for (symbol, recounted) in of {
                let row = recounted.sums.row(symbol, window, state, (self.columns.market, scales));
                let recursive = self.recursive(symbol, (window, state), &recounted.sums);
                let (derived, known) = self.derived(symbol, (window, state), &before, recursive);
                self.report.note_unknown(&known);
                let row = Row { derived: derived.into(), ..row };
                let spans = recounted.spans.clone();
                expected.insert((window, symbol.clone()), ExpectedRow { row, known, spans });
            }
        }
        expected
    }

    /// The windows that a row of this one looks at, its own included; none where not all of them are known.
    fn look_back<'r>(
        &self,
        window: WindowStart,
        recount: &'r Recount<'_>,
    ) -> Option<Vec<(WindowStart, &'r RecountedWindow)>> {
        let from = WindowStart(window.0.saturating_sub(self.config.settings.look_back()));
        let mut buckets = from.0.div_euclid(BUCKET)..=window.0.div_euclid(BUCKET);
        let known = buckets.all(|bucket| self.facts.unverifiable(bucket).is_none());
        let whole = |(window, _): &(WindowStart, _)| self.state_of(*window) != State::Partial;
        known.then(|| recount.windows(from..WindowStart(window.0 + 1)).filter(whole).collect())
    }

    /// What is made of all minutes so far of a series, its next included, where it is known.
    fn recursive(
        &mut self,
        symbol: &str,
        (window, state): (WindowStart, State),
        sums: &PlainSums,
    ) -> Option<Vec<Option<f64>>> {
        if state == State::Partial || !self.columns.derived.is_recursive() {
            return None;
        }
        if !self.folds.contains_key(symbol) {
            self.folds.insert(symbol.to_owned(), SeriesFolds::begin(&self.columns, self.whole));
        }
        self.folds.get_mut(symbol)?.step(window, sums, self.config.decoder.scales())
    }

    /// The derived values of a row, and which of them are known.
    fn derived(
        &self,
        symbol: &str,
        (window, state): (WindowStart, State),
        before: &Option<Vec<(WindowStart, &RecountedWindow)>>,
        recursive: Option<Vec<Option<f64>>>,
    ) -> (Vec<Option<f64>>, Vec<bool>) {
        let width = self.columns.derived.columns().count();
        if state == State::Partial || width == 0 {
            return (vec![None; width], vec![true; width]);
        }
        let Some(before) = before else { return (vec![None; width], vec![false; width]) };
        let of_series = before.iter().filter_map(|(at, of)| Some((*at, &of.get(symbol)?.sums)));
        let minutes: Vec<(WindowStart, &PlainSums)> = of_series.filter(|(at, _)| *at <= window).collect();
        let length = self.facts.rule.windowing.length;
        let values = derived_values(&minutes, recursive, &self.columns, (self.config.decoder.scales(), length));
        values.into_iter().map(|value| (value.flatten(), value.is_some())).unzip()
    }

    /// Is a window's digest in the state that of the log?
    fn compare_digest(&mut self, window: WindowStart, is: MinuteDigest, of: Option<&RecountedWindow>) {
        if self.facts.unverifiable(window.0.div_euclid(BUCKET)).is_some() || self.state_of(window) == State::Partial {
            return;
        }
        let mut should_be = MinuteDigest::default();
        for (symbol, recounted) in of.into_iter().flatten() {
            let numbers = recounted.sums.numbers(self.columns.market);
            let bytes = row_bytes(symbol, window, self.config.decoder.scales(), &numbers);
            should_be.add(MinuteDigest::of_row(&bytes));
        }
        self.report.digests += 1;
        if is != should_be {
            self.report.wrong_digests.push(DigestFinding { minute: window, is, should_be });
        }
    }
}
