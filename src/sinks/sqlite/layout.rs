//! What a database of ours holds besides rows, and whether a run may write a table of it: [`read`] has the facts,
//! [`decide`] judges them.
//!
//! | table | |
//! |---|---|
//! | `meta(key, value)` | `format`; for each table of rows `NAME: chain`, the greatest chain there, and `NAME: newest of chain N`, the manifest of its newest rows |
//! | `owners(name, job, semantics)` | the job that each table of rows belongs to |
//! | `minutes`, or what `?table=` says | rows |
//!
//! Format 1 had one table, `minutes`, without an owner, where `sum` and `volume` were the exact text.

use crate::sinks::options::{Owner, SinkOptions};
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::edge::{Halt, HaltKind};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// "mntl" in the header's field for whose format it is, bytes 68 to 71.
pub(super) const APPLICATION_ID: u32 = 0x6d6e_746c;
/// The layout described above.
const FORMAT: i64 = 2;
/// Longest name of a table.
const LONGEST_NAME: usize = 63;

const BOOKS: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (name TEXT PRIMARY KEY, job TEXT NOT NULL, semantics TEXT NOT NULL) WITHOUT ROWID;";

/// The name of a table of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    /// Small letters, digits and `_`: SQLite takes `Minutes` and `minutes` for the same, and a name needs no quoting.
    ///
    /// # Errors
    /// What a name is made of.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(good) || name.len() > LONGEST_NAME {
            return Err(format!(
                "table={name}: a name of a table begins with a small letter and is made of small letters, digits and `_`, \
                 at most {LONGEST_NAME} of them"
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

    /// The key in `meta` of the manifest of a chain's newest rows.
    pub(super) fn newest_key(&self, chain: i64) -> String {
        format!("{}: newest of chain {chain}", self.0)
    }

    fn chain_key(&self) -> String {
        format!("{}: chain", self.0)
    }

    fn create(&self) -> String {
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

    /// Puts a row over an older one. Columns are named: the table may have others, which somebody added.
    pub(super) fn upsert(&self) -> String {
        format!(
            "INSERT INTO \"{}\" (symbol, minute, count, sum, sum_exact, avg, state, open, high, low, close, volume,
                volume_exact, vwap, chain, generation, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
            ON CONFLICT (minute, symbol) DO UPDATE SET
                count = excluded.count, sum = excluded.sum, sum_exact = excluded.sum_exact, avg = excluded.avg,
                state = excluded.state, open = excluded.open, high = excluded.high, low = excluded.low,
                close = excluded.close, volume = excluded.volume, volume_exact = excluded.volume_exact,
                vwap = excluded.vwap, chain = excluded.chain, generation = excluded.generation, seq = excluded.seq
            WHERE (excluded.chain, excluded.generation, excluded.seq) >= (chain, generation, seq)
                AND (excluded.state = 'final' OR state <> 'final')",
            self.0
        )
    }
}

impl Default for TableName {
    fn default() -> Self {
        TableName("minutes".to_owned())
    }
}

/// What a database says of a table, and of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The database's format. None where it has no tables yet.
    format: Option<i64>,
    /// Is there something of the table's name?
    exists: bool,
    /// The greatest chain of the table. None where no run of ours made it.
    greatest: Option<i64>,
    /// The manifest of the newest rows of the chain that was asked for.
    newest: Option<i64>,
    /// Whose it is. None where that was never written down.
    owner: Option<Owner>,
    /// Does the table hold any rows?
    has_rows: bool,
}

/// Reads them, for a run that goes on with this chain or begins one.
///
/// # Errors
/// When the database cannot be read, or has not the tables of ours.
pub(super) fn read(db: &Connection, table: &TableName, chain: Option<u64>) -> Result<Facts, rusqlite::Error> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Facts::default());
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
    Ok(Facts { format, exists, greatest, newest: newest.transpose()?.flatten(), owner, has_rows })
}

/// May the run with these options write the table?
///
/// # Errors
/// 64, with what to do; 65 when the rows do not fit to the state that is gone on with.
pub(super) fn decide(facts: &Facts, path: &Path, table: &TableName, options: &SinkOptions) -> Result<(), Halt> {
    let usage = |why: String| Err(Halt::new(HaltKind::Usage, format!("sqlite {}: {why}", path.display())));
    match facts.format {
        None if facts.exists => return usage("says nothing of its format; choose another path".into()),
        None | Some(1 | FORMAT) => {}
        Some(other) => {
            return usage(format!("has format {other}, and this version writes format {FORMAT}; choose another path"));
        }
    }
    if facts.exists && facts.greatest.is_none() {
        let name = table.as_str();
        return usage(format!("its table {name} was made by another program; choose another name (?table=NAME)"));
    }
    fits(path, options, facts.newest.and_then(|newest| u64::try_from(newest).ok()))?;
    let ours = &options.owner;
    let theirs = match &facts.owner {
        _ if options.take_sink || !facts.has_rows && facts.owner.is_none() => return Ok(()),
        Some(owner) if owner == ours => return Ok(()),
        // The state that has this chain proves it: a job may be renamed, and a new version may count more options.
        Some(owner) if is_of_state(facts, options) && (owner.job == ours.job || owner.semantics == ours.semantics) => {
            return Ok(());
        }
        None if is_of_state(facts, options) => return Ok(()),
        Some(owner) if owner.job == ours.job => format!("job {}, as it was with other options", owner.job),
        Some(owner) => format!("job {}", owner.job),
        None => "a run of an earlier version, which did not say of which job it was".to_owned(),
    };
    usage(format!(
        "its table {} belongs to {theirs}, and this is job {}: two jobs in one table would overwrite each other's rows; give \
         this one another file, or another table (sqlite:{}?table=NAME), or make the table its own with --take-sink",
        table.as_str(),
        ours.job,
        path.display()
    ))
}

