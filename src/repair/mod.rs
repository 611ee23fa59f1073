//! `minutely repair`: counts final minutes again as `minutely verify` does, and writes what sinks lack or have wrong.
//!
//! ```text
//!   log ──> verify: rows by the log ──┐
//!   sinks ──> cells ──────────────────┴─> missing, different, extra ──(--yes)──> the sinks' own writers ──> compared again
//!                                                                                  │ csv: its length
//!                                                                                  └─> state: a manifest
//! ```
//!
//! Without `--yes` nothing is locked or written. A final row is a function of the log, and a run never writes another one, so tables and
//! buckets are repaired beside a run. A file that grows is cut back by the next run to the length that the state knows: it needs the
//! state's lock, and is an owner of the state for as long as it takes.
//!
//! Promises: a repair that is killed at any point, or goes beside another, is completed by the next. Minutes whose digest in the state
//! is not what the log gives are left, and all after the first of them, for their derived values are made of it.

mod error;
mod owner;
mod plan;
mod report;
mod session;
mod sink;

pub(crate) use plan::RepairPlan;
pub(crate) use session::repair;
