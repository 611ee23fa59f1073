//! What the server knows of the run: rows of the newest minutes, bounded, and the newest of everything else.

use super::rows::{LiveRow, RowValues};
use super::{RowQuery, RunInfo};
use minutely_dataflows::coarse::{CoarseSpan, CoarseWindows, WindowLevel};
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::{DelayHistogram, Rule};
use minutely_dataflows::record::{DeadLetter, Finding};
use minutely_dataflows::row::Row;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, Monotonic, SECOND, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Rows in memory, over all symbols.
const MOST_ROWS: usize = 500_000;
/// A symbol's change is over this many windows, the newest included: what the page shows first, an hour of one-minute
/// windows. It depends on the symbol's rows alone, not on when a reader came.
const CHANGE_WINDOWS: i64 = 60;
/// Dead letters that are shown, and characters of each record.
pub(super) const MOST_DEAD_LETTERS: usize = 100;
const MOST_RAW: usize = 200;

/// A dead letter as it is shown.
#[derive(Clone, Debug)]
pub(super) struct ShownDeadLetter {
    pub(super) at: EventTime,
    pub(super) partition: String,
    pub(super) offset: i64,
    pub(super) element: Option<u32>,
    pub(super) reason: &'static str,
    pub(super) finding: Option<Finding>,
    pub(super) why: Option<String>,
    /// As text, or in hexadecimal digits after `0x` where it is not UTF-8.
    pub(super) key: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) value: Option<String>,
    pub(super) event_time: Option<EventTime>,
    pub(super) raw: String,
}

impl ShownDeadLetter {
    /// `decimals`: of its value.
    pub(super) fn of(letter: &DeadLetter, at: EventTime, decimals: u8) -> Self {
        let raw = letter.raw.as_deref().unwrap_or_default();
        let raw = String::from_utf8_lossy(&raw[..raw.len().min(4 * MOST_RAW)]);
        let judged = letter.judged.as_ref();
        ShownDeadLetter {
            at,
            partition: letter.partition.to_string(),
            offset: letter.offset,
            element: letter.element,
            reason: letter.reason.name(),
            finding: letter.finding.clone(),
            why: letter.finding.as_ref().map(ToString::to_string),
            key: letter.key.as_deref().map(shown_key),
            symbol: judged.map(|judged| judged.symbol.chars().take(MOST_RAW).collect()),
            value: judged.map(|judged| judged.value.with_decimals(decimals).to_string()),
            event_time: judged.map(|judged| judged.time),
            raw: raw.chars().take(MOST_RAW).collect(),
        }
    }
}

/// Its beginning.
fn shown_key(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => text.chars().take(MOST_RAW).collect(),
        Err(_) => {
            let digits = key.iter().take(MOST_RAW / 2).map(|byte| format!("{byte:02x}"));
            format!("0x{}", digits.collect::<String>())
        }
    }
}

/// The newest status, when it came, and how fast records come.
#[derive(Clone, Debug, Default)]
pub(super) struct LatestStatus {
    pub(super) status: Status,
    pub(super) behind: DelayHistogram,
    pub(super) at: Monotonic,
    pub(super) records_per_s: f64,
}

/// What the rows of a view are of.
enum ViewRows {
    Minutes,
    /// Coarser windows of this length.
    Windows(CoarseWindows, WindowLevel),
    /// Groups: final ones alone.
    Groups,
}

/// Rows of one kind in memory by minute and symbol, and the newest status, marks and dead letters.
pub(super) struct View {
    rule: Rule,
    of: ViewRows,
    most_rows: usize,
    minutes: BTreeMap<WindowStart, BTreeMap<Arc<str>, RowValues>>,
    /// The minutes that each symbol has rows of.
    symbols: BTreeMap<Arc<str>, BTreeSet<WindowStart>>,
    rows: usize,
    /// All rows from this minute on are here; `None`: all there have been.
    since: Option<WindowStart>,
    pub(super) marks: Marks,
    pub(super) now: Option<LatestStatus>,
    /// What the rate is measured from.
    rate_from: Option<(Monotonic, i64)>,
    /// When the newest manifest was committed, by its number.
    pub(super) saved_at: Option<(u64, EventTime)>,
    pub(super) dead_letters: VecDeque<ShownDeadLetter>,
}

