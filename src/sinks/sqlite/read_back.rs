//! What a table holds now, cell by cell as SQLite types it.

use super::connect::connect;
use super::layout::columns;
use super::target::SqliteTarget;
use crate::sinks::stored::{EachStored, ReadBackOptions, StoredCell, StoredRows, minute};
use crate::text::MinuteText;
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{WindowStart, Windowing};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// Columns of every table, in the order of cells.
const OWN: [&str; 12] =
    ["count", "sum", "sum_exact", "avg", "state", "open", "high", "low", "close", "volume", "volume_exact", "vwap"];

/// See the module.
pub(in crate::sinks) struct SqliteRows {
    db: Connection,
    target: SqliteTarget,
    columns: Vec<String>,
    /// Which of them the table has: those of `--derive` may lack.
    there: Vec<bool>,
    windowing: Windowing,
}

impl SqliteRows {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub(in crate::sinks) fn open(target: &SqliteTarget, options: &ReadBackOptions) -> Result<Self, String> {
        let why = |e: rusqlite::Error| format!("sqlite {}: {e}", target.path.display());
        if !target.path.exists() {
            return Err(format!("sqlite {}: there is no such file", target.path.display()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&target.path, flags).map_err(why)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(why)?;
        let target = SqliteTarget { table: target.table.of(options.kind), ..target.clone() };
        let there = columns(&db, &target.table).map_err(why)?;
        if there.is_empty() {
            return Err(format!("sqlite {}: has no table {}", target.path.display(), target.table.as_str()));
        }
        Ok(SqliteRows::of(db, target, &there, options))
    }

    /// The same, where a database or a table that is not there holds no rows.
    ///
    /// # Errors
    /// As [`SqliteRows::open`].
    pub(in crate::sinks) fn open_if_there(target: &SqliteTarget, options: &ReadBackOptions) -> Result<Self, String> {
        let why = |e: rusqlite::Error| format!("sqlite {}: {e}", target.path.display());
        let of_kind = SqliteTarget { table: target.table.of(options.kind), ..target.clone() };
        let is_there = || {
            let db = connect(&target.path, OpenFlags::empty())?;
            db.busy_timeout(Duration::from_secs(10))?;
            columns(&db, &of_kind.table).map(|columns| !columns.is_empty())
        };
        // (A file without a byte is a database without a table.)
        if target.path.exists() && is_there().map_err(why)? {
            return SqliteRows::open(target, options);
        }
        let db = Connection::open_in_memory().map_err(why)?;
        db.execute_batch(&of_kind.table.create()).map_err(why)?;
        let there = columns(&db, &of_kind.table).map_err(why)?;
        let target = of_kind;
        Ok(SqliteRows::of(db, target, &there, options))
    }

    fn of(db: Connection, target: SqliteTarget, there: &BTreeSet<String>, options: &ReadBackOptions) -> Self {
        let derived = options.columns.of(options.kind).derived;
        let columns: Vec<String> = OWN.iter().map(|name| (*name).to_owned()).chain(derived).collect();
        let is_there = |(place, name): (usize, &String)| place < OWN.len() || there.contains(name);
        let there = columns.iter().enumerate().map(is_there).collect();
        SqliteRows { db, target, columns, there, windowing: options.windowing }
    }

    fn query(&self, minutes: Range<WindowStart>, each: &mut EachStored<'_>) -> rusqlite::Result<()> {
        let named = self.columns.iter().zip(&self.there).filter(|(_, there)| **there);
        let names: String = named.map(|(name, _)| format!(", \"{name}\"")).collect();
        let table = self.target.table.as_str();
        let sql = format!("SELECT minute, symbol{names} FROM \"{table}\" WHERE minute >= ? AND minute < ?");
        let mut text = MinuteText::new(self.windowing);
        let (from, to) = (text.from(minutes.start).to_owned(), text.from(minutes.end).to_owned());
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            let (start, symbol) = (cell(row.get_ref(0)?).to_string(), cell(row.get_ref(1)?).to_string());
            let mut columns = 2..;
            let mut next = |there: &bool| match there.then(|| columns.next()).flatten() {
                Some(column) => row.get_ref(column).map(cell),
                None => Ok(StoredCell::NoColumn),
            };
            let cells = self.there.iter().map(&mut next).collect::<Result<Vec<_>, _>>()?;
            match minute(&start).filter(|time| text.of(*time) == start) {
                Some(start) => each(start, symbol, cells),
                // No such row was ever written. (The same instant in other letters may stand beside the run's own row.)
                None => each(minutes.start, format!("{symbol} of the minute `{start}`, as no run writes it"), cells),
            }
        }
        Ok(())
    }
}

fn cell(value: ValueRef<'_>) -> StoredCell {
    match value {
        ValueRef::Null => StoredCell::Nothing,
        ValueRef::Integer(number) => StoredCell::Integer(number),
        ValueRef::Real(number) => StoredCell::Float(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => StoredCell::Text(String::from_utf8_lossy(text).into_owned()),
    }
}

impl StoredRows for SqliteRows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn cells(&self, row: &Row) -> Vec<StoredCell> {
        let float = |number: Option<f64>| number.map_or(StoredCell::Nothing, StoredCell::Float);
        let exact = |number: Option<ExactNumber>| {
            number.map_or(StoredCell::Nothing, |number| StoredCell::Text(number.to_string()))
        };
        let market = row.market.as_ref();
        let volume = market.and_then(|market| market.volume);
        let own = [
            StoredCell::Integer(row.count),
            float(Some(row.sum.to_f64())),
            exact(Some(row.sum)),
            float(Some(row.avg)),
            StoredCell::Text(row.state.name().to_owned()),
            float(market.map(|market| market.open)),
            float(market.map(|market| market.high)),
            float(market.map(|market| market.low)),
            float(market.map(|market| market.close)),
            float(volume.map(ExactNumber::to_f64)),
            exact(volume),
            float(market.and_then(|market| market.vwap)),
        ];
        let derived = (0..self.columns.len() - OWN.len()).map(|place| float(row.derived.get(place).copied().flatten()));
        own.into_iter().chain(derived).collect()
    }

    fn read(&mut self, minutes: Range<WindowStart>, each: &mut EachStored<'_>) -> Result<(), String> {
        self.query(minutes, each).map_err(|e| format!("sqlite {}: {e}", self.target.path.display()))
    }
}
