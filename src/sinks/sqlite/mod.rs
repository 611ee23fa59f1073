//! `sqlite:PATH[?table=NAME]`: one table, `minutes`, with the newest row of every minute and symbol.
//!
//! A row carries the version of the manifest that committed it: (chain, generation, seq). A run that begins a chain takes the
//! table's next chain number; a restart keeps its own. The upsert refuses an older version, and any row that is not final
//! over a final one: so rows that are repeated, delayed or sent by a run that has been taken over do no harm. Two jobs in one
//! table would: a table has an owner, and another job is refused ([`owner`]).
//!
//! `meta` also has the manifest of each chain's newest rows: a state that knows less is an older copy.
//!
//! Each batch is one transaction with an fsync, so a batch that fails half-way (disk full, locked by another program)
//! is tried again. Readers may see part of a round. The file is marked as minutely's in its header, so that checking a
//! database of another program needs no SQLite and leaves no trace. Before and after each batch, and every few seconds, it
//! is checked that the paths still name the database and the log beside it: what was written to a file without a name does
//! not count as stored.

mod amended;
mod connect;
mod error;
mod history;
mod layout;
mod open;
mod owner;
mod read_back;
mod repair;
mod target;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use amended::AmendedSqlite;
pub(crate) use history::{PageRequest, SqliteHistory};
pub(super) use open::{look, open};
pub(super) use read_back::SqliteRows;
pub(super) use repair::SqliteRepair;
pub(super) use target::{SqliteTarget, TableName};
