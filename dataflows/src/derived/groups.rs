//! Groups of series: which series belong to which group, with which weight and when; and the averages of a group's members.
//!
//! Membership is a function of event time, so what a group's minute is made of does not depend on when it is computed. An average
//! is Σ w·a / Σ w over the members that have a row: weights and averages are exact or fixed-point integers ([`fixed`]), products and
//! their sum have 256 bits, and the quotient is rounded once.

use super::fixed;
use crate::decimal::{DEFAULT_DECIMALS, Decimal, ExactNumber};
use crate::mutants::{self, Mutant};
use crate::time::{EventTime, WindowStart};
use crate::wide::I256;
use std::collections::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

/// Lines of a table, at most: with it sums of weights, and of weights times averages, have bounds.
pub const MAX_MEMBERSHIPS: usize = 1_000_000;

/// What is said of a group's row beside its average, in columns behind those of `--derive`.
pub const GROUP_COLUMNS: [&str; 3] = ["members", "listed", "weight"];

/// One line of a table: a series is a member of a group from a time to another, which is not included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The series.
    pub symbol: String,
    /// The group.
    pub group: String,
    /// Above 0, of 18 decimals ([`Decimal::parse`]): at most 10^29 as a scaled integer, and a million of them 10^35.
    pub weight: Decimal,
    /// None: always before `to`.
    pub from: Option<EventTime>,
    /// None: without end.
    pub to: Option<EventTime>,
    /// Where it was written, for messages.
    pub line: usize,
}

impl Membership {
    fn begins(&self) -> i64 {
        self.from.map_or(i64::MIN, |from| from.0)
    }

    /// Is it one of the minute that begins then?
    fn includes(&self, minute: WindowStart) -> bool {
        if mutants::on(Mutant::MembershipOfTheEnd) {
            return self.to.is_none();
        }
        self.begins() <= minute.0 && self.to.is_none_or(|to| minute.0 < to.0)
    }
}

/// Why memberships are no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupTableError {
    /// There are more than [`MAX_MEMBERSHIPS`].
    #[error("has more than {MAX_MEMBERSHIPS} lines")]
    TooMany,
    /// A weight is not above 0.
    #[error("line {line}: a weight is above 0")]
    Weight {
        /// Where.
        line: usize,
    },
    /// It ends before it begins.
    #[error("line {line}: `to` is after `from`")]
    Empty {
        /// Where.
        line: usize,
    },
    /// A series is in a group twice at a time.
    #[error(
        "line {line}: `{symbol}` is in `{group}` by line {other} at that time; give the two `from` and `to` that do not overlap"
    )]
    Twice {
        /// Where.
        line: usize,
        /// The other line.
        other: usize,
        /// The series.
        symbol: String,
        /// The group.
        group: String,
    },
}

/// Which series belong to which groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupTable {
    /// By series; of one they are in the order of (group, begin).
    by_symbol: HashMap<String, Vec<Membership>>,
    groups: usize,
    lines: usize,
}

impl GroupTable {
    /// Of these lines.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn new(lines: Vec<Membership>) -> Result<Self, GroupTableError> {
        if lines.len() > MAX_MEMBERSHIPS {
            return Err(GroupTableError::TooMany);
        }
        let mut table = GroupTable { lines: lines.len(), ..GroupTable::default() };
        for membership in lines {
            let line = membership.line;
            if membership.weight.0 <= 0 {
                return Err(GroupTableError::Weight { line });
            }
            if membership.to.is_some_and(|to| to.0 <= membership.begins()) {
                return Err(GroupTableError::Empty { line });
            }
            table.by_symbol.entry(membership.symbol.clone()).or_default().push(membership);
        }
        let mut twice: Option<GroupTableError> = None;
        let mut groups = BTreeSet::new();
        for all in table.by_symbol.values_mut() {
            all.sort_by(|a, b| (&a.group, a.begins()).cmp(&(&b.group, b.begins())));
            groups.extend(all.iter().map(|membership| membership.group.clone()));
            for pair in all.windows(2) {
                let [a, b] = pair else { continue };
                let over = a.group != b.group || a.to.is_some_and(|to| to.0 <= b.begins());
                let (first, second) = if a.line < b.line { (a, b) } else { (b, a) };
                let is_first = !matches!(&twice, Some(GroupTableError::Twice { line, .. }) if *line <= second.line);
                if !over && is_first {
                    let (symbol, group) = (a.symbol.clone(), a.group.clone());
                    twice = Some(GroupTableError::Twice { line: second.line, other: first.line, symbol, group });
                }
            }
        }
        table.groups = groups.len();
        twice.map_or(Ok(table), Err)
    }

    /// How many lines and groups it has.
    pub fn size(&self) -> (usize, usize) {
        (self.lines, self.groups)
    }

    /// Its lines, in any order.
    pub fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.by_symbol.values().flatten()
    }

    /// Members of each group in the minute that begins then.
    fn listed(&self, minute: WindowStart) -> BTreeMap<&str, u32> {
        let mut listed = BTreeMap::new();
        for membership in self.memberships().filter(|membership| membership.includes(minute)) {
            *listed.entry(membership.group.as_str()).or_default() += 1;
        }
        listed
    }
}

