//! What a table holds now, cell by cell as SQLite types it.

use super::connect::connect;
use super::layout::columns;
use super::target::SqliteTarget;
use crate::sinks::stored::{
    EachStored, ForeignRemedy, ForeignRow, GIVEN_UP, KeyBytes, ReadBackOptions, StoredCell, StoredRows, minute,
};
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
    /// Which of them the table has: those of `--derive` may lack, and others where somebody has dropped them.
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
        let there = columns.iter().map(|name| there.contains(name)).collect();
        SqliteRows { db, target, columns, there, windowing: options.windowing }
    }

    /// Why no row can be written there, if somebody has dropped a column that every table has; in words, with what to do.
    pub(in crate::sinks) fn lacks_column(&self) -> Option<String> {
        let lacking = OWN.iter().zip(&self.there).find(|(_, there)| !**there)?.0;
        let (path, table) = (self.target.path.display(), self.target.table.as_str());
        Some(format!(
            "sqlite {path}: its table {table} has no column {lacking}, which every row has; drop the table, and `minutely repair --yes` makes \
             it anew from the log"
        ))
    }

    fn query(
        &self,
        minutes: Range<WindowStart>,
        each: &mut EachStored<'_>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), ReadError> {
        let named = self.columns.iter().zip(&self.there).filter(|(_, there)| **there);
        let names: String = named.map(|(name, _)| format!(", \"{name}\"")).collect();
        let table = self.target.table.as_str();
        let sql = format!("SELECT minute, symbol{names} FROM \"{table}\" WHERE minute >= ? AND minute < ?");
        let mut text = MinuteText::new(self.windowing);
        let (from, to) = (text.from(minutes.start).to_owned(), text.from(minutes.end).to_owned());
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query([from, to])?;
        let mut number = 0_u64;
        while let Some(row) = rows.next()? {
            number += 1;
            if number.is_multiple_of(4096) && !goes_on() {
                return Err(ReadError::GivenUp);
            }
            let Some((start, symbol)) = written(row.get_ref(0)?, row.get_ref(1)?, &mut text) else { continue };
            let mut columns = 2..;
            let mut next = |there: &bool| match there.then(|| columns.next()).flatten() {
                Some(column) => row.get_ref(column).map(cell),
                None => Ok(StoredCell::NoColumn),
            };
            let cells = self.there.iter().map(&mut next).collect::<Result<Vec<_>, _>>()?;
            each(start, symbol.to_owned(), cells);
        }
        Ok(())
    }

    /// Those that no run has written. (In the order of SQLite every text is before every blob.)
    fn query_foreign(
        &self,
        within: &[Range<WindowStart>],
        each: &mut dyn FnMut(ForeignRow),
    ) -> Result<(), rusqlite::Error> {
        let all = format!("SELECT minute, symbol FROM \"{}\"", self.target.table.as_str());
        let some = format!("{all} WHERE minute >= ? AND minute < ?");
        let mut text = MinuteText::new(self.windowing);
        let mut bounds: Vec<Vec<String>> = Vec::new();
        for minutes in within {
            bounds.push(vec![text.from(minutes.start).to_owned(), text.from(minutes.end).to_owned()]);
        }
        let mut statement = self.db.prepare(if bounds.is_empty() { &all } else { &some })?;
        if bounds.is_empty() {
            bounds.push(Vec::new());
        }
        for bounds in bounds {
            let mut rows = statement.query(rusqlite::params_from_iter(bounds))?;
            while let Some(row) = rows.next()? {
                let (at, of) = (row.get_ref(0)?, row.get_ref(1)?);
                if written(at, of, &mut text).is_none() {
                    let (minute, symbol) = (cell(at).to_string(), cell(of).to_string());
                    let what = format!("extra: no run writes minute {} and symbol {} so", shown(at), shown(of));
                    let remedy = ForeignRemedy::Delete([key(at), key(of)]);
                    each(ForeignRow { minute, symbol, what, remedy });
                }
            }
        }
        Ok(())
    }
}

/// Why a table is not read to its end.
enum ReadError {
    Database(rusqlite::Error),
    GivenUp,
}

impl From<rusqlite::Error> for ReadError {
    fn from(e: rusqlite::Error) -> Self {
        ReadError::Database(e)
    }
}

/// A row's minute and symbol, if a run writes them so: other letters of the same instant are another row.
fn written<'r>(at: ValueRef<'r>, symbol: ValueRef<'r>, text: &mut MinuteText) -> Option<(WindowStart, &'r str)> {
    let (ValueRef::Text(at), ValueRef::Text(symbol)) = (at, symbol) else { return None };
    let (at, symbol) = (std::str::from_utf8(at).ok()?, std::str::from_utf8(symbol).ok()?);
    let start = minute(at).filter(|time| text.of(*time) == at)?;
    Some((start, symbol))
}

/// As a row is deleted by it.
fn key(value: ValueRef<'_>) -> KeyBytes {
    match value {
        ValueRef::Text(text) => KeyBytes { bytes: text.to_vec(), is_text: true },
        ValueRef::Blob(bytes) => KeyBytes { bytes: bytes.to_vec(), is_text: false },
        // (The columns are of texts: SQLite makes numbers texts there.)
        other => KeyBytes { bytes: cell(other).to_string().into_bytes(), is_text: true },
    }
}

/// For people.
fn shown(value: ValueRef<'_>) -> String {
    let is_blob = matches!(value, ValueRef::Blob(_));
    format!("`{}`{}", cell(value), if is_blob { " (a blob)" } else { "" })
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

    fn read(
        &mut self,
        minutes: Range<WindowStart>,
        each: &mut EachStored<'_>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        let path = self.target.path.display();
        self.query(minutes, each, goes_on).map_err(|e| match e {
            ReadError::Database(e) => format!("sqlite {path}: {e}"),
            ReadError::GivenUp => format!("sqlite {path}: {GIVEN_UP}"),
        })
    }

    fn foreign(&mut self, within: &[Range<WindowStart>], each: &mut dyn FnMut(ForeignRow)) -> Result<(), String> {
        self.query_foreign(within, each).map_err(|e| format!("sqlite {}: {e}", self.target.path.display()))
    }
}
