//! What the log itself gives for the minutes that are amended: verify's recount, and what it has counted.

use crate::bar;
use crate::verify::{OpenLog, Recount};
use minutely_dataflows::decode::EventId;
use minutely_dataflows::edge::{Halt, ReadProgress};
use minutely_dataflows::oracle::{PlainSums, Position};
use minutely_dataflows::time::{SECOND, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

/// Event time between two minutes that is read over; for more the log is opened again behind it.
const READ_OVER: i64 = 3600 * SECOND;

/// See the module.
#[derive(Default)]
pub(super) struct LogBase {
    pub(super) sums: BTreeMap<(WindowStart, String), PlainSums>,
    /// Of the places that were asked for: those that count already.
    pub(super) counted: HashSet<Position>,
    /// By partition: ids of what counts, by minute.
    pub(super) ids: HashSet<(u64, WindowStart, EventId)>,
}

impl LogBase {
    /// Counts the series of these minutes again. `places`: of letters.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn count(
        log: &OpenLog,
        wanted: &BTreeSet<(WindowStart, String)>,
        places: &HashSet<Position>,
    ) -> Result<Self, Halt> {
        let mut base = LogBase::default();
        let minutes: BTreeSet<WindowStart> = wanted.iter().map(|(window, _)| *window).collect();
        for range in ranges(&minutes, log) {
            base.range(log, (range, &minutes, wanted), places)?;
        }
        bar::remove();
        Ok(base)
    }

    fn range(
        &mut self,
        log: &OpenLog,
        (range, minutes, wanted): (Range<WindowStart>, &BTreeSet<WindowStart>, &BTreeSet<(WindowStart, String)>),
        places: &HashSet<Position>,
    ) -> Result<(), Halt> {
        let LogBase { sums, counted, ids } = self;
        let found = (&log.source, log.found.as_slice());
        let recount = Recount::open(&log.facts, found, &log.judges, range.clone())?;
        let mut recount = recount.watched(|window, position, event| {
            if places.contains(&position) {
                counted.insert(position);
            }
            if let Some(id) = event.id.filter(|_| minutes.contains(&window)) {
                ids.insert((position.0, window, id));
            }
        });
        let total = recount.estimate();
        let mut start = range.start;
        while start < range.end {
            let end = WindowStart(start.0.saturating_add(READ_OVER)).min(range.end);
            recount.read_to(end, |done| {
                bar::show_records(ReadProgress { done, total });
                Ok(())
            })?;
            for (window, of) in recount.windows(start..end).filter(|(window, _)| minutes.contains(window)) {
                for (symbol, recounted) in of {
                    let key = (window, symbol.clone());
                    if let Some(recounted) = recounted.sums.oracle().filter(|_| wanted.contains(&key)) {
                        sums.insert(key, recounted.clone());
                    }
                }
            }
            recount.forget_before(end);
            start = end;
        }
        Ok(())
    }
}

/// What is read at once.
fn ranges(minutes: &BTreeSet<WindowStart>, log: &OpenLog) -> Vec<Range<WindowStart>> {
    let length = log.facts.rule.windowing.length;
    let mut all: Vec<Range<WindowStart>> = Vec::new();
    for minute in minutes {
        let end = WindowStart(minute.0 + length);
        match all.last_mut() {
            // (Where a partition is judged from its beginning alone, it is read once.)
            Some(last) if log.facts.needs_beginning || minute.0 - last.end.0 <= READ_OVER => last.end = end,
            _ => all.push(*minute..end),
        }
    }
    all
}
