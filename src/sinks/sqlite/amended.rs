//! A table `TABLE_amended` beside a table of rows. One transaction a call, so a kill leaves all of its rows or none.

use super::connect::connect;
use super::layout::{APPLICATION_ID, FORMAT};
use super::target::{SqliteTarget, TableName};
use crate::sinks::amended::{
    AMENDED, AmendedOptions, AmendedRow, AmendedRows, StoredAmended, StoredAmendedRows, of_another_job,
};
use crate::sinks::options::Owner;
use crate::sinks::stored::{StoredCell, minute};
use crate::text::MinuteText;
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params_from_iter};
use std::ops::Range;
use std::time::Duration;

/// Columns behind `minute` and `symbol`, in the order of cells.
const CELLS: [&str; 14] = [
    "count",
    "sum",
    "sum_exact",
    "avg",
    "state",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "volume_exact",
    "vwap",
    "letter_count",
    "letters",
];
/// How long others may hold the database locked.
const LOCKED: Duration = Duration::from_secs(30);

/// See the module.
pub(in crate::sinks) struct AmendedSqlite {
    target: SqliteTarget,
    /// Its own name.
    table: String,
    options: AmendedOptions,
}

impl AmendedSqlite {
    /// Opens nothing yet.
    pub(in crate::sinks) fn new(target: &SqliteTarget, options: &AmendedOptions) -> Self {
        let table = target.table.amended();
        AmendedSqlite { target: target.clone(), table, options: options.clone() }
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> Halt {
        Halt::new(HaltKind::Unreachable, format!("sqlite {}: {e}", self.target.path.display()))
    }

    fn refused(&self, why: &str) -> Halt {
        Halt::new(HaltKind::Usage, format!("sqlite {}: {why}", self.target.path.display()))
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection, Halt> {
        let path = &self.target.path;
        if !path.exists() {
            return Err(self.failed(&"there is no such file"));
        }
        let db = if flags == OpenFlags::SQLITE_OPEN_READ_ONLY {
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        } else {
            connect(path, flags)
        };
        let db = db.map_err(|e| self.failed(&e))?;
        db.busy_timeout(LOCKED).map_err(|e| self.failed(&e))?;
        Ok(db)
    }

    /// Is the table there? Its rows' table must be this job's, and so must it.
    fn is_there(&self, db: &Connection) -> Result<bool, Halt> {
        let failed = |e: rusqlite::Error| self.failed(&e);
        let id: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
        if id != i64::from(APPLICATION_ID) {
            return Err(self.refused("is no database of minutely"));
        }
        let format = db.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get::<_, i64>(0));
        if format.map_err(failed)? != FORMAT {
            return Err(self.refused("is of an earlier version, and a run takes it over first: start one"));
        }
        let owner = |name: &str| {
            let of = |row: &rusqlite::Row<'_>| Ok(Owner { job: row.get(0)?, semantics: row.get(1)? });
            db.query_row("SELECT job, semantics FROM owners WHERE name = ?1", [name], of).optional().map_err(failed)
        };
        let rows = self.target.table.as_str();
        match owner(rows)? {
            None => return Err(self.refused(&format!("its table {rows} is no job's"))),
            Some(theirs) if !self.options.is_owner(&theirs) => {
                let place = format!("sqlite {}: its table {rows}", self.target.path.display());
                return Err(of_another_job(&place, &theirs));
            }
            Some(_) => {}
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
        let there = db.query_row(sql, [&self.table], |row| row.get(0)).map_err(failed)?;
        match owner(&self.table)? {
            Some(theirs) if !self.options.is_owner(&theirs) => Err(of_another_job(
                &format!("sqlite {}: its table {}", self.target.path.display(), self.table),
                &theirs,
            )),
            None if there => Err(self.refused(&format!(
                "its table {} was not made for amended rows: rename it, or give the sink another table (?table=NAME)",
                self.table
            ))),
            _ => Ok(there),
        }
    }

    fn query(&self, db: &Connection, minutes: &Range<WindowStart>) -> rusqlite::Result<StoredAmendedRows> {
        let names = CELLS.map(|name| format!(", \"{name}\"")).concat();
        let sql = format!("SELECT minute, symbol{names} FROM \"{}\" WHERE minute >= ? AND minute < ?", self.table);
        let mut text = MinuteText::new(self.options.windowing);
        let (from, to) = (text.from(minutes.start).to_owned(), text.from(minutes.end).to_owned());
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([from, to])?;
        let mut all = StoredAmendedRows::new();
        while let Some(row) = rows.next()? {
            let cells = (2..2 + CELLS.len()).map(|column| row.get_ref(column).map(cell));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            let Some(start) = minute(&cell(row.get_ref(0)?).to_string()) else { continue };
            let letters = cells.last().map(ToString::to_string).unwrap_or_default();
            all.insert((start, cell(row.get_ref(1)?).to_string()), StoredAmended { letters, cells });
        }
        Ok(all)
    }

    fn insert(&self, db: &mut Connection, rows: &[AmendedRow]) -> Result<(), Halt> {
        let failed = |e: rusqlite::Error| self.failed(&e);
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if !self.is_there(&tx)? {
            tx.execute_batch(&create(&self.table)).map_err(failed)?;
            if let Some(Owner { job, semantics }) = self.options.owners.first() {
                let owner = "INSERT OR REPLACE INTO owners (name, job, semantics) VALUES (?1, ?2, ?3)";
                tx.execute(owner, [&self.table, job, semantics]).map_err(failed)?;
            }
        }
        let sql = format!(
            "INSERT OR REPLACE INTO \"{}\" (minute, symbol{}) VALUES (?1, ?2{})",
            self.table,
            CELLS.map(|name| format!(", \"{name}\"")).concat(),
            (3..3 + CELLS.len()).map(|place| format!(", ?{place}")).collect::<String>()
        );
        let mut text = MinuteText::new(self.options.windowing);
        {
            let mut statement = tx.prepare(&sql).map_err(failed)?;
            for row in rows {
                let minute = StoredCell::Text(text.of(row.row.minute).to_owned());
                let key = [minute, StoredCell::Text(row.row.symbol.clone())];
                let cells = key.into_iter().chain(self.cells(row));
                statement.execute(params_from_iter(cells.map(BoundCell))).map_err(failed)?;
            }
        }
        tx.commit().map_err(failed)
    }
}

impl TableName {
    /// The table of amended rows beside this one.
    fn amended(&self) -> String {
        format!("{}_{AMENDED}", self.as_str())
    }
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE \"{table}\" (
            symbol TEXT NOT NULL, minute TEXT NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL, avg REAL NOT NULL,
            state TEXT NOT NULL, open REAL, high REAL, low REAL, close REAL, volume REAL, vwap REAL,
            sum_exact TEXT NOT NULL, volume_exact TEXT,
            letter_count INTEGER NOT NULL, letters TEXT NOT NULL,
            PRIMARY KEY (minute, symbol)
        ) WITHOUT ROWID"
    )
}