/// Where the newest table is. It may change while the run goes on.
pub trait GroupSource: Debug + Send + Sync {
    /// The newest table. Never blocks.
    fn newest(&self) -> Arc<GroupTable>;

    /// The run has taken a table over: it holds for minutes from this on. `None`: for all.
    fn adopted(&self, table: &GroupTable, from: Option<WindowStart>);
}

/// One that stays as it is.
impl GroupSource for Arc<GroupTable> {
    fn newest(&self) -> Arc<GroupTable> {
        Arc::clone(self)
    }

    fn adopted(&self, _: &GroupTable, _: Option<WindowStart>) {}
}

/// What the members of one group add up to.
#[derive(Clone, Debug, Default)]
struct GroupSum {
    /// Of weight times average.
    weighted: I256,
    weight: i128,
    /// Of all records: fewer than 1.7·10^9 have room (R2), in a group as in a series.
    sum: i128,
    count: i64,
    members: u32,
}

/// The sums of all groups in one minute, by the table that holds for it.
#[derive(Clone, Debug)]
pub struct GroupSums {
    table: Arc<GroupTable>,
    minute: WindowStart,
    sums: BTreeMap<String, GroupSum>,
}

/// What is said of a group in one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMinute {
    /// The group.
    pub group: String,
    /// Records of all members, and their exact sum.
    pub count: i64,
    /// See `count`.
    pub sum: ExactNumber,
    /// Σ w·a / Σ w, the nearest f64.
    pub avg: f64,
    /// In the order of [`GROUP_COLUMNS`].
    pub columns: [f64; 3],
}

impl GroupSums {
    /// Of no member yet.
    pub fn new(table: Arc<GroupTable>, minute: WindowStart) -> Self {
        GroupSums { table, minute, sums: BTreeMap::new() }
    }

    /// Adds the row of a series: how many records it has, and their sum.
    pub fn add(&mut self, symbol: &str, count: i64, sum: ExactNumber) {
        let Some(all) = self.table.by_symbol.get(symbol) else { return };
        let mut average = None;
        for membership in all.iter().filter(|membership| membership.includes(self.minute)) {
            let average = *average.get_or_insert_with(|| fixed::average(sum.scaled(), count, sum.decimals()));
            if !self.sums.contains_key(&membership.group) {
                self.sums.insert(membership.group.clone(), GroupSum::default());
            }
            let group = self.sums.get_mut(&membership.group).expect("it was made just now");
            group.weighted = group.weighted.plus(I256::product(membership.weight.0, average));
            group.weight += membership.weight.0;
            group.sum += sum.scaled();
            group.count += count;
            group.members += 1;
        }
    }

