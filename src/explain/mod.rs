//! `minutely explain SYMBOL MINUTE`: all that is known of one minute of one symbol, for a person, for a program, and for the page.
//!
//! ```text
//!   state ── index, marks ──> where to read ── log ──> a reader of its own ──> the oracle ──> row, records, when H passed it
//!   dead letters ── of this symbol and minute ──────────────────────────────────────────────> records that do not count
//!   sinks ── read back ─────────────────────────────────────────────────────────────────────> the row as each holds it
//! ```
//!
//! It reads as `minutely verify` does: nothing is locked and nothing is written, so a run may go on meanwhile. What is said is as of
//! the newest manifest: each partition is read up to the offset that is next there. It fails where the log does not have the
//! records any more, and says so; and it does not say which of two partitions was read first, for no log tells.

mod account;
mod dead_letters;
mod error;
mod explanation;
mod history;
mod ids;
mod in_sinks;
mod json;
mod passing;
mod plan;
mod reading;
mod row;
mod session;
mod symbols;
mod text;
mod uncounted;
mod wanted;

pub(crate) use error::ExplainError;
pub(crate) use json::of as json;
pub(crate) use plan::ExplainPlan;
pub(crate) use session::{answer, explain};