/// A symbol's newest row, and what it is compared with: the oldest of its last [`CHANGE_WINDOWS`].
pub(super) struct SymbolSummary {
    pub(super) symbol: Arc<str>,
    pub(super) minute: WindowStart,
    pub(super) newest: RowValues,
    pub(super) first_minute: WindowStart,
    pub(super) first: f64,
}

impl SymbolSummary {
    /// From average to average, as a share of the first; `None` where that is no number.
    pub(super) fn change(&self) -> Option<f64> {
        let change = (self.newest.avg - self.first) / self.first.abs();
        change.is_finite().then_some(change)
    }
}

impl View {
    pub(super) fn new(about: &RunInfo) -> Self {
        Self::bounded(about.settings.rule, about.since, MOST_ROWS)
    }

    /// Of each length of coarser windows.
    pub(super) fn coarser(about: &RunInfo) -> Vec<(WindowLevel, View)> {
        let windows = &about.settings.windows;
        let view = |level: &WindowLevel| {
            let mut view = Self::bounded(about.settings.rule, None, MOST_ROWS / windows.levels().len());
            view.of = ViewRows::Windows(windows.clone(), *level);
            view.since = about.since.map(|since| view.span(since).start);
            (*level, view)
        };
        windows.levels().iter().map(view).collect()
    }

    /// Of groups, where there are any.
    pub(super) fn of_groups(about: &RunInfo) -> Option<View> {
        let mut view = Self::bounded(about.settings.rule, about.groups_since, MOST_ROWS);
        view.of = ViewRows::Groups;
        about.columns.groups.then_some(view)
    }

    /// The window that this minute is in.
    fn span(&self, minute: WindowStart) -> CoarseSpan {
        match &self.of {
            ViewRows::Windows(windows, level) => windows.span(*level, minute),
            ViewRows::Minutes | ViewRows::Groups => CoarseSpan { start: minute, closing: minute },
        }
    }

    /// The state of rows of the window that begins with this minute.
    pub(super) fn state(&self, minute: WindowStart) -> State {
        match self.of {
            ViewRows::Groups => State::Final,
            _ => self.marks.state_of(&self.rule, minute, self.span(minute).closing),
        }
    }

    pub(super) fn bounded(rule: Rule, since: Option<WindowStart>, most_rows: usize) -> Self {
        View {
            rule,
            of: ViewRows::Minutes,
            most_rows,
            minutes: BTreeMap::new(),
            symbols: BTreeMap::new(),
            rows: 0,
            since,
            marks: Marks::default(),
            now: None,
            rate_from: None,
            saved_at: None,
            dead_letters: VecDeque::new(),
        }
    }

