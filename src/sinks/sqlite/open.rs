//! Opens a table for one run: checks, makes what is missing, and begins or continues a chain.

use super::connect::{BUSY, connect, is_transient};
use super::error::{DatabaseProblem, SqliteError};
use super::layout::{self, APPLICATION_ID, ReadyTable};
use super::owner::decide;
use super::target::{SqliteTarget, TableName};
use super::writer::{DatabaseFiles, KindUpsert, SqliteWriter};
use crate::sinks::append::{self, FileUse};
use crate::sinks::file_id::FileId;
use crate::sinks::options::SinkOptions;
use crate::sinks::provisional::ProvisionalFile;
use crate::text::{Columns, MinuteText};
use crate::threads::{Backoff, Health, Stop};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

/// The first bytes of a database: <https://www.sqlite.org/fileformat.html>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Checks that [`open`] would succeed; leaves nothing behind.
///
/// # Errors
/// 64, with what to do. 65: it has rows that the state does not know, or lacks rows that the state knows.
pub(in crate::sinks) fn look(target: &SqliteTarget, options: &SinkOptions) -> Result<(), SqliteError> {
    let SqliteTarget { path, table } = target;
    let nothing = layout::TableFacts::default();
    if !append::look_writable(FileUse::Sqlite, path, &options.data)? {
        return decide(&nothing, path, table, options);
    }
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header));
    read.map_err(|e| DatabaseProblem::Unreadable(e).at(path))?;
    match header.as_slice() {
        [] => decide(&nothing, path, table, options),
        h if !h.starts_with(MAGIC) => Err(DatabaseProblem::NotSqlite.at(path)),
        h if h.get(68..72) == Some(APPLICATION_ID.to_be_bytes().as_slice()) => {
            decide(&facts(target, options)?, path, table, options)?;
            for (table, options) in coarser(table, options) {
                let target = SqliteTarget { path: path.clone(), table };
                decide(&facts(&target, &options)?, path, &target.table, &options)?;
            }
            Ok(())
        }
        _ => Err(DatabaseProblem::OfAnotherProgram.at(path)),
    }
}

/// The tables of coarser windows and groups, and the options by which they are judged: which manifest is the newest in the database is said of the
/// table of minutes.
fn coarser(table: &TableName, options: &SinkOptions) -> Vec<(TableName, SinkOptions)> {
    let of = |(kind, table)| {
        let columns = options.columns.of(kind);
        (table, SinkOptions { columns, position: None, prior_state: None, ..options.clone() })
    };
    table.with(&options.columns).into_iter().skip(1).map(of).collect()
}

/// What the database says of itself. While others lock it, it is tried again.
pub(super) fn facts(target: &SqliteTarget, options: &SinkOptions) -> Result<layout::TableFacts, SqliteError> {
    let begun = Instant::now();
    let read = || layout::read(&connect(&target.path, OpenFlags::empty())?, &target.table, options.chain);
    loop {
        match read() {
            Ok(facts) => return Ok(facts),
            Err(e) if is_transient(&e) && begun.elapsed() < options.start_timeout => std::thread::sleep(BUSY),
            Err(source) if is_transient(&source) => {
                return Err(DatabaseProblem::TimedOut { source, tried: begun.elapsed() }.at(&target.path));
            }
            Err(e) => return Err(DatabaseProblem::Unusable(e).at(&target.path)),
        }
    }
}

