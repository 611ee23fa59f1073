//! A table of rows in a database, as the command line names it, and its SQL.

use crate::text::Columns;
use minutely_dataflows::row::RowKind;
use std::path::PathBuf;

/// A table, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sinks) struct SqliteTarget {
    pub(in crate::sinks) path: PathBuf,
    pub(in crate::sinks) table: TableName,
}

/// Longest name of a table.
const LONGEST_NAME: usize = 63;

/// The name of a table of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    /// Lower-case letters, digits and `_`: SQLite takes `Minutes` and `minutes` for the same, and a name needs no quoting.
    ///
    /// # Errors
    /// What a name consists of.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(good) || name.len() > LONGEST_NAME {
            return Err(format!(
                "table={name}: a table's name begins with a lower-case letter and has only lower-case letters, digits and `_`, at most \
                 {LONGEST_NAME} characters"
            ));
        }
        if ["meta", "owners"].contains(&name) || name.starts_with("sqlite_") {
            return Err(format!("table={name}: that name is taken; choose another"));
        }
        Ok(TableName(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The table of rows of this kind: `window_5m` and `group_minutes` beside `minutes`, `NAME_5m` and `NAME_groups` beside another.
    pub(in crate::sinks) fn of(&self, kind: RowKind) -> Self {
        match kind {
            RowKind::Minute => self.clone(),
            RowKind::Window(level) if *self == Self::default() => TableName(format!("window_{}", level.identifier())),
            RowKind::Window(level) => TableName(format!("{}_{}", self.0, level.identifier())),
            RowKind::Group if *self == Self::default() => TableName("group_minutes".to_owned()),
            RowKind::Group => TableName(format!("{}_groups", self.0)),
        }
    }

    /// This one, and those of the other kinds of rows.
    pub(in crate::sinks) fn with(&self, columns: &Columns) -> Vec<(RowKind, Self)> {
        columns.kinds().into_iter().map(|kind| (kind, self.of(kind))).collect()
    }

    /// The key in `meta` of the manifest of a chain's newest rows.
    pub(super) fn newest_key(&self, chain: i64) -> String {
        format!("{}: newest of chain {chain}", self.0)
    }

    /// The key in `meta` of the table's greatest chain.
    pub(super) fn chain_key(&self) -> String {
        format!("{}: chain", self.0)
    }

    /// Makes the table, without the columns of `--derive`.
    pub(super) fn create(&self) -> String {
        format!(
            "CREATE TABLE \"{}\" (
                symbol TEXT NOT NULL, minute TEXT NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL, avg REAL NOT NULL,
                state TEXT NOT NULL, open REAL, high REAL, low REAL, close REAL, volume REAL, vwap REAL,
                sum_exact TEXT NOT NULL, volume_exact TEXT,
                chain INTEGER NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL,
                PRIMARY KEY (minute, symbol)
            ) WITHOUT ROWID",
            self.0
        )
    }

    /// Takes a row out.
    pub(super) fn delete(&self) -> String {
        format!("DELETE FROM \"{}\" WHERE minute = ?1 AND symbol = ?2", self.0)
    }

    /// Adds a column of `--derive`.
    pub(super) fn add(&self, column: &str) -> String {
        format!("ALTER TABLE \"{}\" ADD COLUMN \"{column}\" REAL", self.0)
    }

    /// Replaces an older row.
    pub(super) fn upsert(&self, derived: &[String]) -> String {
        format!(
            "{} WHERE (excluded.chain, excluded.generation, excluded.seq) >= (chain, generation, seq)
                AND (excluded.state = 'final' OR state <> 'final')",
            self.replace(derived)
        )
    }

    /// Replaces a row, whatever its version. Columns are named: users may have added others to the table.
    pub(super) fn replace(&self, derived: &[String]) -> String {
        let (mut names, mut places, mut values) = (String::new(), String::new(), String::new());
        for (name, place) in derived.iter().zip(18..) {
            names += &format!(", \"{name}\"");
            places += &format!(", ?{place}");
            values += &format!(", \"{name}\" = excluded.\"{name}\"");
        }
        format!(
            "INSERT INTO \"{table}\" (symbol, minute, count, sum, sum_exact, avg, state, open, high, low, close, volume,
                volume_exact, vwap, chain, generation, seq{names})
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17{places})
            ON CONFLICT (minute, symbol) DO UPDATE SET
                count = excluded.count, sum = excluded.sum, sum_exact = excluded.sum_exact, avg = excluded.avg,
                state = excluded.state, open = excluded.open, high = excluded.high, low = excluded.low,
                close = excluded.close, volume = excluded.volume, volume_exact = excluded.volume_exact,
                vwap = excluded.vwap, chain = excluded.chain, generation = excluded.generation, seq = excluded.seq{values}",
            table = self.0
        )
    }
}

impl Default for TableName {
    fn default() -> Self {
        TableName("minutes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarser_windows_and_groups_have_tables_of_their_own() {
        let windows = ["5m", "1h+15m"].map(|level| level.parse().unwrap());
        let columns = Columns { windows: windows.into(), groups: true, ..Columns::default() };
        let names =
            |table: &TableName| -> Vec<_> { table.with(&columns).into_iter().map(|(_, name)| name.0).collect() };
        assert_eq!(names(&TableName::default()), ["minutes", "window_5m", "window_1h_15m", "group_minutes"]);
        assert_eq!(names(&TableName::parse("ticks").unwrap()), ["ticks", "ticks_5m", "ticks_1h_15m", "ticks_groups"]);
    }

    #[test]
    fn names_of_tables_need_no_quoting() {
        for good in ["minutes", "a", "by_5_minutes", "select"] {
            assert_eq!(TableName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in ["", "Minutes", "1m", "_x", "a-b", "a b", "a\"b", "é", "meta", "owners", "sqlite_x", &long] {
            assert!(TableName::parse(bad).is_err(), "{bad}");
        }
    }
}
