//! The oracle's answer for groups (`--groups`): of the final rows of each minute, by the lines of the table as they are written and
//! integers of any size. Nothing of `crate::derived` but what a line says.

use super::rounding::{half_even, nearest, power};
use crate::decimal::{DEFAULT_DECIMALS, ExactNumber};
use crate::derived::Membership;
use crate::row::{Row, RowKind};
use crate::time::{State, WindowStart};
use num_bigint::BigInt;
use std::collections::{BTreeMap, BTreeSet};

/// The rows of groups, by minute and group. `rows`: those of series; `decimals`: the scale of values.
pub fn group_rows(
    rows: &BTreeMap<(WindowStart, String), Row>,
    lines: &[Membership],
    decimals: u8,
) -> BTreeMap<(WindowStart, String), Row> {
    let mut answer = BTreeMap::new();
    let minutes: BTreeSet<_> = rows.values().filter(|row| row.state == State::Final).map(|row| row.minute).collect();
    let mut groups: BTreeMap<&String, Vec<&Membership>> = BTreeMap::new();
    lines.iter().for_each(|line| groups.entry(&line.group).or_default().push(line));
    for minute in minutes {
        for (&group, lines) in &groups {
            let begun = |line: &Membership| line.from.is_none_or(|from| from.0 <= minute.0);
            let ended = |line: &Membership| line.to.is_some_and(|to| to.0 <= minute.0);
            let listed: Vec<_> = lines.iter().filter(|line| begun(line) && !ended(line)).collect();
            let row = |line: &&&Membership| Some((line.weight.0, rows.get(&(minute, line.symbol.clone()))?));
            let members: Vec<_> = listed.iter().filter_map(row).collect();
            if !members.is_empty() {
                let row = row_of(&members, listed.len(), decimals);
                answer.insert((minute, group.clone()), Row { symbol: group.clone(), minute, ..row });
            }
        }
    }
    answer
}

fn row_of(members: &[(i128, &Row)], listed: usize, decimals: u8) -> Row {
    let digits = decimals.max(18.min(decimals + 6));
    let average = |row: &Row| half_even(&(row.sum.scaled() * power(digits - decimals)), &row.count.into());
    let weighted: BigInt = members.iter().map(|(weight, row)| average(row) * weight).sum();
    let weight: BigInt = members.iter().map(|(weight, _)| BigInt::from(*weight)).sum();
    let many = |n: usize| f64::from(u32::try_from(n).expect("a table has fewer lines"));
    let columns = [many(members.len()), many(listed), nearest(&weight, &power(DEFAULT_DECIMALS))];
    Row {
        kind: RowKind::Group,
        symbol: String::new(),
        minute: WindowStart(0),
        count: members.iter().map(|(_, row)| row.count).sum(),
        sum: ExactNumber::new(members.iter().map(|(_, row)| row.sum.scaled()).sum(), decimals),
        avg: nearest(&weighted, &(weight * power(digits))),
        state: State::Final,
        market: None,
        derived: columns.map(Some).into(),
    }
}