/// Is the state's chain one of this table?
fn is_of_state(facts: &Facts, options: &SinkOptions) -> bool {
    let chain = options.chain.and_then(|chain| i64::try_from(chain).ok());
    chain.zip(facts.greatest).is_some_and(|(chain, greatest)| chain <= greatest)
}

/// Do the newest rows fit to the state? If an older copy of it was restored, rows that go on from there are older than
/// those which are here, and all of them would be refused. If the database was, or is gone, it lacks rows that are
/// forgotten.
fn fits(path: &Path, options: &SinkOptions, newest: Option<u64>) -> Result<(), Halt> {
    let (Some(_), Some(left)) = (options.chain, &options.left) else { return Ok(()) };
    let (newest, known) = (newest.unwrap_or(0), options.position.unwrap_or(0));
    let (path, place, seq) = (path.display(), &left.place, left.seq);
    let why = if newest > seq {
        format!(
            "sqlite {path}: has rows of manifest {newest}, and the state {place} is at manifest {seq}: it is an older copy, \
             whose rows would be refused there; restore the newest copy, or begin anew from the log (minutely state rebuild)"
        )
    } else if newest < known {
        format!(
            "sqlite {path}: has rows up to manifest {newest}, and had those of manifest {known} when the state {place} was \
             written, which are forgotten: restore the database, or begin anew from the log (minutely state rebuild)"
        )
    } else {
        return Ok(());
    };
    Err(Halt::new(HaltKind::Data, why))
}

/// What [`make`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// The chain of the run.
    pub(super) chain: i64,
    /// Was a database of format 1 taken over?
    pub(super) taken_over: bool,
}

/// Makes what is not there yet, writes down whose the table is, and begins or continues a chain. For a table that
/// [`decide`] let pass, in the same transaction.
///
/// # Errors
/// SQLite's; `Ok(Err(why))` when a number is out of range.
pub(super) fn make(
    db: &Connection,
    facts: &Facts,
    table: &TableName,
    options: &SinkOptions,
) -> Result<Result<Made, &'static str>, rusqlite::Error> {
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
    let greatest = facts.greatest.unwrap_or(0).max(chain);
    let key = table.chain_key();
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", rusqlite::params![key, greatest])?;
    let Owner { job, semantics } = &options.owner;
    let owner = "INSERT OR REPLACE INTO owners (name, job, semantics) VALUES (?1, ?2, ?3)";
    db.execute(owner, [table.as_str(), job, semantics])?;
    Ok(Ok(Made { chain, taken_over }))
}

/// From format 1. Columns are renamed and added, so that what others built upon the table (columns, indices) stays.
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

/// Fractional digits of a decimal.
const DIGITS: usize = 18;

/// The decimal that this is the exact text of, of any size.
pub(in crate::sinks) fn exact(text: &str) -> Option<Decimal> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let good = |digits: &str| digits.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || part.len() > DIGITS || !good(whole) || !good(part) {
        return None;
    }
    let scaled: i128 = format!("{}{whole}{part:0<DIGITS$}", if negative { "-" } else { "" }).parse().ok()?;
    Some(Decimal(scaled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::options;

    #[test]
    fn sums_are_read_as_they_were_written() {
        for text in ["0", "-1", "0.000000000000000001", "-170141183460469231731.687303715884105727"] {
            assert_eq!(exact(text).unwrap().to_string(), text);
        }
        for bad in ["", "-", ".5", "1e3", "+1", "0.0000000000000000001", "99999999999999999999999999999999999999999"] {
            assert!(exact(bad).is_none(), "{bad}");
        }
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

    #[test]
    fn a_table_is_its_owner_s() {
        let ours = Owner { job: "job".into(), semantics: "semantics".into() };
        let other = Owner { job: "other".into(), semantics: "others".into() };
        let renamed = Owner { job: "before".into(), ..ours.clone() };
        let changed = Owner { semantics: "before".into(), ..ours.clone() };
        let facts = |owner: Option<&Owner>, has_rows| Facts {
            format: Some(FORMAT),
            exists: true,
            greatest: Some(4),
            newest: None,
            owner: owner.cloned(),
            has_rows,
        };
        let judged = |facts: &Facts, chain, take_sink| {
            let options = SinkOptions { chain, take_sink, ..options(Path::new(".")) };
            decide(facts, Path::new("m.db"), &TableName::default(), &options).map_err(|halt| halt.why)
        };
        for (owner, has_rows, chain, want) in [
            (Some(&ours), true, None, true),
            (Some(&other), true, None, false),
            (Some(&other), false, None, false),
            (Some(&other), true, Some(4), false),
            (Some(&renamed), true, None, false),
            (Some(&renamed), true, Some(4), true),
            (Some(&changed), true, Some(4), true),
            (Some(&changed), true, None, false),
            (Some(&changed), true, Some(5), false),
            (None, false, None, true),
            (None, true, None, false),
            (None, true, Some(4), true),
            (None, true, Some(5), false),
        ] {
            let facts = facts(owner, has_rows);
            assert_eq!(judged(&facts, chain, false).is_ok(), want, "{facts:?} {chain:?}");
            assert_eq!(judged(&facts, chain, true), Ok(()), "it is taken: {facts:?}");
        }
        let why = judged(&facts(Some(&other), true), None, false).unwrap_err();
        for part in ["m.db: its table minutes belongs to job other", "job job", "m.db?table=NAME", "--take-sink"] {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(judged(&facts(None, true), None, false).unwrap_err().contains("an earlier version"));
        assert!(judged(&facts(Some(&changed), true), None, false).unwrap_err().contains("with other options"));
    }
}
