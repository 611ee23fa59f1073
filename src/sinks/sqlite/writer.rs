//! Writes batches of rows, each in one transaction, tried until it is committed.

use super::connect::is_transient;
use super::error::DatabaseProblem;
use super::target::SqliteTarget;
use crate::sinks::file_id::FileId;
use crate::sinks::options::RowWriter;
use crate::sinks::provisional::ProvisionalFile;
use crate::text::MinuteText;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::row::{Row, RowKind};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records the manifest of a chain's newest rows, which a state must know of to resume.
const NEWEST: &str = "
INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)";

/// Writes rows to a database.
pub(in crate::sinks) struct SqliteWriter {
    pub(super) db: Connection,
    pub(super) target: SqliteTarget,
    /// Of each kind of rows: each has a table.
    pub(super) upserts: Vec<KindUpsert>,
    pub(super) files: DatabaseFiles,
    pub(super) chain: i64,
    pub(super) generation: i64,
    pub(super) minute: MinuteText,
    /// The manifest of the newest rows that this run wrote.
    pub(super) newest: Option<u64>,
    /// Are rows written that a manifest has just committed? A repair's are of before.
    pub(super) is_of_run: bool,
    pub(super) made: Option<ProvisionalFile>,
    pub(super) health: Arc<Health>,
    pub(super) stop: Stop,
}

/// How rows of one kind are stored.
pub(super) struct KindUpsert {
    pub(super) kind: RowKind,
    pub(super) sql: String,
    /// How many columns of [`Row::derived`] its table has.
    pub(super) derived: usize,
}

/// The files that a connection has open.
pub(super) struct DatabaseFiles {
    pub(super) database: FileId,
    /// The log beside it, which holds the newest rows. None where the database has none, and before the first batch.
    pub(super) log: Option<FileId>,
    pub(super) logs: bool,
}

/// The log beside a database.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

impl SqliteWriter {
    pub(super) fn put(&mut self, seq: i64, rows: &[Row]) -> Result<(), rusqlite::Error> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            for row in rows {
                let upsert = self.upserts.iter().find(|upsert| upsert.kind == row.kind);
                let KindUpsert { sql, derived, .. } = upsert.expect("rows are of the kinds that the run was given");
                let mut upsert = tx.prepare_cached(sql)?;
                let market = row.market.as_ref();
                let derived = (0..*derived).map(|place| row.derived.get(place).copied().flatten()).collect::<Vec<_>>();
                let own: [&dyn rusqlite::ToSql; 17] = [
                    &row.symbol,
                    &self.minute.of(row.minute),
                    &row.count,
                    &row.sum.to_f64(),
                    &row.sum.to_string(),
                    &row.avg,
                    &row.state.name(),
                    &market.map(|m| m.open),
                    &market.map(|m| m.high),
                    &market.map(|m| m.low),
                    &market.map(|m| m.close),
                    &market.and_then(|m| m.volume).map(ExactNumber::to_f64),
                    &market.and_then(|m| m.volume).map(|volume| volume.to_string()),
                    &market.and_then(|m| m.vwap),
                    &self.chain,
                    &self.generation,
                    &seq,
                ];
                upsert.execute(rusqlite::params_from_iter(
                    own.into_iter().chain(derived.iter().map(|value| value as &dyn rusqlite::ToSql)),
                ))?;
            }
            if self.is_of_run {
                tx.prepare_cached(NEWEST)?.execute(rusqlite::params![self.target.table.newest_key(self.chain), seq])?;
            }
        }
        tx.commit()
    }

    /// Records that rows up to this manifest are there.
    pub(super) fn note_newest(&self, seq: i64) -> Result<(), rusqlite::Error> {
        let key = self.target.table.newest_key(self.chain);
        self.db.execute(NEWEST, rusqlite::params![key, seq]).map(drop)
    }

    /// What is wrong, if the path does not name the file that is written to.
    pub(super) fn missed(&mut self) -> Option<String> {
        let (path, files) = (&self.target.path, &mut self.files);
        let log = log_of(path);
        if files.logs && files.log.is_none() && self.newest.is_some() {
            // Made with the first batch at the latest, and there as long as a connection is.
            files.log = FileId::at(&log).ok().or(Some(files.database));
        }
        files.database.missed_at(path).or_else(|| files.log?.missed_at(&log))
    }

    /// Waits while the path names another file than the one that is open, or none.
    fn wait_until_there(&mut self) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        while let Some(why) = self.missed() {
            self.health.set_trouble(why);
            backoff.wait(&self.stop)?;
        }
        Ok(())
    }

    fn halt(&self, problem: DatabaseProblem) -> Halt {
        problem.at(&self.target.path).into()
    }
}

impl Drop for SqliteWriter {
    /// A file that this run made and never used is removed, unless another job has made a table in it since.
    fn drop(&mut self) {
        let Some(made) = self.made.as_mut().filter(|made| made.is_removed_on_drop()) else { return };
        // Without a log beside it, which would stay when the database is removed.
        let plain = |mode: String| if mode == "delete" { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) };
        let plain = self.db.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0)).and_then(plain);
        // `meta`, `owners`, and one for each kind of rows.
        let own = i64::try_from(2 + self.upserts.len()).unwrap_or(i64::MAX);
        let alone = plain.and_then(|()| self.db.execute_batch("BEGIN EXCLUSIVE")).and_then(|()| {
            let tables = "SELECT count(*) = ?1 FROM sqlite_schema WHERE type = 'table'";
            self.db.query_row(tables, [own], |row| row.get(0))
        });
        if !alone.unwrap_or(false) {
            made.keep();
        }
        self.made = None;
    }
}

impl RowWriter for SqliteWriter {
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), WriterExit> {
        let version = i64::try_from(seq)
            .map_err(|_| self.halt(DatabaseProblem::OutOfRange("the manifest's number is out of range")))?;
        let mut backoff = Backoff::of_files();
        loop {
            self.wait_until_there()?;
            match self.put(version, rows) {
                Ok(()) => {
                    self.newest = self.newest.max(Some(seq));
                    self.health.clear_trouble();
                    return Ok(());
                }
                Err(e) if is_transient(&e) => {
                    self.health.set_trouble(format!("{}: {e}", self.target.path.display()));
                    backoff.wait(&self.stop)?;
                }
                Err(e) => return Err(self.halt(DatabaseProblem::Broken(e)).into()),
            }
        }
    }

    fn store(&mut self) -> Result<Option<u64>, WriterExit> {
        self.wait_until_there()?;
        self.health.clear_trouble();
        Ok(self.newest) // every batch was committed
    }

    fn idle(&mut self) -> Result<(), WriterExit> {
        match self.missed() {
            Some(why) => self.health.set_trouble(why),
            None => self.health.clear_trouble(),
        }
        Ok(())
    }
}
