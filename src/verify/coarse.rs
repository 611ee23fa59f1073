//! Rows of coarser windows (`--windows`), of the sums of minutes that were counted again: nothing of what a run makes them with.

use super::compare::{ExpectedRow, ExpectedRows, KindRows};
use super::log::OpenLog;
use super::recount::{RecountedWindow, SeriesRecount};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::oracle::LevelSpans;
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeMap;

/// The windows of one level that have not ended.
struct OpenLevel<'a> {
    kind: RowKind,
    spans: LevelSpans<'a>,
    /// Windows from here on are not handed over yet. Those before it are, or began before what was asked for.
    from: WindowStart,
    /// By start, with the end; by series.
    windows: BTreeMap<WindowStart, (WindowStart, BTreeMap<String, SeriesRecount>)>,
}

/// See the module.
pub(super) struct CoarseRecount<'a> {
    log: &'a OpenLog,
    levels: Vec<OpenLevel<'a>>,
}

impl<'a> CoarseRecount<'a> {
    /// Of minutes from here on. `whole`: there are none before.
    pub(super) fn new(log: &'a OpenLog, from: WindowStart, whole: bool) -> Self {
        let length = log.facts.rule.windowing.length;
        let open = |level| {
            let mut spans = LevelSpans::new(level, &log.columns, length);
            let [start, end] = spans.around(from);
            let from = if whole || start == from { start } else { end };
            OpenLevel { kind: RowKind::Window(level), spans, from, windows: BTreeMap::new() }
        };
        CoarseRecount { log, levels: log.columns.windows.iter().map(|level| open(*level)).collect() }
    }

    /// A minute and what counts for it.
    pub(super) fn add(&mut self, minute: WindowStart, of: &RecountedWindow) {
        for level in &mut self.levels {
            let [start, end] = level.spans.around(minute);
            if start < level.from {
                continue;
            }
            let (_, by_series) = level.windows.entry(start).or_insert_with(|| (end, BTreeMap::new()));
            for (symbol, recounted) in of {
                match by_series.get_mut(symbol) {
                    Some(there) => there.add_all(recounted),
                    None => drop(by_series.insert(symbol.clone(), recounted.clone())),
                }
            }
        }
    }

    /// The rows of windows that end here or before, once every minute before is added.
    pub(super) fn ended(&mut self, end: WindowStart, scales: Scales) -> Vec<KindRows> {
        let log = self.log;
        let mut all = Vec::new();
        for OpenLevel { kind, spans, from, windows } in &mut self.levels {
            let next = spans.around(end)[0].max(*from);
            let mut rows = ExpectedRows::new();
            let later = windows.split_off(&next);
            for (start, (end, by_series)) in std::mem::replace(windows, later) {
                if !log.are_known(start..end) {
                    continue;
                }
                for (symbol, SeriesRecount { sums, spans: records }) in by_series {
                    let state = log.state_of(start);
                    let row =
                        log.judges.coarse_row((&*spans, *kind), (start, &symbol), &sums, state, (&log.columns, scales));
                    let known = vec![true; row.derived.len()];
                    rows.insert((start, symbol), ExpectedRow { row, known, spans: records });
                }
            }
            all.push(KindRows { kind: *kind, starts: *from..next, rows });
            *from = next;
        }
        all
    }
}
