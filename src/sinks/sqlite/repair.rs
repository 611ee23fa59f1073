//! Writes what a table lacks, and takes out what does not belong there. A row that is repaired has the version of the manifest that
//! knew it to be stored, whatever stood in its place: a run beside or after writes no other row of a final minute.

use super::connect::is_transient;
use super::error::{DatabaseProblem, SqliteError};
use super::open::{facts, open};
use super::target::SqliteTarget;
use super::writer::SqliteWriter;
use crate::sinks::options::SinkOptions;
use crate::sinks::repair_writer::{RepairBatch, RepairWriter, RowKey};
use crate::sinks::stored::{ForeignKey, KeyBytes};
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::RowKind;
use rusqlite::TransactionBehavior;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::time::{Duration, Instant};

/// See the module.
pub(in crate::sinks) struct SqliteRepair {
    writer: SqliteWriter,
    /// The version of rows.
    seq: i64,
    /// The manifest whose rows the state knows to be there.
    position: Option<u64>,
    /// How long a database may stay locked.
    timeout: Duration,
}

impl SqliteRepair {
    /// Does the table lack rows of manifests that the state knows to be there, so that a run would refuse it?
    ///
    /// # Errors
    /// As [`open`].
    pub(in crate::sinks) fn is_behind(target: &SqliteTarget, options: &SinkOptions) -> Result<bool, SqliteError> {
        let Some(position) = options.position.filter(|position| *position > 0) else { return Ok(false) };
        if !target.path.exists() {
            return Ok(true);
        }
        let newest = facts(target, options).map_err(damaged)?.newest.and_then(|newest| u64::try_from(newest).ok());
        Ok(newest.unwrap_or(0) < position)
    }

    /// Opens the table, and makes it where it is not there.
    ///
    /// # Errors
    /// As [`open`].
    pub(in crate::sinks) fn open(target: &SqliteTarget, options: &SinkOptions, seq: u64) -> Result<Self, SqliteError> {
        let name = format!("sqlite {}", target.path.display());
        // Whether its rows fit the state is what is mended.
        let of_repair = SinkOptions { position: None, prior_state: None, ..options.clone() };
        let (mut writer, _) = open(target, &of_repair, Health::new(name), Stop::new())?;
        let out_of_range = |_| DatabaseProblem::OutOfRange("the manifest's number is out of range").at(&target.path);
        let seq = i64::try_from(seq).map_err(out_of_range)?;
        writer.is_of_run = false;
        for upsert in &mut writer.upserts {
            upsert.sql = target.table.of(upsert.kind).replace(&options.columns.of(upsert.kind).derived);
        }
        Ok(SqliteRepair { writer, seq, position: options.position, timeout: options.start_timeout })
    }

    /// Tries until it is done, or the database stays locked.
    fn until_done<T>(&mut self, mut work: impl FnMut(&mut Self) -> rusqlite::Result<T>) -> Result<T, Halt> {
        let (begun, mut backoff, path) = (Instant::now(), Backoff::of_files(), self.writer.target.path.clone());
        loop {
            if let Some(why) = self.writer.missed() {
                return Err(Halt::new(HaltKind::Data, format!("{why}; then repair it again")));
            }
            match work(self) {
                Ok(done) => return Ok(done),
                Err(e) if is_transient(&e) && begun.elapsed() < self.timeout => match backoff.wait(&self.writer.stop) {
                    Ok(()) => {}
                    Err(WriterExit::Halt(halt)) => return Err(halt),
                    Err(WriterExit::Stopped) => return Err(DatabaseProblem::Stopped.at(&path).into()),
                },
                Err(source) if is_transient(&source) => {
                    return Err(DatabaseProblem::TimedOut { source, tried: begun.elapsed() }.at(&path).into());
                }
                Err(e) => return Err(DatabaseProblem::Broken(e).at(&path).into()),
            }
        }
    }

    fn delete(&mut self, kind: RowKind, keys: &[RowKey], foreign: &[ForeignKey]) -> rusqlite::Result<()> {
        let SqliteWriter { db, minute, target, .. } = &mut self.writer;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let statement = target.table.of(kind).delete();
        for (start, symbol) in keys {
            tx.prepare_cached(&statement)?.execute([minute.of(*start), symbol])?;
        }
        for [at, symbol] in foreign {
            tx.prepare_cached(&statement)?.execute([stored(at), stored(symbol)])?;
        }
        tx.commit()
    }
}

/// A repair does not choose another path: what is no database any more is made anew.
fn damaged(e: SqliteError) -> SqliteError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match e {
        SqliteError::Database { path, problem: DatabaseProblem::Unusable(e) }
            if matches!(e.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt)) =>
        {
            SqliteError::Database { path, problem: DatabaseProblem::Damaged(e) }
        }
        e => e,
    }
}

/// The very bytes that stand there: a blob is no text, and a text need not be UTF-8.
fn stored(key: &KeyBytes) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(if key.is_text { ValueRef::Text(&key.bytes) } else { ValueRef::Blob(&key.bytes) })
}

impl RepairWriter for SqliteRepair {
    fn write(&mut self, batch: &RepairBatch) -> Result<(), Halt> {
        if !batch.extra.is_empty() || !batch.foreign.is_empty() {
            self.until_done(|repair| repair.delete(batch.kind, &batch.extra, &batch.foreign))?;
        }
        let seq = self.seq;
        self.until_done(|repair| if batch.rows.is_empty() { Ok(()) } else { repair.writer.put(seq, &batch.rows) })
    }

    fn finish(&mut self, is_whole: bool) -> Result<Option<u64>, Halt> {
        let Some(position) = self.position.filter(|_| is_whole) else { return Ok(None) };
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        self.until_done(|repair| repair.writer.note_newest(position)).map(|()| None)
    }
}
