//! The rows of final minutes, as the log gives them.

use super::coarse::CoarseRecount;
use super::compare::{ExpectedRow, ExpectedRows, KindRows};
use super::log::OpenLog;
use super::recount::{Recount, RecountedWindow};
use super::report::DigestFinding;
use super::sums::{FoldsOfSeries, SumsOfSeries};
use crate::bar;
use crate::config::Config;
use minutely_dataflows::digest::{MinuteDigest, row_bytes};
use minutely_dataflows::edge::{Halt, ReadProgress};
use minutely_dataflows::oracle::group_rows;
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{SECOND, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Event time whose rows are held at once, in nanoseconds.
const SLICE: i64 = 3600 * SECOND;

/// Makes the rows of one range of minutes, from its beginning to its end.
pub(crate) struct LogRows<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    /// By series: what is made of all minutes of the range so far.
    folds: HashMap<String, FoldsOfSeries>,
    /// The range begins with the first minutes that there are.
    whole: bool,
}

/// Minutes all of whose records are read, and the rows that are known since.
pub(crate) struct LogSlice<'r> {
    pub(crate) minutes: Range<WindowStart>,
    /// Those of minutes come first.
    pub(crate) rows: Vec<KindRows>,
    pub(super) recount: &'r Recount<'r>,
}

/// What making rows comes to next.
pub(crate) enum LogStep<'r> {
    /// Some records were read.
    Read,
    Slice(LogSlice<'r>),
}

impl LogSlice<'_> {
    /// Compares the digests that the state has of these minutes, which are the slice's, or some that its rows look back at: how many,
    /// and those that are not the log's.
    pub(crate) fn digests(
        &self,
        (config, log): (&Config, &OpenLog),
        minutes: Range<WindowStart>,
    ) -> (u64, Vec<DigestFinding>) {
        let counted: BTreeMap<WindowStart, &RecountedWindow> = self.recount.windows(minutes.clone()).collect();
        let (mut compared, mut wrong) = (0, Vec::new());
        // (Of a minute that the log has nothing of, the state is to have none; and the other way round, where it has all.)
        let of_state = log.digests.range(minutes).map(|(window, is)| (*window, *is));
        let has_all = |window: &WindowStart| log.digests_from.is_some_and(|from| from <= *window);
        let lacking = counted.keys().filter(|window| has_all(window) && !log.digests.contains_key(window));
        let lacking = lacking.map(|window| (*window, MinuteDigest::default()));
        let mut all: Vec<_> = of_state.chain(lacking).collect();
        all.sort_unstable_by_key(|(window, _)| *window);
        for (window, is) in all {
            if !log.is_known(window) || log.state_of(window) == State::Partial {
                continue;
            }
            let mut should_be = MinuteDigest::default();
            for (symbol, recounted) in counted.get(&window).into_iter().copied().flatten() {
                let numbers = recounted.sums.numbers(log.columns.market);
                let bytes = row_bytes(symbol, window, config.decoder.scales(), &numbers);
                should_be.add(MinuteDigest::of_row(&bytes));
            }
            compared += 1;
            if is != should_be {
                wrong.push(DigestFinding { minute: window, is, should_be });
            }
        }
        (compared, wrong)
    }
}

/// Where the slice from here on ends: after an hour, and where nothing counted by then, where the next bucket begins in which something
/// did.
fn slice_end(start: WindowStart, buckets: &BTreeSet<i64>) -> WindowStart {
    let hour = start.0.saturating_add(SLICE);
    let next = buckets.range(start.0.div_euclid(BUCKET)..).next();
    WindowStart(next.map_or(i64::MAX, |bucket| hour.max(bucket.saturating_mul(BUCKET))))
}

