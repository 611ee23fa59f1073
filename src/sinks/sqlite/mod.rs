//! `sqlite:PATH[?table=NAME]`: one table, `minutes`, with the newest row of every minute and symbol.
//!
//! A row carries the version of what committed it: (chain, generation, seq). A run that begins a chain takes the table's
//! next number; a restart keeps its own. The upsert refuses an older version, and any row that is not final over a final
//! one: so whatever is repeated, delayed or sent by a run that has been taken over does no harm. Two jobs would: a table
//! has an owner, and another job's is refused ([`owner`]).
//!
//! What `meta` also has is the manifest of each chain's newest rows: a state that knows less is an older copy.
//!
//! Each batch is one transaction with an fsync, so a batch that fails half-way (disk full, locked by another program)
//! is simply tried again. Readers may see part of a round. The file is marked as ours in its header, so that
//! looking at another program's needs no SQLite and leaves no trace. Whether the path still names the file, and its log
//! beside it, is looked at before and after each batch and every few seconds: what goes to a file without a name is not
//! stored.

mod connect;
mod history;
mod layout;
mod open;
mod owner;
mod target;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use history::SqliteHistory;
pub(super) use open::{look, open};
pub(super) use target::{SqliteTarget, TableName};