/// Opens the database, makes what is missing, and begins or continues a chain, whose number it returns. Opens no file but
/// by SQLite: another sink of this run may have it open, whose locks would be gone once the file is closed.
///
/// # Errors
/// As [`look`]; 69 when it stays locked, or the disk full, for longer than [`SinkOptions::start_timeout`].
pub(in crate::sinks) fn open(
    target: &SqliteTarget,
    options: &SinkOptions,
    health: Arc<Health>,
    stop: Stop,
) -> Result<(SqliteWriter, u64), SqliteError> {
    let path = &target.path;
    let out_of_range = |what| DatabaseProblem::OutOfRange(what).at(path);
    let generation = i64::try_from(options.generation).map_err(|_| out_of_range("the generation is out of range"))?;
    let begun = Instant::now();
    let mut backoff = Backoff::of_files();
    let mut made = ProvisionalFile::watch(path, &options.begun);
    loop {
        let source = match begin(target, options) {
            Ok((db, files, chain)) => {
                let minute = MinuteText::new(options.windowing);
                let negative = |_| out_of_range("its chain is negative; choose another path");
                let number = u64::try_from(chain).map_err(negative)?;
                let upsert = |(kind, table): (_, TableName)| {
                    let Columns { derived, .. } = options.columns.of(kind);
                    KindUpsert { kind, sql: table.upsert(&derived), derived: derived.len() }
                };
                let upserts = target.table.with(&options.columns).into_iter().map(upsert).collect();
                let (target, newest) = (target.clone(), None);
                let made = made.take().map(ProvisionalFile::made);
                let is_of_run = true;
                let writer = SqliteWriter {
                    db,
                    target,
                    upserts,
                    files,
                    chain,
                    generation,
                    minute,
                    newest,
                    is_of_run,
                    made,
                    health,
                    stop,
                };
                return Ok((writer, number));
            }
            Err(OpenError::Refused(e)) => return Err(e),
            Err(OpenError::Sqlite(e)) if is_transient(&e) => e,
            Err(OpenError::Sqlite(e)) => return Err(DatabaseProblem::Unusable(e).at(path)),
        };
        if begun.elapsed() >= options.start_timeout {
            return Err(DatabaseProblem::TimedOut { source, tried: begun.elapsed() }.at(path));
        }
        health.set_trouble(source.to_string());
        if backoff.wait(&stop).is_err() {
            return Err(DatabaseProblem::Stopped.at(path));
        }
    }
}

/// Why [`begin`] did not.
enum OpenError {
    /// A retry may succeed: see [`is_transient`].
    Sqlite(rusqlite::Error),
    Refused(SqliteError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(e: rusqlite::Error) -> Self {
        OpenError::Sqlite(e)
    }
}

fn begin(target: &SqliteTarget, options: &SinkOptions) -> Result<(Connection, DatabaseFiles, i64), OpenError> {
    let SqliteTarget { path, table } = target;
    let refused = |problem: DatabaseProblem| OpenError::Refused(problem.at(path));
    // SQLite's own flag would refuse links among the folders, too.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(refused(DatabaseProblem::NotRegular));
    }
    let mut db = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let made = {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id: i64 = tx.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 && id != i64::from(APPLICATION_ID) {
            return Err(refused(DatabaseProblem::OfAnotherProgram));
        }
        let mut facts = layout::read(&tx, table, options.chain)?;
        decide(&facts, path, table, options).map_err(OpenError::Refused)?;
        let coarser = coarser(table, options);
        for (table, options) in &coarser {
            // A chain is greater than all that any of the tables has.
            facts.greatest = facts.greatest.max(layout::read(&tx, table, options.chain)?.greatest);
        }
        let out_of_range = |what| refused(DatabaseProblem::OutOfRange(what));
        let made = layout::make(&tx, &facts, table, options)?.map_err(out_of_range)?;
        for (table, options) in coarser {
            let facts = layout::read(&tx, &table, options.chain)?;
            decide(&facts, path, &table, &options).map_err(OpenError::Refused)?;
            let options = SinkOptions { chain: u64::try_from(made.chain).ok(), ..options };
            layout::make(&tx, &facts, &table, &options)?.map_err(out_of_range)?;
        }
        tx.commit()?;
        made
    };
    let ReadyTable { chain, taken_over } = made;
    if taken_over {
        tracing::warn!(
            "sqlite {}: was of format 1, and is of format 2 now: sum and volume are numbers there, and their exact text is in \
             sum_exact and volume_exact",
            path.display()
        );
    }
    // After the first commit, so that the header in the file itself says whose it is. Where WAL cannot be, the mode
    // stays what it was, and commits are as durable.
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    append::sync_folder_of(path).map_err(|e| refused(DatabaseProblem::FolderNotDurable(e)))?;
    let database = FileId::at(path).map_err(|e| refused(DatabaseProblem::Unidentified(e)))?;
    Ok((db, DatabaseFiles { database, log: None, logs: mode == "wal" }, chain))
}