    /// Keeps a row; returns it with the name that all rows of its symbol share.
    pub(super) fn take(&mut self, row: Row) -> LiveRow {
        let symbol = match self.symbols.get_key_value(row.symbol.as_str()) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(row.symbol.as_str()),
        };
        let (minute, held) = (row.minute, RowValues::of(row));
        if Some(minute) >= self.since {
            if self.minutes.entry(minute).or_default().insert(Arc::clone(&symbol), held.clone()).is_none() {
                self.symbols.entry(Arc::clone(&symbol)).or_default().insert(minute);
                self.rows += 1;
            }
            while self.rows > self.most_rows {
                self.forget_oldest();
            }
        }
        LiveRow { symbol, minute, held }
    }

    fn forget_oldest(&mut self) {
        let Some((minute, rows)) = self.minutes.pop_first() else { return };
        self.rows -= rows.len();
        for symbol in rows.into_keys() {
            if let Some(minutes) = self.symbols.get_mut(&symbol) {
                minutes.remove(&minute);
                if minutes.is_empty() {
                    self.symbols.remove(&symbol);
                }
            }
        }
        self.lost(self.span(minute).closing);
    }

    /// A row of this minute is not here, or one of a coarser window that it closes.
    pub(super) fn lost(&mut self, minute: WindowStart) {
        let next = WindowStart(minute.0.saturating_add(self.rule.windowing.length));
        let since = self.span(next).start;
        while self.minutes.first_key_value().is_some_and(|(first, _)| *first < since) {
            self.forget_oldest();
        }
        self.since = self.since.max(Some(since));
    }

    pub(super) fn status(&mut self, status: Status, behind: DelayHistogram, at: Monotonic, wall: EventTime) {
        let read: i64 = status.partitions.iter().filter_map(|(_, state)| Some(state.as_ref()?.counts.read)).sum();
        let (since, before) = *self.rate_from.get_or_insert((at, read));
        let mut records_per_s = self.now.as_ref().map_or(0.0, |now| now.records_per_s);
        if at.0 - since.0 >= SECOND {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = (read - before) as f64 * SECOND as f64 / (at.0 - since.0) as f64;
            records_per_s = (rate * 10.0).round() / 10.0;
            self.rate_from = Some((at, read));
        }
        if let Some(saved) = status.saved.filter(|saved| self.saved_at.is_none_or(|(seq, _)| saved.seq > seq)) {
            self.saved_at = Some((saved.seq, wall));
        }
        self.now = Some(LatestStatus { status, behind, at, records_per_s });
    }

    /// From which minute on all rows are here; `None`: all there have been.
    pub(super) fn since(&self) -> Option<WindowStart> {
        self.since
    }

    /// Everything before this minute is not here.
    pub(super) fn begins(&self) -> WindowStart {
        let first = self.minutes.first_key_value().map(|(minute, _)| *minute);
        self.since.or(first).unwrap_or(WindowStart::MAX)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The oldest minute from this one on.
    pub(super) fn first_from(&self, from: WindowStart) -> Option<WindowStart> {
        self.minutes.range(from..).next().map(|(minute, _)| *minute)
    }

    /// The newest minute here whose rows are final.
    pub(super) fn newest_final(&self) -> Option<WindowStart> {
        let is_final = |minute: &&WindowStart| self.marks.state(&self.rule, **minute) == State::Final;
        self.minutes.keys().rev().find(is_final).copied()
    }

    pub(super) fn page(&self, wanted: &RowQuery, limit: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let after = wanted.after.as_ref();
        let from = wanted.from.max(after.map_or(WindowStart::MIN, |(minute, _)| *minute));
        if from >= wanted.to {
            return rows;
        }
        for (minute, held) in self.minutes.range(from..wanted.to) {
            let state = self.state(*minute);
            let after = after.filter(|(at, _)| at == minute).map(|(_, symbol)| symbol.as_str());
            let mut take = |symbol: &str, held: &RowValues| {
                rows.push(held.row(symbol, *minute, wanted.kind, state));
                rows.len() < limit
            };
            let more = match &wanted.symbols {
                Some(symbols) => symbols
                    .iter()
                    .filter(|symbol| after.is_none_or(|after| symbol.as_str() > after))
                    .all(|symbol| held.get(symbol.as_str()).is_none_or(|row| take(symbol, row))),
                None => {
                    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
                    held.range::<str, _>((begin, Bound::Unbounded)).all(|(symbol, row)| take(symbol, row))
                }
            };
            if !more {
                break;
            }
        }
        rows
    }

    /// The first `limit` symbols with this text in their name, in any case; and how many there are in all.
    pub(super) fn symbols(&self, text: &str, limit: usize) -> (Vec<SymbolSummary>, usize) {
        let text = text.to_lowercase();
        let (mut found, mut total) = (Vec::new(), 0);
        for (symbol, minutes) in &self.symbols {
            if !text.is_empty() && !symbol.to_lowercase().contains(&text) {
                continue;
            }
            total += 1;
            let Some(last) = minutes.last().filter(|_| found.len() < limit) else { continue };
            let from = last.0.saturating_sub(self.rule.windowing.length.saturating_mul(CHANGE_WINDOWS - 1));
            let first = minutes.range(WindowStart(from)..).next().unwrap_or(last);
            let held = |minute| self.minutes.get(minute).and_then(|rows| rows.get(symbol));
            if let (Some(oldest), Some(newest)) = (held(first), held(last)) {
                let (first_minute, first, newest) = (*first, oldest.avg, newest.clone());
                found.push(SymbolSummary { symbol: Arc::clone(symbol), minute: *last, newest, first_minute, first });
            }
        }
        (found, total)
    }

    pub(super) fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.rule
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use minutely_dataflows::decimal::ExactNumber;
    use minutely_dataflows::partial::PartialBefore;
    use minutely_dataflows::row::RowKind;

    /// A row of the minute of this number.
    pub(in crate::http) fn row(symbol: &str, minute: i64, count: i64) -> Row {
        let (sum, state) = (ExactNumber::new(i128::from(count), 18), State::Open);
        Row {
            kind: RowKind::Minute,
            symbol: symbol.into(),
            minute: WindowStart(minute * 60 * SECOND),
            count,
            sum,
            avg: 1.0,
            state,
            market: None,
            derived: Box::default(),
        }
    }

    fn wanted(from: i64, to: i64, symbols: Option<&[&str]>) -> RowQuery {
        let minute = |n: i64| WindowStart(n * 60 * SECOND);
        let symbols = symbols.map(|all| all.iter().map(|s| (*s).to_owned()).collect());
        RowQuery { kind: RowKind::Minute, from: minute(from), to: minute(to), symbols, after: None }
    }

    #[test]
    fn the_newest_final_minute_is_one_with_rows() {
        let mut view = View::bounded(Rule::default(), None, 1000);
        assert_eq!(view.newest_final(), None);
        [0, 1, 3, 20].into_iter().for_each(|minute| drop(view.take(row("A", minute, 1))));
        assert_eq!(view.newest_final(), None, "all are partial");
        // With a lateness of ten minutes: minute 2, which has no row, is final by then.
        view.marks = Marks { w: Some(EventTime(13 * 60 * SECOND)), partial_before: PartialBefore::Nothing };
        assert_eq!(view.newest_final(), Some(WindowStart(60 * SECOND)));
    }

    /// Whatever the pages' size, all rows come once, in order.
    #[test]
    fn pages_are_the_whole() {
        let mut view = View::bounded(Rule::default(), None, 1000);
        let mut all = Vec::new();
        for minute in -2..5 {
            for symbol in ["A", "B", "a,b", "é"] {
                view.take(row(symbol, minute, 1));
                view.take(row(symbol, minute, 2));
                all.push((minute * 60 * SECOND, symbol.to_owned()));
            }
        }
        let key = |row: &Row| (row.minute.0, row.symbol.clone());
        for symbols in [None, Some(&["A", "absent", "é"][..])] {
            let want: Vec<_> = all
                .iter()
                .filter(|(minute, symbol)| {
                    (-60 * SECOND..180 * SECOND).contains(minute)
                        && symbols.is_none_or(|s| s.contains(&symbol.as_str()))
                })
                .cloned()
                .collect();
            assert!(want.len() >= 8);
            for limit in 1..=want.len() + 1 {
                let (mut next, mut got) = (wanted(-1, 3, symbols), Vec::new());
                loop {
                    let page = view.page(&next, limit);
                    assert!(page.iter().all(|row| row.count == 2));
                    got.extend(page.iter().map(key));
                    let Some(last) = page.last() else { break };
                    next.after = Some((last.minute, last.symbol.clone()));
                }
                assert_eq!(got, want, "pages of {limit}");
            }
        }
        assert_eq!(view.page(&wanted(3, 3, None), 9), []);
        assert_eq!(view.page(&wanted(4, 3, None), 9), []);
    }

    #[test]
    fn memory_is_bounded_and_says_since_when() {
        let mut view = View::bounded(Rule::default(), None, 10);
        for minute in 0..10 {
            view.take(row("A", minute, 1));
            view.take(row("B", minute, 1));
        }
        assert_eq!((view.rows(), view.since()), (10, Some(WindowStart(5 * 60 * SECOND))));
        view.take(row("A", 1, 9));
        assert_eq!(view.page(&wanted(0, 5, None), 9), [], "a straggler of what is gone does not come alone");
        view.lost(WindowStart(7 * 60 * SECOND));
        assert_eq!((view.rows(), view.begins()), (4, WindowStart(8 * 60 * SECOND)));
        assert_eq!(view.symbols("", 9).1, 2);
        view.lost(WindowStart(9 * 60 * SECOND));
        assert_eq!((view.rows(), view.symbols("", 9).1), (0, 0));
    }

    #[test]
    fn a_dead_letter_is_shown_with_its_element_and_its_key() {
        use minutely_dataflows::record::{Cause, Element, PartitionName, Reason, Record, Rejection};

        let name = PartitionName { log: "t".into(), number: Some(3) };
        let finding = Finding { field: Some("/p".into()), expected: "a number".into(), found: "null".into() };
        let of = |key: &'static [u8]| {
            let record = Record { offset: 41, key: Some(key), payload: Some(b"[{},{}]"), ..Record::default() };
            let element = Some(Element { index: 1, text: Some(b"{}") });
            let cause = Cause::Rejected(Rejection { reason: Reason::Null, finding: finding.clone() });
            ShownDeadLetter::of(&DeadLetter::of(&record, element, &name, cause), EventTime(0), 18)
        };
        let shown = of(b"AAPL");
        assert_eq!((shown.offset, shown.element, shown.raw.as_str()), (41, Some(1), "{}"));
        assert_eq!((shown.key.as_deref(), shown.finding), (Some("AAPL"), Some(finding.clone())));
        assert_eq!(of(&[0, 0, 0, 7, 0xff]).key.as_deref(), Some("0x00000007ff"));
        assert_eq!(of(&[0xff; 1000]).key.unwrap().len(), 202);
    }

    #[test]
    fn symbols_are_found_in_any_case() {
        let mut view = View::bounded(Rule::default(), None, 100);
        for symbol in ["Éclair", "ACME", "<b>x</b>"] {
            view.take(row(symbol, 0, 1));
            view.take(row(symbol, 3, 2));
        }
        let names = |text| view.symbols(text, 9).0.iter().map(|s| s.symbol.to_string()).collect::<Vec<_>>();
        assert_eq!(names("éc"), ["Éclair"]);
        assert_eq!(names("<B"), ["<b>x</b>"]);
        let (some, total) = view.symbols("", 2);
        assert_eq!((some.len(), total), (2, 3));
        assert_eq!((some[0].minute.0, some[0].newest.count), (180 * SECOND, 2));
    }

    /// Whatever else is in memory.
    #[test]
    fn changes_are_over_the_last_sixty_windows_that_a_symbol_has() {
        let mut view = View::bounded(Rule::default(), None, 1000);
        for (minute, avg) in [(0, 1.0), (41, 2.0), (70, 4.0), (100, 3.0)] {
            view.take(Row { avg, ..row("A", minute, 1) });
        }
        view.take(row("B", 500, 1));
        let now = |view: &View| {
            let (found, _) = view.symbols("", 9);
            (found[0].first_minute.0 / (60 * SECOND), found[0].first, found[0].change())
        };
        assert_eq!(now(&view), (41, 2.0, Some(0.5)));
        view.take(Row { avg: 3.0, ..row("A", 101, 1) });
        assert_eq!(now(&view), (70, 4.0, Some(-0.25)), "minute 41 is the 61st");
        view.take(Row { avg: 5.0, ..row("A", 900, 1) });
        assert_eq!(now(&view), (900, 5.0, Some(0.0)));
        view.take(Row { avg: 0.0, ..row("A", 900, 1) });
        assert_eq!(now(&view).2, None);
    }
}
