//! Rows of groups: made of the final rows that a sink is sent, and sent with them.
//!
//! ```text
//!   final rows, round by round ──> sums of each group, by minute ──the minute is complete──> rows, behind the minute's last
//! ```
//!
//! A minute that becomes final while a round goes on may come in two parts: what of it was still to be sent comes final in that round,
//! the rest in the next. So sums wait for the round that began when the minute was final: with it, and with what came before it, each
//! series' final row has come once. After a restart all minutes that the sink has not stored come anew, and their groups with them.

use crate::derived::{GroupMinute, GroupSource, GroupSums, GroupTable};
use crate::mutants::{self, Mutant};
use crate::row::{Row, RowKind};
use crate::time::{State, WindowStart};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The tables of a run, and from which minute on each holds. What is final is not computed by a newer one.
#[derive(Debug)]
pub(super) struct GroupTables {
    source: Arc<dyn GroupSource>,
    /// In the order of minutes; the first holds for all before the second.
    versions: Vec<(Option<WindowStart>, Arc<GroupTable>)>,
}

impl GroupTables {
    pub(super) fn new(source: Arc<dyn GroupSource>) -> Self {
        let table = source.newest();
        source.adopted(&table, None);
        GroupTables { versions: vec![(None, table)], source }
    }

    /// Takes over a table that is newer: for minutes from `not_final` on, the first that is not final at the newest commit; for all
    /// before the first commit. Tables of minutes before `done` are not needed any more.
    pub(super) fn follow(&mut self, not_final: Option<WindowStart>, done: Option<WindowStart>) {
        let newest = self.source.newest();
        if self.versions.last().is_some_and(|(_, table)| Arc::ptr_eq(table, &newest)) {
            return;
        }
        self.versions.retain(|(from, _)| *from < not_final);
        let unneeded = self.versions.iter().filter(|(from, _)| *from <= done).count().saturating_sub(1);
        self.versions.drain(..unneeded);
        self.source.adopted(&newest, not_final);
        self.versions.push((not_final, newest));
    }

    fn of(&self, minute: WindowStart) -> Arc<GroupTable> {
        let after = self.versions.partition_point(|(from, _)| *from <= Some(minute));
        Arc::clone(&self.versions[after.saturating_sub(1)].1)
    }
}

/// Of one sink.
pub(super) struct GroupRows {
    tables: Rc<RefCell<GroupTables>>,
    /// The scale of values.
    decimals: u8,
    /// Of minutes before this not all rows are held any more: a sink that is new gets none of their groups.
    whole_from: Option<WindowStart>,
    /// Minutes before this are complete with the round in progress.
    complete_before: Option<WindowStart>,
    /// The same of the last round that all rows have come of.
    done: Option<WindowStart>,
    /// Minutes that are not complete yet.
    pending: BTreeMap<WindowStart, PendingMinute>,
}

/// A minute that is not complete yet.
struct PendingMinute {
    sums: GroupSums,
    /// The oldest commit that a row of it was read as of.
    seq: u64,
    /// It may lack records: there are no rows of its groups.
    is_partial: bool,
}

impl GroupRows {
    pub(super) fn new(tables: Rc<RefCell<GroupTables>>, decimals: u8, whole_from: Option<WindowStart>) -> Self {
        GroupRows { tables, decimals, whole_from, complete_before: None, done: None, pending: BTreeMap::new() }
    }

    /// A round begins; `final_before`: minutes before this are final at the newest commit.
    pub(super) fn begin(&mut self, final_before: Option<WindowStart>) {
        self.complete_before = final_before;
    }

    /// No row of a minute before this is to come.
    pub(super) fn done(&self) -> Option<WindowStart> {
        self.done
    }