impl<'a> LogRows<'a> {
    /// Reads a range again and hands it over, slice by slice; between them it says now and then that it reads. Hours in which nothing
    /// counted are one slice. Returns how many records were read.
    ///
    /// # Errors
    /// The log cannot be read; what `each` says.
    pub(crate) fn each_slice(
        (config, log): (&'a Config, &'a OpenLog),
        range: Range<WindowStart>,
        mut each: impl FnMut(LogStep<'_>) -> Result<(), Halt>,
    ) -> Result<u64, Halt> {
        let look_back = config.settings.look_back();
        let wanted = WindowStart(range.start.0.saturating_sub(look_back))..range.end;
        let mut rows = LogRows { config, log, folds: HashMap::new(), whole: log.facts.begins_with(range.start) };
        let mut coarse = CoarseRecount::new(log, range.start, rows.whole);
        let found = (&log.source, log.found.as_slice());
        let mut recount = Recount::open(&log.facts, found, &log.judges, wanted)?;
        let total = recount.estimate();
        let (mut start, buckets) = (range.start, log.facts.buckets());
        while start < range.end {
            let end = slice_end(start, &buckets).min(range.end);
            recount.read_to(end, |done| {
                bar::show_records(ReadProgress { done, total });
                each(LogStep::Read)
            })?;
            let minutes = start..end;
            let of_minutes = rows.of(minutes.clone(), &recount);
            let of_groups = rows.of_groups(&of_minutes);
            recount.windows(minutes.clone()).for_each(|(minute, of)| coarse.add(minute, of));
            let kind = |kind, rows| KindRows { kind, starts: minutes.clone(), rows };
            let mut of_slice = vec![kind(RowKind::Minute, of_minutes)];
            of_slice.extend(coarse.ended(end, config.decoder.scales()));
            of_slice.extend(of_groups.map(|rows| kind(RowKind::Group, rows)));
            each(LogStep::Slice(LogSlice { rows: of_slice, minutes, recount: &recount }))?;
            recount.forget_before(WindowStart(end.0.saturating_sub(look_back)));
            start = end;
        }
        Ok(recount.records)
    }

    /// The rows of a slice.
    fn of(&mut self, slice: Range<WindowStart>, recount: &Recount<'_>) -> ExpectedRows {
        let mut expected = ExpectedRows::new();
        let scales = self.config.decoder.scales();
        for (window, of) in recount.windows(slice) {
            if !self.log.is_known(window) {
                continue;
            }
            let state = self.log.state_of(window);
            let before = self.look_back(window, recount);
            for (symbol, recounted) in of {
                let row = recounted.sums.row(symbol, window, state, (self.log.columns.market, scales));
                let recursive = self.recursive(symbol, (window, state), &recounted.sums);
                let (derived, known) = self.derived(symbol, (window, state), &before, recursive);
                let row = Row { derived: derived.into(), ..row };
                let spans = recounted.spans.clone();
                expected.insert((window, symbol.clone()), ExpectedRow { row, known, spans });
            }
        }
        expected
    }

    /// The rows of groups in these minutes, by today's table.
    fn of_groups(&self, of_minutes: &ExpectedRows) -> Option<ExpectedRows> {
        let table = &self.config.groups.as_ref()?.table;
        let lines: Vec<_> = table.memberships().cloned().collect();
        let rows = of_minutes.iter().map(|(key, expected)| (key.clone(), expected.row.clone())).collect();
        let expected = |row: Row| ExpectedRow { known: vec![true; row.derived.len()], row, spans: Vec::new() };
        let rows = group_rows(&rows, &lines, self.config.decoder.scales().value);
        Some(rows.into_iter().map(|(key, row)| (key, expected(row))).collect())
    }

    /// The windows that a row of this one looks at, its own included; none where not all of them are known.
    fn look_back<'r>(
        &self,
        window: WindowStart,
        recount: &'r Recount<'_>,
    ) -> Option<Vec<(WindowStart, &'r RecountedWindow)>> {
        let from = WindowStart(window.0.saturating_sub(self.config.settings.look_back()));
        let known = self.log.are_known(from..WindowStart(window.0 + 1));
        let whole = |(window, _): &(WindowStart, _)| self.log.state_of(*window) != State::Partial;
        known.then(|| recount.windows(from..WindowStart(window.0 + 1)).filter(whole).collect())
    }

    /// What is made of all minutes so far of a series, its next included, where it is known.
    fn recursive(
        &mut self,
        symbol: &str,
        (window, state): (WindowStart, State),
        sums: &SumsOfSeries,
    ) -> Option<Vec<Option<f64>>> {
        if state == State::Partial || !self.log.columns.derived.is_recursive() {
            return None;
        }
        if !self.folds.contains_key(symbol) {
            self.folds.insert(symbol.to_owned(), self.log.judges.folds(&self.log.columns, self.whole));
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
        let width = self.log.columns.derived.columns().count();
        if state == State::Partial || width == 0 {
            return (vec![None; width], vec![true; width]);
        }
        let Some(before) = before else { return (vec![None; width], vec![false; width]) };
        let of_series = before.iter().filter_map(|(at, of)| Some((*at, &of.get(symbol)?.sums)));
        let minutes: Vec<(WindowStart, &SumsOfSeries)> = of_series.filter(|(at, _)| *at <= window).collect();
        let length = self.log.facts.rule.windowing.length;
        let numbers = (self.config.decoder.scales(), length);
        let values = self.log.judges.derived_values(&minutes, recursive, &self.log.columns, numbers);
        values.into_iter().map(|value| (value.flatten(), value.is_some())).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_in_which_nothing_counted_are_one_slice() {
        let buckets = BTreeSet::from([0, 3, 6 * 24 * 365 * 50]);
        let mut slices = vec![WindowStart(-20 * SLICE)];
        while let Some(start) = slices.last().filter(|start| start.0 < i64::MAX) {
            slices.push(slice_end(*start, &buckets));
        }
        let far = 24 * 365 * 50;
        let hours: Vec<i64> = slices.iter().map(|start| start.0 / SLICE).collect();
        assert_eq!(hours, [-20, 0, 1, far, far + 1, i64::MAX / SLICE]);
    }
}