    /// What is said of the groups that have a member with a row, by name. `decimals`: the scale of values.
    pub fn rows(&self, decimals: u8) -> Vec<GroupMinute> {
        let listed = self.table.listed(self.minute);
        let row = |(group, sums): (&String, &GroupSum)| {
            let GroupSum { weighted, weight, sum, count, members } = sums;
            let avg = fixed::nearest_over(*weighted, weight.unsigned_abs(), decimals);
            let listed = listed.get(group.as_str()).copied().unwrap_or_default();
            let weight = ExactNumber::new(*weight, DEFAULT_DECIMALS).to_f64();
            let columns = [f64::from(*members), f64::from(listed), weight];
            GroupMinute { group: group.clone(), count: *count, sum: ExactNumber::new(*sum, decimals), avg, columns }
        };
        self.sums.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn line(number: usize, symbol: &str, group: &str, weight: &str, span: [Option<i64>; 2]) -> Membership {
        let [from, to] = span.map(|minute| minute.map(|minute| EventTime(minute * 60 * SECOND)));
        let weight = Decimal::parse(weight.as_bytes()).unwrap();
        Membership { symbol: symbol.into(), group: group.into(), weight, from, to, line: number }
    }

    fn minute(n: i64) -> WindowStart {
        WindowStart(n * 60 * SECOND)
    }

    fn rows_of(table: GroupTable, at: i64, rows: &[(&str, i64, i128)]) -> Vec<(String, i64, f64, [f64; 3])> {
        let mut sums = GroupSums::new(Arc::new(table), minute(at));
        rows.iter().for_each(|(symbol, count, sum)| sums.add(symbol, *count, ExactNumber::new(*sum, 2)));
        let rows = sums.rows(2).into_iter();
        rows.map(|GroupMinute { group, count, avg, columns, .. }| (group, count, avg, columns)).collect()
    }

    #[test]
    fn an_average_is_of_the_averages_of_members_by_weight() {
        let none = [None, None];
        let lines = vec![
            line(2, "A", "tech", "1", none),
            line(3, "B", "tech", "3", none),
            line(4, "C", "tech", "5", none),
            line(5, "A", "all", "0.5", none),
        ];
        // Averages of 10.00 and 20.00: each member has its weight, however many records it has. C has no row.
        let got = rows_of(GroupTable::new(lines).unwrap(), 0, &[("A", 3, 3000), ("B", 1, 2000), ("X", 1, 7)]);
        let want = [("all".to_owned(), 3, 10.0, [1.0, 1.0, 0.5]), ("tech".to_owned(), 4, 17.5, [2.0, 3.0, 4.0])];
        assert_eq!(got, want);
    }

    #[test]
    fn membership_is_a_function_of_event_time() {
        let lines = vec![
            line(2, "A", "g", "1", [None, Some(5)]),
            line(3, "A", "g", "9", [Some(7), None]),
            line(4, "B", "g", "1", [Some(5), Some(6)]),
        ];
        let table = GroupTable::new(lines).unwrap();
        assert_eq!(table.size(), (3, 1));
        let both = [("A", 1, 100), ("B", 1, 300)];
        let of = |at| rows_of(table.clone(), at, &both).into_iter().map(|(.., avg, columns)| (avg, columns)).next();
        assert_eq!(of(4), Some((1.0, [1.0, 1.0, 1.0])));
        assert_eq!(of(5), Some((3.0, [1.0, 1.0, 1.0])), "half-open");
        assert_eq!(of(6), None, "no member");
        assert_eq!(of(7), Some((1.0, [1.0, 1.0, 9.0])));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_line() {
        let told = |lines: Vec<Membership>| GroupTable::new(lines).unwrap_err().to_string();
        assert!(told(vec![line(7, "A", "g", "0", [None, None])]).starts_with("line 7: a weight"));
        assert!(told(vec![line(7, "A", "g", "-1", [None, None])]).starts_with("line 7: a weight"));
        assert!(told(vec![line(8, "A", "g", "1", [Some(5), Some(5)])]).starts_with("line 8: `to`"));
        let twice = told(vec![
            line(2, "B", "g", "1", [None, None]),
            line(3, "A", "g", "1", [Some(3), None]),
            line(4, "A", "g", "1", [None, Some(4)]),
            line(5, "A", "g", "1", [Some(4), Some(5)]),
        ]);
        assert!(twice.starts_with("line 4: `A` is in `g` by line 3"), "{twice}");
    }

    /// The largest weights, averages and number of members that there may be.
    #[test]
    fn sums_have_room() {
        let largest = 10_i128.pow(29);
        let heavy = |n: usize| line(n, &format!("S{n}"), "g", "100000000000", [None, None]);
        let table = Arc::new(GroupTable::new((0..1000).map(heavy).collect()).unwrap());
        for decimals in [0, 28] {
            let mut sums = GroupSums::new(Arc::clone(&table), minute(0));
            (0..1000)
                .for_each(|n| sums.add(&format!("S{n}"), 1_000_000, ExactNumber::new(largest * 1_000_000, decimals)));
            let mut row = sums.rows(decimals).pop().unwrap();
            assert_eq!(row.avg.to_bits(), ExactNumber::new(largest, decimals).to_f64().to_bits());
            assert_eq!((row.count, row.columns), (1_000_000_000, [1e3, 1e3, 1e14]));
            // A million such lines are a thousand times that.
            let sum = sums.sums.get_mut("g").unwrap();
            let thousand = |sum: I256| (0..1000).fold(I256::ZERO, |all, _| all.plus(sum));
            (sum.weighted, sum.weight) = (thousand(sum.weighted), sum.weight * 1000);
            row = sums.rows(decimals).pop().unwrap();
            assert_eq!(row.avg.to_bits(), ExactNumber::new(largest, decimals).to_f64().to_bits());
        }
    }
}