    /// A row that the sink is sent, read as of this commit.
    pub(super) fn add(&mut self, row: &Row, seq: u64) {
        // What is partial before it would be final may become whole, and then all its rows come again.
        let is_partial = row.state == State::Partial && Some(row.minute) < self.complete_before;
        let is_made_of = row.kind == RowKind::Minute && (row.state == State::Final || is_partial);
        if !is_made_of || Some(row.minute) < self.whole_from {
            return;
        }
        let tables = &self.tables;
        let pending = self.pending.entry(row.minute).or_insert_with(|| {
            let sums = GroupSums::new(tables.borrow().of(row.minute), row.minute);
            PendingMinute { sums, seq: u64::MAX, is_partial: false }
        });
        pending.is_partial |= is_partial;
        pending.seq = pending.seq.min(seq);
        if !is_partial {
            pending.sums.add(&row.symbol, row.count, row.sum);
        }
    }

    /// The rows of complete minutes before this one, or of all, in the order (minute, group), and the oldest commit of each.
    pub(super) fn take_before(&mut self, minute: Option<WindowStart>) -> Vec<(Row, u64)> {
        let Some(complete) = self.complete_before else { return Vec::new() };
        let all = if mutants::on(Mutant::GroupsOfHalfAMinute) { WindowStart::MAX } else { complete };
        let before = minute.map_or(all, |minute| minute.min(all));
        if minute.is_none() {
            self.done = self.complete_before;
        }
        let mut rows = Vec::new();
        while let Some(first) = self.pending.first_entry().filter(|first| *first.key() < before) {
            let (minute, PendingMinute { sums, seq, is_partial }) = first.remove_entry();
            let groups = if is_partial { Vec::new() } else { sums.rows(self.decimals) };
            rows.extend(groups.into_iter().map(|group| (row_of(group, minute), seq)));
        }
        rows
    }
}