fn cell(value: ValueRef<'_>) -> StoredCell {
    match value {
        ValueRef::Null => StoredCell::Nothing,
        ValueRef::Integer(number) => StoredCell::Integer(number),
        ValueRef::Real(number) => StoredCell::Float(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => StoredCell::Text(String::from_utf8_lossy(text).into_owned()),
    }
}

/// A cell as a parameter.
struct BoundCell(StoredCell);

impl ToSql for BoundCell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
            StoredCell::NoColumn | StoredCell::Nothing => ToSqlOutput::Owned(Value::Null),
            StoredCell::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            StoredCell::Float(number) => ToSqlOutput::Owned(Value::Real(*number)),
            StoredCell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl AmendedRows for AmendedSqlite {
    fn columns(&self) -> Vec<&'static str> {
        CELLS.to_vec()
    }

    fn cells(&self, AmendedRow { row, letters, letter_count }: &AmendedRow) -> Vec<StoredCell> {
        let float = |number: Option<f64>| number.map_or(StoredCell::Nothing, StoredCell::Float);
        let exact = |number: Option<ExactNumber>| {
            number.map_or(StoredCell::Nothing, |number| StoredCell::Text(number.to_string()))
        };
        let market = row.market.as_ref();
        let volume = market.and_then(|market| market.volume);
        vec![
            StoredCell::Integer(row.count),
            float(Some(row.sum.to_f64())),
            exact(Some(row.sum)),
            float(Some(row.avg)),
            StoredCell::Text(AMENDED.to_owned()),
            float(market.map(|market| market.open)),
            float(market.map(|market| market.high)),
            float(market.map(|market| market.low)),
            float(market.map(|market| market.close)),
            float(volume.map(ExactNumber::to_f64)),
            exact(volume),
            float(market.and_then(|market| market.vwap)),
            StoredCell::Integer(*letter_count),
            StoredCell::Text(letters.clone()),
        ]
    }

    fn read(&mut self, minutes: Range<WindowStart>) -> Result<StoredAmendedRows, Halt> {
        let db = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        if !self.is_there(&db)? {
            return Ok(StoredAmendedRows::new());
        }
        self.query(&db, &minutes).map_err(|e| self.failed(&e))
    }

    fn write(&mut self, rows: &[AmendedRow]) -> Result<(), Halt> {
        let mut db = self.open(OpenFlags::empty())?;
        self.insert(&mut db, rows)
    }
}
