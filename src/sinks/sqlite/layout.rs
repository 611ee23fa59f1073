//! What a database holds besides rows: [`read`] reads it, [`make`] makes what is missing.
//!
//! | table | |
//! |---|---|
//! | `meta(key, value)` | `format`; for each table of rows `NAME: chain`, the greatest chain there, and `NAME: newest of chain N`, the manifest of its newest rows |
//! | `owners(name, job, semantics)` | the job that each table of rows belongs to |
//! | `minutes`, or what `?table=` says | rows |
//! | `window_5m` and the like, or `NAME_5m` | rows of a length of `--windows` |
//!
//! A column of `--derive` is added to a table that lacks it. Format 1 had one table, `minutes`, without an owner, where `sum` and `volume` were the exact text.

use super::target::TableName;
use crate::sinks::options::{Owner, SinkOptions};
use minutely_dataflows::decimal::{ExactNumber, MAX_DECIMALS};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// "mntl" in the header's field for whose format it is, bytes 68 to 71.
pub(super) const APPLICATION_ID: u32 = 0x6d6e_746c;
/// The layout described above.
pub(super) const FORMAT: i64 = 2;
const BOOKS: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (name TEXT PRIMARY KEY, job TEXT NOT NULL, semantics TEXT NOT NULL) WITHOUT ROWID;";

/// What a database says of a table, and of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TableFacts {
    /// The database's format. None where it has no tables yet.
    pub(super) format: Option<i64>,
    /// Has the database anything of the table's name?
    pub(super) exists: bool,
    /// The greatest chain of the table. None for a table that minutely did not make.
    pub(super) greatest: Option<i64>,
    /// The manifest of the newest rows of the chain that was asked for.
    pub(super) newest: Option<i64>,
    /// The job that it belongs to. None where none was recorded.
    pub(super) owner: Option<Owner>,
    /// Does the table hold any rows?
    pub(super) has_rows: bool,
}

/// Reads the facts, for a run that continues this chain or begins one.
///
/// # Errors
/// When the database cannot be read, or lacks the tables above.
pub(super) fn read(db: &Connection, table: &TableName, chain: Option<u64>) -> Result<TableFacts, rusqlite::Error> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(TableFacts::default());
    }
    let meta = |key: &str| -> Result<Option<i64>, rusqlite::Error> {
        db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
    };
    let format = meta("format")?;
    let name = table.as_str();
    let exists =
        db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)", [name], |row| row.get(0))?;
    let chain = chain.and_then(|chain| i64::try_from(chain).ok());
    let (greatest, newest) = match format {
        Some(1) if *table == TableName::default() => {
            (meta("chain")?, chain.map(|chain| meta(&format!("newest of chain {chain}"))))
        }
        Some(FORMAT) => (meta(&table.chain_key())?, chain.map(|chain| meta(&table.newest_key(chain)))),
        _ => (None, None),
    };
    let owner = |row: &rusqlite::Row<'_>| Ok(Owner { job: row.get(0)?, semantics: row.get(1)? });
    let owner = match format {
        Some(FORMAT) => db.query_row("SELECT job, semantics FROM owners WHERE name = ?1", [name], owner).optional()?,
        _ => None,
    };
    let rows = || db.query_row(&format!("SELECT EXISTS (SELECT 1 FROM \"{name}\")"), [], |row| row.get(0));
    let has_rows = if exists && greatest.is_some() { rows()? } else { false };
    Ok(TableFacts { format, exists, greatest, newest: newest.transpose()?.flatten(), owner, has_rows })
}

/// A table that is ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadyTable {
    /// The chain of the run.
    pub(super) chain: i64,
    /// Was a database of format 1 changed to format 2?
    pub(super) taken_over: bool,
}