fn row_of(group: GroupMinute, minute: WindowStart) -> Row {
    let GroupMinute { group, count, sum, avg, columns } = group;
    Row {
        kind: RowKind::Group,
        symbol: group,
        minute,
        count,
        sum,
        avg,
        state: State::Final,
        market: None,
        derived: columns.map(Some).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::{Decimal, ExactNumber};
    use crate::derived::Membership;
    use std::sync::Mutex;

    const LENGTH: i64 = 60_000_000_000;

    fn at(minute: i64) -> WindowStart {
        WindowStart(minute * LENGTH)
    }

    fn row(minute: i64, symbol: &str, state: State) -> Row {
        let (sum, derived) = (ExactNumber::new(2 * 10_i128.pow(18), 18), Box::default());
        let (kind, minute, symbol) = (RowKind::Minute, at(minute), symbol.to_owned());
        Row { kind, symbol, minute, count: 1, sum, avg: 2.0, state, market: None, derived }
    }

    /// All are members, with this weight.
    fn table(symbols: &[&str], weight: i128) -> Arc<GroupTable> {
        let line = |symbol: &&str| Membership {
            symbol: (*symbol).to_owned(),
            group: "g".into(),
            weight: Decimal(weight * 10_i128.pow(18)),
            from: None,
            to: None,
            line: 1,
        };
        Arc::new(GroupTable::new(symbols.iter().map(line).collect()).unwrap())
    }

    /// Tables that a test changes, and from when on each was taken over.
    #[derive(Debug)]
    struct Edited(Mutex<(Arc<GroupTable>, Vec<Option<WindowStart>>)>);

    impl GroupSource for Edited {
        fn newest(&self) -> Arc<GroupTable> {
            Arc::clone(&self.0.lock().unwrap().0)
        }
        fn adopted(&self, _: &GroupTable, from: Option<WindowStart>) {
            self.0.lock().unwrap().1.push(from);
        }
    }

    fn tables(source: Arc<dyn GroupSource>) -> Rc<RefCell<GroupTables>> {
        Rc::new(RefCell::new(GroupTables::new(source)))
    }

    /// Minute, members and weight.
    fn shown(rows: Vec<(Row, u64)>) -> Vec<(i64, f64, f64, u64)> {
        let one = |(row, seq): (Row, u64)| {
            assert_eq!((row.kind, row.state), (RowKind::Group, State::Final));
            (row.minute.0 / LENGTH, row.derived[0].unwrap(), row.derived[2].unwrap(), seq)
        };
        rows.into_iter().map(one).collect()
    }

    #[test]
    fn a_minute_that_comes_in_two_rounds_waits_for_the_second() {
        let mut groups = GroupRows::new(tables(Arc::new(table(&["A", "B", "C"], 1))), 18, None);
        groups.begin(Some(at(1)));
        groups.add(&row(0, "A", State::Final), 4);
        groups.add(&row(0, "C", State::Final), 3);
        // It became final while the round went on: A was sent as closed.
        groups.add(&row(1, "A", State::Closed), 4);
        assert_eq!(shown(groups.take_before(Some(at(1)))), [(0, 2.0, 2.0, 3)]);
        groups.add(&row(1, "B", State::Final), 5);
        assert_eq!(shown(groups.take_before(None)), []);
        groups.begin(Some(at(2)));
        groups.add(&row(1, "A", State::Final), 6);
        assert_eq!(shown(groups.take_before(Some(at(1)))), []);
        assert_eq!(shown(groups.take_before(None)), [(1, 2.0, 2.0, 5)]);
        assert_eq!(groups.done(), Some(at(2)));
    }

    #[test]
    fn what_is_partial_or_not_whole_has_no_groups() {
        let mut groups = GroupRows::new(tables(Arc::new(table(&["A", "B"], 1))), 18, Some(at(3)));
        groups.begin(Some(at(6)));
        for (minute, state) in [(2, State::Final), (3, State::Partial), (4, State::Final)] {
            groups.add(&row(minute, "A", state), 1);
            groups.add(&row(minute, "B", State::Final), 1);
        }
        assert_eq!(shown(groups.take_before(None)), [(4, 2.0, 2.0, 1)]);
        // What is partial and not over may become whole.
        groups.add(&row(7, "A", State::Partial), 1);
        groups.begin(Some(at(8)));
        groups.add(&row(7, "A", State::Final), 2);
        assert_eq!(shown(groups.take_before(None)), [(7, 1.0, 1.0, 2)]);
    }

    #[test]
    fn an_edited_table_holds_for_minutes_that_are_not_final() {
        let source = Arc::new(Edited(Mutex::new((table(&["A"], 1), Vec::new()))));
        let edit = |weight| source.0.lock().unwrap().0 = table(&["A"], weight);
        let tables = tables(source.clone());
        let mut groups = GroupRows::new(Rc::clone(&tables), 18, None);
        let follow = |not_final: i64, groups: &GroupRows| {
            tables.borrow_mut().follow(Some(at(not_final)), groups.done());
        };
        groups.begin(Some(at(5)));
        edit(2);
        follow(5, &groups);
        edit(3);
        follow(7, &groups);
        follow(8, &groups);
        assert_eq!(source.0.lock().unwrap().1, [None, Some(at(5)), Some(at(7))]);
        // Rows of old minutes still come, of a round that began before.
        for minute in [4, 5, 6, 7, 9] {
            groups.add(&row(minute, "A", State::Final), 1);
        }
        let weights = |rows| shown(rows).into_iter().map(|(minute, _, weight, _)| (minute, weight)).collect::<Vec<_>>();
        assert_eq!(weights(groups.take_before(None)), [(4, 1.0)]);
        edit(4);
        follow(10, &groups);
        assert_eq!(tables.borrow().versions.len(), 3, "the first is not needed any more");
        groups.begin(Some(at(11)));
        groups.add(&row(10, "A", State::Final), 1);
        assert_eq!(weights(groups.take_before(None)), [(5, 2.0), (6, 2.0), (7, 3.0), (9, 3.0), (10, 4.0)]);
    }
}