/// Makes what is missing, records the table's owner, and begins or continues a chain. For a table that
/// [`super::owner::decide`] let pass, in the same transaction.
///
/// # Errors
/// SQLite's; `Ok(Err(why))` when a number is out of range.
pub(super) fn make(
    db: &Connection,
    facts: &TableFacts,
    table: &TableName,
    options: &SinkOptions,
) -> Result<Result<ReadyTable, &'static str>, rusqlite::Error> {
    let chain = match options.chain {
        None => facts.greatest.unwrap_or(0).checked_add(1).ok_or("has run out of chains; choose another path"),
        Some(ours) => i64::try_from(ours).map_err(|_| "the chain is out of range"),
    };
    let chain = match chain {
        Ok(chain) => chain,
        Err(why) => return Ok(Err(why)),
    };
    let taken_over = facts.format == Some(1);
    if taken_over {
        take_over(db)?;
    } else if facts.format.is_none() {
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        db.execute_batch(BOOKS)?;
        db.execute("INSERT INTO meta (key, value) VALUES ('format', ?1)", [FORMAT])?;
    }
    if !facts.exists {
        db.execute_batch(&table.create())?;
    }
    let there = columns(db, table)?;
    for column in options.columns.derived.iter().filter(|column| !there.contains(*column)) {
        db.execute_batch(&table.add(column))?;
    }
    let greatest = facts.greatest.unwrap_or(0).max(chain);
    let key = table.chain_key();
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", rusqlite::params![key, greatest])?;
    let Owner { job, semantics } = &options.owner;
    let owner = "INSERT OR REPLACE INTO owners (name, job, semantics) VALUES (?1, ?2, ?3)";
    db.execute(owner, [table.as_str(), job, semantics])?;
    Ok(Ok(ReadyTable { chain, taken_over }))
}

/// The names of a table's columns; none where there is no such table.
pub(super) fn columns(db: &Connection, table: &TableName) -> Result<BTreeSet<String>, rusqlite::Error> {
    let mut names = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
    names.query_map([table.as_str()], |row| row.get(0))?.collect()
}

/// Changes format 1 to format 2. Columns are renamed and added, so that others' columns and indices of the table stay.
fn take_over(db: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("minutely_nearest", 1, flags, |call| match call.get_raw(0) {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => {
            let exact = std::str::from_utf8(text).ok().and_then(exact);
            let exact = exact.ok_or_else(|| rusqlite::Error::UserFunctionError("a sum is no number".into()))?;
            Ok(Some(exact.to_f64()))
        }
        _ => Err(rusqlite::Error::UserFunctionError("a sum is no text".into())),
    })?;
    db.execute_batch(
        "ALTER TABLE minutes RENAME COLUMN sum TO sum_exact;
        ALTER TABLE minutes RENAME COLUMN volume TO volume_exact;
        ALTER TABLE minutes ADD COLUMN sum REAL NOT NULL DEFAULT 0;
        ALTER TABLE minutes ADD COLUMN volume REAL;
        UPDATE minutes SET sum = minutely_nearest(sum_exact), volume = minutely_nearest(volume_exact);
        CREATE TABLE owners (name TEXT PRIMARY KEY, job TEXT NOT NULL, semantics TEXT NOT NULL) WITHOUT ROWID;
        UPDATE meta SET key = 'minutes: ' || key WHERE key <> 'format';
        UPDATE meta SET value = 2 WHERE key = 'format'",
    )?;
    db.remove_function("minutely_nearest", 1)
}

/// The decimal of this exact text, of any size.
pub(super) fn exact(text: &str) -> Option<ExactNumber> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let good = |digits: &str| digits.bytes().all(|c| c.is_ascii_digit());
    let decimals = u8::try_from(part.len()).ok().filter(|decimals| *decimals <= MAX_DECIMALS)?;
    if whole.is_empty() || !good(whole) || !good(part) {
        return None;
    }
    let scaled: i128 = format!("{}{whole}{part}", if negative { "-" } else { "" }).parse().ok()?;
    Some(ExactNumber::new(scaled, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_they_were_written() {
        for text in [
            "0",
            "-1",
            "0.000000000000000001",
            "0.0000000000000000000000000001",
            "-170141183460469231731.687303715884105727",
            "170141183460469231731687303715884105727",
        ] {
            assert_eq!(exact(text).unwrap().to_string(), text);
        }
        let long = "0.00000000000000000000000000001";
        for bad in ["", "-", ".5", "1e3", "+1", long, "99999999999999999999999999999999999999999"] {
            assert!(exact(bad).is_none(), "{bad}");
        }
    }
}
